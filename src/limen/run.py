"""The front door: measure from Python, open what was measured, and take the results from there."""

import contextlib
import html
import tempfile
import textwrap
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from limen import distortion as distortions
from limen import function_digest, image, registry
from limen import observer as observers
from limen.analysis import Analysis, EstimateRow, JndRow, analyse
from limen.analysis.merge import joined, renamed
from limen.analysis.replay import as_answered
from limen.distortion import Distortion
from limen.errors import InputError
from limen.ladder import Ladder
from limen.observer import FunctionObserver, Observer, Returns
from limen.source import Reference, size_of
from limen.spending import Spending
from limen.store import Store, bundle, names_of
from limen.study import USUAL, Spec, Study, own_distortions
from limen.study.ladders import Given, strengths
from limen.trial import pair

if TYPE_CHECKING:
    from limen.analysis.fitting import FitRow
    from limen.analysis.participants import PeopleAnalysis
    from limen.analysis.safe import SafeRow
    from limen.analysis.trust import TrustRow
    from limen.report.feature_screen import FirstScreen
    from limen.report.figure import Figure
    from limen.report.format import Table
    from limen.report.report import Report

__all__ = ["Run", "TrialRow", "measure", "open"]

Pixels: TypeAlias = np.ndarray[Any, Any]
Pictures: TypeAlias = str | Path | Pixels | Sequence[str | Path | Pixels] | Mapping[str, Pixels]
Looks: TypeAlias = str | Mapping[str, Any] | Observer | Callable[..., Any]
Changes: TypeAlias = str | Distortion | Callable[..., Any]
_SHOWN, _WIDTH = 20, 100  # rows and columns that a run shows of itself
_OF_SPEC = frozenset(Spec.__struct_fields__) - {
    "images", "observers", "distortions", "ladders", "plugins", "questions", "procedure",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One question put to an observer, and what its answer says.

    Attributes:
        observer, question, distortion, reference: by name.
        reference_level, level: which two stimuli were compared; 0 is the reference itself.
        strength, unit: of the level, on the distortion's ladder; None at level 0.
        repeat: 0, or the number of a repeated question about the same two.
        paraphrase: whether it was put in other words, because the first answer could not be read.
        verdict: "yes", "no" or "unreadable"; "same" where the two are one picture and nothing was asked.
        fault: "antilogy", "gibberish", "deficiency" or "".
        text: the answer as it came.
        p_yes: probability of a yes, None where the observer gives none.
        seconds: that the answer took.
        key: of the answer in the run's store.
    """

    observer: str
    question: str
    distortion: str
    reference: str
    reference_level: int
    level: int
    strength: float | None
    unit: str
    repeat: int
    paraphrase: bool
    verdict: str
    fault: str
    text: str
    p_yes: float | None
    seconds: float
    key: str


class Run:
    """What was measured: JNDs, every trial with its verdict, fits, a report. Shows itself as a table.

    Attributes:
        paths: run directories, one or several that are read as one.
        notices: what a person should know of how it was measured.
        refused: one line for each picture that could not be used.
        unfinished: one line for each series that has no result.

    Examples:
        >>> import limen
        >>> run = limen.measure("demo", "simulated", "blur", limit=1)
        >>> run.jnds[0].levels
        50
        >>> run.trials()[0].distortion
        'blur'
        >>> run.to_dicts()[0]["observer"]
        'simulated'
    """

    def __init__(
        self, paths: Sequence[str | Path], *, notices: Sequence[str] = (), refused: Sequence[str] = (),
        unfinished: Sequence[str] = (), folder: "tempfile.TemporaryDirectory[str] | None" = None,
    ) -> None:  # fmt: skip
        self.paths = tuple(map(Path, paths))
        self.notices, self.refused, self.unfinished = tuple(notices), tuple(refused), tuple(unfinished)
        self._folder = folder  # of a run without a directory of its own: it goes when this object goes

    @cached_property
    def analysis(self) -> Analysis:
        """All tables; the answers are read on first use."""
        return joined(self._apart)

    @cached_property
    def _apart(self) -> list[Analysis]:
        """The same, run by run, with the names that observers have together."""
        analyses = {}
        for path, name in names_of(self.paths).items():
            with Store.open(path) as store:
                analyses[name] = analyse(store)
        return renamed(analyses)

    @property
    def jnds(self) -> tuple[JndRow, ...]:
        """The n-th JND of each observer, question and distortion over references."""
        return self.analysis.jnds

    @property
    def estimates(self) -> tuple[EstimateRow, ...]:
        """Fitted thresholds, of a procedure that fits."""
        return self.analysis.estimates

    def trials(self) -> tuple[TrialRow, ...]:
        """Return every question that was put, in the order of its series, with the verdict on its answer."""
        return tuple(self._trials())

    def _trials(self) -> Iterator[TrialRow]:
        for outcome in self.analysis.outcomes:
            row = outcome.series
            about = self.analysis.manifest.distortions[row.distortion]
            asked = as_answered(
                self.analysis.questions[outcome.question], self.analysis.manifest.observers[outcome.observer]
            )
            for response in outcome.responses:
                probe = response.probe
                level = about.strengths[probe.level - 1] if probe.level else None
                at = (probe.reference, probe.level, level, about.unit, probe.draw)
                start = (outcome.observer, outcome.question, row.distortion, row.name, *at)
                if not response.trials:
                    yield TrialRow(*start, False, "same", "", "", None, 0.0, "")
                for trial in response.trials:
                    if trial.answer is None:
                        continue
                    if asked.alone:  # the verdict is on all answers of the comparison together
                        verdict = response.verdict
                    else:
                        name = pair(trial.series, trial.reference, trial.level)
                        verdict = asked.read((trial.answer,), (), trial.draw, name)
                    said = (verdict.flag.value, verdict.fault.value if verdict.fault else "", trial.answer.text)
                    yield TrialRow(*start, trial.again, *said, trial.answer.p_yes, trial.answer.seconds, trial.key)

    def fit(self, shape: str = "logistic") -> "tuple[FitRow, ...]":
        """Fit thresholds with false alarms and lapses apart (`limen.analysis.fitting.fit`).

        Args:
            shape: of the psychometric function: logistic, normal, weibull, gumbel or rgumbel.
        """
        from limen.analysis import fitting

        return fitting.fit(self.analysis, shape)

    def safe(self, rho: float = 0.05) -> "tuple[SafeRow, ...]":
        """Return up to which level new photographs go unnoticed, or are answered as they were.

        Args:
            rho: share of new photographs that may not, above 0 and below 1.

        Raises:
            InputError: `rho` is no such share.
        """
        from limen.analysis.safe import safe_levels

        if not 0 < rho < 1:
            raise InputError(f"rho is {rho!r}. Give a share above 0 and below 1: 0.05.")
        with contextlib.ExitStack() as stack:
            stores = [stack.enter_context(Store.open(path)) for path in names_of(self.paths)]
            return safe_levels(self._apart, (rho,), stores)

    def people(self) -> "PeopleAnalysis | None":
        """Return what is worked out of the people among the observers, and of people beside models, as rows.

        Their threshold with an interval over people and references, their spread, the satisfied user ratio, which model
        sees like them, error consistency, learning, reaction times. Who failed the attention rule is in `persons`
        alone. None where nobody is a person. `to_dicts` takes each field of it.

        Examples:
            >>> import limen
            >>> limen.measure("demo", "simulated", "blur", limit=1).people() is None
            True
        """
        from limen.analysis.participants import people

        return people(self.analysis)

    def report(self, path: str | Path = "report.html") -> Path:
        """Write one page of tables, figures and stimuli, and return its path.

        Args:
            path: of the HTML file.

        Raises:
            MissingExtraError: the extra `report` is not installed.
        """
        from limen.report.report import check_extra

        check_extra()
        with self._report() as made:
            made.page(Path(path))
        return Path(path)

    def bundle(self, path: str | Path, anonymous: bool = False) -> Path:
        """Write all of it into one file to be published beside a paper, without pictures, and return its path.

        Every answer is in it, raw, and every number of the report. `limen.verify` works the numbers out again.

        Args:
            path: of the file.
            anonymous: leave out names of references and runs, the commit, times of day and texts of failures.

        Raises:
            InputError: it cannot be written.
        """
        from limen.report import bundle

        return bundle.write(self.paths, Path(path), anonymous).path

    def figures(self) -> "dict[str, Figure]":
        """Return every figure of the report by name, in print colours; a notebook shows one that ends its cell.

        Raises:
            MissingExtraError: the extra `report` is not installed.
        """
        with self._report() as made:
            return made.figures()

    @property
    def trust(self) -> "tuple[TrustRow, ...]":
        """How far the thresholds of each observer and question can be trusted, rule by rule, as the report says it."""
        with self._report() as made:
            return tuple(made.worth)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The sentences to quote, one a run: thresholds with intervals and n, verdict on trust, how it was measured."""
        with self._report() as made:
            return tuple(made.sentences)

    def psychometric(self, shape: str = "logistic") -> list[dict[str, Any]]:
        """Return answers and the fitted curve, a row for each level of each curve, to draw a figure of your own from.

        Args:
            shape: of the function, as for `fit`.

        Returns:
            Rows with `observer`, `question`, `distortion`, `level`, `strength` (in `unit`), `said` (`k` yes of `n`),
            and the fitted share of yes with its 95 % credible band (`fitted`, `fitted_low`, `fitted_high`), 0 to 1.
        """
        from limen.report import psychometric

        return psychometric.records(self.analysis, self.fit(shape))

    def to_dicts(self, rows: Sequence[Any] | None = None) -> list[dict[str, Any]]:
        """Return rows as plain data, under the names of the report's CSV: nested ones have dots ("censored.k").

        Args:
            rows: of this run; `jnds` (or `estimates`, where the procedure fits) if not given.
        """
        from limen.report.format import flat

        return [flat(row) for row in (self._rows if rows is None else rows)]

    def to_frame(self, rows: Sequence[Any] | None = None) -> Any:
        """Return rows as a data frame: of pandas, or of polars where pandas is not installed.

        Args:
            rows: of this run; `jnds` (or `estimates`, where the procedure fits) if not given.

        Raises:
            InputError: neither is installed; `to_dicts` needs neither.
        """
        data = self.to_dicts(rows)
        for library in ("pandas", "polars"):
            with contextlib.suppress(ImportError):
                return __import__(library).DataFrame(data)
        raise InputError("A data frame needs pandas or polars: pip install pandas. to_dicts() needs neither.")

    @property
    def _rows(self) -> Sequence[Any]:
        return self.jnds or self.estimates

    def _report(self) -> "contextlib.AbstractContextManager[Report]":
        from limen.report.report import Report

        return Report.open(self.paths)

    @cached_property
    def _table(self) -> "Table":
        """The table that answers the run's question, as `limen measure` prints it."""
        from limen.report.tables import main_table

        return main_table(self.analysis)

    @cached_property
    def _screens(self) -> "tuple[FirstScreen, ...]":
        """What a report says first of runs of deep features, which have no JNDs; none where a run has."""
        with contextlib.ExitStack() as stack:
            if not all("wing" in stack.enter_context(Store.open(path)).manifest for path in self.paths):
                return ()
        with self._report() as made:
            return made.features.screens if made.features else ()

    def __repr__(self) -> str:
        if self._screens:
            return "\n".join(line for screen in self._screens for text in _said(screen) for line in _folded(text))
        table, kept = self._table, list(range(len(self._table.columns)))
        for spare in ("", *table.spare):  # the least needed columns go first, until the rest is no wider than a screen
            kept = [place for place in kept if table.columns[place] != spare]
            lines = [[row[place] for place in kept] for row in (table.columns, *table.rows[:_SHOWN])]
            widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
            if sum(widths) + 2 * len(widths) <= _WIDTH:
                break
        drawn = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
        return "\n".join([self._title(), *drawn, *(line for note in self._notes() for line in _folded(note))])

    def _repr_html_(self) -> str:
        if self._screens:
            return "<br>".join(html.escape(line) for screen in self._screens for line in _said(screen))
        table = self._table
        cells = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in table.rows[:_SHOWN]]
        body = "".join(f"<tr>{row}</tr>" for row in cells)
        names = "".join(f"<th>{html.escape(name)}</th>" for name in table.columns)
        notes = "<br>".join(map(html.escape, self._notes()))
        return (
            f"<table><caption>{html.escape(self._title())}</caption><thead><tr>{names}</tr></thead>"
            f"<tbody>{body}</tbody></table><small>{notes}</small>"
        )

    def _title(self) -> str:
        where = f" (run {', '.join(path.name for path in self.paths)})" if self._folder is None else ""
        return f"{self._table.title} of {', '.join(self.analysis.manifest.observers)}{where}"

    def _notes(self) -> Iterator[str]:
        if (rows := len(self._table.rows)) > _SHOWN:
            yield f"... and {rows - _SHOWN} rows more: to_frame() has all."
        yield from self._table.notes
        if any(row.order > 1 for row in self.jnds):
            yield "JNDs after the 1st: to_frame()."
        for lines, what in ((self.unfinished, "series without a result"), (self.refused, "pictures refused")):
            if lines:
                yield f"{len(lines)} {what}. First: {lines[0]}"


def _folded(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, break_on_hyphens=False)


def _said(screen: "FirstScreen") -> Iterator[str]:
    """Yield what is said first of a run of deep features, a line each."""
    yield screen.title
    yield f"{screen.verdict[0]}: {screen.verdict[1]}."
    for number in screen.numbers:
        interval = f" ({number.interval})" if number.interval else ""
        yield f"{number.label}: {number.value}{interval}; {number.note}"


def measure(
    images: Pictures,
    observer: Looks | Sequence[Looks],
    distortions: Changes | Sequence[Changes] = (),
    *,
    ladders: Mapping[str, Sequence[float] | Mapping[str, Any]] | None = None,
    questions: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = "direct",
    procedure: str | Mapping[str, Any] = "skip",
    jnds: int | None = None,
    out: str | Path | None = None,
    name: str = "",
    version: str = "",
    returns: Returns | None = None,
    threshold: float | None = None,
    concurrency: int = 1,
    plugins: str | Path | Sequence[str | Path] = (),
    progress: Callable[[Any], None] | None = None,
    max_questions: int | None = None,
    max_cost: float | None = None,
    price: str | Mapping[str, float] | None = None,
    **settings: Any,
) -> Run:
    """Measure just noticeable differences, and return what was found.

    Args:
        images: a picture or several: a uint8 RGB array (H, W, 3), a file, a folder, or what `--images` takes ("demo",
            "KIND=PATH"); a mapping gives arrays their names.
        observer: who looks, or several of them: the name of one ("openai:MODEL"), a mapping of its `name` and its
            settings, an object derived from `limen.Observer`, or a function of two arrays and, if it takes it, the
            question's text. A function returns True where it notices a difference, or an answer in words, or a number
            (then give `returns` or `threshold`).
        distortions: what is done to the pictures: names, `limen.Distortion` objects, or functions of an image and a
            strength, which need a ladder; all of the paper's if not given.
        ladders: strengths by distortion, from the weakest to the strongest, each in the distortion's own unit; or a
            rule, {"from": 0.5, "to": 16, "levels": 20, "spacing": "geometric"} (or "linear").
        questions: one or several of `limen.names("question")`, or mappings with `name`, `text` and what else makes a
            question of your own (`limen.question.QuestionOptions`).
        procedure: one of `limen.names("procedure")`, or a mapping of its `name` and settings.
        jnds: how many JNDs to find along a ladder, 1 or more; 0 for all. 1 if not given.
        out: run directory, kept and resumed by the same call. If not given, the run lies in a temporary directory that
            goes with the object returned.
        name: of an observer that is a function; the function's own if not given.
        version: of an observer that is a function: answers of one version are never used for another. If not given,
            the digest of what it does stands for it.
        returns: "probability" where a function's number, 0 to 1, is the probability that it notices.
        threshold: criterion where a function's number is a difference, in the unit of that number: it notices what is
            above.
        concurrency: calls of a function at a time, 1 to 4,096.
        plugins: Python files that register further names.
        progress: called with `limen.study.Progress` while it runs.
        max_questions: how many questions this call asks at most; series that lack answers then stay open, and the same
            call with the same `out` goes on.
        max_cost: the same for what answers cost, at `price`.
        price: what a million tokens cost you, {"in": 2.5, "out": 10}, in any currency.
        settings: any other setting of a study by name: `seed`, `limit`, `order`, `max_side`, `look_ahead`, ...
            (`limen.Spec` says which there are).

    Raises:
        InputError: something given cannot be used, in one line that says what would be right.
        FatalObserverError: an observer can answer no question; what a function raised is its `__cause__`.

    Examples:
        >>> import limen, numpy as np
        >>> photograph = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        >>> def looks(first, second):
        ...     return bool(np.abs(first.astype(int) - second).mean() > 4)
        >>> variances = [0.0001, 0.0002, 0.0005, 0.001, 0.002]  # of the unit range
        >>> run = limen.measure(photograph, looks, "noise", ladders={"noise": variances})
        >>> str(run.jnds[0].median), run.jnds[0].strength
        ('3', 0.0005)
    """
    for plugin in _several(plugins):
        registry.plugin(plugin)
    spending = Spending(max_questions, max_cost, price)
    if unknown := sorted(settings.keys() - _OF_SPEC):
        raise InputError(f"measure has no setting {unknown[0]!r}. Further ones: {', '.join(sorted(_OF_SPEC))}.")
    course: dict[str, Any] = {"name": procedure} if isinstance(procedure, str) else dict(procedure)
    if jnds is not None:
        course["orders"] = jnds
    places, references = _pictures(images)
    chosen = _several(distortions)
    own = own_distortions(settings.get("codecs", {}), places)
    kinds = [
        own[one] if isinstance(one, str) and one in own else _distortion(one, ladders or {})
        for one in chosen or own or USUAL
    ]
    asked = tuple(one if isinstance(one, str) else dict(one) for one in _several(questions))
    given = {
        "images": places, "observers": (), "distortions": tuple(kind.name for kind in kinds) if chosen else (),
        "questions": asked, "procedure": course,
        "ladders": {name: _plain(ladder) for name, ladder in (ladders or {}).items()},
    }  # fmt: skip
    spec = registry.settings("measure", given | settings, Spec)
    about = {"name": name, "returns": returns, "threshold": threshold, "concurrency": concurrency}
    made = [_observer(one, about, version, out is not None) for one in _several(observer)]
    study = Study.of(spec, made, kinds, references=references)
    folder = tempfile.TemporaryDirectory(prefix="limen-", ignore_cleanup_errors=True) if out is None else None
    path = Path(folder.name) / "run" if folder else Path(str(out)).expanduser()
    done = study.run(path, progress or (lambda _: None), spending=spending)
    unfinished = [f"{one.observer}, {one.distortion}, {one.reference}: {one.detail}" for one in done.unfinished]
    return Run([path], notices=done.notices, refused=done.refused, unfinished=unfinished, folder=folder)


def open(*runs: str | Path) -> Run:
    """Open what was measured: one run directory, or several that are read as one.

    Args:
        runs: run directories, of the command line or of `measure`; or bundles of them (`Run.bundle`).

    Raises:
        StoreError: one of them is none, or has been damaged.

    Examples:
        >>> import limen, tempfile
        >>> folder = tempfile.mkdtemp() + "/run"
        >>> _ = limen.measure("demo", "simulated", "noise", limit=1, out=folder)
        >>> limen.open(folder).jnds[0].observer
        'simulated'
    """
    if not runs:
        raise InputError("open needs a run directory: limen.open('runs/a').")
    with contextlib.ExitStack() as stack:
        run = Run(bundle.unpacked([Path(one).expanduser() for one in runs], stack))
        weakref.finalize(run, stack.pop_all().close)
    for path in run.paths:
        Store.open(path).close()  # what is none is known now
    return run


def _several(given: Any) -> list[Any]:
    """Return what was given as a list: a single text, path, mapping, object or function is one of it."""
    return list(given) if isinstance(given, list | tuple | set | frozenset) else [given]


def _pictures(given: Pictures) -> tuple[tuple[str, ...], list[Reference]]:
    """Return places to look for pictures, and references made of arrays."""
    named = given.items() if isinstance(given, Mapping) else [("", one) for one in _several(given)]
    places, references = list[str](), list[Reference]()
    for number, (name, one) in enumerate(named, start=1):
        if isinstance(one, str | Path):
            places.append(str(one))
            continue
        if not isinstance(one, np.ndarray) and hasattr(one, "__array_interface__"):  # a picture of Pillow's
            one = np.asarray(one)
        name = name or f"array-{number}"
        pixels = image.check(one, name).copy()
        if min(pixels.shape[:2]) < image.SMALLEST:
            size = f"{pixels.shape[1]}x{pixels.shape[0]}"
            raise InputError(f"{name}: is {size} px. Give {image.SMALLEST} px a side or more.")
        loaded = _Loaded(pixels)
        references.append(Reference(name, image.digest(pixels), loaded, source="array", size=size_of(pixels)))
    return tuple(places), references


@dataclass(frozen=True)
class _Loaded:
    """Gives an array whenever it is called."""

    pixels: image.Image

    def __call__(self) -> image.Image:
        return self.pixels


def _plain(ladder: Sequence[float] | Mapping[str, Any]) -> Given:
    return dict(ladder) if isinstance(ladder, Mapping) else tuple(map(float, ladder))


def _distortion(given: Changes, ladders: Mapping[str, Sequence[float] | Mapping[str, Any]]) -> Distortion:
    if isinstance(given, str):
        return distortions.find(given)
    if isinstance(given, Distortion):
        return given
    if not callable(given):
        raise InputError(
            f"distortions: {given!r:.60} is not a name, limen.Distortion or function of image and strength."
        )
    name = getattr(given, "__name__", type(given).__name__)
    if name not in ladders:
        raise InputError(f"Distortion {name!r} is a function and needs strengths: ladders={{{name!r}: [1, 2, 4, 8]}}.")
    return distortions.of_function(given, Ladder(strengths(f"ladders.{name}", _plain(ladders[name])), "strength"))


def _observer(given: Looks, about: Mapping[str, Any], version: str, kept: bool) -> Observer:
    if isinstance(given, str):
        return observers.make(given, {})
    if isinstance(given, Mapping):
        settings = dict(given)
        return observers.make(str(settings.pop("name", "")), settings)
    if isinstance(given, Observer):
        return given
    if hasattr(given, "answer"):
        kind = type(given).__name__
        raise InputError(f"observer: a {kind} is not derived from limen.Observer: class {kind}(limen.Observer).")
    if not callable(given):
        raise InputError(f"observer: {given!r:.60} is not a name, limen.Observer or function of two arrays.")
    return FunctionObserver(given, **about, version=version or _version(given, kept))


def _version(function: Callable[..., Any], kept: bool) -> str:
    """Return what a function is known by; where nothing is kept, nothing can be mistaken for another version's."""
    try:
        return function_digest.of_function(function)
    except InputError:
        if kept:
            raise
        return "of a run that is not kept"
