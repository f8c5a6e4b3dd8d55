"""Plain CSV files of trials: thresholds worked out by hand, every kind of broken row with its place."""

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as drawn
from hypothesis import strategies as st

import limen
from limen import digest
from limen.analysis.fitting import fit
from limen.distortion import find
from limen.errors import InputError, LimenError, StoreError
from limen.image import Picture
from limen.imports.trials import from_trials
from limen.loop import finish
from limen.observers.recorded import Recorded, RecordedOptions
from limen.participant import is_person
from limen.question import Query
from limen.question import find as find_question
from limen.store import Store
from limen.store.entries import SITTINGS
from tests.imports.tables import COLUMNS, answers, bring, facts, read, write
from tests.support.command import limen as command

TWO = answers(
    {
        ("p01", "a.png"): ("no", "no", "yes", "yes"),
        ("p01", "b.png"): ("no", "yes", "yes", "yes"),
        ("p02", "a.png"): ("no", "no", "no", "yes"),
        ("p02", "b.png"): ("no", "no", "yes", "yes"),
    }
)


def refused(file: Path) -> str:
    run = file.parent / "refused"
    with pytest.raises(InputError) as caught:
        bring("trials", file, run)
    assert not run.exists()
    line = str(caught.value)
    assert "\n" not in line
    return line


def row(**more: Any) -> dict[str, Any]:
    return {"participant": "p01", "reference": "a.png", "level": 1, "answer": "no"} | more


# --- what it becomes ---


@pytest.mark.parametrize("more", [{}, {"draw": 0}])
def test_a_picture_with_two_names_is_refused_by_both_lines(tmp_path: Path, more: dict[str, int]) -> None:
    rows = [row(level=level, picture="ab" * 16, **more) for level in (1, 2)]
    rows += [row(reference="b.png", level=level, picture="ab" * 16, **more) for level in (1, 2)]
    line = refused(write(tmp_path / "t.csv", rows))
    assert line.startswith("t.csv line 4: the reference 'b.png' has the picture (abababab) of 'a.png' in t.csv line 2.")


def test_a_picture_may_have_another_name_under_another_distortion(tmp_path: Path) -> None:
    rows = [row(picture="ab" * 16), row(reference="b.png", picture="ab" * 16, distortion="fog")]
    assert " 2 series" in bring("trials", write(tmp_path / "t.csv", rows), tmp_path / "run")[0]
    assert len(read(tmp_path / "run")[1]) == 2


def test_an_import_that_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, of: int) -> None:
        raise KeyboardInterrupt

    file = write(tmp_path / "t.csv", TWO)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            from_trials(str(file), tmp_path / "runs" / "run", stop)
        assert not list((tmp_path / "runs").iterdir())
    (tmp_path / "runs" / "run").mkdir()  # an empty one is as good as none
    from_trials(str(file), tmp_path / "runs" / "run")
    assert [one.name for one in (tmp_path / "runs").iterdir()] == ["run"]
    assert len(read(tmp_path / "runs" / "run")[1]) == 16


def test_thresholds_are_those_worked_out_by_hand(tmp_path: Path) -> None:
    """Two references at four levels: p01 says yes to 0, 1, 2, 2 of 2, p02 to 0, 0, 1, 2: half yes at 2 and at 3."""
    lines = bring("trials", write(tmp_path / "two.csv", TWO), tmp_path / "run")
    assert lines[0].startswith("two.csv: 16 answers of 2 participants about 2 series.")
    analysis, trials = read(tmp_path / "run")
    curves = {one.observer: one for one in analysis.curves}
    assert set(curves) == {"person:p01", "person:p02"}
    assert curves["person:p01"].curve.yes == (0, 1, 2, 2)
    assert curves["person:p02"].curve.yes == (0, 0, 1, 2)
    assert [curves[f"person:{who}"].half.level for who in ("p01", "p02")] == [2, 3]
    assert all(is_person(about) for about in analysis.manifest.observers.values())
    assert analysis.manifest.procedure["name"] == "constant"
    assert len(trials) == len({trial.key for trial in trials}) == 16
    t50 = {one.observer: one.t50.level for one in fit(analysis)}
    assert t50["person:p01"] < t50["person:p02"]


def test_each_reference_has_a_threshold_that_limen_open_sees(tmp_path: Path) -> None:
    bring("trials", write(tmp_path / "two.csv", TWO), tmp_path / "run")
    run = limen.open(tmp_path / "run")
    assert {outcome.series.name for outcome in run.analysis.outcomes} == {"a.png", "b.png"}
    said = {
        (outcome.observer, outcome.series.name): sum(response.verdict.yes for response in outcome.responses)
        for outcome in run.analysis.outcomes
    }
    assert said["person:p01", "a.png"] == 2
    assert said["person:p02", "a.png"] == 1


def test_an_uneven_design_claims_nothing_of_why_levels_were_asked(tmp_path: Path) -> None:
    bring("trials", write(tmp_path / "t.csv", TWO[:-1]), tmp_path / "run")
    analysis, _ = read(tmp_path / "run")
    assert analysis.manifest.procedure["name"] == "recorded"
    assert not analysis.jnds
    assert {outcome.status.value for outcome in analysis.outcomes} == {"complete"}


def test_levels_that_differ_between_series_give_people_no_midpoint(tmp_path: Path) -> None:
    bring("trials", write(tmp_path / "t.csv", TWO[:-1]), tmp_path / "run")
    analysis, _ = read(tmp_path / "run")
    assert analysis.chosen == ("person:p01", "person:p02")
    found = limen.open(tmp_path / "run").people()
    assert found is not None
    assert [row.value != row.value for row in found.thresholds] == [True]
    assert found.consistency == ()


@pytest.mark.parametrize("turned", [False, True])
def test_a_model_named_as_a_participant_is_no_participant(tmp_path: Path, turned: bool) -> None:
    rows = [row(), row(participant="person:p01", kind="model")]
    told = refused(write(tmp_path / "t.csv", rows[::-1] if turned else rows))
    assert "'person:p01' cannot be a model's name" in told


def test_several_answers_to_one_pair_are_draws_in_their_order(tmp_path: Path) -> None:
    rows = [row(answer=answer) for answer in ("no", "yes", "yes")]
    bring("trials", write(tmp_path / "t.csv", rows), tmp_path / "run")
    analysis, trials = read(tmp_path / "run")
    assert [(trial.draw, trial.answer and trial.answer.text) for trial in trials] == [
        (0, "<no>"), (1, "<yes>"), (2, "<yes>"),
    ]  # fmt: skip
    assert analysis.curves[0].curve.n == (3,)


def test_pairs_above_the_reference_and_identical_ones(tmp_path: Path) -> None:
    rows = [row(level=0), row(level=3, against=3, answer="yes"), row(level=5, against=3, answer="yes"), row(level=5)]
    bring("trials", write(tmp_path / "t.csv", rows), tmp_path / "run")
    analysis, _ = read(tmp_path / "run")
    alarms = analysis.answers[0]
    assert (alarms.false_alarms_clean.k, alarms.false_alarms_clean.n) == (0, 1)
    assert (alarms.false_alarms_distorted.k, alarms.false_alarms_distorted.n) == (1, 1)


def test_strengths_of_limens_ladder_make_it_limens_distortion(tmp_path: Path) -> None:
    own = find("jpeg").ladder
    rows = [row(level=k, distortion="jpeg", strength=own[k], unit=own.unit, answer="yes") for k in (10, 40)]
    bring("trials", write(tmp_path / "t.csv", rows), tmp_path / "run")
    kind = read(tmp_path / "run")[0].manifest.distortions["jpeg"]
    assert (kind.ladder, kind.outside, len(kind.strengths)) == (own.digest, "", 100)
    other = [one | {"strength": one["strength"] + 1} for one in rows]
    other.append(rows[0] | {"level": 0, "strength": 101, "answer": "no"})
    lines = bring("trials", write(tmp_path / "other.csv", other), tmp_path / "other")
    kind = read(tmp_path / "other")[0].manifest.distortions["jpeg"]
    assert kind.outside
    assert (kind.strengths[9], kind.strengths[39]) == (92, 62)
    assert lines[1].startswith("38 levels without a strength")


def test_what_is_known_of_the_showing_is_kept(tmp_path: Path) -> None:
    rows = [
        row(at="2026-05-04T10:00:00Z", session=2, reaction_time_ms=640.5, confidence=0.25, ms_shown=1500),
        row(at=1777888802.5, session=2, level=2, answer="yes"),
    ]
    bring("trials", write(tmp_path / "t.csv", rows), tmp_path / "run")
    with Store.open(tmp_path / "run") as store:
        first, second = store.presentations()
        (sitting,) = store.measurements(SITTINGS).values()
    assert (first.session, first.shown_at, first.ms_shown) == ("person:p01/2", 1777888800.0, 1500.0)
    assert (first.reaction_time_ms, first.confidence) == (640.5, 0.25)
    assert (second.reaction_time_ms, second.confidence, second.shown_at) == (None, None, 1777888802.5)
    assert (sitting["observer"], sitting["number"], sitting["began"]) == ("person:p01", 2, 1777888800.0)


def test_the_same_file_gives_the_same_keys_and_another_ones_none_of_them(tmp_path: Path) -> None:
    file, copy = write(tmp_path / "two.csv", TWO), write(tmp_path / "deep" / "two.csv", TWO)
    other = write(tmp_path / "other.csv", TWO)
    keys = []
    for number, one in enumerate((file, copy, other)):
        bring("trials", one, tmp_path / f"run{number}")
        keys.append({trial.key for trial in read(tmp_path / f"run{number}")[1]})
    assert keys[0] == keys[1]
    assert not keys[0] & keys[2]


def test_recorded_answers_from_such_a_run(tmp_path: Path) -> None:
    bring("trials", write(tmp_path / "two.csv", TWO), tmp_path / "run")
    observer = Recorded(str(tmp_path / "run"), RecordedOptions(of="person:p02"))
    asked = find_question("direct-implicit")
    pixels: Any = None
    pictures = [Picture(pixels, digest.of(["trials", "two.csv", "distortion", "a.png", level])) for level in (0, 4)]
    query = Query((*pictures, asked.fill("distortion")))

    async def answer(query: Query) -> Any:
        async with observer:
            return await observer.answer(query)

    assert finish(answer(query)).answer.text == "<yes>"


def test_a_picture_s_digest_makes_it_the_reference_of_other_runs(tmp_path: Path) -> None:
    rows = [one | {"picture": ("a" if one["reference"] == "a.png" else "b") * 32} for one in TWO]
    bring("trials", write(tmp_path / "t.csv", rows), tmp_path / "run")
    with Store.open(tmp_path / "run") as store:
        assert {one.name: one.picture for one in store.series()} == {"a.png": "a" * 32, "b.png": "b" * 32}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_separators_byte_order_marks_and_line_ends(tmp_path: Path, delimiter: str, start: bytes) -> None:
    file = write(tmp_path / "t.csv", TWO, delimiter, start)
    assert b"\r\n" in file.read_bytes()
    bring("trials", file, tmp_path / "run")
    assert len(read(tmp_path / "run")[1]) == 16


def test_the_line_with_which_excel_names_the_separator_is_passed_over(tmp_path: Path) -> None:
    for name, line in (("a", b"sep=;\r\n"), ("b", b'\xef\xbb\xbf"sep=;"\n')):
        bring("trials", write(tmp_path / f"{name}.csv", TWO, ";", line), tmp_path / name)
        assert len(read(tmp_path / name)[1]) == 16
    assert refused(write(tmp_path / "c.csv", [row(level="x")], ";", b"sep=;\n")).startswith("c.csv line 3: ")


def test_the_command_says_what_was_read_and_refuses_a_run_that_is_there(tmp_path: Path) -> None:
    file = write(tmp_path / "two.csv", TWO)
    done = command("import", f"trials={file}", "--out", tmp_path / "run")
    assert (done.returncode, "16 answers of 2 participants" in done.stdout + done.stderr) == (0, True)
    again = command("import", f"trials={file}", "--out", tmp_path / "run")
    assert again.returncode == 1
    assert "is there already" in again.stderr
    with pytest.raises(StoreError, match="is there already"):
        bring("trials", file, tmp_path / "run")


@pytest.mark.parametrize("what", ["report", "fit", "export"])
def test_commands_that_read_runs_read_it(tmp_path: Path, what: str) -> None:
    bring("trials", write(tmp_path / "two.csv", TWO), tmp_path / "run")
    more = {
        "report": ("--json",),
        "fit": ("--json",),
        "export": ("--to", "psignifit", "--out", tmp_path / "ex"),
    }[what]
    done = command(what, tmp_path / "run", *more)
    assert done.returncode == 0, done.stderr
    if what != "export":
        assert "person:p01" in done.stdout


# --- several files, tables of levels ---


def test_a_folder_or_a_pattern_is_one_recording(tmp_path: Path) -> None:
    for who in ("p01", "p02"):
        write(tmp_path / "lab" / "deep" / f"{who}.csv", [one for one in TWO if one["participant"] == who])
    (tmp_path / "lab" / "._p01.csv").write_bytes(b"\0")  # as another system leaves it beside
    lines = bring("trials", tmp_path / "lab", tmp_path / "run")
    named = write(tmp_path / "my_participants_data.csv", TWO)
    assert bring("trials", named, tmp_path / "named")[0].startswith("my_participants_data.csv: 16 answers")
    assert lines[0].startswith("lab: 2 files, 16 answers of 2 participants about 2 series.")
    bring("trials", tmp_path / "lab" / "deep" / "p*.csv", tmp_path / "pattern")
    bring("trials", write(tmp_path / "two.csv", TWO), tmp_path / "file")
    assert facts(tmp_path / "run") == facts(tmp_path / "pattern") == facts(tmp_path / "file")
    (tmp_path / "none").mkdir()
    assert "no CSV file of trials" in refused(tmp_path / "none")
    assert "no CSV file of trials" in refused(tmp_path / "lab" / "q*.csv")


def test_people_who_saw_unlike_levels_have_one_ladder(tmp_path: Path) -> None:
    for who, levels in (("p01", (2, 4)), ("p02", (1, 3))):
        rows = [row(participant=who, level=k, strength=k * k, unit="mm") for k in levels]
        write(tmp_path / "lab" / f"{who}.csv", rows)
    bring("trials", tmp_path / "lab", tmp_path / "run")
    assert read(tmp_path / "run")[0].manifest.distortions["distortion"].strengths == [1, 4, 9, 16]


def test_a_trial_that_is_there_in_two_files_is_told_with_both(tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    write(lab / "a.csv", TWO)
    write(lab / "b.csv", TWO)
    assert re.search(r"b\.csv line 1: the same file as .*a\.csv. Keep one", refused(lab))
    write(lab / "b.csv", [row(level=2, answer="yes"), row(participant="p03", level=1)])
    assert re.match(r"b\.csv line 2: 'p01' has answered level 2 of 'a.png' in a.csv line 3 already", refused(lab))
    write(lab / "b.csv", [row(level=2, answer="yes", session=2)])
    assert "1 pair was answered twice or more" in bring("trials", lab, tmp_path / "run")[-1]
    numbered = [one | {"draw": 0} for one in TWO]
    write(lab / "a.csv", numbered)
    write(lab / "b.csv", [row(level=2, answer="yes", draw=0)])
    assert "as draw 0 in an earlier row (a.csv line 3)" in refused(lab)


def test_a_table_of_levels_beside_says_what_nobody_was_asked_about(tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", [row(level=3, strength=9, unit="mm"), row(level=4, strength=16, unit="mm")])
    assert "level 3 is the lowest of 'distortion' whose strength is given, so that levels 1 to 2 would" in refused(file)
    levels = [{"level": k, "strength": k * k, "unit": "mm"} for k in (1, 2, 3, 5)]
    write(tmp_path / "study_levels_data.csv", levels)
    assert bring("trials", file, tmp_path / "run")[1:] == []
    assert read(tmp_path / "run")[0].manifest.distortions["distortion"].strengths == [1, 4, 9, 16, 25]
    write(tmp_path / "study_levels_data.csv", [levels[0], levels[2] | {"strength": 8}])
    assert refused(file).startswith("t.csv line 2: level 3 of 'distortion' has the strength 9, and 8 in study_levels")


def test_rows_that_are_there_twice_are_told_as_repeated_looks(tmp_path: Path) -> None:
    lines = bring("trials", write(tmp_path / "t.csv", [*TWO, *TWO[:3]]), tmp_path / "run")
    assert lines[1].startswith("3 pairs were answered twice or more: taken as repeated looks (draws).")
    assert "give a column draw" in lines[1]
    assert bring("trials", write(tmp_path / "t.csv", TWO), tmp_path / "once")[1:] == []


def test_rows_without_an_answer_are_left_out_and_told(tmp_path: Path) -> None:
    lines = bring("trials", write(tmp_path / "t.csv", [*TWO, row(level=9, answer="")]), tmp_path / "run")
    assert lines[1:] == ["1 row without an answer left out."]
    assert len(read(tmp_path / "run")[1]) == 16


# --- strengths ---


def test_the_strength_of_level_0_is_where_those_above_it_begin(tmp_path: Path) -> None:
    """Levels 0, 5, 10 are 0, 10, 20 mm: a threshold at level 3 is 6 mm, not the 10 mm of level 5."""
    rows = [row(level=k, strength=2 * k, unit="mm") for k in (0, 5, 10)]
    lines = bring("trials", write(tmp_path / "t.csv", rows), tmp_path / "run")
    strengths = read(tmp_path / "run")[0].manifest.distortions["distortion"].strengths
    assert strengths == [2, 4, 6, 8, 10, 12, 14, 16, 18, 20]
    assert lines[1].startswith("8 levels without a strength")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({5: 10, 10: 20}, "t.csv line 2: level 5 is the lowest .* levels 1 to 4 would have none.*strength of level 0"),
        ({1: 10, 2: 20, 3: ""}, "t.csv line 3: level 2 is the highest .* level 3 would have none.*strength of level 3"),
        ({1: 10, 2: 5, 3: 7}, "t.csv line 4: strengths of 'distortion' turn round: 5 at level 2, 7 at level 3"),
        ({0: 50, 1: 10, 2: 20, 3: 60}, "t.csv line 3: strengths of 'distortion' turn round: 50 at level 0, 10 at"),
    ],
)
def test_no_strength_is_made_up_beyond_those_that_are_known(tmp_path: Path, given: dict[int, Any], told: str) -> None:
    said = refused(write(tmp_path / "t.csv", [row(level=k, strength=one) for k, one in given.items()]))
    assert re.match(told, said), said


# --- what does not fit ---


@pytest.mark.parametrize("timed", [False, True])
def test_rows_without_times_tell_no_learning(tmp_path: Path, timed: bool) -> None:
    """Sorted by level, later rows say yes more often; that is no learning."""
    rows = [
        row(participant=who, reference=name, level=level, answer="yes" if level > 6 else "no")
        | ({"at": 1e9 + 60 * level} if timed else {})
        for who in ("p01", "p02")
        for level in range(1, 13)
        for name in ("a", "b", "c")
    ]
    bring("trials", write(tmp_path / "t.csv", rows), tmp_path / "run")
    found = limen.open(tmp_path / "run").people()
    assert found is not None
    assert {one.observer for one in found.courses} == ({"", "person:p01", "person:p02"} if timed else set())


@pytest.mark.parametrize(
    ("changed", "line", "told"),
    [
        ({"level": "x"}, 3, "'level'|level cannot be 'x'"),
        ({"level": "-1"}, 3, "level cannot be"),
        ({"level": "10001"}, 3, "10.000|10,000"),
        ({"level": "1.5"}, 3, "level cannot be '1.5'"),
        ({"level": ""}, 3, "level was not given"),
        ({"answer": "perhaps"}, 3, "'perhaps'.*yes or no"),
        ({"answer": "different"}, 3, "yes or no"),
        ({"participant": "Jane Doe"}, 3, "cannot be an alias"),
        ({"participant": "P01"}, 3, "'p01' in earlier rows"),
        ({"participant": "jane@example.org"}, 3, "cannot be an alias"),
        ({"reaction_time_ms": "fast"}, 3, "reaction_time_ms cannot be 'fast'"),
        ({"reaction_time_ms": "nan"}, 3, "reaction_time_ms cannot be"),
        ({"reaction_time_ms": "-3"}, 3, "reaction_time_ms cannot be"),
        ({"confidence": "80"}, 3, "confidence cannot be"),
        ({"question": "answer-changes"}, 3, "about one picture at a time"),
        ({"question": "forced-choice", "answer": "no"}, 3, "'forced-choice' is 'no'. Write correct or wrong; or"),
        ({"question": "forced-choice", "answer": "first", "noticed": ""}, 3, "nothing says which was right"),
        ({"question": "forced-choice", "answer": "correct"}, 3, "do not say the same"),
        ({"question": "forced-choice", "answer": "wrong", "level": "0"}, 3, "was compared with itself"),
        ({"question": "drect"}, 3, "Did you mean 'direct'"),
        ({"at": "2026-05-04T09:59:59Z"}, 3, "run backwards, by 1 s"),
        ({"at": "2026-05-04T10:00:01"}, 3, "offset from UTC"),
        ({"at": "yesterday"}, 3, "is no time"),
        ({"at": "-5"}, 3, "is no time"),
        ({"against": "7"}, 3, "lies below the level 7"),
        ({"strength": "9"}, 3, "has the strength 9, and 2"),
        ({"unit": "dB"}, 3, "unit of 'blur' is 'dB'.*convert the strengths, or write the unit in one way"),
        ({"unit": "d\nB"}, 3, "unit cannot be.*at most 100 characters, in one line"),
        ({"picture": "b" * 32}, 3, "another digest"),
        ({"picture": "abc"}, 3, "picture cannot be 'abc'. Give 32 hexadecimal digits"),
        ({"participant": "person:p01", "kind": "model"}, 3, "'person:p01' cannot be a model's name"),
        ({"participant": "Published:konjnd", "kind": "model"}, 3, "'Published:konjnd' cannot be a model's name"),
        ({"kind": "model"}, 3, "is a person in earlier rows"),
        ({"kind": "dog"}, 3, "kind cannot be"),
        ({"draw": "0"}, 3, "as draw 0 in an earlier row"),
        ({"noticed": "yes"}, 3, "do not say the same"),
    ],
)  # fmt: skip
def test_a_row_that_does_not_fit_is_named_by_file_and_line(
    tmp_path: Path, changed: dict[str, str], line: int, told: str
) -> None:
    whole = row(
        at="2026-05-04T10:00:00Z", session=1, reaction_time_ms=500, confidence=0.5, question="direct", draw=0,
        distortion="blur", strength=2, unit="px", picture="a" * 32, kind="person", against=0, noticed="no",
    )  # fmt: skip
    second = whole | {"draw": "1"} | changed
    said = refused(write(tmp_path / "rows.csv", [whole, second]))
    assert said.startswith(f"rows.csv line {line}: ")
    assert re.search(told, said), said
    assert said.rstrip().endswith((".", "?"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "line 1: holds no row"),
        (b"participant,reference,level,answer\r\n", "line 1: holds no row"),
        (b"participant,reference,level\np01,a,1\n", "line 1: there is no column 'answer'"),
        (b"participant,reference,level,answer,rt\np01,a,1,no,5\n", "line 1: no column 'rt' is known"),
        (b"participant,reference,level,answer,confidense\np01,a,1,no,.5\n", "Did you mean 'confidence'"),
        (b"participant,reference,level,answer,level\np01,a,1,no,2\n", "2 columns named 'level', in line 1"),
        (b"participant,reference,level,answer,ms shown,ms_shown\np01,a,1,no,2,3\n", "2 columns that are 'ms_shown'"),
        (b"participant,reference,level,answer\np01,a,1\n", "line 2: has 3 fields, the header 4"),
        (b"participant,reference,level,answer\np01,\xff\xfe,1,no\n", "line 2: is not UTF-8"),
        ("participant,reference,level,answer\np01,a,1,no\n".encode("utf-16"), "line 1: is not UTF-8"),
        (b"participant,reference,level,answer\np01,a\x01b,1,no\n", "line 2: reference cannot be"),
        (b"participant,reference,level,answer\np01,a,1,\n", "line 2: no row has an answer"),
        (b"participant,reference,level,answer\rp01,a,1,no\rp01,a,2,yes\r", "line 1: its lines end in CR alone"),
        (b'participant,reference,level,answer\np01,a,1,no\np01,"b,1,no\np02,a,1,no\n', "line 3: has a double quote"),
        (b'participant,"reference,level,answer\np01,a,1,no\n', "line 1: has a double quote that opens a text and is"),
        (b"sep=;\nparticipant;reference;level\np01;a;1\n", "line 2: there is no column 'answer'"),
        (b"sep=;\nparticipant;reference;level;answer;level\np01;a;1;no;2\n", "named 'level', in line 2"),
    ],
)
def test_a_file_that_is_none_is_named_by_its_line(tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(content)
    assert told in refused(file)


def test_files_that_are_missing_or_of_another_kind_or_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no such file" in refused(tmp_path / "none.csv")
    other = tmp_path / "rows.xlsx"
    other.write_bytes(b"PK")
    assert "Export the table as CSV" in refused(other)
    file = write(tmp_path / "two.csv", TWO)
    monkeypatch.setattr("limen.people.recording.MOST", 3)
    assert "line 5: is one answer over 3" in refused(file)
    monkeypatch.setattr("limen.sources._listed.LARGEST_LIST", 10)
    assert "Divide it into several files" in refused(file)


# --- whatever a file holds ---


def unquoted(text: str) -> str:
    """Return what is meant by a text that was kept from being run by a spreadsheet."""
    return text[1:] if re.match(r"'\s*[=+\-@]", text) else text


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@drawn(st.lists(st.lists(st.text(max_size=12), min_size=4, max_size=4), min_size=1, max_size=4), st.booleans())
def test_hostile_text_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], sound: bool
) -> None:
    folder = tmp_path_factory.mktemp("hostile")
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for place, (who, reference, level, answer) in enumerate(rows):
        writer.writerow((f"p{place}", reference, place, "yes") if sound else (who, reference, level, answer))
    file = folder / "rows.csv"
    file.write_bytes(text.getvalue().encode(errors="surrogatepass"))
    told = ""
    try:
        bring("trials", file, folder / "run")
    except LimenError as error:
        told = str(error)
    if told:
        assert told.isprintable()
        assert "rows.csv line " in told
        assert not (folder / "run").exists()
    else:
        assert {fact[3] for fact in facts(folder / "run")} == {
            unquoted(reference.strip()) for _, reference, _, _ in rows
        }


@settings(max_examples=40)
@drawn(st.binary(max_size=200))
def test_any_bytes_are_refused_in_one_line(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    (folder / "rows.csv").write_bytes(content)
    with pytest.raises(InputError) as caught:
        bring("trials", folder / "rows.csv", folder / "run")
    assert "rows.csv" in str(caught.value)
    assert str(caught.value).isprintable()
