"""Receivers that misbehave over HTTP/1.1: bodies, times, heads, ends of connections, redirects. What Redial makes of each
is in misbehaviour_table.py.
"""

from __future__ import annotations

import gzip
import time

from misbehaving_wire import Visit, answer, answer_and_close, kind, misbehaviour

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
HINT = b"HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n"
# What a bomb is before it is packed, in bytes.
BOMB = 64 * 1024 * 1024
# Time enough for a client to take note of what came on a connection that it does not use, in seconds.
NOTICED_S = 0.2


def flooding(name: str, head: bytes, flood: bytes, scheme: str = "http") -> None:
    """Answers with a beginning that never ends."""

    def script(visit: Visit) -> None:
        if visit.request() is not None and visit.send(head):
            visit.flood(flood)

    kind(name, script, scheme=scheme)


def bodies() -> None:
    """Bodies that are too long, packed, or where none belongs."""
    flooding("body_huge", b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n", b"a" * 65536)
    flooding("body_endless", b"HTTP/1.1 200 OK\r\n\r\n", b"a" * 65536)
    flooding("body_endless_after_500", b"HTTP/1.1 500 No\r\n\r\n", b"a" * 65536)
    flooding("body_endless_chunks", CHUNKED, b"5\r\nhello\r\n")
    flooding("body_endless_chunk", CHUNKED + b"7fffffffffffffff\r\n", b"a" * 65536)
    flooding("body_endless_chunk_extension", CHUNKED + b"5;", b"a" * 65536)
    flooding("body_endless_trailers", CHUNKED + b"0\r\n", b"x-trailer: v\r\n")
    flooding("body_endless_trailer", CHUNKED + b"0\r\nx-trailer: ", b"v" * 65536)
    kind("body_trailers_lie", answer(CHUNKED + b"2\r\nok\r\n0\r\nstatus: 500\r\ncontent-length: 9\r\n\r\n"))
    kind("body_chunk_size_overflows", answer_and_close(CHUNKED + b"ffffffffffffffffff\r\nhello\r\n"))
    kind("body_chunk_size_bad", answer_and_close(CHUNKED + b"4\r\nhalf\r\nZZ\r\n"))
    kind("body_chunk_size_negative", answer_and_close(CHUNKED + b"-4\r\nhalf\r\n"))
    kind("body_chunk_end_missing", answer_and_close(CHUNKED + b"4\r\nhalfmore\r\n"))
    bomb = gzip.compress(bytes(BOMB), 9)
    packed = b"content-encoding: %s\r\ncontent-length: %d\r\n\r\n"
    kind("body_gzip_bomb", answer(b"HTTP/1.1 200 OK\r\n" + packed % (b"gzip", len(bomb)) + bomb))
    nested = gzip.compress(bomb, 9)
    kind("body_gzip_in_gzip", answer(b"HTTP/1.1 200 OK\r\n" + packed % (b"gzip, gzip", len(nested)) + nested))
    flooding("body_endless_gzip", b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n", gzip.compress(bytes(1 << 20), 9))
    for encoding in ("gzip", "br", "zstd", "deflate"):
        kind(f"body_not_{encoding}", answer(b"HTTP/1.1 200 OK\r\n" + packed % (encoding.encode(), 5) + b"plain"))
    kind("body_hostile_text", answer(b"HTTP/1.1 500 No\r\ncontent-length: 43\r\n\r\n" + HOSTILE_TEXT))
    for status in (204, 205, 304):
        kind(f"body_after_{status}", answer(f"HTTP/1.1 {status} None\r\ncontent-length: 4\r\n\r\nevil"))
    kind("body_after_204_chunked", answer(b"HTTP/1.1 204 None\r\ntransfer-encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n"))


HOSTILE_TEXT = b"<script>alert(1)</script>\x00\x1b[2J\xff\xfe\xed\xa0\x80 %s{{7*7}}"[:43].ljust(43, b" ")


def lengths() -> None:
    """Content-length that is not so."""
    head = "HTTP/1.1 200 OK\r\ncontent-length: "
    kind("length_too_short", answer(f"{head}2\r\n\r\nokHTTP/1.1 500 Evil\r\n\r\n"))
    kind("length_too_long", answer_and_close(f"{head}100\r\n\r\nhalf"))
    for name, text in (("negative", "-1"), ("signed", "+2"), ("words", "two"), ("overflows", "9" * 40), ("hex", "0x2")):
        kind(f"length_{name}", answer(f"{head}{text}\r\n\r\nok"))
    kind("length_two_different", answer(f"{head}1\r\ncontent-length: 2\r\n\r\nok"))
    kind("length_two_in_one", answer(f"{head}1, 2\r\n\r\nok"))
    kind("length_and_chunked", answer(f"{head}99\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"))
    kind("coding_unknown", answer_and_close("HTTP/1.1 200 OK\r\ntransfer-encoding: cow\r\n\r\nok"))


def slow(name: str, head: bytes, drip: bytes) -> None:
    """Begins an answer and goes on a byte at a time."""

    def script(visit: Visit) -> None:
        if visit.request() is not None and visit.send(head):
            visit.drip(drip)
            visit.until_gone()

    kind(name, script)


def times() -> None:
    """Answers that are late, or never come."""
    kind("slow_never_reads", lambda visit: time.sleep(5))
    kind("slow_never_answers", lambda visit: visit.until_gone())
    slow("slow_head", b"", OK * 10)
    slow("slow_header", b"HTTP/1.1 200 OK\r\n", b"x-slow: " + b"a" * 1000)
    slow("slow_head_never_ends", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n", b"")
    slow("slow_body", b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", b"x" * 1000)
    slow("slow_chunks", CHUNKED + b"3e8\r\n", b"x" * 1000)
    slow("slow_body_never_comes", b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", b"")
    slow("slow_hints", b"", HINT * 100)
    slow("slow_after_100", b"HTTP/1.1 100 Continue\r\n\r\n", b"")
    kind("slow_connect", lambda visit: None, fills=True)


def interim() -> None:
    """1xx, which are no final answers."""
    flooding("interim_endless_103", b"", HINT)
    flooding("interim_endless_100", b"", b"HTTP/1.1 100 Continue\r\n\r\n")
    flooding("interim_endless_102", b"", b"HTTP/1.1 102 Processing\r\nx: " + b"a" * 8000 + b"\r\n\r\n")
    kind("interim_some", answer(HINT * 20 + OK))
    kind("interim_100_unasked", answer(b"HTTP/1.1 100 Continue\r\n\r\n" + OK))
    kind("interim_with_body", answer(b"HTTP/1.1 103 Early Hints\r\ncontent-length: 4\r\n\r\nevil" + OK))
    kind("interim_101", answer(b"HTTP/1.1 101 Switching\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n"))
    kind("interim_199_then_417", answer(b"HTTP/1.1 199 X\r\n\r\nHTTP/1.1 417 No\r\ncontent-length: 0\r\n\r\n"))


def many_headers(count: int) -> str:
    """An answer with so many headers."""
    return "HTTP/1.1 200 OK\r\n" + "".join(f"x-{n}: v\r\n" for n in range(1, count)) + "content-length: 0\r\n\r\n"


def heads() -> None:
    """Heads that are too large or no HTTP."""
    for count in (256, 257, 10_000):
        kind(f"headers_{count}", answer(many_headers(count)))
    flooding("headers_endless", b"HTTP/1.1 200 OK\r\n", b"x-more: v\r\n")
    flooding("header_line_endless", b"HTTP/1.1 200 OK\r\nx-endless: ", b"a" * 65536)
    flooding("header_name_endless", b"HTTP/1.1 200 OK\r\n", b"a" * 65536)
    flooding("reason_endless", b"HTTP/1.1 200 ", b"a" * 65536)
    flooding("empty_lines_endless", b"", b"\r\n" * 1000)
    flooding("nul_endless", b"", b"\0" * 65536)
    kind("header_of_50_kb", answer(b"HTTP/1.1 200 OK\r\ncontent-type: " + b"a" * 50_000 + b"\r\ncontent-length: 0\r\n\r\n"))
    for name, text in {
        "status_words": "HTTP/1.1 abc OK\r\n\r\n",
        "status_two_digits": "HTTP/1.1 20 OK\r\n\r\n",
        "status_000": "HTTP/1.1 000 Zero\r\n\r\n",
        "version_9": "HTTP/9.9 200 OK\r\n\r\n",
        "version_http2_in_words": "HTTP/2 200 OK\r\n\r\n",
        "icy": "ICY 200 OK\r\n\r\n",
        "status_without_http": "200 OK\r\n\r\n",
        "http_0_9": "<html>hello</html>\r\n\r\n",
        "ssh": "SSH-2.0-OpenSSH_9.6\r\n",
        "header_without_name": "HTTP/1.1 200 OK\r\n: 1\r\n\r\n",
        "header_name_with_space": "HTTP/1.1 200 OK\r\nx y: 1\r\n\r\n",
        "header_space_before_colon": "HTTP/1.1 200 OK\r\nlocation : 1\r\n\r\n",
        "header_with_nul": "HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n",
        "header_with_bare_cr": "HTTP/1.1 200 OK\r\nx: a\rlocation: b\r\ncontent-length: 0\r\n\r\n",
        "header_folded": "HTTP/1.1 200 OK\r\nx: a\r\n folded\r\ncontent-length: 0\r\n\r\n",
    }.items():
        kind(name, answer(text))
    kind("status_999", answer("HTTP/1.1 999 X\r\ncontent-length: 0\r\n\r\n"))
    kind("reason_missing", answer("HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n"))
    kind("reason_not_text", answer(b"HTTP/1.1 200 \xff\xfe\x80\r\ncontent-length: 0\r\n\r\n"))
    kind("header_not_text", answer(b"HTTP/1.1 200 OK\r\ncontent-type: \xff\xfe\r\ncontent-length: 0\r\n\r\n"))
    kind("http_1_0", answer_and_close("HTTP/1.0 200 OK\r\n\r\nok"))
    kind("bare_line_feeds", answer("HTTP/1.1 200 OK\ncontent-length: 0\n\n"))
    kind("cookies", answer("HTTP/1.1 200 OK\r\nset-cookie: a=1; path=/\r\ncontent-length: 0\r\n\r\n"))
    kind("wants_to_know_us", answer("HTTP/1.1 401 No\r\nwww-authenticate: Negotiate\r\ncontent-length: 0\r\n\r\n"))
    kind("gone", answer("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n"))


# How far a receiver comes before it ends the connection, and what it has said by then; `None`: it has read nothing.
PHASES = {
    "at_once": None,
    "after_the_request": b"",
    "in_the_status": b"HTTP/1.1 2",
    "in_the_headers": b"HTTP/1.1 200 OK\r\ncontent-le",
    "before_the_body": b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n",
    "in_the_body": b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
    "after_the_answer": OK,
}


def ends() -> None:
    """Connections that end early, each phase with FIN and with RST."""
    for phase, said in PHASES.items():
        for how in ("closes", "resets"):

            def script(visit: Visit, said: bytes | None = said, how: str = how) -> None:
                if said is not None and (visit.request() is None or not visit.send(said)):
                    return
                if how == "resets":
                    if said:
                        # What was said has to be read first: RST takes it back.
                        time.sleep(NOTICED_S)
                    visit.reset()

            kind(f"{how}_{phase}", script)


@misbehaviour
def resets_in_the_request(visit: Visit) -> None:
    visit.stream.recv(1)
    visit.reset()


@misbehaviour
def answers_before_the_request(visit: Visit) -> None:
    visit.send(OK)
    visit.until_gone()


@misbehaviour
def answers_before_the_body(visit: Visit) -> None:
    visit.request(body=False)
    visit.send(b"HTTP/1.1 413 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    visit.until_gone()


@misbehaviour
def splits_the_answer(visit: Visit) -> None:
    """The first answer carries a good one for the next request, which itself is refused."""
    if visit.request() is not None and visit.send(OK + OK if visit.number == 0 else REFUSED):
        visit.request()
        visit.send(REFUSED)


REFUSED = b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"


@misbehaviour
def splits_the_answer_later(visit: Visit) -> None:
    """The same, but it comes while the connection waits unused."""
    if visit.request() is not None and visit.send(OK if visit.number == 0 else REFUSED):
        time.sleep(NOTICED_S)
        visit.send(OK)
        visit.until_gone()


@misbehaviour
def garbage_after_the_answer(visit: Visit) -> None:
    if visit.request() is not None:
        visit.send(OK)
        visit.flood(b"\xde\xad\xbe\xef" * 1000)


@misbehaviour
def closes_when_used_again(visit: Visit) -> None:
    """The connection is kept, and closed as soon as the next request begins."""
    if visit.request() is not None and visit.send(OK) and visit.number == 0:
        visit.stream.recv(1)
    else:
        answer(OK)(visit)


@misbehaviour
def resets_when_used_again(visit: Visit) -> None:
    if visit.request() is not None and visit.send(OK) and visit.number == 0:
        visit.stream.recv(1)
        visit.reset()
    else:
        answer(OK)(visit)


@misbehaviour
def dies_while_frozen(visit: Visit) -> None:
    """Takes a request and answers nothing; the test ends the connection. The next one is answered."""
    if visit.number == 0 and visit.request() is not None:
        visit.until_gone()
    else:
        answer(OK)(visit)


@misbehaviour
def says_408_while_unused(visit: Visit) -> None:
    """As some servers end a connection that nobody uses."""
    if visit.request() is not None and visit.send(OK):
        time.sleep(NOTICED_S)
        visit.send(b"HTTP/1.1 408 Late\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")


def redirects(canary: str) -> None:
    """All ways to say that it is elsewhere: at the canary, which nobody may reach."""
    targets = {
        "canary": f"http://{canary}/",
        "canary_without_scheme": f"//{canary}/",
        "canary_as_number": f"http://2130706434:{canary.split(':')[1]}/",
        "file": "file:///etc/passwd",
        "gopher": f"gopher://{canary}/_POST",
        "javascript": "javascript:alert(1)",
        "itself": "/elsewhere",
        "nothing": "",
        "long": "http://" + "a" * 30_000,
    }
    for status in (300, 301, 302, 303, 305, 307, 308):
        head = f"HTTP/1.1 {status} Moved\r\nlocation: {targets['canary']}\r\nrefresh: 0;url={targets['canary']}\r\n"
        kind(f"redirect_{status}", answer(f"{head}content-length: 0\r\n\r\n"))
    for name, target in targets.items():
        kind(f"redirect_to_{name}", answer(f"HTTP/1.1 307 Moved\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n"))
    for status in (200, 201):
        there = targets["canary"]
        lines = f"location: {there}\r\nrefresh: 0;url={there}\r\nlink: <{there}>; rel=preload\r\n"
        lines += f'alt-svc: h2="{canary}", h3="{canary}"; ma=86400\r\nservice-worker-allowed: /\r\n'
        kind(f"moved_by_{status}", answer(f"HTTP/1.1 {status} X\r\n{lines}content-length: 0\r\n\r\n"))


def waits() -> None:
    """Retry-After that no receiver should say."""
    for name, lines in {
        "0": "retry-after: 0",
        "negative": "retry-after: -5",
        "a_billion": "retry-after: 1000000000",
        "forty_digits": "retry-after: " + "9" * 40,
        "1970": "retry-after: Thu, 01 Jan 1970 00:00:00 GMT",
        "9999": "retry-after: Fri, 31 Dec 9999 23:59:59 GMT",
        "words": "retry-after: soon",
        "several": "retry-after: 7\r\nretry-after: 1000000000",
        "not_text": "retry-after: \xff\xfe",
        "empty": "retry-after:",
    }.items():
        kind(f"retry_after_{name}", answer(f"HTTP/1.1 503 No\r\n{lines}\r\ncontent-length: 0\r\n\r\n"))


def all_kinds(canary: str) -> None:
    """Registers every kind of this file."""
    bodies()
    lengths()
    times()
    interim()
    heads()
    ends()
    redirects(canary)
    waits()
    kind("good", answer(OK))
