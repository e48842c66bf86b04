"""A receiver that only counts: how often each numbered event came to each path. For hundreds of thousands of requests, where
a ledger with every byte would be the slowest part. Its process ends with the one that started it.

Event ids are `<anything>_<number>`. `Sink.counts(path)` gives how often each number came, `Sink.behave` sets what it answers.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

from product import Origin

HERE = Path(__file__).resolve().parent
ID = re.compile(rb"\r\nwebhook-id: *[^\r]*_(\d+)\r", re.IGNORECASE)
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r", re.IGNORECASE)


class Server:
    """Counts, and answers 200, or 500 to a seeded share of the requests."""

    def __init__(self) -> None:
        self.counts: dict[str, dict[int, int]] = {}
        self.fail_share = 0.0
        self.failed = 0
        self.random = random.Random(20261120)

    def answer(self, path: str, number: int) -> bytes:
        """The status line and what belongs to it."""
        of_path = self.counts.setdefault(path, {})
        of_path[number] = of_path.get(number, 0) + 1
        if self.fail_share and self.random.random() < self.fail_share:
            self.failed += 1
            return b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"
        return b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"

    def control(self, path: str, body: bytes) -> object:
        """Answers a control request."""
        if path == "/behave":
            self.fail_share = json.loads(body)["fail_share"]
            return {}
        if path == "/summary":
            return {"failed": self.failed, **{path: sum(counts.values()) for path, counts in self.counts.items()}}
        return sorted(self.counts.get(path, {}).items())


async def serve() -> None:
    """Listens until standard input ends."""
    server = Server()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, private: bool) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = LENGTH.search(head)
                body = await reader.readexactly(int(length[1])) if length else b""
                path = head.split(b" ", 2)[1].decode()
                if private:
                    text = json.dumps(server.control(path, body)).encode()
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(text) + text)
                    await writer.drain()
                else:
                    number = ID.search(head)
                    writer.write(server.answer(path, int(number[1]) if number else -1))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    public = await asyncio.start_server(lambda r, w: connection(r, w, False), "127.0.0.1", 0, limit=2**18, backlog=1024)
    private = await asyncio.start_server(lambda r, w: connection(r, w, True), "127.0.0.1", 0, limit=2**18)
    print(json.dumps([listening.sockets[0].getsockname()[1] for listening in (public, private)]), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)


class Sink:
    """A running receiver."""

    def __init__(self) -> None:
        command = [sys.executable, str(HERE / "sink.py")]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        public, private = json.loads(self.process.stdout.readline())
        self.origin = f"http://127.0.0.1:{public}"
        self.control = Origin(f"http://127.0.0.1:{private}")

    def behave(self, fail_share: float) -> None:
        """Answers 500 to this share of the requests from now on."""
        self.control.expect(200, "PUT", "/behave", {"fail_share": fail_share})

    def received(self, path: str) -> int:
        """Requests to a path until now."""
        return self.control.expect(200, "GET", "/summary").get(path, 0)

    def failed(self) -> int:
        """Requests that it answered with 500."""
        return self.control.expect(200, "GET", "/summary")["failed"]

    def counts(self, path: str) -> dict[int, int]:
        """How often each event came to a path."""
        return dict(self.control.expect(200, "GET", path))


if __name__ == "__main__":
    asyncio.run(serve())
