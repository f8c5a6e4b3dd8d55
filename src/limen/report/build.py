"""Runs to one page, to figures, or to JSON: no model, no network, no server; only the viewer needs its script."""

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
from limen.analysis import Analysis, AnswerRow, SeriesStatus, survival
from limen.analysis.merge import joined, renamed
from limen.analysis.model_size import Parameters
from limen.errors import InputError, MissingExtraError
from limen.report import (
    distances,
    examples,
    extended,
    feature_wing,
    figures,
    html,
    origins,
    paper,
    pictures,
    preflight,
    tables,
    viewer,
    viewer_data,
)
from limen.report import survival as pairs
from limen.report.embedded_images import Gallery
from limen.report.figures import Spec
from limen.report.labels import Names, fixtures
from limen.report.runs import Run, differences, open_runs
from limen.report.section import WINGS, Contribution, Drawing, Section, contributions
from limen.report.table import Table, in_order
from limen.store import Store
from limen.store.rows import shown

CARD = 700  # px
WINGS["feature"] = feature_wing.contribution


def check_extra() -> None:
    """Raise `MissingExtraError` if the libraries of the extra "report" are not installed; loads none of them."""
    for library in ("jinja2", "vl_convert"):
        if importlib.util.find_spec(library) is None:
            raise MissingExtraError("the report", library, "report")


@dataclass(frozen=True)
class Report:
    """Runs, open, and everything that is worked out from them, once for page, figures, card and numbers.

    Attributes:
        runs: of observers of images.
        others: open runs of another wing, by name.
        sizes: of the observers' backbones, where they are known (`limen.analysis.paper.parameters` reads a CSV).
    """

    runs: Sequence[Run]
    others: Mapping[str, Store] = field(default_factory=dict)
    sizes: Mapping[str, Parameters] | None = None

    @classmethod
    @contextmanager
    def open(
        cls, runs: Sequence[Path], sizes: Mapping[str, Parameters] | None = None, processes: int = 1
    ) -> Iterator[Self]:
        """Open and analyse run directories, each once.

        Args:
            runs: their folders.
            sizes: see above.
            processes: that may read the answers, >= 1 (`limen.analysis.replay.outcomes`).

        Raises:
            StoreError: a run cannot be read.
            InputError: there is no run.
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
    def names(self) -> Names:
        """What to call those that were asked."""
        return Names(self.all)

    @functools.cached_property
    def further(self) -> extended.Further:
        """What lies beyond the tables of answers."""
        return extended.work_out(self.all, self.sizes)

    @functools.cached_property
    def brought(self) -> Mapping[str, Contribution]:
        """What the runs of other wings bring, by wing."""
        return contributions(self.others)

    @functools.cached_property
    def sections(self) -> Sequence[Section]:
        """The sections that the page does not write by hand: of the further analyses, then of other wings."""
        own = extended.sections(self.all, self.further, self.names.asked) if self.runs else ()
        return (
            *preflight.sections(self.runs, self.apart),
            *distances.sections(self.runs),
            *own,
            *(section for wing in self.brought.values() for section in wing.sections),
        )

    @functools.cached_property
    def drawings(self) -> Mapping[str, Drawing]:
        """Every figure of the page, by name."""
        own = _own_drawings(self.all, self.names) if self.runs else ()
        return {each[0]: each for each in (*own, *(each for section in self.sections for each in section.figures))}

    @property
    def sentences(self) -> list[str]:
        """The sentences to quote, one a run."""
        others = (sentence for wing in self.brought.values() for sentence in wing.sentences)
        return [*(tables.sentence(run.analysis) for run in self.runs), *others]

    # --- what is made of it ---

    def data(self) -> dict[str, Any]:
        """Return every number of the report as plain data for JSON."""
        wings = {wing: dict(brought.records) for wing, brought in self.brought.items()}
        return {
            "limen": limen.__version__,
            "runs": [
                {"run": run.name}
                | tables.records(run.analysis)
                | preflight.records(run.store)
                | origins.records(run.analysis)
                for run in self.runs
            ],
            "together": extended.records(self.further) if self.runs else {},
            "sentences": self.sentences,
        } | ({"wings": wings} if wings else {})

    def page(self, out: Path, embed: float = viewer.EMBED, beside: bool = False) -> None:
        """Write one self-contained HTML page; the same runs give the same bytes.

        Args:
            out: the file; folders above it are made.
            embed: MB of stimuli in the page, for its viewer; 0 for none.
            beside: put all stimuli into a folder beside the page instead (report.html has report_stimuli).

        Raises:
            MissingExtraError: the extra "report" is not installed.
            InputError: `out` cannot be written.
        """
        check_extra()
        folder = viewer.folder_beside(out) if beside else None
        kept = Gallery(math.inf if beside else embed * 1e6, folder)
        html.write(out, html.render(self._content(kept)))

    def specifications(self, width: int) -> dict[str, Spec]:
        """Return every figure of the page by name, for a paper; what is raised as for `page`."""
        check_extra()
        return {name: draw(width) for name, _, draw in self.drawings.values()}

    def card(self) -> Spec:
        """Return one picture with the first result and the sentence to quote; what is raised as for `page`."""
        check_extra()
        drawn = next((draw(CARD) for _, _, draw in self.drawings.values()), None)
        if drawn is None:
            raise InputError("Nothing to draw in these runs: no JND, no curve. Give a run that is further on.")
        known = fixtures(self.all) if self.runs else {}
        named = "; ".join(f"{name}: {what}" for name, what in known.items())
        fixture = [f"Fixtures, which say nothing about LMMs. {named}"] if named else []
        changed = origins.warnings(self.all) if self.runs else []
        return figures.card(drawn, self.sentences, [*fixture, *changed])

    # --- what the template is given ---

    def _content(self, kept: Gallery) -> dict[str, Any]:
        grids = self.names.grids if self.runs else (lambda many: [html.grid(table) for table in many])
        seen = self._viewer(kept) if self.runs else None
        headings = [wing.heading for wing in self.brought.values()]
        return {
            "version": limen.__version__,
            "heading": tables.heading(self.all.manifest) if self.runs else "; ".join(headings),
            "sentences": self.sentences,
            "sections": [_section(section, grids(section.tables)) for section in self.sections],
            "how": [_how(run) for run in self.runs],
            "others": [{"run": name, "manifest": store.manifest, "settings": _json(shown(store.manifest))}
                       for name, store in self.others.items()],
            "asked": bool(self.runs),
            "viewer": seen,
            "policy": seen["policy"] if seen else viewer.policy(()),
        } | (self._asked() if self.runs else {})  # fmt: skip

    def _asked(self) -> dict[str, Any]:
        """Return what the page shows of observers of images in sections written by hand."""
        found = any(outcome.thresholds for outcome in self.all.outcomes)
        accurate, grid = survival.accuracy(self.all), self.names.grid

        def warned(table: Table) -> dict[str, Any]:
            return grid(origins.noted(self.all, table))

        chained = "nth-jnds" in self.drawings
        searched = _searched(self.all)
        return {
            "observers": list(self.all.manifest["observers"]),
            "several": len(self.names.asked) > 1,
            "references": len({outcome.series.picture for outcome in self.all.outcomes}),
            "distortions": sorted(self.all.manifest["distortions"]),
            "fixtures": fixtures(self.all),
            "differences": differences(self.runs),
            "changed": origins.warnings(self.all),
            "answering": grid(origins.answering(self.all)),
            "searched": searched,
            "first": warned(tables.first_jnds(self.all)) if searched else None,
            "side": warned(tables.side_by_side(self.all)) if searched and len(self.names.asked) > 1 else None,
            "first_figure": self._figure("first-jnds"),
            "accuracy": warned(pairs.accuracy(self.all, accurate)) if accurate else None,
            "estimates": warned(tables.estimates(self.all)) if self.all.estimates else None,
            "curves_figure": self._figure("curves"),
            "examples": list(examples.examples(self.runs, self.all, self.names)) if found else [],
            "nth": grid(tables.nth_jnds(self.all)) if chained else None,
            "nth_figure": self._figure("nth-jnds"),
            "missing": self.further.missing,
            "faults": grid(tables.faults(self.all)),
            "fault_figures": [
                {"who": name, "answers": sum(row.questions for row in rows), "figure": self._figure(f"faults-{number}")}
                for number, name, rows in _by_asked(self.all, self.names)
            ],
            "said": list(examples.said(self.all, self.names)),
            "alarms": grid(tables.alarms(self.all)),
            "course": grid(tables.course(self.all)),
            "attempts": grid(tables.attempts(self.all)),
            "published": [html.grid(table) for table in _published(self.all, self.names)],
            "source": paper.SOURCE,
            "pixels": pictures.SIDE,
            "unpublished": [name for name in sorted(self.all.manifest["distortions"]) if name not in paper.COLUMNS],
        }

    def _figure(self, name: str) -> dict[str, str] | None:
        if name not in self.drawings:
            return None
        _, label, draw = self.drawings[name]
        return figures.both(draw, label)

    def _viewer(self, kept: Gallery) -> dict[str, Any]:
        shown = viewer_data.shown([(run.store, run.analysis) for run in self.runs], self.all)
        return viewer.section(viewer_data.data(shown, self.all, self.names.asked, kept), kept)


def _searched(analysis: Analysis) -> bool:
    """Whether the procedures look for JNDs, as far as anything is complete."""
    complete = any(outcome.status is SeriesStatus.COMPLETE for outcome in analysis.outcomes)
    return any(outcome.thresholds for outcome in analysis.outcomes) or not complete


def _own_drawings(analysis: Analysis, names: Names) -> Iterator[Drawing]:
    """Yield the figures of the sections written by hand."""
    found = [outcome for outcome in analysis.outcomes if outcome.thresholds]
    graded = any(len(kind["strengths"]) > 1 for kind in analysis.manifest["distortions"].values())
    if found:
        yield (
            "first-jnds",
            "1st JND levels: mean with interval, for each distortion and observer",
            lambda width: figures.first_jnds(analysis.jnds, analysis.outcomes, names.asked, width),
        )
    if any(len(outcome.thresholds) > 1 for outcome in found):
        yield (
            "nth-jnds",
            "Mean level of the n-th JND against n",
            lambda width: figures.nth_means(analysis.jnds, names.asked, width),
        )
    if graded and not analysis.estimates and not _searched(analysis):  # one level has no curve
        yield (
            "curves",
            "Share of yes against the level",
            lambda width: figures.yes_shares(analysis.curves, names.asked, width),
        )
    for number, name, rows in _by_asked(analysis, names):
        if any(row.antilogy.k or row.gibberish.k or row.deficiency.k for row in rows):
            label = f"Faults of the answers of {name}"
            yield f"faults-{number}", label, functools.partial(figures.faults, rows)


def _by_asked(analysis: Analysis, names: Names) -> Iterator[tuple[int, str, list[AnswerRow]]]:
    for number, (asked, name) in enumerate(names.asked.items(), start=1):
        yield number, name, [row for row in analysis.answers if (row.observer, row.question) == asked]


def _section(section: Section, grids: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "anchor": section.anchor,
        "title": section.title,
        "about": section.about,
        "tables": grids,
        "figures": [figures.both(draw, label) for _, label, draw in section.figures],
        "pictures": [[(label, pictures.thumbnail(picture)) for label, picture in row] for row in section.pictures],
    }


def _published(analysis: Analysis, names: Names) -> list[Table]:
    known = fixtures(analysis)
    measured: dict[str, list[tuple[str, str]]] = {}
    for row in in_order(analysis, analysis.jnds):
        if row.order == 1 and row.n and row.observer not in known:
            mean = (
                f"{row.mean:.2f} ({row.censored.k} of {row.n} >{row.levels})" if row.censored.k else f"{row.mean:.2f}"
            )
            measured.setdefault(row.distortion, []).append((names.asked[row.observer, row.question], mean))
    return paper.quoted(sorted(analysis.manifest["distortions"]), measured)


def _how(run: Run) -> dict[str, Any]:
    manifest = run.analysis.manifest
    rows = []
    for name, kind in sorted(manifest["distortions"].items()):
        strengths = kind["strengths"]
        span = f"{strengths[0]:.4g} … {strengths[-1]:.4g}"
        rows.append((name, kind["word"], f"{kind['version']}", f"{len(strengths)}", span, kind["unit"], kind["ladder"]))
    columns = ("distortion", "word in the question", "version", "levels", "strength", "unit", "digest of the ladder")
    return {
        "run": run.name,
        "manifest": manifest,
        "observers": {name: _json(item) for name, item in manifest["observers"].items()},
        "ladders": html.grid(Table("Ladders", columns, tuple(rows))),
    }


def _json(item: Any) -> str:
    return json.dumps(item, sort_keys=True, ensure_ascii=False, default=str)
