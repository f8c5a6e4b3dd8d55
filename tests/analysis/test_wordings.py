"""One question in several wordings: the spread of its thresholds, and what a mere paraphrase changes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import limen
from limen import question
from limen.analysis.trust import trust
from limen.analysis.wordings import wordings
from limen.errors import InputError
from limen.image import Image
from limen.observer import Observer, Reply
from limen.parsing.forms import Letters
from limen.question import Query
from limen.report import headline, statistics
from limen.study import Spec, Study
from limen.testing import photograph
from limen.trial import Answer, Attempt
from tests.support.knower import asking, reference

LEVELS = [float(k) for k in range(1, 21)]


def brighter(image: Image, strength: float) -> Image:
    return np.clip(image + strength, 0, 255).astype(np.uint8)


def grey(name: str) -> Image:
    return (photograph(name, 40, 40) // 2 + 60).astype(np.uint8)


class Worded(Observer):
    """Notices a change of more than a threshold that hangs on the words."""

    name = "worded"

    def fingerprint(self) -> dict[str, Any]:
        return {"kind": "worded"}

    async def answer(self, query: Query) -> Reply:
        one, other = (picture.pixels.astype(float).mean() for picture in query.pictures)
        least = 4.5 if query.text.startswith("Is there") else 8.5 if query.text.startswith("Compare") else 12.5
        return Reply(Answer("<yes>" if abs(one - other) > least else "<no>", finish="stop"), (Attempt("ok"),))


def measured(paraphrases: int, **given: Any) -> limen.Run:
    pictures = {name: grey(name) for name in "abcdef"}
    return limen.measure(
        pictures, Worded(), brighter, ladders={"brighter": LEVELS}, paraphrases=paraphrases, exam=False, **given
    )


def test_the_spread_over_wordings_is_that_of_their_means(tmp_path: Path) -> None:
    run = measured(2, out=tmp_path / "run")
    (row,) = wordings(run.analysis)
    assert row.wordings == ("direct", "direct~1", "direct~2")
    assert (row.n, row.means) == (6, (5.0, 9.0, 13.0))
    assert row.spread == pytest.approx(4.0)
    assert row.interval is not None
    assert row.interval.low == row.interval.high == pytest.approx(4.0), "all references are alike"
    assert row.changed is None
    assert "in 3 wordings the mean of brighter has an sd of 4.0" in headline.sentence(
        run.analysis, trust(run.analysis, {})
    )
    assert statistics.wordings(run.analysis, (row,)).rows[0][-2:] == ("5.0, 9.0, 13.0", "4.0 [4.0, 4.0]")
    assert wordings(limen.open(tmp_path / "run").analysis) == (row,), "the run keeps which question is whose wording"


def test_wordings_are_other_words_of_the_same_question() -> None:
    direct = question.find("direct")
    several = direct.wordings(5)
    assert [one.name for one in several] == [f"direct~{k}" for k in range(1, 6)]
    assert [one.fill("blur") for one in several] == [direct.fill("blur", k) for k in range(1, 6)]
    views = {one.fill("perspectives") for one in (direct, *several)}
    assert len(views) == 6, "the views of scenes have their own"
    assert len({one.digest for one in (direct, *several)}) == 6
    assert several[0].fill("blur", 1) == direct.fill("blur"), "what cannot be read is asked once more in other words"
    with pytest.raises(InputError, match="has 5 paraphrases, not 6"):
        direct.wordings(6)
    with pytest.raises(InputError, match="'forced-choice' has 1 paraphrases, not 2"):
        measured(2, questions="forced-choice")


def test_one_wording_has_no_spread() -> None:
    run = measured(0)
    assert wordings(run.analysis) == ()
    assert "wordings" not in headline.sentence(run.analysis, trust(run.analysis, {}))


def test_what_a_mere_paraphrase_changes(tmp_path: Path) -> None:
    class Fickle(Observer):
        name = "fickle"

        def fingerprint(self) -> dict[str, Any]:
            return {"kind": "fickle"}

        async def answer(self, query: Query) -> Reply:
            bright = query.pictures[0].pixels.mean() > 115
            said = "B" if bright and not query.text.startswith("What") else "A"
            return Reply(Answer(said, finish="stop"), (Attempt("ok"),))

    item = asking(Letters(("a cat", "a dog")), "A")
    images = {
        name: np.full((40, 40, 3), shade, np.uint8) for name, shade in zip("abcd", (80, 90, 120, 130), strict=True)
    }
    spec = Spec(
        images=(), observers=(), questions=("answer-changes",), paraphrases=1, identical_pairs=False, exam=False,
        floor=False,
    )  # fmt: skip
    kind = limen.Distortion("brighter", "brightness", limen.Ladder((1.0, 2.0, 3.0), "grey"),
                            lambda image, rng: lambda strength: brighter(image, strength))  # fmt: skip
    references = [reference(name, image, item) for name, image in images.items()]
    Study.of(spec, [Fickle()], [kind], references=references).run(tmp_path / "run")
    (row,) = wordings(limen.open(tmp_path / "run").analysis)
    assert row.changed is not None
    assert (row.changed.k, row.changed.n) == (2, 4)
