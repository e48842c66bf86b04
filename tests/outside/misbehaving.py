"""A customer's receivers, each of which misbehaves in a way of its own, on a port of its own: its own process, raw sockets.

    misbehaving.py --folder DIR --canary 127.0.0.2:PORT
        prints {"authority":FILE,"kinds":{name:{"scheme":..,"port":..}}} when they listen

For each line on its standard input it prints what each kind has seen: connections, those still open, requests, cookies. If the
line names a kind, its connections are ended before. It ends with its standard input. Must never connect anywhere.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import misbehaving_http
import misbehaving_http2
import misbehaving_tls
from misbehaving_wire import KINDS


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--folder", required=True, type=Path)
    arguments.add_argument("--canary", required=True)
    given = arguments.parse_args()
    misbehaving_http.all_kinds(given.canary)
    authority = misbehaving_tls.all_kinds(given.folder)
    misbehaving_http2.all_kinds(authority)
    for one in KINDS.values():
        one.listen()
    ports = {name: {"scheme": one.scheme, "port": one.port} for name, one in KINDS.items()}
    print(json.dumps({"authority": str(authority.file), "kinds": ports}), flush=True)
    for line in sys.stdin:
        if line.strip():
            KINDS[line.strip()].end()
        said = {}
        for name, one in KINDS.items():
            with one.seen.lock:
                seen = one.seen
                said[name] = {
                    "connections": seen.connections,
                    "open": seen.open,
                    "requests": seen.requests,
                    "cookies": seen.cookies,
                }
        print(json.dumps(said), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
