"""1st JND against the sizes of an observer's language and vision backbones.

The paper draws a quadratic through its four largest models; `parabola` does the same, and says that three parameters
take four points without a test. Beside it stands Spearman's correlation over all models whose backbones are known.

`count` works the sizes out of a transformers configuration, without weights.
"""

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from limen.analysis.correlations import FEWEST, Score, averages, uncensored
from limen.errors import InputError, MissingExtraError
from limen.statistics.inference import Correlation, correlate


@dataclass(frozen=True, slots=True)
class Parameters:
    """Sizes of a model's backbones.

    Attributes:
        vision: Param_V, in millions.
        language: Param_L, in billions; of a mixture of experts all of them, not the active ones.
        mixture: whether the language backbone is a mixture of experts.
    """

    vision: float
    language: float
    mixture: bool = False

    def __post_init__(self) -> None:
        if not (self.vision > 0.0 and self.language > 0.0):
            raise InputError(
                f"Backbones have sizes above 0, not {self.vision:g} million (vision) and {self.language:g} billion "
                "(language). Leave a model out whose sizes are not known."
            )

    @property
    def ratio(self) -> float:
        """Param_L / Param_V, without a unit."""
        return 1000.0 * self.language / self.vision


@dataclass(frozen=True, slots=True)
class ParameterCounts:
    """Parameters of an image-text-to-text model, counted one by one; shared ones once.

    Attributes:
        vision: of the vision model, with a merger of patches where that is a part of it (Qwen-VL).
        connector: of what lies between the two, and of anything else.
        language: of the language model with its embeddings and output layer.
        active: of `language`, those that one token uses: of experts the share that is chosen; all where there are none.
    """

    vision: int
    connector: int
    language: int
    active: int

    @property
    def parameters(self) -> Parameters:
        """The sizes in the units of tables."""
        return Parameters(self.vision / 1e6, self.language / 1e9, self.active < self.language)


SIZES: Mapping[str, Callable[[Parameters], float]] = {
    "Param_L": lambda sizes: sizes.language,
    "Param_V": lambda sizes: sizes.vision,
    "Param_L/Param_V": lambda sizes: sizes.ratio,
}


@dataclass(frozen=True, slots=True)
class BackboneRow:
    """Spearman's correlation of a part's mean 1st JND with a size, over observers.

    Attributes:
        part: of `limen.analysis.correlations.PARTS`, or "all".
        size: of `SIZES`.
        kept: "all" models, those "uncensored" (without a cell that is only a bound), or those "dense" (no mixture).
    """

    part: str
    size: str
    kept: str
    correlation: Correlation


@dataclass(frozen=True, slots=True)
class Parabola:
    """The least-squares quadratic of a part's mean 1st JND against Param_L/Param_V.

    Attributes:
        observers, ratios, means: its points.
        coefficients: of the square, the ratio and 1. There are always three; with as many points it meets each.
        left, right: its values at the least and the largest ratio.
        top: where it is highest, as ratio and value; None where that is at an end.
        residual: the largest distance of a point from it, in levels.
    """

    part: str
    observers: tuple[str, ...]
    ratios: tuple[float, ...]
    means: tuple[float, ...]
    coefficients: tuple[float, float, float]
    left: float
    right: float
    top: tuple[float, float] | None
    residual: float

    def at(self, ratio: float) -> float:
        """Return its value."""
        return float(np.polyval(self.coefficients, ratio))


def backbones(
    given: Sequence[Score], parameters: Mapping[str, Parameters], mixed: bool = False
) -> tuple[BackboneRow, ...]:
    """Return Spearman's correlations of the 1st JND with backbone sizes, with BCa intervals over observers.

    Nothing is fitted. Observers whose sizes are not known are left out, and where fewer than four stay there is no
    row. Models of one family share backbones and training: the intervals take them as independent, and are too
    narrow by an unknown amount.

    Args:
        given: scores of one question.
        parameters: by observer.
        mixed: as for `limen.analysis.correlations.averages`.
    """
    known = [score for score in given if score.observer in parameters]
    dense = [score for score in known if not parameters[score.observer].mixture]
    kept = {"all": known, "uncensored": uncensored(known), "dense": dense}
    rows = []
    for name, chosen in kept.items():
        if name != "all" and len(chosen) == len(known):
            continue
        means = averages(chosen, mixed)
        for part in dict.fromkeys(average.part for average in means):
            mine = [average for average in means if average.part == part]
            for size, of in SIZES.items() if len(mine) >= FEWEST else ():
                x, y = [of(parameters[average.observer]) for average in mine], [average.value for average in mine]
                rows.append(BackboneRow(part, size, name, correlate(x, y)))
    return tuple(rows)


def parabola(
    given: Sequence[Score], parameters: Mapping[str, Parameters], part: str, observers: Sequence[str]
) -> Parabola | None:
    """Return the quadratic through these observers' means; None for fewer than three different ratios.

    Args:
        given: scores of one question.
        parameters: by observer.
        part: of `limen.analysis.correlations.PARTS`, or "all".
        observers: its points; those without scores or sizes are left out.
    """
    means = {average.observer: average.mean for average in averages(given, mixed=True) if average.part == part}
    chosen = [observer for observer in observers if observer in means and observer in parameters]
    x, y = ([of[name] for name in chosen] for of in ({n: p.ratio for n, p in parameters.items()}, means))
    if len(set(x)) < 3:
        return None
    square, slope, constant = (float(value) for value in np.polyfit(x, y, 2))
    ends, vertex = (min(x), max(x)), -slope / (2.0 * square) if square < 0.0 else None
    values = np.polyval((square, slope, constant), [*ends, *x])
    inside = vertex is not None and ends[0] < vertex < ends[1]
    top = (vertex, constant + slope * vertex / 2.0) if vertex is not None and inside else None
    residual = float(np.max(np.abs(values[2:] - y)))
    points = (tuple(chosen), tuple(x), tuple(y))
    return Parabola(part, *points, (square, slope, constant), float(values[0]), float(values[1]), top, residual)


# --- sizes from a configuration ---

_EXPERT = re.compile(r"(^|\.)experts\.")
_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
_CHOSEN = ("num_experts_per_tok", "num_experts_per_token", "moe_k")


def count(source: str | Path) -> ParameterCounts:
    """Count the parameters of a checkpoint's parts from its configuration, without loading or fetching weights.

    The model is built on torch's meta device, where tensors have shapes and no contents. No code of others runs.

    Args:
        source: a folder with a config.json, or a hub id.

    Raises:
        InputError: it is no image-text-to-text model that this version of transformers knows.
        MissingExtraError: transformers is not installed.
    """
    try:
        transformers = importlib.import_module("transformers")
    except ImportError:
        raise MissingExtraError("counting parameters", "transformers", "local") from None
    try:
        config = transformers.AutoConfig.from_pretrained(source)
    except (OSError, ValueError, KeyError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise InputError(f"{source}: has no configuration that can be used ({why}). Check the name.") from None
    return count_config(config)


def count_config(config: Any) -> ParameterCounts:
    """Count as `count` does, from a configuration object.

    Raises:
        InputError: it is no image-text-to-text model, or does not say which of its parts are vision and language.
    """
    torch, transformers = importlib.import_module("torch"), importlib.import_module("transformers")
    if type(config) not in transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        raise InputError(f"{config.model_type!r} is not an image-text-to-text model: it has no two backbones to count.")
    with torch.device("meta"):
        model = transformers.AutoModelForImageTextToText.from_config(config)
    tower, decoder = model.get_encoder(modality="image"), model.get_decoder()
    if tower is model or tower is model.base_model or decoder is model:
        raise InputError(
            f"{config.model_type!r} does not say which of its parts are vision and language. Count by hand."
        )
    head = model.get_output_embeddings()
    vision = _sizes(tower)
    language = _sizes(decoder) | (_sizes(head) if head is not None else {})
    everything = sum(size for _, size in _sizes(model).values())
    chosen = _chosen(getattr(config, "text_config", config))
    active = sum(round(size * chosen) if _EXPERT.search(name) else size for name, size in language.values())
    seen, said = (sum(size for _, size in part.values()) for part in (vision, language))
    return ParameterCounts(seen, everything - seen - said, said, active)


def _sizes(module: Any) -> dict[int, tuple[str, int]]:
    """Return name and size of each parameter, by identity, so that a shared one counts once."""
    return {id(value): (name, value.numel()) for name, value in module.named_parameters()}


def _chosen(config: Any) -> float:
    """Return the share of its experts that a token goes through; 1 where there are none."""
    experts, used = (
        next((n for name in names if (n := getattr(config, name, None))), None) for names in (_EXPERTS, _CHOSEN)
    )
    return used / experts if experts and used else 1.0
