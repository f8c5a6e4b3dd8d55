"""Statistics: fit, power, simulate."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limen.cli.console import print_json, print_result, say
from limen.cli.group import JSON, PLUGIN, SEED, FiniteRange, RenamedOption, main, split, telling, working
from limen.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from limen.analysis import Analysis
    from limen.report.format import Table


@main.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--shape",
    default="logistic",
    show_default=True,
    help="Shape of the psychometric function: logistic, normal, weibull, gumbel, rgumbel.",
)
@JSON
def fit(runs: tuple[Path, ...], shape: str, as_json: bool) -> None:
    """Fit thresholds to runs, false alarms and lapses apart; compare observers; people beside models."""
    from limen.analysis import changes, fitting, survival
    from limen.analysis import sizes as by_size
    from limen.analysis.participants import people as of_participants
    from limen.analysis.wordings import wordings
    from limen.report import observers, people, psychometric, sizes, statistics
    from limen.report.format import plain

    with working("reading answers") as now:
        analysis = _together(runs)
        now("fitting thresholds")
        rows = fitting.fit(analysis, shape)
        now("comparing observers")
        compared = fitting.comparisons(analysis, shape, rows)
        scored = fitting.scored(analysis, shape)
        now("unnoticed shares")
        unnoticed = survival.unnoticed(analysis)
        changed = changes.changed(analysis)
        satisfied = survival.satisfied(analysis)
        repeats = survival.repeats(analysis)
        worded = wordings(analysis)
        sized, between = by_size.sizes(analysis), by_size.differences(analysis)
        now("people")
        beside = of_participants(analysis)

    def data() -> dict[str, Any]:
        rows_of = {
            "unnoticed": unnoticed,
            "changed": changed,
            "satisfied": satisfied,
            "repeats": repeats,
            "scored": scored,
            "wordings": worded,
            "by_size": sized,
            "size_differences": between,
        }
        plain_rows = {name: plain(of) for name, of in rows_of.items()}
        of_people = people.records(beside) if beside else {}
        curves = {"psychometric": psychometric.records(analysis, rows)}
        return (
            statistics.records(rows, compared)
            | curves
            | plain_rows
            | of_people
            | {"warnings": observers.warnings(analysis)}
        )

    def drawn() -> "Iterator[Table]":
        accuracy = survival.accuracy(analysis)
        if not (rows or accuracy or beside):
            raise InputError("No answered series in these runs, so nothing to fit. Measure first, or finish the run.")
        if rows:
            yield observers.noted(analysis, statistics.fits(analysis, rows))
        if any(row.picks for row in rows):
            yield statistics.picks(analysis, rows)
        if accuracy:
            yield statistics.accuracy(analysis, accuracy)
        if scored:
            yield statistics.scored(analysis, scored)
        if unnoticed:
            yield statistics.unnoticed(analysis, unnoticed)
        if changed:
            yield statistics.changed(analysis, changed)
        if sized:
            yield sizes.thresholds(analysis, sized)
        if between:
            yield sizes.compared(analysis, between)
        if worded:
            yield statistics.wordings(analysis, worded)
        if repeats:
            yield statistics.repeats(analysis, repeats)
        if compared:
            yield statistics.comparisons(compared)
        if satisfied:
            yield statistics.satisfied(satisfied)
        if beside:
            for part in people.PARTS:
                yield from people.tables(analysis, beside, satisfied, {}, part)

    print_result(as_json, data, drawn)


@main.command()
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--half-width",
    type=FiniteRange(0, 1e6, min_open=True),
    default=1.0,
    show_default=True,
    help="Wanted half-width of the 95 % interval, in levels.",
)
@click.option(
    "--sd", type=FiniteRange(0, 1e6), help="Standard deviation of J over references, where there is no run yet."
)
@JSON
def power(runs: tuple[Path, ...], half_width: float, sd: float | None, as_json: bool) -> None:
    """Say how many references a wanted interval takes, from runs as pilots or from a spread."""
    from limen.analysis import fitting
    from limen.report import statistics
    from limen.statistics.inference import references_needed

    if bool(runs) == (sd is not None):
        raise InputError("power takes runs as pilots, or --sd where there are none: limen power --sd 8 --half-width 1")
    if sd is not None:
        needed = references_needed(sd, half_width)
        if as_json:
            print_json({"sd": sd, "half_width": half_width, "references": needed})
        else:
            say(f"{needed:,} references put the mean J within +-{half_width:g} levels (sd {sd:g}, 95 %)")
        return
    with working("reading answers"):
        analysis = _together(runs)
        rows = fitting.powers(analysis, half_width)
    if not rows:
        raise InputError(
            "No JND and no fitted T50 in these runs, so no spread. Give a run of a procedure that finds JNDs or "
            "fits T50 (skip or psi, say), or --sd."
        )
    print_result(as_json, lambda: statistics.records((), (), rows), lambda: [statistics.powers(analysis, rows)])


@main.command()
@click.option(
    "--procedure", "labels", default="", help="Comma-separated procedures, or labels of the table; all if not given."
)
@click.option("--slope", type=FiniteRange(0, 1e6), help="Slope of an observer of your own, in levels (0: a step).")
@click.option(
    "--false-alarms", type=FiniteRange(0, 1), default=0.0, help="How often it says yes where there is no difference."
)
@click.option("--lapses", type=FiniteRange(0, 1), default=0.0, help="How often it says no to plain differences.")
@click.option(
    "--correlation",
    type=FiniteRange(0, 1, max_open=True),
    default=0.0,
    help="Correlation of its answers at neighbouring levels.",
)
@click.option(
    "--mean",
    type=FiniteRange(-1e6, 1e6),
    default=20.0,
    show_default=True,
    help="Mean threshold over images, in levels.",
)
@click.option(
    "--spread",
    type=FiniteRange(0, 1e6),
    default=6.0,
    show_default=True,
    help="Standard deviation of the thresholds, in levels.",
)
@click.option(
    "--images",
    type=click.IntRange(1, 1_000_000),
    default=100,
    show_default=True,
    help="How many images; 100 take about a minute.",
)
@click.option("--levels", type=click.IntRange(10, 1_000), default=50, show_default=True, help="Length of the ladder.")
@click.option(
    "--jnds",
    "--orders",
    "orders",
    cls=RenamedOption,
    type=click.IntRange(0, 1_000),
    default=1,
    show_default=True,
    help="JNDs to look for; 0 for all.",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the simulated observers.")
@JSON
@PLUGIN
def simulate(labels: str, as_json: bool, **given: Any) -> None:
    """Show which procedure suits which observer, on simulated answers whose truth is known."""
    from limen.analysis import simulation
    from limen.errors import UnknownNameError
    from limen.report import statistics
    from limen.report.format import plain

    known = {contender.label: contender for contender in simulation.CONTENDERS}
    procedures = {contender.procedure for contender in simulation.CONTENDERS}
    chosen: list[str] = []
    for name in split(labels) or list(known):
        if name not in {*known, *procedures}:
            raise UnknownNameError("contender", name, {*known, *procedures})
        chosen += [label for label, contender in known.items() if name in {label, contender.procedure}]
    if given["slope"] is None and (given["false_alarms"] or given["lapses"] or given["correlation"]):
        raise InputError(
            "--false-alarms, --lapses and --correlation belong to an observer of your own: give its --slope too."
        )
    if given["false_alarms"] + given["lapses"] >= 1:
        raise InputError("False alarms and lapses add up to 1 or more: nothing is left to notice.")
    seen = list(simulation.OBSERVERS)
    if given["slope"] is not None:
        own = (given["slope"], given["false_alarms"], given["lapses"], given["correlation"])
        seen = [simulation.SimulatedObserver(f"s={own[0]:g}, g={own[1]:g}, l={own[2]:g}", *own)]
    seen = [replace(observer, mean=given["mean"], spread=given["spread"]) for observer in seen]
    results: list[simulation.SimulationRow] = []
    size = (given["images"], given["levels"], given["seed"], given["orders"])
    with telling("simulating") as tell:
        for observer in seen:
            for name in chosen:
                tell(len(results), len(seen) * len(chosen), f"{observer.name}: {name}")
                results.append(simulation.study(observer, known[name], *size))
        tell(len(results), len(results))
    print_result(as_json, lambda: plain(results), lambda: [statistics.simulated(results)])


def _together(runs: Sequence[Path]) -> "Analysis":
    """Analyse runs and put them together."""
    from contextlib import ExitStack

    from limen.analysis import analyse
    from limen.analysis.merge import together
    from limen.store import Store, bundle, names_of

    with ExitStack() as stack:
        named = names_of(bundle.unpacked(runs, stack))
        return together({name: analyse(stack.enter_context(Store.open(path))) for path, name in named.items()})
