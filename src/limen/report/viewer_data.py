"""What the viewer is told: every answer, verdict and JND as plain data, and the pictures they are about.

Nothing that came from outside is ever markup: texts travel as JSON and are shown as text.
"""

import functools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image as Pillow

import limen
from limen import procedure as procedures
from limen.analysis import Analysis, Outcome, Response, SeriesStatus
from limen.errors import LimenError
from limen.image import Image
from limen.ladder import Ladder
from limen.procedure import Method, Probe, pending
from limen.question import VerdictKind
from limen.report.examples import typical
from limen.report.format import clean
from limen.report.images import LARGEST, Gallery, Render, renderer
from limen.report.runs import keeper
from limen.report.text_diff import changed
from limen.store import SeriesRow, Store
from limen.study.schedule import decode
from limen.trial import OTHER_SIDE, Answer, Trial

LONGEST = 100_000  # characters of one answer in the page; the run has them all
MOST_TEXT = 16_000_000  # characters of all answers in the page
_STRANGE = re.compile(  # control, direction-changing, invisible and private signs, and halves of surrogate pairs
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\ue000-\uf8ff\U000e0000-\U000e0fff]"
)
_SEEN = re.compile(r"(\d{1,4})x(\d{1,4}), (nearest|bilinear|bicubic|lanczos) if larger or smaller")


@dataclass(frozen=True, repr=False)
class RunOnPage:
    """One run, its analysis, and its outcomes under the names that the page gives its observers."""

    store: Store
    analysis: Analysis
    outcomes: Sequence[Outcome]

    def __repr__(self) -> str:
        return f"RunOnPage({self.store.path.name!r}, {len(self.outcomes)} series)"

    @functools.cached_property
    def own_names(self) -> Mapping[str, str]:
        """What the run itself calls each observer of the page."""
        return {ours.observer: own.observer for ours, own in zip(self.outcomes, self.analysis.outcomes, strict=True)}

    @functools.cached_property
    def method(self) -> Method:
        """The run's procedure."""
        settings = dict(self.analysis.manifest.procedure)
        return procedures.make(settings.pop("name"), settings)

    @functools.cached_property
    def beginnings(self) -> Mapping[tuple[str, str], tuple[Mapping[str, int], Mapping[tuple[str, int], bytes]]]:
        """Waves and priors, by observer and question."""
        asked = {(outcome.observer, outcome.question) for outcome in self.analysis.outcomes}
        return {who: (self.store.waves(*who), self.store.priors(*who)) for who in asked}

    @functools.cached_property
    def failures(self) -> Mapping[tuple[str, str], Counter[str]]:
        """How attempts ended whose question has no answer yet, by observer and series."""
        names, rows = self.store.columns("attempt")
        observer, series, key, ended = (names.index(name) for name in ("observer", "series", "key", "outcome"))
        failures: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for row in rows:
            if row[ended] != "ok" and self.store.get(row[key]) is None:
                failures[row[observer], row[series]][str(row[ended])] += 1
        return failures


def on_page(runs: Sequence[tuple[Store, Analysis]], together: Analysis) -> list[RunOnPage]:
    """Give each run its part of what was put together: outcomes in the order of the runs."""
    outcomes = iter(together.outcomes)
    return [RunOnPage(store, analysis, [next(outcomes) for _ in analysis.outcomes]) for store, analysis in runs]


def data(
    runs: Sequence[RunOnPage], together: Analysis, names: Mapping[tuple[str, str], str], gallery: Gallery
) -> dict[str, Any]:
    """Return everything the viewer shows, as plain data; draws the pictures into `gallery`.

    Args:
        runs: see `on_page`.
        together: the runs together.
        names: short names of who was asked what, in the page's order.
        gallery: takes the pictures, within its budget.
    """
    content = _Content(runs, together, list(names), gallery)
    content.fill()
    kinds = {name: together.manifest.distortions[name] for name in content.distortions}
    words = [kind.word for kind in kinds.values()]
    return {
        "limen": limen.__version__,
        "beside": gallery.folder is not None,
        "lanes": [_lane(together, *who, name, words) for who, name in names.items()],
        "distortions": [
            {"name": clean(name, 80), "word": clean(kind.word, 200), "unit": clean(kind.unit, 80),
             "strengths": [float(f"{strength:.4g}") for strength in kind.strengths]}
            for name, kind in kinds.items()
        ],
        "references": [clean(name, 120) or "(no name)" for name, _ in content.references],
        "series": content.series,
        "talks": content.talks,
        "texts": content.texts,
    }  # fmt: skip


def _lane(together: Analysis, observer: str, question: str, name: str, words: Sequence[str]) -> dict[str, Any]:
    known, manifest = together.questions[question], together.manifest
    return {
        "name": name,
        "order": manifest.questions[question].order,
        "testable": known.verdict is VerdictKind.DIFFERS and known.notices == ("yes",),
        "alone": known.alone,
        "wordings": [clean(known.fill(word), 600) for word in words],
        "seen": clean(str(manifest.observers[observer].get("pixels", "")), 200),
    }


@dataclass(repr=False)
class _Content:
    """What is gathered on the way to the page."""

    runs: Sequence[RunOnPage]
    together: Analysis
    lanes: Sequence[tuple[str, str]]
    gallery: Gallery
    distortions: list[str] = field(default_factory=list)
    references: list[tuple[str, str]] = field(default_factory=list)
    series: list[dict[str, Any]] = field(default_factory=list)
    talks: list[dict[str, Any]] = field(default_factory=list)
    texts: list[list[Any]] = field(default_factory=list)
    room: int = MOST_TEXT
    numbers: dict[str, int] = field(default_factory=dict)
    stores: dict[str, list[Store]] = field(default_factory=lambda: defaultdict(list))
    floors: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def fill(self) -> None:
        """Gather series and pictures first, then what was said about them: those with pictures before the others."""
        outcomes: dict[str, list[Outcome]] = defaultdict(list)
        for run in self.runs:
            for outcome in run.outcomes:
                outcomes[outcome.series.id].append(outcome)
                self.stores[outcome.series.id].append(run.store)
            names = {own: name for name, own in run.own_names.items()}
            for floor in run.store.measurements("floor").values():
                self.floors[names.get(floor["observer"], floor["observer"]), floor["series"]] = floor
        rows = {name: group[0].series for name, group in outcomes.items()}
        self.distortions = sorted({row.distortion for row in rows.values()})
        self.references = sorted({(row.name, row.picture) for row in rows.values()})
        every = [outcome for run in self.runs for outcome in run.outcomes]
        order = drawing_order(every, keeper([run.store for run in self.runs]))
        drawn = self._draw([rows[name] for name in order], outcomes)
        distortions = {name: i for i, name in enumerate(self.distortions)}
        references = {reference: i for i, reference in enumerate(self.references)}
        for name in order:
            row = rows[name]
            place = {"d": distortions[row.distortion], "r": references[row.name, row.picture]}
            self.series.append({**place, **drawn[name]})
        self._add_talks({name: i for i, name in enumerate(order)})

    def _add_talks(self, number: Mapping[str, int]) -> None:
        lanes = {who: i for i, who in enumerate(self.lanes)}
        pairs = [(run, outcome) for run in self.runs for outcome in run.outcomes]
        for run, outcome in sorted(pairs, key=lambda pair: number[pair[1].series.id]):
            lane = lanes.get((outcome.observer, outcome.question))
            if lane is not None:
                self.talks.append({"o": lane, "s": number[outcome.series.id], **self._talk(run, outcome)})

    # --- pictures ---

    def _draw(self, order: Sequence[SeriesRow], outcomes: Mapping[str, Sequence[Outcome]]) -> dict[str, dict[str, Any]]:
        """Draw series after series; while distortions have none yet, each may take its share of what is left."""
        drawn, waiting = {}, {row.distortion for row in order}
        for row in order:
            share = self.gallery.budget / max(1, len(waiting))
            drawn[row.id] = self._pictures(row, wanted(outcomes[row.id]), outcomes[row.id], share)
            if drawn[row.id].get("pictures") or "why" in drawn[row.id]:
                waiting.discard(row.distortion)
        return drawn

    def _pictures(
        self, row: SeriesRow, levels: Sequence[int], outcomes: Sequence[Outcome], room: float
    ) -> dict[str, Any]:
        if self.gallery.full:
            return {}
        stores = self.stores[row.id]
        kept = [store for store in stores if store.picture(row.picture) is not None]
        try:
            draw = renderer((kept or stores)[0], row, views=True)
            height, width = draw(0).shape[:2]
            numbers = self.gallery.add_all(draw, levels, room)
        except LimenError as error:
            return {"why": clean(str(error), 300)}
        seen = {}
        for outcome in outcomes:
            sees = as_seen(self.floors.get((outcome.observer, outcome.series.id), {})) or as_seen(
                self.together.manifest.observers[outcome.observer]
            )
            lane = (outcome.observer, outcome.question)
            if sees is not None and lane in self.lanes:
                seen[self.lanes.index(lane)] = self.gallery.add_all(_through(sees, draw), numbers, room)
        return {
            "size": [width, height],
            "scaled": max(width, height) > LARGEST,
            "pictures": numbers,
            "few": len(numbers) < len(levels),
            "seen": seen,
        }

    # --- answers ---

    def _talk(self, run: RunOnPage, outcome: Outcome) -> dict[str, Any]:
        return {
            "status": outcome.status.value,
            "jnds": [[t.order, t.level, t.reference, t.censored, t.confirmed] for t in outcome.thresholds],
            "fits": [str(estimate) for estimate in outcome.estimates],
            "asked": self._asked(outcome),
            "probes": [self._probe(response, self._first(outcome)) for response in outcome.responses],
            "waiting": [] if outcome.status is not SeriesStatus.UNFINISHED else list(waiting(run, outcome)),
        }

    def _first(self, outcome: Outcome) -> str:
        """Return the words first asked of the undistorted reference, where reference and stimulus are shown alone."""
        if not self.together.questions[outcome.question].alone:
            return ""
        trials = (trial for response in outcome.responses for trial in response.trials)
        return next((t.wording for t in trials if t.reference == t.part == 0 and not t.again), "")

    def _asked(self, outcome: Outcome) -> int | None:
        """Return the number of the text of an item's question; None where the question is the same for all."""
        question = self.together.questions[outcome.question]
        return self._text(outcome.item.text) if question.itemised and outcome.item is not None else None

    def _probe(self, response: Response, first: str) -> list[Any]:
        probe, verdict = response.probe, response.verdict
        flag = verdict.flag.value if response.asked else "same"
        trials = [self._trial(trial, trial.answer, first) for trial in response.trials if trial.answer is not None]
        return [probe.reference, probe.level, probe.draw, flag, verdict.fault.value if verdict.fault else "", trials]

    def _trial(self, trial: Trial, answer: Answer, first: str) -> list[Any]:
        reworded = trial.wording if first and trial.wording != first and not trial.again else ""
        return [
            int(trial.again), self._text(answer.text), _plain(answer.p_yes), _plain(answer.p_neither),
            _short(answer.finish), answer.tokens_in, answer.tokens_out, _plain(answer.seconds), _short(answer.model),
            *([int(trial.part >= OTHER_SIDE), _marked(first, reworded)] if first else []),
        ]  # fmt: skip

    def _text(self, text: str) -> int | None:
        """Return the number of an answer's text, each kept once; None where the page has no room for more."""
        if text not in self.numbers:
            if self.room < len(text) and self.texts:
                return None
            self.room -= min(len(text), LONGEST)
            self.numbers[text] = len(self.texts)
            self.texts.append([visible(text[:LONGEST])] + ([len(text)] if len(text) > LONGEST else []))
        return self.numbers[text]


def _marked(before: str, after: str) -> list[list[Any]]:
    """Return a text in pieces, each with 1 where it differs from the text before, else 0; [] for no text."""
    pieces, place = list[list[Any]](), 0
    for change in changed(before, after) if after else ():
        start, end = change.after
        pieces += [[after[place:start], 0], [after[start:end] or "\u2038", 1]]  # a caret where words went away
        place = end
    return [[visible(text[:LONGEST]), mark] for text, mark in [*pieces, [after[place:], 0]] if text]


def _through(sees: Callable[[Image], Image], draw: Render) -> Render:
    return lambda level: sees(draw(level))


@functools.lru_cache(maxsize=256)
def _short(text: str) -> str:
    return clean(text, 80)


def _plain(number: float | None) -> float | None:
    """Return a number with three significant digits, or None where there is none that JSON could hold."""
    return None if number is None or not math.isfinite(number) else float(f"{number:.3g}")


def visible(text: str) -> str:
    """Return an answer with signs that control, turn or hide text written out, as in [U+202E]; lines are kept."""
    if text.isascii() and text.isprintable():
        return text
    return _STRANGE.sub(lambda sign: f"[U+{ord(sign[0]):04X}]", text.replace("\r\n", "\n"))


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
    budget leaves no distortion without.
    """
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.series.distortion].append(outcome)
    used = Counter[str]()
    queues = []
    for _, group in sorted(groups.items()):
        first = typical(group, keeps, used, 1)
        rest = sorted({outcome.series.id: outcome.series for outcome in group}.values(), key=lambda row: row.name)
        queues.append([*first, *(row.id for row in rest if row.id not in first)])
    longest = max(map(len, queues), default=0)
    return [queue[i] for i in range(longest) for queue in queues if i < len(queue)]


def wanted(outcomes: Sequence[Outcome]) -> list[int]:
    """Return the levels of a series to draw, the most telling first: original, references, JNDs, their neighbours."""
    probes = [response.probe for outcome in outcomes for response in outcome.responses]
    jnds = [t.level for outcome in outcomes for t in outcome.thresholds]
    references = {probe.reference for probe in probes}
    levels = {0, *references, *jnds, *(probe.level for probe in probes)}

    def away(level: int) -> tuple[int, int]:
        if level == 0 or level in jnds[:1]:
            return (0, level)
        if level in references or level in jnds:
            return (1, level)
        return (2 + min((abs(level - jnd) for jnd in jnds), default=0), level)

    return sorted(levels, key=away)


# --- what is still open ---


def waiting(run: RunOnPage, outcome: Outcome) -> Iterator[list[Any]]:
    """Yield what an unfinished series still needs: [reference, level, draw, how the attempts at it ended].

    The procedure is replayed up to the questions it could not go on without. An attempt keeps the key of what was
    shown but not its level, so those of a series are counted together.
    """
    needed = _open_probes(run, outcome)
    mine = (run.own_names[outcome.observer], outcome.series.id)
    failures = sorted(run.failures.get(mine, Counter()).items()) if needed else []
    ended = ", ".join(f"{clean(kind, 60)} ({count})" for kind, count in failures)
    yield from ([probe.reference, probe.level, probe.draw, ended] for probe in needed)


def _open_probes(run: RunOnPage, outcome: Outcome) -> tuple[Probe, ...]:
    kind = run.analysis.manifest.distortions[outcome.series.distortion]
    ladder = Ladder(tuple(kind.strengths), kind.unit, kind.version)
    waves, priors = run.beginnings[run.own_names[outcome.observer], outcome.question]
    prior = decode(priors.get((outcome.series.distortion, waves.get(outcome.series.id, 0))))
    known = {response.probe: response.verdict for response in outcome.responses}
    return tuple(probe for probe in pending(run.method, ladder, prior, known) if probe not in known)
