"""What every misbehaving receiver is made of: a port of its own, a thread for each connection, bytes as they are given.

Nothing here is HTTP of some library: what goes out is what a kind writes. Must never connect anywhere.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import Callable

# Largest request that is read; a longer one is the test's fault.
MAX_REQUEST = 1024 * 1024
# How long a connection that does nothing is kept, in seconds: longer than any test.
PATIENCE_S = 300


class Visit:
    """One connection. `number` counts those of its kind from 0. A write that finds nobody there answers false."""

    def __init__(self, stream: socket.socket, number: int, seen: Seen) -> None:
        self.stream = stream
        self.number = number
        self.seen = seen
        stream.settimeout(PATIENCE_S)

    def request(self, body: bool = True) -> bytes | None:
        """Reads one HTTP/1.1 request, with its body unless that is to stay unread; `None` at the end."""
        read = b""
        try:
            while b"\r\n\r\n" not in read:
                more = self.stream.recv(1 if not body else 65536)
                if not more or len(read) > MAX_REQUEST:
                    return None
                read += more
            head, _, rest = read.partition(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")), 0)
            while body and len(rest) < length:
                more = self.stream.recv(65536)
                if not more:
                    return None
                rest += more
        except OSError:
            return None
        with self.seen.lock:
            self.seen.requests += 1
            self.seen.cookies += any(line.startswith(b"cookie:") for line in lines)
        return head

    def send(self, what: bytes) -> bool:
        """Writes all of it."""
        try:
            self.stream.sendall(what)
        except OSError:
            return False
        return True

    def flood(self, what: bytes) -> None:
        """Writes it again and again, until nobody is there."""
        many = what * max(1, 65536 // len(what))
        while self.send(many):
            pass

    def drip(self, what: bytes, every_s: float = 0.1) -> None:
        """Writes a byte at a time."""
        for at in range(len(what)):
            if not self.send(what[at : at + 1]):
                return
            time.sleep(every_s)

    def until_gone(self) -> None:
        """Reads and does nothing until the other side goes away."""
        try:
            while self.stream.recv(65536):
                pass
        except OSError:
            pass

    def reset(self) -> None:
        """Ends the connection with RST, whatever was read of it."""
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Ends the connection, with FIN if all of it was read."""
        try:
            self.stream.close()
        except OSError:
            pass


Script = Callable[[Visit], None]


@dataclass
class Seen:
    """What a kind has seen."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    connections: int = 0
    open: int = 0
    requests: int = 0
    cookies: int = 0


@dataclass
class Kind:
    """One misbehaviour. `wrap` makes the stream of a connection, as TLS does; `fills` lets nobody connect at all."""

    name: str
    script: Script
    scheme: str = "http"
    wrap: Callable[[socket.socket], socket.socket] | None = None
    fills: bool = False
    seen: Seen = field(default_factory=Seen)
    port: int = 0
    kept: list[socket.socket] = field(default_factory=list)

    def end(self) -> None:
        """Ends every connection that it has."""
        for stream in self.kept:
            try:
                stream.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def visit(self, stream: socket.socket, number: int) -> None:
        """One connection, from its beginning to its end."""
        visit = None
        try:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream.settimeout(PATIENCE_S)
            visit = Visit(stream if self.wrap is None else self.wrap(stream), number, self.seen)
            self.script(visit)
        except OSError:
            # TLS that the other side refused, or a connection that it closed.
            pass
        finally:
            if visit is not None:
                visit.close()
            stream.close()
            with self.seen.lock:
                self.seen.open -= 1

    def accept(self, listener: socket.socket) -> None:
        """Every connection, each in a thread."""
        while True:
            stream, _ = listener.accept()
            with self.seen.lock:
                number = self.seen.connections
                self.seen.connections += 1
                self.seen.open += 1
            self.kept.append(stream)
            threading.Thread(target=self.visit, args=(stream, number), daemon=True).start()

    def listen(self) -> None:
        """Takes a port."""
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        if self.fills:
            # A queue that is full: Linux drops what else knocks.
            listener.listen(0)
            self.kept.append(listener)
            for _ in range(4):
                one = socket.socket()
                one.setblocking(False)
                one.connect_ex(("127.0.0.1", self.port))
                self.kept.append(one)
            return
        listener.listen(128)
        threading.Thread(target=self.accept, args=(listener,), daemon=True).start()


KINDS: dict[str, Kind] = {}


def kind(name: str, script: Script, **how: object) -> None:
    """One more misbehaviour."""
    assert name not in KINDS, name
    KINDS[name] = Kind(name, script, **how)


def misbehaviour(script: Script) -> Script:
    """One more misbehaviour, over plain HTTP, under the function's name."""
    kind(script.__name__, script)
    return script


def answer(text: str | bytes) -> Script:
    """Answers every request of a connection with the same bytes, and keeps the connection."""
    what = text.encode("latin-1") if isinstance(text, str) else text

    def script(visit: Visit) -> None:
        while visit.request() is not None and visit.send(what):
            pass

    return script


def answer_and_close(text: str | bytes) -> Script:
    """Answers one request and closes."""
    what = text.encode("latin-1") if isinstance(text, str) else text

    def script(visit: Visit) -> None:
        if visit.request() is not None:
            visit.send(what)

    return script
