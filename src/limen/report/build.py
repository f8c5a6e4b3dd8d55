"""Runs to one page, or to JSON: no model, no network, no server; only the page's viewer needs its script."""

import functools
import importlib.util
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import limen
from limen import question as questions
from limen import shares
from limen.analysis import Analysis, Outcome, Status
from limen.backbones import Parameters
from limen.errors import InputError, LimenError, MissingExtraError
from limen.ladder import Ladder
from limen.reading import Fault
from limen.report import figures, further, html, pictures, published, tables, viewer
from limen.report import shares as pairs
from limen.report.figures import Spec
from limen.report.gallery import Gallery
from limen.report.opening import Run, differences, open_runs
from limen.report.table import Table, in_order
from limen.report.together import together

CARD = 700  # px
WIDE, NARROW = 1060, 340  # px: every figure is drawn for a desk and for a phone; the style sheet shows one


def check_extra() -> None:
    """Raise `MissingExtraError` if the libraries of the extra "report" are not installed; loads none of them."""
    for library in ("jinja2", "vl_convert"):
        if importlib.util.find_spec(library) is None:
            raise MissingExtraError("the report", library, "report")


def data(runs: Sequence[Path], sizes: Mapping[str, Parameters] | None = None) -> dict[str, Any]:
    """Return every number of the report as plain data for JSON; arguments as for `page`."""
    with ExitStack() as stack:
        opened = open_runs(runs, stack)
    every = together({run.name: run.analysis for run in opened})
    return {
        "limen": limen.__version__,
        "runs": [{"run": run.name} | tables.records(run.analysis) for run in opened],
        "together": further.records(further.work_out(every, sizes)),
        "sentences": [tables.sentence(run.analysis) for run in opened],
    }


def page(
    runs: Sequence[Path],
    out: Path,
    embed: float = viewer.EMBED,
    beside: bool = False,
    sizes: Mapping[str, Parameters] | None = None,
) -> None:
    """Write one self-contained HTML page; the same runs give the same bytes.

    Args:
        runs: run directories.
        out: the file; folders above it are made.
        embed: MB of stimuli in the page, for its viewer; 0 for none.
        beside: put all stimuli into a folder beside the page instead (report.html has report_stimuli).
        sizes: of the observers' backbones, where they are known (`limen.published.parameters` reads a CSV).

    Raises:
        MissingExtraError: the extra "report" is not installed.
        StoreError: a run cannot be read.
        InputError: `out` cannot be written.
    """
    check_extra()
    with ExitStack() as stack:
        folder = viewer.folder_beside(out) if beside else None
        kept = Gallery(math.inf if beside else embed * 1e6, folder)
        content = html.render(_view(open_runs(runs, stack), kept, sizes))
    html.write(out, content)


def specifications(runs: Sequence[Path], width: int, sizes: Mapping[str, Parameters] | None = None) -> dict[str, Spec]:
    """Return every figure of the page by name, for a paper; see `page` for what is raised."""
    check_extra()
    with ExitStack() as stack:
        opened = open_runs(runs, stack)
        view = _View(opened, together({run.name: run.analysis for run in opened}))
    return {name: draw(width) for name, _, draw in _drawings(view, further.work_out(view.all, sizes))}


def card(runs: Sequence[Path]) -> Spec:
    """Return one picture with the first result and the sentence to quote."""
    check_extra()
    with ExitStack() as stack:
        opened = open_runs(runs, stack)
        view = _View(opened, together({run.name: run.analysis for run in opened}))
    drawn = next((draw(CARD) for _, _, draw in _drawings(view, None)), None)
    if drawn is None:
        raise InputError("Nothing to draw in these runs: no JND, no curve. Give a run that is further on.")
    fixtures = "; ".join(f"{name}: {what}" for name, what in _fixtures(view.all).items())
    lines = [tables.sentence(run.analysis) for run in opened]
    return figures.card(drawn, lines, f"Fixtures, which say nothing about LMMs. {fixtures}" if fixtures else "")


# --- what the page shows ---


@dataclass
class _View:
    """The whole of a report, on its way into the template."""

    runs: Sequence[Run]
    all: Analysis
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    short: dict[str, str] = field(default_factory=dict)
    kept: dict[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Give each observer, and each that was asked a question, a short name that is like no other."""
        several = len(self.all.manifest["questions"]) > 1
        for observer in self.all.manifest["observers"]:
            name = html.shortened(html.clean(observer), 48)
            same = sum(known.split(" #")[0] == name for known in self.short.values())
            self.short[observer] = name if not same else f"{name} #{same + 1}"
        asked = {(outcome.observer, outcome.question) for outcome in self.all.outcomes}
        for observer in self.all.manifest["observers"]:
            for question in self.all.manifest["questions"]:
                if (observer, question) in asked:
                    self.names[observer, question] = self.short[observer] + (f", {question}" if several else "")
        self.short |= {f"{who[0]}, {who[1]}": name for who, name in self.names.items()}

    def grid(self, table: Table) -> dict[str, Any]:
        """Lay out a table with the short names."""
        rows = (
            tuple(self.short.get(cell, cell) if i < 2 else cell for i, cell in enumerate(row)) for row in table.rows
        )
        columns = tuple(self.short.get(column, column) for column in table.columns)
        return html.grid(replace(table, rows=tuple(rows), columns=columns))

    def keeps(self, digest: str) -> bool:
        """Return whether a run has kept this picture."""
        if digest not in self.kept:
            self.kept[digest] = any(run.store.picture(digest) is not None for run in self.runs)
        return self.kept[digest]

    def position(self, observer: str, question: str) -> int:
        return list(self.names).index((observer, question))


def _view(runs: Sequence[Run], kept: Gallery, sizes: Mapping[str, Parameters] | None) -> dict[str, Any]:
    view = _View(runs, together({run.name: run.analysis for run in runs}))
    shown = viewer.shown([(run.store, run.analysis) for run in runs], view.all)
    found = [outcome for outcome in view.all.outcomes if outcome.thresholds]
    searched = bool(found) or not any(outcome.status is Status.COMPLETE for outcome in view.all.outcomes)
    several = any(len(outcome.thresholds) > 1 for outcome in found)
    accurate = shares.accuracy(view.all)
    of = further.work_out(view.all, sizes)
    return {
        "version": limen.__version__,
        "heading": tables.heading(view.all.manifest),
        "observers": list(view.all.manifest["observers"]),
        "several": len(view.names) > 1,
        "references": len({outcome.series.picture for outcome in view.all.outcomes}),
        "distortions": sorted(view.all.manifest["distortions"]),
        "fixtures": _fixtures(view.all),
        "sentences": [tables.sentence(run.analysis) for run in runs],
        "differences": differences(runs),
        "searched": searched,
        "first": view.grid(tables.first_jnds(view.all)) if searched else None,
        "side": view.grid(tables.side_by_side(view.all)) if searched and len(view.names) > 1 else None,
        "first_figure": _both(
            lambda width: figures.first_jnds(view.all.jnds, view.all.outcomes, view.names, width),
            "1st JND levels: mean with interval, for each distortion and observer",
        )
        if found
        else None,
        "accuracy": view.grid(pairs.accuracy(view.all, accurate)) if accurate else None,
        "estimates": view.grid(tables.estimates(view.all)) if view.all.estimates else None,
        "curves_figure": None
        if searched or view.all.estimates or not _graded(view.all)
        else _both(
            lambda width: figures.yes_shares(view.all.curves, view.names, width), "Share of yes against the level"
        ),
        "examples": list(_examples(view)) if found else [],
        "nth": view.grid(tables.nth_jnds(view.all)) if several else None,
        "nth_figure": _both(
            lambda width: figures.nth_means(view.all.jnds, view.names, width), "Mean level of the n-th JND against n"
        )
        if several
        else None,
        "further": _sections(view, of),
        "missing": of.missing,
        "faults": view.grid(tables.faults(view.all)),
        "fault_figures": list(_fault_figures(view)),
        "said": list(_said(view)),
        "alarms": view.grid(tables.alarms(view.all)),
        "course": view.grid(tables.course(view.all)),
        "attempts": view.grid(tables.attempts(view.all)),
        "published": [html.grid(table) for table in _published(view)],
        "source": published.SOURCE,
        "pixels": pictures.SIDE,
        "unpublished": [name for name in sorted(view.all.manifest["distortions"]) if name not in published.COLUMNS],
        "how": [_how(run) for run in runs],
        "viewer": viewer.section(viewer.data(shown, view.all, view.names, kept), kept),
    }


def _drawings(view: _View, of: further.Further | None) -> Iterator[further.Drawing]:
    """Yield the page's figures: name, what it shows, and a function from width to specification."""
    found = [outcome for outcome in view.all.outcomes if outcome.thresholds]
    if found:
        yield (
            "first-jnds",
            "1st JND levels: mean with interval, for each distortion and observer",
            lambda width: figures.first_jnds(view.all.jnds, view.all.outcomes, view.names, width),
        )
    if any(len(outcome.thresholds) > 1 for outcome in found):
        yield (
            "nth-jnds",
            "Mean level of the n-th JND against n",
            lambda width: figures.nth_means(view.all.jnds, view.names, width),
        )
    if not found and not view.all.estimates and _graded(view.all):
        yield (
            "curves",
            "Share of yes against the level",
            lambda width: figures.yes_shares(view.all.curves, view.names, width),
        )
    for number, ((observer, question), name) in enumerate(view.names.items(), start=1):
        rows = [row for row in view.all.answers if (row.observer, row.question) == (observer, question)]
        if any(row.antilogy.k or row.gibberish.k or row.deficiency.k for row in rows):
            label = f"Faults of the answers of {name}"
            yield f"faults-{number}", label, functools.partial(figures.faults, rows)
    for section in further.sections(view.all, of, view.names) if of else ():
        yield from section.figures


def _sections(view: _View, of: further.Further) -> list[dict[str, Any]]:
    return [
        {
            "anchor": section.anchor,
            "title": section.title,
            "about": section.about,
            "tables": [view.grid(table) for table in section.tables],
            "figures": [_both(draw, label) | {"label": label} for _, label, draw in section.figures],
        }
        for section in further.sections(view.all, of, view.names)
    ]


def _graded(analysis: Analysis) -> bool:
    """Whether any ladder has more than one level: one level has no threshold and no curve."""
    return any(len(kind["strengths"]) > 1 for kind in analysis.manifest["distortions"].values())


def _fixtures(analysis: Analysis) -> dict[str, str]:
    """Return the observers that are no models to be measured, and what they are."""
    demo = "a small model made to try limen with"
    known = {"simulated": "a simulated observer of known threshold", "demo": demo}
    found = {}
    for name, fingerprint in analysis.manifest["observers"].items():
        if fingerprint.get("kind") in known or fingerprint.get("fixture"):
            found[name] = known.get(fingerprint.get("kind"), demo)
    return found


def _both(draw: Any, label: str) -> dict[str, str]:
    """Draw a figure for wide and for narrow pages."""
    return {"wide": figures.svg(draw(WIDE), label), "narrow": figures.svg(draw(NARROW), label), "label": label}


def _examples(view: _View) -> Iterator[dict[str, Any]]:
    """Yield, by distortion, the answers on typical references beside the stimuli at their JNDs."""
    by_distortion: dict[str, list[Outcome]] = {}
    for outcome in view.all.outcomes:
        by_distortion.setdefault(outcome.series.distortion, []).append(outcome)
    used, spent = Counter[str](), 0
    count = 2 if len(view.names) == 1 and len(by_distortion) <= 5 else 1
    for name, outcomes in sorted(by_distortion.items()):
        kind = view.all.manifest["distortions"][name]
        ladder = Ladder(tuple(kind["strengths"]), kind["unit"], kind["version"])
        shown = []
        for series in pictures.typical(outcomes, view.keeps, used, count):
            mine = [outcome for outcome in outcomes if outcome.series.id == series and outcome.thresholds]
            mine.sort(key=lambda outcome: view.position(outcome.observer, outcome.question))
            lanes = []
            for outcome in mine:
                lanes.append(_lane(view, outcome, ladder, spent))
                spent += sum(len(item.picture.source) for item in lanes[-1]["stimuli"])
            shown.append({"reference": html.clean(mine[0].series.name, 80), "lanes": lanes})
        yield {"distortion": name, "word": kind["word"], "unit": kind["unit"], "levels": len(ladder), "shown": shown}


def _lane(view: _View, outcome: Outcome, ladder: Ladder, spent: int) -> dict[str, Any]:
    position = view.position(outcome.observer, outcome.question)
    found: list[pictures.Stimulus] = []
    note = "" if spent < pictures.MOST else "Pictures left out: the page has reached its size."
    if not note:
        try:
            found = pictures.stimuli(_renderer(view, outcome), outcome, ladder)
        except LimenError as error:
            note = str(error)
    return {
        "who": view.names[outcome.observer, outcome.question],
        "colour": figures.on_page(figures.colour(position)),
        "jnds": _in_words(outcome),
        "figure": _both(
            lambda width: figures.responses(outcome, position, len(ladder), width),
            f"Answers of {view.names[outcome.observer, outcome.question]} by level of {outcome.series.distortion}",
        ),
        "stimuli": found,
        "note": note,
    }


def _in_words(outcome: Outcome) -> str:
    found = [str(threshold) for threshold in outcome.thresholds if not threshold.censored]
    if not found:
        return f"no JND up to level {outcome.thresholds[-1].level}"
    end = "; none after that" if outcome.thresholds[-1].censored else ""
    return f"JND{'s' if len(found) > 1 else ''} at level{'s' if len(found) > 1 else ''} {', '.join(found)}{end}"


def _renderer(view: _View, outcome: Outcome) -> Any:
    """Return a function from level to picture, from the first run that has kept the reference."""
    there = [run for run in view.runs if outcome.series in run.store.series()]
    kept = [run for run in there if run.store.picture(outcome.series.picture) is not None]
    return pictures.renderer((kept or there)[0].store, outcome.series, views=True)


def _fault_figures(view: _View) -> Iterator[dict[str, Any]]:
    for (observer, question), name in view.names.items():
        rows = [row for row in view.all.answers if (row.observer, row.question) == (observer, question)]
        any_fault = any(row.antilogy.k or row.gibberish.k or row.deficiency.k for row in rows)
        yield {
            "who": name,
            "answers": sum(row.questions for row in rows),
            "figure": _both(lambda width, rows=rows: figures.faults(rows, width), f"Faults of the answers of {name}")
            if any_fault
            else None,
        }


def _said(view: _View) -> Iterator[dict[str, str]]:
    """Yield one answer for each fault of each observer: the first that the run holds."""
    for (observer, question), name in view.names.items():
        rows = [row for row in view.all.answers if (row.observer, row.question) == (observer, question)]
        wanted = {fault for row in rows for fault in Fault if getattr(row, fault.value).k}
        answers = (
            trial.answer
            for outcome in view.all.outcomes if (outcome.observer, outcome.question) == (observer, question)
            for response in outcome.responses for trial in response.trials if trial.answer
        )  # fmt: skip
        while wanted and (answer := next(answers, None)):
            fault = questions.find(question).read((answer,)).fault
            if fault in wanted:
                wanted.remove(fault)
                yield {"who": name, "fault": fault.value, "text": html.clean(answer.text, 300)}


def _published(view: _View) -> list[Table]:
    fixtures = _fixtures(view.all)
    measured: dict[str, list[tuple[str, str]]] = {}
    for row in in_order(view.all, view.all.jnds):
        if row.order == 1 and row.n and row.observer not in fixtures:
            mean = (
                f"{row.mean:.2f} ({row.censored.k} of {row.n} >{row.levels})" if row.censored.k else f"{row.mean:.2f}"
            )
            measured.setdefault(row.distortion, []).append((view.names[row.observer, row.question], mean))
    return published.quoted(sorted(view.all.manifest["distortions"]), measured)


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
        "observers": {name: json.dumps(item, sort_keys=True, ensure_ascii=False, default=str)
                      for name, item in manifest["observers"].items()},
        "ladders": html.grid(Table("Ladders", columns, tuple(rows))),
    }  # fmt: skip
