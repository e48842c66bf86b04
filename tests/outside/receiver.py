"""A customer's receiver: its own process, never killed by a test, with a ledger of every request it ever saw.

The ledger is append-only JSON lines: `received` when a request is read whole, `answered` when its answer is about to be
written, `gone` if nobody waits for it any more. It verifies each request on arrival with the official Python library. It must never forget, merge or reorder requests:
it is the truth that Redial is judged by.

    receiver.py --host 127.0.0.1 --ledger FILE       prints {"port":..,"control":..} when it listens

Control (another port): `PUT /paths/<path>` sets a behaviour, `GET /summary` counts, by path.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import sys
import time
from dataclasses import dataclass, field
from html import escape
from typing import BinaryIO
from urllib.parse import unquote, urlencode

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

# Largest head of a request, in bytes.
MAX_HEAD = 256 * 1024


@dataclass
class Behaviour:
    """How a path answers: `status`, but `fail_status` to the first `fail_first` requests of each webhook-id."""

    status: int = 200
    fail_first: int = 0
    fail_status: int = 500
    delay_ms: int = 0
    secret: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    # Answers with what it was sent, as it is and in other letters.
    echo: bool = False


@dataclass
class Seen:
    """The counts of a path."""

    received: int = 0
    answered: int = 0
    unverified: int = 0
    by_id: dict[str, int] = field(default_factory=dict)
    done_ids: set[str] = field(default_factory=set)


class Receiver:
    """All paths of this receiver, and the ledger."""

    def __init__(self, ledger: BinaryIO) -> None:
        self.ledger = ledger
        self.behaviours: dict[str, Behaviour] = {}
        self.seen: dict[str, Seen] = {}
        self.requests = 0

    def write(self, row: dict) -> None:
        """Appends to the ledger; unbuffered, one write a line."""
        self.ledger.write(json.dumps(row, separators=(",", ":")).encode() + b"\n")

    def verified(self, behaviour: Behaviour, headers: dict[str, str], body: bytes) -> str:
        """`ok`, or why the official library refuses the request."""
        if behaviour.secret is None:
            return "no secret is known"
        try:
            Webhook(behaviour.secret).verify(body, headers)
        except WebhookVerificationError as error:
            return f"refused: {error}"
        except Exception as error:  # The library also fails on JSON and on text that it cannot decode.
            return f"{type(error).__name__}: {error}"
        return "ok"

    async def answer(
        self,
        method: str,
        path: str,
        pairs: list[list[str]],
        body: bytes,
        peer: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Records one request, answers it as its path does, records the answer."""
        at = time.time()
        self.requests += 1
        number = self.requests
        behaviour = self.behaviours.get(path, Behaviour(status=404))
        seen = self.seen.setdefault(path, Seen())
        headers = {name.lower(): value for name, value in pairs}
        event = headers.get("webhook-id", "")
        python = self.verified(behaviour, headers, body)
        seen.received += 1
        seen.unverified += python != "ok"
        times = seen.by_id[event] = seen.by_id.get(event, 0) + 1
        self.write(
            {
                "row": "received",
                "n": number,
                "at": at,
                "method": method,
                "path": path,
                "id": event,
                "headers": pairs,
                "body": base64.b64encode(body).decode(),
                "python": python,
            }
        )
        if behaviour.delay_ms:
            await asyncio.sleep(behaviour.delay_ms / 1000)
        status = behaviour.fail_status if times <= behaviour.fail_first else behaviour.status
        if peer.at_eof() or writer.transport.is_closing():
            self.write({"row": "gone", "n": number, "at": time.time()})
            return
        # Before the bytes go: whoever has the answer finds it in the ledger.
        self.write({"row": "answered", "n": number, "at": time.time(), "status": status})
        seen.answered += 1
        if 200 <= status < 300:
            seen.done_ids.add(event)
        answered = behaviour.headers | ({f"x-echo-{name}": value for name, value in headers.items()} if behaviour.echo else {})
        extra = "".join(f"{name}: {value}\r\n" for name, value in answered.items())
        text = (echoed(headers) if behaviour.echo else behaviour.body).encode()
        writer.write(f"HTTP/1.1 {status} Answer\r\n{extra}content-length: {len(text)}\r\n\r\n".encode() + text)
        await writer.drain()

    def control(self, method: str, path: str, body: bytes) -> dict | None:
        """Answers a control request."""
        if method == "PUT" and path.startswith("/paths/"):
            self.behaviours[path.removeprefix("/paths")] = Behaviour(**json.loads(body))
            return {}
        if method == "GET" and path == "/summary":
            return {
                path: {
                    "received": seen.received,
                    "answered": seen.answered,
                    "unverified": seen.unverified,
                    "ids": len(seen.by_id),
                    "done_ids": len(seen.done_ids),
                }
                for path, seen in self.seen.items()
            }
        return None


def echoed(headers: dict[str, str]) -> str:
    """What mirrors and debug pages show of a request."""
    lines = "\n".join(f"{name}: {value}" for name, value in headers.items())
    forms = {"headers": headers, "raw": lines, "query": urlencode(headers), "hex": lines.encode().hex()}
    forms["page"] = escape(lines)
    for shift in range(3):
        forms[f"base64_{shift}"] = base64.b64encode(b" " * shift + lines.encode()).decode()
    scheme, _, pair = headers.get("authorization", "").partition(" ")
    if scheme == "Basic":
        forms["unpacked"] = base64.b64decode(pair).decode()
    return json.dumps(forms)


async def read_request(reader: asyncio.StreamReader) -> tuple[str, str, list[list[str]], bytes] | None:
    """One HTTP/1.1 request, or `None` at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    lines = head.decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ", 2)
    pairs = [[name, value.strip()] for name, _, value in (line.partition(":") for line in lines[1:] if line)]
    length = next((int(value) for name, value in pairs if name.lower() == "content-length"), 0)
    return method, unquote(target), pairs, await reader.readexactly(length)


async def serve(host: str, ledger: BinaryIO) -> None:
    """Listens until the process is ended."""
    receiver = Receiver(ledger)

    async def deliveries(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await read_request(reader)) is not None:
                await receiver.answer(*request, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def control(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await read_request(reader)) is not None:
                answer = receiver.control(request[0], request[1], request[3])
                text = json.dumps(answer).encode()
                status = "404 Not Found" if answer is None else "200 OK"
                writer.write(f"HTTP/1.1 {status}\r\ncontent-length: {len(text)}\r\n\r\n".encode() + text)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    public = await asyncio.start_server(deliveries, host, 0, limit=MAX_HEAD, backlog=1024)
    private = await asyncio.start_server(control, host, 0, limit=MAX_HEAD)
    ports = {"port": public.sockets[0].getsockname()[1], "control": private.sockets[0].getsockname()[1]}
    print(json.dumps(ports), flush=True)
    # Lives as long as whoever started it: its standard input ends with them. The ledger is unbuffered.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--host", default="127.0.0.1")
    arguments.add_argument("--ledger", required=True)
    given = arguments.parse_args()
    with open(given.ledger, "ab", buffering=0) as ledger:
        asyncio.run(serve(given.host, ledger))


if __name__ == "__main__":
    main()
