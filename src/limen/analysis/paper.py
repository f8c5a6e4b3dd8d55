"""The paper's own numbers (Chen et al. 2025, arXiv:2507.00490), and the analyses of runs done on them again.

Transcribed from its figures; data/published/README.md says which. Most of its stimuli are not limen's: nothing here is
ranked or tested with a run, and its human row is quoted only.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from limen.analysis.correlations import (  # fmt: skip
    ALL,
    Average,
    Matrix,
    Rank,
    Score,
    averages,
    correlations,
    ranks,
    reductions,
    uncensored,
)
from limen.analysis.implicit_explicit import Reduction
from limen.analysis.model_size import BackboneRow, Parabola, Parameters, backbones, parabola
from limen.errors import InputError

SOURCE = "Chen et al. 2025, arXiv:2507.00490, transcribed from its figures"
HUMAN = "Human"
LARGE = 72.0  # billions of parameters from which on a model is on the paper's curve
READ = 0.35  # to what the curve can be read off its small figure, in levels
# The paper's columns and limen's names; its banding is in opinion scores of BAND-2k.
COLUMNS: Mapping[str, str] = {
    "blur": "blur", "brightness": "brightness", "color": "saturation", "contrast": "contrast", "jpeg": "jpeg",
    "noise": "noise", "banding": "band2k", "mask": "mask", "wm_qrcode": "qr", "wm_text": "text", "angle": "angle",
    "distance": "distance",
}  # fmt: skip
_LADDERS = {"jpeg": 100, "banding": 100}  # and 50 elsewhere


@dataclass(frozen=True, slots=True)
class PrintedRow:
    """A row of the paper's table as printed.

    Attributes:
        cells: by the paper's column; ">50" stays text, "" where nothing is given.
        average, rank: "" for human observers.
    """

    observer: str
    cells: Mapping[str, str]
    average: str
    rank: str


@dataclass(frozen=True, slots=True)
class RecomputedRow:
    """A printed average and rank beside those that follow from the row's cells.

    Attributes:
        agrees: the average, to the rounding of print.
    """

    observer: str
    printed: str
    average: float
    agrees: bool
    printed_rank: int
    rank: int


@dataclass(frozen=True, slots=True)
class CurveFit:
    """A quadratic beside what the paper's figure shows of its curve.

    Attributes:
        without: models of the size that the fit leaves out.
        figure: read off the figure, as (ratio, value); the ratio is None at the top.
        distance: the largest between the two; None where the fit has no top and the figure has.
        fits: whether that lies within what can be read.
    """

    parabola: Parabola
    without: tuple[str, ...]
    figure: tuple[tuple[float | None, float], ...]
    distance: float | None
    fits: bool


@dataclass(frozen=True)
class PaperAnalysis:
    """The paper's table analysed as a run is.

    Attributes:
        pearson, spearman: over all models, ">50" as 50.
        pearson_uncensored, spearman_uncensored: without the models that hold a censored cell.
        matrix: the correlations as printed.
    """

    table: tuple[PrintedRow, ...]
    scores: tuple[Score, ...]
    averages: tuple[Average, ...]
    recomputed: tuple[RecomputedRow, ...]
    ranks: tuple[Rank, ...]
    pearson: Matrix
    spearman: Matrix
    pearson_uncensored: Matrix
    spearman_uncensored: Matrix
    matrix: Mapping[str, Mapping[str, float]]
    reductions: tuple[Reduction, ...]
    curves: tuple[CurveFit, ...]
    backbones: tuple[BackboneRow, ...]
    parameters: Mapping[str, Parameters]


def analysed() -> PaperAnalysis:
    """Return the paper's numbers and what follows from them."""
    given, sizes = scores(), parameters()
    seeing, means, places = uncensored(given), averages(given, mixed=True), ranks(given, mixed=True)
    return PaperAnalysis(
        table=table(),
        scores=given,
        averages=means,
        recomputed=_recomputed(means, places),
        ranks=places,
        pearson=correlations(given, "pearson"),
        spearman=correlations(given, "spearman"),
        pearson_uncensored=correlations(seeing, "pearson"),
        spearman_uncensored=correlations(seeing, "spearman"),
        matrix=correlation(),
        reductions=reductions(*prompting()),
        curves=tuple(_curves(given, sizes)),
        backbones=backbones(given, sizes, mixed=True),
        parameters=sizes,
    )


# --- as printed ---


def rows(name: str) -> list[dict[str, str]]:
    """Return the rows of one of the files, as printed: "first_jnd", "models", "prompting", "correlation"."""
    text = files("limen").joinpath(f"data/published/vpa_jnd_{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text)))


def table() -> tuple[PrintedRow, ...]:
    """Return the table of 1st JNDs as printed, human observers first."""
    return tuple(
        PrintedRow(row["model"], {name: row[name] for name in COLUMNS}, row["average"], row["rank"])
        for row in rows("first_jnd")
    )


def scores() -> tuple[Score, ...]:
    """Return the models' 1st JNDs, under the paper's column names; human observers are no row of it."""
    return tuple(
        _score(row.observer, name, cell)
        for row in table()
        if row.observer != HUMAN
        for name, cell in row.cells.items()
        if cell
    )


def _score(observer: str, distortion: str, cell: str) -> Score:
    return Score(observer, distortion, float(cell.lstrip(">")), cell.startswith(">"), _LADDERS.get(distortion, 50))


def correlation() -> dict[str, dict[str, float]]:
    """Return the printed correlations between distortions."""
    return {row[""]: {name: float(row[name]) for name in COLUMNS} for row in rows("correlation")}


def prompting() -> tuple[tuple[Score, ...], tuple[Score, ...]]:
    """Return the 1st JNDs of four models with the distortion unnamed, and named."""
    implicit, explicit = (
        tuple(_score(row["model"], row["distortion"], row[kind]) for row in rows("prompting"))
        for kind in ("implicit", "explicit")
    )
    return implicit, explicit


def parameters(path: Path | None = None) -> dict[str, Parameters]:
    """Return backbone sizes by model: the paper's, or those of a CSV with the same columns.

    Args:
        path: a CSV with columns model, vision_params_m (millions), language_params_b (billions) and, if wanted,
            language_backbone ("MoE" in it says that it is a mixture of experts). A row without sizes is left out.

    Raises:
        InputError: the file cannot be read, lacks a column, or holds no number where one belongs.
    """
    if path is None:
        return _parameters(rows("models"), "the published models")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _parameters(list(csv.DictReader(file)), path.name)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path.name} cannot be read as CSV ({error}). Give a text file in UTF-8.") from None


def _parameters(given: Iterable[Mapping[str, str | None]], where: str) -> dict[str, Parameters]:
    wanted = ("model", "vision_params_m", "language_params_b")
    found = {}
    for row in given:
        missing = [name for name in wanted if name not in row]
        if missing:
            raise InputError(f"{where} lacks {', '.join(missing)}. It needs the columns {', '.join(wanted)}.")
        model, vision, language = ((row[name] or "").strip() for name in wanted)
        if vision and language:
            sizes = _number(vision, where, model), _number(language, where, model)
            found[model] = Parameters(*sizes, mixture="MoE" in (row.get("language_backbone") or ""))
    return found


def _number(text: str, where: str, model: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{where}: {model} has {text!r} where a number of parameters belongs.") from None


# --- what follows from it ---


def _recomputed(means: Sequence[Average], places: Sequence[Rank]) -> tuple[RecomputedRow, ...]:
    overall = {average.observer: average.mean for average in means if average.part == ALL}
    rank = {place.observer: place.rank for place in places if place.of == ALL}
    found = []
    for row in table():
        if row.observer in overall:
            mean, printed = overall[row.observer], float(row.average.lstrip(">"))
            # Print has two decimals, and half of the last may be rounded either way.
            agrees = abs(mean - printed) <= 0.005 + 1e-9
            found.append(RecomputedRow(row.observer, row.average, mean, agrees, int(row.rank), rank[row.observer]))
    return tuple(found)


def _curves(given: Sequence[Score], sizes: Mapping[str, Parameters]) -> Iterable[CurveFit]:
    """Yield the quadratic through the large models of each part; where it misses the figure, those that do not.

    The paper does not say how its curve was made; that it is this quadratic is inferred from its values.
    """
    large = [name for name, of in sizes.items() if of.language >= LARGE]
    shown: dict[str, list[tuple[float | None, float]]] = {}
    for row in rows("ratio_curve"):
        shown.setdefault(row["part"], []).append((float(row["ratio"]) if row["ratio"] else None, float(row["value"])))
    for part, figure in shown.items():
        drawn = _drawn(parabola(given, sizes, part, large), (), figure)
        yield from drawn
        if not any(one.fits for one in drawn):
            for name in large:
                rest = parabola(given, sizes, part, [other for other in large if other != name])
                yield from (one for one in _drawn(rest, (name,), figure) if one.fits)


def _drawn(
    found: Parabola | None, without: tuple[str, ...], figure: Sequence[tuple[float | None, float]]
) -> list[CurveFit]:
    if found is None:
        return []
    top = None if found.top is None else found.top[1]
    values = [(top if ratio is None else found.at(ratio), value) for ratio, value in figure]
    far = [abs(ours - value) for ours, value in values if ours is not None]
    distance = max(far) if len(far) == len(values) else None
    return [CurveFit(found, without, tuple(figure), distance, distance is not None and distance <= READ)]
