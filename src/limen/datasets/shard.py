"""What a shard is: some series of one part in one file, a row a stimulus, the same bytes whoever writes it.

Two formats: Parquet that `datasets` opens with an image column, and a tar that `webdataset` opens. A file appears under
its name only when it is whole; beside it lies a note with its digests. A stimulus whose pixels equal its reference is
none: it gets no row, and the note counts it.
"""

import hashlib
import io
import itertools
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any, Literal

import msgspec
import orjson

from limen import digest as digests
from limen import distortion, files, source
from limen.errors import InputError, MissingExtraError
from limen.image import decode, digest, png
from limen.source import Reference
from limen.stimulus import Series
from limen.study import manifest

COLUMNS = {  # in the words of `datasets`
    "id": "string", "part": "string", "distortion": "string", "distortion_version": "int32", "source": "string",
    "reference": "string", "level": "int32", "strength": "float64", "unit": "string", "image": "image",
    "digest": "string", "licence": "string",
}  # fmt: skip
SUFFIXES = {"parquet": "parquet", "webdataset": "tar"}
_GROUP = 64  # rows written and read at a time: some 30 MB of PNG


@dataclass(frozen=True, slots=True)
class Shard:
    """Series that go into one file; a recipe that can be sent to another process.

    Attributes:
        part: of the data set.
        number, of: its place among the part's shards, from 0.
        references: of its series, in their order.
        distortion: the registered distortion done to them.
        seed: of the random draws.
        format: "parquet" or "webdataset".
        made_with: digest of what else decides the bytes (versions).
    """

    part: str
    number: int
    of: int
    references: tuple[Reference, ...]
    distortion: str
    seed: int
    format: str
    made_with: str

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.part}-{self.number:05d}-of-{self.of:05d}.{SUFFIXES[self.format]}"

    @property
    def series(self) -> tuple[Series, ...]:
        """Its series; the distortion is looked up by name, because functions in functions cannot be sent."""
        kind = distortion.find(self.distortion)
        return tuple(Series(reference, kind, self.seed) for reference in self.references)

    @property
    def stimuli(self) -> int:
        """How many at most; references are not counted."""
        return len(self.references) * len(distortion.find(self.distortion).ladder)

    @property
    def plan(self) -> str:
        """Stands for everything that decides the file's bytes."""
        rows = [[one.id, one.reference.name, one.reference.source, licence(one)] for one in self.series]
        strengths = [one.reference.strength for one in self.series]
        return digests.of([self.made_with, self.part, self.number, self.of, self.format, rows, strengths])


class ShardDigests(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What lies beside a shard: its digests.

    Attributes:
        file: the shard's name.
        plan: `Shard.plan`.
        rows, bytes: of the file.
        left_out: stimuli whose pixels equal their reference, which have no row.
        sha256: of the file.
        digest: of the digests of its rows' pixels.
    """

    file: str
    plan: str
    rows: int
    left_out: int
    bytes: int
    sha256: str
    digest: str


class _Part(msgspec.Struct):
    """What the manifest says of a part."""

    stands_in_for: str


class Folder(msgspec.Struct):
    """What the manifest of a folder of shards must say before it is believed."""

    dataset: str
    format: Literal["parquet", "webdataset"]
    parts: dict[str, _Part]
    sources: dict[str, dict[str, Any]]
    shards: dict[Annotated[str, msgspec.Meta(pattern=r"^\w[\w.-]*$")], str]  # names of files, never paths
    digest: str
    limit: int
    seed: int
    stimuli_a_shard: int


@dataclass(frozen=True, slots=True)
class ShardSummary:
    """What a shard was, references and stimuli left out not counted, and what it cost."""

    stimuli: int
    bytes: int
    core_seconds: float


def licence(series: Series) -> str:
    """Return the licence of a series' reference, in words."""
    return series.reference.licence or source.find(series.reference.source).licence or "none stated"


def versions(format: str) -> dict[str, str]:
    """Return the versions of all that has a hand in a shard's bytes.

    Args:
        format: of the shard.
    """
    from PIL import features

    found = manifest.versions("numpy", "pillow", "segno", *(("pyarrow",) if format == "parquet" else ()))
    return found | {name: str(features.version(name)) for name in ("libjpeg_turbo", "freetype2", "zlib_ng")}


def rows(part: str, series: Series, watch: Callable[[], None] = lambda: None) -> Iterator[dict[str, Any]]:
    """Yield one row a level, the reference first; strength is None there. A level of its pixels gives none.

    Args:
        part: of the data set.
        series: whose levels are drawn.
        watch: called with each stimulus drawn, left out or not.

    Raises:
        InputError: the reference is not what it was when it was read.
    """
    kind, reference, at = series.distortion, series.reference, series.open()
    nothing = at(0).digest
    for level in range(len(series) + 1):
        picture = at(level)
        if level:
            watch()
            if picture.digest == nothing:
                continue
        strength = (kind.ladder[level] if reference.strength is None else reference.strength) if level else None
        yield {
            "id": series.id, "part": part, "distortion": kind.name, "distortion_version": kind.version,
            "source": reference.source, "reference": reference.name, "level": level, "strength": strength,
            "unit": kind.ladder.unit, "image": {"bytes": png(picture.pixels), "path": f"{series.id}-{level:03d}.png"},
            "digest": picture.digest, "licence": licence(series),
        }  # fmt: skip


def write(shard: Shard, folder: Path, watch: Callable[[], None] = lambda: None) -> ShardSummary:
    """Make a shard's stimuli and write its file and its note, each whole or not at all.

    Args:
        shard: what to write.
        folder: where.
        watch: called with each stimulus drawn, left out or not.

    Raises:
        StoreError: the disk is full, or the folder cannot be written.
    """
    began = time.process_time()
    row_digests: list[str] = []

    def listed() -> Iterator[dict[str, Any]]:
        for row in itertools.chain.from_iterable(rows(shard.part, series, watch) for series in shard.series):
            row_digests.append(row["digest"])
            yield row

    file = folder / shard.name
    with files.saving(file) as stream:
        _PACK[shard.format](stream, listed())
    size, sha256 = file.stat().st_size, sha256_of(file)
    stimuli = len(row_digests) - len(shard.references)
    equal = shard.stimuli - stimuli
    note = ShardDigests(shard.name, shard.plan, len(row_digests), equal, size, sha256, digests.of(row_digests))
    with files.saving(note_of(file)) as stream:
        stream.write(digests.canonical(msgspec.to_builtins(note)) + b"\n")
    return ShardSummary(stimuli, size, time.process_time() - began)


def note_of(file: Path) -> Path:
    """Return where a shard's note lies."""
    return file.with_suffix(".json")


def left_out(file: Path) -> int:
    """Return how many stimuli a shard that is whole left out, because their pixels equal their reference."""
    return msgspec.json.decode(note_of(file).read_bytes(), type=ShardDigests).left_out


def fault(file: Path, plan: str) -> str:
    """Say what is wrong with a shard and its note, from their bytes; "" if nothing is."""
    if not file.is_file():
        return "is missing"
    try:
        note = msgspec.json.decode(note_of(file).read_bytes(), type=ShardDigests)
    except FileNotFoundError:
        return "has no note beside it"
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return "has a broken note beside it"
    if note.plan != plan or note.file != file.name:
        return "does not match the manifest"
    if file.stat().st_size != note.bytes:
        return f"has {file.stat().st_size:,} bytes instead of {note.bytes:,}"
    return "" if sha256_of(file) == note.sha256 else "has other bytes than were written (SHA-256)"


def pixel_fault(file: Path, samples: int, deep: bool) -> str:
    """Decode some rows of a shard (the same each time) and digest their pixels again; return what is wrong, or "".

    Args:
        file: a shard whose note lies beside it.
        samples: rows to decode, >= 0; all if there are fewer.
        deep: whether to decode every row.
    """
    note = msgspec.json.decode(note_of(file).read_bytes(), type=ShardDigests)
    count, row_digests = max(0, note.rows), list[str]()
    drawn = digests.generator("verify", file.name).choice(count, min(samples, count), replace=False)
    looked = set(drawn.tolist())
    try:
        for number, (wanted, data) in enumerate(unpack(file)):
            row_digests.append(wanted)
            if (deep or number in looked) and digest(decode(data, f"row {number}")) != wanted:
                return f"row {number} shows other pixels than its digest says"
    except (
        InputError,
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RuntimeError,
        tarfile.TarError,
    ) as error:
        return f"cannot be unpacked after row {len(row_digests):,} ({type(error).__name__})"
    if len(row_digests) != note.rows:
        return f"has {len(row_digests):,} rows instead of {note.rows:,}"
    return "" if digests.of(row_digests) == note.digest else "has rows of other digests than its note says"


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def drafts(file: Path) -> list[Path]:
    """Return what builds that were stopped left of a shard and its note."""
    return [draft for written in (file, note_of(file)) for draft in files.drafts(written)]


def _parquet(stream: IO[bytes], content: Iterator[dict[str, Any]]) -> None:
    """Write rows as Parquet; PNG does not get smaller, so nothing is compressed."""
    arrow, parquet = pyarrow()
    schema = _schema(arrow)
    words = [name for name, kind in COLUMNS.items() if kind == "string" and name != "digest"]
    options: dict[str, Any] = {"compression": "none", "use_dictionary": words, "write_page_checksum": True}
    with parquet.ParquetWriter(stream, schema, **options) as writer:
        while group := list(itertools.islice(content, _GROUP)):
            writer.write_table(arrow.Table.from_pylist(group, schema))


def pyarrow() -> tuple[Any, Any]:
    """Return pyarrow and its Parquet module; they are heavy, and an extra."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError("a data set in Parquet", "pyarrow", "parquet") from None
    return pyarrow, parquet


def _schema(arrow: Any) -> Any:
    """Return the schema, with the metadata by which `datasets` knows the column of images."""
    kinds = {"string": arrow.string(), "int32": arrow.int32(), "float64": arrow.float64()}
    kinds["image"] = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    features = {
        name: {"_type": "Image"} if kind == "image" else {"dtype": kind, "_type": "Value"}
        for name, kind in COLUMNS.items()
    }
    metadata = {"huggingface": orjson.dumps({"info": {"features": features}}).decode()}
    return arrow.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()], metadata=metadata)


def _tar(stream: IO[bytes], content: Iterator[dict[str, Any]]) -> None:
    """Write rows as pairs KEY.json, KEY.png; nothing of the writer (time, user) goes into the headers."""
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.USTAR_FORMAT) as tar:
        for row in content:
            image = row.pop("image")
            key = image["path"].removesuffix(".png")
            for suffix, data in (("json", digests.canonical(row)), ("png", image["bytes"])):
                entry = tarfile.TarInfo(f"{key}.{suffix}")
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))


_PACK = {"parquet": _parquet, "webdataset": _tar}


def unpack(file: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each row's digest and PNG bytes."""
    if file.suffix == ".tar":
        with tarfile.open(file, "r|") as tar:
            yield from _pairs(tar.extractfile(entry).read() for entry in tar)  # type: ignore[union-attr]
        return
    _, parquet = pyarrow()
    with parquet.ParquetFile(file) as opened:
        for group in opened.iter_batches(_GROUP, columns=["digest", "image"]):
            for row in group.to_pylist():
                yield row["digest"], row["image"]["bytes"]


def _pairs(content: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    entries = iter(content)
    for about, data in zip(entries, entries, strict=True):
        yield orjson.loads(about)["digest"], data


def card(about: Mapping[str, Any]) -> str:
    """Return the page beside the shards of a manifest, whose head tells `datasets` which files belong together."""
    suffix = SUFFIXES[about["format"]]
    head = [f"- config_name: {name}\n  data_files: {name}-*-of-*.{suffix}" for name in about["parts"]]
    other = [name for name, part in about["parts"].items() if part["stands_in_for"]]
    note = f"\nOther photographs stand in for the paper's in: {', '.join(other)}.\n" if other else ""
    counts = [f"| {name} | {part['series']:,} | {part['stimuli']:,} |" for name, part in about["parts"].items()]
    licences = [f"| {name} | {one['licence']} | {one['where']} |" for name, one in about["sources"].items()]
    return "\n".join(
        (
            "---", "configs:", *head, "---", f"# {about['dataset']}, built by limen {about['limen']}", note,
            "| part | series | stimuli planned |", "|---|---|---|", *counts, "",
            "A stimulus whose pixels equal its reference is not written: `left_out` in the notes counts them.", "",
            "Each row carries the licence of its reference; what is made of it is under the same terms.", "",
            "| source | licence | published at |", "|---|---|---|", *licences, "",
            f"Columns: {', '.join(COLUMNS)}. Level 0 is the reference itself.", "",
        )
    )  # fmt: skip
