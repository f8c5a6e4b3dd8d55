"""Files, and folders, that are written whole or not at all."""

import contextlib
import os
import shutil
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
    _sync(file.parent)


def _sync(folder: Path) -> None:
    """Wait until the names in a folder are on disk: a new name is there when its folder is."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


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


def vacant(run: Path) -> None:
    """Raise `StoreError` where a run directory that is to be begun is there already, and holds something."""
    if run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise StoreError(f"{run} is there already. Give another --out: an import begins a run of its own.")


@contextlib.contextmanager
def beginning(run: Path) -> Iterator[Path]:
    """Yield the path of a draft beside a run directory, which becomes it when the block ends without an error.

    So a run that was cut off in the middle never looks like a whole one. What a process that was killed leaves is a
    hidden folder beside, .RUN.PROCESS.part.

    Args:
        run: the run directory; not there yet, or empty.

    Raises:
        StoreError: it is there already, or cannot be written.
    """
    vacant(run)
    draft = run.with_name(f".{run.name}.{os.getpid()}.part")
    try:
        run.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(draft, ignore_errors=True)  # of a process that was killed, and had the same number
        yield draft
        if run.is_dir():
            run.rmdir()  # empty, as was seen
        draft.rename(run)
        _sync(run.parent)
    except OSError as error:
        raise StoreError(f"{run} cannot be written ({error.strerror or error}). Give another --out.") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def drafts(file: Path) -> list[Path]:
    """Return what processes that were killed while they wrote `file` left beside it."""
    return list(file.parent.glob(f".{file.name}.*.part"))
