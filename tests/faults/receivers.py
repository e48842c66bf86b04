"""The customers' receivers: a process of its own, never killed, with a ledger of every request that it ever got.

The ledger is append-only JSON lines, written before the answer goes: `got` when a request is read whole, `answered` with the
status, `gone` if nobody waits for it any more. Each request is verified on arrival with the official Python library, at the
time of the product's clock. It must never forget, merge or reorder requests: it is the truth that Redial is judged by.

    receivers.py --ledger FILE [--warp T0:FACTOR]       prints {"port":..,"control":..} when it listens

Control (another port): `PUT /paths/<path>` sets a behaviour, `GET /summary` counts, by path.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import sys
import time
import zlib
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from standardwebhooks import webhooks

sys.path.append(str(Path(__file__).resolve().parents[1] / "outside"))

from calls import raw_members  # noqa: E402
from receiver import MAX_HEAD, read_request  # noqa: E402

# What a failing path answers.
FAILURES = (500, 503)


@dataclass
class Behaviour:
    """How a path answers. Which events fail is drawn from the seed, the path and the event's id: every attempt of an event
    with `poison` fails, the first `first` of one in the next share do, any other attempt fails by itself with `flaky`."""

    secret: str = ""
    seed: int = 0
    # Always this, if it is not 0.
    status: int = 0
    poison: float = 0.0
    stumbling: float = 0.0
    first: int = 1
    flaky: float = 0.0
    # Up to so many milliseconds until the answer.
    slow_ms: int = 0

    def drawn(self, *what: object) -> float:
        """A number below 1 that is always the same for the same request."""
        return zlib.crc32(" ".join(map(str, (self.seed, *what))).encode()) / 2**32

    def answer(self, path: str, event: str, times: int) -> int:
        """The status of the answer to the event's `times`-th request."""
        if self.status:
            return self.status
        fate = self.drawn("fate", path, event)
        failing = FAILURES[times % len(FAILURES)]
        if fate < self.poison or (fate < self.poison + self.stumbling and times <= self.first):
            return failing
        return failing if self.drawn("flaky", path, event, times) < self.flaky else 200

    def delay_s(self, path: str, event: str, times: int) -> float:
        """Seconds until the answer."""
        return self.slow_ms / 1000 * self.drawn("slow", path, event, times)


@dataclass
class Seen:
    """The counts of a path."""

    received: int = 0
    open: int = 0
    most_open: int = 0
    times: dict[str, int] = field(default_factory=dict)
    done_ids: set[str] = field(default_factory=set)


class Receivers:
    """All paths, and the ledger."""

    def __init__(self, ledger: BinaryIO) -> None:
        self.ledger = ledger
        self.behaviours: dict[str, Behaviour] = {}
        self.seen: dict[str, Seen] = {}
        self.requests = 0

    def write(self, row: dict) -> None:
        """Appends to the ledger; unbuffered, one write a line."""
        self.ledger.write(json.dumps(row, separators=(",", ":")).encode() + b"\n")

    def got(self, path: str, headers: dict[str, str], body: bytes, behaviour: Behaviour) -> int:
        """Writes down a request and gives its number."""
        self.requests += 1
        try:
            said = raw_members(body.decode())
            data = hashlib.sha256(said.pop("data", "").encode()).hexdigest()
            tenant = json.loads(said.get("tenant", "null"))
        except ValueError:
            data = tenant = None
        row = {"row": "got", "n": self.requests, "at": time.time(), "path": path, "id": headers.get("webhook-id", "")}
        row |= {"headers": headers, "body": hashlib.sha256(body).hexdigest(), "data": data, "tenant": tenant}
        self.write(row | {"python": verified(behaviour.secret, headers, body)})
        return self.requests

    async def answer(
        self,
        path: str,
        pairs: list[list[str]],
        body: bytes,
        peer: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Writes down one request, answers it as its path does, writes down the answer before it goes."""
        behaviour = self.behaviours.get(path, Behaviour(status=404))
        headers = {name.lower(): value for name, value in pairs}
        event = headers.get("webhook-id", "")
        number = self.got(path, headers, body, behaviour)
        seen = self.seen.setdefault(path, Seen())
        seen.received += 1
        times = seen.times[event] = seen.times.get(event, 0) + 1
        seen.open += 1
        seen.most_open = max(seen.most_open, seen.open)
        await asyncio.sleep(behaviour.delay_s(path, event, times))
        seen.open -= 1
        # How it behaves now: a path that was repaired meanwhile answers 200.
        status = self.behaviours.get(path, behaviour).answer(path, event, times)
        if peer.at_eof() or writer.transport.is_closing():
            self.write({"row": "gone", "n": number, "at": time.time()})
            return
        self.write({"row": "answered", "n": number, "at": time.time(), "status": status})
        if 200 <= status < 300:
            seen.done_ids.add(event)
        writer.write(f"HTTP/1.1 {status} Answer\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()

    def control(self, method: str, path: str, body: bytes) -> dict | None:
        """Answers a control request."""
        if method == "PUT" and path.startswith("/paths/"):
            self.behaviours[path.removeprefix("/paths")] = Behaviour(**json.loads(body))
            return {}
        if method == "GET" and path == "/summary":
            return {
                path: {"received": seen.received, "done_ids": len(seen.done_ids), "most_open": seen.most_open}
                for path, seen in self.seen.items()
            }
        return None


def verified(secret: str, headers: dict[str, str], body: bytes) -> str:
    """`ok`, or why the official library refuses the request."""
    try:
        webhooks.Webhook(secret).verify(body, headers)
    except webhooks.WebhookVerificationError as error:
        return f"refused: {error}"
    except Exception as error:  # The library also fails on JSON and on text that it cannot decode.
        return f"{type(error).__name__}: {error}"
    return "ok"


def warp(began_ms: int, factor: float) -> None:
    """Gives the library the product's clock: it asks `datetime.now` whether a request is of now."""

    class Warped(datetime):
        """The product's clock."""

        @classmethod
        def now(cls, tz=None):  # noqa: ANN001, ANN206, as the method that it replaces
            """The moment it is there."""
            return datetime.fromtimestamp(began_ms / 1000 + (time.time() - began_ms / 1000) * factor, tz)

    webhooks.datetime = Warped


async def serve(ledger: BinaryIO) -> None:
    """Listens until the process is ended."""
    receivers = Receivers(ledger)

    async def deliveries(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await read_request(reader)) is not None:
                await receivers.answer(*request[1:], reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def control(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await read_request(reader)) is not None:
                answer = receivers.control(request[0], request[1], request[3])
                text = json.dumps(answer).encode()
                status = "404 Not Found" if answer is None else "200 OK"
                writer.write(f"HTTP/1.1 {status}\r\ncontent-length: {len(text)}\r\n\r\n".encode() + text)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    public = await asyncio.start_server(deliveries, "127.0.0.1", 0, limit=MAX_HEAD, backlog=1024)
    private = await asyncio.start_server(control, "127.0.0.1", 0, limit=MAX_HEAD)
    ports = {"port": public.sockets[0].getsockname()[1], "control": private.sockets[0].getsockname()[1]}
    print(json.dumps(ports), flush=True)
    # Lives as long as whoever started it: its standard input ends with them. The ledger is unbuffered.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--ledger", required=True)
    arguments.add_argument("--warp", default="")
    given = arguments.parse_args()
    if given.warp:
        began_ms, factor = given.warp.split(":")
        warp(int(began_ms), float(factor))
    with open(given.ledger, "ab", buffering=0) as ledger:
        asyncio.run(serve(ledger))


if __name__ == "__main__":
    main()
