"""By which law the n-th JNDs follow one another: a line, an exponential, a stair.

Chen et al. 2025 (arXiv:2507.00490) name these without saying how one is told from another. Here a law says how large
the *next* JND is: the gap from the reference in force to the n-th JND, n >= 2. The first JND is given, not told: it is
a threshold against the undistorted image, the others are difference thresholds (Fechner 1860 keeps the two apart). With
r the reference in force, as a distance from level 0, X that of level L, and s the scale of the series' own reference:

    linear       gap = s b                                                J(n) a straight line
    exponential  gap = s (c + w r), twice as large at L as at 0, or more  J(n) exponential; Weber (1834) where c = 0,
                                                                          with Miller's (1947) floor c elsewhere
    saturating   gap = s (c - v r), half as large at L as at 0, or less   J(n) levels off (not in the paper)
    stair        gap = s riser if n mod m = p, else s tread,              J(n) flights of m JNDs, m = 2..6
                 riser twice the tread, or more

The factor of two keeps the laws apart: none is a special case of another, so that each can win. The scale is there
because references differ: without it those with large gaps are alone at high r, and lines look exponential.

Fit: least squares, coefficients >= 0, scales free with mean 1, references with equal weights. Judgement: on references
that the law was not fitted to, J by J, each told from those before it (Dawid 1984), the scale being the way from J(1)
so far against the way the law tells. The second JND only sets the scale; the third is the first to be judged.

Where the ladder ends: a JND beyond L, or with a window cut by L, counts as L, and so does one told beyond L, as in the
restricted mean elsewhere. To score the JNDs that were reached, and no others, would prefer small gaps near L and lean
towards saturating. Nothing is scored behind a chain's end where the setting `orders` ended it.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from limen import digest
from limen.analysis import Analysis
from limen.analysis.redundancy import Chain, chains, mean_of
from limen.analysis.survival import Key
from limen.curve import Interval, Mean, bootstrap_mean
from limen.errors import InputError

Array: TypeAlias = npt.NDArray[np.float64]
Axis: TypeAlias = Literal["level", "strength"]

FEWEST = 5  # references with a chain of LONG below which no law is named
LONG = 3  # JNDs: two gaps that a law has to say something about
FOLDS = 10
LONGEST_FLIGHT = 6  # steps of a stair
_ROUNDS = 50  # of a fit: scales and coefficients in turn


class Law(StrEnum):
    """A candidate for how the gap to the next JND depends on where one is."""

    LINEAR = "linear"
    EXPONENTIAL = "exponential"
    SATURATING = "saturating"
    STAIR = "stair"


@dataclass(frozen=True, slots=True)
class LawFit:
    """A law with its numbers, in units of the axis, for a reference of scale 1.

    The gap is base + growth r, or `riser` for the orders n = phase (mod period).

    Attributes:
        law: which.
        base: the gap at r = 0; of a stair the tread.
        growth: of the gap with r: Weber's fraction w; negative where the gaps shrink.
        riser, period, phase: of a stair; period 0 elsewhere.
    """

    law: Law
    base: float
    growth: float = 0.0
    riser: float = 0.0
    period: int = 0
    phase: int = 0

    def gap(self, order: int, start: float) -> float:
        """Return the gap to the JND of this order, from a reference at `start`."""
        if self.period and order % self.period == self.phase:
            return self.riser
        return self.base + self.growth * start

    def course(self, first: float, orders: int, end: float, scale: float = 1) -> tuple[float, ...]:
        """Return J(1) = `first` to J(orders) as the law goes on for a reference of this scale, at most `end`.

        Args:
            first: J(1), on the axis of the law (levels or strengths).
            orders: how many JNDs, >= 1.
            end: last place, in the unit of the axis; JNDs beyond it are put there.
            scale: of the reference, > 0; gaps are this many times those of a reference of scale 1.
        """
        found = [min(first, end)]
        for order in range(2, orders + 1):
            found.append(min(found[-1] + scale * self.gap(order, found[-1]), end))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class LawScore:
    """How well a law tells the next JND of references it was not fitted to.

    Attributes:
        fitted: to all references.
        error: root of the mean squared error of J(n) told from J(1)..J(n - 1), n >= 3, over references (`FOLDS`-fold
            cross-validation, each reference with the same weight).
        behind: mean squared error minus that of the best law; 0 for the best.
        interval: of `behind`, 95 % BCa over references; None where all references are alike.
        told: whether `behind` is told from 0.
        course: mean J(n) as the law tells it of the same references, each from its J(1) on and with its own scale.
    """

    fitted: LawFit
    error: float
    behind: float
    interval: Interval | None
    told: bool
    course: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class GrowthRow:
    """Which law the JNDs of one observer, question and distortion follow.

    Attributes:
        axis, unit: what distances are in ("level", or the ladder's unit).
        end: distance of L.
        references: with a first JND, which the laws are fitted to.
        long: of them with `LONG` JNDs or more.
        steps: gaps from the second on, those that L cut included.
        course: mean J(n), n = 1, 2, .., over those references, one beyond L as L; a chain that `orders` ended counts
            as far as it goes.
        reached: how many of them reached J(n).
        scores: of every law, the best first; none where `why` says so.
    """

    observer: str
    question: str
    distortion: str
    axis: Axis
    unit: str
    end: float
    references: int
    long: int
    steps: int
    course: tuple[Mean, ...]
    reached: tuple[int, ...]
    scores: tuple[LawScore, ...]
    why: str

    @property
    def laws(self) -> tuple[Law, ...]:
        """The best law and those that cannot be told from it: one where the law is known."""
        return tuple(score.fitted.law for i, score in enumerate(self.scores) if i == 0 or not score.told)

    @property
    def verdict(self) -> str:
        """The law in words: its name, "cannot tell (..)", or why there is none."""
        if not self.scores:
            return self.why
        return str(self.laws[0]) if len(self.laws) == 1 else f"cannot tell ({', '.join(self.laws)})"


def laws(
    analysis: Analysis, axis: Axis = "level", undistorted: Mapping[str, float] | None = None
) -> tuple[GrowthRow, ...]:
    """Return the law of each observer, question and distortion of which more than one JND was looked for.

    Weber's law is about strength. On a ladder of equal steps the law is the same in levels and in strength; on another
    the undistorted strength must be known.

    Args:
        analysis: of a run, or of several put together.
        axis: "level", or "strength": distance of the ladder's strength from the undistorted one.
        undistorted: strength of nothing done by distortion, in the ladder's unit; not needed where the ladder's steps
            are equal.

    Raises:
        InputError: another axis.
    """
    if axis not in ("level", "strength"):
        raise InputError(f"No axis {axis!r} for a law of JNDs. Known: level, strength.")
    rows = []
    for key, found in chains(analysis).items():
        kind, origin = analysis.manifest.distortions[key[2]], (undistorted or {}).get(key[2])
        at = tuple(map(float, range(found[0].top + 1))) if axis == "level" else distances(kind.strengths, origin)
        rows.append(_law_row(key, found, axis, "level" if axis == "level" else kind.unit, at))
    return tuple(rows)


def distances(strengths: Sequence[float], undistorted: float | None = None) -> tuple[float, ...] | None:
    """Return how far levels 0..L are from the undistorted strength.

    Args:
        strengths: of levels 1..L.
        undistorted: strength of level 0; where not given, one step before level 1 if all steps are equal (to .1 %).

    Returns:
        None where level 0 is not known, or the distance does not grow from level to level.
    """
    steps = np.diff(strengths)
    if undistorted is None:
        if not len(steps) or not np.allclose(steps, steps.mean(), rtol=1e-3, atol=0):
            return None
        undistorted = strengths[0] - float(steps.mean())
    away = np.array([0.0, *np.abs(np.asarray(strengths) - undistorted)])
    return tuple(away.tolist()) if np.all(np.diff(away) > 0) else None


# --- laws ---


@dataclass(frozen=True, slots=True)
class _Steps:
    """Gaps of many chains, end to end: whose, to which order, from where, how large, and how much room there was."""

    whose: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]
    start: Array
    gap: Array
    room: Array

    def of(self, chosen: npt.NDArray[np.bool_]) -> "_Steps":
        """Return the chosen ones."""
        numbers = self.whose[chosen], self.order[chosen]
        return _Steps(*numbers, self.start[chosen], self.gap[chosen], self.room[chosen])

    @property
    def weights(self) -> Array:
        """One a reference, shared among its steps."""
        return np.asarray(1 / np.bincount(self.whose).astype(np.float64)[self.whose])


def _steps(found: Sequence[Chain], at: Sequence[float]) -> _Steps:
    """Return the steps behind the first JND; the one that L cut has the gap to L."""
    rows = []
    for i, one in enumerate(found):
        places = (*one.levels, *(() if one.cut or one.levels[-1] == one.top else (one.top,)))
        for n in range(1, len(places)):
            start = at[places[n - 1]]
            rows.append((i, n + 1, start, at[places[n]] - start, at[-1] - start))
    whose, order, start_, gap, room = np.array(rows, dtype=np.float64).reshape(-1, 5).T
    return _Steps(whose.astype(np.int64), order.astype(np.int64), start_, gap, room)


def _law_row(key: Key, found: Sequence[Chain], axis: Axis, unit: str, at: tuple[float, ...] | None) -> GrowthRow:
    # The order deals the folds: it depends on the pictures and on nothing else.
    some = sorted((one for one in found if one.levels), key=lambda one: digest.seed("laws", one.name))
    long = sum(len(one.levels) >= LONG for one in some)
    steps = _steps(some, at) if at is not None and some else None
    why = ""
    if at is None:
        why = "the undistorted strength is not known: no law in strength"
    elif long < FEWEST:
        why = f"too few to tell: {long} of {len(found)} references with {LONG} JNDs, {FEWEST} needed"
    places = [] if at is None else _searched(some, [[at[k] for k in one.levels] for one in some], at[-1])
    return GrowthRow(
        *key,
        axis=axis,
        unit=unit,
        end=math.nan if at is None else at[-1],
        references=len(some),
        long=long,
        steps=0 if steps is None else len(steps.gap),
        course=tuple(map(mean_of, places)),
        reached=tuple(sum(len(one.levels) > n for one in some) for n in range(len(places))),
        scores=() if why or steps is None or at is None else _scores(some, steps, at),
        why=why,
    )


def _searched(found: Sequence[Chain], courses: Iterable[Sequence[float]], end: float) -> list[list[float]]:
    """Return the places of J(n), n = 1, 2, .., of the chains that were searched so far; `end` behind a course."""
    both, orders = list(zip(found, courses, strict=True)), max((len(one.levels) for one in found), default=0)
    return [[course[n] if n < len(course) else end for one, course in both if n < len(one.levels) or not one.cut]
            for n in range(orders)]  # fmt: skip


def _scores(found: Sequence[Chain], steps: _Steps, at: Sequence[float]) -> tuple[LawScore, ...]:
    """Return every law's score, the best first."""
    errors = {law: _validated(law, steps, at[-1]) for law in Law}
    ranked = sorted(Law, key=lambda law: float(errors[law].mean()))
    scores, orders = [], max(len(one.levels) for one in found)
    for law in ranked:
        fitted, behind = _fit(law, steps, at[-1]), errors[law] - errors[ranked[0]]
        interval = bootstrap_mean(behind.tolist())
        alike = interval is None and behind[0] > 0  # the same for every reference: nothing to resample
        told = alike or (interval is not None and interval.low > 0)
        courses = [fitted.course(at[one.levels[0]], orders, at[-1], _scale(fitted, one, at)) for one in found]
        course = tuple(float(np.mean(places)) for places in _searched(found, courses, at[-1]))
        error = math.sqrt(float(errors[law].mean()))
        scores.append(LawScore(fitted, error, float(behind.mean()), interval, told, course))
    return tuple(scores)


def _scale(fitted: LawFit, one: Chain, at: Sequence[float]) -> float:
    """Return how far a chain went from its first JND to its last, over how far the law tells; 1 where that is 0."""
    said = sum(fitted.gap(n, at[level]) for n, level in enumerate(one.levels[:-1], start=2))
    return (at[one.levels[-1]] - at[one.levels[0]]) / said if said else 1.0


def _validated(law: Law, steps: _Steps, end: float) -> Array:
    """Return each reference's mean squared error under the law fitted to the other folds (dealt by picture)."""
    errors = np.full(steps.whose.max() + 1, math.nan)
    for fold in range(FOLDS):
        held = steps.whose % FOLDS == fold
        if held.any():
            fitted = _fit(law, steps.of(~held), end)
            for one in np.unique(steps.whose[held]):
                misses = _misses(fitted, steps.of(steps.whose == one))
                errors[one] = np.mean(misses**2) if len(misses) else math.nan
    return np.asarray(errors[~np.isnan(errors)])


def _told(fitted: LawFit, steps: _Steps) -> Array:
    """Return the gaps of a reference of scale 1."""
    told = fitted.base + fitted.growth * steps.start
    if fitted.period:
        told[steps.order % fitted.period == fitted.phase] = fitted.riser
    return np.asarray(told)


def _misses(fitted: LawFit, steps: _Steps) -> Array:
    """Return told minus found for one reference's steps but the first, each told from those before it."""
    told = _told(fitted, steps)
    gone, said = np.cumsum(steps.gap)[:-1], np.cumsum(told)[:-1]
    scale = np.where(said > 0, gone / np.where(said > 0, said, 1), 1)  # said 0: treads of no height so far
    return np.asarray(np.minimum(scale * told[1:], steps.room[1:]) - steps.gap[1:])


def _fit(law: Law, steps: _Steps, end: float) -> LawFit:
    """Return the law's least-squares fit."""
    near = steps.start / end
    if law is Law.LINEAR:
        ((base,),), _ = _least(np.ones((1, len(near), 1)), steps)
        return LawFit(law, float(base))
    if law is Law.EXPONENTIAL:  # the cone of c + w r with c >= 0 and w X >= c
        (ends,), _ = _least(np.stack([near, 1 + near], axis=1)[None], steps)
        a, b = ends.tolist()
        return LawFit(law, b, (a + b) / end)
    if law is Law.SATURATING:  # the cone of c - v r with c / 2 <= v X <= c
        (ends,), _ = _least(np.stack([1 - near, 1 - near / 2], axis=1)[None], steps)
        a, b = ends.tolist()
        return LawFit(law, a + b, -(a + b / 2) / end)
    return _stair(steps)


def _stair(steps: _Steps) -> LawFit:
    """Return the best stair over flights of 2 to `LONGEST_FLIGHT` steps and where in them the riser comes.

    Half of the references must have come to a riser and to a tread: a riser that nobody met would be a line.
    """
    half = len(np.unique(steps.whose)) / 2
    flights, risers = [], []
    for period, phase in ((m, p) for m in range(2, LONGEST_FLIGHT + 1) for p in range(m)):
        riser = steps.order % period == phase
        if period == 2 or min(np.count_nonzero(np.bincount(steps.whose[kind])) for kind in (riser, ~riser)) >= half:
            flights.append((period, phase))
            risers.append(riser.astype(np.float64))
    high = np.stack(risers)
    found, losses = _least(np.stack([high, 1 + high], axis=2), steps)  # the cone of riser >= 2 tread >= 0
    best = int(losses.argmin())
    (period, phase), (a, b) = flights[best], found[best].tolist()
    return LawFit(Law.STAIR, b, riser=a + 2 * b, period=period, phase=phase)


def _least(bases: Array, steps: _Steps) -> tuple[Array, Array]:
    """Return for each basis the coefficients >= 0 with the smallest weighted loss, and that loss.

    Coefficients and scales in turn, of all bases together until each has settled. A gap told beyond L counts as L and
    cannot be bettered by its step: such steps are left out of the next round.

    Args:
        bases: (B, steps, C), of one or two columns.
        steps: that all of them are fitted to.

    Returns:
        (B, C) and (B,).
    """
    who, weights = np.unique(steps.whose, return_inverse=True)[1], steps.weights
    means = np.bincount(who, steps.gap * weights)
    scale = np.tile(means / means.mean(), (len(bases), 1))
    inside = np.ones(bases.shape[:2], dtype=bool)
    best, least, left = np.zeros((len(bases), bases.shape[2])), np.full(len(bases), math.inf), np.arange(len(bases))
    for _ in range(_ROUNDS):
        # Products one basis at a time: where they end in other digits, another gap may count as told beyond L.
        basis = bases[left]
        scaled = basis * scale[:, who, None]
        found = np.array([
            _positive(one[some], steps.gap[some], weights[some]) for one, some in zip(scaled, inside, strict=True)
        ])  # fmt: skip
        told = np.array([one @ by for one, by in zip(basis, found, strict=True)])
        places = who + len(means) * np.arange(len(left))[:, None]
        up, down = (
            np.bincount(places.ravel(), (inside * told * by).ravel()).reshape(scale.shape) for by in (steps.gap, told)
        )
        scale = np.where(down > 0, up / np.where(down > 0, down, 1), scale)
        size = scale.mean(axis=1, keepdims=True)
        scale, whole = scale / size, scale[:, who] * told
        loss = np.array([weights @ one for one in (np.minimum(whole, steps.room) - steps.gap) ** 2])
        before, inside = inside, whole < steps.room
        settled = (before == inside).all(axis=1) & (loss > least[left] * (1 - 1e-6)) | ~inside.any(axis=1)
        better = loss < least[left]
        best[left[better]], least[left[better]] = (found * size)[better], loss[better]
        left, scale, inside = left[~settled], scale[~settled], inside[~settled]
        if not len(left):
            break
    return best, least


def _positive(basis: Array, values: Array, weights: Array) -> tuple[float, ...]:
    """Return weighted least squares with coefficients >= 0, of one or two columns."""
    square, image = (basis.T @ (weights[:, None] * basis)).tolist(), (basis.T @ (weights * values)).tolist()
    alone = [max(0.0, of / square[i][i]) if square[i][i] > 0 else 0.0 for i, of in enumerate(image)]
    if len(image) == 1:
        return tuple(alone)
    ((p, cross), (_, q)), (left, right) = square, image
    determinant = p * q - cross**2
    if determinant > 1e-12 * p * q:
        a, b = (q * left - cross * right) / determinant, (p * right - cross * left) / determinant
        if a >= 0 and b >= 0:
            return a, b
    first, second = (alone[i] * (alone[i] * square[i][i] - 2 * image[i]) for i in (0, 1))
    return (alone[0], 0.0) if first < second else (0.0, alone[1])
