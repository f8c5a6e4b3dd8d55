"""Questions of one's own: tables of a study, several pictures, same or different; what cannot be asked is named."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import limen
from limen import digest, question, registry
from limen.analysis import analyse
from limen.distortion import Distortion
from limen.errors import InputError, LimenError, StoreError
from limen.image import Picture
from limen.ladder import Ladder
from limen.observer import Observer, Reply
from limen.question import Query
from limen.report import Report
from limen.store import Store
from limen.study import Study, load
from limen.testing import photograph
from limen.trial import Answer, Attempt

BRIGHTER = Distortion(
    "brighter", "brightness", Ladder(tuple(float(k) for k in range(1, 21)), "grey levels"),
    lambda image, rng: lambda strength: np.clip(image + strength, 0, 255).astype(np.uint8),
)  # fmt: skip
SAME = {
    "name": "same", "text": "Are these two images identical? Reply with yes or no.", "notices": ["no"],
    "paraphrases": ["Do the two images show exactly the same thing? Yes or no."],
}  # fmt: skip


class Looks(Observer):
    """Says in the words of each question what it finds, where pictures differ by more than a threshold in rms."""

    def __init__(self, threshold: float = 6.5, name: str = "looks") -> None:
        self.name, self.asked, self._threshold = name, list[Query](), threshold

    def fingerprint(self) -> dict[str, Any]:
        return {"kind": "looks", "threshold": self._threshold}

    async def answer(self, query: Query) -> Reply:
        self.asked.append(query)
        return Reply(Answer(self._says(query), finish="stop"), (Attempt("ok"),))

    def _says(self, query: Query) -> str:
        pixels = [picture.pixels.astype(float) for picture in query.pictures]
        means = np.array([each.mean() for each in pixels])
        differs = float(np.ptp(means)) > self._threshold
        if len(pixels) > 2 or "number" in query.text:
            odd = int(np.argmax(abs(means - np.median(means)))) if len(pixels) > 2 else int(np.argmax(means))
            guess = int(digest.generator("guess", *(p.digest for p in query.pictures)).integers(len(pixels)))
            return f"Number {1 + (odd if differs else guess)}."
        if "identical" in query.text:
            return "No." if differs else "Yes."
        return ("<different>" if differs else "<same>") if "<same>" in query.text else "<yes>" if differs else "<no>"


def grey(name: str) -> Any:
    return (photograph(name, 40, 40) // 2 + 60).astype(np.uint8)


def measured(observer: Any, *questions: Any, **given: Any) -> limen.Run:
    pictures = {name: grey(name) for name in "ab"}
    return limen.measure(pictures, observer, BRIGHTER, questions=list(questions), exam=False, **given)


def test_a_no_may_be_what_notices() -> None:
    run = measured(Looks(), SAME, "direct")
    assert {(row.question, str(row.median)) for row in run.jnds} == {("same", "7"), ("direct", "7")}
    assert {row.question: row.verdict for row in run.trials() if row.level == row.reference_level} == {
        "same": "no", "direct": "no",
    }, "the verdict is on noticing, whatever the answer's words"  # fmt: skip


class Describes(Looks):
    """Says what it sees, and neither yes nor no."""

    def _says(self, query: Query) -> str:
        differs = super()._says(query) == "No."
        return "The two images look different." if differs else "The two images look identical."


def test_an_analysis_reads_what_is_said_of_sameness_as_the_study_did(tmp_path: Path) -> None:
    run = measured(Describes(), SAME, out=tmp_path / "run")
    assert str(run.jnds[0].median) == "7"
    assert {row.verdict for row in run.trials() if row.level == row.reference_level} == {"no"}


def test_functions_and_numbers_answer_in_the_questions_words() -> None:
    def looks(first: Any, second: Any) -> bool:
        return bool(abs(first.astype(float) - second).mean() > 4.5)

    run = measured(looks, SAME, "same-different", "choice")  # type: ignore[arg-type]
    assert {(row.question, str(row.median)) for row in run.jnds} == {
        ("same", "5"), ("same-different", "5"), ("choice", "5"),
    }  # fmt: skip
    with pytest.raises(limen.FatalObserverError, match="takes two pictures, not 3"):
        measured(looks, "odd-one-out-3", procedure={"name": "skip"})  # type: ignore[arg-type]


def test_a_run_keeps_its_own_questions_and_is_read_without_the_file_that_asked(tmp_path: Path) -> None:
    measured(Looks(), SAME, out=tmp_path / "run")
    run = limen.open(tmp_path / "run")
    assert (run.jnds[0].question, str(run.jnds[0].median)) == ("same", "7")
    with Report.open([tmp_path / "run"]) as report:
        report.page(tmp_path / "report.html")
    assert "Are these two images identical?" in (tmp_path / "report.html").read_text()
    changed = SAME | {"notices": ["yes"]}
    with pytest.raises(StoreError, match="question same.about.notices was"):
        measured(Looks(), changed, out=tmp_path / "run")


@pytest.mark.parametrize("name", ["odd-one-out-3", "odd-one-out-4", "forced-choice-4"])
def test_the_changed_picture_stands_at_each_place_equally_often(name: str) -> None:
    asked = question.find(name)
    count = asked.pictures
    places = [asked.place(f"series/0/{level}") for level in range(20 * count)]
    assert set(Counter(places).values()) == {20}
    blocks = [tuple(places[start : start + count]) for start in range(0, len(places), count)]
    assert all(sorted(block) == list(range(1, count + 1)) for block in blocks), "balanced where levels are near"
    assert len(set(blocks)) > 3, "in an order that is drawn"
    assert [asked.place("series/0/5", shift) for shift in range(count)] != [asked.place("series/0/5")] * count
    assert {asked.place("series/0/5", shift) for shift in range(count)} == set(range(1, count + 1))


@pytest.mark.parametrize(("name", "count"), [("odd-one-out-3", 3), ("odd-one-out-4", 4), ("forced-choice-4", 4)])
def test_a_forced_choice_among_several_pictures(name: str, count: int) -> None:
    looks = Looks()
    run = measured(looks, name, procedure={"name": "constant", "every": 2, "draws": count})
    assert {len(query.pictures) for query in looks.asked} == {count}
    for query in looks.asked:
        digests = Counter(picture.digest for picture in query.pictures)
        assert sorted(digests.values()) == [1, count - 1], "one differs"
    by_level: dict[int, list[bool]] = {}
    for row in run.trials():
        by_level.setdefault(row.level, []).append(row.verdict == "yes")
    assert all(all(right) for level, right in by_level.items() if level > 6)
    below = [one for level, right in by_level.items() if level <= 6 for one in right]
    assert abs(np.mean(below) - 1 / count) < 0.2, "guessing is right once in as many times"
    (row,) = run.fit()
    assert row.forced
    assert row.fit is not None
    assert 5 <= row.t50.level <= 9


@pytest.mark.parametrize("name", ["odd-one-out-3", "forced-choice-4"])
def test_the_simulated_observer_finds_the_odd_one(name: str) -> None:
    run = measured("simulated", name, procedure={"name": "constant", "every": 2})  # notices 6 grey levels rms
    right = {row.level: row.verdict == "yes" for row in run.trials()}
    assert all(right[level] for level in right if level >= 10)
    assert not all(right[level] for level in right if level <= 4)


def test_a_greedy_observer_sees_each_place_once() -> None:
    run = measured(Looks(), "odd-one-out-3", procedure={"name": "constant", "draws": 4})
    assert "3 different draws (the stimulus at each place)" in run.unfinished[0]
    run = measured(Looks(), "direct", procedure={"name": "constant", "draws": 3})
    assert "two different draws (as asked, and swapped), not 3" in run.unfinished[0]


def test_the_guess_rate_of_a_procedure_is_that_of_the_question() -> None:
    with pytest.raises(InputError, match=r"guessing is right at 1 in 4\. Give the procedure guess = 0\.25"):
        measured(Looks(), "odd-one-out-4", procedure={"name": "psi", "guess": 0.5})
    given = measured(Looks(), "odd-one-out-4", procedure={"name": "psi", "guess": 0.25})
    assert given.estimates[0].n == 2
    assert measured(Looks(), "odd-one-out-4", procedure="psi").estimates == given.estimates


def test_same_different_shows_identical_pairs_half_the_time() -> None:
    looks = Looks()
    measured(looks, "same-different", procedure={"name": "constant"})
    same = [query.pictures[0].digest == query.pictures[1].digest for query in looks.asked]
    different = len(same) - sum(same)
    assert different >= 8
    assert sum(same) == different + 2, "each level beside itself, and each of the two references"


def test_pictures_stand_where_the_text_has_slots() -> None:
    own = {"name": "slots", "text": "This is <image 1>, and this <image 2>. Do they differ? Yes or no."}
    looks = Looks()
    measured(looks, own)
    kinds = [["picture" if isinstance(part, Picture) else part for part in query.parts] for query in looks.asked]
    assert kinds[0] == ["This is", "picture", ", and this", "picture", ". Do they differ? Yes or no."]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"text": "Alike?"}, "needs name"),
        ({"name": "q"}, "No question named 'q'"),
        ({"name": "q", "txt": "Alike?", "text": "a"}, r"no setting 'txt'\. Did you mean 'text'"),
        ({"name": "q", "text": "Alike?", "notices": ["maybe"]}, "'maybe', which is no answer in the form 'yes-no'"),
        ({"name": "q", "text": "Alike?", "notices": ["yes", "no"]}, "holds every answer"),
        ({"name": "q", "text": "Alike?", "paraphrases": ["Alike?"]}, "a paraphrase is the same as the text"),
        ({"name": "q", "text": "Alike?", "paraphrases": ["So?", "So?"]}, "the same as the text or as another one"),
        (
            {"name": "q", "text": "Is <image 1> blurred?", "pictures": 2},
            r"slots for <image 1>; the number of pictures is 2",
        ),
        ({"name": "q", "text": "<image 1> or <image 3>?", "form": "place"}, "Give each of <image 1>, <image 2> once"),
        ({"name": "q", "text": "<image 1>, <image 2>?", "order": "swapped"}, "pictures stand at their slots"),
        ({"name": "q", "text": "Which?", "form": "letters"}, "options"),
        ({"name": "q", "text": "Which?", "form": "letters", "options": ["one"]}, "options"),
        ({"name": "q", "text": "Which?", "options": ["one", "two"]}, "has no answer that says by itself"),
        (
            {"name": "q", "text": "Which?", "options": ["one", "two"], "notices": ["three"]},
            "'three', which is no answer",
        ),
        ({"name": "q", "text": "Which?", "form": "lettres"}, "Did you mean 'letters'"),
        ({"name": "q", "text": "How many?", "form": "number", "tolerance": -1}, "tolerance"),
        ({"name": "q", "text": "Which?", "form": "place", "pictures": 12}, "pictures"),
        ({"name": "q", "text": "Alike?", "pictures": 3}, r"with the verdict 'differs' it is 2"),
        ({"name": "q", "text": "{item}", "form": "number"}, "{item} brings its own form"),
        ({"name": "q", "text": "{item}", "paraphrases": ["Again."]}, "asks no item"),
        ({"name": "q", "text": "{item} {word}?"}, "does not speak of it"),
        ({"name": "q", "text": "Cat?", "verdict": "wrong"}, "only items have right answers"),
        ({"name": "q", "text": "Cat?", "pictures": 1, "notices": ["yes"]}, "Leave notices out"),
        ({"name": "direct", "text": "Alike?"}, "limen's own name"),
    ],
)
def test_what_cannot_be_asked_is_named(entry: dict[str, Any], said: str) -> None:
    with pytest.raises(LimenError, match=said):
        measured(Looks(), entry)


def test_a_study_file_says_where(tmp_path: Path) -> None:
    study = tmp_path / "study.toml"
    study.write_text(
        'images = ["demo"]\nobservers = ["simulated"]\ndistortions = ["blur"]\nlimit = 1\n'
        'questions = ["direct", { name = "same", text = "Are these identical?", notices = ["no"] }]\n'
    )
    spec = load(study)
    assert spec.questions[1]["name"] == "same"  # type: ignore[index]
    whole = tmp_path / "tables.toml"
    whole.write_text(
        'images = ["demo"]\nobservers = ["simulated"]\ndistortions = ["blur"]\nlimit = 1\n'
        '[[questions]]\nname = "direct"\n[[questions]]\nname = "same"\ntext = "Identical?"\nnotices = ["no"]\n'
    )
    assert [one.name for one in Study.plan(load(whole)).questions] == ["direct", "same"]
    study.write_text(study.read_text().replace('["no"]', '["perhaps"]'))
    with pytest.raises(InputError, match=r"study\.toml line 5: Question 'same': notices is 'perhaps'"):
        load(study)


def test_a_question_in_a_file_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._known, "question", dict(registry.every("question")))
    file = tmp_path / "mine.py"
    file.write_text(
        "from limen.question import question\n"
        "question(name='as-sharp', text='Is their sharpness identical? Yes or no.', notices=('no',))\n"
    )
    run = measured(Looks(), "as-sharp", plugins=file)
    assert str(run.jnds[0].median) == "7"
    with Store.open(run.paths[0]) as store:
        assert analyse(store).questions["as-sharp"].notices == ("no",)
