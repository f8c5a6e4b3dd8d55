"""A run that an older reader steered: read again, reported in plain words, and resumed with what is missing."""

import contextlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from limen.analysis import Analysis, SeriesStatus, analyse
from limen.analysis.trust import trust
from limen.parsing.yes_no import READER_VERSION
from limen.report import Report, headline, tables
from limen.store import Store
from tests.study.test_study import NO, noticing, rms, run, trials
from tests.support.toy import Toy

CUT_OFF = "<seed:think>The second looks softer, so <yes>, there is a noticeable difference. But let me"


@pytest.fixture
def older(tmp_path: Path, photos: Path) -> Path:
    """A run in which reader 1 took the flag inside a thought that never ended, at every level above a threshold."""
    out = tmp_path / "run"
    run(out, Toy(noticing(5.0)), photos, distortions=("blur",))
    rewrite(out, lambda text: CUT_OFF if text.startswith("Yes") else None)
    return out


def rewrite(out: Path, changed: Callable[[str], str | None]) -> None:
    entries = json.loads((out / "manifest.json").read_text())
    assert entries["reader"] == READER_VERSION
    (out / "manifest.json").write_text(json.dumps(entries | {"reader": 1}))
    with contextlib.closing(sqlite3.connect(out / "trials.db")) as file, file:
        for key, text in file.execute("SELECT key, text FROM answer").fetchall():
            if (new := changed(text)) is not None:
                file.execute("UPDATE answer SET text = ? WHERE key = ?", (new, key))


def analysed(out: Path) -> Analysis:
    with Store.open(out) as store:
        return analyse(store)


def test_its_series_are_undetermined_and_the_words_say_what_to_do(older: Path, tmp_path: Path) -> None:
    analysis = analysed(older)
    assert {one.status for one in analysis.outcomes} == {SeriesStatus.UNDETERMINED}
    assert {one.thresholds for one in analysis.outcomes} == {()}
    (row,) = (row for row in analysis.jnds if row.order == 1)
    assert (row.n, row.unfinished, row.undetermined) == (0, 0, len(analysis.outcomes))
    assert f"reader v{READER_VERSION} (v1 steered the run)" in headline.sentence(analysis, trust(analysis, {}))
    told = f"{len(analysis.outcomes)} series undetermined (another reader steered the run: run the study again)"
    assert told in " ".join(tables.first_jnds(analysis).notes)
    with Report.open((older,)) as made:
        made.page(tmp_path / "page.html")
        (data,) = made.data()["runs"]
    assert {one["status"] for one in data["series"]} == {"undetermined"}
    page = (tmp_path / "page.html").read_text()
    assert "v1 steered the run" in page
    assert "run the study again to ask it" in page


def test_a_fit_beside_it_counts_what_it_leaves_out(tmp_path: Path, photos: Path) -> None:
    run(tmp_path / "run", Toy(noticing(5.0)), photos, distortions=("blur",), procedure={"name": "psi"})
    changed = iter([CUT_OFF])
    rewrite(tmp_path / "run", lambda text: next(changed, None) if text.startswith("Yes") else None)
    analysis = analysed(tmp_path / "run")
    assert len(analysis.estimates) == 1
    assert "1 series undetermined (another reader" in " ".join(tables.estimates(analysis).notes)


def test_it_is_resumed_with_the_questions_this_reader_needs(older: Path, photos: Path) -> None:
    before = trials(older)
    again = Toy(lambda query: "<yes> The second is softer." if rms(query) > 5.0 else NO)
    progress = run(older, again, photos, distortions=("blur",))
    assert progress.unfinished == []
    assert progress.asked == sum(again.asked.values()) > 0
    assert [one for one in trials(older) if one in before] == before  # nothing was asked twice, nothing lost
    assert {one[3] for one in trials(older) if one not in before} == {True}  # the paraphrase, where thought was cut
    analysis = analysed(older)
    assert {one.status for one in analysis.outcomes} == {SeriesStatus.COMPLETE}
    assert f"reader v{READER_VERSION};" in headline.sentence(analysis, trust(analysis, {}))


def test_offline_nothing_is_asked_so_the_older_reader_still_steered_it(older: Path, photos: Path) -> None:
    progress = run(older, Toy(noticing(5.0)), photos, distortions=("blur",), offline=True)
    assert progress.asked == 0
    assert {one.kind for one in progress.unfinished} == {"not-recorded"}
    assert {one.status for one in analysed(older).outcomes} == {SeriesStatus.UNDETERMINED}
