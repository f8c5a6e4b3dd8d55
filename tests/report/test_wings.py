"""Runs of another wing in the report: their sections, figures and records beside those of observers, or alone."""

import base64
import csv
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from limen.cli import run as command
from limen.errors import InputError
from limen.report import Report, feature_sections, files
from limen.report.feature_screen import FirstScreen
from limen.report.feature_sections import Contribution
from limen.report.format import Table
from limen.report.sections import CaptionedPicture, Section
from limen.store import Store
from limen.testing import photograph
from tests.report.test_report import outline, photographs, spec
from tests.report.test_viewer import scripts

EVIL = "</script><b>=1+1"


def brought(stores: Mapping[str, Store]) -> Contribution:
    """Bring a section with a table, a figure and a picture, from the names of the runs."""
    bars = {"data": {"values": [{"a": 1}]}, "mark": "bar", "encoding": {"x": {"field": "a", "type": "quantitative"}}}
    table = Table("Tolerances", ("run", "score"), tuple((name, "0.5") for name in stores))
    said = FirstScreen("t", "What was asked?", (), ("Kept", EVIL), f"Measured {', '.join(stores)}.")
    one = Section(
        "tolerance", "Tolerance of features", EVIL, (table,), (("tolerance", "Score", lambda width: {**bars}),),
        ((CaptionedPicture("a map", photograph("map", 40, 60)),),), screen=said,
    )  # fmt: skip
    rows = [{"run": name, "said": EVIL[-4:], "score": {"value": 0.5}} for name in stores]
    return Contribution(tuple(f"Measured {name}." for name in stores), (one,), {"t": rows})


@pytest.fixture
def deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of deep features, of which a made-up section tells."""
    monkeypatch.setattr(feature_sections, "contribution", brought)
    about = {"wing": "feature", "created": "2026-01-01T00:00:00", "limen": "0", "git": "", "versions": {"numpy": "2"}}
    with Store.create(tmp_path / "deep", about):
        pass
    return tmp_path / "deep"


@pytest.fixture
def seen(tmp_path: Path) -> Path:
    """A run of an observer of images."""
    from limen.study import Study

    Study.plan(spec(photographs(tmp_path / "in", "a.png", "b.png"), distortions=("blur",))).run(tmp_path / "seen")
    return tmp_path / "seen"


def test_both_wings_stand_in_one_page(deep: Path, seen: Path, tmp_path: Path) -> None:
    assert command(["report", str(seen), str(deep), "--out", str(tmp_path / "r.html")]) == 0
    content = (tmp_path / "r.html").read_text()
    outline(content)
    for text in (
        "Just noticeable differences of simulated", "Tolerance of features", "Measured deep.", "Score.", "a map",
        "&lt;/script&gt;&lt;b&gt;=1+1", "Look for yourself", "from the runs seen, deep.",
    ):  # fmt: skip
        assert text in content
    assert EVIL not in content


def test_another_wing_stands_alone(deep: Path, tmp_path: Path) -> None:
    with Report.open([deep]) as report:
        report.page(tmp_path / "r.html")
        found = report.data()
        written = files.tables(report, tmp_path / "t")
        drawn = files.drawings(report, tmp_path / "f")
        files.card(report, tmp_path / "card.png")
    content = (tmp_path / "r.html").read_text()
    outline(content)
    assert "<h1>How much deep features bear</h1>" in content
    assert "Just noticeable" not in content
    ((attributes, script),) = scripts(content)
    assert attributes == ""
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in content.split("</head>")[0]
    assert found["runs"] == []
    assert found["wings"]["feature"]["t"][0]["score"] == {"value": 0.5}
    assert {file.name for file in drawn} == {"tolerance.svg", "tolerance.png"}
    assert "feature_t.csv" in {file.name for file in written}
    (row,) = csv.DictReader((tmp_path / "t" / "feature_t.csv").open())
    assert row == {"run": "deep", "said": "'=1+1", "score.value": "0.5"}
    json.dumps(found, allow_nan=False)


def test_a_wing_that_this_limen_does_not_know(tmp_path: Path) -> None:
    with Store.create(tmp_path / "run", {"wing": "made-up"}):
        pass
    with pytest.raises(InputError, match="wing 'made-up'.*Report with the limen"), Report.open([tmp_path / "run"]):
        pass


def test_everything_is_worked_out_once(seen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from limen.report import runs, sections

    counts = dict.fromkeys(("analyse", "work_out"), 0)

    def counted(module: object, name: str) -> None:
        before = getattr(module, name)

        def wrapped(*given: object) -> object:
            counts[name] += 1
            return before(*given)

        monkeypatch.setattr(module, name, wrapped)

    counted(runs, "analyse")
    counted(sections, "work_out")
    made = ["--tables", str(tmp_path / "t"), "--figures", str(tmp_path / "f"), "--card", str(tmp_path / "c.png")]
    assert command(["report", str(seen), "--out", str(tmp_path / "r.html"), *made]) == 0
    assert counts == {"analyse": 1, "work_out": 1}
