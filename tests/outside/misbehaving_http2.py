"""Receivers that misbehave over HTTP/2, frame by frame by hand (RFC 9113). What Redial makes of each is in
misbehaviour_table.py.
"""

from __future__ import annotations

import time
from typing import Callable, Iterator

from misbehaving_tls import Authority, wrapping
from misbehaving_wire import Visit, kind

DATA, HEADERS, PRIORITY, RESET, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS = 1, 1, 4
# What a client sends first.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# HPACK (RFC 7541): `:status: 200` and `204` are in the static table.
OK, NO_CONTENT = b"\x88", b"\x89"
# The window of a stream as a client has it unless it says otherwise: no frame is larger.
FRAME_MOST = 16_384


def frame(what: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame."""
    return len(payload).to_bytes(3, "big") + bytes([what, flags]) + stream.to_bytes(4, "big") + payload


def number(value: int) -> bytes:
    """Four bytes."""
    return value.to_bytes(4, "big")


def setting(name: int, value: int) -> bytes:
    """One setting of a SETTINGS frame."""
    return name.to_bytes(2, "big") + number(value)


def literal(name: bytes, value: bytes, kind_of: int = 0x00) -> bytes:
    """A header that is written out, both texts shorter than 127 bytes or of the length that HPACK writes in more bytes."""
    return bytes([kind_of]) + text(name) + text(value)


def text(what: bytes) -> bytes:
    """A string of HPACK, not packed."""
    if len(what) < 127:
        return bytes([len(what)]) + what
    rest, length = len(what) - 127, b"\x7f"
    while rest >= 128:
        length += bytes([rest % 128 + 128])
        rest //= 128
    return length + bytes([rest]) + what


def frames(visit: Visit) -> Iterator[tuple[int, int, int]]:
    """What the client sends: kind, flags and stream of each frame."""
    read = b""

    def more(least: int) -> bool:
        nonlocal read
        while len(read) < least:
            got = visit.stream.recv(65536)
            if not got:
                return False
            read += got
        return True

    if not more(len(PREFACE)):
        return
    read = read[len(PREFACE) :]
    while more(9):
        length = int.from_bytes(read[:3], "big")
        what, flags, stream = read[3], read[4], int.from_bytes(read[5:9], "big")
        if not more(9 + length):
            return
        read = read[9 + length :]
        yield what, flags, stream


Then = Callable[[Visit, int], None]


def after_request(name: str, then: Then | bytes, settings: bytes = b"", flood: bytes | None = None) -> None:
    """Takes a request whole and does something, for every request of the connection. Bytes are answered on its stream as
    they are: they are written for stream 1."""

    def script(visit: Visit) -> None:
        visit.send(frame(SETTINGS, 0, 0, settings) + frame(SETTINGS, ACK, 0))
        for what, flags, stream in frames(visit):
            if what in (DATA, HEADERS) and flags & END_STREAM:
                with visit.seen.lock:
                    visit.seen.requests += 1
                if callable(then):
                    then(visit, stream)
                elif not visit.send(then):
                    return
                if flood is not None:
                    visit.flood(flood)

    KINDS_OF_HERE.append((name, script))


def at_once(name: str, said: bytes, flood: bytes | None = None) -> None:
    """Says something before any request, and then nothing; or floods."""

    def script(visit: Visit) -> None:
        if visit.send(said) and flood is not None:
            visit.flood(flood)
        visit.until_gone()

    KINDS_OF_HERE.append((name, script))


KINDS_OF_HERE: list[tuple[str, Callable[[Visit], None]]] = []


def goodbyes() -> None:
    """GOAWAY, RST_STREAM and ends of the connection."""
    for name, code in (("no_error", 0), ("internal", 2), ("calm", 11)):
        after_request(f"h2_goaway_{name}", frame(GOAWAY, 0, 0, number(0) + number(code)))
    at_once("h2_goaway_at_once", frame(SETTINGS, 0, 0) + frame(GOAWAY, 0, 0, number(0) + number(0)))
    for name, code in (("refused", 7), ("cancel", 8), ("protocol", 1)):
        after_request(f"h2_reset_{name}", frame(RESET, 0, 1, number(code)))
    after_request("h2_reset_after_200", frame(HEADERS, END_HEADERS, 1, OK) + frame(RESET, 0, 1, number(2)))
    after_request("h2_closes", lambda visit, stream: visit.close())
    after_request("h2_resets", lambda visit, stream: visit.reset())
    after_request("h2_answers_twice", frame(HEADERS, END_HEADERS | END_STREAM, 1, OK) * 2)


def floods() -> None:
    """Frames without end, before and after the request was taken."""
    hello = frame(SETTINGS, 0, 0)
    for name, flood in {
        "settings": hello,
        "settings_of_many": frame(SETTINGS, 0, 0, setting(3, 100) * 2000),
        "pings": frame(PING, 0, 0, bytes(8)),
        "ping_answers": frame(PING, ACK, 0, bytes(8)),
        "resets": frame(RESET, 0, 1, number(8)),
        "resets_of_nothing": frame(RESET, 0, 7, number(8)),
        "goaways": frame(GOAWAY, 0, 0, number(2**31 - 1) + number(0)),
        "priorities": frame(PRIORITY, 0, 1, bytes(5)),
        "unknown_frames": frame(0xEE, 0, 0, bytes(64)),
        "windows_of_one": frame(WINDOW, 0, 0, number(1)),
    }.items():
        after_request(f"h2_endless_{name}", b"", flood=flood)
    at_once("h2_endless_pings_at_once", hello, frame(PING, 0, 0, bytes(8)))
    hint = frame(HEADERS, END_HEADERS, 1, literal(b":status", b"103") + literal(b"link", b"</a>" * 1000))
    after_request("h2_endless_103", b"", flood=hint)
    begun = frame(HEADERS, 0, 1, OK + literal(b"x", b"v" * 1000))
    after_request("h2_endless_continuation", begun, flood=frame(CONTINUATION, 0, 1, literal(b"x", b"v" * 1000)))
    after_request("h2_endless_empty_continuation", begun, flood=frame(CONTINUATION, 0, 1))
    after_request("h2_endless_body", frame(HEADERS, END_HEADERS, 1, OK), flood=frame(DATA, 0, 1, bytes(FRAME_MOST)))
    after_request("h2_endless_empty_data", frame(HEADERS, END_HEADERS, 1, OK), flood=frame(DATA, 0, 1))
    after_request("h2_endless_data_of_no_stream", b"", flood=frame(DATA, 0, 1, bytes(FRAME_MOST)))
    trailers = frame(HEADERS, END_HEADERS, 1, literal(b"x", b"v"))
    after_request("h2_endless_trailers", frame(HEADERS, END_HEADERS, 1, OK), flood=trailers)
    promise = frame(PUSH, END_HEADERS, 1, number(2) + b"\x82\x87\x84" + literal(b":authority", b"localhost"))
    after_request("h2_endless_promises", b"", flood=promise)


def headers() -> None:
    """Header lists that are too large, or none."""
    final = END_HEADERS | END_STREAM
    bomb = literal(b"x-bomb", b"b" * 4000, 0x40) + b"\xbe" * 12_000
    after_request("h2_hpack_bomb", frame(HEADERS, final, 1, OK + bomb))
    lists = b"".join(literal(b"x-%d" % n, b"v") for n in range(10_000))
    many = [lists[at : at + FRAME_MOST] for at in range(0, len(lists), FRAME_MOST)]
    rest = b"".join(frame(CONTINUATION, END_HEADERS if part is many[-1] else 0, 1, part) for part in many)
    after_request("h2_headers_10000", frame(HEADERS, END_STREAM, 1, OK) + rest)
    for name, block in {
        "h2_hpack_garbage": b"\xff" * 100,
        "h2_without_status": literal(b"x", b"v"),
        "h2_status_words": literal(b":status", b"abc"),
        "h2_header_in_capitals": OK + literal(b"X-Capital", b"v"),
        "h2_header_of_http1": OK + literal(b"connection", b"close"),
        "h2_header_with_line_end": OK + literal(b"x", b"a\r\nlocation: b"),
    }.items():
        after_request(name, frame(HEADERS, final, 1, block))
    after_request("h2_headers_half", frame(HEADERS, 0, 1, OK))
    lies = frame(HEADERS, END_HEADERS, 1, OK + literal(b"content-length", b"2")) + frame(DATA, END_STREAM, 1, b"hello")
    after_request("h2_length_lies", lies)
    after_request("h2_body_after_204", frame(HEADERS, END_HEADERS, 1, NO_CONTENT) + frame(DATA, END_STREAM, 1, b"evil"))
    after_request("h2_body_never_comes", frame(HEADERS, END_HEADERS, 1, OK))


def states() -> None:
    """Settings and states that let nothing through, and what is no HTTP/2."""

    def good(visit: Visit, stream: int) -> None:
        visit.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, OK))

    after_request("h2_good", good)
    at_once("h2_says_nothing", b"")
    after_request("h2_never_answers", b"")
    after_request("h2_window_of_zero", b"", settings=setting(4, 0))
    after_request("h2_no_streams", b"", settings=setting(3, 0))
    after_request("h2_table_of_4_gb", good, settings=setting(1, 2**32 - 1))
    at_once("h2_settings_wrong", frame(SETTINGS, 0, 0, setting(5, 1)))
    at_once("h2_frame_too_large", frame(SETTINGS, 0, 0) + frame(DATA, 0, 1, bytes(100_000)))
    after_request("h2_window_overflows", frame(WINDOW, 0, 0, number(2**31 - 1)) * 2)
    at_once("h2_speaks_http1", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    after_request("h2_answers_another_stream", frame(HEADERS, END_HEADERS | END_STREAM, 3, OK))

    def silent_first(visit: Visit) -> None:
        """The first connection is dead, and nobody says so; another one would be answered."""
        if visit.number == 0:
            visit.send(frame(SETTINGS, 0, 0) + frame(SETTINGS, ACK, 0))
            visit.until_gone()
            return
        dict(KINDS_OF_HERE)["h2_good"](visit)

    KINDS_OF_HERE.append(("h2_dead_connection", silent_first))

    def drips_settings(visit: Visit) -> None:
        visit.drip(frame(SETTINGS, 0, 0, setting(3, 100) * 100))
        time.sleep(1)

    KINDS_OF_HERE.append(("h2_slow_settings", drips_settings))


def all_kinds(ours: Authority) -> None:
    """Registers every kind of this file."""
    goodbyes()
    floods()
    headers()
    states()
    wrap = wrapping(ours.issue(), ("h2",))
    for name, script in KINDS_OF_HERE:
        kind(name, script, scheme="https", wrap=wrap)
