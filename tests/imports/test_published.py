"""Thresholds that others published: they stand in the tables of JNDs, with where they come from, and as no trial."""

import statistics
from pathlib import Path
from typing import Any

import pytest

from limen.analysis import analyse
from limen.distortion import find
from limen.errors import InputError, StoreError
from limen.image import digest, load
from limen.report import observers
from limen.store import Store
from limen.store.entries import PUBLISHED
from tests.imports.tables import bring, read, write
from tests.support.command import limen as command
from tests.support.photographs import photographs

RATINGS = {
    ("SRC0001.png", "JPEG"): [35, 41, 28, 38],
    ("SRC0002.png", "JPEG"): [60, 40, 50],
    ("SRC0003.png", "BPG"): [30, 31, 33],
}


def ratings(**changed: Any) -> list[dict[str, Any]]:
    """Return the rows of subjective_ratings.csv; the last one changed."""
    rows = [
        {
            "image_id": image, "Compression type": codec, "No. of ratings": len(given),
            "mean": statistics.fmean(given), "std": statistics.stdev(given), "ratings": str(given),
        }
        for (image, codec), given in RATINGS.items()
    ]  # fmt: skip
    return [*rows[:-1], rows[-1] | changed]


def konjnd(folder: Path, **changed: Any) -> Path:
    write(folder / "subjective_ratings.csv", ratings(**changed))
    return folder


def mcl(folder: Path, *files: str) -> Path:
    for number, text in enumerate(files, start=1):
        file = folder / "JND_samples" / f"JND_image_{number:02}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


# --- KonJND-1k ---


def test_konjnd_s_ratings_are_thresholds_on_limens_ladder(tmp_path: Path) -> None:
    """JPEG quality q is level 101 - q: 28, 35, 38, 41 are levels 60, 63, 66, 73; the lower of two medians is 63."""
    lines = bring("konjnd", konjnd(tmp_path / "kon"), tmp_path / "run")
    assert lines[0].startswith("subjective_ratings.csv: 10 thresholds of people about 3 series")
    assert "doi:10.1109/TCSVT.2022.3163860" in lines[1]
    analysis, trials = read(tmp_path / "run")
    assert not trials
    found = {one.series.name: one.thresholds for one in analysis.outcomes}
    assert {name: [one.level for one in of] for name, of in found.items()} == {
        "SRC0001": [63], "SRC0002": [51], "SRC0003": [31],
    }  # fmt: skip
    rows = {one.distortion: one for one in analysis.jnds}
    assert (rows["jpeg"].n, rows["jpeg"].mean, rows["bpg"].n, rows["bpg"].mean) == (2, 57, 1, 31)
    assert analysis.manifest.distortions["jpeg"].ladder == find("jpeg").ladder.digest
    assert all(row.questions == 0 for row in analysis.answers)
    with Store.open(tmp_path / "run") as store:
        assert [row["levels"] for row in store.measurements(PUBLISHED).values() if row["levels"][0] == 60] == [
            [60, 63, 66, 73]
        ]


@pytest.mark.parametrize("pixels", [False, True])
def test_two_files_that_are_one_reference_are_refused_by_both_lines(tmp_path: Path, pixels: bool) -> None:
    first, second = ("SRC0001.png", "SRC0001.bmp") if not pixels else ("SRC0001.png", "SRC0002.png")
    rows = [{"image_id": one, "Compression type": "JPEG", "ratings": "[35, 41]"} for one in (first, second)]
    write(tmp_path / "kon" / "subjective_ratings.csv", rows)
    if pixels:
        made = photographs(tmp_path / "kon" / "source_image", ("SRC0001",), 64, 80) / first
        made.with_name(second).write_bytes(made.read_bytes())
    with pytest.raises(InputError) as caught:
        bring("konjnd", tmp_path / "kon", tmp_path / "run")
    told = "has the picture (" if pixels else "would be called 'SRC0001', as"
    assert f"csv line 3: the reference {second!r} {told}" in str(caught.value)
    assert f" {first!r} in subjective_ratings.csv line 2" in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_two_photographs_of_mcl_jci_that_are_one_are_refused(tmp_path: Path) -> None:
    folder = mcl(tmp_path / "mcl", "63 41", "52")
    (folder / "source_images").mkdir()
    made = photographs(folder / "source_images" / "[BMP]", ("one",), 64, 80) / "one.png"
    for number in ("01", "02"):
        made.with_name(f"ImageJND_SRC{number}.bmp").write_bytes(made.read_bytes())
    with pytest.raises(InputError, match=r"JND_image_02\.txt line 1: .*'ImageJND_SRC01' in JND_image_01\.txt line 1"):
        bring("mcl-jci", folder, tmp_path / "run")


def test_provenance_goes_with_the_run_and_into_its_tables(tmp_path: Path) -> None:
    bring("konjnd", konjnd(tmp_path / "kon"), tmp_path / "run")
    with Store.open(tmp_path / "run") as store:
        analysis = analyse(store)
        (about,) = store.manifest["observers"].values()
    assert about["paper"].startswith("Lin et al. 2022")
    assert about["licence"] == "none stated"
    assert about["file"] == "subjective_ratings.csv"
    assert len(about["sha256"]) == 64
    (line,) = observers.warnings(analysis)
    assert "published:konjnd" in line
    assert "median over people" in line


def test_with_the_photographs_they_are_the_references_of_other_runs(tmp_path: Path) -> None:
    folder = konjnd(tmp_path / "kon")
    photographs(folder / "source_image", ("SRC0001", "SRC0002"), 64, 80)
    lines = bring("konjnd", folder, tmp_path / "run")
    assert lines[2].startswith("1 of 3 references are known by name only")
    with Store.open(tmp_path / "run") as store:
        known = {row.name: row for row in store.series()}
    picture = tmp_path / "kon" / "source_image" / "SRC0001.png"
    assert known["SRC0001"].picture == digest(load(picture))
    measured = ("--images", picture, "--observer", "simulated", "--distortion", "jpeg", "--out", tmp_path / "model")
    assert command("measure", *measured).returncode == 0
    with Store.open(tmp_path / "model") as store:
        assert store.series()[0].id == known["SRC0001"].id


def test_people_and_a_model_stand_in_one_table(tmp_path: Path, photos: Path) -> None:
    bring("konjnd", konjnd(tmp_path / "kon"), tmp_path / "people")
    measured = ("--images", photos, "--observer", "simulated", "--distortion", "jpeg", "--out", tmp_path / "model")
    assert command("measure", *measured).returncode == 0
    done = command("report", tmp_path / "people", tmp_path / "model", "--json")
    assert done.returncode == 0, done.stderr
    assert "published:konjnd" in done.stdout
    page = command("report", tmp_path / "people", tmp_path / "model", "--out", tmp_path / "page.html")
    assert page.returncode == 0, page.stderr
    assert "Lin et al. 2022" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"ratings": "[30, 31, 99]", "mean": 53.3}, "line 4: the rating 99 of BPG is not between 1 and 51"),
        ({"ratings": "[30, 31]"}, "line 4: says 3 ratings and lists 2"),
        ({"ratings": "[30, 31, x]"}, "line 4: ratings .* is no list of whole numbers"),
        ({"ratings": "[]"}, "line 4: holds no rating"),
        ({"mean": 40}, "line 4: says the mean 40, and its ratings have 31.33"),
        ({"mean": "high"}, "line 4: mean cannot be 'high'"),
        ({"Compression type": "WebP"}, "line 4: compression_type cannot be 'WebP'"),
        (
            {"image_id": "SRC0002.png", "Compression type": "JPEG"},
            "line 4: 'SRC0002.png' coded as JPEG is in an earlier",
        ),
    ],
)
def test_ratings_that_do_not_fit_are_named(tmp_path: Path, changed: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=f"subjective_ratings.csv {told}"):
        bring("konjnd", konjnd(tmp_path / "kon", **changed), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_columns_that_a_release_may_add_are_passed_over_and_missing_ones_named(tmp_path: Path) -> None:
    bring("konjnd", konjnd(tmp_path / "kon", notes="?"), tmp_path / "run")
    write(tmp_path / "old" / "subjective_ratings.csv", [{"image_id": "a.png", "ratings": "[3]"}])
    with pytest.raises(InputError, match="line 1: there is no column 'compression_type'"):
        bring("konjnd", tmp_path / "old", tmp_path / "other")


@pytest.mark.parametrize(("kind", "name"), [("konjnd", "subjective_ratings.csv"), ("mcl-jci", "JND_samples")])
def test_a_folder_without_the_table_is_named(tmp_path: Path, kind: str, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=f"there is no {name} in it"):
        bring(kind, tmp_path / "empty", tmp_path / "run")
    with pytest.raises(InputError, match="no such file or folder"):
        bring(kind, tmp_path / "none", tmp_path / "run")


# --- MCL-JCI ---


def test_mcl_jci_s_jnds_are_thresholds_of_each_order(tmp_path: Path) -> None:
    """Three people have 1st JNDs at quality 63, 70, 66, the median 66: level 35; one has a 3rd, so that is beyond."""
    folder = mcl(tmp_path / "mcl", "63 41 22\n70, 50\n[100 66 41]\n", "\ufeff90;60\r\n80;40\r\n")
    lines = bring("mcl-jci", folder, tmp_path / "run")
    assert lines[0].startswith("JND_samples: JNDs in 5 lines of people about 2 series")
    analysis, trials = read(tmp_path / "run")
    assert not trials
    first, second = (one.thresholds for one in sorted(analysis.outcomes, key=lambda one: one.series.name))
    assert [(one.order, one.level, one.censored, one.reference) for one in first] == [
        (1, 35, False, 0), (2, 60, False, 35), (3, 100, True, 60),
    ]  # fmt: skip
    assert [(one.order, one.level, one.censored) for one in second] == [(1, 11, False), (2, 41, False), (3, 100, True)]
    assert [(row.order, row.n, row.mean) for row in analysis.jnds] == [(1, 2, 23), (2, 2, 50.5), (3, 2, 100)]
    assert "mcl-jci" in next(iter(analysis.manifest.observers))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("63 41\n0 5\n", "line 2: 0 is no JPEG quality"),
        ("63 41\n101\n", "line 2: 101 is no JPEG quality"),
        ("63 41\n50 50\n", "line 2: has the quality 50 twice"),
        ("63 41\n50 60 40\n", "line 2: its qualities neither rise nor fall"),
        ("63 41\nsubject 3\n", "line 2: 'subject 3' is no row of JPEG qualities"),
        ("\n\n", "line 1: holds nobody's JNDs"),
    ],
)
def test_lines_that_do_not_fit_are_named(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InputError, match=f"JND_image_01.txt {told}"):
        bring("mcl-jci", mcl(tmp_path / "mcl", text), tmp_path / "run")


def test_a_text_in_another_encoding_and_a_picture_that_is_there_twice(tmp_path: Path) -> None:
    folder = mcl(tmp_path / "mcl", "63 41\n")
    (folder / "JND_samples" / "JND_image_01.txt").write_bytes(b"63 41\n\xff\xfe\n")
    with pytest.raises(InputError, match=r"JND_image_01.txt line 2: is not UTF-8"):
        bring("mcl-jci", folder, tmp_path / "run")
    (folder / "JND_samples" / "JND_image_1.txt").write_text("63\n")
    with pytest.raises(InputError, match="is a second JND_image_01.txt"):
        bring("mcl-jci", folder, tmp_path / "run")


# --- the rows, as they may be edited ---


@pytest.mark.parametrize(
    "changed", [{"levels": [3, 2]}, {"levels": [], "none": 0}, {"levels": [101]}, {"order": 2}, {"levels": ["a"]}]
)
def test_edited_thresholds_are_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    bring("mcl-jci", mcl(tmp_path / "mcl", "63\n"), tmp_path / "run")
    with Store.open(tmp_path / "run") as store:
        (key, row), *_ = store.measurements(PUBLISHED).items()
        manifest = store.manifest
    with Store.create(tmp_path / "run", manifest) as store:
        store.add_measurements(PUBLISHED, {key: row | changed})
    with pytest.raises(StoreError), Store.open(tmp_path / "run") as store:
        analyse(store)
