"""Files that are written whole or not at all."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from limen.errors import StoreError


@contextlib.contextmanager
def replacing(file: Path, mode: int = 0o666) -> Iterator[IO[bytes]]:
    """Yield a binary stream whose content becomes `file` at once, on disk, when the block ends without an error.

    Until then, and where the block fails, whatever was there stays. Its folder must exist.

    Args:
        file: to be written.
        mode: who may read and write it, from its first byte on; less what the process's umask takes away.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    draft = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        draft.unlink(missing_ok=True)  # of a process of this number that was killed: its mode would stay
        with open(draft, "wb", opener=lambda path, flags: os.open(path, flags, mode)) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        _put(draft, file)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()  # after success it is the file itself by now
    if os.name == "posix":  # a new name is on disk when its folder is
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _put(draft: Path, file: Path) -> None:
    """Rename; Windows refuses that while somebody reads the file, so try again for about a second."""
    for pause in (0.01, 0.05, 0.2, 0.8) if sys.platform == "win32" else ():
        try:
            draft.replace(file)
        except PermissionError:
            time.sleep(pause)
        else:
            return
    draft.replace(file)


@contextlib.contextmanager
def saving(file: Path) -> Iterator[IO[bytes]]:
    """Yield a stream as `replacing` does, for work that goes on where it was stopped.

    Raises:
        StoreError: where `replacing` raises `OSError`.
    """
    try:
        with replacing(file) as stream:
            yield stream
    except OSError as error:
        raise StoreError(
            f"{file} cannot be written ({error.strerror or error}). Free some space or check the folder, and run the "
            "same command again: what is finished is kept."
        ) from None


def write(file: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file whole or not at all; raises `OSError` as `replacing` does.

    Args:
        file: to be written.
        content: of it.
        mode: who may read and write it, as of `replacing`.
    """
    with replacing(file, mode) as stream:
        stream.write(content)


def drafts(file: Path) -> list[Path]:
    """Return what processes that were killed while they wrote `file` left beside it."""
    return list(file.parent.glob(f".{file.name}.*.part"))
