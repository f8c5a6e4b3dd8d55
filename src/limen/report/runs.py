"""Runs opened for a report, what they have kept, and in what they differ."""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limen.analysis import Analysis, analyse
from limen.errors import InputError
from limen.store import Store, names_of


@dataclass(frozen=True)
class Run:
    """A run, open, with its analysis."""

    name: str
    store: Store
    analysis: Analysis


def open_runs(runs: Sequence[Path], stack: ExitStack, processes: int = 1) -> tuple[list[Run], dict[str, Store]]:
    """Open runs, each once, under names that differ; a name is a folder's, never its path.

    Args:
        runs: their folders, one or more.
        stack: closes the stores.
        processes: that may read the answers, >= 1.

    Returns:
        Runs of observers of images, analysed; and by name those of another wing, whose manifest says so.
    """
    stores = {name: stack.enter_context(Store.open(path)) for path, name in names_of(runs).items()}
    if not stores:
        raise InputError("A report needs at least one run: limen report runs/a")
    others = {name: store for name, store in stores.items() if "wing" in store.manifest}
    return [Run(name, store, analyse(store, processes)) for name, store in stores.items() if name not in others], others


def keeper(stores: Sequence[Store]) -> Callable[[str], bool]:
    """Return a function that says whether any of the runs has kept a picture; each is looked up once."""
    return functools.cache(lambda digest: any(store.picture(digest) is not None for store in stores))


def differences(runs: Sequence[Run]) -> list[str]:
    """Say in what the runs differ that a reader would otherwise take for a difference of observers."""
    lines = []
    for what in ("procedure", "seed", "reader"):
        given = {run.name: run.analysis.manifest[what] for run in runs}
        if len({json.dumps(item, sort_keys=True) for item in given.values()}) > 1:
            lines.append(f"{what}: " + "; ".join(f"{run} {_flat(item)}" for run, item in given.items()))
    for shelf, parts in (("distortions", ("version", "ladder")), ("questions", ("digest",))):
        kinds: dict[str, dict[tuple[Any, ...], str]] = {}
        for run in runs:
            for name, item in run.analysis.manifest[shelf].items():
                kinds.setdefault(name, {}).setdefault(tuple(item[part] for part in parts), run.name)
        lines += [f"{shelf[:-1]} {name} is not the same in {', '.join(there.values())}"
                  for name, there in sorted(kinds.items()) if len(there) > 1]  # fmt: skip
    shown = {run.name: frozenset(outcome.series.picture for outcome in run.analysis.outcomes) for run in runs}
    if len(set(shown.values())) > 1:
        common = frozenset.intersection(*shown.values())
        counts = ", ".join(f"{run} {len(found)}" for run, found in shown.items())
        lines.append(f"references: {counts}; {len(common)} in common")
    return lines


def _flat(item: Any) -> str:
    return ", ".join(f"{key} {value}" for key, value in item.items()) if isinstance(item, Mapping) else str(item)
