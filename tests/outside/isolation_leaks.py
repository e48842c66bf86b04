"""A proxy that plants leaks: it hands every request on and alters what comes back of a few, as a careless product would.

Must alter nothing that no `Plant` names: what the matrix finds behind it must be exactly what was planted.
"""

from __future__ import annotations

import http.client
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Callable, Iterator
from urllib.parse import urlsplit

from isolation_matrix import ANSWER_S

Headers = list[tuple[str, str]]
# What stands between two neighbours only.
HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive"}


@dataclass(frozen=True)
class Plant:
    """One leak: which request, and what becomes of its answer. `beside` is a request that the product gets too."""

    operation: str
    method: str
    path: str
    alter: Callable[[int, Headers, bytes], tuple[int, Headers, bytes]]
    beside: Callable[[], None] | None = None


@contextmanager
def proxy(url: str, plants: list[Plant]) -> Iterator[str]:
    """Listens in front of `url` until the block ends; gives its own URL."""
    target = urlsplit(url)
    by_request = {(plant.method, plant.path): plant for plant in plants}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        behind: http.client.HTTPConnection | None = None

        def handed_on(self, body: bytes | None) -> http.client.HTTPResponse:
            for is_last in (False, True):
                if self.behind is None:
                    self.behind = http.client.HTTPConnection(target.hostname, target.port, timeout=ANSWER_S)
                try:
                    self.behind.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                    for name, value in self.headers.items():
                        self.behind.putheader(name, value)
                    self.behind.endheaders(body)
                    return self.behind.getresponse()
                except (ConnectionError, http.client.HTTPException):
                    self.behind.close()
                    self.behind = None
                    if is_last:
                        raise
            raise AssertionError("unreachable")

        def take(self) -> None:
            length = self.headers.get("content-length")
            response = self.handed_on(None if length is None else self.rfile.read(int(length)))
            status, headers, body = response.status, response.getheaders(), response.read()
            plant = by_request.get((self.command, self.path))
            if plant is not None:
                status, headers, body = plant.alter(status, headers, body)
                if plant.beside is not None:
                    plant.beside()
            self.send_response_only(status)
            for name, value in headers:
                is_length = name.lower() == "content-length" and self.command != "HEAD"
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, str(len(body)) if is_length else value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = take

        def finish(self) -> None:
            super().finish()
            if self.behind is not None:
                self.behind.close()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
