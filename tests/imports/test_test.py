"""What readers of a report saved from its test, imported: an ordinary run, or one line that says what is wrong."""

import copy
import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limen import registry
from limen.analysis import analyse
from limen.errors import InputError, StoreError
from limen.participant import is_person
from limen.people import answer_file
from limen.store import Store
from limen.store.entries import SITTINGS, SIZES
from limen.study import Study
from tests.report.test_viewer import Scripted, images, spec, told
from tests.support.command import limen

THRESHOLD = 10  # levels from which on the reader of these files notices a difference
BEGAN = 1_790_000_000.0


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    photos = images(folder / "in", "a.png", "b.png")
    Study.plan(spec(photos, questions=("direct", "odd-one-out-3"), procedure={"name": "bisect"})).run(folder / "run")
    return folder / "run"


def taken(run: Path, alias: str = "ann", question: str = "direct", **changes: Any) -> dict[str, Any]:
    """Return what the page's `save` makes of a whole test of all series, by what the page is told of the run."""
    with told(run) as (book, _, _):
        (lane,) = (i for i, one in enumerate(book["lanes"]) if one["question"] == question)
    about, series, answers, now = book["lanes"][lane], [], list[dict[str, Any]](), BEGAN
    for number, one in enumerate(book["series"]):
        digests = {level: book["digests"][at] for level, at in one["pictures"].items()}
        series.append({**one["row"], "pictures": digests})
        (talk,) = (talk for talk in book["talks"] if (talk["o"], talk["s"]) == (lane, number))
        for reference, level, draw, *_, trials in (probe[:6] for probe in talk["probes"]):
            place = next(probe for probe in talk["probes"] if probe[:3] == [reference, level, draw])[6:] or [1]
            shown = [digests[str(level if at == place[0] else reference)] for at in range(about["shows"])]
            seen = level - reference >= THRESHOLD
            picked = place[0] if seen else (place[0] + 1) % about["shows"]
            value = str(picked + 1) if about["picks"] else about["says"]["yes" if seen else "no"]
            answers.append({
                "series": one["row"]["id"], "reference": reference, "level": level, "draw": draw, "shown": shown,
                "value": value, "seconds": 1.5, "when": now, "zoom": 2, "turns": False, "ratio": 1.25,
                "viewport": [1440, 900],
            })  # fmt: skip
            assert trials
            now += 2
    asked = {kind["name"]: text for kind, text in zip(book["distortions"], about["asked"], strict=True)}
    content = {
        "alias": alias, "seed": 7, "test": "whole", "planned": len(answers), "beside": about["name"],
        "question": question, "asked": asked, "study": book["studies"][about["study"]], "series": series,
        "answers": answers,
    }  # fmt: skip
    return content | changes


def sealed(content: dict[str, Any], **head: Any) -> str:
    """Return a file as the page writes it."""
    text = json.dumps(content, indent=1, ensure_ascii=False)
    first = {"limen": "1.0", "version": 2, "sha256": hashlib.sha256(text.encode()).hexdigest()} | head
    return f'{json.dumps(first)[:-1]}, "content":\n{text}\n}}\n'


@pytest.fixture(scope="module")
def content(model: Path) -> dict[str, Any]:
    return taken(model)


def bring(place: object, run: Path) -> list[str]:
    """Import, as the command does."""
    lines: list[str] = registry.find("import", "test")(str(place), run)
    return lines


def put(folder: Path, name: str, content: dict[str, Any], **head: Any) -> Path:
    file = folder / f"limen-test-{name}.json"
    file.write_text(sealed(content, **head), encoding="utf-8")
    return file


def refused(place: object, run: Path) -> str:
    """Return why an import was refused: in one line, and with nothing written."""
    with pytest.raises(InputError) as caught:
        bring(place, run)
    assert not run.exists()
    assert list(run.parent.glob("*.part")) == []
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- what is read ---


@pytest.mark.parametrize("question", ["direct", "odd-one-out-3"])
def test_answers_are_trials_of_the_models_series(model: Path, tmp_path: Path, question: str) -> None:
    content = taken(model, question=question)
    file = put(tmp_path, "ann", content)
    lines = bring(file, tmp_path / "readers")
    answers = len(content["answers"])
    assert lines[0] == f"person:ann: {answers} answers of whole series, 4 series."
    with Store.open(tmp_path / "readers") as store, Store.open(model) as other:
        ours, theirs = (
            {(one.series, one.reference, one.level, one.draw, one.wording, one.form) for one in each.trials()}
            for each in (store, other)
        )
        assert ours == {one for one in theirs if one in ours}
        assert len(ours) == answers
        assert set(store.series()) == set(other.series())
        about = store.manifest["observers"]["person:ann"]
        assert is_person(about)
        assert about["screen"] == {"ratio": 1.25, "zoom": 2.0}
        assert about["protocol"] == {"where": "report", "presentation": "side-by-side", "show_ms": 0}
        assert len(store.presentations("person:ann/1")) == answers
        assert {one.reaction_time_ms for one in store.presentations()} == {1500.0}
        (sitting,) = store.measurements(SITTINGS).values()
        assert (sitting["began"], sitting["ended"]) == (BEGAN, BEGAN + 2 * (answers - 1) + 1.5)
        found = analyse(store)
        store.check_rows()
    assert {outcome.status.value for outcome in found.outcomes} == {"complete"}
    for outcome in found.outcomes:
        for response in outcome.responses:
            assert response.verdict.yes == (response.probe.level - response.probe.reference >= THRESHOLD)


def test_a_choice_between_two_is_read(tmp_path: Path) -> None:
    plan = Study.plan(spec(images(tmp_path / "in", "a.png"), distortions=("blur",), questions=("forced-choice",)))
    dataclasses.replace(plan, observers=(Scripted("x"),)).run(tmp_path / "run")
    put(tmp_path, "ann", taken(tmp_path / "run", question="forced-choice"))
    bring(tmp_path, tmp_path / "readers")
    with Store.open(tmp_path / "readers") as store:
        found = analyse(store).outcomes[0].responses
    assert found
    for response in found:
        assert response.verdict.yes == (response.probe.level - response.probe.reference >= THRESHOLD)


def test_who_read_other_series_has_no_unfinished_ones(model: Path, tmp_path: Path, content: dict[str, Any]) -> None:
    first, *rest = content["series"]
    for alias, rows in (("ann", [first]), ("bob", rest)):
        ids = {row["id"] for row in rows}
        answers = [one for one in content["answers"] if one["series"] in ids]
        put(tmp_path, alias, content | {"alias": alias, "series": rows, "answers": answers})
    bring(tmp_path, tmp_path / "readers")
    with Store.open(tmp_path / "readers") as store:
        assert store.manifest["procedure"] == {"name": "recorded"}
        counts = [outcome.observer for outcome in analyse(store).outcomes]
    assert (counts.count("person:ann"), counts.count("person:bob")) == (1, 3)


def test_report_fit_export_and_merge_read_it(model: Path, tmp_path: Path, content: dict[str, Any]) -> None:
    for alias in ("ann", "bob"):
        put(tmp_path, alias, content | {"alias": alias})
    readers, page = tmp_path / "readers", tmp_path / "report.html"
    done = limen("import", f"test={tmp_path}/limen-test-*.json", "--out", readers)
    assert done.returncode == 0, done.stderr
    assert "2 readers" in done.stdout
    for command in (
        ("report", readers, model, "--out", page), ("report", readers, "--out", page, "--json"), ("fit", readers),
        ("export", readers, "--to", "parquet", "--out", tmp_path / "trials.parquet"), ("fit", readers, model, "--json"),
    ):  # fmt: skip
        done = limen(*command)
        assert done.returncode == 0, done.stderr
    rows = {row["observer"] for row in json.loads(done.stdout)["fits"]}
    assert rows == {"person:ann", "person:bob", "simulated"}


def test_a_file_that_came_with_other_line_ends_is_read(tmp_path: Path, content: dict[str, Any]) -> None:
    file = put(tmp_path, "ann", content)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert "1 reader," in bring(file, tmp_path / "readers")[-1]


def test_the_same_file_twice_is_read_once_and_said(tmp_path: Path, content: dict[str, Any]) -> None:
    file = put(tmp_path, "ann", content)
    shutil.copy(file, tmp_path / "limen-test-copy.json")
    lines = bring(tmp_path / "limen-test-*.json", tmp_path / "readers")
    assert lines[0] == "limen-test-copy.json is the same file as limen-test-ann.json: read once."
    assert lines[-1].startswith("1 reader,")


def test_sizes_come_along(tmp_path: Path) -> None:
    photos = images(tmp_path / "in", "a.png", height=64, width=96)
    Study.plan(spec(photos, distortions=("blur",), max_side=(48, 96))).run(tmp_path / "run")
    put(tmp_path, "ann", taken(tmp_path / "run"))
    bring(tmp_path, tmp_path / "readers")
    with Store.open(tmp_path / "readers") as store, Store.open(tmp_path / "run") as other:
        assert store.measurements(SIZES) == other.measurements(SIZES) != {}
        assert {outcome.side for outcome in analyse(store).outcomes} == {48, 96}


# --- what is refused ---


def changed(content: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    """Return a copy with another value at a place such as "answers.3.when"."""
    made: Any = copy.deepcopy(content)
    *path, last = place.split(".")
    at = made
    for step in path:
        at = at[int(step) if isinstance(at, list) else step]
    at[int(last) if isinstance(at, list) else last] = (
        value(at[int(last) if isinstance(at, list) else last]) if callable(value) else value
    )
    return dict(made)


OTHER = "0" * 32
REFUSED = {
    "picture of the series": ("series.0.picture", OTHER, "has another id"),
    "key": ("series.0.key", "x/0", "has another id"),
    "id": ("series.0.id", OTHER, "has another id"),
    "seed": ("study.seed", "1", "has another id"),
    "strength": ("study.distortions.blur.strengths.3", 99.0, "the strengths of 'blur'"),
    "not a number": ("study.distortions.blur.strengths.3", None, "strengths"),
    "question": ("study.questions.direct.text", "Are they alike?", "question 'direct' does not have the digest"),
    "asked": ("asked.blur", "Are they alike?", "is not what 'direct' asks about 'blur'"),
    "levels": ("series.0.levels", 49, "is of no distortion"),
    "word": ("series.0.word", "<b>", "is of no distortion"),
    "first picture": ("series.0.pictures.0", OTHER, "at level 0 that is not its reference"),
    "a picture": ("series.0.pictures.25", OTHER, "shows the pictures"),
    "order": ("answers.1.shown", lambda shown: shown[::-1], "shows the pictures"),
    "level": ("answers.0.level", 51, "this ladder has levels 1 to 50"),
    "downwards": ("answers.0.reference", 50, "against 50"),
    "value": ("answers.0.value", "maybe", "'maybe', which is no answer to 'direct'"),
    "script": ("answers.0.value", "<script>alert(1)</script>", "which is no answer to 'direct'"),
    "series": ("answers.0.series", OTHER, "is of a series 00000000 that the file does not have"),
    "backwards": ("answers.3.when", BEGAN + 1, "times run backwards"),
    "long": ("answers.3.seconds", 100.0, "times run backwards"),
    "twice": ("answers.1", lambda one: one, ""),
    "huge": ("answers.0.when", 1e300, "'answers[0].when'"),
    "negative": ("answers.0.seconds", -1, "'answers[0].seconds'"),
    "alias": ("alias", "Ann Smith", "'Ann Smith' cannot be an alias"),
    "control": ("alias", "ann\n", "cannot be an alias"),
    "number": ("answers.0.zoom", "2", "'answers[0].zoom'"),
    "extra": ("email", "ann@example.org", ": it has no entry 'email'"),
    "empty": ("answers", [], "'answers'"),
}


@pytest.mark.parametrize("which", [name for name in REFUSED if name != "twice"])
def test_what_was_changed_and_sealed_again_is_named(tmp_path: Path, content: dict[str, Any], which: str) -> None:
    place, value, complaint = REFUSED[which]
    made = content | {place: value} if "." not in place else changed(content, place, value)
    if which == "asked":
        assert made["asked"]["blur"] == value
    file = put(tmp_path, "ann", made)
    line = refused(file, tmp_path / "readers")
    assert line.startswith("limen-test-ann.json")
    assert complaint in line
    assert line.endswith(".")


def test_an_answer_given_twice_is_named(tmp_path: Path, content: dict[str, Any]) -> None:
    again = content["answers"][0] | {"when": content["answers"][-1]["when"] + 10}
    file = put(tmp_path, "ann", content | {"answers": [*content["answers"], again]})
    assert "is about a pair that was answered before" in refused(file, tmp_path / "readers")


def test_an_edited_file_is_named(tmp_path: Path, content: dict[str, Any]) -> None:
    put(tmp_path, "bob", content | {"alias": "bob"})
    file = put(tmp_path, "ann", content)
    file.write_text(file.read_text().replace('"value": "no"', '"value": "yes"', 1))
    line = refused(tmp_path, tmp_path / "readers")
    assert line.startswith("limen-test-ann.json was edited: its content has the digest ")
    assert line.endswith("Ask the reader for the file as the page saved it.")


def test_one_participant_in_two_files_is_named(tmp_path: Path, content: dict[str, Any]) -> None:
    put(tmp_path, "ann", content)
    put(tmp_path, "more", changed(content, "answers.0.value", "no") | {"alias": "ANN"})
    line = refused(tmp_path, tmp_path / "readers")
    assert "'ANN' is the alias in limen-test-ann.json and in limen-test-more.json" in line


@pytest.mark.parametrize("other", ["seed", "procedure", "distortions"])
def test_another_studys_file_is_named_with_what_differs(tmp_path: Path, content: dict[str, Any], other: str) -> None:
    photos = images(tmp_path / "in", "a.png", "b.png")
    how: dict[str, Any] = {"seed": {"seed": 3}, "procedure": {"procedure": {"name": "skip"}},
                           "distortions": {"distortions": ("noise",)}}[other]  # fmt: skip
    Study.plan(spec(photos, **{"procedure": {"name": "bisect"}, "questions": ("direct", "odd-one-out-3"), **how})).run(
        tmp_path / "run"
    )
    put(tmp_path, "ann", content)
    put(tmp_path, "bob", taken(tmp_path / "run", "bob"))
    line = refused(tmp_path, tmp_path / "readers")
    assert line.startswith("limen-test-bob.json is of another study: ")
    assert f"study.{other}" in line


def test_readers_who_were_shown_other_pixels_are_named(tmp_path: Path, content: dict[str, Any]) -> None:
    made = json.loads(json.dumps(content | {"alias": "bob"}).replace(content["series"][0]["pictures"]["25"], OTHER))
    put(tmp_path, "ann", content)
    put(tmp_path, "bob", made)
    assert "limen-test-bob.json: level 25 of 'a.png' has the digest 00000000" in refused(tmp_path, tmp_path / "readers")


NONE: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing": (lambda file: file.write_bytes(b""), "holds no JSON object"),
    "binary": (lambda file: file.write_bytes(b"\xff\x00\x80" * 99), "holds no JSON object"),
    "a list": (lambda file: file.write_text("[1]"), "holds no JSON object"),
    "nested": (lambda file: file.write_text("[" * 200_000), "holds no JSON object"),
    "nested deep inside": (lambda file: file.write_text('{"version": 2, "content": ' + "[" * 200_000), "JSON object"),
    "older": (lambda file: file.write_text('{"limen": "0.9", "trials": []}'), "of an older limen"),
    "newer": (lambda file: file.write_text('{"version": 3}'), "is of version 3, and this limen reads 2"),
    "another thing": (lambda file: file.write_text('{"a": 1}'), "is of version None"),
    "no content": (lambda file: file.write_text('{"version": 2, "sha256": "' + "0" * 64 + '"}'), "was edited"),
    "large": (lambda file: file.write_bytes(b" " * (answer_file.LARGEST + 1)), "has 16.8 MB"),
}  # fmt: skip


@pytest.mark.parametrize("which", NONE)
def test_what_is_no_such_file_is_named(tmp_path: Path, which: str) -> None:
    file = tmp_path / "limen-test-x.json"
    make, complaint = NONE[which]
    make(file)
    line = refused(file, tmp_path / "readers")
    assert line.startswith("limen-test-x.json")
    assert complaint in line
    assert len(line) < 400


@pytest.mark.parametrize("place", ["none.json", "limen-test-*.json", "."])
def test_where_there_is_no_file_the_ways_to_give_one_are_said(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "Give test=FILE, test=FOLDER, or a pattern" in refused(place, tmp_path / "readers")


def test_a_run_that_is_there_stays(tmp_path: Path, content: dict[str, Any]) -> None:
    file = put(tmp_path, "ann", content)
    bring(file, tmp_path / "readers")
    before = (tmp_path / "readers/manifest.json").read_bytes()
    with pytest.raises(StoreError, match="is there already"):
        bring(file, tmp_path / "readers")
    assert (tmp_path / "readers/manifest.json").read_bytes() == before


def test_recorded_is_no_procedure_to_measure_with(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="asks nothing"):
        Study.plan(spec(images(tmp_path / "in", "a.png"), procedure={"name": "recorded"}))
