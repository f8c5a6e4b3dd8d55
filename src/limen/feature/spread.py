"""A run's pieces done by replicas on a Ray cluster: the network loaded and images encoded by each, rows written by one.

A replica makes a run of its own from the same plan, in a temporary folder, and does there what one process does, with
the same functions and as many threads. It never sees the run that is measured: maps that were fitted before travel to
it with each piece, and what a piece gives travels back.
"""

import contextlib
import functools
import math
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch

from limen.errors import InputError
from limen.feature.allocator import keep_memory
from limen.feature.plan import needed
from limen.feature.run import PYTHON, FeatureRun
from limen.feature.tolerance import ProgressCallback, Tolerance, quiet
from limen.scale.process import own_folder
from limen.scale.tasks import Crew, Replicas
from limen.store.rows import measured

SAME = (("network", "digest"), ("split", "shapes"), ("data", "digest"), ("task", "digest"))
"""Entries of a manifest that must be the same on all nodes; so must all of its versions."""
MAPS = 64  # of a seed, that a replica keeps


@dataclass(frozen=True, slots=True)
class Piece:
    """What a replica does at once.

    Attributes:
        seed: whose images it looks at.
        maps: files of the maps that it looks at, by label.
        do: what gives the result, from the replica's own run.
    """

    seed: int
    maps: Mapping[str, bytes]
    do: Callable[[FeatureRun], Any]


RunCrew: TypeAlias = Crew[Piece, Any]


class _ReplicaRun(FeatureRun):  # pragma: no cover - in a process of Ray's, where nobody counts lines
    """A replica's own run: it holds the maps that were sent to it, and no others."""

    @functools.lru_cache(maxsize=MAPS)  # noqa: B019 - a process has one such run
    def map(self, seed: int, label: str) -> Tolerance:
        """Return a map that was sent.

        Args:
            seed: of the run.
            label: of the map.
        """
        return self.fitted(seed, labels=needed(self.plan.maps, label))[label]


class _Measuring:  # pragma: no cover - in a process of Ray's, where nobody counts lines
    """What a replica does: it makes its run and measures pieces of it.

    Args:
        run: that is measured.
        device: of the replicas' networks.
        trust: the repository whose code may run; "" for none.
    """

    def __init__(self, run: FeatureRun, device: str, trust: str) -> None:
        self._plan, self._device, self._trust = run.plan, device, trust
        self._described, self._threads = run.described, torch.get_num_threads()

    def begin(self) -> None:
        """Load the network and find the data, and compare them with those of the command."""
        keep_memory()
        torch.set_num_threads(self._threads)  # what sums are rounded to depends on it
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(own_folder())
            self._run = _ReplicaRun.begin(folder / "run", self._plan, self._device, trust=self._trust)
            stack.enter_context(self._run)
            _compare(self._described, self._run.described)
            self._held = stack.pop_all()

    def do(self, piece: Piece) -> Any:
        """Return what a piece gives."""
        for label, content in piece.maps.items():
            if not self._run.holds(piece.seed, label):
                self._run.keep(piece.seed, label, content, 0.0, self._plan.sizes.fit)
        return piece.do(self._run)

    def end(self) -> None:
        """Leave nothing behind."""
        self._held.close()


def _compare(here: Mapping[str, Any], there: Mapping[str, Any]) -> None:
    """Raise `InputError` where the network, the data or the libraries of this node are not the command's."""
    entries = [(f"{entry}.{name}", here[entry][name], there[entry][name]) for entry, name in SAME]
    versions = {**here["versions"], **there["versions"]}
    entries += [(name, here["versions"].get(name), there["versions"].get(name)) for name in versions]
    apart = [(name, one, other) for name, one, other in entries if one != other]
    prepared = [one["network"]["prepared"] for one in (here, there)]
    if not all(math.isclose(prepared[0][name], prepared[1][name], rel_tol=1e-3, abs_tol=1e-3) for name in prepared[0]):
        apart.append(("prepared images", *prepared))
    if apart:
        name, one, other = apart[0]
        raise InputError(
            f"{name} is {other} on {socket.gethostname()} and {one} where the command runs. Give all nodes the same "
            "files and versions."
        )


def crew(run: FeatureRun, where: Replicas, device: str, trust: str = "") -> RunCrew:
    """Return replicas of a run, to be begun as a context manager.

    Args:
        run: that is measured.
        where: how many, on which cluster.
        device: of their networks: "cpu" or "cuda".
        trust: the repository whose code may run; "" for none.

    Raises:
        InputError: the network or the task is an object of this process, which no other can make again.
    """
    for entry, own in (
        ("network", run.described["network"]["kind"] == PYTHON),
        ("task", run.described["task"]["python"]),
    ):
        if own:
            raise InputError(
                f"The {entry} is an object of this process, which no replica can make again. Name a function that "
                "makes it: package.module:name."
            )
    return where.of(_Measuring(run, device, trust), run.plan.seeds * (1 + len(run.plan.maps)) * run.batches)


def piece(run: FeatureRun, seed: int, labels: list[str], do: Callable[[FeatureRun], Any]) -> Piece:
    """Return a piece with the maps that it looks at.

    Args:
        run: with these maps fitted.
        seed: of the run.
        labels: of the maps.
        do: what gives the result.
    """
    return Piece(seed, {label: run.content(seed, label) for label in labels}, do)


def fit(run: FeatureRun, crew: RunCrew, progress: ProgressCallback = quiet) -> None:
    """Fit the maps that have no file yet, each as a piece; one that stands on another, when that is there.

    Args:
        run: to fill.
        crew: its replicas.
        progress: called with maps done, maps in all, and what was done last.
    """
    every = [(seed, label) for seed in range(run.plan.seeds) for label in run.plan.maps]
    left = [(seed, label) for seed, label in every if not run.holds(seed, label)]
    while left:
        progress(len(every) - len(left), len(every), "")
        stands = {label: needed(run.plan.maps, label)[:-1] for label in run.plan.maps}
        ready = [(seed, label) for seed, label in left if not any((seed, other) in left for other in stands[label])]
        pieces = [
            piece(run, seed, stands[label], functools.partial(_fitted, seed=seed, label=label)) for seed, label in ready
        ]
        for number, (content, row) in crew.each(pieces, _seed):
            seed, label = ready[number]
            run.keep(seed, label, content, row["seconds"], row["images"])
            left.remove((seed, label))
            progress(len(every) - len(left), len(every), f"{label}, seed {seed}")


def _seed(piece: Piece) -> int:
    return piece.seed


def _fitted(run: FeatureRun, seed: int, label: str) -> tuple[bytes, dict[str, Any]]:
    """Fit a map in a replica's run; return its file and its row."""
    run.fitted(seed, fit=True, labels=needed(run.plan.maps, label))
    return run.content(seed, label), measured(run.store, "fit")[f"{label} {seed}"]
