"""A run of the feature wing: what is fitted with what, kept in a run directory, resumed where it stopped.

    manifest.json, trials.db    as in every run of limen; numbers are rows of the table `measurement`
    seed-0/LABEL.safetensors    what each map has learnt, for each seed

A seed stands for everything random: the division of the data (for scenes, the scenes themselves), training and noise.
Claims are made over several.

A run directory can be given away: of paths that say where data and checkpoint lie on a machine it keeps the last part
alone, with digests of both. Who goes on with a run whose data lie elsewhere says where (`FeatureRun.open`).
"""

import contextlib
import datetime
import functools
import hashlib
import math
import os
import platform
import time
from collections.abc import Collection, Mapping, Set
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import safetensors.torch
import torch

import limen
from limen import files
from limen.errors import StoreError
from limen.feature import task as tasks
from limen.feature import tolerance
from limen.feature.clean_batches import CleanParts
from limen.feature.course import Course, Pace, settled
from limen.feature.data.grouping import TABLE
from limen.feature.data.parts import SCENES, Partition, check_classes, fingerprint, parts
from limen.feature.model.network import UNNAMED, Network, NetworkSource, flops, load
from limen.feature.model.preparation import Preparation
from limen.feature.model.split import Features, SplitPoint, Verification
from limen.feature.plan import PLACES, WING, FeaturePlan, as_begun, check
from limen.feature.task import Task
from limen.feature.tolerance import FisherSurvey, ProgressCallback, Scope, Tolerance, quiet
from limen.store import Store, rows
from limen.study import manifest

PYTHON = "python"  # where the network of a run came from: an object, which no command can make again by itself
CHECKED = 8  # images a split is verified with
BATCH = 64  # images at once
_AGAIN = "Restore it from a copy, or delete it and run `limen feature fit` again."


class FeatureRun:
    """A run directory with its network loaded; a context manager.

    Attributes:
        store, plan: where and what.
        network, task, split: loaded and verified.
        described: what a manifest would say of all this now; that of the run is from when it was begun.
    """

    def __init__(
        self,
        store: Store,
        plan: FeaturePlan,
        network: Network,
        task: Task,
        split: SplitPoint,
        tried: tuple[Features, str],
        described: Mapping[str, Any],
    ) -> None:
        self.store, self.plan, self.network, self.task, self.split = store, plan, network, task, split
        self.described = described
        self._tried = tried  # an image's features and its name: maps from files are tried on them

    @classmethod
    def begin(
        cls,
        out: Path | str,
        plan: FeaturePlan,
        device: str = "auto",
        network: Network | None = None,
        trust: str = "",
        task: Task | None = None,
        left: Set[str] = frozenset(),
        seconds: float = 0,
    ) -> Self:
        """Make a run, or go on with it; everything a user can get wrong is refused before anything is written.

        Args:
            out: the run directory.
            plan: what it is made of.
            device: "auto", "cpu", "cuda" or "cuda:N".
            network: one made in Python, in place of loading `plan.model`.
            trust: the repository whose code may run, the very name of `plan.model`; "" for none.
            task: one made in Python, in place of `plan.task`.
            left: of the plan, what may be another than it says: "seeds", and parts of the images ("fit", "calibrate",
                "test"). It is taken from the run that is there, or from `limen.feature.course.settled`.
            seconds: that all stages together may take; 0 for any time. What is left open is chosen so; in a run that
                is there, nothing is.

        Raises:
            InputError: a network, split, task, head or data that do not fit each other, or too short a time.
            StoreError: the directory holds another study.
        """
        own = task is not None
        if task is not None:
            plan = replace(plan, task=task.name)
        task = task or tasks.find(plan.task)
        fresh = not (Path(out) / "manifest.json").exists()
        plan, left = as_begun(Path(out), plan, left)
        if task.needs == "nothing":
            plan = replace(plan, score="labels")  # there are none: what it is scored against is its own
        check(plan, task)
        source = NetworkSource(plan.model, plan.revision, plan.weights, plan.prepare, trust)
        kind = PYTHON if network else "factory" if source.factory else "checkpoint"
        if network is None:
            network = load(source, task, device)
        else:
            named = plan.model if network.name == UNNAMED else network.name
            network = replace(network, name=named, prepare=plan.prepare or network.prepare)
        if isinstance(network.prepare, Preparation):  # so that who names a factory later prepares images alike
            plan = replace(plan, prepare=network.prepare)
        task = task.of(network)
        split = SplitPoint(network.model, plan.split, task.outputs)
        first = _parts(plan, task, network, 0).fit
        batch = first.batch(range(min(CHECKED, len(first))))
        verification = split.verify(batch.images)
        with torch.no_grad():
            outputs = split.outputs(batch.images)
        check_classes(plan.data, task, network, outputs, plan.labelled)
        task.check(outputs, batch.targets)
        prepared = {"mean": float(batch.images.double().mean()), "std": float(batch.images.double().std())}
        features = split.encode(batch.images)
        image = torch.zeros((1, *features.size), device=network.device, dtype=features.tensors[0].dtype)
        operations = flops(lambda: split.outputs(image))
        pace = Pace.measure(split, task, first) if seconds and fresh else None
        plan = settled(plan, left, features, operations, seconds, pace)
        plan = replace(plan, drop=plan.drop or next(iter(task.drops)))
        described = _described(plan, network, task, split, verification, features)
        described["split"]["flops"] = operations
        described["network"] |= {"kind": kind, "prepared": prepared}
        described["task"] = {"python": own, "digest": str(getattr(task, "digest", ""))}
        with contextlib.ExitStack() as held:
            store = held.enter_context(Store.create(Path(out), described))
            _same(store, plan, described)
            held.pop_all()
        return cls(store, plan, network, task, split, (features[:1], batch.names[0]), described)

    @classmethod
    def open(
        cls,
        path: Path | str,
        device: str = "auto",
        network: Network | None = None,
        model: str = "",
        data: str = "",
        weights: str = "",
        trust: str = "",
        task: Task | None = None,
    ) -> Self:
        """Open a run that `begin` made, to measure more.

        Args:
            path: the run directory.
            device: "auto", "cpu", "cuda" or "cuda:N".
            network: one made in Python, where the run was begun with such a one.
            model: where the checkpoint lies now, or the factory that makes the network; "" where it is as the run's
                plan says, beside the run, or in the current directory.
            data: where the data lie now; "" likewise.
            weights: where the weights of a factory's network lie now; "" likewise.
            trust: the repository whose code may run; "" for none.
            task: one made in Python, where the run was begun with such a one.

        Raises:
            StoreError: it is not such a run, its network or data have changed since, or they are not found.
        """
        path = Path(path)
        with Store.open(path) as store:
            if store.manifest.get("wing") != WING:
                raise StoreError(f"{path} is not a run of deep features. Give the --out of a `limen feature fit`.")
            plan, about = FeaturePlan.of(store), store.manifest["network"]
            own = store.manifest.get("task", {}).get("python") is True
        if own and task is None:
            raise StoreError(
                f"{path} was begun in Python with a task of its own, {plan.task!r}. Open it there with "
                "FeatureRun.open(..., task=...); a run begun with --task package.module:name opens in every command."
            )
        if network is None:
            if not model and about.get("kind") == PYTHON:
                raise StoreError(
                    f"{path} was begun in Python with a network of its own, {about['name']!r}. Name a function that "
                    "makes it: --model package.module:factory (and --weights FILE)."
                )
            folder = bool(about.get("folder", os.path.isabs(plan.model)))
            model = model or _found(path, "checkpoint", "--model", plan.model, folder)
            weights = weights or (plan.weights and _found(path, "weights", "--weights", plan.weights, True))
        data = data or _found(path, "data", "--data", plan.data, plan.data != SCENES)
        groups = _groups(path, plan.group_by) if plan.group_by.endswith(TABLE) else plan.group_by
        plan = replace(plan, model=model or plan.model, data=data, weights=weights or plan.weights, group_by=groups)
        return cls.begin(path, plan, device, network, trust, task)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.store.close()

    @functools.lru_cache(maxsize=1)  # noqa: B019 - one seed's images at a time, and runs are few
    def parts(self, seed: int) -> Partition:
        """Return the images of a seed."""
        return _parts(self.plan, self.task, self.network, seed)

    @functools.lru_cache(maxsize=1)  # noqa: B019 - likewise
    def clean(self, seed: int) -> CleanParts:
        """Return the images of a seed with their features and undisturbed outputs."""
        return CleanParts.of(self.split, self.task, self.parts(seed), BATCH)

    @functools.lru_cache(maxsize=1)  # noqa: B019 - likewise
    def maps(self, seed: int) -> dict[str, Tolerance]:
        """Return a seed's maps by label, fitted before."""
        return self.fitted(seed)

    def map(self, seed: int, label: str) -> Tolerance:
        """Return one of a seed's maps, fitted before.

        Args:
            seed: of the run.
            label: of the map.
        """
        return self.maps(seed)[label]

    @functools.lru_cache(maxsize=1)  # noqa: B019 - likewise
    def surveys(self, seed: int) -> dict[int, FisherSurvey]:
        """Return where what a seed's fitting images show is kept, for all maps that stand on it."""
        return {}

    @property
    def batches(self) -> int:
        """Batches that a seed's test images are encoded in."""
        return -(-self.plan.sizes.test // BATCH)

    @property
    def operations(self) -> int:
        """Floating-point operations of the whole network for an image, as torch counts them; 0 where nobody knows."""
        return int(self.store.manifest["split"].get("flops", 0))

    @functools.cached_property
    def pace(self) -> Pace:
        """How long an image takes here."""
        return Pace.measure(self.split, self.task, self.parts(0).fit)

    @property
    def course(self) -> Course:
        """How long the stages take here."""
        return Course(self.plan, self.pace)

    def fitted(
        self, seed: int, progress: ProgressCallback = quiet, fit: bool = False, labels: Collection[str] = ()
    ) -> dict[str, Tolerance]:
        """Return a seed's maps by label: from their files, or fitted now.

        Args:
            seed: of the run, 0 .. `plan.seeds` - 1.
            progress: called with steps done, steps in all, and a note.
            fit: whether to fit those that have no file yet.
            labels: of the maps to return, with all that they stand on (`limen.feature.plan.needed`); () for all.

        Raises:
            StoreError: a map is not fitted and `fit` is false, or its file cannot be read.
        """
        found: dict[str, Tolerance] = {}
        for label, (name, settings) in self.plan.maps.items():
            if labels and label not in labels:
                continue
            one, file = tolerance.make(name, settings), self._file(seed, label)
            scope = Scope(
                self.split, self.task, self.parts(seed).fit, seed, found, file.with_name(f"{label}.checkpoint"),
                functools.partial(_noted, progress, f"{label}, seed {seed}"), surveys=self.surveys(seed),
                encoded=self.clean(seed).fit,
            )  # fmt: skip
            if file.exists():
                self._load(one, file, self._kept(label, seed), scope)
            elif not fit:
                raise self._unfitted(seed, label)
            else:
                file.parent.mkdir(exist_ok=True)
                begun = time.monotonic()
                one.fit(scope)
                self.keep(seed, label, _bytes(one.state()), time.monotonic() - begun, len(scope.images))
                if scope.checkpoint:
                    scope.checkpoint.unlink(missing_ok=True)
            found[label] = one
        return found

    def holds(self, seed: int, label: str) -> bool:
        """Return whether a map is fitted.

        Args:
            seed: of the run.
            label: of the map.
        """
        return self._file(seed, label).exists()

    def content(self, seed: int, label: str) -> bytes:
        """Return a fitted map's file.

        Args:
            seed: of the run.
            label: of the map.

        Raises:
            StoreError: it is not fitted, or its file cannot be read or has changed.
        """
        file, kept = self._file(seed, label), self._kept(label, seed)
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            raise self._unfitted(seed, label) from None
        except OSError as error:
            raise StoreError(f"{file} cannot be read ({error.strerror or error}). {_AGAIN}") from None
        _check(file, content, kept)
        return content

    def keep(self, seed: int, label: str, content: bytes, seconds: float, images: int) -> None:
        """Write down a map that is fitted.

        Args:
            seed: of the run.
            label: of the map.
            content: of its file.
            seconds: that it took.
            images: that it was fitted on.

        Raises:
            StoreError: it is another one than the run was measured with, or cannot be written.
        """
        file, kept = self._file(seed, label), self._kept(label, seed)
        row = {"map": label, "seed": seed, "seconds": seconds, "images": images, "digest": _digest(content)}
        if kept not in ("", row["digest"]):
            raise StoreError(
                f"{_near(file)} is missing, and fitted again it holds other numbers than those that "
                f"{self.store.path} was measured with. Restore it from a copy, or give another --out."
            )
        self.store.add_measurements("fit", {f"{label} {seed}": row})  # first: no file without its digest
        file.parent.mkdir(exist_ok=True)
        _write(file, content)

    def _file(self, seed: int, label: str) -> Path:
        return self.store.path / f"seed-{seed}" / f"{label}.safetensors"

    def _unfitted(self, seed: int, label: str) -> StoreError:
        return StoreError(
            f"{self.store.path} holds no map {label!r} of seed {seed} ({_near(self._file(seed, label))} is missing). "
            "Run `limen feature fit`."
        )

    def _kept(self, label: str, seed: int) -> str:
        """Return the digest of a map's file; "" where it is not fitted, or by a limen that wrote none."""
        row = rows.measured(self.store, "fit").get(f"{label} {seed}", {})
        return str(row.get("digest", ""))

    def _load(self, one: Tolerance, file: Path, kept: str, scope: Scope) -> None:
        """Fill a map from its file, once that is what was written there and a map of this split."""
        features, name = self._tried
        try:
            content = file.read_bytes()
            _check(file, content, kept)
            one.load(safetensors.torch.load(content), scope)
            shapes = [tuple(part.shape) for part in one.map(features, [name])]
        except (OSError, safetensors.SafetensorError, LookupError, RuntimeError, TypeError, ValueError) as error:
            cause = " ".join(str(error).split())[:160]
            raise StoreError(f"{file} cannot be read as a map of this split ({cause}). {_AGAIN}") from None
        wanted = [tuple(tensor.shape) for tensor in features.tensors]
        if shapes != wanted:
            raise StoreError(f"{file} is a map of features {shapes}, and this split carries {wanted}. {_AGAIN}")


def _parts(plan: FeaturePlan, task: Task, network: Network, seed: int) -> Partition:
    return parts(plan.data, task, network, seed, plan.sizes, plan.labelled, plan.group_by)


def _noted(progress: ProgressCallback, what: str, done: int, total: int, note: str) -> None:
    progress(done, total, f"{what}{f': {note}' if note else ''}")


def _found(run: Path, what: str, option: str, named: str, lies: bool) -> str:
    """Return where something is that a run names; as it is named where it lies nowhere (of the hub, or drawn)."""
    place = rows.here(named, run) if lies else named
    if not place:
        raise StoreError(
            f"{run} was begun with the {what} {rows.public(named)!r}, which is neither beside it nor here, and where "
            f"it lay is not kept. Say where it is: {option} PATH."
        )
    return place


def _groups(run: Path, file: str) -> str:
    """Return where the file of groups lies that a run names."""
    place = rows.here(file, run)
    if not place:
        raise StoreError(
            f"{run} was begun with the groups in {file!r}, which is neither beside it nor here. Put it there."
        )
    return place


def _same(store: Store, plan: FeaturePlan, described: Mapping[str, Any]) -> None:
    """Refuse to go on with another study; note what may be added: seeds, and digests that an older limen left out."""
    path, there = store.path, store.manifest
    manifest.same(path, "wing", there.get("wing"), WING)
    known = FeaturePlan.of(store)
    free: dict[str, Any] = dict.fromkeys(PLACES, "") | {"seeds": 0}  # may lie elsewhere, and more may be added
    if plan.group_by.endswith(TABLE) and known.group_by.endswith(TABLE):
        free["group_by"] = ""  # the digest of the data holds what stands in it
    if "prepare" not in there["plan"]:
        free["prepare"] = None
    manifest.same(path, "plan", known.entry() | free, plan.entry() | free)
    for entry, names in (("network", ("digest", "parameters")), ("split", ("shapes",))):
        begun, given = ({name: one[entry].get(name) for name in names} for one in (there, described))
        manifest.same(path, entry, begun, given)
    data = there.get("data")
    if isinstance(data, dict) and "digest" in data:
        manifest.same(path, "data", data["digest"], described["data"]["digest"])
    else:
        then, now = (Path(rows.public(one.data)).name for one in (known, plan))
        manifest.same(path, "data", then, now)
    begun, given = (one["network"].get("prepared") for one in (there, described))
    if begun and not (isinstance(begun, Mapping) and all(_close(begun.get(name), given[name]) for name in given)):
        manifest.same(path, "prepared images", begun, given)  # the same files, resized or normalised otherwise
    begun, given = (one.get("task", {}).get("digest") for one in (there, described))
    if begun and given:
        manifest.same(path, "functions of the task", begun, given)
    seeds = max(known.seeds, plan.seeds)
    if seeds > known.seeds or data is None:
        store.amend(plan=there["plan"] | {"seeds": seeds}, data=described["data"])


def _close(there: object, given: float) -> bool:
    return isinstance(there, int | float) and math.isclose(there, given, rel_tol=1e-3, abs_tol=1e-3)


def _described(
    plan: FeaturePlan, network: Network, task: Task, split: SplitPoint, verification: Verification, features: Features
) -> dict[str, Any]:
    return {
        "limen": limen.__version__,
        "git": manifest.git_revision(),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()}
        | manifest.versions("torch", "transformers", "numpy", "safetensors"),
        "wing": WING,
        "plan": plan.entry(),
        "data": {"digest": fingerprint(plan.data, task, plan.labelled, plan.group_by)},
        "measures": {
            "score": task.score_name if plan.labelled else tasks.agreement(task),
            "discrepancy": task.discrepancy_name,
            "drop": task.drops[plan.drop],
        },
        "network": {
            "name": network.name,
            "digest": network.digest,
            "parameters": network.parameters,
            "revision": network.revision,
            "folder": os.path.isdir(plan.model),
        },
        "split": {
            "leak": verification.leak,
            "change": verification.change,
            "idle": list(verification.idle),
            "repeated": list(verification.repeated),
            "shapes": [list(tensor.shape[1:]) for tensor in features.tensors],
            "elements": features.elements,
            "image": list(features.size),
        },
    }


def _bytes(state: Mapping[str, torch.Tensor]) -> bytes:
    return safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()})


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _check(file: Path, content: bytes, kept: str) -> None:
    """Raise `StoreError` where a file of a map does not have the digest that was kept; "" for none."""
    if kept and _digest(content) != kept:
        raise StoreError(f"{file} is not the map that was fitted: its content has changed. {_AGAIN}")


def _near(file: Path) -> str:
    return f"{file.parent.name}/{file.name}"


def _write(file: Path, content: bytes) -> None:
    try:
        files.write(file, content)
    except OSError as error:
        raise StoreError(f"{file} cannot be written ({error}). Free some disk space, then run again.") from None
