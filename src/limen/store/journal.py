"""How a run directory is held: one process writes, its database has a journal, and what was committed is counted.

On a disk of this machine the database has a write-ahead log (WAL), and the operating system holds the lock. File
systems that several machines share (NFS, Lustre, ...) have no shared memory between them, and often no locks: there the
database has a rollback journal (DELETE), and the lock is a file that says which process of which machine holds it.
"""

import contextlib
import datetime
import os
import platform
import sqlite3
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from limen.errors import StoreError
from limen.store import handles

MOUNTS = Path("/proc/self/mounts")
SHARED = frozenset({
    "nfs", "nfs4", "lustre", "gpfs", "beegfs", "ceph", "afs", "cifs", "smb3", "smbfs", "9p", "pvfs2", "orangefs",
    "panfs", "glusterfs", "wekafs", "virtiofs", "vboxsf", "prl_fs", "acfs", "ocfs2", "gfs2", "coda", "davfs", "fuse",
})  # fmt: skip
OWN = frozenset({"fuse.fuse-overlayfs", "fuse.lxcfs", "fuseblk"})  # FUSE on this machine, with locks
OWNER, COUNT = "writing.owner", "trials.count"
PATIENCE = 30.0  # seconds to wait for another connection
STILL = "ro&immutable=1"  # how SQLite reads a file that stays as it is: without locks, and without files beside it
_WAL = 2  # in bytes 18 and 19 of a database


class DirectoryLock(Protocol):
    """What holds a run directory for one process."""

    def close(self) -> None:
        """Let it go."""
        ...


@dataclass(frozen=True, slots=True)
class WriteAccess:
    """A run directory held for writing.

    Attributes:
        lock: to be closed last.
        why: why the write-ahead log was not taken, in a few words; "" where it was.
        dotfile: whether SQLite's own locks do not work either.
    """

    lock: DirectoryLock
    why: str = ""
    dotfile: bool = False

    @property
    def notice(self) -> str:
        """One line for a person, "" where there is nothing to say."""
        if not self.why:
            return ""
        return (
            f"The run directory is on {self.why}: its database is kept with a rollback journal and a lock file "
            f"({OWNER}) instead of a write-ahead log. Nothing else changes; a disk of this machine is faster."
        )


class _Owner(msgspec.Struct, frozen=True):
    """Who writes: what the lock file says. `begun` tells a process from a later one of the same number."""

    host: str
    process: int
    begun: str
    at: str


@dataclass(frozen=True, slots=True)
class _OwnerFile:
    file: Path
    content: bytes

    def close(self) -> None:
        with contextlib.suppress(OSError):
            if self.file.read_bytes() == self.content:
                self.file.unlink()


def file_system(path: Path) -> str:
    """Return the kind of file system a path lies on, as Linux calls it; "" where that cannot be known."""
    try:
        table = MOUNTS.read_text(errors="surrogateescape")
        place = path.resolve()
    except OSError:
        return ""
    kind, deepest = "", -1
    for line in table.splitlines():
        entries = line.split(" ")
        if len(entries) < 3:
            continue
        mount = Path(entries[1].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\"))
        if len(mount.parts) >= deepest and (place == mount or mount in place.parents):
            kind, deepest = entries[2], len(mount.parts)  # of two on one place the later one is seen
    return kind


def shared(kind: str) -> bool:
    """Say whether several machines may see a file system of this kind."""
    return kind in SHARED or (kind.startswith("fuse.") and kind not in OWN)


def hold(path: Path) -> WriteAccess:
    """Hold a run directory for this process.

    Raises:
        StoreError: another process is writing to it, or may be.
        sqlite3.Error, OSError: the directory cannot be written.
    """
    kind = file_system(path)
    if shared(kind):
        return WriteAccess(_own(path), f"a file system that machines share ({kind})", not _locks(path))
    lock = handles.connect(path / "writing.lock", timeout=0, isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        lock.close()
        if not any(word in str(error) for word in ("lock", "I/O")):
            raise
        if not _locks(path):
            return WriteAccess(_own(path), "a file system without file locks", dotfile=True)
        raise StoreError(f"Another process is writing to {path}. Wait for it, or give another --out.") from None
    (path / OWNER).unlink(missing_ok=True)  # came along when the run was copied from where it was needed
    return WriteAccess(lock)


def at_work(path: Path) -> bool | None:
    """Say whether a process writes to a run directory, without taking a lock for it; None where that is not known."""
    try:
        owner = msgspec.json.decode((path / OWNER).read_bytes()[:10_000], type=_Owner)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        owner = None
    if owner is not None:
        here = owner.host == platform.node() and sys.platform != "win32"
        return _begun(owner.process) == owner.begun and _alive(owner.process) if here else None
    if sys.platform != "linux":
        return None
    import fcntl

    flock = "hhqqi"  # kind, whence, start, length, process
    of_sqlite = struct.pack(flock, fcntl.F_RDLCK, os.SEEK_SET, 1 << 30, 512, 0)  # the bytes that SQLite locks
    try:
        with handles.opened(path / "writing.lock") as handle:
            kind = struct.unpack(flock, fcntl.fcntl(handle, fcntl.F_GETLK, of_sqlite))[0]
    except FileNotFoundError:
        return False
    except OSError:
        return None
    return bool(kind != fcntl.F_UNLCK)


def _locks(path: Path) -> bool:
    """Say whether files of a directory can be locked."""
    if sys.platform == "win32":
        return True
    import fcntl

    probe = path / f".lock-{os.getpid()}.probe"
    try:
        with probe.open("wb") as stream:
            fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        probe.unlink(missing_ok=True)
    return True


def _own(path: Path) -> _OwnerFile:
    """Make the lock file, taking it over from a process of this machine that has ended."""
    file = path / OWNER
    mine = msgspec.json.encode(_Owner(platform.node(), os.getpid(), _begun(os.getpid()), _now()))
    for _ in range(2):
        try:
            handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            _take_over(path, file)
            continue
        with open(handle, "wb") as stream:
            stream.write(mine)
            stream.flush()
            os.fsync(stream.fileno())
        return _OwnerFile(file, mine)
    raise StoreError(f"Another process is writing to {path}. Wait for it, or give another --out.")


def _take_over(path: Path, file: Path) -> None:
    """Remove the lock file of a process that has ended; raise `StoreError` where it may be at work."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return
    try:
        owner = msgspec.json.decode(content, type=_Owner)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise StoreError(
            f"{file} says that another process is writing to {path}, but not which. If none is, delete that file and "
            "run again."
        ) from None
    if owner.host != platform.node():
        raise StoreError(
            f"Process {owner.process} of {owner.host} has been writing to {path} since {owner.at}. Wait for it, or "
            f"give another --out. If it has ended (its job was killed), delete {file} and run again: what was answered "
            "is kept."
        )
    if _begun(owner.process) == owner.begun and _alive(owner.process):
        raise StoreError(
            f"Another process is writing to {path} (process {owner.process}, since {owner.at}). Wait for it, or give "
            "another --out."
        )
    aside = file.with_name(f".{OWNER}.{os.getpid()}")  # a rename succeeds for one of several that find it
    with contextlib.suppress(FileNotFoundError):
        file.rename(aside)
        if aside.read_bytes() == content:
            aside.unlink()
            with contextlib.suppress(OSError):
                (path / "trials.db.lock").rmdir()  # of SQLite, where it locks by such a folder
        else:
            aside.rename(file)


def _alive(process: int) -> bool:
    if sys.platform == "win32":
        return True  # it may be: there os.kill(process, 0) is Ctrl-C to it
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _begun(process: int) -> str:
    """Return when a process of this machine began, in the kernel's ticks; "" where that cannot be known."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


# --- the database ---


def writing(file: Path, held: WriteAccess) -> tuple[sqlite3.Connection, WriteAccess]:
    """Open the database of a directory that is held, made if it is not there; say how it is held from now on."""
    wal = not held.why
    if not wal:
        _fold(file, held)
    connection = _connect(file, "rwc", held.dotfile)
    try:
        found = connection.execute(f"PRAGMA journal_mode={'WAL' if wal else 'DELETE'}").fetchone()[0]
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA user_version=0")  # a write, which a log without shared memory refuses
    except sqlite3.OperationalError:
        connection.close()
        if not wal:
            raise
        found = ""
    if not wal or found == "wal":
        return connection, held
    connection.close()
    return writing(file, WriteAccess(held.lock, "a file system without shared memory", held.dotfile))


def _fold(file: Path, held: WriteAccess) -> None:
    """Turn a database with a write-ahead log into one without; alone on it, SQLite needs no shared memory for that."""
    if not logged(file):
        return
    with contextlib.closing(_connect(file, "rw", held.dotfile)) as connection:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("PRAGMA journal_mode=DELETE")


def logged(file: Path) -> bool:
    """Say whether a database has a write-ahead log, from its header."""
    try:
        with handles.opened(file) as handle:
            return os.read(handle, 20)[18:20] == bytes([_WAL, _WAL])
    except OSError:
        return False


def pending(file: Path) -> list[Path]:
    """Return the journals beside a database that hold what is not in it: of a process that was killed, or writes."""
    beside = (file.with_name(f"{file.name}-{kind}") for kind in ("wal", "journal"))
    return [one for one in beside if one.exists() and one.stat().st_size]


def cut(file: Path) -> bool:
    """Say whether a database ends within a page: SQLite would fill it up with zeros, and read them."""
    with handles.opened(file) as handle:
        size = int.from_bytes(os.read(handle, 18)[16:18], "big")
        return os.fstat(handle).st_size % (1 << 16 if size == 1 else max(size, 512)) != 0


def reading(file: Path, dotfile: bool = False, still: bool = False) -> sqlite3.Connection:
    """Open an existing database; where side files, shared memory or locks cannot be had, in a way that needs none.

    Args:
        file: the database.
        dotfile: whether SQLite's own locks do not work there, where that is known.
        still: whether nobody writes it and nothing beside it may be touched; it must have no journal then.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    log = file.with_name(file.name + "-wal")
    ways = [("rw", dotfile, False)]
    ways += [("rw", False, True)] if logged(file) else [("rw", True, False)]
    if not (log.exists() and log.stat().st_size):
        ways.append((STILL, False, False))  # the disk may be read-only
    if still:
        ways = [(STILL, False, False)]
    for mode, dotfile, alone in ways:
        try:
            connection = _connect(file, mode, dotfile)
        except sqlite3.OperationalError as error:
            failure = error
            continue
        try:
            if alone:
                connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("SELECT COUNT(*) FROM sqlite_master")
        except sqlite3.OperationalError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure


def _connect(file: Path, mode: str, dotfile: bool) -> sqlite3.Connection:
    how = f"?mode={mode}{'&vfs=unix-dotfile' if dotfile else ''}"
    return handles.connect(file, how, check_same_thread=False, timeout=PATIENCE)


# --- what was committed ---


class RowCount(msgspec.Struct, frozen=True):
    """How much a database holds: attempts at questions, and rows of numbers.

    Kept beside the database and written after each commit, so that a database that has lost its journal, or was put
    back from an older copy, is known before anything is asked, and paid for, a second time.
    """

    attempts: int = 0
    measurements: int = 0

    @classmethod
    def of(cls, connection: sqlite3.Connection) -> "RowCount":
        """Count what a database holds."""
        ((attempts,),) = connection.execute("SELECT COALESCE(MAX(id), 0) FROM attempt")
        ((measurements,),) = connection.execute("SELECT COUNT(*) FROM measurement")
        return cls(int(attempts), int(measurements))

    def after(self, connection: sqlite3.Connection, measured: bool) -> "RowCount":
        """Count again after a commit; rows of numbers only where some were written."""
        if measured:
            return self.of(connection)
        ((attempts,),) = connection.execute("SELECT COALESCE(MAX(id), 0) FROM attempt")
        return RowCount(int(attempts), self.measurements)

    @classmethod
    def read(cls, path: Path) -> "RowCount | None":
        """Return what was counted in a run directory; None where nothing was."""
        try:
            return msgspec.json.decode((path / COUNT).read_bytes()[:200], type=cls)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None


class Counter:
    """The file that a `RowCount` is kept in, open for as long as the run is written."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path / COUNT, os.O_CREAT | os.O_WRONLY, 0o644)

    def write(self, count: RowCount) -> None:
        """Write it over the last one, without waiting for the disk: a lower count is only less of a check."""
        with contextlib.suppress(OSError):
            os.lseek(self._file, 0, os.SEEK_SET)
            os.write(self._file, msgspec.json.encode(count).ljust(80) + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
