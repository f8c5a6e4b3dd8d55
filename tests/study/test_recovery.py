"""Observers of known threshold are found again, whatever the form of their answer; those of known unrest are not."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limen import digest
from limen.analysis import Analysis, analyse
from limen.analysis.fitting import fit
from limen.distortion import Distortion
from limen.image import Image, Picture
from limen.image import digest as digest_of
from limen.item import Item
from limen.ladder import Ladder
from limen.observer import Observer, Reply
from limen.parsing.forms import Cell, Form, Letters, Number, ShortText, YesNo
from limen.question import Query
from limen.source import Reference
from limen.store import Store
from limen.study import Spec, Study
from limen.trial import Answer, Attempt
from tests.support.knower import reference

CENTRE, SD, WIDTH = 10.0, 2.5, 4.0  # of thresholds over references, in levels; of each curve, from 5 to 95 %
REFERENCES = 24
STEP = 2  # grey levels of one level
BRIGHTER = Distortion(
    "brighter", "brightness", Ladder(tuple(float(k) for k in range(1, 21)), "steps"),
    lambda image, rng: lambda strength: (image + round(strength) * STEP).astype(np.uint8),
)  # fmt: skip
ITEMS: dict[str, tuple[Form, str, str]] = {  # form, what is said of the reference, and of what looks different
    "letters": (Letters(("a cat", "a dog", "a fox")), "A", "B"),
    "number": (Number(tolerance=1), "12", "17"),
    "text": (ShortText(), "red", "blue"),
    "cell": (Cell(4, 4), "<2, 3>", "<1, 1>"),
    "yes-no": (YesNo(), "<yes> I see one.", "<no> There is none."),
}
PAIRS: dict[str, Any] = {
    "same": {"name": "same", "text": "Identical? Yes or no.", "notices": ["no"]},
    "same-different": "same-different",
    "odd-one-out-3": "odd-one-out-3",
    "forced-choice-4": "forced-choice-4",
}


def picture(number: int, seed: int) -> Image:
    return digest.generator("recovery", number, seed).integers(60, 160, (32, 32, 3), dtype=np.uint8)


class Known(Observer):
    """Notices each reference's brightening with a logistic probability around a threshold of its own; frozen."""

    def __init__(self, form: str, seed: int, unrest: float = 0.0, blind: bool = False) -> None:
        self.name, self.form, self.seed, self.unrest, self.blind = f"known-{form}", form, seed, unrest, blind
        self.known = [picture(number, seed).astype(int) for number in range(REFERENCES)]

    def fingerprint(self) -> dict[str, Any]:
        return {"kind": "known", "seed": self.seed, "unrest": self.unrest, "blind": self.blind}

    async def answer(self, query: Query) -> Reply:
        return Reply(Answer(self.says(query), finish="stop"), (Attempt("ok"),))

    def says(self, query: Query) -> str:
        seen = [self._recognised(one) for one in query.pictures]
        levels, key = [level for _, level in seen], digest.of(query.shown)
        noticed = self._notices(seen[0][0], max(levels) - min(levels if len(levels) > 1 else [0.0]), key)
        if len(levels) == 1:
            said, other = self._values(query)
            return other if noticed else said
        if len(levels) == 2:
            assert query.flags
            return query.flags[noticed]
        odd = int(np.argmax(np.abs(np.array(levels) - np.median(levels))))
        return f"Number {1 + (odd if noticed else int(digest.generator('guess', key).integers(len(levels))))}."

    def _recognised(self, one: Picture) -> tuple[int, float]:
        """Return which reference a picture is made of, and its level: a brighter one differs by a constant."""
        apart = [one.pixels - known for known in self.known]
        number = int(np.argmin([each.std() for each in apart]))
        return number, float(apart[number].mean()) / STEP

    def _notices(self, number: int, level: float, key: str) -> bool:
        own = digest.generator("threshold", number, self.seed).normal(CENTRE, SD)
        rise = 0.0 if self.blind or level < 0.4 else 1 / (1 + np.exp(-2 * np.log(19) * (level - own) / WIDTH))
        return bool(digest.generator("notices", key, self.seed).random() < self.unrest + (1 - self.unrest) * rise)

    def _values(self, query: Query) -> tuple[str, str]:
        """Return what is said of a reference, and of what looks different: of letters by what they stand for."""
        _, said, other = ITEMS[self.form]
        letters = {line[3:]: line[0] for line in query.text.splitlines() if line[1:3] == ". "}
        return (letters["a cat"], letters["a dog"]) if letters else (said, other)


def measured(form: str, seed: int, tmp_path: Path, procedure: str = "constant", **about: Any) -> Analysis:
    images = {f"{number}": picture(number, seed) for number in range(REFERENCES)}
    if form in ITEMS:
        item = Item("What is it?", ITEMS[form][0])
        references = [reference(name, image, item) for name, image in images.items()]
    else:
        references = [
            Reference(name, digest_of(image), functools.partial(picture, int(name), seed), size=(32, 32))
            for name, image in images.items()
        ]
    spec = Spec(
        images=(), observers=(), questions=("answer-changes" if form in ITEMS else PAIRS[form],), exam=False,
        floor=False, keep_megabytes=0,
        procedure={"name": procedure} | ({"every": 2} if procedure == "constant" else {}),
    )  # fmt: skip
    study = Study.of(spec, [Known(form, seed, **about)], [BRIGHTER], references=references)
    assert not study.run(tmp_path / f"{form}-{seed}").unfinished
    with Store.open(tmp_path / f"{form}-{seed}") as store:
        return analyse(store)


@pytest.mark.slow
def test_the_threshold_is_covered_whatever_the_form(tmp_path: Path) -> None:
    covered, errors = [], []
    for seed, form in enumerate((*ITEMS, *PAIRS)):
        (row,) = fit(measured(form, seed, tmp_path))
        assert row.fit is not None
        covered.append(row.fit.threshold.interval.low <= CENTRE <= row.fit.threshold.interval.high)
        errors.append(row.fit.threshold.median - CENTRE)
    assert np.mean(covered) >= 0.9 - 1 / len(covered), (covered, errors)
    assert abs(float(np.mean(errors))) < 0.6, errors


@pytest.mark.parametrize("procedure", ["skip", "certify", "psi", "scan"])
def test_procedures_work_on_changed_answers_unchanged(procedure: str, tmp_path: Path) -> None:
    analysis = measured("letters", 0, tmp_path, procedure)
    found = analysis.estimates[0].median if procedure == "psi" else analysis.jnds[0].median
    assert 7 <= found.level <= 13
    assert (analysis.estimates or analysis.jnds)[0].n == REFERENCES


def test_unrest_is_found_and_makes_no_threshold(tmp_path: Path) -> None:
    """An observer whose answers change for no reason has no threshold made of it: "?", or none at all."""
    analysis = measured("letters", 1, tmp_path, unrest=0.3, blind=True)
    (row,) = fit(analysis)
    assert row.alarms.interval is not None
    assert row.alarms.interval.low <= 2 * 0.3 * 0.7 <= row.alarms.interval.high
    assert row.undetermined or row.t50.censored, row.t50
