"""The product under a run: started with what the run breaks in it, killed, started again at once, watched.

A process that ends in any other way than by `kill -9` while it should run is a finding of its own.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from kill import LAST_WORDS_S, free_port
from product import CouldNotStart, Origin, Redial
from senders import Senders
from spec import BURNT_RECEIVES, SCHEDULE, Spec, Warp

# How often its memory is looked at, in seconds.
LOOK_S = 0.2
# How long messages that were found are worked on, in seconds.
EMPTIED_S = 3.0
# A kill from outside comes so long after it is ready, in seconds.
KILL_AFTER_S = (0.05, 0.5)


def plain(log: Path) -> str:
    """The text of a log, without its colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(errors="replace")) if log.exists() else ""


def found_in_queues(log: Path) -> dict[str, int]:
    """How many messages the last start found in each queue; empty if it said nothing."""
    counts = re.findall(r"sqs\.opened\b.*?\bqueue=\"?([\w-]+)\"? messages=(\d+)", plain(log))
    return {queue: int(count) for queue, count in counts}


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

    def start(self, arms: str = "", until: str = "-") -> Origin:
        """Starts it, with these kill points or those of the run; again if it is killed before it is ready, but without them once
        it has died at one of `until`."""
        while True:
            given = arms or (self.arms.pop(0) if self.arms else "")
            if self.last_death().startswith(until):
                given = ""
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

    def empty(self) -> bool:
        """Starts it once more, undisturbed, so that it says what it finds in its queues, and stops it after it had some time for
        that: messages of which SQS was not told that they are done come again. True if there were none."""
        self.redial.environment = self.spec.environment(self.warp.began_ms)
        self.redial.environment.pop("REDIAL_FAULTS", None)
        self.redial.start()
        left = sum(found_in_queues(self.redial.log).values())
        if left:
            time.sleep(EMPTIED_S)
        self.redial.stop()
        return left == 0

    def burn(self, arms: str, area: str) -> int:
        """Starts it again and again with these kill points, until it dies at one of `area`, and gives how often it did. Then it
        runs undisturbed."""
        before = len(self.kills)
        self.start(arms, until=area)
        while len(self.kills) - before < BURNT_RECEIVES and self.died_soon():
            self.ended(self.redial.process.poll())
            if self.last_death().startswith(area):
                break
            self.start(arms, until=area)
        if self.redial.process.poll() is not None:
            self.start()
        return len(self.kills) - before

    def last_death(self) -> str:
        """The kill point at which it died last."""
        deaths = re.findall(r"killed point=\"?([\w.]+)", plain(self.redial.log))
        return deaths[-1] if deaths else ""

    def died_soon(self) -> bool:
        """True if it dies within two seconds."""
        ends = time.monotonic() + 2
        while time.monotonic() < ends:
            if self.redial.process.poll() is not None:
                return True
            time.sleep(0.02)
        return False
