"""What the viewer is told: every answer, verdict and JND as plain data, and the pictures they are about.

What was said is kept apart by distortion, so that the page can open what it shows before all the rest.
Nothing that came from outside is ever markup: texts travel as JSON and are shown as text.
"""

import dataclasses
import functools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

import limen
from limen import participant
from limen import procedure as procedures
from limen.analysis import Analysis, Outcome, Response, SeriesStatus, units
from limen.analysis.merge import own_name
from limen.image import Picture
from limen.ladder import Ladder
from limen.parsing.forms import LETTERS, Letters
from limen.people import wording
from limen.procedure import Method, Probe, pending
from limen.question import JUDGED, Order, Question
from limen.report.format import clean
from limen.report.images import Gallery
from limen.report.runs import keeper
from limen.report.text_diff import changed
from limen.report.viewer_pictures import Drawing, Held, drawing_order
from limen.store import Store
from limen.store.entries import Manifest
from limen.study.schedule import decode
from limen.trial import OTHER_SIDE, Answer, Trial, pair

LONGEST = 100_000  # characters of one answer in the page; the run has them all
MOST_TEXT = 16_000_000  # characters of all answers in the page
_STRANGE = re.compile(  # control, direction-changing, invisible and private signs, and halves of surrogate pairs
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\ue000-\uf8ff\U000e0000-\U000e0fff]"
)
_NO_PIXELS: Any = None  # of a picture that is known by its digest


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

    What was asked and said is under `talks`, one entry a distortion, each with `talks` and the `texts` that these count
    on by their numbers. The words that many answers share (model, how it ended) are numbers of `words`.

    Args:
        runs: see `on_page`.
        together: the runs together.
        names: short names of who was asked what, in the page's order.
        gallery: takes the pictures, within its budget.
    """
    content = _Content(runs, together, list(names), gallery)
    content.fill()
    studies, of = _studies(runs)
    kinds = {name: together.manifest.distortions[name] for name in content.distortions}
    words = [kind.word for kind in kinds.values()]
    return {
        "limen": limen.__version__,
        "beside": gallery.folder is not None,
        "kind": gallery.kind,
        "held": {"text": str(content.held), "left_out": str(content.held) if content.held.lacking else ""},
        "lanes": [_lane(together, *who, name, words) | {"study": of[who[0]]} for who, name in names.items()],
        "distortions": [
            {"name": clean(name, 80), "word": clean(kind.word, 200),
             "strengths": [clean(units.strength(strength, kind.unit), 80) for strength in kind.strengths]}
            for name, kind in kinds.items()
        ],
        "references": [clean(name, 120) or "(no name)" for name, _ in content.references],
        "series": content.series,
        "digests": content.digests,
        "studies": studies,
        "words": list(content.words),
        "empty": not any(part.talks for part in content.parts),
        "talks": [{"talks": part.talks, "texts": part.texts} for part in content.parts],
    }  # fmt: skip


def _lane(together: Analysis, observer: str, question: str, name: str, words: Sequence[str]) -> dict[str, Any]:
    known, manifest = together.questions[question], together.manifest
    wordings = [known.fill(word) for word in words]
    if participant.is_person(manifest.observers[observer]) and known.form is not None:
        wordings = [wording.plain(known, text) for text in wordings]
    return {
        "name": name,
        "order": manifest.questions[question].order,
        "testable": not known.alone,
        "shows": known.pictures,
        "picks": known.forced,
        "yes": known.notices == ("yes",),
        "alone": known.alone,
        "words": dict(zip(("no", "yes"), known.verdicts, strict=True)),
        "wordings": [clean(text, 600) for text in wordings],
        "question": question,
        "asked": [known.fill(word) for word in words] if not known.alone else [],
        "says": _says(known),
        "seen": clean(str(manifest.observers[observer].get("pixels", "")), 200),
    }


def _says(question: Question) -> dict[str, str]:
    """Return which value of the answer's form says that nothing and that something is noticed; {} if not one each."""
    form = question.form
    values = tuple(LETTERS[: len(form.options)]) if isinstance(form, Letters) else tuple(form.spelled) if form else ()
    said = {"yes" if value in question.notices else "no": value for value in values}
    return said if len(said) == len(values) == 2 and not question.forced and not question.alone else {}


def _studies(runs: Sequence[RunOnPage]) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Return what identifies the runs' studies, each once, and which of them each observer of the page was asked in.

    The page's test puts it into the file that it saves (`limen.imports.test`).
    """
    studies, of = list[dict[str, Any]](), dict[str, int]()
    for run in runs:
        study = _study(run.analysis.manifest)
        if study not in studies:
            studies.append(study)
        of |= dict.fromkeys(run.own_names, studies.index(study))
    return studies, of


def _study(manifest: Manifest) -> dict[str, Any]:
    kept = ("procedure", "max_side", "distortions", "questions", "sources", "probes")
    content = {name: msgspec.to_builtins(getattr(manifest, name)) for name in kept}
    return content | {"seed": str(manifest.seed)}  # 64 bits are more than a number of JavaScript holds


@dataclass(repr=False)
class _Talks:
    """What was asked and said under one distortion; `numbers` are those of its texts."""

    talks: list[dict[str, Any]] = field(default_factory=list)
    texts: list[list[Any]] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)


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
    digests: list[str] = field(default_factory=list)
    parts: list[_Talks] = field(default_factory=list)
    words: dict[str, int] = field(default_factory=dict)
    room: int = MOST_TEXT
    stores: dict[str, list[Store]] = field(default_factory=lambda: defaultdict(list))
    floors: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    held: Held = field(default_factory=Held)
    _numbers: dict[str, Mapping[int, int]] = field(default_factory=dict)  # of pictures, by series and level

    def fill(self) -> None:
        """Gather series and pictures first, then what was said about them: those with pictures before the others."""
        outcomes: dict[str, list[Outcome]] = defaultdict(list)
        lanes = {who: i for i, who in enumerate(self.lanes)}
        for run in self.runs:
            for outcome in run.outcomes:
                outcomes[outcome.series.id].append(outcome)
                self.stores[outcome.series.id].append(run.store)
            names = {own: name for name, own in run.own_names.items()}
            for floor in run.store.measurements("floor").values():
                self.floors[names.get(floor["observer"], floor["observer"]), floor["series"]] = floor
        for group in outcomes.values():  # the first lane's 1st JND is what the viewer begins with
            group.sort(key=lambda outcome: lanes.get((outcome.observer, outcome.question), len(lanes)))
        rows = {name: group[0].series for name, group in outcomes.items()}
        self.distortions = sorted({row.distortion for row in rows.values()})
        self.references = sorted({(row.name, row.picture) for row in rows.values()})
        every = [outcome for run in self.runs for outcome in run.outcomes]
        order = drawing_order(every, keeper([run.store for run in self.runs]))
        drawing = Drawing(self.together, self.lanes, self.gallery, self.stores, self.floors)
        self.held = drawing.draw([rows[name] for name in order], outcomes)
        distortions = {name: i for i, name in enumerate(self.distortions)}
        references = {reference: i for i, reference in enumerate(self.references)}
        self.digests = list(self.gallery.numbers)  # in the order of their numbers
        for name in order:
            row = rows[name]
            place = {"d": distortions[row.distortion], "r": references[row.name, row.picture]}
            self.series.append({**place, **drawing.told[name], **self._row(outcomes[name][0], drawing.told[name])})
        self._numbers = {name: drawing.told[name].get("pictures", {}) for name in order}
        self.parts = [_Talks() for _ in self.distortions]
        self._add_talks({name: i for i, name in enumerate(order)})

    def _row(self, outcome: Outcome, told: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a run keeps of a series, where the page shows its stimuli pixel by pixel; else nothing."""
        if "pictures" not in told or told["scaled"] or all(self.together.questions[q].alone for _, q in self.lanes):
            return {}
        row = outcome.series
        own = dataclasses.replace(row, distortion=own_name(row.distortion, self._own_distortions))
        size = {} if outcome.side is None else {"of": outcome.of, "side": outcome.side}
        return {"row": dataclasses.asdict(own) | size}

    @functools.cached_property
    def _own_distortions(self) -> frozenset[str]:
        return frozenset(name for run in self.runs for name in run.analysis.manifest.distortions)

    def _add_talks(self, number: Mapping[str, int]) -> None:
        lanes = {who: i for i, who in enumerate(self.lanes)}
        pairs = [(run, outcome) for run in self.runs for outcome in run.outcomes]
        for run, outcome in sorted(pairs, key=lambda pair: number[pair[1].series.id]):
            lane = lanes.get((outcome.observer, outcome.question))
            if lane is not None:
                place = number[outcome.series.id]
                part = self.parts[self.series[place]["d"]]
                part.talks.append({"o": lane, "s": place, **self._talk(run, outcome, part)})

    # --- answers ---

    def _talk(self, run: RunOnPage, outcome: Outcome, part: _Talks) -> dict[str, Any]:
        first = self._first(outcome)
        return {
            "status": outcome.status.value,
            "jnds": [[t.order, t.level, t.reference, t.censored, t.confirmed] for t in outcome.thresholds],
            "fits": [str(estimate) for estimate in outcome.estimates],
            "asked": self._asked(outcome, part),
            "probes": [
                [*self._probe(response, first, part), *self._place(outcome, response)] for response in outcome.responses
            ],
            "waiting": [] if outcome.status is not SeriesStatus.UNFINISHED else list(waiting(run, outcome)),
        }

    def _first(self, outcome: Outcome) -> str:
        """Return the words first asked of the undistorted reference, where reference and stimulus are shown alone."""
        if not self.together.questions[outcome.question].alone:
            return ""
        trials = (trial for response in outcome.responses for trial in response.trials)
        return next((t.wording for t in trials if t.reference == t.part == 0 and not t.again), "")

    def _asked(self, outcome: Outcome, part: _Talks) -> int | None:
        """Return the number of the text of an item's question; None where the question is the same for all."""
        question = self.together.questions[outcome.question]
        return self._text(outcome.item.text, part) if question.itemised and outcome.item is not None else None

    def _probe(self, response: Response, first: str, part: _Talks) -> list[Any]:
        probe, verdict = response.probe, response.verdict
        flag = verdict.flag.value if response.asked else "same"
        trials = [
            self._trial(trial, trial.answer, first, part) for trial in response.trials if trial.answer is not None
        ]
        return [probe.reference, probe.level, probe.draw, flag, verdict.fault.value if verdict.fault else "", trials]

    def _place(self, outcome: Outcome, response: Response) -> list[int]:
        """Return where the stimulus stands among the pictures, from 0, where the pair decides that; else nothing."""
        question, row, probe = self.together.questions[outcome.question], outcome.series, response.probe
        name = pair(row.id, probe.reference, probe.level)
        if question.forced:
            if any(trial.answer is not None and trial.answer.finish == JUDGED for trial in response.trials):
                return []
            return [question.place(name, probe.draw) - 1]
        if question.alone or question.order is not Order.BALANCED:
            return []
        numbers = self._numbers.get(row.id, {})
        if not {probe.reference, probe.level} <= numbers.keys():
            return []
        reference, stimulus = (
            Picture(_NO_PIXELS, self.digests[numbers[level]]) for level in (probe.reference, probe.level)
        )
        (query,) = question.ask(row.word, reference, stimulus, name=name)
        return [[picture.digest for picture in query.pictures].index(stimulus.digest)]

    def _trial(self, trial: Trial, answer: Answer, first: str, part: _Talks) -> list[Any]:
        reworded = trial.wording if first and trial.wording != first and not trial.again else ""
        return [
            int(trial.again), self._text(answer.text, part), _plain(answer.p_yes), _plain(answer.p_neither),
            self._word(answer.finish), answer.tokens_in, answer.tokens_out, _plain(answer.seconds),
            self._word(answer.model),
            *([int(trial.part >= OTHER_SIDE), _marked(first, reworded)] if first else []),
        ]  # fmt: skip

    def _text(self, text: str, part: _Talks) -> int | None:
        """Return the number of a text in its part, each kept once there; None where the page has no room for more."""
        if text not in part.numbers:
            if self.room < len(text) and any(one.texts for one in self.parts):
                return None
            self.room -= min(len(text), LONGEST)
            part.numbers[text] = len(part.texts)
            part.texts.append([visible(text[:LONGEST])] + ([len(text)] if len(text) > LONGEST else []))
        return part.numbers[text]

    def _word(self, text: str) -> int:
        """Return the number of a word that many answers share."""
        return self.words.setdefault(_short(text), len(self.words))


def _marked(before: str, after: str) -> list[list[Any]]:
    """Return a text in pieces, each with 1 where it differs from the text before, else 0; [] for no text."""
    pieces, place = list[list[Any]](), 0
    for change in changed(before, after) if after else ():
        start, end = change.after
        pieces += [[after[place:start], 0], [after[start:end] or "\u2038", 1]]  # a caret where words went away
        place = end
    return [[visible(text[:LONGEST]), mark] for text, mark in [*pieces, [after[place:], 0]] if text]


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
    name = own_name(outcome.series.distortion, run.analysis.manifest.distortions)
    kind = run.analysis.manifest.distortions[name]
    ladder = Ladder(tuple(kind.strengths), kind.unit, kind.version)
    waves, priors = run.beginnings[run.own_names[outcome.observer], outcome.question]
    prior = decode(priors.get((name, waves.get(outcome.series.id, 0))))
    known = {response.probe: response.verdict for response in outcome.responses}
    return tuple(probe for probe in pending(run.method, ladder, prior, known) if probe not in known)
