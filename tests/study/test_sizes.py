"""Photographs at several sizes in one study: planned once, kept apart, compared photograph by photograph."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

import limen
from limen import source
from limen.analysis import Analysis, Quantile, analyse
from limen.analysis.sizes import differences, sizes
from limen.curve import bootstrap_mean
from limen.errors import InputError, StoreError
from limen.image import Image
from limen.report import Report, headline
from limen.report import sizes as report
from limen.store import Store
from limen.study import Spec, Study
from limen.testing import photograph
from tests.support.toy import Toy

VARIANCES = [(grey / 255) ** 2 for grey in range(1, 21)]  # level k: sd of k grey levels


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six photographs of 128 px, and one of 80 px."""
    folder = tmp_path_factory.mktemp("photos")
    for name in "abcdef":
        Pillow.fromarray(photograph(name, 96, 128)).save(folder / f"{name}.png")
    Pillow.fromarray(photograph("small", 64, 80)).save(folder / "small.png")
    return folder


def keener_of_large_ones(first: Image, second: Image) -> bool:
    """Notices noise of 5 grey levels in a picture of 128 px, of 10 in one of 64."""
    apart = float(np.sqrt(np.mean((first.astype(float) - second) ** 2)))
    return apart > 640 / first.shape[1]


@pytest.fixture(scope="module")
def run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> limen.Run:
    out = tmp_path_factory.mktemp("runs") / "sizes"
    return limen.measure(
        photos, keener_of_large_ones, "noise", ladders={"noise": VARIANCES}, max_side=(128, 64), out=out, exam=False
    )


# --- planning ---


def test_each_photograph_at_each_size_is_a_reference_and_small_ones_stand_once(photos: Path) -> None:
    found = source.collect([photos], max_side=(64, 128)).references
    names = [one.name for one in found]
    assert names[:4] == ["a.png at 64 px", "a.png at 128 px", "b.png at 64 px", "b.png at 128 px"]
    assert names[-2:] == ["small.png at 64 px", "small.png at 80 px"]
    assert [one.side for one in found[-4:]] == [64, 128, 64, 0]
    assert found[0].of == found[1].of == source.collect([photos]).references[0].digest
    whole = source.collect([photos], max_side=(64, 0)).references
    assert [(one.name, one.side) for one in whole[-2:]] == [("small.png at 64 px", 64), ("small.png at 80 px", 0)]
    tiny = source.collect([photos / "small.png"], max_side=(100, 200, 0)).references
    assert [(one.name, one.side) for one in tiny] == [("small.png at 80 px", 0)]


def test_limit_counts_photographs(photos: Path) -> None:
    assert len(source.collect([photos], limit=2, max_side=(64, 128)).references) == 4


def test_sizes_have_the_series_and_draws_of_single_ones(photos: Path) -> None:
    """An answer is about pixels: what a study of one size has asked, one of several can use."""
    both = Study.plan(Spec((str(photos),), ("simulated",), ("noise",), max_side=(64, 128))).series
    alone = Study.plan(Spec((str(photos),), ("simulated",), ("noise",), max_side=64)).series
    assert {one.id for one in alone} == {one.id for one in both if one.reference.side == 64}
    assert {one.key for one in alone} <= {one.key for one in both}


def test_one_number_is_as_it_was(photos: Path, tmp_path: Path) -> None:
    single = source.collect([photos], max_side=64).references
    assert single[0].name == "a.png"
    assert {(one.of, one.side) for one in single} == {("", 0)}
    for side in (64, (64,), (64, 64)):
        spec = Spec((str(photos),), ("simulated",), ("noise",), max_side=side, limit=1)
        dataclasses.replace(Study.plan(spec), observers=(Toy(lambda query: "<no> Same."),)).run(tmp_path / "run")
        with Store.open(tmp_path / "run") as store:
            assert store.manifest["max_side"] == 64
            assert store.measurements("size") == {}
            assert all(one.side is None for one in analyse(store).outcomes)


def test_views_and_sides_that_no_photograph_can_have() -> None:
    view = source.Reference("view", "d", lambda: None, kind=source.ReferenceKind.ANGLE)
    assert list(source.at_sides(view, (64, 128))) == [view]
    with pytest.raises(InputError, match="max_side is 12 px. Give 32 or more"):
        Study.plan(Spec(("demo",), ("simulated",), max_side=(64, 12)))


def test_a_study_file_and_the_command_line_take_several(photos: Path, tmp_path: Path) -> None:
    from limen.cli.measure import _changes
    from limen.study import load

    file = tmp_path / "study.toml"
    file.write_text(f'images = ["{photos}"]\nobservers = ["simulated"]\nmax_side = [128, 64, 128]\n')
    assert load(file).sides == (64, 128)
    given = dict.fromkeys(
        (
            "distortion",
            "question",
            "order",
            "paraphrases",
            "limit",
            "seed",
            "look_ahead",
            "megapixels_in_flight",
            "no_identical_pairs",
            "no_keep_references",
            "no_exam",
            "no_floor",
            "procedure",
            "gap",
            "confirm",
            "orders",
            "part",
            "sources",
            "photographs",
            "shard",
        )
    ) | {"options": {}, "images": (), "ask": (), "observer": (), "settings": (), "base_urls": (), "ladders": ()}
    assert load(file, _changes(given | {"max_side": "96,0"})).sides == (96, 0)
    assert load(file, _changes(given | {"max_side": "96"})).max_side == 96


# --- kept, and never mixed ---


def test_sizes_are_in_the_store_and_said(run: limen.Run, photos: Path) -> None:
    assert any("1 of 7 photographs are smaller than 128 px" in line for line in run.notices)
    with Store.open(run.paths[0]) as store:
        assert store.manifest["max_side"] == [64, 128]
        kept = store.measurements("size")
        assert sorted(row["side"] for row in kept.values()) == [0, *[64] * 7, *[128] * 6]
        assert len({row["of"] for row in kept.values()}) == 7
        sentence = headline.sentence(analyse(store), ())
        assert (
            "Over 14 references (each photograph at 64 px a side and 128 px a side, where it is as large)" in sentence
        )
    spec = Spec((str(photos),), ("simulated",), ("noise",), max_side=(64, 100))
    with pytest.raises(StoreError, match=r"max_side was \[64,128\] there and is \[64,100\] now"):
        Study.plan(spec).run(run.paths[0])


def test_sizes_of_one_photograph_are_one_photograph(run: limen.Run) -> None:
    outcomes = run.analysis.outcomes
    assert len({one.photograph for one in outcomes}) == 7
    assert len({one.shown for one in outcomes}) == 14


# --- recovery ---


def test_thresholds_by_size_are_those_of_the_observer(run: limen.Run) -> None:
    found = {row.side: row for row in sizes(run.analysis)}
    assert list(found) == [64, 128, 0]
    assert {side: row.n for side, row in found.items()} == {64: 7, 128: 6, 0: 1}
    for side, grey in ((64, 10), (128, 5)):  # clipping at black and white takes a little of the noise
        assert abs(found[side].median.level - (grey + 1)) <= 1
        strength = found[side].strength
        assert strength is not None
        assert 255 * math.sqrt(strength) == pytest.approx(found[side].median.level)


def test_sizes_are_compared_on_the_same_photographs(run: limen.Run) -> None:
    (row,) = differences(run.analysis)  # own size was not asked for
    assert (row.first, row.second, row.photographs, row.beyond) == (64, 128, 6, 0)
    assert row.told
    assert row.difference.value == pytest.approx(-5, abs=0.6)
    levels: dict[str, dict[Any, int]] = {}
    for one in run.analysis.outcomes:
        levels.setdefault(one.photograph, {})[one.side] = one.thresholds[0].level
    changes = [both[128] - both[64] for both in levels.values() if 128 in both]
    assert row.difference.value == pytest.approx(np.mean(changes))
    assert row.difference.interval == bootstrap_mean(changes)


def blinded(analysis: Analysis, sides: set[int]) -> Analysis:
    """Return an analysis in which nothing is noticed of pictures of some sizes."""
    changed = []
    for one in analysis.outcomes:
        none = dataclasses.replace(one.thresholds[0], level=20, censored=True)
        changed.append(dataclasses.replace(one, thresholds=(none,)) if one.side in sides else one)
    return dataclasses.replace(analysis, outcomes=tuple(changed))


def test_what_the_answers_do_not_tell_is_a_question_mark(run: limen.Run) -> None:
    blind = blinded(run.analysis, {64, 128})
    (row,) = differences(blind)
    assert (row.beyond, row.told) == (6, False)
    assert report.compared(blind, [row]).rows[0][-1] == "?"
    few = dataclasses.replace(
        run.analysis,
        outcomes=tuple(one for one in run.analysis.outcomes if one.series.name.startswith(("a", "b", "c", "d."))),
    )
    (row,) = differences(few)
    assert (row.photographs, row.told, row.difference.interval) == (4, False, None)
    assert report.compared(few, [row]).rows[0][-1] == "?"
    half = blinded(run.analysis, {128})
    (row,) = differences(half)
    assert row.told
    assert row.difference.value > 5  # L in place of what lies beyond it
    assert {one.side: one.median for one in sizes(half)}[128] == Quantile(20, censored=True)


def test_fitted_thresholds_are_compared_too(photos: Path, tmp_path: Path) -> None:
    found = limen.measure(
        photos, keener_of_large_ones, "noise", ladders={"noise": VARIANCES}, max_side=(64, 128), out=tmp_path / "psi",
        exam=False, procedure={"name": "psi", "trials": 12},
    ).analysis  # fmt: skip
    (row,) = differences(found)
    assert (row.measure, row.photographs, row.told) == ("T50", 6, True)
    assert row.difference.value == pytest.approx(-5, abs=1.5)
    assert {one.measure for one in sizes(found)} == {"T50"}


# --- shown ---


def test_the_report_has_tables_a_figure_and_numbers(run: limen.Run, tmp_path: Path) -> None:
    with Report.open(run.paths) as made:
        told = json.loads(json.dumps(made.data(), allow_nan=False))["together"]
        assert [row["side"] for row in told["by_size"]] == [64, 128, 0]
        assert told["size_differences"][0]["difference"]["n"] == 6
        made.page(tmp_path / "page.html", embed=0)
        spec = made.drawings["picture-sizes"][2](1060)
    content = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert '<h2 id="picture-sizes">Thresholds against picture size</h2>' in content
    assert "64 px to 128 px" in content
    assert "Each photograph counts once a size" in content  # beside the numbers of the first screen
    table = report.thresholds(run.analysis, sizes(run.analysis))
    assert table.columns[: table.heads] == ("distortion", "size")  # what a narrow terminal repeats
    assert [row[1] for row in table.rows] == ["64 px", "128 px", "own size"]
    marks = spec["concat"][0]["data"]["values"]
    assert [round(one["at"]) for one in marks] == [0, 1]  # own size was not asked for
    assert "at 64 px: median level" in marks[0]["says"]


def test_a_run_of_one_size_has_none_of_it(photos: Path, tmp_path: Path) -> None:
    one = limen.measure(photos, "simulated", "noise", max_side=64, limit=2, out=tmp_path / "run", exam=False)
    assert sizes(one.analysis) == differences(one.analysis) == ()
    with Report.open(one.paths) as made:
        assert "picture-sizes" not in {section.anchor for section in made.sections}
