"""Runs of an array of jobs: merge."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from limen.cli.console import notice, print_json, say
from limen.cli.group import JSON, main, working
from limen.errors import StoreError

if TYPE_CHECKING:
    from limen.scale.merge import Merged


@main.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The new run directory.")
@click.option(
    "--keep",
    type=click.Choice(["first"]),
    help="Of different answers to the same question keep the one that came first (they are refused).",
)
@JSON
def merge(runs: tuple[Path, ...], out: Path, keep: str | None, as_json: bool) -> None:
    """Make one run directory of several of one study: shards, or an array's."""
    import msgspec

    from limen.scale import merge as merging

    with working("reading runs") as now:
        merged = merging.merge(runs, out, "first" if keep else "", now)
    if as_json:
        print_json(msgspec.to_builtins(merged, enc_hook=str))
    else:
        click.echo(
            f"{out}: {merged.runs:,} run{'s' * (merged.runs != 1)}; {merged.series:,} series, {merged.trials:,} "
            f"trials, {merged.answers:,} answers, {merged.attempts:,} attempts"
        )
    _tell(merged)
    with contextlib.suppress(StoreError):  # of a plug-in's question or procedure, which merging does not need
        _tell_open(merged)


def _tell_open(merged: "Merged") -> None:
    """Say how many series are not finished, and what goes on with them."""
    from limen.analysis import replay
    from limen.report import observers
    from limen.store import Store, entries, ledger

    with working("reading answers"), Store.open(merged.path) as store:
        line = observers.unfinished(replay.outcomes(store, entries.check(store.path, store.manifest)))
        batched = bool(store.measurements(ledger.ROUNDS))
    if line:
        command = "limen batch write" if batched else "limen measure"
        say(f"{line}: {command} with the same words, --out {merged.path}, goes on.", err=True)


def _tell(merged: "Merged") -> None:
    from limen.store.entries import numbered
    from limen.store.shards import listed

    if merged.same:
        notice(f"{merged.same:,} answers were in more than one run, and count once.")
    if merged.replaced:
        say(
            f"{merged.replaced:,} answers were left out: another run has an earlier one of the same question that says "
            "something else. Run limen measure once more: what follows from the ones that were kept may not be asked "
            "yet.",
            err=True,
        )
    if merged.twice:
        say(f"In more than one run: {numbered(list(merged.twice))}.", err=True)
    if merged.missing:
        say(
            f"Missing: {listed(merged.missing)}. Merge what is missing with this run into "
            f"another, or finish it here: limen measure with the same words, without --shard, --out {merged.path}.",
            err=True,
        )
