"""The stage of the deployment test: a network of its own in which a public-looking address is this machine.

A deployed dispatcher connects to public addresses over https and to nothing else, and there is no switch for that. So the
test moves instead: into a network namespace with no interface but loopback, where loopback also has a public address, names
resolve by the test's own /etc/hosts, and port 443 is answered with certificates of the test's own authority. No packet can
leave it. It must be entered (`run` does, with `unshare`) before `prepare`, and must never be prepared outside of one.
"""

from __future__ import annotations

import asyncio
import base64
import fcntl
import socket
import ssl
import struct
import subprocess
import threading
from pathlib import Path

import trustme

# A public unicast address, as receivers have them: the dispatcher refuses every documentation or benchmarking network. In
# this namespace it is loopback.
PUBLIC_ADDRESS = "8.8.4.4"
# The receiver's name: public by form, reserved by RFC 2606, so that it is nobody's.
RECEIVER = "receiver.example.com"

# <linux/sockios.h> and <linux/if.h>.
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK = 0x8913, 0x8914, 0x8916, 0x891C
IFF_UP = 1

# How much the front copies at once, in bytes.
CHUNK = 64 * 1024


class NotAlone(Exception):
    """This process can reach a network: it is not in a namespace of its own."""


def prepare(folder: Path) -> None:
    """Gives loopback its addresses and this mount namespace its own /etc/hosts."""
    interfaces = [name for _, name in socket.if_nameindex()]
    if interfaces != ["lo"]:
        raise NotAlone(f"there are interfaces besides lo: {interfaces}; start it with tests/deploy/run")

    def named(name: str, rest: bytes) -> bytes:
        return struct.pack("16s", name.encode()) + rest

    def address(text: str) -> bytes:
        return struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(text))

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        answer = fcntl.ioctl(control, SIOCGIFFLAGS, named("lo", bytes(16)))
        flags = struct.unpack_from("H", answer, 16)[0] | IFF_UP
        fcntl.ioctl(control, SIOCSIFFLAGS, named("lo", struct.pack("H14x", flags)))
        fcntl.ioctl(control, SIOCSIFADDR, named("lo:1", address(PUBLIC_ADDRESS)))
        fcntl.ioctl(control, SIOCSIFNETMASK, named("lo:1", address("255.255.255.255")))
    hosts = folder / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{PUBLIC_ADDRESS} {RECEIVER}\n")
    subprocess.run(["mount", "--bind", str(hosts), "/etc/hosts"], check=True)


class Front:
    """Answers https on port 443 for the names that it knows, and copies bytes to and from what stands behind them."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA(organization_name="Redial's deployment test")
        self.bundle = folder / "authority.pem"
        self.authority.cert_pem.write_to_path(str(self.bundle))
        self.behind: dict[str, int] = {}
        self.hosts = folder / "hosts"
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        threading.Thread(target=self._serve, args=(ready,), daemon=True).start()
        ready.wait()

    def parameter(self) -> str:
        """The authority's certificate as the template's parameter takes it: DER in base64."""
        return base64.b64encode(ssl.PEM_cert_to_DER_cert(self.authority.cert_pem.bytes().decode())).decode()

    def context(self) -> ssl.SSLContext:
        """What a client of the test trusts: this authority and no other."""
        return ssl.create_default_context(cafile=str(self.bundle))

    def add(self, name: str, port: int) -> None:
        """From now on `https://name/` is what listens on this port of 127.0.0.1."""
        self.behind[name] = port
        if name != RECEIVER:
            with self.hosts.open("a") as hosts:
                hosts.write(f"127.0.0.1 {name}\n")

    def _serve(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self.loop)
        contexts: dict[str, ssl.SSLContext] = {}

        def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
            if name not in self.behind:
                return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
            if name not in contexts:
                contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                self.authority.issue_cert(name).configure_cert(contexts[name])
            connection.context = contexts[name]
            connection.asked_for = name
            return None

        outer = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # Replaced by the name's own at once; a context must have one.
        self.authority.issue_cert("unknown.example.com").configure_cert(outer)
        outer.sni_callback = choose
        start = asyncio.start_server(self._connected, "0.0.0.0", 443, ssl=outer, backlog=1024)
        self.loop.run_until_complete(start)
        ready.set()
        self.loop.run_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name = writer.get_extra_info("ssl_object").asked_for
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.behind[name])
        except OSError:
            writer.close()
            return
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copies until one side ends, and ends the other."""
    try:
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
    except OSError:
        # Reset, closed without a word, or gone for too long: the other side sees the end.
        pass
    finally:
        writer.close()
