"""Platforms that post the events of a run: several at once, one event or some in a request, and what was not answered again
and again until it is. What they were answered is kept, and whether a repeat was answered as the first time."""

from __future__ import annotations

import http.client
import json
import threading
from collections import deque

import world
from product import Answer, Origin
from spec import Spec

SENDERS = 6
# Most events of one request.
MOST = 12
# The share of the requests that are sent once more after they were answered.
REPEATED = 0.1
# Answers that say: later.
LATER = (429, 500, 502, 503, 504)
# How long a sender waits before it repeats, in seconds.
AGAIN_S = 0.05


class Senders:
    """Posts until all is answered."""

    def __init__(self, spec: Spec, posted: list[world.Event]) -> None:
        self.lock = threading.Lock()
        self.up = threading.Event()
        self.done = threading.Event()
        self.api: Origin | None = None
        # By tenant and id: how many deliveries it was accepted with; a refused one: its code.
        self.answers: dict[tuple[str, str], int | str] = {}
        self.wrong: list[str] = []
        self.repeats = 0
        self.requests = 0
        self.todo = deque(split(spec, posted))
        self.left = len(self.todo)
        self.chance = spec.chance("repeats")
        self.rest_s = 0.0
        self.threads = [threading.Thread(target=self.work, daemon=True) for _ in range(SENDERS)]

    def start(self) -> None:
        """Begins as soon as there is an API."""
        for thread in self.threads:
            thread.start()

    def pace(self, seconds: float) -> None:
        """Spreads the requests over so many seconds."""
        self.rest_s = seconds * SENDERS / max(self.left, 1)

    def connect(self, api: Origin | None) -> None:
        """Posts to this API from now on; `None`: there is none now."""
        self.api = api
        if api is None:
            self.up.clear()
        else:
            self.up.set()

    def work(self) -> None:
        """One sender's work."""
        while not self.done.is_set():
            if not self.up.wait(0.2):
                continue
            api = self.api
            try:
                batch, first = self.todo.popleft()
            except IndexError:
                self.done.wait(AGAIN_S)
                continue
            if api is None or not self.post(api, batch):
                self.repeats += 1
                self.todo.append((batch, first))
                self.done.wait(AGAIN_S)
                continue
            self.done.wait(self.rest_s)
            with self.lock:
                again = first and self.chance.random() < REPEATED
                self.left += again
                if again:
                    self.todo.append((batch, False))
                self.left -= 1
                if self.left == 0:
                    self.done.set()

    def post(self, api: Origin, batch: list[world.Event]) -> bool:
        """Posts some events; false if they have to be repeated."""
        lines = ",".join(event.line() for event in batch)
        self.requests += 1
        try:
            api.send("POST", "/v1/events", (lines if len(batch) == 1 else f"[{lines}]").encode())
            answer = api.answer()
        except (OSError, http.client.HTTPException):
            api.close()
            return False
        if answer.status in LATER:
            return False
        said = told(batch, answer)
        if any(isinstance(one, str) and one.startswith("5") for one in said):
            # Of a batch some could not be stored: all of it again, the others are answered as before.
            self.note(batch, said, partly=True)
            return False
        self.note(batch, said)
        return True

    def note(self, batch: list[world.Event], said: list[int | str], partly: bool = False) -> None:
        """Keeps what was answered, and says what must not be."""
        with self.lock:
            for event, one in zip(batch, said):
                if partly and isinstance(one, str) and one.startswith("5"):
                    continue
                wanted = "422" if event.refused else world.matches(event)
                before = self.answers.setdefault((event.tenant, event.id), one)
                if one != wanted:
                    self.wrong.append(f"{event.tenant} {event.id}: answered {one}, not {wanted}")
                elif before != one:
                    self.wrong.append(f"{event.tenant} {event.id}: answered {one}, before {before}")


def told(batch: list[world.Event], answer: Answer) -> list[int | str]:
    """What the answer says of each event: how many deliveries, or the status of its problem."""
    if len(batch) == 1:
        return [answer.body["deliveries"] if answer.status == 202 else str(answer.status)]
    if answer.status != 202:
        return [f"{answer.status} {json.dumps(answer.body)}"] * len(batch)
    return [one["deliveries"] if "deliveries" in one else str(one["error"]["status"]) for one in answer.body["events"]]


def split(spec: Spec, posted: list[world.Event]) -> list[tuple[list[world.Event], bool]]:
    """The events in requests of different sizes."""
    chance = spec.chance("requests")
    requests = []
    at = 0
    while at < len(posted):
        size = chance.choice((1, 1, 2, 5, MOST))
        requests.append((posted[at : at + size], True))
        at += size
    return requests
