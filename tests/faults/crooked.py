"""A crooked messenger between Redial and the receivers, who does one wrong to prove that the tool finds it:

- `loss`: answers 200 to one request that it never hands on.
- `duplicate`: hands one request on twice.
- `status`: answers 200 where the receiver answered a failure.

    crooked.py --to http://127.0.0.1:PORT --plant KIND       prints {"port":..} when it listens
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

sys.path.append(str(Path(__file__).resolve().parents[1] / "outside"))

from receiver import MAX_HEAD, read_request  # noqa: E402

# Honest with so many requests first.
HONEST = 20


class Messenger:
    """What it has done until now."""

    def __init__(self, plant: str, host: str, port: int) -> None:
        self.plant = plant
        self.host = host
        self.port = port
        self.seen = 0
        self.planted = False

    async def hand_on(self, path: str, pairs: list[list[str]], body: bytes) -> int:
        """Gives the receiver the request, and its status."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        lines = "".join(f"{name}: {value}\r\n" for name, value in pairs)
        writer.write(f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body)
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        return int(head.split(b" ", 2)[1])

    async def answer(self, path: str, pairs: list[list[str]], body: bytes) -> int:
        """What the sender hears."""
        self.seen += 1
        wrong = self.plant if self.seen > HONEST and not self.planted else ""
        if wrong == "loss":
            self.planted = True
            return 200
        if wrong == "duplicate":
            self.planted = True
            await self.hand_on(path, pairs, body)
        status = await self.hand_on(path, pairs, body)
        if wrong == "status" and not 200 <= status < 300 and not self.planted:
            self.planted = True
            return 200
        return status


async def serve(messenger: Messenger) -> None:
    """Listens until the process is ended."""

    async def deliveries(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await read_request(reader)) is not None:
                status = await messenger.answer(*request[1:])
                writer.write(f"HTTP/1.1 {status} Answer\r\ncontent-length: 0\r\n\r\n".encode())
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(deliveries, "127.0.0.1", 0, limit=MAX_HEAD, backlog=1024)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--to", required=True)
    arguments.add_argument("--plant", required=True, choices=["loss", "duplicate", "status"])
    given = arguments.parse_args()
    to = urlsplit(given.to)
    asyncio.run(serve(Messenger(given.plant, to.hostname, to.port)))


if __name__ == "__main__":
    main()
