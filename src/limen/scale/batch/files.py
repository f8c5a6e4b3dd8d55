"""The files of a round: each within its service's limits, and there when all of them are whole."""

import os
import re
import shutil
from pathlib import Path
from types import TracebackType
from typing import IO

from limen.errors import InputError
from limen.scale.batch.formats import Format
from limen.store import ledger


def expect_folder(to: Path) -> None:
    """Raise `InputError` where a round cannot have a folder because a file is in the way."""
    there = next((one for one in (to, *to.parents) if one.exists()), None)
    if there is not None and not there.is_dir():
        raise InputError(f"--to is {to}, and {there} is a file. Give a folder for the files of the rounds.")


class RoundFolder:
    """The folder of a round: there when it is whole, and not before."""

    def __init__(self, to: Path, number: int) -> None:
        expect_folder(to)
        self.path, self._draft = to / ledger.folder(number), to / f".{ledger.folder(number)}.{os.getpid()}.part"
        if self.path.exists():
            raise InputError(f"{self.path} is there already, of another run perhaps. Give another --to.")

    def open(self, name: str) -> IO[bytes]:
        """Open a file of the draft."""
        try:
            self._draft.mkdir(parents=True, exist_ok=True)
            return (self._draft / name).open("wb")
        except OSError as error:
            raise InputError(f"{self.path} cannot be written ({error.strerror or error}). Give another --to.") from None

    def publish(self) -> None:
        """Give the draft its name."""
        self._draft.rename(self.path)

    def __enter__(self) -> "RoundFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._draft, ignore_errors=True)


class Parts:
    """One observer's files of a round, each within its service's limits."""

    def __init__(self, place: RoundFolder, observer: str, form: Format) -> None:
        self.form, self.sizes = form, dict[str, tuple[int, int]]()
        self._place, self._stem = place, re.sub(r"[^A-Za-z0-9._@-]+", "-", observer).strip(".-") or "observer"
        self._file: IO[bytes] | None = None
        self._name, self._lines, self._bytes = "", 0, 0

    def add(self, name: str, body: bytes) -> str:
        """Write a line, and return the name of the file it is in."""
        line, form = self.form.line(name, body), self.form
        more = len(line) + len(form.between) + len(form.closing)
        if self._file is not None and (self._lines == form.most_lines or self._bytes + more > form.most_bytes):
            self.close()
        if self._file is None:
            self._name = f"{self._stem}-{len(self.sizes) + 1}{form.suffix}"
            self._file, self._lines, self._bytes = self._place.open(self._name), 0, 0
            self._put(form.opening)
        elif self._lines:
            self._put(form.between)
        self._put(line)
        self._lines += 1
        return self._name

    def close(self) -> None:
        """End the file that is open."""
        if self._file is not None:
            self._put(self.form.closing)
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self.sizes[self._name], self._file = (self._lines, self._bytes), None

    def _put(self, data: bytes) -> None:
        assert self._file is not None
        self._file.write(data)
        self._bytes += len(data)
