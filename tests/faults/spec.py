"""What one run is: where the product is killed, what is broken on its way, the seed, how many events. Everything that a run
does by chance comes from its seed; what differs from one time to the next is only how the threads of two programs interleave.
"""

from __future__ import annotations

import json
import random
import time
import zlib
from dataclasses import asdict, dataclass, replace

# Seconds after each failure, for every endpoint without a policy of its own: four attempts.
SCHEDULE = (1, 1, 2)

# All kinds of faults that the connector of a fault build knows.
FAULT_KINDS = "500,503,throttle,partial,lost_answer,delay,reset,duplicate,shuffle,expired_handle,stall"
# Share of the calls that fail in a run with faults.
FAULT_RATE = 0.005

# The hit of a kill point at which the process dies is drawn from 1 to this. What is here is passed that often by every run of
# 500 events; a point that is not named is passed by some request or delivery in every run, and this is the last row's.
HITS = {
    "ingest": 60,
    "queue": 40,
    "dispatcher": 120,
    "dispatcher.after_receive": 40,
    "dispatcher.half_batch": 10,
    "replay": 1,
    "sweeper": 2,
    "intake": 1,
    "": 1,
}
# Receives that the queues give a message before it is a dead letter: 3 in `delivery`, 20 in `retry`; and some to spare.
BURNT_RECEIVES = 40


@dataclass(frozen=True)
class Spec:
    """One run."""

    seed: int
    events: int = 500
    # The kill point; empty: none.
    point: str = ""
    # The share of calls to the services that fail; 0: none.
    faults: float = 0.0
    # Killed from outside for so many seconds, every 50 to 500 ms; 0: never.
    kill_s: float = 0.0
    # What is planted between the product and its receivers: `loss`, `duplicate`, `status`; empty: nothing.
    plant: str = ""
    # Seconds of the product's clock in one second; needs a fault build.
    factor: float = 20.0

    @property
    def name(self) -> str:
        """Its name, as a folder and in the list of what is done."""
        what = self.point or (f"plant-{self.plant}" if self.plant else "")
        what = what or (f"kill9-{self.kill_s:g}s" if self.kill_s else "undisturbed")
        return f"{what}-{self.seed}-{self.events}{'-faults' if self.faults else ''}"

    def chance(self, purpose: str) -> random.Random:
        """Numbers for one purpose: those of another do not depend on how many were taken."""
        return random.Random(zlib.crc32(f"{self.seed} {self.point} {purpose}".encode()))

    def kills(self) -> list[str]:
        """`REDIAL_KILL` of one start after the other; the starts after these have none."""
        if not self.point:
            return []
        area = self.point.split(".")[0]
        most = HITS.get(self.point, HITS.get(area, HITS[""]))
        chance = self.chance("kills")
        # The second one meets what the first one left.
        return [f"{self.point}:{chance.randint(1, most)}" for _ in range(1 + self.seed % 2)]

    def environment(self, began_ms: int) -> dict[str, str]:
        """What every start has in its environment. `began_ms` is when the run began."""
        # Every batch of every function: what became of a delivery can be read there.
        given = {"REDIAL_LOG": "info"}
        if self.factor != 1:
            given["REDIAL_WARP"] = f"{began_ms}:{self.factor:g}"
        if self.faults:
            given["REDIAL_FAULTS"] = f"seed={self.seed};rate={self.faults:g};kinds={FAULT_KINDS}"
        return given

    def settle_s(self) -> float:
        """How long everything may take to settle, in seconds: what a crash leaves unsent is found after five minutes of the
        product's clock, a lease of fifteen may have to end, and a hold is probed every five."""
        return 90 + 4 * 900 / self.factor

    def text(self) -> str:
        """As `read` takes it."""
        return json.dumps(asdict(self))


def read(text: str) -> Spec:
    """A run from its text."""
    return replace(Spec(seed=0), **json.loads(text))


@dataclass(frozen=True)
class Warp:
    """The product's clock, seen from outside."""

    began_ms: int
    factor: float

    def now(self, real_s: float | None = None) -> float:
        """Seconds since 1970 of the product's clock, at a moment of the real one."""
        real = time.time() if real_s is None else real_s
        return self.began_ms / 1000 + (real - self.began_ms / 1000) * self.factor
