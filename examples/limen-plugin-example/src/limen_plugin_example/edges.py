"""An observer that compares edges, and nothing else."""

from typing import Annotated, Any

import msgspec
import numpy as np

from limen.image import Picture
from limen.observer import Observer, Reply, flags, observer, two_pictures
from limen.question import Query
from limen.trial import Answer, Attempt


class EdgesOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings: `criterion`, the change of the mean gradient that is noticed, in percent."""

    criterion: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 30.0


@observer("edges", EdgesOptions)
class Edges(Observer):
    """Notices when the mean gradient of two pictures differs by more than a criterion."""

    def __init__(self, model: str, options: EdgesOptions) -> None:
        self.name, self.concurrency, self._criterion = "edges", 8, options.criterion

    def fingerprint(self) -> dict[str, Any]:
        """Return what decides the answers; part of the key under which they are kept."""
        return {"kind": "edges", "version": 1, "criterion": self._criterion}

    async def answer(self, query: Query) -> Reply:
        """Answer a question about two pictures that has a yes and a no."""
        first, second = two_pictures(query)
        change = 100 * abs(gradient(second) / max(gradient(first), 1e-9) - 1)
        text = f"{flags(query)[change > self._criterion]} The mean gradient differs by {change:.1f} %."
        return Reply(Answer(text), (Attempt("ok"),))


def gradient(picture: Picture) -> float:
    """Return the mean absolute difference of neighbouring pixels, in grey levels."""
    grey = picture.pixels.mean(axis=2)
    return float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean())
