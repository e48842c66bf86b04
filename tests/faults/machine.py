"""The product under a run: started with what the run breaks in it, killed, started again at once, watched.

A process that ends in any other way than by `kill -9` while it should run is a finding of its own.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from kill import LAST_WORDS_S, free_port
from product import CouldNotStart, Origin, Redial
from senders import Senders
from spec import SCHEDULE, Spec, Warp

# How often its memory is looked at, in seconds.
LOOK_S = 0.2
# A kill from outside comes so long after it is ready, in seconds.
KILL_AFTER_S = (0.05, 0.5)


@dataclass
class Machine:
    """One `redial serve` after the other, on one folder and at one address."""

    spec: Spec
    folder: Path
    warp: Warp
    senders: Senders | None = None
    # The moments after which nothing more of a killed process arrives anywhere.
    kills: list[float] = field(default_factory=list)
    # How it ended when it should not have.
    ends: list[str] = field(default_factory=list)
    most_rss_mb: float = 0.0
    starts: int = 0

    def __post_init__(self) -> None:
        flags = ("--schedule", ",".join(map(str, SCHEDULE)))
        self.redial = Redial(self.folder, *flags, listen=f"127.0.0.1:{free_port()}")
        self.arms = self.spec.kills()
        self.api: Origin | None = None
        self.up = threading.Event()
        self.stopping = False
        self.watching: threading.Thread | None = None

    def start(self, *arms: str) -> Origin:
        """Starts it, with these kill points or those of the run; again if it is killed before it is ready."""
        while True:
            given = ",".join(arms) or (self.arms.pop(0) if self.arms else "")
            self.redial.environment = self.spec.environment(self.warp.began_ms)
            if given:
                self.redial.environment["REDIAL_KILL"] = given
            self.starts += 1
            try:
                self.api = self.redial.start()
            except CouldNotStart:
                self.ended(self.redial.process.poll())
                continue
            self.up.set()
            return self.api

    def ended(self, status: int | None) -> None:
        """Writes down that the process is gone."""
        if status != -signal.SIGKILL:
            self.ends.append(f"start {self.starts} ended with status {status}")
            if len(self.ends) > 3:
                raise CouldNotStart(f"it ends again and again: {self.ends}")
        # What it had sent may still be in the receivers' sockets. The next process does not send before this moment.
        time.sleep(LAST_WORDS_S)
        self.kills.append(time.time())

    def watch(self) -> None:
        """From now on: whenever it dies, it is started again at once."""
        self.watching = threading.Thread(target=self.keep_alive, daemon=True)
        self.watching.start()

    def keep_alive(self) -> None:
        """The watcher's work."""
        while not self.stopping:
            status = self.redial.process.poll()
            if status is None:
                self.look()
                time.sleep(LOOK_S if self.spec.kill_s == 0 else 0.01)
                continue
            if self.stopping:
                return
            self.up.clear()
            if self.senders is not None:
                self.senders.connect(None)
            self.ended(status)
            api = self.start()
            if self.senders is not None:
                self.senders.connect(api)

    def look(self) -> None:
        """Takes note of its memory."""
        try:
            status = Path(f"/proc/{self.redial.process.pid}/status").read_text()
        except OSError:
            return
        rss = next((line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")), "0")
        self.most_rss_mb = max(self.most_rss_mb, int(rss) / 1024)

    def kill_often(self, until: float) -> None:
        """Kills it from outside, again and again, until a moment of the monotonic clock."""
        chance = self.spec.chance("kill -9")
        while time.monotonic() < until:
            self.up.wait(10)
            time.sleep(chance.uniform(*KILL_AFTER_S))
            if self.up.is_set():
                self.up.clear()
                os.kill(self.redial.process.pid, signal.SIGKILL)

    def stop(self) -> int:
        """Ends it, in the way it is meant to end, and gives its status."""
        self.stopping = True
        if self.watching is not None:
            self.watching.join()
        return self.redial.stop()

    def open_again(self) -> None:
        """Starts it once more, undisturbed, so that it says what it finds in its queues, and ends it."""
        self.redial.environment = self.spec.environment(self.warp.began_ms)
        self.redial.environment.pop("REDIAL_FAULTS", None)
        self.redial.start()
        self.redial.stop()

    def burn(self, arms: str, most: int) -> int:
        """Starts it again and again with these kill points, as long as it dies of them. Gives how often."""
        times = 0
        while times < most and self.died_soon():
            times += 1
            self.ended(self.redial.process.poll())
            self.start(arms)
        return times

    def died_soon(self) -> bool:
        """True if it dies within two seconds."""
        ends = time.monotonic() + 2
        while time.monotonic() < ends:
            if self.redial.process.poll() is not None:
                return True
            time.sleep(0.02)
        return False
