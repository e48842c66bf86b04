"""Receivers whose TLS is not right: certificates, versions, handshakes. The authorities are made anew at each start.

What Redial makes of each is in misbehaviour_table.py.
"""

from __future__ import annotations

import datetime
import socket
import ssl
import tempfile
import time
from pathlib import Path
from typing import Callable

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from misbehaving_http import OK
from misbehaving_wire import Visit, answer, answer_and_close, kind

# The name that every receiver here is reached under.
NAME = "localhost"
DAY = datetime.timedelta(days=1)

# TLS records: a handshake message, an alert.
HANDSHAKE, ALERT = b"\x16", b"\x15"


class Authority:
    """Issues certificates; `file` is its own, for whoever trusts it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self.signed(self.name, self.key, None, -DAY, DAY)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def signed(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, name: str | None, start, end):
        """A certificate: a server's for `name`, or an authority's."""
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + start)
            .not_valid_after(now + end)
            .add_extension(x509.BasicConstraints(ca=name is None, path_length=None), critical=True)
        )
        if name is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, name: str = NAME, start=-DAY, end=DAY, chain: int = 0) -> str:
        """A file with key and certificate, and `chain` times the authority's behind them."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.signed(x509.Name([]), key, name, start, end)
        return self.written(key, [certificate, *[self.certificate] * chain])

    def own(self) -> str:
        """The authority's own certificate, used as a server's."""
        return self.written(self.key, [self.certificate])

    def written(self, key: ec.EllipticCurvePrivateKey, certificates: list[x509.Certificate]) -> str:
        pem = serialization.Encoding.PEM
        text = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".pem", delete=False) as file:
            file.write(text + b"".join(certificate.public_bytes(pem) for certificate in certificates))
        return file.name


def wrapping(identity: str, alpn: tuple[str, ...] = ("http/1.1",), **settings: object) -> Callable:
    """What makes a stream TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity)
    context.set_alpn_protocols(list(alpn))
    for name, value in settings.items():
        setattr(context, name, value)
    return lambda stream: context.wrap_socket(stream, server_side=True)


def self_signed(folder: Path) -> str:
    """A server's certificate that signs itself."""
    return Authority(folder, NAME).own()


def certificates(ours: Authority, folder: Path) -> None:
    """Certificates that are not right, before a receiver that is."""
    stranger = Authority(folder, "stranger")
    for name, identity in {
        "good": ours.issue(),
        "expired": ours.issue(start=-2 * DAY, end=-DAY),
        "not_yet_valid": ours.issue(start=DAY, end=2 * DAY),
        "for_another_host": ours.issue("other.example.com"),
        "self_signed": self_signed(folder),
        "of_unknown_authority": stranger.issue(),
        "with_endless_chain": ours.issue(chain=400),
        "with_long_chain": ours.issue(chain=20),
    }.items():
        kind(f"tls_{name}", answer(OK), scheme="https", wrap=wrapping(identity))

    def unknown_name(stream: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> int:
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    kind("tls_knows_no_such_name", answer(OK), scheme="https", wrap=wrapping(ours.issue(), sni_callback=unknown_name))
    for version in ("TLSv1", "TLSv1_1"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(ours.issue())
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion[version]
        wrap = lambda stream, context=context: context.wrap_socket(stream, server_side=True)
        kind(f"tls_only_{version.lower().removeprefix('tlsv')}", answer(OK), scheme="https", wrap=wrap)
    two = ssl.TLSVersion.TLSv1_2
    kind("tls_1_2", answer(OK), scheme="https", wrap=wrapping(ours.issue(), maximum_version=two))
    asks = wrapping(ours.issue(), verify_mode=ssl.CERT_REQUIRED, maximum_version=two)
    kind("tls_wants_our_certificate", answer(OK), scheme="https", wrap=asks)


def record(content: bytes, body: bytes, version: bytes = b"\x03\x03") -> bytes:
    """A TLS record."""
    return content + version + len(body).to_bytes(2, "big") + body


def raw(name: str, said: bytes, then: str = "waits") -> None:
    """Answers the first bytes of a handshake with these."""

    def script(visit: Visit) -> None:
        visit.stream.recv(65536)
        if then == "floods":
            visit.flood(said)
        elif visit.send(said) and then == "waits":
            visit.until_gone()
        elif then == "resets":
            visit.reset()

    kind(name, script, scheme="https")


def handshakes(ours: Authority) -> None:
    """Handshakes that go wrong."""
    old_hello = b"\x02\x00\x00\x26" + b"\x03\x02" + bytes(32) + b"\x00" + b"\xc0\x13" + b"\x00"
    raw("tls_hello_of_1_1", record(HANDSHAKE, old_hello, b"\x03\x02"))
    raw("tls_garbage", b"\xde\xad\xbe\xef" * 100)
    raw("tls_nul", bytes(1000))
    raw("tls_greets_as_mail", b"220 mail.example.com ESMTP\r\n")
    raw("tls_answers_plainly", b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
    raw("tls_alert", record(ALERT, b"\x02\x28"))
    raw("tls_closes", b"", "closes")
    raw("tls_resets", b"", "resets")
    raw("tls_never_answers", b"")
    raw("tls_garbage_endless", b"\xde\xad\xbe\xef", "floods")
    # A message of 16 MiB is announced and comes, in records of 16 KiB.
    raw("tls_message_endless", record(HANDSHAKE, b"\x02\xff\xff\xff" + b"a" * 16_000), "floods")
    raw("tls_warnings_endless", record(ALERT, b"\x01\x5a"), "floods")
    raw("tls_empty_records_endless", record(HANDSHAKE, b""), "floods")
    raw("tls_hello_requests_endless", record(HANDSHAKE, b"\x00\x00\x00\x00"), "floods")
    raw("tls_cipher_changes_endless", record(b"\x14", b"\x01"), "floods")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ours.issue())
    kind("tls_dripping", lambda visit: drip_handshake(visit, context), scheme="https")
    good = ours.issue()
    kind("tls_ends_without_answer", ends_tls, scheme="https", wrap=wrapping(good))
    cut = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"
    kind("tls_cut_off_body", answer_and_close(cut), scheme="https", wrap=wrapping(good))
    kind("tls_plain_after_handshake", plain_after_handshake, scheme="https", wrap=wrapping(good))
    kind("tls_slow", lambda visit: visit.until_gone(), scheme="https", wrap=wrapping(good))


def drip_handshake(visit: Visit, context: ssl.SSLContext) -> None:
    """A handshake that is right, a byte each 100 ms."""
    read, written = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(read, written, server_side=True)
    while True:
        got = visit.stream.recv(65536)
        if not got:
            return
        read.write(got)
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            visit.drip(written.read())
            continue
        return


def ends_tls(visit: Visit) -> None:
    """Reads the request, says goodbye in TLS and answers nothing."""
    visit.request()
    visit.stream.unwrap()


def plain_after_handshake(visit: Visit) -> None:
    """The answer comes outside of TLS."""
    visit.request()
    with socket.socket(fileno=visit.stream.detach()) as plain:
        plain.sendall(OK)
        time.sleep(1)


def all_kinds(folder: Path) -> Authority:
    """Registers every kind of this file; answers with the authority that is to be trusted."""
    ours = Authority(folder, "authority")
    certificates(ours, folder)
    handshakes(ours)
    wrap = wrapping(ours.issue())
    kind("tls_body_endless", flooded, scheme="https", wrap=wrap)
    return ours


def flooded(visit: Visit) -> None:
    """A body that never ends, through TLS."""
    if visit.request() is not None and visit.send(b"HTTP/1.1 200 OK\r\n\r\n"):
        visit.flood(b"a" * 65536)
