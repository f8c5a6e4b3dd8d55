"""A model server of other people's, started, waited for and killed."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.error import URLError

import pytest

PATIENCE = 300.0  # seconds until a server must be up


class Served:
    """A server on a free port of 127.0.0.1.

    Args:
        command: what starts it, `{port}` where the port belongs.
        log: file for its output.
        environment: besides that of this process.
    """

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.command = [word.replace("{port}", str(self.port)) for word in command]
        self.log, self.environment = log, os.environ | environment
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        """Where its chat protocol is spoken."""
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        """Start it, and wait until it is healthy; the test fails with the end of its output if it is not."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command, stdout=output, stderr=subprocess.STDOUT, env=self.environment, start_new_session=True
            )
        deadline = time.monotonic() + PATIENCE
        while not self._healthy():
            if self.process.poll() is not None or time.monotonic() > deadline:
                told = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
                pytest.fail(f"{' '.join(self.command[:3])} did not start:\n{told}")
            time.sleep(0.2)

    def kill(self) -> None:
        """End it and its children at once, without a word to whoever waits for an answer."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)  # it leads a session, and so a group, of its own
            self.process.wait()
            self.process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2) as reply:
                return bool(reply.status == 200)
        except (URLError, OSError):
            return False
