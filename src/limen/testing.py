"""For tests, yours and ours: read an answer, make a stimulus, simulate a procedure, check a plug-in's contract."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from limen import distortion as distortions
from limen import procedure as procedures
from limen import question as questions
from limen.errors import InputError
from limen.image import Image
from limen.ladder import Ladder
from limen.procedure import Method, Probe
from limen.reading import Flag, Verdict
from limen.threshold import Threshold
from limen.trial import Answer

Answers: TypeAlias = Sequence[bool] | Callable[[int, int], bool]


def read(question: str, answer: str, finish: str = "") -> tuple[str, str | None]:
    """Read a model's answer as `limen` would.

    Args:
        question: "direct", "direct-implicit", "choice" or "choice-implicit".
        answer: the raw text.
        finish: why it ended ("stop", "length", "content_filter").

    Returns:
        "yes", "no" or "unreadable"; and None, "antilogy", "gibberish" or "deficiency".
    """
    verdict = questions.find(question).read((Answer(answer, finish=finish),))
    return verdict.flag.value, verdict.fault.value if verdict.fault else None


def stimulus(image: Image, distortion: str, level: int, key: str) -> Image:
    """Return `image` under a distortion at a level (0 is the image itself); `key` names the random draw."""
    return distortions.find(distortion).render(image, key)(level)


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a procedure found on given answers.

    Attributes:
        thresholds: as the procedure returned them.
        asked: the distinct pairs it asked about, in order.
    """

    thresholds: tuple[Threshold, ...]
    asked: tuple[Probe, ...]

    @property
    def levels(self) -> tuple[int | None, ...]:
        """The JND levels in order, None for a censored one."""
        return tuple(None if threshold.censored else threshold.level for threshold in self.thresholds)

    @property
    def questions(self) -> int:
        """How many distinct pairs were asked about."""
        return len(self.asked)


def simulate(
    procedure: str | Method,
    answers: Answers,
    levels: int | None = None,
    gap: int = 1,
    confirm: int = 2,
    orders: int = 1,
    **settings: Any,
) -> Simulation:
    """Run a procedure on known answers, without images.

    Args:
        procedure: a name from `limen list`, or a made one (its own settings then count).
        answers: booleans for levels 1..L against any reference, or a function `(reference_level, level) -> bool`.
        levels: L; needed where `answers` is a function.
        gap, confirm, orders: the protocol's settings, for the procedures that have them.
        settings: further settings of the procedure, by name.
    """
    if callable(answers):
        if levels is None:
            raise InputError("simulate: answers is a function, so levels must be given (50, or 100 for jpeg).")
        says = answers
    else:
        given = answers
        levels = len(given) if levels is None else levels
        if levels != len(given):
            raise InputError(f"simulate: {len(given)} answers were given for {levels} levels. Give one for each.")

        def says(reference: int, level: int) -> bool:
            return bool(given[level - 1])

    ladder = Ladder(tuple(float(k) for k in range(1, levels + 1)), unit="level")
    method = _method(procedure, {"gap": gap, "confirm": confirm, "orders": orders}, settings)
    asked: dict[Probe, Verdict] = {}
    course = method.start(ladder)
    try:
        ask = next(course)
        while True:
            for probe in ask.needed:
                if probe not in asked:
                    yes = says(probe.reference, probe.level)
                    asked[probe] = Verdict(Flag.YES if yes else Flag.NO)
            ask = course.send({probe: asked[probe] for probe in ask.needed})
    except StopIteration as stop:
        return Simulation(stop.value, tuple(asked))


def _method(procedure: str | Method, protocol: dict[str, Any], settings: dict[str, Any]) -> Method:
    """Make the procedure, with those of the protocol's settings that it has."""
    if not isinstance(procedure, str):
        return procedure
    known = getattr(procedures.find(procedure), "__struct_fields__", ())
    return procedures.make(procedure, {k: v for k, v in protocol.items() if k in known} | settings)


def photograph(name: str = "a", height: int = 96, width: int = 128) -> Image:
    """Return a small picture with edges, texture and colour, always the same for the same name."""
    from limen import ident

    rng = ident.generator("testing.photograph", name)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    layers = [
        127 + 60 * np.sin(2 * np.pi * (rng.uniform(1, 9) * x + rng.uniform(1, 9) * y + rng.uniform())) for _ in range(3)
    ]
    picture = np.stack(layers, axis=-1)
    picture[height // 4 : height // 2, width // 3 : width // 2] = rng.uniform(20, 235, 3)
    return np.clip(np.rint(picture + rng.normal(0, 4, picture.shape)), 0, 255).astype(np.uint8)
