"""Importers of published data sets: what they read of layouts as published, what they refuse, how much they touch."""

import csv
import dataclasses
import io
import itertools
import json
import os
import re
import sys
import tarfile
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from limen import digest as digests
from limen import distortion, registry
from limen.analysis import SeriesStatus, analyse
from limen.errors import InputError, MissingExtraError
from limen.image import Image, decode, digest, png
from limen.source import Reference, References, Refusal, collect, find, read
from limen.sources import _cells, _listed, konjnd, webdataset
from limen.store import Store
from limen.study import Spec, Study
from limen.testing import photograph
from tests.support.toy import Toy

# --- data as published, made small ---


def write(file: Path, image: Image) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(png(image))


def jpeg(image: Image, quality: int, tables: list[list[int]] | None = None) -> bytes:
    buffer = io.BytesIO()
    if tables is None:
        Pillow.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    else:
        Pillow.fromarray(image).save(buffer, "JPEG", qtables=tables, subsampling="4:2:0")
    return buffer.getvalue()


def changed(image: Image) -> Image:
    other = image.copy()
    other[8:24, 8:24] = (250, 30, 30)
    return other


def cell(image: Image | bytes | None, path: str | None = None) -> dict[str, Any]:
    """Return a cell as `datasets` writes it."""
    return {"bytes": png(image) if isinstance(image, np.ndarray) else image, "path": path}


HF_IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def hf_metadata(names: Iterable[str]) -> dict[str, str]:
    """Return the note on features that `datasets` puts into a file."""
    return {"huggingface": json.dumps({"info": {"features": {name: {"_type": "Image"} for name in names}}})}


def magicbrush_rows(ids: Iterable[tuple[str, int]]) -> list[dict[str, Any]]:
    rows = []
    for img_id, turn in ids:
        before = photograph(f"{img_id}-{turn}", 48, 64)
        rows.append(
            {
                "img_id": img_id,
                "turn_index": turn,
                "source_img": cell(before, f"{img_id}-input.png"),
                "mask_img": cell(before, f"{img_id}-mask{turn}.png"),
                "instruction": "put a red square on it",
                "target_img": cell(changed(before), f"{img_id}-output{turn}.png"),
            }
        )
    return rows


def write_magicbrush(file: Path, rows: list[dict[str, Any]], group: int = 100, without: str = "") -> None:
    kinds = {
        "img_id": pa.string(), "turn_index": pa.int32(), "source_img": HF_IMAGE, "mask_img": HF_IMAGE,
        "instruction": pa.string(), "target_img": HF_IMAGE,
    }  # fmt: skip
    kinds.pop(without, None)
    schema = pa.schema(list(kinds.items()), metadata=hf_metadata(("source_img", "mask_img", "target_img")))
    file.parent.mkdir(parents=True, exist_ok=True)
    columns = [{name: row[name] for name in kinds} for row in rows]
    pq.write_table(pa.Table.from_pylist(columns, schema=schema), file, row_group_size=group)


def write_images(file: Path, cells: list[Any], column: str = "image", kind: Any = HF_IMAGE, group: int = 100) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({column: pa.array(cells, kind)}), file, row_group_size=group)


def write_tar(file: Path, members: Iterable[tuple[str, bytes] | tarfile.TarInfo]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))


def write_csv(file: Path, header: list[str], rows: list[list[str]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "w", newline="", encoding="utf-8") as text:
        csv.writer(text).writerows([header, *rows])


def names(found: References) -> list[str]:
    return [reference.name for reference in found.references]


def refusals(place: str) -> list[str]:
    return [item.line for item in read(place) if isinstance(item, Refusal)]


def good(place: str) -> list[str]:
    return [item.name for item in read(place) if isinstance(item, Reference)]


# --- KonJND-1k ---


@pytest.fixture
def konjnd_folder(tmp_path: Path) -> Path:
    """Three references: SRC0001 and SRC0004 coded as JPEG, SRC0002 as BPG; and one of the training."""
    folder = tmp_path / "konjnd"
    for number in (4, 1, 2):
        write(folder / f"Study_SRC{number:04}.png", photograph(str(number), 48, 64))
    for number in (1, 4):
        for quality in (1, 30, 100):
            data = jpeg(photograph(str(number), 48, 64), quality)
            (folder / f"Study_SRC{number:04}_JPEG_{quality:03}.jpg").write_bytes(data)
    (folder / "Study_SRC0002_BPG_030.png").write_bytes(png(photograph("bpg", 48, 64)))
    write(folder / "Train_SRC0900.png", photograph("900", 48, 64))
    (folder / "Train_SRC0900_JPEG_001.jpg").write_bytes(jpeg(photograph("900", 48, 64), 73))
    return folder


def test_konjnd_gives_the_sources_of_the_study(konjnd_folder: Path) -> None:
    found = collect([f"konjnd={konjnd_folder}"])
    assert names(found) == ["SRC0001", "SRC0002", "SRC0004"]
    assert {(r.kind, r.source) for r in found.references} == {("image", "konjnd")}
    assert found.references[1].digest == digest(photograph("2", 48, 64)) == digest(found.references[1].load())
    assert found.refused == ("1 of KonJND-1k's pictures for training and quiz: Study_ files are the data set.",)


def test_konjnd_jpeg_gives_those_with_coded_files(konjnd_folder: Path) -> None:
    found = collect([f"konjnd-jpeg={konjnd_folder}"])
    assert names(found) == ["SRC0001", "SRC0004"]
    assert len(found.refused) == 1
    odd = konjnd_folder / "Study_SRC0001_JPEG_050.jpg"
    odd.write_bytes(jpeg(photograph("1", 48, 64), 51))
    (konjnd_folder / "Study_SRC0001_JPEG_060.jpg").write_bytes(jpeg(photograph("1", 48, 64), 0, [[7] * 64, [9] * 64]))
    (konjnd_folder / "Study_SRC0004_JPEG_070.jpg").write_bytes(png(photograph("1", 48, 64)))
    found = collect([f"konjnd-jpeg={konjnd_folder}"])
    assert names(found) == ["SRC0001", "SRC0004"]
    told = (
        ("SRC0001_JPEG_050", "of quality 51"),
        ("SRC0001_JPEG_060", "no libjpeg"),
        ("SRC0004_JPEG_070", "not a readable JPEG"),
    )
    for line, (file, wrong) in zip(found.refused[1:], told, strict=True):
        assert line.startswith(f"only the coded file Study_{file}.jpg")  # true behind "left out: "
        assert wrong in line
        assert line.endswith("Its photograph is used.")


def test_a_second_file_of_one_name_is_refused(konjnd_folder: Path) -> None:
    write(konjnd_folder / "again" / "Study_SRC0002.png", photograph("other", 48, 64))
    found = collect([f"konjnd={konjnd_folder}"])
    assert names(found) == ["SRC0001", "SRC0002", "SRC0004"]
    assert any("is a second SRC0002" in line for line in found.refused)


def test_quality_is_read_from_the_tables_and_never_from_the_name(tmp_path: Path) -> None:
    picture, grey = photograph("q", 48, 64), photograph("q", 48, 64)[:, :, 0]
    for quality in range(1, 101):
        for image in (picture, grey):
            file = tmp_path / "Study_SRC0001_JPEG_099.jpg"
            file.write_bytes(jpeg(image, quality))
            assert konjnd.quality(file) == quality


def test_quality_wants_an_exact_match(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    tables = [list(konjnd.scaled(table, 80)) for table in (konjnd._LUMINANCE, konjnd._CHROMINANCE)]
    file.write_bytes(jpeg(photograph("q", 48, 64), 0, tables))
    assert konjnd.quality(file) == 80
    tables[1][63] += 1
    file.write_bytes(jpeg(photograph("q", 48, 64), 0, tables))
    with pytest.raises(InputError, match=r"^a\.jpg: its quantisation tables"):
        konjnd.quality(file)
    file.write_bytes(png(photograph("q", 48, 64)))
    with pytest.raises(InputError, match=r"^a\.jpg: is not a readable JPEG"):
        konjnd.quality(file)
    with pytest.raises(InputError, match=r"^gone\.jpg: is not a readable JPEG"):
        konjnd.quality(tmp_path / "gone.jpg")


def test_our_jpeg_levels_are_the_files_of_that_quality(tmp_path: Path) -> None:
    """A coded file made from the standard's tables at the quality we read is, pixel for pixel, limen's level."""
    image = photograph("levels", 48, 64)
    at = distortion.find("jpeg").render(image, "key")
    for level in (1, 2, 26, 51, 71, 99, 100):
        quality = int(distortion.find("jpeg").ladder[level])
        tables = [list(konjnd.scaled(table, quality)) for table in (konjnd._LUMINANCE, konjnd._CHROMINANCE)]
        file = tmp_path / "Study_SRC0001_JPEG_000.jpg"
        file.write_bytes(jpeg(image, 0, tables))
        assert konjnd.quality(file) == quality == 101 - level
        assert np.array_equal(decode(file.read_bytes()), at(level))


@pytest.mark.parametrize("name", ["konjnd", "konjnd-jpeg", "magicbrush", "spot-the-diff", "band2k", "mcl-jci"])
def test_an_empty_place_says_what_was_expected_and_where_it_is_published(name: str, tmp_path: Path) -> None:
    about = find(name)
    with pytest.raises(InputError) as error:
        collect([f"{name}={tmp_path}"])
    told = str(error.value)
    assert "Expected: " in told
    assert about.where in told
    assert about.where.startswith("https://")
    assert f"licence: {about.licence or 'none stated'}." in told
    assert about.get in told
    assert "\n" not in told


def test_a_place_that_is_not_there_is_said_before_anything_else(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    sources = [one for one in registry.every("source") if not find(one).bare]
    assert len(sources) >= 9
    for place in (*(f"{one}={gone}" for one in sources), f"parquet={gone}#picture", f"webdataset={gone}#png"):
        with pytest.raises(InputError, match=rf"^No file or folder '{re.escape(gone)}'\. Check the path"):
            collect([place])


def test_views_need_embreex_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "embreex", None)
    with pytest.raises(MissingExtraError, match=r"\.\[scene\]"):
        next(find("scene").read(""))


def test_konjnd_jpeg_without_coded_files(tmp_path: Path) -> None:
    write(tmp_path / "Study_SRC0001.png", photograph("1", 48, 64))
    with pytest.raises(InputError, match="of 1 sources none has a _JPEG_ file"):
        collect([f"konjnd-jpeg={tmp_path}"])


# --- MagicBrush ---


def test_magicbrush_gives_pairs_in_order(tmp_path: Path) -> None:
    write_magicbrush(tmp_path / "data" / "train-00000-of-00002.parquet", magicbrush_rows([("9", 1), ("9", 2)]))
    write_magicbrush(tmp_path / "data" / "train-00001-of-00002.parquet", magicbrush_rows([("12", 1)]))
    write_magicbrush(tmp_path / "data" / "dev-00000-of-00001.parquet", magicbrush_rows([("7", 2)]))
    found = collect([f"magicbrush={tmp_path}"])
    assert names(found) == ["dev/7-2", "train/9-1", "train/9-2", "train/12-1"]
    assert found.refused == ()
    for reference in found.references:
        first, second = reference.load()
        image = photograph(reference.name.split("/")[1], 48, 64)
        assert np.array_equal(first, image)
        assert np.array_equal(second, changed(image))
        assert reference.digest == digests.of([digest(first), digest(second)])
        assert (reference.kind, reference.strength, reference.source) == ("pair", None, "magicbrush")
    one = collect([f"magicbrush={tmp_path / 'data' / 'dev-00000-of-00001.parquet'}"])
    assert names(one) == ["dev/7-2"]
    assert one.references[0].digest == found.references[0].digest


def test_magicbrush_refuses_broken_rows_and_goes_on(tmp_path: Path) -> None:
    rows = magicbrush_rows([(str(number), 1) for number in range(9)])
    rows[1]["source_img"] = cell(None, "http://example.org/a.png")
    rows[2]["target_img"] = cell(b"no picture")
    rows[3]["target_img"] = cell(photograph("wide", 48, 80))
    rows[4]["img_id"] = "../../etc/passwd"
    rows[5]["img_id"] = None
    rows[6]["target_img"] = None
    rows[7]["img_id"] = "a..b"
    write_magicbrush(tmp_path / "dev-0.parquet", rows, group=4)
    found = collect([f"magicbrush={tmp_path}"])
    assert names(found) == ["dev/0-1", "dev/8-1"]
    assert len(found.refused) == 7
    told = ["no bytes, and no path is opened", "not an image", "size alone would tell them apart", "is not an id",
            "is not an id", "no bytes", "is not an id"]  # fmt: skip
    for number, (line, part) in enumerate(zip(found.refused, told, strict=True), 1):
        assert part in line
        assert line.endswith(".")
        assert f"row {number}" in line or number == 3


def test_magicbrush_wants_its_columns(tmp_path: Path) -> None:
    write_magicbrush(tmp_path / "dev-0.parquet", magicbrush_rows([("1", 1)]), without="target_img")
    with pytest.raises(InputError, match="has 0 columns named 'target_img'.*CC-BY-4.0"):
        collect([f"magicbrush={tmp_path}"])
    write_magicbrush(tmp_path / "train-0.parquet", magicbrush_rows([("1", 1)]))
    (tmp_path / "train-1.parquet").write_bytes(b"PAR1 no Parquet")
    found = collect([f"magicbrush={tmp_path}"])
    assert names(found) == ["train/1-1"]
    assert [line.split(":")[0] for line in found.refused] == ["dev-0.parquet", "train-1.parquet"]
    assert not any(str(tmp_path) in line for line in found.refused)


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_magicbrush(tmp_path / "dev-0.parquet", magicbrush_rows([("1", 1)]))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for name in ("magicbrush", "parquet"):
        with pytest.raises(MissingExtraError, match=r"\.\[parquet\]"):
            collect([f"{name}={tmp_path}"])


def test_a_row_is_read_again_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 200 rows in 20 groups, loading one reads one group of two columns, and keeps none of it."""
    file = tmp_path / "train-0.parquet"
    noise = [digests.generator("test", number).integers(0, 255, (48, 64, 3), np.uint8) for number in range(200)]
    rows = magicbrush_rows([(str(number), 1) for number in range(200)])
    for row, image in zip(rows, noise, strict=True):
        row["source_img"], row["mask_img"] = cell(image), cell(image)
    write_magicbrush(file, rows, group=10)
    reference = collect([f"magicbrush={file}"]).references[137]
    asked: list[tuple[list[int], list[str]]] = []
    original = pq.ParquetFile.iter_batches

    def spy(self: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append((kwargs["row_groups"], kwargs["columns"]))
        return original(self, *args, **kwargs)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", spy)
    before = bytes_read()
    tracemalloc.start()
    first, _ = reference.load()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(first, noise[137])
    assert asked == [([13], ["source_img"]), ([13], ["target_img"])]
    assert peak < file.stat().st_size / 4
    if before is not None:
        assert (bytes_read() or 0) - before < file.stat().st_size / 10


def bytes_read() -> int | None:
    """Return how much this process has read so far, where the system says."""
    file = Path("/proc/self/io")
    return int(file.read_text().split()[1]) if file.exists() else None


# --- Parquet ---


@pytest.mark.parametrize("kind", [HF_IMAGE, pa.binary(), pa.large_binary()], ids=["struct", "binary", "large"])
def test_any_parquet_with_a_column_of_pictures(kind: Any, tmp_path: Path) -> None:
    images = [photograph(str(number), 48, 64) for number in range(5)]
    cells = [cell(image) if kind is HF_IMAGE else png(image) for image in images]
    write_images(tmp_path / "b" / "one.parquet", cells[:3], kind=kind, group=2)
    write_images(tmp_path / "two.parquet", cells[3:], kind=kind)
    found = collect([f"parquet={tmp_path}"])
    assert names(found) == ["b/one.parquet/0", "b/one.parquet/1", "b/one.parquet/2", "two.parquet/0", "two.parquet/1"]
    for reference, image in zip(found.references, images, strict=True):
        assert np.array_equal(reference.load(), image)
        assert reference.digest == digest(image)
        assert reference.kind == "image"


def test_the_column_is_named_behind_the_path(tmp_path: Path) -> None:
    file = tmp_path / "a#b.parquet"
    write_images(file, [cell(photograph("a", 48, 64))], column="picture")
    with pytest.raises(InputError, match="has 0 columns named 'image', among: picture"):
        collect([f"parquet={file}"])
    assert names(collect([f"parquet={file}#picture"])) == ["a#b.parquet/0"]
    write_images(file, [cell(photograph("a", 48, 64))])
    assert names(collect([f"parquet={file}"])) == ["a#b.parquet/0"]
    write_images(tmp_path / "c.parquet", [3, 4], kind=pa.int64())
    with pytest.raises(InputError, match="has a column 'image' of int64"):
        collect([f"parquet={tmp_path / 'c.parquet'}"])


def test_cells_that_cannot_be_used_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cells, "LARGEST_PICTURE", 40_000)
    svg = b"<svg xmlns='http://www.w3.org/2000/svg' width='64' height='64'/>"
    large = cell(digests.generator("large").integers(0, 255, (128, 128, 3), np.uint8))
    cells = [cell(photograph("a", 48, 64)), cell(svg), None, cell(None, "/etc/passwd"), large, cell(b"")]
    write_images(tmp_path / "a.parquet", [*cells, cell(photograph("b", 48, 64))])
    assert good(f"parquet={tmp_path}") == ["a.parquet/0", "a.parquet/6"]
    told = ["not an image", "no bytes", "no bytes", "MB, over", "not an image"]
    for number, (line, part) in enumerate(zip(refusals(f"parquet={tmp_path}"), told, strict=True), 1):
        assert line.startswith(f"a.parquet/{number}: ")
        assert part in line


def test_a_broken_row_group_is_refused_and_the_next_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    write_images(file, [cell(photograph(str(number), 48, 64)) for number in range(6)], group=2)
    data = bytearray(file.read_bytes())
    column = pq.ParquetFile(file).metadata.row_group(1).column(0)
    start = column.dictionary_page_offset or column.data_page_offset
    data[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    file.write_bytes(data)
    assert good(f"parquet={file}") == ["a.parquet/0", "a.parquet/1", "a.parquet/4", "a.parquet/5"]
    (line,) = refusals(f"parquet={file}")
    assert line.startswith("a.parquet row group 1: cannot be read")


def test_a_row_group_too_large_is_refused_from_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_images(tmp_path / "a.parquet", [cell(photograph(str(number), 48, 64)) for number in range(3)], group=2)
    monkeypatch.setattr(_cells, "LARGEST_GROUP", 15_000)
    assert good(f"parquet={tmp_path}") == ["a.parquet/2"]
    assert "row group 0: has 0 GB, over 0" in refusals(f"parquet={tmp_path}")[0]


def test_a_file_that_unpacks_to_much_is_streamed(tmp_path: Path) -> None:
    """A dictionary page makes 120 rows of 1 MB out of one: eight of them are in memory at a time, not all."""
    image = cell(digests.generator("large").integers(0, 255, (580, 580, 3), np.uint8))
    write_images(tmp_path / "a.parquet", [image] * 120, group=120)
    assert (tmp_path / "a.parquet").stat().st_size < 10_000_000
    most = 0
    for _ in zip(_cells.rows("parquet", tmp_path / "a.parquet", "a", ("image",)), range(120), strict=True):
        most = max(most, pa.total_allocated_bytes())
    assert most < 40 * 1_000_000


def test_a_file_that_changed_says_so(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    write_images(file, [cell(photograph(str(number), 48, 64)) for number in range(3)])
    reference = collect([f"parquet={file}"]).references[2]
    write_images(file, [cell(photograph("a", 48, 64))])
    with pytest.raises(InputError, match=r"^a\.parquet: has no row 2 any more"):
        reference.load()
    file.unlink()
    with pytest.raises(InputError, match=r"^a\.parquet: is not a readable Parquet file") as error:
        reference.load()
    assert str(tmp_path) not in str(error.value)


# --- spot-the-diff ---


def spot_folder(folder: Path, rows: dict[str, list[Any]], ids: Iterable[str]) -> Path:
    (folder / "annotations").mkdir(parents=True)
    for split, content in rows.items():
        (folder / "annotations" / f"{split}.json").write_text(json.dumps(content))
    for name in ids:
        image = photograph(name, 48, 64)
        write(folder / "resized_images" / f"{name}.png", image)
        write(folder / "resized_images" / f"{name}_2.png", changed(image))
        (folder / "resized_images" / f"{name}_diff.jpg").write_bytes(jpeg(image, 90))
    return folder


def row(img_id: object) -> dict[str, Any]:
    return {"img_id": img_id, "sentences": ["the red car has left"]}


def test_spot_the_diff_gives_each_pair_once(tmp_path: Path) -> None:
    rows = {"val": [row("7")], "train": [row("400"), row("3"), row("400"), row("3"), row("400")], "test": [row("5")]}
    folder = spot_folder(tmp_path / "data", rows, ("400", "3", "7", "5"))
    for place in (folder, tmp_path):
        found = collect([f"spot-the-diff={place}"])
        assert names(found) == ["train/400", "train/3", "val/7", "test/5"]
        assert found.refused == ("3 repeated rows of train.json: a pair is shown once.",)
        first, second = found.references[0].load()
        assert np.array_equal(first, photograph("400", 48, 64))
        assert np.array_equal(second, changed(first))
        assert found.references[0].digest == digests.of([digest(first), digest(second)])
        assert {r.kind for r in found.references} == {"pair"}


def test_spot_the_diff_refuses_rows_and_goes_on(tmp_path: Path) -> None:
    bad = [row("../400"), row("a/b"), row("http://example.org/1"), row(None), "text", row(True), row("gone")]
    folder = spot_folder(tmp_path, {"train": [row("1"), *bad, row("2"), row("3"), row("2")]}, ("1", "2", "3"))
    write(folder / "resized_images" / "3_2.png", photograph("3", 48, 80))
    write(tmp_path / "400.png", photograph("outside", 48, 64))
    write(tmp_path / "400_2.png", photograph("outside too", 48, 64))
    found = collect([f"spot-the-diff={folder}"])
    assert names(found) == ["train/1", "train/2"]
    lines = list(found.refused)
    assert lines[0] == "1 repeated row of train.json: a pair is shown once."
    assert [line.split(":")[0] for line in lines[1:7]] == [f"train.json row {number}" for number in range(1, 7)]
    assert all("is not an id" in line for line in lines[1:7])
    assert lines[7].startswith("train.json row 7: there is no file 'gone.png'")
    assert "size alone would tell them apart" in lines[8]
    assert len(lines) == 9


def test_spot_the_diff_wants_its_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = spot_folder(tmp_path, {"train": []}, ())
    file = folder / "annotations" / "train.json"
    broken = "is not readable JSON"
    for text, told in (("{", broken), ('{"img_id": 1}', "is not a list of rows"), ("[" * 100_000, broken)):
        file.write_text(text)
        with pytest.raises(InputError, match=f"train.json: {told}"):
            collect([f"spot-the-diff={folder}"])
    monkeypatch.setattr(_listed, "LARGEST_LIST", 1000)
    with pytest.raises(InputError, match="train.json: has 0 MB, over 0"):
        collect([f"spot-the-diff={folder}"])


def test_links_out_of_a_data_set_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "private.png", photograph("private", 48, 64))
    folder = spot_folder(tmp_path / "data", {"train": [row("1"), row("2"), row("4")]}, ("1",))
    for name in ("2.png", "2_2.png"):
        (folder / "resized_images" / name).symlink_to(tmp_path / "private.png")
    (folder / "resized_images" / "4.png").symlink_to(folder / "resized_images" / "1.png")  # stays inside: fine
    (folder / "resized_images" / "4_2.png").symlink_to(folder / "resized_images" / "4_2.png")  # goes round
    found = collect([f"spot-the-diff={folder}"])
    assert names(found) == ["train/1"]
    assert "'2.png' is a link that leaves" in found.refused[0]
    assert "row 2" in found.refused[1]


# --- CSV: BAND-2k, MCL-JCI ---


def test_band2k_gives_scored_pairs(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path / "ref" / f"{name}.png", photograph(name, 48, 64))
        write(tmp_path / "banded" / f"{name} 1.png", changed(photograph(name, 48, 64)))
    rows = [
        [f"ref/{name}.png", f"banded/{name} 1.png", score]
        for name, score in zip("cab", ("47.5", "1.8e0", "-3"), strict=True)
    ]
    write_csv(tmp_path / "scores.csv", [" Reference", "FILE", "codec", "score"], [[*r[:2], "vp9", r[2]] for r in rows])
    for place in (tmp_path, tmp_path / "scores.csv"):
        found = collect([f"band2k={place}"])
        assert names(found) == ["banded/c 1.png", "banded/a 1.png", "banded/b 1.png"]
        assert [r.strength for r in found.references] == [47.5, 1.8, -3.0]
        assert {r.kind for r in found.references} == {"scored pair"}
        assert found.refused == ()
        first, second = found.references[0].load()
        assert np.array_equal(first, photograph("c", 48, 64))
        assert np.array_equal(second, changed(first))


def test_band2k_refuses_rows_and_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for name in "ab":
        write(folder / f"{name}.png", photograph(name, 48, 64))
    write(folder / "small.png", photograph("s", 40, 64))
    write(tmp_path / "outside.png", photograph("o", 48, 64))
    (folder / "a.svg").write_text("<svg/>")
    bad = [
        (["a.png", "http://example.org/b.png", "1"], "is an address"),
        (["s3://bucket/a.png", "b.png", "1"], "is an address"),
        (["file:///etc/a.png", "b.png", "1"], "is an address"),
        (["C:\\a.png", "b.png", "1"], "is an address"),
        ([str(tmp_path / "outside.png"), "b.png", "1"], "leaves the data set's folder"),
        (["../outside.png", "b.png", "1"], "leaves the data set's folder"),
        (["x\\..\\..\\outside.png", "b.png", "1"], "leaves the data set's folder"),
        (["a.svg", "b.png", "1"], "Export it as PNG"),
        (["", "b.png", "1"], "names no file"),
        (["a.png", "gone.png", "1"], "there is no file"),
        (["a.png", "x" * 300 + ".png", "1"], "cannot be read"),
        (["a.png", "b.png", "good"], "not a finite number"),
        (["a.png", "b.png", "nan"], "not a finite number"),
        (["a.png", "b.png", "1_0"], "not a finite number"),
        (["a.png", "b.png"], "has 2 fields, the header 3"),
        (["a.png", "b, or not b.png", "1", "2"], "has 4 fields, the header 3"),
        (["a.png", "y" * 200_000, "1"], "is not CSV"),
        (["a.png", "small.png", "1"], "size alone would tell them apart"),
    ]
    write_csv(folder / "s.csv", ["reference", "file", "score"], [*(r for r, _ in bad), [], ["a.png", "b.png", "2"]])
    found = collect([f"band2k={folder}"])
    assert names(found) == ["b.png"]
    assert len(found.refused) == len(bad)
    for number, (line, (_, told)) in enumerate(zip(found.refused, bad, strict=True), 2):
        assert told in line
        assert line.startswith(f"s.csv line {number}: ") or "size alone" in line
        assert str(tmp_path) not in line or "leaves" in line
        assert len(line) < 300


def test_passwords_in_addresses_are_not_told(tmp_path: Path) -> None:
    write_csv(tmp_path / "s.csv", ["reference", "file", "score"], [["https://me:secret@example.org/a.png", "b", "1"]])
    (line,) = refusals(f"band2k={tmp_path}")
    assert "secret" not in line
    assert "example.org" in line


def test_band2k_wants_one_table_with_its_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_csv(tmp_path / "s.csv", ["reference", "file", "mos"], [["a", "b", "1"]])
    with pytest.raises(InputError, match="column 'score' is there 0 times, in: reference, file, mos. Expected: "):
        collect([f"band2k={tmp_path}"])
    (tmp_path / "s.csv").write_text("reference;file;score\na;b;1\n")
    with pytest.raises(InputError, match="column 'reference' is there 0 times"):
        collect([f"band2k={tmp_path}"])
    write_csv(tmp_path / "s.csv", ["reference", "file", "score", "file"], [])
    with pytest.raises(InputError, match="column 'file' is there 2 times"):
        collect([f"band2k={tmp_path}"])
    write_csv(tmp_path / "s.csv", ["reference", "file", "score"], [])
    with pytest.raises(InputError, match="s.csv has no rows"):
        collect([f"band2k={tmp_path}"])
    monkeypatch.setattr(_listed, "LARGEST_LIST", 10)
    with pytest.raises(InputError, match="s.csv: has 0 MB, over 0"):
        collect([f"band2k={tmp_path}"])
    (tmp_path / "t.csv").write_text("")
    with pytest.raises(InputError, match="there are 2 CSV files in it"):
        collect([f"band2k={tmp_path}"])


def test_a_picture_over_the_limit_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.png", photograph("a", 48, 64))
    write(tmp_path / "b.png", photograph("b", 148, 164))
    write_csv(tmp_path / "s.csv", ["reference"], [["a.png"], ["b.png"]])
    monkeypatch.setattr(_listed, "LARGEST_PICTURE", 20_000)
    assert good(f"mcl-jci={tmp_path / 's.csv'}") == ["a.png"]
    assert "s.csv line 3: 'b.png' has 0 MB, over 0" in refusals(f"mcl-jci={tmp_path / 's.csv'}")[0]


def test_mcl_jci_gives_source_images(tmp_path: Path) -> None:
    for number in (1, 2):
        image = photograph(str(number), 48, 64)
        (tmp_path / "source").mkdir(exist_ok=True)
        Pillow.fromarray(image).save(tmp_path / "source" / f"ImageJND_SRC{number:02}.bmp")
        (tmp_path / "coded").mkdir(exist_ok=True)
        (tmp_path / "coded" / f"ImageJND_SRC{number:02}_026.jpg").write_bytes(jpeg(image, 26))
    found = collect([f"mcl-jci={tmp_path}"])
    assert names(found) == ["source/ImageJND_SRC01.bmp", "source/ImageJND_SRC02.bmp"]
    assert found.refused == ("2 coded versions (like SRC01_026): limen makes its own levels.",)
    assert np.array_equal(found.references[0].load(), photograph("1", 48, 64))
    write_csv(tmp_path / "mine.csv", ["reference"], [["source/ImageJND_SRC02.bmp"], ["../a.png"], ["gone.png"]])
    found = collect([f"mcl-jci={tmp_path / 'mine.csv'}"])
    assert names(found) == ["source/ImageJND_SRC02.bmp"]
    assert [line.split(":")[0] for line in found.refused] == ["mine.csv line 3", "mine.csv line 4"]


field = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20).map(str.strip)


@given(st.lists(st.tuples(field, field, field), max_size=8))
def test_a_table_written_is_the_table_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]]
) -> None:
    file = tmp_path_factory.mktemp("csv") / "t.csv"
    write_csv(file, ["File", "reference", "score"], [list(row) for row in rows])
    read = list(_listed.lines(file, ("reference", "file", "score")))
    assert [
        (line.fields["file"], line.fields["reference"], line.fields["score"])
        if isinstance(line, _listed.CsvRow)
        else line
        for line in read
    ] == rows


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader_of_tables(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("csv")
    (folder / "t.csv").write_bytes(b"reference,file,score\n" + data)
    if not data.strip(b"\r\n"):
        with pytest.raises(InputError, match="has no rows"):
            list(read(f"band2k={folder}"))
        return
    items = list(read(f"band2k={folder}"))
    assert items
    for item in items:
        assert isinstance(item, Refusal)
        item.line.encode()  # can be stored


@given(st.text(max_size=30), st.sampled_from(["", "../", "/", "a/../../", "..\\", "http://", "c:", "./", "in/../"]))
def test_no_name_leads_out_of_the_folder(tmp_path_factory: pytest.TempPathFactory, name: str, prefix: str) -> None:
    folder = tmp_path_factory.mktemp("set")
    write(folder.parent / "out.png", photograph("o", 48, 64))
    write(folder / "in.png", photograph("i", 48, 64))
    for given_name in (prefix + name, prefix + name + "/out.png", prefix + "out.png", prefix + "in.png"):
        try:
            file = _listed.inside(folder, given_name)
        except InputError:
            continue
        assert file.resolve() == (folder / "in.png").resolve()


# --- tar shards ---


def test_webdataset_gives_pictures_of_shards_in_order(tmp_path: Path) -> None:
    def sample(key: str) -> list[tuple[str, bytes]]:
        image = photograph(key, 48, 64)
        return [(f"{key}.json", b"{}"), (f"{key}.png", png(image)), (f"{key}.seg.png", png(changed(image)))]

    write_tar(tmp_path / "b-000001.tar", sample("c"))
    write_tar(tmp_path / "a-000000.tar", [*sample("z"), *sample("sub/y")])
    found = collect([f"webdataset={tmp_path}"])
    assert names(found) == ["a-000000.tar/z.png", "a-000000.tar/sub/y.png", "b-000001.tar/c.png"]
    assert found.refused == ()
    for reference, key in zip(found.references, ("z", "sub/y", "c"), strict=True):
        assert np.array_equal(reference.load(), photograph(key, 48, 64))
        assert reference.digest == digest(photograph(key, 48, 64))
    found = collect([f"webdataset={tmp_path / 'b-000001.tar'}#seg.png"])
    assert names(found) == ["b-000001.tar/c.seg.png"]
    assert np.array_equal(found.references[0].load(), changed(photograph("c", 48, 64)))


def test_webdataset_refuses_members_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webdataset, "LARGEST_PICTURE", 40_000)
    data = png(photograph("a", 48, 64))
    link, hard, device, folder = (tarfile.TarInfo(name) for name in ("l.png", "h.png", "d.png", "folder.png"))
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    hard.type, hard.linkname = tarfile.LNKTYPE, "first.png"
    device.type, folder.type = tarfile.CHRTYPE, tarfile.DIRTYPE
    large = png(digests.generator("large").integers(0, 255, (128, 128, 3), np.uint8))
    write_tar(
        tmp_path / "s.tar",
        [("first.png", data), ("../out.png", data), ("/abs.png", data), ("a/../../b.png", data), link, hard, device,
         folder, ("draw.svg", b"<svg/>"), ("large.png", large), ("broken.jpg", data[:500]), ("no.png", b""),
         ("twin.png", data), ("last.png", png(photograph("z", 48, 64)))],
    )  # fmt: skip
    found = collect([f"webdataset={tmp_path}"])
    assert names(found) == ["s.tar/first.png", "s.tar/last.png"]
    told = (
        ["leaves"] * 3 + ["is a link"] * 3 + ["is SVG", "MB, over", "is broken or cut", "not an image", "same pixels"]
    )
    assert len(found.refused) == len(told)
    for line, part in zip(found.refused, told, strict=True):
        assert line.startswith("s.tar/")
        assert part in line


def test_broken_shards_are_named_and_the_others_read(tmp_path: Path) -> None:
    members = [(f"{number}.png", png(photograph(str(number), 48, 64))) for number in range(4)]
    write_tar(tmp_path / "whole.tar", members[:1])
    write_tar(tmp_path / "cut.tar", members)
    data = (tmp_path / "cut.tar").read_bytes()
    with tarfile.open(tmp_path / "cut.tar") as archive:
        third = archive.getmembers()[2]
    (tmp_path / "cut.tar").write_bytes(data[: third.offset_data + 700])
    (tmp_path / "header.tar").write_bytes(data[: third.offset] + b"?" * 512 + data[third.offset + 512 :])
    (tmp_path / "none.tar").write_bytes(b"hello" * 300)
    (tmp_path / "void.tar").write_bytes(b"")
    with tarfile.open(tmp_path / "zip.tar", "w:gz") as archive:
        archive.add(tmp_path / "whole.tar", "x.png")
    items = list(read(f"webdataset={tmp_path}"))
    assert [item.name for item in items if isinstance(item, Reference)] == [
        "cut.tar/0.png", "cut.tar/1.png", "header.tar/0.png", "header.tar/1.png", "whole.tar/0.png",
    ]  # fmt: skip
    lines = [item.line for item in items if isinstance(item, Refusal)]
    assert [line.split(":")[0] for line in lines] == [
        "cut.tar/2.png", "cut.tar", "header.tar", "none.tar", "void.tar", "zip.tar",
    ]  # fmt: skip
    assert "cut short, 700 of" in lines[0]
    assert "is no member" in lines[2]
    assert not any(str(tmp_path) in line for line in lines)


def test_nothing_in_a_shard_is_an_error_that_names_the_cause(tmp_path: Path) -> None:
    for make, told in (
        (lambda: None, "there is no .tar file"),
        (lambda: (tmp_path / "a.tar").write_bytes(b"x" * 2000), "a.tar: is broken, compressed or no tar"),
    ):
        make()
        with pytest.raises(InputError, match=told):
            collect([f"webdataset={tmp_path}"])


def forged(size: int, name: str) -> bytes:
    """Return an archive whose second member has this size, in base 256 as GNU tar writes unusual numbers."""
    header = bytearray(tarfile.TarInfo(name).tobuf(tarfile.GNU_FORMAT))
    header[124:136] = size.to_bytes(12, "big", signed=True) if size < 0 else b"\x80" + size.to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return tarfile.TarInfo("first.txt").tobuf(tarfile.GNU_FORMAT) + bytes(header) + b"\0" * 4096


@pytest.mark.parametrize("name", ["a.png", "a.txt"])
@pytest.mark.parametrize("size", [-1, -512, -1024, -(2**60), 2**60, 2**80])
def test_a_forged_size_neither_hangs_nor_fills_memory(size: int, name: str, tmp_path: Path) -> None:
    """With -512 the next member lies where this one does, and tarfile alone goes round for ever."""
    (tmp_path / "a.tar").write_bytes(forged(size, name))
    with pytest.raises(InputError, match=r"a\.tar"):
        list(itertools.islice(read(f"webdataset={tmp_path}"), 20))


@given(st.data())
def test_no_damage_to_a_shard_breaks_its_reader(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("tar")
    link = tarfile.TarInfo("l.png")
    link.type, link.linkname = tarfile.SYMTYPE, "x" * 200
    write_tar(folder / "a.tar", [("p" * 150 + "é.png", png(photograph("a", 32, 32))), link, ("b.png", b"")])
    content = bytearray((folder / "a.tar").read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.sampled_from([*range(0, 2100), *range(len(content) - 7000, len(content))]))
        content[at] = data.draw(st.integers(0, 255))
    (folder / "a.tar").write_bytes(content)
    try:
        items = list(read(f"webdataset={folder}"))
    except InputError:
        return
    assert all(isinstance(item, Reference | Refusal) for item in items)


def test_loading_a_member_reads_it_alone(tmp_path: Path) -> None:
    noise = [digests.generator("tar", number).integers(0, 255, (64, 64, 3), np.uint8) for number in range(200)]
    write_tar(tmp_path / "s.tar", [(f"{number}.png", png(image)) for number, image in enumerate(noise)])
    reference = collect([f"webdataset={tmp_path}"]).references[150]
    before = bytes_read()
    tracemalloc.start()
    assert np.array_equal(reference.load(), noise[150])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (tmp_path / "s.tar").stat().st_size / 4
    if before is not None:
        assert (bytes_read() or 0) - before < (tmp_path / "s.tar").stat().st_size / 10
    with tarfile.open(tmp_path / "s.tar", "w"):
        pass
    with pytest.raises(InputError, match="cut short"):
        reference.load()


# --- all of them ---

MAKERS: dict[str, Callable[[Path], object]] = {
    "konjnd": lambda folder: write(folder / "Study_SRC0001.png", photograph("a", 48, 64)),
    "magicbrush": lambda folder: write_magicbrush(folder / "dev-0.parquet", magicbrush_rows([("7", 1), ("7", 2)])),
    "spot-the-diff": lambda folder: spot_folder(folder / "data", {"val": [row("1")]}, ("1",)),
    "parquet": lambda folder: write_images(folder / "a.parquet", [cell(photograph("a", 48, 64))]),
    "webdataset": lambda folder: write_tar(folder / "a.tar", [("a.png", png(photograph("a", 48, 64)))]),
}


@pytest.mark.parametrize("name", MAKERS)
def test_two_readings_agree_and_tell_no_absolute_path(name: str, tmp_path: Path) -> None:
    MAKERS[name](tmp_path)
    first, second = collect([f"{name}={tmp_path}"]), collect([f"{name}={tmp_path}"])
    assert [(r.name, r.digest) for r in first.references] == [(r.name, r.digest) for r in second.references]
    for reference in first.references:
        assert str(tmp_path) not in reference.name
        assert not os.path.isabs(reference.name)


def test_no_importer_loads_pyarrow_before_it_is_needed() -> None:
    import subprocess

    code = "import sys; from limen import registry; registry.every('source'); print('pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# --- through a study ---

YES = "Yes, there is a noticeable difference in content."


def test_a_study_of_edits(tmp_path: Path) -> None:
    """Each pair is a series of one level; who always says yes finds every edit, and sees one where there is none."""
    write_magicbrush(tmp_path / "dev-0.parquet", magicbrush_rows([("7", 1), ("7", 2), ("8", 1)]))
    study = Study.plan(Spec(images=(f"magicbrush={tmp_path}",), observers=("simulated",)))
    assert [(s.distortion.name, len(s), s.reference.name) for s in study.series] == [
        ("spot", 1, "dev/7-1"), ("spot", 1, "dev/7-2"), ("spot", 1, "dev/8-1"),
    ]  # fmt: skip
    shown = study.series[0].open()
    assert np.array_equal(shown(0).pixels, photograph("7-1", 48, 64))
    assert np.array_equal(shown(1).pixels, changed(photograph("7-1", 48, 64)))
    observer = Toy(lambda query: YES)
    progress = dataclasses.replace(study, observers=(observer,)).run(tmp_path / "run")
    assert (progress.done, progress.unfinished) == (3, [])
    assert sum(observer.asked.values()) == 6
    with Store.open(tmp_path / "run") as store:
        analysis = analyse(store)
        asked = {(trial.reference, trial.level) for trial in store.trials()}
        assert store.manifest["sources"] == {
            "magicbrush": {"licence": "CC-BY-4.0", "where": "https://huggingface.co/datasets/osunlp/MagicBrush"}
        }
    assert asked == {(0, 1), (0, 0)}
    assert [outcome.status for outcome in analysis.outcomes] == [SeriesStatus.COMPLETE] * 3
    for outcome in analysis.outcomes:  # one level has no threshold, but an answer
        verdicts = {(one.probe.reference, one.probe.level): one.verdict.yes for one in outcome.responses}
        assert verdicts == {(0, 1): True, (0, 0): True}
    (answers,) = analysis.answers
    assert (answers.false_alarms_clean.value, answers.false_alarms_clean.n) == (1.0, 3)


def test_a_study_of_banded_pairs_keeps_their_scores(tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path / f"{name}.png", photograph(name, 48, 64))
        write(tmp_path / f"{name}_1.png", changed(photograph(name, 48, 64)))
    write_csv(
        tmp_path / "s.csv", ["reference", "file", "score"], [["a.png", "a_1.png", "47.5"], ["b.png", "b_1.png", "3"]]
    )
    study = Study.plan(Spec(images=(f"band2k={tmp_path}",), observers=("simulated",)))
    assert [(s.distortion.name, len(s), s.reference.strength) for s in study.series] == [
        ("band2k", 1, 47.5), ("band2k", 1, 3.0),
    ]  # fmt: skip
    observer = Toy(lambda query: YES)
    dataclasses.replace(study, observers=(observer,)).run(tmp_path / "run")
    with Store.open(tmp_path / "run") as store:
        assert sorted(row.strength for row in store.series()) == [3.0, 47.5]
