"""What the tables and sentences of `limen measure` and `limen fit` say: n, order, rules missed, forced choices."""

from pathlib import Path
from typing import Any

import pytest

import limen
from limen import testing
from limen.analysis import analyse, fitting, trust
from limen.cli import run as command
from limen.report import headline, statistics, tables
from limen.store import Store

PICTURES = {name: testing.photograph(name, 48, 64) for name in "abcdef"}


def measured(observer: Any = "simulated", **settings: Any) -> limen.Run:
    return limen.measure(PICTURES, observer, "blur", exam=False, floor=False, **settings)


def judged(run: limen.Run) -> tuple[str, trust.TrustRow]:
    with Store.open(run.paths[0]) as store:
        (row,) = trust.of_run(run.analysis, store)
        return headline.sentence(run.analysis, (row,)), row


def test_two_draws_of_a_pair_are_not_two_references() -> None:
    run = measured(procedure={"name": "constant", "every": 10, "draws": 2})
    table = tables.curves(run.analysis)
    assert table.rows[0][1] == "6 x 2 draws"
    assert any("in the other order" in note for note in table.notes)
    said, _ = judged(run)
    assert "(n = 6)" in said
    assert "Over 6 references" in said
    once = tables.curves(measured(procedure={"name": "constant", "every": 10}).analysis)
    assert once.rows[0][1] == "6"
    assert not any("in the other order" in note for note in once.notes)


def test_the_sentence_names_the_rules_that_were_missed() -> None:
    said, row = judged(measured({"name": "simulated", "threshold": 200.0}))
    assert row.missed
    assert f"({row.why})" in said


def mute(first: Any, second: Any) -> str:
    return "lorem ipsum"


@pytest.mark.parametrize("name", ["psi", "questplus", "staircase"])
def test_a_procedure_that_fits_keeps_its_table_where_nothing_can_be_read(name: str) -> None:
    run = measured(mute, procedure={"name": name, "trials": 6})
    table = tables.main_table(run.analysis)
    assert table.title == "Fitted thresholds"
    assert [len(line) for line in table.rows] == [len(table.columns)]
    assert not any("count as unnoticed" in note for note in (*table.notes, *tables.first_jnds(run.analysis).notes))
    said, row = judged(run)
    assert "not believed (" in said
    assert row.why in said


def test_forced_choices_are_right_and_have_no_false_alarms() -> None:
    forced = tables.main_table(measured(questions="odd-one-out-3", procedure={"name": "psi", "guess": 1 / 3}).analysis)
    assert not any("yes" in note for note in forced.notes if "T50" in note or "<=" in note)
    assert any("correct at every level asked" in note for note in forced.notes)
    plain = tables.main_table(measured(procedure="psi").analysis)
    assert any("yes at every level asked" in note for note in plain.notes)


def test_a_run_that_fits_says_how_many_references_are_needed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = measured(procedure="psi", out=tmp_path / "psi")
    (row,) = fitting.powers(run.analysis)
    with Store.open(run.paths[0]) as store:
        levels = [one.estimates[0].level for one in analyse(store).outcomes]
    assert row.power.n == len(levels) == 6
    assert row.power.sd > 0
    assert command(["power", str(run.paths[0])]) == 0
    fixed = measured(procedure={"name": "constant", "every": 10}, out=tmp_path / "constant")
    assert command(["power", str(fixed.paths[0])]) == 1
    assert "no fitted T50" in capsys.readouterr().err


def test_both_tables_say_which_t50_is_theirs() -> None:
    run = measured(procedure="psi")
    assert any("references' own T50" in note for note in tables.estimates(run.analysis).notes)
    assert any("population" in note for note in statistics.fits(run.analysis, run.fit()).notes)
