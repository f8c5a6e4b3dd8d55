"""Which pictures a page's viewer is given, in which order, until their room is used: first each series' 1st JND."""

import bisect
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image as Pillow

from limen.analysis import Analysis, Outcome
from limen.errors import LimenError
from limen.image import Image
from limen.report.examples import typical
from limen.report.format import clean
from limen.report.images import LARGEST, Gallery, Render, renderer
from limen.store import SeriesRow, Store

ROUND = 4  # levels of a series that are drawn before the other series have their turn again
AT_HAND = 64_000_000  # pixels of references and their stimuli that are kept from one turn to the next
MARGIN = 1.1  # of the room that all pictures are said to take: those not drawn may be larger than those that were
_SEEN = re.compile(r"(\d{1,4})x(\d{1,4}), (nearest|bilinear|bicubic|lanczos) if larger or smaller")

Place = tuple[str, str]  # observer and question, or observer and series


@dataclass(frozen=True, slots=True)
class Held:
    """What of the pictures of all series a page holds.

    Attributes:
        series: how many have pictures: at least the reference and one level, where two were asked about.
        of_series: how many could have.
        levels: how many of their levels have a picture.
        of_levels: how many were asked about.
        undrawn: series that cannot be drawn again, with or without room.
        room: bytes that all would take, about; None where nothing tells.
        wanted: whether the page was to hold any.
    """

    series: int = 0
    of_series: int = 0
    levels: int = 0
    of_levels: int = 0
    undrawn: int = 0
    room: float | None = None
    wanted: bool = True

    @property
    def lacking(self) -> bool:
        """Whether something was left out for want of room, against what was wished for."""
        return self.wanted and self.levels < self.of_levels

    def __str__(self) -> str:
        """Return it in a sentence or two, for the page and the terminal."""
        lost = f" {self.undrawn:,} series cannot be drawn again." if self.undrawn else ""
        if not self.of_series:
            return f"No pictures:{lost}" if lost else ""
        if not self.wanted:
            return f"No pictures: this page was made with --embed 0.{lost}"
        if not self.lacking:
            return f"Pictures: all {self.of_series:,} series, all {self.of_levels:,} levels asked about.{lost}"
        needed = f"About --embed {math.ceil(self.room / 1e6)} (MB) would hold all" if self.room else ""
        more = needed or "A larger --embed holds more"
        return (
            f"Pictures: {self.series:,} of {self.of_series:,} series, {self.levels:,} of {self.of_levels:,} levels "
            f"asked about; the page has no room for the others. {more}, --stimuli-beside puts all into a folder.{lost}"
        )


@dataclass(repr=False)
class Drawing:
    """Draws pictures into a gallery: the most telling ones of every series before the rest of any.

    Attributes:
        together: the runs together.
        lanes: who was asked what, in the page's order.
        gallery: takes the pictures, within its budget.
        stores: that hold a series, by its id.
        floors: what was measured of how an observer sees pictures, by observer and series.
        told: what the viewer is told of each series, by id.
    """

    together: Analysis
    lanes: Sequence[Place]
    gallery: Gallery
    stores: Mapping[str, Sequence[Store]]
    floors: Mapping[Place, Mapping[str, Any]]
    told: dict[str, dict[str, Any]] = field(default_factory=dict)
    _at_hand: dict[str, Render] = field(default_factory=dict)
    _room: int = AT_HAND

    def draw(self, order: Sequence[SeriesRow], outcomes: Mapping[str, Sequence[Outcome]]) -> Held:
        """Draw round after round, in each of them every series; return what the gallery holds in the end.

        Args:
            order: the series, in the order of their turns.
            outcomes: of each series.
        """
        rounds = {row.id: wanted(outcomes[row.id]) for row in order}
        levels = {name: {level for one in each for level in one} for name, each in rounds.items()}
        if math.isinf(self.gallery.budget):  # then a series is drawn in one turn
            rounds = {name: [[level for one in each for level in one]] for name, each in rounds.items()}
        budget = self.gallery.budget
        for i in range(max(map(len, rounds.values()), default=0)):
            for row in order:
                told = self.told.setdefault(row.id, {})
                if i < len(rounds[row.id]) and (i == 0 or "pictures" in told) and not self.gallery.full:
                    self._add(row, rounds[row.id][i], outcomes[row.id])
        return self._held(order, levels, budget > 0)

    def _add(self, row: SeriesRow, levels: Sequence[int], outcomes: Sequence[Outcome]) -> None:
        """Take in levels of a series, as long as there is room; its first two together or not at all."""
        told = self.told[row.id]
        try:
            draw = self._at_hand.get(row.id) or self._renderer(row)
            if not told:
                height, width = draw(0).shape[:2]
                first, levels = levels[:2], levels[2:]
                if not self._keep(told, draw, first, outcomes):
                    return
                told |= {"size": [width, height], "scaled": max(width, height) > LARGEST}
                self._put_by(row, draw, 17 * height * width)  # the reference, and what its renderer remembers
            for level in levels:
                if not self._keep(told, draw, [level], outcomes):
                    return
        except LimenError as error:
            if not told:
                told["why"] = clean(str(error), 300)

    def _renderer(self, row: SeriesRow) -> Render:
        stores = self.stores[row.id]
        kept = (store for store in stores if len(stores) == 1 or store.picture(row.picture) is not None)
        return renderer(next(kept, stores[0]), row, views=True)

    def _put_by(self, row: SeriesRow, draw: Render, pixels: int) -> None:
        if pixels <= self._room:
            self._room -= pixels
            self._at_hand[row.id] = draw

    def _keep(self, told: dict[str, Any], draw: Render, levels: Sequence[int], outcomes: Sequence[Outcome]) -> bool:
        """Take in levels as they were sent, and as each observer saw them; tell whether there was room for all."""
        sent = [draw(level) for level in levels]
        seeing = dict(self._seeing(outcomes))
        numbers = self.gallery.add([*sent, *(sees(picture) for sees in seeing.values() for picture in sent)])
        if numbers is None:
            return False
        parts = [
            told.setdefault("pictures", {}),
            *(told.setdefault("seen", {}).setdefault(lane, {}) for lane in seeing),
        ]
        for i, part in enumerate(parts):
            part |= dict(zip(levels, numbers[i * len(levels) :], strict=False))
        return True

    def _seeing(self, outcomes: Sequence[Outcome]) -> Iterator[tuple[int, Callable[[Image], Image]]]:
        """Yield how observers see pictures, by the number of their lane, where that is known."""
        for outcome in outcomes:
            sees = as_seen(self.floors.get((outcome.observer, outcome.series.id), {})) or as_seen(
                self.together.manifest.observers[outcome.observer]
            )
            lane = (outcome.observer, outcome.question)
            if sees is not None and lane in self.lanes:
                yield self.lanes.index(lane), sees

    # --- what there is in the end ---

    def _held(self, order: Sequence[SeriesRow], levels: Mapping[str, Set[int]], asked_for: bool) -> Held:
        could = [row for row in order if "why" not in self.told[row.id]]
        drawn = [row for row in could if "pictures" in self.told[row.id]]
        held = sum(len(self.told[row.id]["pictures"]) for row in drawn)
        wanted_levels = sum(len(levels[row.id]) for row in could)
        missing = self._missing(could, levels) if drawn and held < wanted_levels else 0.0
        there = sum(len(source) + 1 for source in self.gallery.sources)
        return Held(
            len(drawn), len(could), held, wanted_levels, len(order) - len(could),
            there + MARGIN * missing if missing else None, asked_for,
        )  # fmt: skip

    def _missing(self, rows: Sequence[SeriesRow], levels: Mapping[str, Set[int]]) -> float:
        """Return about how many bytes the missing pictures would take, by those of the same distortion."""
        sizes = defaultdict[str, dict[int, int]](dict)  # of pictures, by number, each once
        counts = Counter[str]()
        for row in rows:
            for level, numbers in self._numbers(row).items():
                kind = row.distortion if level else ""
                sizes[kind] |= {number: len(self.gallery.sources[number]) + 1 for number in numbers}
                counts[kind] += 1
        means = {kind: sum(each.values()) / counts[kind] for kind, each in sizes.items()}
        usual = sum(sum(each.values()) for each in sizes.values()) / counts.total()
        references = {row.picture for row in rows if "pictures" in self.told[row.id]}
        new = {row.picture for row in rows} - references
        each = ((row.distortion, len(levels[row.id] - {0} - self._numbers(row).keys())) for row in rows)
        one = means.get("", usual) * counts[""] / max(1, len(references))  # series share their reference
        return len(new) * one + sum(means.get(kind, usual) * count for kind, count in each)

    def _numbers(self, row: SeriesRow) -> dict[int, set[int]]:
        """Return the numbers of the pictures of each level that is there."""
        told = self.told[row.id]
        sent, seen = told.get("pictures", {}), told.get("seen", {}).values()
        return {level: {number, *(numbers[level] for numbers in seen)} for level, number in sent.items()}


def as_seen(fingerprint: Mapping[str, Any]) -> Callable[[Image], Image] | None:
    """Return how an observer brings pictures to its size, where its fingerprint says so in `pixels`; else None.

    Args:
        fingerprint: with `pixels` such as "64x64, bicubic if larger or smaller" (width x height, Pillow's filter).
    """
    match = _SEEN.fullmatch(str(fingerprint.get("pixels", "")))
    if match is None or not int(match[1]) or not int(match[2]):
        return None
    size, kind = (int(match[1]), int(match[2])), Pillow.Resampling[match[3].upper()]

    def see(image: Image) -> Image:
        same = (image.shape[1], image.shape[0]) == size
        return image if same else np.asarray(Pillow.fromarray(image).resize(size, kind))

    return see


# --- which pictures first ---


def drawing_order(outcomes: Sequence[Outcome], keeps: Callable[[str], bool]) -> list[str]:
    """Return ids of series in the order in which they are given pictures.

    First those of the page's examples, one of each distortion, then round after round one more of each, so that a
    budget leaves no distortion without; references that the examples have brought into the page come before others.
    """
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.series.distortion].append(outcome)
    used = Counter[str]()
    examples = [typical(group, keeps, used, 1) for _, group in sorted(groups.items())]
    queues = []
    for first, (_, group) in zip(examples, sorted(groups.items()), strict=True):
        rows = {outcome.series.id: outcome.series for outcome in group}.values()
        rest = sorted(rows, key=lambda row: (row.picture not in used, row.name, row.id))
        queues.append([*first, *(row.id for row in rest if row.id not in first)])
    longest = max(map(len, queues), default=0)
    return [queue[i] for i in range(longest) for queue in queues if i < len(queue)]


def wanted(outcomes: Sequence[Outcome]) -> list[list[int]]:
    """Return the levels of a series to draw, in rounds, the most telling first.

    The reference and the 1st JND (without one, the last level asked about); those of other observers; the levels asked
    about on both sides of these; each later JND with both sides; then the rest, the nearest to a JND first.

    Args:
        outcomes: all of one series, in the page's order.
    """
    probes = [response.probe for outcome in outcomes for response in outcome.responses]
    jnds = [[threshold.level for threshold in outcome.thresholds] for outcome in outcomes]
    asked = sorted({0, *(probe.level for probe in probes), *(probe.reference for probe in probes)})
    firsts = [each[0] for each in jnds if each]
    rounds = [[0, *(firsts[:1] or asked[-1:])], firsts, _beside(firsts, asked)]
    for order in range(1, max(map(len, jnds), default=0)):
        nth = [each[order] for each in jnds if len(each) > order]
        rounds.append([*nth, *_beside(nth, asked)])
    known = sorted(level for each in jnds for level in each)

    def away(level: int) -> int:
        at = bisect.bisect_left(known, level)
        return min((abs(level - jnd) for jnd in known[max(0, at - 1) : at + 1]), default=0)

    rest = sorted(asked, key=lambda level: (away(level), level))
    rounds += [rest[i : i + ROUND] for i in range(0, len(rest), ROUND)]
    fresh, seen = [], set[int]()
    for each in rounds:
        new = [level for level in dict.fromkeys(each) if level not in seen]
        seen.update(new)
        fresh += [new] if new else []
    return fresh


def _beside(levels: Iterable[int], asked: Sequence[int]) -> list[int]:
    """Return the nearest levels that were asked about, below and above each level."""
    found = []
    for level in levels:
        at = bisect.bisect_left(asked, level)
        above = bisect.bisect_right(asked, level)
        found += [*asked[max(0, at - 1) : at], *asked[above : above + 1]]
    return found
