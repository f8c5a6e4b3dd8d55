"""Psychometric functions as figures: what is drawn is what was fitted, deterministic, and told apart from bias."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import limen
from limen.analysis import Analysis
from limen.analysis.fitting import FitRow, fit
from limen.curve import Curve
from limen.report import Report, figures, files, psychometric
from limen.report.runs import ShortNames
from limen.statistics.posterior import Placement

CONSTANT = {"name": "constant", "levels": [1, 3, 6, 12, 25]}


def looker(name: str, threshold: float, seed: int = 0, **more: Any) -> dict[str, Any]:
    return {"name": f"simulated:{name}", "threshold": threshold, "slope": 1.0, "seed": seed, **more}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four observers, one of whom sees nothing, at fixed levels."""
    out = tmp_path_factory.mktemp("runs") / "constant"
    several = [looker("a", 5, lapses=0.1), looker("b", 9, 1), looker("c", 12, 2), looker("blind", 500, 3)]
    limen.measure("demo", several, ["noise", "saturation"], procedure=CONSTANT, limit=8, out=out, exam=False)
    return out


@pytest.fixture(scope="module")
def analysis(run: Path) -> Analysis:
    return limen.open(run).analysis


@pytest.fixture(scope="module")
def rows(analysis: Analysis) -> tuple[FitRow, ...]:
    return fit(analysis)


def values(spec: Any, wanted: str) -> list[dict[str, Any]]:
    """Return all data of a figure that have a field."""
    found = []
    if isinstance(spec, dict):
        if isinstance(spec.get("values"), list):
            found += [one for one in spec["values"] if isinstance(one, dict) and wanted in one]
        found += [one for part in spec.values() for one in values(part, wanted)]
    elif isinstance(spec, list):
        found += [one for part in spec for one in values(part, wanted)]
    return found


def test_points_are_the_answers_and_the_curve_is_the_fit(analysis: Analysis, rows: tuple[FitRow, ...]) -> None:
    row = next(row for row in rows if row.observer == "simulated:a" and row.distortion == "noise")
    assert row.points.levels == (1, 3, 6, 12, 25)
    assert row.points.n == (8,) * 5
    assert row.fit is not None
    assert row.fit.curve is not None
    spec = psychometric.singles(analysis, rows)["psychometric-simulated-a-noise"]
    drawn = {mark["level"]: mark for mark in values(spec, "n")}
    assert drawn[6.0]["share"] == pytest.approx(100 * row.points.yes[2] / 8)
    assert drawn[0.0]["n"] == row.alarms.n > 0  # identical pairs
    assert "level 6: " in drawn[6.0]["says"]
    half = values(spec, "base")[0]
    assert half["level"] == row.fit.threshold.median
    middle = (row.fit.guess.median + 1 - row.fit.lapse.median) / 2
    assert half["share"] == pytest.approx(100 * middle, abs=6)  # medians of parameters against the median of curves
    course = [one for one in values(spec, "high") if "says" not in one]
    assert all(one["low"] <= one["share"] <= one["high"] for one in course)


def test_who_sees_nothing_has_a_curve_but_no_t50(analysis: Analysis, rows: tuple[FitRow, ...]) -> None:
    blind = next(row for row in rows if row.observer == "simulated:blind" and row.distortion == "noise")
    assert blind.fit is not None
    assert blind.fit.side is Placement.ABOVE
    spec = psychometric.singles(analysis, (blind,))["psychometric-simulated-blind-noise"]
    assert values(spec, "base") == []
    assert spec["title"]["subtitle"][0].startswith("T50 >25 levels")
    assert max(one["high"] for one in values(spec, "high")) < 60


def test_strengths_stand_above_the_levels_they_belong_to(analysis: Analysis, rows: tuple[FitRow, ...]) -> None:
    spec = psychometric.singles(analysis, rows)["psychometric-simulated-a-saturation"]
    axes = [axis for layer in spec["layer"] if (axis := layer["encoding"].get("x", {}).get("axis"))]
    (above,) = (axis for axis in axes if axis.get("orient") == "top")
    strengths = analysis.manifest.distortions["saturation"].strengths
    for level in above["values"]:
        gain = 100 * (np.interp(level, range(1, 51), strengths) - 1)
        assert f"{1000 * level:.0f}:'{gain:+.0f}'" in above["labelExpr"]
    assert len(above["labelExpr"]) < figures.LONGEST
    assert "level (of 50)" in json.dumps(axes)


def test_three_observers_a_figure_in_their_own_colours(analysis: Analysis, rows: tuple[FitRow, ...]) -> None:
    names = ShortNames(analysis).asked
    drawn = list(psychometric.drawings(analysis, rows, names))
    assert [name for name, _, _ in drawn] == ["psychometric-1", "psychometric-2"]
    assert [label for _, label, _ in drawn] == ["Psychometric functions of a, b, c", "Psychometric functions of blind"]
    last = drawn[1][2](1060)
    assert {one["who"] for one in values(last, "who")} == {"blind"}
    scales = re.findall(r'"range": \["(#[0-9a-f]{6})"\]', json.dumps(last))
    assert set(scales) == {figures.colour(3)}  # as in every other figure
    for width in (1060, 340):
        ElementTree.fromstring(figures.svg(drawn[0][2](width), "curves"))
    assert len(drawn[0][2](1060)["concat"]) == 2  # one panel a distortion


def test_marks_of_many_levels_are_pooled_without_loss() -> None:
    of = Curve(tuple(range(1, 51)), tuple(i // 10 for i in range(50)), (5,) * 50)
    marks = psychometric.pooled(of, 50)
    assert len(marks) <= psychometric.MARKS
    assert sum(share.n for *_, share in marks) == 250
    assert sum(share.k for *_, share in marks) == sum(of.yes)
    assert marks[0][:3] == (1, 5, 3.0)
    few = Curve((2, 40), (1, 3), (4, 4))
    assert [(first, last) for first, last, *_ in psychometric.pooled(few, 50)] == [(2, 2), (40, 40)]


def test_curves_of_few_answers_are_left_out_and_counted(rows: tuple[FitRow, ...]) -> None:
    few = dataclasses.replace(rows[0], points=Curve((1, 2), (1, 2), (9, 9)))
    one = dataclasses.replace(rows[0], points=Curve((4,), (10,), (40,)))
    assert psychometric.drawable([few, one, rows[1]]) == [rows[1]]
    assert f"2 of 3 are not drawn: under {psychometric.FEWEST} answers, or one level." in psychometric.about(
        [few, one, rows[1]]
    )


def test_adaptive_runs_say_that_answers_chose_the_levels(
    analysis: Analysis, rows: tuple[FitRow, ...], tmp_path: Path
) -> None:
    assert "chose the levels" not in psychometric.about(rows)
    skip = limen.measure("demo", looker("a", 6), ["noise"], limit=8, out=tmp_path / "skip", exam=False).analysis
    found = fit(skip)
    assert "The answers chose the levels, so that the marks are biased" in psychometric.about(found)
    (spec,) = psychometric.singles(skip, found).values()
    assert spec["title"]["subtitle"][1].endswith("answers chose the levels")


def test_forced_choices_are_shares_of_right_answers_above_chance(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"questions": "odd-one-out-3", "procedure": CONSTANT, "exam": False, "limit": 6}
    analysis = limen.measure("demo", looker("a", 6), ["noise"], out=tmp_path / "run", **settings).analysis
    (row,) = fit(analysis)
    (spec,) = psychometric.singles(analysis, (row,)).values()
    assert "% correct" in json.dumps(spec)
    chance = next(one for one in values(spec, "says") if "chance" in one["says"])
    assert (chance["share"], chance["says"]) == (pytest.approx(100 / 3), "chance 33.3 %")
    assert not any(mark["same"] for mark in values(spec, "same"))  # no identical pairs
    shares = figures.noticed_shares(analysis, ShortNames(analysis).asked, 760)
    assert "% correct" in json.dumps(shares)
    assert {one["says"] for one in values(shares["spec"], "says")} == {"chance 33.3 %"}


@pytest.mark.usefixtures("drawn_anew")
def test_files_for_a_column_are_named_and_always_the_same(run: Path, tmp_path: Path) -> None:
    with Report.open([run]) as report:
        names = [name for name in report.specifications(760) if name.startswith("psychometric-simulated")]
        written = files.drawings(report, tmp_path)
        first = {file.name: file.read_bytes() for file in written if "simulated-a" in file.name}
    assert len(names) == 8
    assert sorted(first) == [
        f"psychometric-simulated-a-{kind}.{end}" for kind in ("noise", "saturation") for end in ("png", "svg")
    ]
    root = ElementTree.fromstring(first["psychometric-simulated-a-noise.svg"])
    assert 340 <= float(root.attrib["width"]) <= 400  # px: 44.7 of them a centimetre
    with Report.open([run]) as report:
        again = psychometric.singles(report.all, report.statistics.fits)["psychometric-simulated-a-noise"]
    assert figures.on_paper(again).encode() == first["psychometric-simulated-a-noise.svg"]


def test_names_of_files_hold_nothing_that_a_path_could_mean(analysis: Analysis, rows: tuple[FitRow, ...]) -> None:
    strange = [
        dataclasses.replace(rows[0], observer="../../etc/x: y"),
        dataclasses.replace(rows[0], observer="../../etc/x; y"),
    ]
    names = list(psychometric.singles(analysis, strange))
    assert names == ["psychometric-..-..-etc-x-y-noise", "psychometric-..-..-etc-x-y-noise-2"]


def test_the_page_and_its_numbers_have_them(run: Path, tmp_path: Path) -> None:
    with Report.open([run]) as report:
        report.page(tmp_path / "page.html", embed=0)
        told = report.data()["together"]
    content = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert '<h2 id="psychometric">Psychometric functions</h2>' in content
    assert "<summary>2 figures</summary>" in content  # of four observers: folded
    assert "curve" not in told["fits"][0]["fit"]
    assert "points" not in told["fits"][0]
    at = [one for one in told["psychometric"] if (one["observer"], one["distortion"]) == ("simulated:a", "noise")]
    asked = {one["level"]: one["said"]["n"] for one in at if one["said"]["n"]}
    assert asked == {1: 8, 3: 8, 6: 8, 12: 8, 25: 8}
    assert [one["level"] for one in at] == sorted(one["level"] for one in at)
    assert at[-1]["level"] == 50
    assert np.all(np.diff([one["fitted"] for one in at]) > -1e-3)
