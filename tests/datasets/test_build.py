"""Shards: the same bytes however they come about, opened by the usual libraries; faults are found and mended."""

import errno
import io
import itertools
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

import limen.datasets.shard
from limen import source
from limen.cli import run as command
from limen.datasets import build, vpa_jnd
from limen.datasets.shard import ShardDigests
from limen.datasets.vpa_jnd import PartOnDisk, SourcePlaces
from limen.errors import InputError, MissingExtraError, StoreError
from limen.image import digest, png
from limen.stimulus import Series
from limen.testing import photograph
from tests.datasets.test_vpa_jnd import of_pairs

PARTS = ("blur", "brightness", "mask")
SIZE = 100  # stimuli a shard: two series of 50 levels


def survey(photos: Path, parts: tuple[str, ...] = PARTS) -> tuple[PartOnDisk, ...]:
    return vpa_jnd.survey(vpa_jnd.chosen("vpa-jnd", parts), SourcePlaces({}, (str(photos),)))


def planned(photos: Path, format: str = "parquet") -> build.BuildPlan:
    return build.plan("vpa-jnd", survey(photos), format=format, stimuli=SIZE)


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


# ---- what a shard holds


def check_row(row: dict[str, Any], pixels: Any, series: dict[str, Series]) -> None:
    one = series[row["id"]]
    own = one.open()(row["level"])
    assert np.array_equal(np.asarray(pixels), own.pixels)
    assert row["digest"] == own.digest == digest(np.asarray(pixels))
    assert row["part"] == row["distortion"] == one.distortion.name
    assert row["distortion_version"] == one.distortion.version
    assert row["strength"] == (one.distortion.ladder[row["level"]] if row["level"] else None)
    assert (row["source"], row["reference"], row["unit"]) == ("demo", one.reference.name, one.distortion.ladder.unit)
    assert row["licence"] == source.find("demo").licence != ""


@pytest.fixture(scope="module")
def crops() -> tuple[PartOnDisk, ...]:
    return vpa_jnd.survey(vpa_jnd.chosen("vpa-jnd", ["noise", "jpeg"]), SourcePlaces({}, ("demo",)), limit=2, seed=3)


def test_datasets_opens_parquet(crops: tuple[PartOnDisk, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from datasets import Image, load_dataset

    series = {one.id: one for held in crops for one in held.series}
    build.build(tmp_path / "out", build.plan("vpa-jnd", crops, limit=2, seed=3, stimuli=SIZE))
    for part, levels in (("noise", 50), ("jpeg", 100)):
        found = load_dataset(str(tmp_path / "out"), part, cache_dir=str(tmp_path / "cache"))["train"]
        assert isinstance(found.features["image"], Image)
        assert found.num_rows == 2 * (levels + 1)
        assert sorted(found["level"]) == sorted(2 * [*range(levels + 1)])
        assert set(found["id"]) == {key for key, one in series.items() if one.distortion.name == part}
        for row in found.select(range(0, found.num_rows, 7)):
            check_row(row, row["image"], series)


def test_webdataset_opens_tars(crops: tuple[PartOnDisk, ...], tmp_path: Path) -> None:
    import webdataset

    series = {one.id: one for held in crops for one in held.series}
    plan = build.plan("vpa-jnd", crops, limit=2, seed=3, stimuli=SIZE, format="webdataset")
    build.build(tmp_path / "out", plan)
    files = [str(tmp_path / "out" / shard.name) for shard in plan.shards]
    found = list(webdataset.WebDataset(files, shardshuffle=False).decode("rgb8"))
    assert len(found) == 2 * 51 + 2 * 101
    for sample in found[::7]:
        check_row(sample["json"], sample["png"], series)
    assert build.verify(tmp_path / "out", deep=True) == ()


def test_pairs_keep_their_names_scores_and_licences(tmp_path: Path) -> None:
    from pyarrow import parquet

    for name in "ab":
        (tmp_path / f"{name}.png").write_bytes(png(photograph(name, 48, 64)))
    (tmp_path / "scores.csv").write_text("reference,file,score\na.png,b.png,41.5\n")
    given = SourcePlaces.parse([f"band2k={tmp_path / 'scores.csv'}", of_pairs(tmp_path / "pairs")])
    held = vpa_jnd.survey(vpa_jnd.chosen("vpa-jnd", ["band2k", "spot-the-diff"]), given)
    plan = build.plan("vpa-jnd", held)
    build.build(tmp_path / "out", plan)
    banded, spotted = (parquet.read_table(tmp_path / "out" / shard.name).to_pylist() for shard in plan.shards)
    assert [(row["level"], row["strength"]) for row in banded] == [(0, None), (1, 41.5)]
    assert [row["reference"] for row in spotted] == ["train/1", "train/1", "train/2", "train/2"]
    assert {row["licence"] for row in (*banded, *spotted)} == {"none stated"}
    assert [row["digest"] for row in spotted] == [digest(photograph(name, 48, 64)) for name in ("1", "1_2", "2", "2_2")]


@pytest.mark.parametrize("format", ["parquet", "webdataset"])
def test_a_stimulus_that_equals_its_reference_is_none(
    format: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grey = np.repeat(photograph("grey", 48, 64)[..., :1], 3, axis=2)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(png(photograph("a", 48, 64)))
    (tmp_path / "photos" / "g.png").write_bytes(png(grey))
    given = ["--part", "saturation,noise", "--photographs", str(tmp_path / "photos"), "--format", format]
    line = ["dataset", "build", "vpa-jnd", *given, "--shard-stimuli", "50", "--out"]
    assert command([*line, str(tmp_path / "one")]) == 0
    said = capsys.readouterr().out
    assert "4 shards written" in said
    assert "150 stimuli (50 more look like their reference and were left out: saturation 50)" in said
    notes = {note.name: orjson.loads(note.read_bytes()) for note in sorted((tmp_path / "one").glob("*-of-*.json"))}
    counted = sorted((note["rows"], note["left_out"]) for note in notes.values())
    assert counted == [(1, 50), (51, 0), (51, 0), (51, 0)]
    for note in notes.values():
        found = [wanted for wanted, _ in limen.datasets.shard.unpack(tmp_path / "one" / note["file"])]
        assert len(found) == note["rows"]
        assert found.count(digest(grey)) <= 1
    assert command([*line, str(tmp_path / "two"), "--workers", "2"]) == 0
    for share in ("2/2", "1/2"):
        assert command([*line, str(tmp_path / "jobs"), "--shard", share]) == 0
    assert content(tmp_path / "one") == content(tmp_path / "two") == content(tmp_path / "jobs")
    assert build.verify(tmp_path / "one", deep=True) == ()
    capsys.readouterr()
    assert command([*line, str(tmp_path / "one"), "--json"]) == 0
    again = orjson.loads(capsys.readouterr().out)
    assert (again["written"], again["kept"], again["left_out"]) == (0, 4, {"saturation": 50})


# ---- the same bytes, however they come about


@pytest.mark.slow
def test_neither_workers_nor_jobs_nor_the_order_of_parts_change_a_byte(photos: Path, tmp_path: Path) -> None:
    plan = planned(photos)
    assert len(plan.shards) == 2 * len(PARTS)
    seen: list[tuple[int, int]] = []
    done = build.build(tmp_path / "one", plan, watch=lambda made, of: seen.append((made, of)))
    assert seen == [(k, 600) for k in range(601)]
    assert (done.written, done.kept, done.stimuli) == (6, 0, 600)
    assert done.bytes == sum(len(data) for name, data in content(tmp_path / "one").items() if name.endswith("parquet"))
    again = build.build(tmp_path / "one", plan)
    assert (again.written, again.kept, again.stimuli) == (0, 6, 0)
    seen.clear()
    build.build(tmp_path / "two", plan, workers=2, watch=lambda made, of: seen.append((made, of)))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == ((0, 600), (600, 600))
    assert len({made for made, _ in seen}) > 3
    build.build(tmp_path / "jobs", plan, share=(2, 2))
    assert sum(name.endswith(".parquet") for name in content(tmp_path / "jobs")) == 3
    build.build(tmp_path / "jobs", build.plan("vpa-jnd", survey(photos, PARTS[::-1]), stimuli=SIZE), share=(1, 2))
    assert content(tmp_path / "one") == content(tmp_path / "two") == content(tmp_path / "jobs")
    assert build.verify(tmp_path / "one", deep=True) == ()


def children(process: "subprocess.Popen[bytes]") -> list[str]:
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")  # Linux
    return listed.read_text().split() if listed.exists() else []


@pytest.mark.slow
def test_killed_builds_end_as_an_undisturbed_one(tmp_path: Path) -> None:
    photos, run = tmp_path / "photos", tmp_path / "run"
    photos.mkdir()
    for name in "abcd":
        (photos / f"{name}.png").write_bytes(png(photograph(name, 90, 120)))
    parts = ("brightness", "contrast", "mask")
    plan = build.plan("vpa-jnd", survey(photos, parts), stimuli=50)
    build.build(tmp_path / "calm", plan)
    given = ["--part", ",".join(parts), "--photographs", str(photos), "--shard-stimuli", "50"]
    line = [sys.executable, "-m", "limen", "dataset", "build", "vpa-jnd", *given, "--out", str(run)]
    orphans: list[str] = []
    for kill, workers in ((1, "1"), (3, "2"), (6, "1")):
        before = {*run.glob(".*.part")}
        process = subprocess.Popen([*line, "--workers", workers], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while len([*run.glob("*.parquet")]) < kill or not {*run.glob(".*.part")} - before:
            assert process.poll() is None, "the build ended before it was killed"
            assert time.monotonic() < deadline, "the build hangs"
            time.sleep(0.001)
        orphans += children(process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert len([*run.glob("*.parquet")]) < len(plan.shards)
    deadline = time.monotonic() + 30
    while any(map(_alive, orphans)):
        assert time.monotonic() < deadline, "workers outlive the build that started them"
        time.sleep(0.05)
    left = {fault.file for fault in build.verify(run) if fault.what.startswith("was left by")}
    assert left == {draft.name for draft in run.glob(".*.part")}
    there = len([*run.glob("*.parquet")])
    done = subprocess.run([*line, "--json"], check=True, capture_output=True, text=True)
    assert there - 2 <= orjson.loads(done.stdout)["kept"] <= there  # of the one being written the note may be missing
    assert content(run) == content(tmp_path / "calm")


def _alive(process: str) -> bool:
    try:
        return Path("/proc", process, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# ---- faults


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of photographs, and beside it the shards made of them."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "photos").mkdir()
    for name in "abcd":
        (folder / "photos" / f"{name}.png").write_bytes(png(photograph(name, 64, 80)))
    build.build(folder / "out", planned(folder / "photos"))
    return folder


@pytest.fixture
def built(whole: Path, tmp_path: Path) -> tuple[build.BuildPlan, Path, dict[str, bytes]]:
    """A plan, a copy of the shards it gave, and their content."""
    shutil.copytree(whole / "out", tmp_path / "out")
    return planned(whole / "photos"), tmp_path / "out", content(tmp_path / "out")


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def renote(file: Path) -> None:
    file.with_suffix(".json").write_bytes(file.with_name("mask-00000-of-00002.json").read_bytes())


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut": (cut, "bytes instead of"),
    "flipped": (flip, "SHA-256"),
    "deleted": (Path.unlink, "is missing"),
    "no note": (lambda file: file.with_suffix(".json").unlink(), "has no note"),
    "broken note": (lambda file: cut(file.with_suffix(".json")), "broken note"),
    "another's note": (renote, "does not match the manifest"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_faulty_shard_is_found_and_built_again(
    kind: str, built: tuple[build.BuildPlan, Path, dict[str, bytes]]
) -> None:
    plan, out, before = built
    spoil, said = FAULTS[kind]
    spoil(out / "blur-00001-of-00002.parquet")
    (fault,) = build.verify(out)
    assert fault.file == "blur-00001-of-00002.parquet"
    assert said in fault.what
    done = build.build(out, plan)
    assert (done.written, done.kept) == (1, 5)
    assert content(out) == before


def test_the_manifest_is_held_to_its_digest(built: tuple[build.BuildPlan, Path, dict[str, bytes]]) -> None:
    plan, out, before = built
    manifest = out / "manifest.json"
    about = orjson.loads(manifest.read_bytes())
    about["shards"]["mask-00000-of-00002.parquet"] = "0" * 32
    manifest.write_bytes(orjson.dumps(about))
    assert [str(fault) for fault in build.verify(out)] == [
        "manifest.json: does not match its own digest",
        "mask-00000-of-00002.parquet: does not match the manifest",
    ]
    assert build.build(out, plan).kept == 6
    assert content(out) == before
    cut(manifest)
    with pytest.raises(StoreError, match="build into it again"):
        build.verify(out)
    (out / "README.md").unlink()
    assert build.build(out, plan).kept == 6
    assert content(out) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(shards=["a"]),
        lambda m: m.update(shards={"../outside.parquet": "x"}),
        lambda m: m.update(parts={"mask": None}),
        lambda m: m.update(format="zip"),
        lambda m: m.update(limit="all"),
        lambda m: m.pop("sources"),
    ],
)
def test_a_manifest_of_other_types_is_none(
    built: tuple[build.BuildPlan, Path, dict[str, bytes]], change: Callable[[dict[str, Any]], object]
) -> None:
    file = built[1] / "manifest.json"
    about = orjson.loads(file.read_bytes())
    change(about)
    file.write_bytes(orjson.dumps(about))
    with pytest.raises(StoreError, match="no data set with a readable"):
        build.verify(built[1])


def test_a_shard_that_only_its_note_takes_for_one(built: tuple[build.BuildPlan, Path, dict[str, bytes]]) -> None:
    file = next(built[1].glob("*.parquet"))
    file.write_bytes(b"no shard, whatever the note says")
    note = orjson.loads(file.with_suffix(".json").read_bytes())
    note |= {"bytes": file.stat().st_size, "sha256": limen.datasets.shard.sha256_of(file)}
    file.with_suffix(".json").write_bytes(orjson.dumps(note))
    (found,) = build.verify(built[1], deep=True)
    assert found.what.startswith("cannot be unpacked after row 0")


def test_foreign_files_are_found_and_left_alone(built: tuple[build.BuildPlan, Path, dict[str, bytes]]) -> None:
    plan, out, _ = built
    (out / "blur-00002-of-00003.parquet").write_bytes(b"")
    (fault,) = build.verify(out)
    assert (fault.file, fault.mends) == ("blur-00002-of-00003.parquet", False)
    build.build(out, plan)
    assert build.verify(out) == (fault,)


def test_pixels_are_held_to_their_digests(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = itertools.count()
    monkeypatch.setattr(limen.datasets.shard, "png", lambda pixels: png(pixels ^ np.uint8(next(made) == 80)))
    build.build(tmp_path / "out", planned(photos))
    assert build.verify(tmp_path / "out", samples=0) == ()
    (fault,) = build.verify(tmp_path / "out", deep=True)
    assert str(fault) == "blur-00000-of-00002.parquet: row 80 shows other pixels than its digest says"


def test_rows_are_held_to_the_note(built: tuple[build.BuildPlan, Path, dict[str, bytes]]) -> None:
    _, out, _ = built
    file = out / "mask-00001-of-00002.json"
    note = orjson.loads(file.read_bytes())
    for entry, said in (("rows", "rows instead of"), ("digest", "other digests")):
        file.write_bytes(orjson.dumps(note | {entry: 7 if entry == "rows" else "0" * 32}))
        (fault,) = build.verify(out, samples=1)
        assert said in fault.what
    assert set(note) == set(ShardDigests.__struct_fields__)


# ---- what goes wrong


@pytest.mark.parametrize("format", ["parquet", "webdataset"])
def test_a_full_disk_leaves_no_half_file(
    format: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(photos, format)
    build.build(tmp_path / "calm", plan)

    class Full(io.FileIO):
        def write(self, data: Any) -> int:
            if self.tell() + len(data) > 300_000:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    def opened(file: Path, mode: str, **more: Any) -> Any:
        assert mode == "wb"
        return Full(file, "w")

    with monkeypatch.context() as patch:
        patch.setattr("limen.files.open", opened, raising=False)
        with pytest.raises(StoreError, match="No space left on device.*Free some space"):
            build.build(tmp_path / "out", plan)
    assert set(content(tmp_path / "out")) == {"manifest.json", "README.md"}
    build.build(tmp_path / "out", plan)
    assert content(tmp_path / "out") == content(tmp_path / "calm")


def test_another_plan_in_the_folder_is_refused_by_name(
    built: tuple[build.BuildPlan, Path, dict[str, bytes]], photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, out, before = built
    with pytest.raises(StoreError, match="stimuli_a_shard was 100 there and is 50 now"):
        build.build(out, build.plan("vpa-jnd", survey(photos), stimuli=50))
    with pytest.raises(StoreError, match="parts.jpeg was not there"):
        build.build(out, build.plan("vpa-jnd", survey(photos, (*PARTS, "jpeg")), stimuli=SIZE))
    (photos / "a.png").write_bytes(png(photograph("other", 64, 80)))
    with pytest.raises(StoreError, match="shards.blur-00000-of-00002.parquet was"):
        build.build(out, planned(photos))
    monkeypatch.setattr(build, "versions", lambda format: {"pillow": "1"})
    with pytest.raises(StoreError, match="versions.pillow was .* and is 1 now"):
        build.build(out, planned(photos))
    assert content(out) == before


def test_what_cannot_be_built_is_said_in_one_line(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(photos)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="is not a folder"):
        build.build(tmp_path / "file", plan)
    with pytest.raises(InputError, match="limen dataset plan vpa-jnd"):
        build.plan("vpa-jnd", vpa_jnd.survey(vpa_jnd.chosen("vpa-jnd", ["blur"]), SourcePlaces({})))
    before = (photos / "d.png").read_bytes()
    (photos / "d.png").write_bytes(png(photograph("other", 64, 80)))
    with pytest.raises(InputError, match="d.png: has other pixels than when it was planned"):
        build.build(tmp_path / "out", plan)
    (photos / "d.png").write_bytes(before)  # of two workers either might be first to complain
    (photos / "a.png").unlink()
    with pytest.raises(StoreError, match="a.png: cannot be read"):  # from a worker
        build.build(tmp_path / "workers", plan, workers=2)
    assert not [file for file in content(tmp_path / "workers") if file.endswith(".part")]
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "README.md").write_text("mine")
    with pytest.raises(InputError):
        build.build(tmp_path / "page", plan)
    assert (tmp_path / "page" / "README.md").read_text() == "mine"
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"\.\[parquet\]"):
        build.build(tmp_path / "none", plan)
    assert not (tmp_path / "none").exists()


def test_the_command_line_builds_verifies_and_repairs(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, pairs = tmp_path / "my shards", of_pairs(tmp_path / "pairs")
    given = ["--photographs", str(photos), "--source", pairs, "--part", "spot-the-diff,noise", "--limit", "3"]
    line = ["dataset", "build", "vpa-jnd", *given, "--out", str(out), "--shard-stimuli", "50", "--seed", "5"]
    assert command([*line, "--format", "webdataset", "--json"]) == 0
    done = orjson.loads(capsys.readouterr().out)
    assert (done["written"], done["stimuli"]) == (4, 152)
    assert done["core_seconds"] > 0
    assert command(["dataset", "verify", str(out), "--deep"]) == 0
    assert "4 shards" in capsys.readouterr().out
    before = content(out)
    cut(out / "noise-00002-of-00003.tar")
    assert command(["dataset", "verify", str(out)]) == 1
    said = capsys.readouterr()
    assert said.out.startswith("noise-00002-of-00003.tar: has ")
    assert "PATH" not in said.err
    assert said.err.startswith(
        "Repair: the same build command again, with the --photographs and --source spot-the-diff="
    )
    assert str(photos) not in said.err
    options = shlex.split(said.err.partition("its other words: ")[2])
    assert command(["dataset", "build", *options, "--photographs", str(photos), "--source", pairs]) == 0
    assert content(out) == before
    assert command(["dataset", "verify", str(tmp_path)]) == 1
    assert "holds no data set" in capsys.readouterr().err


def test_a_repair_that_needs_no_path_is_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "my shards"
    line = ["dataset", "build", "vpa-jnd", "--part", "blur", "--photographs", "demo", "--limit", "2", "--out", str(out)]
    assert command(line) == 0
    before = content(out)
    (out / "blur-00000-of-00001.parquet").unlink()
    capsys.readouterr()
    assert command(["dataset", "verify", str(out)]) == 1
    said = capsys.readouterr().err
    assert command(shlex.split(said.removeprefix("Repair: limen "))) == 0
    assert content(out) == before
