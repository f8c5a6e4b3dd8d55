"""A bundle: runs in one file to be published beside a paper, every answer raw, without pictures.

It is a ZIP archive of JSON and text: the same runs give the same bytes, in any process. `bundle.json` has the SHA-256
of every other member, so that its own SHA-256, the digest of the bundle, stands for all of it. Each row of each table
has a digest of its own (`digests.txt`), so that what was changed afterwards can be named.

    bundle.json, results.json, README.md
    runs/1/manifest.json, series.jsonl, query.jsonl, answer.jsonl, ..., digests.txt, verdicts.jsonl

A bundle may come from anybody: members are read by the names that limen writes, never unpacked by their own.
"""

import contextlib
import hashlib
import io
import re
import shutil
import sqlite3
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self, TypeAlias, cast

import msgspec
import orjson

from limen.errors import InputError, StoreError
from limen.store import TABLES, Store, entries, soundness
from limen.store.publishing import Publisher, suspects

FORMAT, VERSION = "limen-bundle", 1
INDEX, RESULTS, ABOUT = "bundle.json", "results.json", "README.md"
MANIFEST, DIGESTS, VERDICTS = "manifest.json", "digests.txt", "verdicts.jsonl"
AGAIN = "Fetch it again from where it was published."
_MOST = 16 << 30  # bytes of all members
_MOST_TOLD = 1 << 30  # bytes of a member that is read whole
_LONGEST = 1 << 27  # bytes of a line
_RATIO = 250  # of what a member unpacks to; answers come to 20
_NAME = re.compile(
    rf"{re.escape(INDEX)}|{re.escape(RESULTS)}|{re.escape(ABOUT)}|runs/[1-9][0-9]{{0,3}}/"
    rf"(?:{re.escape(MANIFEST)}|{re.escape(DIGESTS)}|{re.escape(VERDICTS)}|(?:{'|'.join(TABLES)})\.jsonl)"
)
_BLOBS = {"measurement": 2, "prior": 4}  # the column that holds JSON as bytes, by table
_EVERY = 10_000  # rows between two words of progress
_WRITTEN = (1980, 1, 1, 0, 0, 0)  # when every member was written, as far as the archive says
Note = Callable[[str], None]


class MemberAbout(msgspec.Struct, frozen=True):
    """A member: how long it is, and its SHA-256."""

    bytes: int
    sha256: str


class RunAbout(msgspec.Struct, frozen=True):
    """A run of a bundle.

    Attributes:
        name: its folder's, never a path.
        pictures: digests of the references it had kept, from which some numbers of its report come.
        rows: how many, by table.
    """

    name: str
    pictures: list[str]
    rows: dict[str, int]


class About(msgspec.Struct, frozen=True):
    """What `bundle.json` says.

    Attributes:
        format, version: of the file.
        limen: the version that made it.
        reader: version of the reader of answers that its verdicts were made with.
        versions: of Python and the libraries that its numbers were made with.
        anonymous: whether names of references were left out.
        runs: in order; the first lies in runs/1.
        members: by name.
    """

    format: str
    version: int
    limen: str
    reader: int
    versions: dict[str, str]
    anonymous: bool
    runs: list[RunAbout]
    members: dict[str, MemberAbout]


# --- rows as lines ---


def line_of(table: str, row: Sequence[Any]) -> bytes:
    """Return a row as a bundle has it: a JSON list of its columns, without a line break."""
    cells = list(row)
    if table in _BLOBS:
        try:
            cells[_BLOBS[table]] = bytes(cells[_BLOBS[table]]).decode()
        except UnicodeDecodeError:
            raise StoreError(f"trials.db: a row of {table} is no text. {entries.RESTORE}") from None
    return orjson.dumps(cells)


def row_of(table: str, line: bytes) -> list[Any] | None:
    """Return the row that a line holds; None where it holds none."""
    try:
        cells = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(cells, list) or len(cells) != len(soundness.COLUMNS[table].split(", ")):
        return None
    if not all(cell is None or isinstance(cell, str | int | float) for cell in cells):
        return None
    if any(isinstance(cell, int) and abs(cell) >= 2**63 for cell in cells):
        return None
    if table in _BLOBS:
        if not isinstance(cells[_BLOBS[table]], str):
            return None
        cells[_BLOBS[table]] = cells[_BLOBS[table]].encode()
    return cells


def digest_of(line: bytes) -> str:
    """Return the digest of a row: the first 16 hexadecimal digits of the SHA-256 of its line."""
    return hashlib.sha256(line).hexdigest()[:16]


def label_of(table: str, line: bytes) -> str:
    """Return what `digests.txt` calls a row: of an answer its key, which may be missed later; else nothing."""
    return line[2:34].decode(errors="replace") if table == "answer" else ""


def lines_of(store: Store, publisher: Publisher, table: str) -> Iterator[bytes]:
    """Yield the rows of a run as a bundle has them, in order.

    Args:
        store: of the run.
        publisher: takes out what others must not see.
        table: by name.
    """
    return (line_of(table, publisher.row(table, row)) for row in store.rows(table, ordered=True))


# --- a run made of rows ---


@contextlib.contextmanager
def rebuilding(folder: Path, manifest: Mapping[str, Any]) -> Iterator[Callable[[str, Iterable[Sequence[Any]]], int]]:
    """Make a run directory; yield a function that puts rows into a table and returns how many it took in.

    Rows whose key is there already are left out. The run is for reading while its bundle is looked at: nothing waits
    for the disk.
    """
    folder.mkdir(parents=True)
    (folder / MANIFEST).write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
    with contextlib.closing(sqlite3.connect(folder / "trials.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.executescript(soundness.TABLES)
        connection.execute("BEGIN")

        def put(table: str, rows: Iterable[Sequence[Any]]) -> int:
            columns = soundness.COLUMNS[table]
            marks = ",".join("?" * len(columns.split(", ")))
            before = connection.total_changes
            connection.executemany(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})", rows)
            return connection.total_changes - before

        yield put
        connection.execute("COMMIT")


def add_pictures(folder: Path, pictures: Mapping[str, bytes]) -> None:
    """Give a run directory that was made so pictures, PNG by the digest of their pixels."""
    with contextlib.closing(sqlite3.connect(folder / "trials.db")) as connection, connection:
        connection.executemany("INSERT OR IGNORE INTO picture VALUES (?, ?)", pictures.items())


# --- writing ---


class Writer:
    """Writes a bundle, member by member; `close` gives its digest.

    Attributes:
        suspects: what of the runs still looks like a path, a host or a user, with the member that has it first.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self.suspects: dict[str, str] = {}
        self._archive = zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED)
        self._members: dict[str, MemberAbout] = {}

    @contextlib.contextmanager
    def member(self, name: str) -> Iterator[Callable[[bytes], None]]:
        """Yield a function that adds bytes to a member."""
        info = zipfile.ZipInfo(name, _WRITTEN)
        info.create_system, info.external_attr, info.compress_type = 3, 0o644 << 16, zipfile.ZIP_DEFLATED
        sha, size = hashlib.sha256(), 0
        with self._archive.open(info, "w", force_zip64=True) as raw, io.BufferedWriter(raw, 1 << 18) as stream:

            def add(content: bytes) -> None:
                nonlocal size
                stream.write(content)
                sha.update(content)
                size += len(content)

            yield add
        self._members[name] = MemberAbout(size, sha.hexdigest())

    def write(self, name: str, content: bytes) -> None:
        """Write a member whole."""
        with self.member(name) as add:
            add(content)

    def run(self, number: int, store: Store, publisher: Publisher, name: str, note: Note) -> RunAbout:
        """Write the manifest and the rows of a run; return what the index says of it.

        Args:
            number: of the run, from 1.
            store: of the run.
            publisher: takes out what others must not see.
            name: of the run.
            note: told how far it is.
        """
        counts, digests = dict[str, int](), list[str]()
        manifest = publisher.manifest()
        self.write(f"runs/{number}/{MANIFEST}", orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
        own = {entry: value for entry, value in manifest.items() if entry != "sources"}  # these say where to find them
        self._look(f"runs/{number}/{MANIFEST}", orjson.dumps(own))
        for table in TABLES:
            counts[table] = 0
            with self.member(f"runs/{number}/{table}.jsonl") as add:
                for line in lines_of(store, publisher, table):
                    add(line + b"\n")
                    self._look(f"runs/{number}/{table}.jsonl", line)
                    digests.append(" ".join(filter(None, (table, label_of(table, line), digest_of(line)))) + "\n")
                    counts[table] += 1
                    if counts[table] % _EVERY == 0:
                        note(f"writing {name}: {counts[table]:,} rows of {table}")
        self.write(f"runs/{number}/{DIGESTS}", "".join(digests).encode())
        return RunAbout(name, list(store.pictures()), counts)

    def _look(self, member: str, content: bytes) -> None:
        for found in suspects(content.decode()):
            self.suspects.setdefault(found, member)

    def close(self, **about: Any) -> str:
        """Write the index, and return its SHA-256: the digest of the bundle."""
        index = msgspec.json.encode(About(FORMAT, VERSION, members=self._members, **about), order="sorted")
        content = msgspec.json.format(index, indent=1)
        self.write(INDEX, content)
        self._archive.close()
        return hashlib.sha256(content).hexdigest()


# --- reading ---


@dataclass(frozen=True, slots=True)
class RowFault:
    """A row that is not the one that was bundled.

    Attributes:
        run: number of the run, from 1.
        table: by name.
        what: "changed", "missing", "added", "twice"; "count" and "order" of a whole table; "digest" where the row is
            as it was and its digest in digests.txt is not.
        line: the row as it is there; b"" where it is missing.
        key: of an answer, as digests.txt names it; "".
        place: number of the line, from 1; 0 where that says nothing.
        stored, found: digests: as written down, and of what is there; "" for none.
    """

    run: int
    table: str
    what: str
    line: bytes
    key: str = ""
    place: int = 0
    stored: str = ""
    found: str = ""


class Bundle:
    """A bundle, open for reading.

    Attributes:
        path: of the file.
        about: what its index says.
        digest: of the whole bundle.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile, about: About, digest: str) -> None:
        self.path, self.about, self.digest = path, about, digest
        self._archive = archive

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: Path) -> Iterator[Self]:
        """Open a bundle.

        Raises:
            InputError: it cannot be read, is cut short, is a file of another kind, holds what no bundle holds, or is of
                a newer format.
        """
        with contextlib.ExitStack() as held:
            if (path / MANIFEST).is_file():
                raise InputError(f"{path} is a run, not a bundle. limen bundle makes one of it, limen report shows it.")
            try:
                archive = held.enter_context(zipfile.ZipFile(path))
            except OSError as error:
                raise InputError(f"{path} cannot be read ({error.strerror or error}). Check the path.") from None
            except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
                raise InputError(_no_archive(path, str(error))) from None
            _check_members(path, archive.infolist())
            index = _whole(path, archive, INDEX, entries.LARGEST)
            about = _about(path, index)
            there, told = {info.filename for info in archive.infolist()} - {INDEX}, set(about.members)
            if lacking := sorted(_wanted(about) - there):
                raise InputError(f"{path} lacks its member {lacking[0]!r}: it is not a whole bundle. {AGAIN}")
            if extra := sorted((there | told) - _wanted(about)) or sorted(_wanted(about) - told):
                raise InputError(f"{path}: its member {extra[0]!r} is not one that its {INDEX} speaks of. {AGAIN}")
            yield cls(path, archive, about, hashlib.sha256(index).hexdigest())

    def read(self, name: str, largest: int = _MOST_TOLD) -> bytes:
        """Return a member whole; raise `InputError` where it is damaged, or longer than `largest` bytes."""
        return _whole(self.path, self._archive, name, largest)

    def lines(self, name: str) -> Iterator[bytes]:
        """Yield the lines of a member, without their ends; raise `InputError` where it is damaged."""
        with (
            _reading(self.path, name),
            self._archive.open(name) as raw,
            io.BufferedReader(cast(io.RawIOBase, raw), 1 << 18) as stream,
        ):
            while line := stream.readline(_LONGEST):
                if len(line) == _LONGEST:
                    raise InputError(f"{self.path}: {name} has a line of {_LONGEST >> 20} MB or more. {AGAIN}")
                yield line.removesuffix(b"\n")

    def changed(self, name: str) -> str:
        """Return the SHA-256 of a member where it is not the one that the index says; else ""."""
        sha = hashlib.sha256()
        with _reading(self.path, name), self._archive.open(name) as stream:
            while piece := stream.read(1 << 20):
                sha.update(piece)
        return "" if sha.hexdigest() == self.about.members[name].sha256 else sha.hexdigest()

    def manifest(self, number: int) -> dict[str, Any]:
        """Return the manifest of a run by its number; raise `InputError` where it is none."""
        try:
            found = orjson.loads(self.read(f"runs/{number}/{MANIFEST}", entries.LARGEST))
        except orjson.JSONDecodeError as error:
            raise InputError(f"{self.path}: runs/{number}/{MANIFEST} is not JSON ({error}). {AGAIN}") from None
        if not isinstance(found, dict):
            raise InputError(f"{self.path}: runs/{number}/{MANIFEST} is not the manifest of a run. {AGAIN}")
        return found

    def rebuild(self, number: int, root: Path, note: Note) -> tuple[Path, list[RowFault]]:
        """Make a run directory of a run, and say which of its rows are not as they were bundled.

        Rows that cannot be read as rows, or stand there twice, are told and left out.

        Args:
            number: of the run, from 1.
            root: the folder that gets the run directory, under the run's name.
            note: told how far it is.
        """
        of = self.about.runs[number - 1]
        faults: list[RowFault] = []
        with rebuilding(root / of.name, self.manifest(number)) as put:
            for table in TABLES:
                if self.changed(f"runs/{number}/{table}.jsonl"):
                    faults += self._faults(number, table)

                read = self._rows(number, table, note)
                if put(table, (row for _, row in read if row is not None)) != of.rows.get(table, 0):
                    told = {fault.line for fault in faults}
                    faults += [fault for fault in self._unfit(number, table) if fault.line not in told]
            if self.changed(f"runs/{number}/{DIGESTS}"):
                faults += self._wrong_digests(number)
        return root / of.name, faults

    def _rows(self, number: int, table: str, note: Note) -> Iterator[tuple[bytes, list[Any] | None]]:
        """Yield the lines of a table, each with the row it holds; None where it holds none."""
        for at, line in enumerate(self.lines(f"runs/{number}/{table}.jsonl"), start=1):
            if at % _EVERY == 0:
                note(f"reading {self.about.runs[number - 1].name}: {at:,} rows of {table}")
            yield line, row_of(table, line)

    def _unfit(self, number: int, table: str) -> Iterator[RowFault]:
        """Yield the lines that hold no row, or one whose key another line has."""
        columns = soundness.COLUMNS[table].split(", ")
        places = [columns.index(name) for name in soundness.KEYS[table].split(", ")]
        seen: set[tuple[Any, ...]] = set()
        for at, (line, row) in enumerate(self._rows(number, table, lambda _: None), start=1):
            key = tuple(row[place] for place in places) if row is not None else None
            if key is None or key in seen:
                yield RowFault(number, table, "changed" if key is None else "twice", line, label_of(table, line), at)
            else:
                seen.add(key)
        if at_most := self.about.runs[number - 1].rows.get(table, 0) - len(seen):
            yield RowFault(number, table, "count", b"", "", 0, f"{at_most + len(seen):,}", f"{len(seen):,}")

    def _recorded(self, number: int, table: str) -> list[tuple[str, str]]:
        """Return label and digest of each row of a table, as `digests.txt` says them."""
        found = []
        for line in self.lines(f"runs/{number}/{DIGESTS}"):
            name, *words = line.decode(errors="replace").split(" ")
            if name == table:
                found.append((words[0] if len(words) > 1 else "", words[-1] if words else ""))
        return found

    def _faults(self, number: int, table: str) -> Iterator[RowFault]:
        """Yield the rows of a table that are not those which `digests.txt` speaks of."""
        recorded = self._recorded(number, table)
        lines = list(self.lines(f"runs/{number}/{table}.jsonl"))
        present = [digest_of(line) for line in lines]
        less, more = Counter(d for _, d in recorded), Counter(present)
        less, more = less - more, more - less
        gone = [(i, label, d) for i, (label, d) in enumerate(recorded) if _take(less, d)]
        come = [(i, line, d) for i, (line, d) in enumerate(zip(lines, present, strict=True)) if _take(more, d)]
        if not gone and not come:
            yield RowFault(number, table, "order" if [d for _, d in recorded] != present else "digest", b"")
            return
        pairs = list(zip(gone, come, strict=True)) if len(gone) == len(come) else _alike(table, gone, come)
        for (_, label, was), (at, line, now) in pairs:
            yield RowFault(number, table, "changed", line, label, at + 1, was, now)
        paired = {old for old, _ in pairs}, {new for _, new in pairs}
        for one in (one for one in gone if one not in paired[0]):
            yield RowFault(number, table, "missing", b"", one[1], one[0] + 1, one[2])
        for new in (new for new in come if new not in paired[1]):
            yield RowFault(number, table, "added", new[1], label_of(table, new[1]), new[0] + 1, "", new[2])

    def _wrong_digests(self, number: int) -> Iterator[RowFault]:
        """Yield the rows whose digest in `digests.txt` is not theirs, though they are as they were bundled."""
        before = None
        for table in TABLES:
            if self.changed(f"runs/{number}/{table}.jsonl"):
                continue
            recorded = self._recorded(number, table)
            lines = list(self.lines(f"runs/{number}/{table}.jsonl"))
            for at in range(max(len(lines), len(recorded))):
                line = lines[at] if at < len(lines) else b""
                label, digest = recorded[at] if at < len(recorded) else ("", "")
                if line and (label, digest) != (label_of(table, line), digest_of(line)):
                    before = RowFault(
                        number, table, "digest", line, label_of(table, line), at + 1, digest, digest_of(line)
                    )
                    yield before
                    if len(lines) != len(recorded):
                        break  # all that follow are one line off
        if before is None:
            yield RowFault(number, DIGESTS, "digest", b"")


def _take(counter: Counter[str], digest: str) -> bool:
    """Whether one more of this digest is to be counted off."""
    counter[digest] -= 1
    return counter[digest] >= 0


_Gone: TypeAlias = tuple[int, str, str]  # place, label, digest
_Come: TypeAlias = tuple[int, bytes, str]  # place, line, digest


def _alike(table: str, gone: Sequence[_Gone], come: Sequence[_Come]) -> list[tuple[_Gone, _Come]]:
    """Pair rows that are gone with those that stand in their place, by what they are called."""
    called = {label_of(table, new[1]): new for new in come} if table == "answer" else {}
    return [(old, called[old[1]]) for old in gone if old[1] in called]


def is_bundle(path: Path) -> bool:
    """Say whether a path is a file that begins as an archive does."""
    try:
        with path.open("rb") as stream:
            return stream.read(4) == b"PK\x03\x04"
    except OSError:
        return False


def unpacked(paths: Iterable[Path], stack: ExitStack) -> list[Path]:
    """Return run directories: those given, and in place of each bundle those of its runs, until the stack is closed.

    Args:
        paths: of run directories and bundles.
        stack: removes what was unpacked.

    Raises:
        InputError: a bundle cannot be read, or is not as it was made.
    """
    found: list[Path] = []
    for path in paths:
        if not is_bundle(path):
            found.append(path)
            continue
        root = Path(tempfile.mkdtemp(prefix="limen-bundle-"))
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        with Bundle.open(path) as bundle:
            for number in range(1, len(bundle.about.runs) + 1):
                directory, faults = bundle.rebuild(number, root, lambda _: None)
                if faults or bundle.changed(f"runs/{number}/{MANIFEST}"):
                    raise InputError(f"{path} is not as it was made. limen verify {path.name} says what differs.")
                (directory / INDEX).write_bytes(orjson.dumps([path.name, bundle.digest]))
                found.append(directory)
    return found


def origin(run: Path) -> tuple[str, str] | None:
    """Return the file and the digest of the bundle that a run was unpacked from; None where it was from none."""
    try:
        return msgspec.json.decode((run / INDEX).read_bytes(), type=tuple[str, str])
    except (OSError, msgspec.DecodeError):
        return None


# --- what is no bundle ---


def _no_archive(path: Path, why: str) -> str:
    size = path.stat().st_size
    if is_bundle(path):
        return f"{path} is cut short or damaged ({size:,} bytes; {why}). {AGAIN}"
    return f"{path} is not a bundle of limen ({size:,} bytes, no ZIP archive). Give the --out of a `limen bundle`."


def _check_members(path: Path, infos: Sequence[zipfile.ZipInfo]) -> None:
    """Raise `InputError` unless the members of an archive are such as a bundle has."""
    names = Counter(info.filename for info in infos)
    if INDEX not in names:
        raise InputError(f"{path} is not a bundle of limen: it has no {INDEX}. Give the --out of a `limen bundle`.")
    for info in infos:
        if not _NAME.fullmatch(info.filename) or names[info.filename] > 1:
            why = "stands there twice" if names[info.filename] > 1 else "has no place in a bundle"
            raise InputError(f"{path}: its member {info.filename[:80]!r} {why}. {AGAIN}")
        if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(f"{path}: its member {info.filename!r} is packed in a way no bundle is. {AGAIN}")
        if info.file_size > 1 << 20 and info.file_size > _RATIO * info.compress_size:
            raise InputError(
                f"{path}: {info.filename!r} would unpack to {info.file_size:,} bytes from {info.compress_size:,}: "
                f"a ZIP bomb. {AGAIN}"
            )
    if (size := sum(info.file_size for info in infos)) > _MOST:
        raise InputError(f"{path} would unpack to {size >> 30:,} GB, over {_MOST >> 30}. Verify its runs in parts.")


def _about(path: Path, index: bytes) -> About:
    try:
        content = orjson.loads(index)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path}: its {INDEX} is not JSON ({error}). {AGAIN}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path} is not a bundle of limen. Give the --out of a `limen bundle`.")
    version = content.get("version")
    if version != VERSION:
        newer = isinstance(version, int) and version > VERSION
        raise InputError(
            f"{path} has format {str(version)[:20]}; this limen reads {VERSION}. "
            + (f"Install a newer limen: it was made with {str(content.get('limen'))[:20]}." if newer else AGAIN)
        )
    try:
        about = msgspec.convert(content, About)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: its {INDEX} is not as limen writes it ({error}). {AGAIN}") from None
    names = [run.name for run in about.runs]
    bad = next((name for name in names if Path(name).name != name or "\0" in name or name in (".", "..")), None)
    if not names or bad is not None or len(set(names)) < len(names) or max(map(len, names)) > 200:
        raise InputError(f"{path}: its {INDEX} names runs that cannot be ({str(bad or names)[:80]!r}). {AGAIN}")
    return about


def _wanted(about: About) -> set[str]:
    each = (MANIFEST, DIGESTS, VERDICTS, *(f"{table}.jsonl" for table in TABLES))
    return {RESULTS, ABOUT} | {f"runs/{n}/{one}" for n in range(1, len(about.runs) + 1) for one in each}


@contextlib.contextmanager
def _reading(path: Path, name: str) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{path}: its member {name!r} is damaged ({error}). {AGAIN}") from None


def _whole(path: Path, archive: zipfile.ZipFile, name: str, largest: int) -> bytes:
    with _reading(path, name):
        size = archive.getinfo(name).file_size
        if size > largest:
            raise InputError(f"{path}: {name} has {size >> 20:,} MB, over {largest >> 20}. {AGAIN}")
        return archive.read(name)
