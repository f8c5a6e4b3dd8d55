"""The command line, run in this process: a process of its own would load everything anew."""

import contextlib
import io
import os
import subprocess
from collections.abc import Mapping
from unittest import mock

from limen.cli import run


def limen(*arguments: object, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run one command and return its exit code and what it said."""
    words = [str(argument) for argument in arguments]
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.dict(os.environ, environment or {}),
    ):
        code = run(words)
    said, complained = (stream.buffer.getvalue().decode() for stream in (out, err))  # type: ignore[attr-defined]
    return subprocess.CompletedProcess(words, code, said, complained)
