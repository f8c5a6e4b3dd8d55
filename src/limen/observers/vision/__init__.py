"""Models of human vision as observers: what a viewer with known optics would be predicted to see.

They are calculations, not people: nothing they answer is human data, and no report may call it so. Each says yes where
its number is above a declared threshold, under declared viewing conditions.

    vision:watson   Watson and Ahumada 2005: luminance contrast seen by the fovea, in just noticeable differences
    vision:cvvdp    ColorVideoVDP (Mantiuk et al. 2024): quality lost, in just-objectionable differences
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import msgspec

from limen.errors import InputError, UnknownNameError
from limen.image import Image
from limen.observer import Attempt, Observer, Query, Reply, numeric_answer, observer, two_pictures
from limen.observers.vision import colorvideovdp, watson

FHD = 37.8  # pixels per degree: a 24-inch screen of 1920x1080 pixels at 0.6 m, ColorVideoVDP's `standard_fhd`


class VisionOptions(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What is declared about the viewer.

    Attributes:
        threshold: above it is a yes. If not given: 1, a just noticeable difference of `watson` (84 % right in a forced
            choice), and a just-objectionable one of `cvvdp` (75 % would prefer the reference).
        pixels_per_degree: of the screen at the viewer's distance.
        masking: of `watson` only: how steeply a picture's own contrast hides changes; 0.62 if not given, 0 for none.
    """

    threshold: Annotated[float, msgspec.Meta(gt=0, le=1e6)] = 1.0
    pixels_per_degree: Annotated[float, msgspec.Meta(ge=1, le=10_000)] = FHD
    masking: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """A full-reference measure.

    Attributes:
        start: from pixels per degree and, where it has one, the slope of masking, to a function of reference and test.
        masking: its slope if none is declared; None where it has none to declare.
        unit: of its number.
        source: where it was published.
        version: raised when numbers change.
    """

    start: Callable[..., Callable[[Image, Image], float]]
    masking: float | None
    unit: str
    source: str
    version: int = 1


MEASURES: Mapping[str, Measure] = {
    "watson": Measure(watson.start, watson.SLOPE, "JND", watson.SOURCE),
    "cvvdp": Measure(colorvideovdp.start, None, "JOD lost", colorvideovdp.SOURCE),
}


@observer("vision", VisionOptions)
class Vision(Observer):
    """A model of human vision, not human data: vision:watson, or vision:cvvdp where its packages are installed."""

    def __init__(self, model: str, options: VisionOptions) -> None:
        if model not in MEASURES:
            raise UnknownNameError("model of human vision", model, MEASURES)
        self._measure, self._options = MEASURES[model], options
        if options.masking is not None and self._measure.masking is None:
            raise InputError(f"vision:{model} masks by its own rules: leave masking out.")
        self._masking = self._measure.masking if options.masking is None else options.masking
        given = () if self._masking is None else (self._masking,)
        self._compare = self._measure.start(options.pixels_per_degree, *given)
        self.name, self._label = f"vision:{model}", model
        self.concurrency, self.numeric = 1, True

    def fingerprint(self) -> Mapping[str, Any]:
        """Return what decides the answers."""
        return {
            "kind": "vision",
            "measure": self._label,
            "version": self._measure.version,
            "source": self._measure.source,
            "threshold": self._options.threshold,
            "unit": self._measure.unit,
            "pixels_per_degree": self._options.pixels_per_degree,
            "masking": self._masking,
            "human": False,
        }

    async def answer(self, query: Query) -> Reply:
        """Answer with the number, and yes where it is above the threshold. The first picture is the reference."""
        first, second = two_pictures(query)
        began = time.perf_counter()
        if first.pixels.shape != second.pixels.shape:
            return Reply(None, (Attempt("input", "the two pictures have different sizes"),))
        number = await asyncio.to_thread(self._compare, first.pixels, second.pixels)
        seconds = time.perf_counter() - began
        answer = numeric_answer(query, number, self._options.threshold, self._measure.unit, {}, self._label)
        return Reply(replace(answer, seconds=seconds), (Attempt("ok", "", seconds),))
