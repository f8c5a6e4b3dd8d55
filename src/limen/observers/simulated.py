"""An observer of known threshold."""

from typing import Annotated, Any

import msgspec
import numpy as np

from limen import digest
from limen.errors import FatalObserverError
from limen.image import Picture
from limen.observer import Concurrency, Observer, Reply, flags, observer, of_yes
from limen.question import Query
from limen.registry import Seed
from limen.trial import Answer, Attempt

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class SimulatedOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of the simulated observer.

    Attributes:
        threshold: difference of the two pictures, in grey levels rms, that is noticed half the time.
        slope: width of the logistic psychometric function, in grey levels rms.
        false_alarms: share of yes to identical pictures.
        lapses: share of no to plain differences.
        seed: another seed, another observer.
        latency: seconds to wait before each answer, to stand in for a slow model.
        concurrency: series advanced side by side.
    """

    threshold: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 6.0
    slope: Annotated[float, msgspec.Meta(gt=0, le=1e6)] = 0.5
    false_alarms: Share = 0.0
    lapses: Share = 0.0
    seed: Seed = 0
    latency: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0.0
    concurrency: Concurrency = 8


@observer("simulated", SimulatedOptions)
class Simulated(Observer):
    """Says yes with a logistic probability of the rms difference of the two pictures; frozen, as a greedy model is.

    p(yes | d) = g + (1 - g - l) F((d - threshold) / slope), F scaled so that F(0) = 0; the same pictures and
    wording always get the same answer, in any order and any process.
    """

    def __init__(self, model: str, options: SimulatedOptions) -> None:
        self.name = f"simulated:{model}" if model else "simulated"
        self.concurrency = options.concurrency
        self._options = options

    def fingerprint(self) -> dict[str, Any]:
        """Return the parameters."""
        known = msgspec.to_builtins(self._options)
        return {"kind": "simulated", "version": 1} | {
            k: known[k] for k in sorted(known.keys() - {"latency", "concurrency"})
        }

    def probability(self, rms: float) -> float:
        """Return p(yes) for a difference of `rms` grey levels."""
        o = self._options
        at_zero = 1 / (1 + np.exp(o.threshold / o.slope))
        noticed = (1 / (1 + np.exp((o.threshold - rms) / o.slope)) - at_zero) / (1 - at_zero)
        return float(o.false_alarms + (1 - o.false_alarms - o.lapses) * noticed)

    def _draw(self, query: Query) -> np.random.Generator:
        return digest.generator("simulated", self._options.seed, digest.of(query.shown))

    def _odd(self, query: Query) -> int:
        """Return the place of the picture that differs from the others, where it is noticed; else a guess."""
        pictures, draw = query.pictures, self._draw(query)
        apart = [
            np.median([_rms(one, other) for at, other in enumerate(pictures) if at != own])
            for own, one in enumerate(pictures)
        ]
        noticed = self.probability(float(max(apart)))
        return 1 + int(np.argmax(apart) if draw.random() < noticed else draw.integers(len(pictures)))

    async def answer(self, query: Query) -> Reply:
        """Answer by the measured difference of the first and the last picture; of three and more, by the odd one.

        Raises:
            FatalObserverError: there is one picture, of which nothing can be measured.
        """
        if len(query.pictures) < 2:
            raise FatalObserverError(
                "pictures",
                f"{self.name} measures the difference of two pictures and cannot answer a question about one: give the "
                "observer solver, which reads limen's own items (demo-items)",
            )
        if self._options.latency:
            import asyncio

            await asyncio.sleep(self._options.latency)
        said = flags(query)
        if len(query.pictures) > 2:
            return Reply(Answer(f"Number {self._odd(query)}.", finish="stop"), (Attempt("ok"),))
        if not said:
            raise FatalObserverError(
                "question",
                f"{self.name} says whether two pictures differ, or which of three is the odd one out",
            )
        noticing = self.probability(_rms(query.pictures[0], query.pictures[-1]))
        yes = self._draw(query).random() < noticing
        words = "The two images differ." if yes else "The two images look the same."
        text = said[yes].rstrip(".") if said[yes].endswith(".") else f"{said[yes]} {words}"
        return Reply(Answer(text, p_yes=of_yes(query, noticing), p_neither=0.0, finish="stop"), (Attempt("ok"),))


def _rms(one: Picture, other: Picture) -> float:
    """Return the difference of two pictures, in grey levels rms."""
    difference = one.pixels.astype(np.float32) - other.pixels
    return float(np.sqrt(np.mean(difference**2)))
