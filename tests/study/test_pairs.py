"""Pairs of one level: accuracy with its counterpart on identical pairs, and pooled curves over opinion scores."""

import dataclasses
import functools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from limen import digest as digests
from limen import distortion
from limen.analysis import Analysis, SeriesStatus, analyse, fitting, survival
from limen.image import Image, digest
from limen.question import Query
from limen.report import Report, tables
from limen.report import statistics as printed
from limen.source import Reference
from limen.stimulus import Series
from limen.store import Store
from limen.study import Spec, Study
from limen.testing import photograph
from tests.support.toy import Toy

YES, NO = "Yes, there is a noticeable difference.", "No, there is no noticeable difference."


def both(first: Image, second: Image) -> tuple[Image, Image]:
    return first, second


def series(count: int, kind: str = "pair", same: int = -1) -> tuple[Series, ...]:
    """Pairs: the second picture of pair i has i + 1 rows blackened; pair `same` has none."""
    made = []
    for i in range(count):
        first = photograph(str(i), 48, 64)
        second = first.copy()
        if i != same:
            second[: i + 1] = 0
        load = functools.partial(both, first, second)
        name = digests.of([digest(first), digest(second)])
        score = 2.0 * i if kind == "scored pair" else None
        made.append(Reference(f"pair {i}", name, load, kind=kind, strength=score))
    found = distortion.find("spot" if kind == "pair" else "band2k")
    return tuple(Series(reference, found) for reference in made)


def measured(
    out: Path, says: Callable[[Query], str], pairs: tuple[Series, ...], photos: Path, **entries: object
) -> Analysis:
    spec = Spec(images=(str(photos),), observers=("simulated",), distortions=("blur",), **entries)  # type: ignore[arg-type]
    dataclasses.replace(Study.plan(spec), observers=(Toy(says),), series=pairs).run(out)
    with Store.open(out) as store:
        return analyse(store)


def rows(query: Query) -> int:
    first, last = query.pictures
    return int((first.pixels != last.pixels).any(axis=(1, 2)).sum())


def test_always_yes_does_not_win(tmp_path: Path, photos: Path) -> None:
    for name, says, balanced, noticed in (
        ("yes", lambda q: YES, 0.5, 12),
        ("no", lambda q: NO, 0.5, 0),
        ("exact", lambda q: YES if rows(q) else NO, 1.0, 12),
        ("half", lambda q: YES if rows(q) > 6 else NO, 0.75, 6),
    ):
        analysis = measured(tmp_path / name, says, series(12), photos)
        (row,) = survival.accuracy(analysis)
        assert (row.n, row.noticed.k, row.noticed.n) == (12, noticed, 12)
        assert row.left_alone.k == (0 if name == "yes" else 12)
        assert row.balanced == balanced
        (line,) = printed.accuracy(analysis, (row,)).rows
        assert line[-1].startswith(f"{balanced:.2f}")


@pytest.mark.parametrize("procedure", ["skip", "certify", "psi", "constant"])
def test_one_level_is_one_question_under_any_procedure(tmp_path: Path, photos: Path, procedure: str) -> None:
    analysis = measured(tmp_path / "run", lambda q: YES, series(9), photos, procedure={"name": procedure})
    assert {outcome.status for outcome in analysis.outcomes} == {SeriesStatus.COMPLETE}
    assert not analysis.jnds
    assert not analysis.estimates
    assert {r.probe.level for o in analysis.outcomes for r in o.responses} == {0, 1}
    assert fitting.fit(analysis) == ()


def test_a_pair_without_a_difference_is_not_asked_about(tmp_path: Path, photos: Path) -> None:
    analysis = measured(tmp_path / "run", lambda q: YES, series(6, same=2), photos)
    status = {outcome.series.name: outcome.status for outcome in analysis.outcomes}
    assert status["pair 2"] is SeriesStatus.NOT_APPLICABLE
    (row,) = survival.accuracy(analysis)
    assert row.n == 5


def test_scored_pairs_give_one_pooled_curve(tmp_path: Path, photos: Path) -> None:
    rng = np.random.default_rng(0)
    noise = {i: float(rng.logistic(20, 2)) for i in range(1, 48)}
    for sign in (1, -1):
        pairs = series(40, "scored pair")
        pairs = tuple(
            dataclasses.replace(
                one, reference=dataclasses.replace(one.reference, strength=sign * (one.reference.strength or 0.0))
            )
            for one in pairs
        )
        says = lambda q: YES if rows(q) and rows(q) > noise[rows(q)] else NO  # noqa: E731
        analysis = measured(tmp_path / str(sign), says, pairs, photos)
        (row,) = fitting.scored(analysis)
        assert row.n == 40
        assert row.rising is (sign > 0)
        assert row.threshold.interval.low <= sign * 38 <= row.threshold.interval.high
        assert abs(row.threshold.median - sign * 38) < 8
        assert row.threshold.interval.low < row.threshold.median < row.threshold.interval.high
        assert not math.isnan(row.width.median)
        (line,) = printed.scored(analysis, (row,)).rows
        assert ("rises" if sign > 0 else "falls") in line


def test_the_report_shows_accuracy(tmp_path: Path, photos: Path) -> None:
    measured(tmp_path / "run", lambda q: YES, series(6), photos)
    page = tmp_path / "report.html"
    with Report.open((tmp_path / "run",)) as report:
        report.page(page)
    text = page.read_text()
    assert "identical pairs left alone" in text
    assert "looks for no JND" not in text
    with Store.open(tmp_path / "run") as store:
        assert tables.records(analyse(store))["accuracy"][0]["balanced"] == 0.5
