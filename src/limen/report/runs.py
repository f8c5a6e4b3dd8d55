"""Runs opened for a report: what they have kept, in what they differ, what their observers are called."""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limen import participant
from limen.analysis import Analysis, analyse
from limen.errors import InputError
from limen.procedure import AS_OFTEN
from limen.report.format import clean, shortened
from limen.store import Store, bundle, names_of

NUMBERED = 7  # observers with questions above which their names begin with a number, as figures call them
WING = "feature"  # the one whose runs a report shows beside those of observers of images


@dataclass(frozen=True)
class OpenRun:
    """A run of observers of images, open, with its analysis."""

    name: str
    store: Store
    analysis: Analysis

    def __repr__(self) -> str:
        return f"OpenRun({self.name!r}, {len(self.analysis.outcomes)} series)"


def open_runs(
    paths: Sequence[Path], stack: ExitStack, processes: int = 1
) -> tuple[tuple[OpenRun, ...], dict[str, Store]]:
    """Open runs, each once, under names that differ; a name is a folder's, never its path.

    Args:
        paths: of run directories, or of bundles of them, at least one.
        stack: closes them.
        processes: that may read answers, from 1.

    Returns:
        Runs of observers of images, analysed; and by name those of deep features, whose manifest says so.

    Raises:
        InputError: there is no run, or one of a wing that this limen does not know.
    """
    named = names_of(bundle.unpacked(paths, stack))
    stores = {name: stack.enter_context(Store.open(path)) for path, name in named.items()}
    if not stores:
        raise InputError("A report needs at least one run: limen report runs/a")
    others = {name: store for name, store in stores.items() if "wing" in store.manifest}
    for name, store in others.items():
        if (wing := str(store.manifest["wing"])) != WING:
            raise InputError(
                f"{name} is a run of the wing {wing!r}, which this limen cannot report on (other wings it knows: "
                f"{WING}). Report with the limen that made it."
            )
    runs = (OpenRun(name, store, analyse(store, processes)) for name, store in stores.items() if name not in others)
    return tuple(runs), others


def keeper(stores: Sequence[Store]) -> Callable[[str], bool]:
    """Return a function that says whether any of the runs has kept a picture; each is looked up once."""
    return functools.cache(lambda digest: any(store.picture(digest) is not None for store in stores))


def differences(runs: Sequence[OpenRun]) -> list[str]:
    """Say in what the runs differ that a reader would otherwise take for a difference of observers."""
    lines = []
    for entry in ("procedure", "seed", "reader"):
        values = {run.name: getattr(run.analysis.manifest, entry) for run in runs}
        told = list(values.values())
        if entry == "procedure":
            told = [_as_usual(run, run.analysis.manifest.procedure) for run in runs]
        if len({json.dumps(value, sort_keys=True) for value in told}) > 1:
            lines.append(f"{entry}: " + "; ".join(f"{run} {_flat(value)}" for run, value in values.items()))
    for shelf, parts in (("distortions", ("version", "ladder")), ("questions", ("digest",))):
        kinds: dict[str, dict[tuple[Any, ...], str]] = {}
        for run in runs:
            for name, item in getattr(run.analysis.manifest, shelf).items():
                kinds.setdefault(name, {}).setdefault(tuple(getattr(item, part) for part in parts), run.name)
        lines += [f"{shelf[:-1]} {name} is not the same in {', '.join(there.values())}"
                  for name, there in sorted(kinds.items()) if len(there) > 1]  # fmt: skip
    shown = {run.name: frozenset(outcome.series.picture for outcome in run.analysis.outcomes) for run in runs}
    if len(set(shown.values())) > 1:
        common = frozenset.intersection(*shown.values())
        counts = ", ".join(f"{run} {len(pictures)}" for run, pictures in shown.items())
        lines.append(f"references: {counts}; {len(common)} in common")
    return lines


def _as_usual(run: OpenRun, procedure: Mapping[str, Any]) -> dict[str, Any]:
    """Return a procedure's settings but for draws as they follow from who is asked: of people any number, else one."""
    usual = AS_OFTEN if participant.people_of(run.analysis.manifest.observers) else 1
    return {name: value for name, value in procedure.items() if (name, value) != ("draws", usual)}


def _flat(item: Any) -> str:
    return ", ".join(f"{key} {value}" for key, value in item.items()) if isinstance(item, Mapping) else str(item)


class ShortNames:
    """What a page calls the observers of an analysis: short names, each like no other.

    Attributes:
        shared: what all names of observers begin with, up to a : or /, and are shown without; "" for nothing.
        asked: names of each observer with a question that it was asked, in the page's order.
        short: names by an observer's own name, and by "observer, question".
    """

    def __init__(self, analysis: Analysis) -> None:
        self.asked: dict[tuple[str, str], str] = {}
        self.short: dict[str, str] = {}
        self.shared = _shared(list(analysis.manifest.observers))
        questions = analysis.manifest.questions
        there = {(outcome.observer, outcome.question) for outcome in analysis.outcomes}
        for observer in analysis.manifest.observers:
            name = shortened(clean(observer.removeprefix(self.shared)), 48)
            same = sum(known.split(" #")[0] == name for known in self.short.values())
            self.short[observer] = f"{name} #{same + 1}" if same else name
        for observer in analysis.manifest.observers:
            for question in questions:
                if (observer, question) in there:
                    name = self.short[observer] + (f", {question}" if len(questions) > 1 else "")
                    self.asked[observer, question] = name
        if len(self.asked) > NUMBERED:
            self.asked = {who: f"{i} {name}" for i, (who, name) in enumerate(self.asked.items(), start=1)}
            if len(questions) == 1:
                self.short = {observer: name for (observer, _), name in self.asked.items()}
        self.short |= {f"{observer}, {question}": name for (observer, question), name in self.asked.items()}

    def __repr__(self) -> str:
        return f"ShortNames({len(self.asked)} of observers with a question)"

    def position(self, observer: str, question: str) -> int:
        """Return the place of one who was asked a question, which is also the number of its colour."""
        return list(self.asked).index((observer, question))


def _shared(names: Sequence[str]) -> str:
    """Return what names begin with in common, up to a : or /; "" where there is one name, or one would be nothing."""
    first, last = (min(names), max(names)) if len(names) > 1 else ("", "")
    same = next((i for i, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
    start = first[: max(first.rfind(":", 0, same), first.rfind("/", 0, same)) + 1]
    return start if all(len(name) > len(start) for name in names) else ""


def fixtures(analysis: Analysis) -> dict[str, str]:
    """Return the observers that are no models to be measured, and what they are."""
    demo = "a small model made to try limen with"
    known = {
        "simulated": "a simulated observer of known threshold",
        "solver": "code that reads limen's own items",
        "demo": demo,
    }
    return {
        name: known.get(str(fingerprint.get("kind")), demo)
        for name, fingerprint in analysis.manifest.observers.items()
        if fingerprint.get("kind") in known or fingerprint.get("fixture")
    }
