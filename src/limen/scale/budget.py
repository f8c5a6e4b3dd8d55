"""What a whole published data set costs, model by model, before a picture of it is there.

The counts of its parts are the paper's (`limen.datasets.vpa_jnd`). How many questions a series takes hangs on where the
first JND lies, and for the models of the paper that is published, in levels of the paper's ladders: so the procedure is
played with simulated observers of these first JNDs (`limen.analysis.forecast.by_threshold`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from limen import distortion as distortions
from limen import question as questions
from limen.analysis import paper
from limen.analysis.correlations import Score
from limen.analysis.forecast import BEYOND, Asking, ByThreshold, Count, Values, by_threshold
from limen.curve import Interval
from limen.datasets import vpa_jnd
from limen.datasets.vpa_jnd import Part
from limen.procedure import Method
from limen.spending import USUAL, Price, picture_tokens, text_tokens

PICTURE = (640, 480)  # px that every picture is reckoned with: KonJND-1k's, which nine series in ten of a ladder show
HOUR = 3_600  # seconds
_NONE = Count(0.0, Interval(0.0, 0.0), exact=True)
_COLUMNS = {name: column for column, name in paper.COLUMNS.items()}


@dataclass(frozen=True, slots=True)
class ModelCost:
    """What one model costs.

    Attributes:
        model: as the paper calls it; "all" for the sum.
        access: "open" or "api"; "" for the sum.
        series: of the data set.
        questions, tokens_in, tokens_out: that are expected, with the interval over observers of these first JNDs.
        gpu_hours: of a model whose weights are open; None for others, and without a throughput.
        price: at the user's rates; None without them.
    """

    model: str
    access: str
    series: int
    questions: Count
    tokens_in: Count
    tokens_out: Count
    gpu_hours: Count | None
    price: Count | None


def costs(
    name: str, method: Method, price: Price | None = None, throughput: float | None = None, identical: bool = True,
    tell: Callable[[str], None] = lambda what: None,
) -> tuple[ModelCost, ...]:  # fmt: skip
    """Return what each model of the paper costs on a data set, the dearest first, and the sum.

    The question is `direct`, as in the paper; its words name the distortion, so that each part shows its own identical
    pairs.

    Args:
        name: of the data set ("vpa-jnd").
        method: the procedure with its settings.
        price: of a million tokens.
        throughput: answers a second of one GPU, > 0.
        identical: whether each reference is shown with itself, too.
        tell: called with what is being reckoned.

    Raises:
        UnknownNameError: there is no such data set.
    """
    parts = vpa_jnd.find(name)
    lengths = sorted({_levels(part) for part in parts} - {1})
    made = {
        levels: by_threshold(method, levels, Asking(identical=identical), lambda: tell("playing the procedure"))
        for levels in lengths
    }
    firsts = {(score.observer, score.distortion): score for score in paper.scores()}
    access = {row["model"]: row["access"] for row in paper.rows("first_jnd") if row["model"] != paper.HUMAN}
    each = []
    for model, kind in access.items():
        asked = np.zeros(max(len(one.counts) for one in made.values()))
        tokens = np.zeros_like(asked)
        for part in parts:
            series, took = _series(part), _took(part, made, firsts.get((model, _COLUMNS.get(part.distortion, ""))))
            asked += series * (took + identical)
            tokens += series * (took + identical) * _tokens(part)
        each.append(_cost(model, kind, sum(map(_series, parts)), asked, tokens, price, throughput))
    each.sort(key=lambda one: -one.questions.expected)
    return (*each, _sum(each))


def _levels(part: Part) -> int:
    """Return the length of a part's ladder; 1 of pairs, which are a series each."""
    pairs = part.source in ("band2k", "magicbrush", "spot-the-diff")
    return 1 if pairs else part.paper.stimuli // part.paper.references


def _series(part: Part) -> int:
    return part.paper.stimuli // _levels(part)


def _took(part: Part, made: dict[int, ByThreshold], first: Score | None) -> Values:
    """Return how many questions a series takes, for each simulated observer, identical pairs of references apart."""
    levels = _levels(part)
    if levels == 1:
        return np.ones(len(next(iter(made.values())).counts))
    assert first is not None
    beyond = (1 + BEYOND) * levels
    return made[levels].at(beyond if first.censored else first.mean)


def _tokens(part: Part) -> float:
    """Return the tokens that go into one question, by the rules of thumb of `limen.spending`."""
    text = questions.find("direct").fill(distortions.find(part.distortion).word)
    return text_tokens(text) + 2 * picture_tokens(*PICTURE)


def _cost(
    model: str, access: str, series: int, asked: Values, tokens: Values, price: Price | None, throughput: float | None
) -> ModelCost:
    def count(draws: Values) -> Count:
        return Count.of(draws, exact=bool(np.all(draws == draws[0])))

    paid = None if price is None else count(price.of_tokens(1, 0) * tokens + price.of_tokens(0, 1) * USUAL * asked)
    hours = None if throughput is None or access != "open" else count(asked / throughput / HOUR)
    return ModelCost(model, access, series, count(asked), count(tokens), count(USUAL * asked), hours, paid)


def _sum(each: Sequence[ModelCost]) -> ModelCost:
    """Return the sum; what is unknown of all models is unknown alike, so that bounds are added."""

    def total(counts: Sequence[Count | None]) -> Count | None:
        known = [one for one in counts if one is not None]
        if not known:
            return None
        bounds = Interval(sum(one.interval.low for one in known), sum(one.interval.high for one in known))
        return Count(sum(one.expected for one in known), bounds, all(one.exact for one in known))

    asked = total([one.questions for one in each]) or _NONE
    into, out = total([one.tokens_in for one in each]) or _NONE, total([one.tokens_out for one in each]) or _NONE
    hours, paid = total([one.gpu_hours for one in each]), total([one.price for one in each])
    return ModelCost("all", "", sum(one.series for one in each), asked, into, out, hours, paid)
