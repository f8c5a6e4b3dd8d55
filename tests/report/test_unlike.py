"""A report of runs that have little in common: wordings, floors, exams, procedures, kinds of answers, or nothing."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from limen.cli import run as command
from limen.observer import Observer, Reply
from limen.preflight import exam
from limen.question import Order, Query
from limen.report import Report, files, html, observers
from limen.store import Store
from limen.study import Spec, Study
from limen.trial import Attempt


class Mute(Observer):
    """Answers nothing."""

    name, concurrency = "mute", 4

    def fingerprint(self) -> dict[str, Any]:
        return {"kind": "mute"}

    async def answer(self, query: Query) -> Reply:
        return Reply(None, (Attempt("timeout", "no answer"),))

    async def __aenter__(self) -> "Mute":
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None


SIMULATED = {"name": "simulated", "threshold": 8.0}
UNLIKE: dict[str, dict[str, Any]] = {
    "floored": {"observers": ("demo",), "distortions": ("noise", "qr"), "floor": True},
    "worded": {"questions": ("direct", "direct-implicit"), "distortions": ("noise", "jpeg")},
    "scanned": {"questions": ("direct-implicit",), "procedure": {"name": "scan", "orders": 0}},
    "forced": {"questions": ("odd-one-out-3",), "procedure": {"name": "psi", "guess": 1 / 3}},
    "fitted": {"procedure": {"name": "psi"}},
    "fixed": {"procedure": {"name": "constant"}},
    "chosen": {"questions": ("choice",), "order": Order.SWAPPED},
    "numeric": {"observers": ("vision:watson",)},
    "crowd": {"observers": tuple({"name": f"simulated:{i}", "threshold": 2.0 + i} for i in range(9))},
}


@pytest.fixture(scope="module")
def unlike(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Runs of two crops each, and one run that holds no answer, and one that has no series."""
    folder = tmp_path_factory.mktemp("unlike")
    usual = {"images": ("demo",), "observers": (SIMULATED,), "distortions": ("noise",), "limit": 2, "floor": False}
    for name, changes in UNLIKE.items():
        Study.plan(Spec(**(usual | changes))).run(folder / name, examine=exam.keep if name == "floored" else None)
    plan = Study.plan(Spec(**usual))
    dataclasses.replace(plan, observers=(Mute(),)).run(folder / "mute")
    dataclasses.replace(plan, series=()).run(folder / "empty")
    return [folder / name for name in (*UNLIKE, "mute", "empty")]


def test_all_of_them_make_one_page_numbers_tables_figures_and_a_card(unlike: list[Path], tmp_path: Path) -> None:
    out = ("--out", tmp_path / "page.html", "--embed", 0, "--tables", tmp_path / "t", "--figures", tmp_path / "f")
    assert command([str(item) for item in ("report", *unlike, *out, "--card", tmp_path / "card.png")]) == 0
    numbers = json.loads((tmp_path / "t" / "results.json").read_text())
    assert [run["run"] for run in numbers["runs"]] == [path.name for path in unlike]
    assert all((tmp_path / name).stat().st_size for name in ("page.html", "card.png", "f/first-jnds.svg"))


@pytest.mark.parametrize("swapped", [False, True])
def test_floors_of_runs_with_one_wording_and_with_two(unlike: list[Path], swapped: bool) -> None:
    with Report.open(unlike[1::-1] if swapped else unlike[:2]) as report:
        table = observers.floors(report.runs, report.apart)
        html.grid(table, report.names.short)
    assert table.columns[:3] == ("distortion", "observer", "question")
    assert [row[:3] for row in table.rows] == [("noise", "demo", "direct"), ("qr", "demo", "direct")]
    assert {len(row) for row in table.rows} == {len(table.columns)}


def test_a_run_without_any_series_can_be_reported_alone(unlike: list[Path], tmp_path: Path) -> None:
    for path in unlike[-2:]:
        with Report.open([path]) as report:
            report.page(tmp_path / "page.html", embed=0)
            files.tables(report, tmp_path / "t")
            assert report.sentences


def test_observers_of_one_name_keep_apart_whatever_the_others_are_called(unlike: list[Path]) -> None:
    fitted, fixed = (path for path in unlike if path.name in ("fitted", "fixed"))
    with Report.open([fitted, fixed]) as report:
        assert list(report.all.manifest.observers) == ["simulated (fitted)", "simulated (fixed)"]
        taken = dataclasses.replace(
            report.runs[0].analysis,
            manifest=msgspec.structs.replace(
                report.runs[0].analysis.manifest, observers={"simulated": {}, "simulated (fixed)": {}}
            ),
        )
        again = dataclasses.replace(report, runs=(dataclasses.replace(report.runs[0], analysis=taken), report.runs[1]))
        assert [list(one.manifest.observers) for one in again.apart] == [
            ["simulated (fitted)", "simulated (fixed)"], ["simulated (fixed #2)"],
        ]  # fmt: skip


def test_a_run_is_named_in_the_exam_where_its_observer_is_in_several(unlike: list[Path]) -> None:
    with Report.open([unlike[0], *unlike[3:5]]) as report, Store.open(unlike[0]) as store:
        table = observers.exams(report.runs, report.apart)
        assert exam.kept(store)
    assert [row[:2] for row in table.rows] == [
        ("demo", "passed"), ("simulated (forced)", "not examined"), ("simulated (fitted)", "not examined"),
    ]  # fmt: skip
