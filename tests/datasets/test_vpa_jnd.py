"""Data sets: the published counts close, a part is measured by name, what is missing is explained."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from limen import distortion, registry, source
from limen.cli import run as command
from limen.datasets import vpa_jnd
from limen.datasets.vpa_jnd import PartSize, SourcePlaces
from limen.errors import InputError, UnknownNameError
from limen.image import png
from limen.source import Reference, Refusal
from limen.study import Spec, Study
from limen.testing import photograph


def of_pairs(folder: Path) -> str:
    """Write two pairs of spot-the-diff as it is published; return the place."""
    (folder / "annotations").mkdir(parents=True)
    (folder / "resized_images").mkdir()
    (folder / "annotations" / "train.json").write_bytes(orjson.dumps([{"img_id": i, "sentences": []} for i in "12"]))
    for name in ("1", "1_2", "2", "2_2"):
        (folder / "resized_images" / f"{name}.png").write_bytes(png(photograph(name, 48, 64)))
    return f"spot-the-diff={folder}"


def test_the_counts_close() -> None:
    parts = {part.name: part for part in vpa_jnd.VPA_JND}
    assert vpa_jnd.total((part.pool, part.paper) for part in parts.values()) == PartSize(21_598, 489_065)
    published = {
        ("blur", "brightness", "saturation", "contrast", "noise"): (1_008, 252_000),
        ("jpeg",): (504, 50_400),
        ("band2k",): (2_000, 2_000),
        ("mask", "qr", "text"): (1_008, 151_200),
        ("magicbrush", "spot-the-diff"): (18_390, 23_465),
        ("angle", "distance"): (200, 10_000),
    }
    assert sorted(name for names in published for name in names) == sorted(parts)
    for names, counts in published.items():
        assert vpa_jnd.total((parts[name].pool, parts[name].paper) for name in names) == PartSize(*counts), names
    for part in parts.values():
        assert part.gap or part.public == part.paper
        if part.distortion != "spot":  # a session of edits has as many stimuli as it has edits
            assert part.paper.stimuli == part.paper.references * len(distortion.find(part.distortion).ladder)
        assert source.find(part.source).get
    assert vpa_jnd.total((part.pool, part.public) for part in parts.values()) == PartSize(19_315, 486_264)


def test_a_part_is_measured_by_name_without_files(photos: Path, tmp_path: Path) -> None:
    assert vpa_jnd.places("vpa-jnd:jpeg", ["konjnd=DIR"]) == (("konjnd-jpeg=DIR",), ("jpeg",))
    assert vpa_jnd.places("vpa-jnd:jpeg", ["konjnd=A", "konjnd-jpeg=B"]) == (("konjnd-jpeg=B",), ("jpeg",))
    assert vpa_jnd.places("vpa-jnd:angle", []) == (("scene",), ("angle",))
    assert vpa_jnd.places("vpa-jnd:blur", ["konjnd=DIR"], ["photos"]) == (("konjnd=DIR",), ("blur",))
    for name, sources, photographs in (
        ("blur", [], [str(photos)]),
        ("spot-the-diff", [of_pairs(tmp_path / "pairs")], []),
    ):
        images, distortions = vpa_jnd.places(f"vpa-jnd:{name}", sources, photographs)
        study = Study.plan(Spec(images=images, distortions=distortions, observers=("simulated",)))
        assert len(study.series) == {"blur": 4, "spot-the-diff": 2}[name]


@pytest.mark.parametrize(("name", "flag"), [("jpeg", "konjnd"), ("magicbrush", "magicbrush"), ("band2k", "band2k")])
def test_a_missing_source_is_explained(name: str, flag: str) -> None:
    with pytest.raises(InputError) as raised:
        vpa_jnd.places(f"vpa-jnd:{name}", [])
    about, line = source.find(vpa_jnd.part(f"vpa-jnd:{name}").source), str(raised.value)
    for what in (about.summary, about.where, about.licence or "none stated", about.get, f"--source {flag}=PATH"):
        assert what in line
    assert ("--photographs" in line) == (flag == "konjnd")


def test_names_that_do_not_exist(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'vpa-jnd'"):
        vpa_jnd.find("vpa-jdn")
    with pytest.raises(UnknownNameError, match="Did you mean 'blur'"):
        vpa_jnd.part("vpa-jnd:blurr")
    with pytest.raises(InputError, match="vpa-jnd:jpeg"):
        vpa_jnd.part("jpeg")
    with pytest.raises(UnknownNameError, match="Did you mean 'konjnd'"):
        SourcePlaces.parse(["konjdn=x"])
    with pytest.raises(InputError, match="NAME=PATH"):
        SourcePlaces.parse(["konjnd"])
    with pytest.raises(InputError, match="given twice"):
        SourcePlaces.parse(["konjnd=a", "konjnd=b"])
    build = ["dataset", "build", "vpa-jnd", "--out", str(tmp_path / "out")]
    assert command([*build, "--part", "jpeg,mask"]) == 1
    assert "Published at https://" in capsys.readouterr().err
    for named in ([], ["--part", "blur"]):
        assert command([*build, *named, "--photographs", "demo", "--source", "konjnd=/nowhere"]) == 1
        assert "No file or folder '/nowhere'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["--shard", "3/2"], "1/8"), (["--shard", "half"], "1/8"), (["--shard", "0/2"], "1/8"),
        (["--format", "zip"], "parquet, webdataset"),
    ],
)  # fmt: skip
def test_wrong_options_are_refused_before_anything_is_read(
    wrong: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(vpa_jnd, "survey")
    line = ["dataset", "build", "vpa-jnd", "--part", "blur", "--photographs", "demo", "--out", str(tmp_path / "out")]
    assert command([*line, *wrong]) == 1
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_scenes_without_embreex(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named, they are an error before anything is written; else others are made, and a line says what is missing."""
    monkeypatch.setitem(sys.modules, "embreex", None)
    build = ["dataset", "build", "vpa-jnd", "--photographs", str(photos / "a.png"), "--out", str(tmp_path / "out")]
    assert command([*build, "--part", "blur,angle"]) == 1
    assert ".[scene]" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(vpa_jnd, "DATA_SETS", {"vpa-jnd": vpa_jnd.chosen("vpa-jnd", ["blur", "angle", "distance"])})
    assert command(["dataset", "build", "vpa-jnd", "--out", str(tmp_path / "out")]) == 1  # nothing else to be made
    assert ".[scene]" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert command(build) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("1 shard written, 0 were there: 50 stimuli, ")
    assert "not made: angle, distance: Rendering a scene needs embreex" in shown.err
    assert set(orjson.loads((tmp_path / "out" / "manifest.json").read_bytes())["parts"]) == {"blur"}
    assert command(["dataset", "plan", "vpa-jnd"]) == 0
    assert capsys.readouterr().out.count("needs the extra scene") >= 2


def test_a_bad_place_is_the_reason_of_its_row(
    two_views: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--source", "konjnd=/nope/x", "--source", of_pairs(tmp_path / "pairs")]
    assert command(["dataset", "plan", "vpa-jnd", *given]) == 0
    shown = capsys.readouterr().out
    assert "cannot be read" in shown
    assert "No file or folder '/nope/x'. Check the path." in shown
    assert command(["dataset", "plan", "vpa-jnd", *given, "--json"]) == 0
    parts = {part["name"]: part for part in orjson.loads(capsys.readouterr().out)["parts"]}
    assert parts["blur"]["fault"].startswith("No file or folder '/nope/x'")
    assert parts["blur"]["on_disk"] is None
    assert (parts["spot-the-diff"]["fault"], parts["spot-the-diff"]["on_disk"]["series"]) == ("", 2)
    with pytest.raises(InputError, match="No file or folder '/nope/x'"):
        vpa_jnd.survey(vpa_jnd.chosen("vpa-jnd", ["blur"]), SourcePlaces.parse(["konjnd=/nope/x"]))


@pytest.fixture
def two_views(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the source of scenes give two references without drawing anything."""

    def read(path: str) -> Iterator[Reference | Refusal]:
        for kind in ("angle", "distance"):
            yield Reference(kind, kind * 4, lambda: None, kind)

    source.find("scene")
    monkeypatch.setitem(registry._known["source"], "scene", replace(source.find("scene"), read=read))


def test_the_plan_shows_both_columns_gaps_and_licences(
    two_views: None, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "broken.png").write_bytes(b"no picture")
    given = ["--photographs", str(photos), "--source", of_pairs(tmp_path / "pairs")]
    assert command(["dataset", "plan", "vpa-jnd", *given]) == 0
    shown = capsys.readouterr()
    for text in ("21,598", "489,065", "19,315", "486,264", "not on disk", "CC-BY-4.0", "none stated", "locked archive"):
        assert text in shown.out, text
    assert "Other photographs stand in" in shown.out
    assert shown.err.count("left out: ") == shown.err.count("left out: broken.png") == 1
    assert command(["dataset", "plan", "vpa-jnd", *given, "--json"]) == 0
    data = orjson.loads(capsys.readouterr().out)
    assert data["total"]["paper"] == {"references": 21_598, "stimuli": 489_065}
    parts = {part["name"]: part for part in data["parts"]}
    assert parts["jpeg"]["on_disk"] == {"series": 4, "stimuli": 400}
    assert parts["jpeg"]["other_photographs"]
    assert parts["spot-the-diff"]["on_disk"] == {"series": 2, "stimuli": 2}
    assert parts["magicbrush"]["on_disk"] is None
    assert parts["distance"]["on_disk"] == {"series": 1, "stimuli": 50}
    assert {one["name"] for one in data["sources"]} == {part.source for part in vpa_jnd.VPA_JND} | {"folder"}
    assert next(one["licence"] for one in data["sources"] if one["name"] == "folder") == "the photographs' own"
