"""An observer of known threshold."""

from typing import Annotated, Any

import msgspec
import numpy as np

from limen import digest
from limen.errors import FatalObserverError
from limen.observer import Concurrency, Observer, Reply, flags, observer
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

    async def answer(self, query: Query) -> Reply:
        """Answer by the measured difference of the first and the last picture."""
        if self._options.latency:
            import asyncio

            await asyncio.sleep(self._options.latency)
        first, last = query.pictures[0], query.pictures[-1]
        difference = first.pixels.astype(np.float32) - last.pixels
        p_yes = self.probability(float(np.sqrt(np.mean(difference**2))))
        yes = digest.generator("simulated", self._options.seed, digest.of(query.shown)).random() < p_yes
        said = flags(query)
        if not said:
            raise FatalObserverError(
                "question", "the simulated observer says whether two pictures differ; for items take 'solver'"
            )
        words = "The two images differ." if yes else "The two images look the same."
        text = said[yes].rstrip(".") if said[yes].endswith(".") else f"{said[yes]} {words}"
        return Reply(Answer(text, p_yes=p_yes, p_neither=0.0, finish="stop"), (Attempt("ok"),))
