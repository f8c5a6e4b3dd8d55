"""For tests, yours and ours: read an answer, make a stimulus, simulate a procedure, check a plug-in's contract."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from limen import digest
from limen import distortion as distortions
from limen import observer as observers
from limen import procedure as procedures
from limen import question as questions
from limen.errors import InputError
from limen.image import Image, Picture
from limen.ladder import Ladder
from limen.loop import finish
from limen.parsing.yes_no import Flag, Verdict
from limen.procedure import Method, Probe, Result
from limen.question import Query
from limen.statistics.observer_model import Prior
from limen.threshold import Estimate, Threshold
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
    """Return `image` under a distortion at a level (0 is the image itself); `key` names the random draw.

    Args:
        image: uint8 RGB (H, W, 3), 32 px or more a side.
        distortion: by name.
        level: 0..L of its ladder.
        key: any text; the same key gives the same pixels.
    """
    drawn: Image = distortions.find(distortion).render(image, key)(level)
    return drawn


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a procedure found on given answers.

    Attributes:
        found: as the procedure returned it.
        asked: the distinct pairs it asked about, in order, with the verdicts.
    """

    found: Result
    asked: dict[Probe, Verdict]

    @property
    def thresholds(self) -> tuple[Threshold, ...]:
        """The protocol's JNDs; none from a procedure that fits."""
        return tuple(one for one in self.found if isinstance(one, Threshold))

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """The fitted thresholds; none from a procedure that finds the protocol's JNDs."""
        return tuple(one for one in self.found if isinstance(one, Estimate))

    @property
    def levels(self) -> tuple[float | None, ...]:
        """The levels found, in order: of JNDs, or fitted; None for a censored one."""
        fitted = tuple(one.level if one.reached else None for one in self.estimates)
        return fitted + tuple(None if one.censored else one.level for one in self.thresholds)

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
    prior: Prior | None = None,
    **settings: Any,
) -> Simulation:
    """Run a procedure on known answers, without images.

    Args:
        procedure: a name from `limen list`, or a made one (its own settings then count).
        answers: booleans for levels 1..L against any reference, or a function `(reference_level, level) -> bool`.
        levels: L, >= 1; needed where `answers` is a function.
        gap: i_a of the window, >= 1, for the procedures that have it.
        confirm: w of the window, >= 0, for the procedures that have it.
        orders: how many JNDs to look for, >= 0 (0: all), for the procedures that have it.
        prior: what earlier series taught (`learn`), for the procedures that learn.
        settings: further settings of the procedure, by name (`certainty`, `trials`, ...).

    Examples:
        >>> import limen
        >>> found = limen.simulate("scan", lambda reference, level: level - reference >= 7, levels=50)
        >>> found.levels, found.questions
        ((7,), 9)
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

    method = _method(procedure, {"gap": gap, "confirm": confirm, "orders": orders}, settings)
    return play(method, lambda probe: says(probe.reference, probe.level), levels, prior)


def play(method: Method, says: Callable[[Probe], bool], levels: int, prior: Prior | None = None) -> Simulation:
    """Run a made procedure on answers by probe: where an observer samples, each draw may have its own.

    Args:
        method: a procedure with its settings.
        says: whether the observer says yes to a probe.
        levels: L, >= 1.
        prior: what earlier series taught; None where there is nothing.
    """
    asked: dict[Probe, Verdict] = {}
    course = procedures.begin(method, Ladder(tuple(float(k) for k in range(1, levels + 1)), unit="level"), prior)
    try:
        ask = next(course)
        while True:
            for probe in ask.needed:
                if probe not in asked:
                    asked[probe] = Verdict(Flag.YES if says(probe) else Flag.NO)
            ask = course.send({probe: asked[probe] for probe in ask.needed})
    except StopIteration as stop:
        return Simulation(stop.value, asked)


def _method(procedure: str | Method, protocol: dict[str, Any], settings: dict[str, Any]) -> Method:
    """Make the procedure, with those of the protocol's settings that it has."""
    if not isinstance(procedure, str):
        return procedure
    known = getattr(procedures.find(procedure), "__struct_fields__", ())
    return procedures.make(procedure, {k: v for k, v in protocol.items() if k in known} | settings)


def photograph(name: str = "a", height: int = 96, width: int = 128) -> Image:
    """Return a small picture with edges, texture and colour, always the same for the same name.

    Args:
        name: any text.
        height: in px, >= 4.
        width: in px, >= 4.
    """
    rng = digest.generator("testing.photograph", name)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    layers = [
        127 + 60 * np.sin(2 * np.pi * (rng.uniform(1, 9) * x + rng.uniform(1, 9) * y + rng.uniform())) for _ in range(3)
    ]
    picture = np.stack(layers, axis=-1)
    picture[height // 4 : height // 2, width // 3 : width // 2] = rng.uniform(20, 235, 3)
    return np.clip(np.rint(picture + rng.normal(0, 4, picture.shape)), 0, 255).astype(np.uint8)


# --- contracts: call these from the tests of your own plug-in ---


def check_distortion(name: str) -> None:
    """Raise `AssertionError` unless the distortion `name` keeps the contract.

    Level 0 is the input itself; every level is uint8 RGB of the same shape; the same key gives the same pixels in
    any order; the input is left alone; it works on small, odd, flat and grey images.
    """
    kind = distortions.find(name)
    assert kind.of == "image", f"{name}: is done to a {kind.of}; this check is for distortions of images"
    top = len(kind.ladder)
    flat, grey = np.full((33, 47, 3), 128, np.uint8), photograph("g").mean(axis=2, keepdims=True).astype(np.uint8)
    for image in (photograph(), photograph("small", 32, 32), flat, np.repeat(grey, 3, axis=2)):
        before = image.copy()
        render = kind.render(image, "contract")
        levels = sorted({1, 2, top // 2, top})
        forwards = {level: render(level) for level in levels}
        assert render(0) is image, f"{name}: level 0 is not the input itself"
        for level in reversed(levels):
            again = kind.render(image, "contract")(level)
            assert again.dtype == np.uint8, f"{name}: level {level} is {again.dtype}, not uint8"
            assert again.shape == image.shape, f"{name}: level {level} has shape {again.shape}, not {image.shape}"
            assert np.array_equal(again, forwards[level]), f"{name}: level {level} differs the second time"
        assert np.array_equal(image, before), f"{name}: changes its input"
    assert kind.word, f"{name}: has no word for the question"
    assert kind.summary, f"{name}: has no docstring"
    assert len(set(kind.ladder.strengths)) == top, f"{name}: two levels have the same strength"


def check_procedure(name: str, levels: int = 50) -> None:
    """Raise `AssertionError` unless the procedure `name` keeps the contract.

    It ends on any answers, asks within the ladder and above the reference, and finds the same on the same answers.
    """
    for share in (0.0, 0.1, 0.5, 0.9, 1.0):
        rng = digest.generator("contract", name, int(100 * share))
        table = rng.random((levels + 1, levels + 1)) < share

        def says(reference: int, level: int, table: Any = table) -> bool:
            return bool(table[reference, level])

        first, second = (simulate(name, says, levels, orders=0) for _ in range(2))
        assert first == second, f"{name}: asks or finds something else the second time"
        for probe in first.asked:
            assert 0 <= probe.reference < probe.level <= levels, f"{name}: asks for {probe} on {levels} levels"
        for order, threshold in enumerate(first.thresholds, start=1):
            assert threshold.order == order, f"{name}: threshold {threshold.order} comes as number {order}"


def check_observer(name: str, settings: dict[str, Any] | None = None) -> None:
    """Raise `AssertionError` unless the observer `name` keeps the contract.

    It answers or says why not, never both; its fingerprint is plain JSON and does not change; a query put twice is
    answered the same (do not call this on an observer that samples).
    """

    async def talk() -> None:
        async with observers.make(name, settings or {}) as observer:
            print_ = digest.of(dict(observer.fingerprint()))
            text = questions.find("direct").fill("blur")
            one, other = Picture.of(photograph("a", 64, 64)), Picture.of(photograph("b", 64, 64))
            query = Query((one, other, text))
            replies = [await observer.answer(query) for _ in range(2)]
            for reply in replies:
                assert reply.attempts, f"{name}: a reply without an attempt"
                failed = reply.attempts[-1].outcome not in {"ok", "recorded"}
                assert (reply.answer is None) == failed, f"{name}: the last attempt and the answer disagree"
            texts = [reply.answer.text if reply.answer else None for reply in replies]
            assert texts[0] == texts[1], f"{name}: answers the same query differently: {texts}"
            assert digest.of(dict(observer.fingerprint())) == print_, f"{name}: its fingerprint changes"
            assert observer.concurrency >= 1, f"{name}: concurrency is {observer.concurrency}"

    finish(talk())
