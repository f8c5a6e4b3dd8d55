"""Files that SQLite may hold a lock on are read here, and nowhere else by hand.

POSIX drops all locks of a process on a file as soon as the process closes *any* descriptor of it (fcntl(2)). A look at
a database's header would so take the lock from a connection of the same process: another process then takes itself for
the last one to close the database, and removes the log that is still written to. A descriptor is therefore closed only
when no connection of this process has the file open, else kept for the next look.
"""

import contextlib
import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_Inode = tuple[int, int]
_guard = threading.RLock()
_connected: Counter[_Inode] = Counter()
_kept: dict[_Inode, int] = {}


class Connection(sqlite3.Connection):
    """A connection that is counted while it is open."""

    _inode: _Inode | None = None

    def close(self) -> None:
        """Close it, and what was kept open for its lock's sake where it is the last one."""
        super().close()
        self._forget()

    def __del__(self) -> None:
        self._forget()  # of one that nobody closed

    def _forget(self) -> None:
        inode, self._inode = self._inode, None
        if inode is None:
            return
        with _guard:
            _connected[inode] -= 1
            if not _connected[inode]:
                del _connected[inode]
                if (kept := _kept.pop(inode, None)) is not None:
                    os.close(kept)


def connect(file: Path, uri: str = "", **settings: Any) -> Connection:
    """Open a database so that `opened` knows of it.

    Args:
        file: the database.
        uri: what follows the file's address, from the "?" on.
        settings: for `sqlite3.connect`.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    made: Connection = sqlite3.connect(f"{file.absolute().as_uri()}{uri}", uri=True, factory=Connection, **settings)
    with _guard, contextlib.suppress(OSError):
        about = os.stat(file)
        made._inode = about.st_dev, about.st_ino
        _connected[made._inode] += 1
    return made


@contextlib.contextmanager
def opened(file: Path) -> Iterator[int]:
    """Yield a descriptor of a file, for reading, that takes no lock away when the block ends.

    Args:
        file: that SQLite may have open.

    Raises:
        OSError: it cannot be opened.
    """
    with _guard:
        about = os.stat(file)
        inode = about.st_dev, about.st_ino
        handle = _kept.pop(inode, None)
        if handle is None:
            handle = os.open(file, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            os.lseek(handle, 0, os.SEEK_SET)
            yield handle
        finally:
            if _connected[inode]:
                _kept[inode] = handle
            else:
                del _connected[inode]
                os.close(handle)
