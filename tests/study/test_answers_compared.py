"""Answers that change: reference and stimulus shown each alone; exclusions, unrest, the majority of draws."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import limen
from limen import distortion
from limen.analysis import SeriesStatus, analyse
from limen.distortion import Distortion
from limen.errors import InputError
from limen.image import Image, digest
from limen.ladder import Ladder
from limen.parsing.forms import Choice, Letters, Number, YesNo
from limen.question import DRAWS
from limen.report import tables
from limen.source import Reference
from limen.store import Store
from limen.study import Spec, Study
from limen.testing import photograph
from limen.trial import OTHER_SIDE
from tests.support.knower import Knower, asking, reference

BRIGHTER = Distortion(
    "brighter", "brightness", Ladder(tuple(float(k) for k in range(1, 21)), "grey levels"),
    lambda image, rng: lambda strength: np.clip(image + strength, 0, 255).astype(np.uint8),
)  # fmt: skip
ANIMALS = Letters(("a cat", "a dog", "a fox"))


def grey(name: str) -> Image:
    return (photograph(name, 40, 40) // 2 + 60).astype(np.uint8)  # room for brighter ones: level k is k grey levels rms


def run(out: Path, observer: Knower, *references: Reference, **spec: Any) -> limen.Analysis:
    given = {"images": (), "observers": (), "questions": ("answer-changes",), "exam": False, "floor": False} | spec
    study = Study.of(Spec(**given), [observer], [BRIGHTER], references=references)
    progress = study.run(out)
    assert not progress.unfinished
    with Store.open(out) as store:
        return analyse(store)


def animal(name: str, truth: str = "A", question: str = "Which animal is it?") -> Reference:
    return reference(name, grey(name), asking(ANIMALS, truth, question))


def test_the_first_level_whose_answer_has_changed_and_stays_so(tmp_path: Path) -> None:
    observer = Knower({"a cat": grey("a")}, "a dog", threshold=6.5)
    analysis = run(tmp_path / "run", observer, animal("a"))
    (row,) = analysis.jnds[:1]
    assert (row.n, row.median.level, row.excluded) == (1, 7, 0)
    assert all(len(query.pictures) == 1 for query in observer.asked)
    assert observer.asked[0].text.startswith("Which animal is it?\nA. a cat\nB. a dog\nC. a fox\n")


def test_what_comes_back_has_not_changed(tmp_path: Path) -> None:
    """From 4 on it says dog, but cat again at 6: the window of two levels after the candidate is not whole."""
    says = {4: "a dog", 5: "a dog", 6: "a cat"}
    observer = Knower({"a cat": grey("a")}, lambda rms: says.get(round(rms), "a fox"), threshold=3.5)
    (row,) = run(tmp_path / "run", observer, animal("a")).jnds[:1]
    assert row.median.level == 7


def test_a_next_threshold_has_the_new_answer_as_anchor(tmp_path: Path) -> None:
    observer = Knower({"a cat": grey("a")}, lambda rms: "a dog" if rms < 12.5 else "a fox", threshold=4.5)
    spec = {"procedure": {"name": "skip", "orders": 0}}
    analysis = run(tmp_path / "run", observer, animal("a"), **spec)
    assert [t.level for t in analysis.outcomes[0].thresholds if not t.censored] == [5, 13]


def test_answers_of_one_meaning_are_one_answer(tmp_path: Path) -> None:
    image = grey("a")
    item = asking(Number(tolerance=0.1, relative=True), "100", "How many?")
    observer = Knower({"100": image}, lambda rms: f"About {100 + rms:g} of them.", threshold=0.5)
    (row,) = run(tmp_path / "run", observer, reference("a", image, item)).jnds[:1]
    assert row.median.level == 12  # 11.1 is 10 % of 111; at 12 it says 112


def test_wrong_answers_where_a_truth_is_asked_for_are_excluded_and_counted(tmp_path: Path) -> None:
    known = {"a cat": grey("a"), "a dog": grey("b"), "I cannot tell.": grey("c")}
    references = [animal("a", "A"), animal("b", "A"), animal("c", "A")]
    analysis = run(tmp_path / "wrong", Knower(known, "a fox", 5.5), *references, questions=("answer-wrong",))
    (row,) = analysis.jnds[:1]
    assert (row.n, row.excluded, row.median.level) == (1, 2, 6)
    assert sorted(outcome.why for outcome in analysis.outcomes) == ["", "unreadable", "wrong"]
    assert {o.status for o in analysis.outcomes} == {SeriesStatus.COMPLETE, SeriesStatus.EXCLUDED}
    changes = run(tmp_path / "changes", Knower(known, "a fox", 5.5), *references)
    assert (changes.jnds[0].n, changes.jnds[0].excluded) == (2, 1), (
        "a wrong answer may change; one that says nothing not"
    )


def test_an_excluded_item_costs_its_anchor_alone(tmp_path: Path) -> None:
    observer = Knower({"I cannot tell.": grey("a")}, "a fox", 5.5)
    run(tmp_path / "run", observer, animal("a"))
    assert len(observer.asked) == 2, "once as asked, once in other words"


def test_an_answer_that_was_wrong_and_becomes_right_is_not_wrong(tmp_path: Path) -> None:
    observer = Knower({"a dog": grey("a")}, "a cat", 5.5)
    analysis = run(tmp_path / "run", observer, animal("a", "A"))
    assert analysis.jnds[0].median.level == 6, "it has changed"


def test_an_item_without_a_truth_cannot_become_wrong(tmp_path: Path) -> None:
    analysis = run(
        tmp_path / "run", Knower({"a cat": grey("a")}, "a dog"), animal("a", ""), questions=("answer-wrong",)
    )
    assert analysis.outcomes[0].why == "no truth"


def test_a_question_of_ones_own_about_one_picture(tmp_path: Path) -> None:
    own = {"name": "animal", "text": "Is there a cat? Yes or no.", "pictures": 1}
    observer = Knower({"yes": grey("a")}, "no", 8.5)
    plain = Reference("a", digest(grey("a")), lambda: grey("a"), size=(40, 40))
    analysis = run(tmp_path / "run", observer, plain, questions=(own,))
    assert (analysis.jnds[0].question, analysis.jnds[0].median.level) == ("animal", 9)


def test_the_control_is_one_grey_level_and_other_letters(tmp_path: Path) -> None:
    observer = Knower({"a cat": grey("a")}, "a dog", 6.5)
    run(tmp_path / "run", observer, animal("a"))
    first, control = observer.asked[0], observer.asked[-1]
    apart = control.pictures[0].pixels.astype(int) - first.pictures[0].pixels
    assert set(np.unique(apart)) == {-1, 1}
    assert control.text != first.text
    assert set(control.text.splitlines()[1:4]) != set(first.text.splitlines()[1:4])
    assert sorted(line[3:] for line in control.text.splitlines()[1:4]) == ["a cat", "a dog", "a fox"]


def test_unrest_is_what_a_control_changes_and_stands_beside(tmp_path: Path) -> None:
    references = [animal(f"p{k}") for k in range(60)]
    (row,) = run(tmp_path / "steady", Many(0.0), *references[:20]).answers
    assert (row.false_alarms.k, row.false_alarms.n) == (0, 20)
    (row,) = run(tmp_path / "restless", Many(0.2), *references).answers
    interval = row.false_alarms.interval
    assert interval is not None
    assert interval.low <= 0.32 <= interval.high, "2 u (1 - u): one of both answers is the other"


class Many(Knower):
    """Says cat, or at random dog."""

    def __init__(self, unrest: float) -> None:
        super().__init__({"a cat": grey("a")}, "a dog", threshold=1e6, unrest=unrest)


def test_of_a_sampled_observer_the_majority_of_five_counts(tmp_path: Path) -> None:
    observer = Knower({"a cat": grey("a")}, "a dog", threshold=6.5, unrest=0.2, sampled=True)
    out = tmp_path / "run"
    analysis = run(out, observer, animal("a"))
    assert analysis.jnds[0].median.level == 7
    with Store.open(out) as store:
        trials = list(store.trials(observer.name, "answer-changes", analysis.outcomes[0].series.id))
    parts = {trial.part for trial in trials if (trial.reference, trial.level) == (0, 7)}
    assert parts == {*range(DRAWS), *range(OTHER_SIDE, OTHER_SIDE + DRAWS)}
    assert len({trial.key for trial in trials if trial.part < OTHER_SIDE}) == DRAWS, "the anchor is drawn once"


@pytest.mark.parametrize("sampled", [False, True])
def test_a_run_that_stopped_within_a_comparison_ends_as_one_that_did_not(tmp_path: Path, sampled: bool) -> None:
    class Breaks(Knower):
        left = 7 if sampled else 4

        async def answer(self, query: limen.Query) -> limen.Reply:
            if self.left == 0:
                return limen.Reply(None, (limen.Attempt("timeout"),))
            self.left -= 1
            return await super().answer(query)

    def make(kind: type[Knower]) -> Knower:
        return kind({"a cat": grey("a")}, "a dog", threshold=6.5, unrest=0.1, sampled=sampled)

    spec = Spec(images=(), observers=(), questions=("answer-changes",), exam=False, floor=False)
    broken = Study.of(spec, [make(Breaks)], [BRIGHTER], references=[animal("a")]).run(tmp_path / "run")
    assert broken.unfinished
    with Store.open(tmp_path / "run") as store:
        assert analyse(store).outcomes[0].status is SeriesStatus.UNFINISHED
    whole = run(tmp_path / "whole", make(Knower), animal("a"))
    assert run(tmp_path / "run", make(Knower), animal("a")).jnds == whole.jnds


def test_a_greedy_observer_has_one_answer_to_one_picture(tmp_path: Path) -> None:
    spec = Spec(
        images=(), observers=(), questions=("answer-changes",), exam=False, floor=False,
        procedure={"name": "constant", "draws": 2},
    )  # fmt: skip
    study = Study.of(spec, [Knower({"a cat": grey("a")}, "a dog")], [BRIGHTER], references=[animal("a")])
    (left,) = study.run(tmp_path / "run").unfinished
    assert "the same picture, asked the same, is answered the same" in left.detail


def test_an_answer_becomes_wrong_once() -> None:
    spec = Spec(images=(), observers=(), questions=("answer-wrong",), procedure={"name": "skip", "orders": 2})
    with pytest.raises(InputError, match="becomes wrong once"):
        Study.of(spec, [Many(0.0)], [BRIGHTER], references=[animal("a")])


@pytest.mark.parametrize("form", [YesNo(), Choice()])
def test_yes_or_no_may_be_an_items_answer(tmp_path: Path, form: Any) -> None:
    item = asking(form, "yes", "Is it a cat?")
    observer = Knower({"A" if isinstance(form, Choice) else "yes": grey("a")}, "no", threshold=3.5)
    analysis = run(tmp_path / "run", observer, reference("a", grey("a"), item))
    assert analysis.jnds[0].median.level == 4


def test_two_questions_about_one_picture_are_two_series(tmp_path: Path) -> None:
    first, second = animal("a"), animal("a", "A", "Which animal sits there?")
    assert first.digest != second.digest
    analysis = run(tmp_path / "run", Knower({"a cat": grey("a")}, "a dog"), first, second)
    assert analysis.jnds[0].n == 2


@pytest.mark.parametrize(("finish", "level"), [("stop", 6), ("length", None)])
def test_to_say_that_one_cannot_tell_is_another_answer_but_to_be_cut_off_is_none(
    tmp_path: Path, finish: str, level: int | None
) -> None:
    class Cautious(Knower):
        async def answer(self, query: limen.Query) -> limen.Reply:
            reply = await super().answer(query)
            assert reply.answer is not None
            ending = "stop" if reply.answer.text == "A" else finish
            return limen.Reply(replace(reply.answer, finish=ending), reply.attempts)

    analysis = run(tmp_path / "run", Cautious({"a cat": grey("a")}, "I cannot tell.", 5.5), animal("a"))
    (threshold,) = analysis.outcomes[0].thresholds
    assert (None if threshold.censored else threshold.level) == level


def test_categories_have_rows_of_their_own(tmp_path: Path) -> None:
    cats = [reference(n, grey(n), replace(asking(ANIMALS, "A", f"Which? {n}"), category="cats")) for n in "ab"]
    dogs = [reference(n, grey(n), replace(asking(ANIMALS, "B", f"Which? {n}"), category="dogs")) for n in "cd"]
    known = {"a cat": grey("a"), "a cat ": grey("b"), "a dog": grey("c"), "a dog ": grey("d")}

    class Kinds(Knower):
        def _says(self, picture: limen.Picture, query: limen.Query) -> str:
            return super()._says(picture, query).strip()

    analysis = run(tmp_path / "run", Kinds(known, "a fox", 5.5), *cats, *dogs, questions=("answer-wrong",))
    rows = {one.category: one for one in analysis.categories}
    assert {name: (one.row.n, one.row.median.level, one.false_alarms.n) for name, one in rows.items()} == {
        "cats": (2, 6, 2), "dogs": (2, 6, 2),
    }  # fmt: skip
    assert tables.categories(analysis).rows[0][:3] == ("brighter", "cats", "2")
    assert run(tmp_path / "one", Kinds(known, "a fox", 5.5), *cats).categories == (), "one category is the whole"


def test_items_are_pictures_to_other_questions(tmp_path: Path) -> None:
    class Looks(Knower):
        async def answer(self, query: limen.Query) -> limen.Reply:
            one, other = (picture.pixels.astype(float) for picture in query.pictures)
            said = "<yes>" if np.sqrt(np.mean((one - other) ** 2)) > 9.5 else "<no>"
            return limen.Reply(limen.Answer(said, finish="stop"), (limen.Attempt("ok"),))

    analysis = run(tmp_path / "run", Looks({}), animal("a"), questions=("direct",))
    assert analysis.jnds[0].median.level == 10
    assert distortion.find("blur").of == "image"
