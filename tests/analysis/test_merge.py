"""Runs put together: a distortion that was asked about on unlike ladders is as many distortions."""

import json
from pathlib import Path
from typing import Any

import pytest

import limen
from limen import testing
from limen.analysis import Analysis, analyse
from limen.analysis.fitting import comparisons, fit
from limen.analysis.merge import own_name, together, unlike
from limen.analysis.sittings import shown
from limen.analysis.sizes import sizes
from limen.analysis.survival import satisfied, unnoticed
from limen.cli import run as command
from limen.report import coded_size, images
from limen.report.report import Report
from limen.store import Store
from tests.imports.tables import answers, bring, read, write

PICTURES = {name: testing.photograph(name, 48, 64) for name in "abcdef"}
SHORT = [90, 70, 50, 30, 20, 10, 5]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same photographs and observer on limen's own ladder of 100 levels, and on one of 7."""
    folder = tmp_path_factory.mktemp("ladders")
    for name, given in {"iq": {}, "ladder": {"jpeg": SHORT}}.items():
        measured(folder / name, ["jpeg", "blur"] if name == "iq" else ["jpeg"], ladders=given)
    return [folder / "iq", folder / "ladder"]


def measured(out: Path, distortions: list[str], **settings: Any) -> Path:
    limen.measure(PICTURES, "simulated", distortions, out=out, exam=False, floor=False, **settings)
    return out


def analysed(*paths: Path) -> Analysis:
    found = {}
    for path in paths:
        with Store.open(path) as store:
            found[path.name] = analyse(store)
    return together(found)


def test_limens_own_ladder_keeps_the_name_and_another_gets_its_ends(runs: list[Path]) -> None:
    both, alone = analysed(*runs), [analysed(path) for path in runs]
    assert list(both.manifest.distortions) == ["blur", "jpeg", "jpeg (90 to 5)"]
    assert [len(kind.strengths) for kind in both.manifest.distortions.values()] == [50, 100, 7]
    assert own_name("jpeg (90 to 5)", ("jpeg",)) == own_name("jpeg", ("jpeg",)) == "jpeg"
    assert not list(unlike(alone[0]))
    (said,) = unlike(both)
    assert "jpeg; jpeg (90 to 5)" in said
    for table in (fit, unnoticed, sizes):  # each row as it is of its run alone
        apart = [row for analysis in alone for row in table(analysis)]
        for one, other in zip(apart, table(both), strict=True):
            for name in ("levels", "t50", "curve", "n", "median"):
                assert repr(getattr(one, name, None)) == repr(getattr(other, name, None))


def test_levels_of_unlike_ladders_are_not_compared(runs: list[Path], tmp_path: Path) -> None:
    both = analysed(*runs)
    assert comparisons(both) == ()
    assert satisfied(both) == ()
    weak, strong = ([2, 4, 6, 8, 10], [10, 15, 20, 25, 30])
    paths = [measured(tmp_path / name, ["blur"], ladders={"blur": of}) for name, of in (("a", weak), ("b", strong))]
    unlike_ladders = analysed(*paths)
    assert list(unlike_ladders.manifest.distortions) == ["blur (2 to 10)", "blur (10 to 30)"]
    assert comparisons(unlike_ladders) == ()
    assert len(comparisons(analysed(paths[0], measured(tmp_path / "c", ["blur"], ladders={"blur": weak})))) == 1


def test_ladders_with_the_same_ends_are_numbered(tmp_path: Path) -> None:
    paths = [
        measured(tmp_path / name, ["blur"], ladders={"blur": ladder}, limit=1)
        for name, ladder in {"a": [2, 4, 10], "b": [2, 6, 10], "c": [2, 4, 10]}.items()
    ]
    both = analysed(*paths)
    assert list(both.manifest.distortions) == ["blur (2 to 10)", "blur (2 to 10, #2)"]
    assert [outcome.series.distortion for outcome in both.outcomes] == [
        "blur (2 to 10)", "blur (2 to 10, #2)", "blur (2 to 10)",
    ]  # fmt: skip
    assert own_name("blur (2 to 10, #2)", ("blur",)) == "blur"


def test_a_page_of_both_draws_each_ladder_as_it_was_shown(runs: list[Path], tmp_path: Path) -> None:
    with Report.open(runs) as report:
        rows = {row.distortion: row for row in coded_size.rows(report.runs, report.apart)}
        assert set(rows) == {"jpeg", "jpeg (90 to 5)"}
        values = report.drawings["sizes"][2](1000)["data"]["values"]
        curve = [value for value in values if "who" not in value and value["distortion"].startswith("jpeg (90 to 5)")]
        assert [value["strength"] for value in curve] == SHORT
        renamed = next(o.series for o in report.all.outcomes if o.series.distortion == "jpeg (90 to 5)")
        own = next(o.series for o in report.runs[1].analysis.outcomes if o.series.id == renamed.id)
        store = report.runs[1].store
        assert (images.renderer(store, renamed)(3) == images.renderer(store, own)(3)).all()
        report.page(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "measured on unlike ladders" in page
    assert "jpeg (90 to 5)" in page


@pytest.mark.parametrize("verb", [("fit",), ("fit", "--json"), ("safe",), ("safe", "--json"), ("report", "--json")])
def test_every_command_takes_both(runs: list[Path], verb: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert command([*verb, *map(str, runs)]) == 0
    out = capsys.readouterr().out
    assert "(90 to 5)" in out
    if "--json" in verb:
        json.loads(out)


@pytest.mark.parametrize("files", [("a.csv", "b.csv"), ("t.csv", "t.csv")])
def test_people_of_one_alias_keep_their_own_sittings(tmp_path: Path, files: tuple[str, str]) -> None:
    """An alias is local to a study; of files of one name, keys are the same, too."""
    found: dict[str, Analysis] = {}
    for run, file, begins, time in (("A", files[0], 1.7e9, 500), ("B", files[1], 1.7e9 + 86_400, 3_000)):
        said = answers({("p1", f"r{of}"): ("no", "yes", "yes") for of in range(10)}, reaction_time_ms=time)
        rows = [row | {"at": begins + 3 * place} for place, row in enumerate(said)]
        bring("trials", write(tmp_path / run / file, rows), tmp_path / run / "run")
        found[run], _ = read(tmp_path / run / "run")
    alone = {f"person:p1 ({run})": shown(analysis) for run, analysis in found.items()}
    both = shown(together(found))
    for observer, rows_alone in alone.items():
        mine = [one for one in both if one.outcome.observer == observer]
        assert [one.at for one in mine] == [one.at for one in rows_alone] == list(range(1, 31))
        assert [one.seconds for one in mine] == [one.seconds for one in rows_alone]
        assert {one.sitting for one in mine} == {1}
