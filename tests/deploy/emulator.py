"""Starts ministack, an AWS that others wrote, and gives the clients and commands that talk to it.

It enforces IAM (`AUTH`): each function runs with its own role's permissions, so that a missing grant fails the test.
It must listen on loopback only.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config

from checks import wait_until

REGION = "us-east-1"
# The emulator's owner of the account: it has no others, and its key is public.
OWNER = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}

# How long a start and a stop may take, in seconds.
START_S = 60
STOP_S = 20
# How long one command may take, in seconds.
COMMAND_S = 300


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Emulator:
    """A fresh ministack. Everything it knows ends with it."""

    def __init__(self, folder: Path, tools: Path) -> None:
        self.region = REGION
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.tools = tools
        self.log = folder / "ministack.log"
        scratch = folder / "functions"
        scratch.mkdir()
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "REDIAL_"))}
        # Its own environment is inherited by the functions: AWS_ENDPOINT_URL leads their SDK back to it.
        environment = plain | OWNER | {
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "127.0.0.1",
            "AWS_ENDPOINT_URL": self.url,
            "AUTH": "true",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "TMPDIR": str(scratch),
        }
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [str(Path(sys.executable).parent / "ministack")], env=environment, stdout=log, stderr=log
            )
        self.environment = plain | OWNER | {"AWS_ENDPOINT_URL": self.url, "SAM_CLI_TELEMETRY": "0", "AWS_PAGER": ""}
        self.environment["PATH"] = f"{tools}{os.pathsep}{plain.get('PATH', '')}"
        wait_until("ministack answers", self.answers, START_S)

    def answers(self) -> bool:
        """True once it takes requests."""
        if self.process.poll() is not None:
            raise RuntimeError(f"ministack ended with {self.process.returncode}: {self.log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def stop(self) -> None:
        """Ends it, and with it the functions."""
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def client(self, service: str):
        """A client of the account's owner."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=OWNER["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=OWNER["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"total_max_attempts": 2}, read_timeout=COMMAND_S),
        )

    def run(self, *command: str, check: bool = True, **more: str) -> subprocess.CompletedProcess:
        """A command of the deployer, with the account's environment; its output is kept."""
        done = subprocess.run(
            command,
            env=self.environment | more,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        if check and done.returncode != 0:
            said = f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
            raise AssertionError(f"{' '.join(command)}: {done.returncode}\n{said}")
        return done
