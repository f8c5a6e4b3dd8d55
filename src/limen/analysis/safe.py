"""The safe level: up to which at most a stated share of new photographs is noticed, or gets another answer.

If the first JNDs of n measured photographs and of a new one are exchangeable, the new one lies below the k-th smallest
of the n with a probability of at most k / (n + 1), which is at most rho for k = floor(rho (n + 1)) (Vovk et al. 2005,
Algorithmic Learning in a Random World; Angelopoulos and Bates 2021, arXiv:2107.07511). What differs: a JND is a level,
so there are ties, and an end of the ladder; they only make the statement more cautious.
"""

import functools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from limen import distortion as distortions
from limen import registry
from limen.analysis import Analysis, Outcome, SeriesStatus
from limen.analysis.merge import own_name
from limen.curve import Interval, Mean, bootstrap_mean
from limen.errors import InputError, UnknownNameError
from limen.image import Image, decode, digest
from limen.store import Store
from limen.store.entries import DistortionEntry

RHOS = (0.05, 0.1)  # of a report
MOST = 100  # pictures whose files are made to say what is saved
MOST_PIXELS = 50_000_000  # of them together, or one more picture
OPEN = (SeriesStatus.UNFINISHED, SeriesStatus.UNDETERMINED)

_Sizes: TypeAlias = Callable[[str, str, str, float], tuple[int, int] | None]


@dataclass(frozen=True, slots=True)
class SafeRow:
    """The safe level of one question and distortion, for one observer or for several together.

    Attributes:
        observers: one, or all those together: then a photograph counts with its smallest first JND over them.
        question, distortion: which.
        rho: share of new photographs that may be noticed, 0 to 1.
        n: photographs with a first JND or none up to L; where several, those that every observer has.
        rank: k = floor(rho (n + 1)); 0 where n is too small.
        level: the safe level, 0 where even level 1 is not safe, L for the whole ladder; None where it is refused.
        levels: L.
        strength: at the safe level; None at level 0, and where it is refused.
        finest, coarsest: strengths of levels 1 and L.
        side: "above" where strengths fall along the ladder, so that those above `strength` are safe too; "below" where
            they rise; "" where they do neither.
        unit: of the strengths.
        noticed: 95 % interval of the share of new photographs that are noticed, over samples of n: Beta(k, n + 1 - k)
            (Vovk 2012, arXiv:1209.2673), which ties only bring down; None where the level is refused, or is 0.
        saved: share of the bytes against level 1, mean over pictures kept in the run (`MOST` of them, and `MOST_PIXELS`
            together, at most); None where the distortion is no codec, no picture is kept, or the level is not above 1.
        left_out: series that are not in n, by what became of them.
        why: it is refused; "" where it is not.
    """

    observers: tuple[str, ...]
    question: str
    distortion: str
    rho: float
    n: int
    rank: int
    level: int | None
    levels: int
    strength: float | None
    finest: float
    coarsest: float
    side: str
    unit: str
    noticed: Interval | None
    saved: Mean | None
    left_out: Mapping[str, int]
    why: str = ""

    @property
    def observer(self) -> str:
        """The observer's name, or how many there are together."""
        return self.observers[0] if len(self.observers) == 1 else f"all {len(self.observers)}"


def safe_level(levels: Sequence[float], rho: float, top: int) -> tuple[int, int | None]:
    """Return the rank used and the safe level; 0 and None where there are too few thresholds.

    Args:
        levels: first JNDs, one a photograph; infinite where there is none up to `top`.
        rho: share of new photographs that may be noticed, 0 to 1.
        top: L.

    Examples:
        >>> from limen.analysis.safe import safe_level
        >>> safe_level([12, 30, 8, 15, 40, 22, 19, 33, 27], 0.1, 50)
        (1, 7)
        >>> safe_level([12, 30, 8], 0.1, 50)
        (0, None)
    """
    rank = min(len(levels), math.floor(rho * (len(levels) + 1) + 1e-9))
    if not rank:
        return 0, None
    smallest = sorted(levels)[rank - 1]
    return rank, top if math.isinf(smallest) else int(smallest) - 1


def safe_levels(
    analyses: Sequence[Analysis], rhos: Sequence[float] = RHOS[:1], stores: Sequence[Store] = ()
) -> tuple[SafeRow, ...]:
    """Return the safe levels of each question and distortion: for each observer, then for all of them together.

    An unconfirmed first JND counts as one (the cautious side). A photograph that several items are about counts once,
    with the smallest; not at all while one of its series is open. Procedures that claim no JND (psi, constant) have no
    rows, and neither have ladders of one level.

    Args:
        analyses: of one run, or of several, whose observers have names like no other (`limen.analysis.merge.renamed`).
        rhos: shares of new photographs that may be noticed, each above 0 and below 1.
        stores: of the runs, open: from the pictures that they have kept comes what codecs save; () leaves that out.
    """
    groups: dict[tuple[str, str], dict[str, list[Outcome]]] = defaultdict(lambda: defaultdict(list))
    for analysis in analyses:
        for outcome in analysis.outcomes:
            groups[outcome.series.distortion, outcome.question][outcome.observer].append(outcome)
    sizes = _sizes(analyses, stores)
    return tuple(
        row
        for (distortion, question), group in sorted(groups.items())
        for row in _rows(analyses, question, distortion, group, rhos, sizes)
    )


def _rows(
    analyses: Sequence[Analysis], question: str, distortion: str, group: Mapping[str, Sequence[Outcome]],
    rhos: Sequence[float], sizes: _Sizes,
) -> Iterator[SafeRow]:  # fmt: skip
    known = {name: analysis for analysis in analyses for name in analysis.manifest.observers}
    order = [name for name in known if name in group and _claims(group[name])]
    kinds = [known[name].manifest.distortions[distortion] for name in order]
    if not order or not all(kind.graded for kind in kinds):
        return
    firsts = {name: _firsts(group[name]) for name in order}
    each: list[tuple[tuple[str, ...], DistortionEntry, dict[str, float]]]
    each = [((name,), kind, firsts[name]) for name, kind in zip(order, kinds, strict=True)]
    if len(order) > 1:
        shared = [one for one in firsts[order[0]] if all(one in mine for mine in firsts.values())]
        each.append((tuple(order), kinds[0], {one: min(mine[one] for mine in firsts.values()) for one in shared}))
    same = len({(kind.ladder, kind.version) for kind in kinds}) == 1
    same = same and len({known[name].manifest.questions[question].digest for name in order}) == 1
    for observers, kind, thresholds in each:
        mine = [outcome for name in observers for outcome in group[name]]
        for rho in rhos:
            row = _row(observers, question, distortion, rho, kind, thresholds, mine)
            if len(observers) > 1 and not same:
                row = replace(
                    row,
                    rank=0,
                    level=None,
                    strength=None,
                    noticed=None,
                    why="not asked alike: the ladders or the questions differ",
                )
            yield replace(row, saved=_saved(row, thresholds, mine, sizes))


def _claims(group: Iterable[Outcome]) -> bool:
    """Say whether the procedure claims first JNDs, as far as anything is complete."""
    complete = [outcome for outcome in group if outcome.status is SeriesStatus.COMPLETE]
    return not complete or any(outcome.thresholds for outcome in complete)


def _firsts(group: Iterable[Outcome]) -> dict[str, float]:
    """Return the smallest first JND of each photograph, infinite where there is none up to L."""
    found: dict[str, float] = {}
    waiting = set()
    for outcome in group:
        if outcome.status in OPEN:
            waiting.add(outcome.photograph)
        elif outcome.status is SeriesStatus.COMPLETE and outcome.thresholds:
            first = outcome.thresholds[0]
            level = math.inf if first.censored else float(first.level)
            found[outcome.photograph] = min(level, found.get(outcome.photograph, math.inf))
    return {photograph: level for photograph, level in found.items() if photograph not in waiting}


def _row(
    observers: tuple[str, ...], question: str, distortion: str, rho: float, kind: DistortionEntry,
    thresholds: Mapping[str, float], group: Iterable[Outcome],
) -> SafeRow:  # fmt: skip
    n, top = len(thresholds), len(kind.strengths)
    rank, level = safe_level(list(thresholds.values()), rho, top)
    fewest = math.ceil(1 / rho - 1e-9) - 1
    left = Counter(one.status.value for one in group if one.status is not SeriesStatus.COMPLETE)
    strengths, rising = kind.strengths, sorted(kind.strengths)
    return SafeRow(
        observers, question, distortion, rho, n, rank, level, top,
        strength=strengths[level - 1] if level else None,
        finest=strengths[0],
        coarsest=strengths[-1],
        side="above" if strengths == rising[::-1] else "below" if strengths == rising else "",
        unit=kind.unit,
        noticed=_beta(rank, n) if level else None,
        saved=None,
        left_out=dict(sorted(left.items())),
        why="" if rank else f"rho {rho:g} takes {fewest:,} photographs, and there are {n:,}",
    )  # fmt: skip


def _beta(rank: int, n: int) -> Interval:
    """Return the 95 % interval of the share of new thresholds below the rank-th smallest of n."""
    from scipy.special import betaincinv  # loaded only where it is used

    low, high = (float(betaincinv(rank, n + 1 - rank, share)) for share in (0.025, 0.975))
    return Interval(low, high)


# --- bytes ---


def _sizes(analyses: Sequence[Analysis], stores: Sequence[Store]) -> _Sizes:
    """Return a function from distortion, reference, pixels shown and strength to a coded file's bytes, and its pixels.

    None where nothing can be said: no codec of this version, or no picture kept that is the one measured.
    """
    entries = {name: kind for analysis in analyses for name, kind in analysis.manifest.distortions.items()}

    @functools.lru_cache(maxsize=1)  # both strengths of one picture come after each other
    def picture(reference: str, photograph: str) -> Image | None:
        kept = (store.picture(reference) for store in stores)
        data = next((one for one in kept if one is not None), None)
        if data is None:
            return None
        try:
            image = decode(data)
        except InputError:
            return None
        return image if digest(image) == photograph else None

    @functools.cache
    def size(distortion: str, reference: str, photograph: str, strength: float) -> tuple[int, int] | None:
        encoded = _codec(distortion, entries[distortion])
        image = picture(reference, photograph) if encoded is not None else None
        if encoded is None or image is None:
            return None
        try:
            return len(encoded(image, strength)), image.shape[0] * image.shape[1]
        except InputError:  # a library lacks the codec, or cannot code a picture of this size
            return None

    return size


def _codec(name: str, entry: DistortionEntry) -> distortions.Encode | None:
    """Return what codes a picture as it was measured, if this limen has it."""
    try:
        kind = distortions.find(own_name(name, registry.names("distortion")))
    except UnknownNameError:
        return None
    return kind.encoded if kind.version == entry.version else None


def _saved(row: SafeRow, thresholds: Mapping[str, float], group: Iterable[Outcome], size: _Sizes) -> Mean | None:
    """Return what single pictures save at the safe level against level 1: the first by digest, up to the bounds."""
    if row.level is None or row.strength is None or row.level < 2:
        return None
    complete = (outcome for outcome in group if outcome.status is SeriesStatus.COMPLETE)
    references = {outcome.photograph: (outcome.series.picture, outcome.shown) for outcome in complete}
    shares: list[float] = []
    pixels = 0
    for photograph in sorted(thresholds):
        at = (row.distortion, *references[photograph])
        finest, there = size(*at, row.finest), size(*at, row.strength)
        if finest is not None and there is not None:
            shares.append(1 - there[0] / finest[0])
            pixels += finest[1]
        if len(shares) == MOST or pixels > MOST_PIXELS:
            break
    return Mean(sum(shares) / len(shares), bootstrap_mean(shares), len(shares)) if shares else None
