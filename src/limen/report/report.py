"""Runs to one page, to figures, or to JSON: no model, no network, no server; only the viewer needs its script."""

import dataclasses
import functools
import importlib.util
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import limen
from limen.analysis import Analysis, AnswerRow, Quantile, SeriesStatus, survival, trust, units
from limen.analysis.correlations import part_of
from limen.analysis.merge import joined, renamed
from limen.analysis.model_size import Parameters
from limen.analysis.paper import SOURCE
from limen.analysis.safe import RHOS, SafeRow, safe_levels
from limen.analysis.trust import TrustRow
from limen.errors import InputError, LimenError, MissingExtraError
from limen.report import (
    coded_size,
    correlations,
    examples,
    feature_sections,
    figures,
    files,
    headline,
    html,
    images,
    observers,
    psychometric,
    safe,
    sections,
    statistics,
    tables,
    viewer_data,
)
from limen.report.feature_sections import Contribution
from limen.report.figure import Figure
from limen.report.figures import Spec
from limen.report.format import Table, clean, counted, in_order, number, plain
from limen.report.headline import HeadlineNumber
from limen.report.images import Gallery
from limen.report.runs import OpenRun, ShortNames, differences, fixtures, keeper, open_runs
from limen.report.sections import Drawing, Section, Statistics
from limen.store import Store, bundle
from limen.store.rows import shown

CARD = 700  # px
EMBED = 12.0  # MB of pictures in the page
FOLD = 14  # rows from which on a table is folded
FEW_OBSERVERS = 3  # with questions, up to which sections stand open


def check_extra() -> None:
    """Raise `MissingExtraError` if the libraries of the extra "report" are not installed; loads none of them."""
    for library in ("jinja2", "vl_convert"):
        if importlib.util.find_spec(library) is None:
            raise MissingExtraError("the report", library, "report")


@dataclass(frozen=True, repr=False)
class Report:
    """Runs, open, and everything that is worked out from them, once for page, figures, card and numbers.

    Attributes:
        runs: of observers of images.
        others: open runs of deep features, by name.
        sizes: of the observers' backbones, where they are known (`limen.analysis.paper.parameters` reads a CSV).
    """

    runs: Sequence[OpenRun]
    others: Mapping[str, Store] = field(default_factory=dict)
    sizes: Mapping[str, Parameters] | None = None

    def __repr__(self) -> str:
        names = [*(run.name for run in self.runs), *self.others]
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        return f"Report({', '.join(name[:60] for name in names[:5])}{more})"

    @classmethod
    @contextmanager
    def open(
        cls, runs: Sequence[Path], sizes: Mapping[str, Parameters] | None = None, processes: int = 1
    ) -> Iterator[Self]:
        """Open and analyse run directories, each once.

        Args:
            runs: their folders.
            sizes: see above.
            processes: that may read the answers (`limen.analysis.replay.outcomes`).

        Raises:
            StoreError: a run cannot be read.
            InputError: there is no run, or one of a wing that this limen does not know.
        """
        with ExitStack() as stack:
            yield cls(*open_runs(runs, stack, processes), sizes)

    # --- what is worked out ---

    @functools.cached_property
    def all(self) -> Analysis:
        """The runs of observers of images, put together."""
        return joined(self.apart)

    @functools.cached_property
    def apart(self) -> Sequence[Analysis]:
        """The same, run by run, with the names that they have together."""
        return renamed({run.name: run.analysis for run in self.runs})

    @functools.cached_property
    def judged(self) -> Mapping[str, Sequence[TrustRow]]:
        """How far the thresholds of each run can be trusted, by its name; with the run's own names of observers."""
        return {run.name: trust.of_run(run.analysis, run.store) for run in self.runs}

    @functools.cached_property
    def worth(self) -> Sequence[TrustRow]:
        """The same of all runs, with the names that their observers have together."""
        rows = []
        for run, analysis in zip(self.runs, self.apart, strict=True):
            called = dict(zip(run.analysis.manifest.observers, analysis.manifest.observers, strict=True))
            rows += [dataclasses.replace(row, observer=called[row.observer]) for row in self.judged[run.name]]
        return rows

    @functools.cached_property
    def names(self) -> ShortNames:
        """What to call those that were asked."""
        return ShortNames(self.all)

    @functools.cached_property
    def statistics(self) -> Statistics:
        """What lies beyond the tables of answers."""
        return sections.work_out(self.all, self.sizes)

    @functools.cached_property
    def safe(self) -> Sequence[SafeRow]:
        """The safe levels."""
        return safe_levels(self.apart, RHOS, [run.store for run in self.runs])

    @functools.cached_property
    def features(self) -> Contribution | None:
        """What the runs of deep features bring, if there are any."""
        return feature_sections.contribution(self.others) if self.others else None

    @functools.cached_property
    def sections(self) -> Sequence[Section]:
        """The sections that the template does not write by hand."""
        own: tuple[Section, ...] = ()
        if self.runs:
            own = (
                *sections.of_people(self.all, self.statistics, self.names.asked),
                *sections.of_codecs(self.runs, self.apart, self.all, self.names.asked),
                *sections.of_observers(self.runs, self.apart),
                *sections.of_statistics(self.all, self.statistics, self.names.asked),
            )
        return (*own, *(self.features.sections if self.features else ()))

    @functools.cached_property
    def drawings(self) -> Mapping[str, Drawing]:
        """Every figure of the page, by name."""
        own = _own_drawings(self.all, self.names) if self.runs else ()
        return {each[0]: each for each in (*own, *(each for section in self.sections for each in section.figures))}

    @property
    def sentences(self) -> list[str]:
        """The sentences to quote, one a run."""
        return [*self._own_sentences(), *(self.features.sentences if self.features else ())]

    def _own_sentences(self) -> list[str]:
        """Return those of runs of observers of images: runs of deep features have theirs on their first screens."""
        return [headline.sentence(run.analysis, self.judged[run.name]) for run in self.runs]

    # --- what is made of it ---

    def data(self) -> dict[str, Any]:
        """Return every number of the report as plain data for JSON."""
        return {
            "limen": limen.__version__,
            "runs": [
                {"run": run.name}
                | tables.records(run.analysis)
                | observers.records(run.store)
                | coded_size.records(run)
                | observers.origin_records(run.analysis)
                for run in self.runs
            ],
            "together": sections.records(self.all, self.statistics) | self._headline() if self.runs else {},
            "sentences": self.sentences,
        } | ({"wings": {"feature": dict(self.features.records)}} if self.features else {})

    def _headline(self) -> dict[str, Any]:
        return {
            "headline": plain(headline.numbers(self.all, self.names.asked)),
            "trust": plain(self.worth),
            "safe": plain(self.safe),
        }

    def page(self, out: Path, embed: float = EMBED, beside: bool = False) -> str:
        """Write one self-contained HTML page; the same runs give the same bytes.

        Returns the sentence that says which stimuli had no room in it; "" where all had.

        Args:
            out: the file; folders above it are made.
            embed: MB of stimuli in the page, for its viewer; 0 for none.
            beside: put all stimuli into a folder beside the page instead (report.html has report_stimuli).

        Raises:
            MissingExtraError: the extra "report" is not installed.
            InputError: `out` cannot be written.
        """
        check_extra()
        gallery = Gallery(math.inf if beside else embed * 1e6, files.folder_beside(out) if beside else None)
        with ExitStack() as undo:
            undo.callback(gallery.discard)
            content = self._content(gallery)
            files.write(out, html.render(content))
            undo.pop_all()  # the page is there, and its pictures stay
        return str(content["viewer"]["left_out"]) if content["viewer"] else ""

    def specifications(self, width: int) -> dict[str, Spec]:
        """Return every figure of the page by name, and each psychometric function for one column of a paper.

        What is raised as for `page`.

        Args:
            width: of a figure of the page, in px; a column of a paper has its own.
        """
        check_extra()
        columns = psychometric.singles(self.all, self.statistics.fits) if self.runs else {}
        return {name: draw(width) for name, _, draw in self.drawings.values()} | columns

    def figures(self, width: int = figures.PAPER_WIDTH) -> dict[str, Figure]:
        """Return every figure as a thing to look at and to save, by the name of its file; raises as `page`.

        Args:
            width: of a figure of the page, in px; a column of a paper has its own.
        """
        labels = {name: label for name, label, _ in self.drawings.values()}
        return {name: Figure(name, labels.get(name, ""), spec) for name, spec in self.specifications(width).items()}

    def card(self) -> Spec:
        """Return the first screen as one picture; what is raised as for `page`."""
        check_extra()
        drawn = next((draw(CARD) for _, _, draw in self.drawings.values()), None)
        if drawn is None:
            raise InputError("Nothing to draw in these runs: no JND, no curve. Give a run that is further on.")
        nets = "; ".join(f"{name}: {what}" for name, what in self.features.fixtures.items()) if self.features else ""
        fixture = [f"Fixtures, which say nothing about networks in use. {nets}"] if nets else []
        if not self.runs:
            first = next(iter(self.features.screens), None) if self.features else None
            if first is None:
                return figures.card(feature_sections.HEADING, ("", "", figures.INK), (), drawn, self.sentences)
            verdict = (*first.verdict, figures.INK)
            return figures.card(
                first.title, verdict, _on_card(first.numbers), drawn, [*fixture, first.asked, *self.sentences]
            )
        screen = self._screen()
        named = "; ".join(f"{name}: {what}" for name, what in fixtures(self.all).items())
        fixture += [f"Fixtures, which say nothing about LMMs. {named}"] if named else []
        small = [*fixture, *observers.warnings(self.all), screen.about, *self.sentences]
        worth = screen.verdict
        verdict = (worth.word, worth.why, headline.COLOURS[worth.tone]) if worth else ("", "", figures.INK)
        return figures.card(screen.heading, verdict, _on_card(screen.numbers), drawn, small)

    # --- what the template is given ---

    def _content(self, gallery: Gallery) -> dict[str, Any]:
        viewer = self._viewer(gallery) if self.runs else None
        script = viewer or html.without_viewer()
        return {
            "version": limen.__version__,
            "bundles": self._bundles(),
            "heading": headline.heading(self.all.manifest) if self.runs else feature_sections.HEADING,
            "sentences": self._own_sentences(),
            "sections": [self._section(section) for section in self.sections],
            "how": [_how(run) for run in self.runs],
            "others": [{"run": name, "manifest": store.manifest, "settings": _json(shown(store.manifest))}
                       for name, store in self.others.items()],
            "nets": self.features.fixtures if self.features else {},
            "asked": bool(self.runs),
            "viewer": viewer,
            "scripts": script["scripts"],
            "policy": script["policy"],
            "style": html.style(),
            "fold": FOLD,
            "compact": self.runs and len(self.names.asked) > FEW_OBSERVERS,
            "screen": self._screen() if self.runs else None,
            "pair": self._pair() if self.runs else None,
        } | (self._asked() if self.runs else {"rules": None})  # fmt: skip

    def _bundles(self) -> list[dict[str, str]]:
        """Return which bundles the runs come from, with what is not shown because these have no pictures."""
        unsized = dict[tuple[str, str], list[str]]()
        for store in (*(run.store for run in self.runs), *self.others.values()):
            if found := bundle.origin(store.path):
                unsized.setdefault(found, []).extend(() if "wing" in store.manifest else coded_size.codecs(store))
        return [
            {"file": clean(file), "digest": digest[:64], "codecs": ", ".join(dict.fromkeys(names))}
            for (file, digest), names in unsized.items()
        ]

    def _asked(self) -> dict[str, Any]:
        """Return what the page shows of observers of images in sections written by hand."""
        everything, names = self.all, self.names
        accuracy, searched = survival.accuracy(everything), _searched(everything)
        distortions = sorted(everything.manifest.distortions)
        several = len(names.asked) > 1
        searching = any(outcome.thresholds for outcome in everything.outcomes)
        shown = list(examples.examples(self.runs, everything, names)) if searching else []
        drawn = any(lane["stimuli"] for group in shown for one in group["shown"] for lane in one["lanes"])

        def noted(table: Table) -> dict[str, Any]:
            return self._grid(observers.noted(everything, table))

        return {
            "observers": list(everything.manifest.observers),
            "several": several,
            "references": len({outcome.series.picture for outcome in everything.outcomes}),
            "distortions": distortions,
            "fixtures": fixtures(everything),
            "differences": differences(self.runs),
            "changed": observers.warnings(everything),
            "answering": self._grid(observers.answering(everything)),
            "searched": searched,
            "meaning": _meaning(everything),
            "rules": self._grid(headline.judgements(self.worth, names.asked)),
            "question": _asked_for(everything),
            "first": noted(tables.first_jnds(everything)) if searched else None,
            "board": self._board(),
            "shared": names.shared,
            "safe": noted(safe.table(everything, self.safe)) if self.safe else None,
            "categories": self._grid(tables.categories(everything)) if everything.categories else None,
            "first_figure": self._figure("first-jnds"),
            "accuracy": noted(statistics.accuracy(everything, accuracy)) if accuracy else None,
            "estimates": noted(tables.estimates(everything)) if everything.estimates else None,
            "curves_figure": self._figure("curves"),
            "counted": counted(self.all),
            "examples": shown,
            "drawn": drawn,
            "nth": self._grid(tables.nth_jnds(everything)) if "nth-jnds" in self.drawings else None,
            "nth_figure": self._figure("nth-jnds"),
            "missing": self.statistics.missing,
            "faults": self._grid(tables.faults(everything)),
            "fault_figures": [
                {"who": name, "answers": sum(row.questions for row in rows), "figure": self._figure(f"faults-{i}")}
                for i, name, rows in _by_observer(everything, names)
            ],
            "said": list(examples.said(everything, names)),
            "alarms": self._grid(tables.identical_pairs(everything)),
            "course": self._grid(tables.course(everything)),
            "attempts": self._grid(tables.attempts(everything)),
            "published": [html.grid(table) for table in _published(everything, names)],
            "source": SOURCE,
            "pixels": images.SIDE,
            "unpublished": [name for name in distortions if name not in correlations.PRINTED],
        }

    def _screen(self) -> headline.Screen:
        """Return what the page says first of the observers of images."""
        who = list(self.all.manifest.observers)
        called = headline.counted(self.all.manifest) if len(who) > FEW_OBSERVERS else ", ".join(who)
        return headline.Screen(
            f"{headline.heading(self.all.manifest)} of {called}",
            headline.worth(self.worth, self.names.asked),
            headline.numbers(self.all, self.names.asked),
            headline.about(self.all, len(self.names.asked)),
        )

    def _board(self) -> dict[str, Any] | None:
        """Return the table of medians of several observers, with the part of the data set that each column is of."""
        if len(self.names.asked) < 2:
            return None
        laid = self._grid(headline.board(self.all, self.names.asked, self.worth))
        parts = [part_of(name) for name, _ in laid["columns"]]
        shown = parts if len(set(filter(None, parts))) > 1 else []
        return laid | {"parts": shown, "board": True} if laid["rows"] else None

    def _pair(self) -> dict[str, Any] | None:
        """Return a reference and its stimulus at the median threshold, where they can be drawn."""
        typical = headline.typical_pair(self.all, keeper([run.store for run in self.runs]))
        if typical is None:
            return None
        outcome, level = typical
        kind = self.all.manifest.distortions[outcome.series.distortion]
        for run in self.runs:
            has = any(one.series.id == outcome.series.id for one in run.analysis.outcomes)
            if not has or run.store.picture(outcome.series.picture) is None:
                continue
            try:
                draw = images.renderer(run.store, outcome.series)
                shown = [images.pair_picture(draw(at)) for at in (0, level)]
            except LimenError:
                return None  # the section of stimuli says why
            return {
                "reference": shown[0],
                "stimulus": shown[1],
                "name": clean(outcome.series.name, 80),
                "distortion": outcome.series.distortion,
                "level": level,
                "of": len(kind.strengths),
                "strength": units.said(Quantile(level), kind.strengths, kind.unit),
                "who": self.names.asked[outcome.observer, outcome.question],
            }
        return None

    def _section(self, section: Section) -> dict[str, Any]:
        return {
            "anchor": section.anchor,
            "title": section.title,
            "about": section.about,
            "tables": [self._grid(table) for table in section.tables],
            "figures": [figures.both(draw, label) for _, label, draw in section.figures],
            "pictures": [[(one, images.thumbnail(one.image)) for one in row] for row in section.pictures],
            "key": section.key,
            "level": section.level,
            "screen": section.screen,
        }

    def _grid(self, table: Table) -> dict[str, Any]:
        return html.grid(table, self.names.short if self.runs else {})

    def _figure(self, name: str) -> dict[str, str] | None:
        if name not in self.drawings:
            return None
        _, label, draw = self.drawings[name]
        return figures.both(draw, label)

    def _viewer(self, gallery: Gallery) -> dict[str, Any]:
        runs = viewer_data.on_page([(run.store, run.analysis) for run in self.runs], self.all)
        return html.viewer(viewer_data.data(runs, self.all, self.names.asked, gallery), gallery)


def _on_card(numbers: Sequence[HeadlineNumber]) -> list[figures.Row]:
    return [(one.label, f"{one.value} {one.interval}".rstrip(), one.note) for one in numbers]


def _asked_for(analysis: Analysis) -> str:
    """Say in one line what was asked."""
    kinds = analysis.questions.values()
    references = len({outcome.series.picture for outcome in analysis.outcomes})
    over = f"{references:,} reference{'s' * (references != 1)}"
    if all(question.alone for question in kinds):
        return f"From which strength of a change on does the answer become another one? Asked of {over}."
    if not any(kind.graded for kind in analysis.manifest.distortions.values()):
        return f"Is the difference between two pictures noticed? Asked of {over}."
    if all(question.forced for question in kinds):
        return f"From which strength on is the changed picture found among the others? Asked of {over}."
    return f"From which strength on is a picture told from its undistorted original? Asked of {over}."


def _meaning(analysis: Analysis) -> str:
    """Say what a 1st JND of these questions is."""
    compared = {question.alone for question in analysis.questions.values()}
    notices = "The first level at which the observer notices a difference from the reference"
    answers = "The first level at which the answer is another one than of the undistorted reference, or wrong,"
    if compared == {True}:
        return f"{answers} and stays so at the levels that confirm it. A higher level is a steadier observer."
    both = f" Where answers are compared: {answers[0].lower()}{answers[1:-1]}." if True in compared else ""
    return f"{notices}, and goes on noticing it at the levels that confirm it. A lower level is a keener eye.{both}"


def _searched(analysis: Analysis) -> bool:
    """Whether the procedures look for JNDs, as far as anything is complete."""
    complete = any(outcome.status is SeriesStatus.COMPLETE for outcome in analysis.outcomes)
    return any(outcome.thresholds for outcome in analysis.outcomes) or not complete


def _own_drawings(analysis: Analysis, names: ShortNames) -> Iterator[Drawing]:
    """Yield the figures of the sections written by hand."""
    most = max((len(outcome.thresholds) for outcome in analysis.outcomes), default=0)
    graded = any(kind.graded for kind in analysis.manifest.distortions.values())
    if most:
        yield (
            "first-jnds",
            "1st JND levels: mean with interval, for each distortion and observer",
            lambda width: figures.first_jnds(analysis.jnds, analysis.outcomes, names.asked, width),
        )
    if most > 1:
        yield (
            "nth-jnds",
            "Mean level of the n-th JND against n",
            lambda width: figures.nth_means(analysis.jnds, names.asked, width),
        )
    if graded and not analysis.estimates and not _searched(analysis):  # one level has no curve
        yield (
            "curves",
            f"Proportion {counted(analysis)} against the level",
            lambda width: figures.noticed_shares(analysis, names.asked, width),
        )
    for i, name, rows in _by_observer(analysis, names):
        if any(row.antilogy.k or row.gibberish.k or row.deficiency.k for row in rows):
            yield f"faults-{i}", f"Faults of the answers of {name}", functools.partial(figures.faults, rows)


def _by_observer(analysis: Analysis, names: ShortNames) -> Iterator[tuple[int, str, list[AnswerRow]]]:
    for i, (asked, name) in enumerate(names.asked.items(), start=1):
        yield i, name, [row for row in analysis.answers if (row.observer, row.question) == asked]


def _published(analysis: Analysis, names: ShortNames) -> list[Table]:
    known = fixtures(analysis)
    measured: dict[str, list[tuple[str, str]]] = {}
    for row in in_order(analysis, analysis.jnds):
        if row.order == 1 and row.n and row.observer not in known:
            none = f" ({row.censored.k} of {row.n} >{row.levels})" if row.censored.k else ""
            mean = number(row.mean, 2) + none
            measured.setdefault(row.distortion, []).append((names.asked[row.observer, row.question], mean))
    return correlations.quoted(sorted(analysis.manifest.distortions), measured)


def _how(run: OpenRun) -> dict[str, Any]:
    manifest = run.analysis.manifest
    rows = []
    for name, kind in sorted(manifest.distortions.items()):
        strengths = kind.strengths
        span = f"{strengths[0]:.4g} … {strengths[-1]:.4g}"
        rows.append((name, kind.word, f"{kind.version}", f"{len(strengths)}", span, kind.unit, kind.ladder))
    columns = ("distortion", "word in the question", "version", "levels", "strength", "unit", "digest of the ladder")
    return {
        "run": run.name,
        "manifest": manifest,
        "observers": {name: _json(item) for name, item in manifest.observers.items()},
        "ladders": html.grid(Table("Ladders", columns, tuple(rows))),
    }


def _json(item: Any) -> str:
    return json.dumps(item, sort_keys=True, ensure_ascii=False, default=str)
