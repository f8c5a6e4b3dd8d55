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
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

import msgspec
import orjson
import safetensors.torch
import torch

import limen
from limen import files, registry, validation
from limen.errors import InputError, StoreError, UnknownNameError
from limen.feature import task as tasks
from limen.feature import tolerance
from limen.feature.calibration import rank
from limen.feature.clean_batches import CleanParts
from limen.feature.data.grouping import TABLE
from limen.feature.data.parts import SCENES, Partition, SubsetSizes, check_classes, fingerprint, parts
from limen.feature.model.network import UNNAMED, Network, NetworkSource, flops, load
from limen.feature.model.preparation import Preparation
from limen.feature.model.split import Features, SplitPoint, Verification
from limen.feature.task import Task
from limen.feature.tolerance import FisherSurvey, ProgressCallback, Scope, Tolerance, quiet
from limen.store import Store, rows
from limen.study import manifest

WING = "feature"
AGREEMENT = "agreement"  # in place of labels: answers are held against the undisturbed output's
PYTHON = "python"  # where the network of a run came from: an object, which no command can make again by itself
Maps: TypeAlias = Mapping[str, tuple[str, Mapping[str, Any]]]
"""Label -> (tolerance, settings)."""
MAPS: Maps = {
    "gaussian": ("gaussian", {}),
    "flat": ("flat", {}),
    "channel": ("channel", {}),
    "absmax": ("absmax", {}),
    "cls-spared": ("cls-spared", {}),
    "fisher": ("fisher", {}),
    "fisher-2": ("fisher", {"power": -2.0}),
    "fisher-channel": ("fisher", {"over": "channel"}),
    "fisher-token": ("fisher", {"over": "token"}),
    "own-fisher": ("own-fisher", {}),
    "shares": ("shares", {}),
    "learned": ("learned", {"objective": "log_nrmse", "power": -2.0}),
    "learned-magnitude": ("learned", {"objective": "log_magnitude"}),
    "learned-information": ("learned", {"objective": "information", "steps": 300, "learning_rate": 4e-3}),
    "shuffled": ("shuffled", {"of": "learned"}),
    "shuffled-across": ("shuffled", {"of": "learned", "across": True}),
    "other-image": ("other-image", {"of": "learned"}),
    "signed": ("signed", {}),
    "signed-magnitude": ("signed", {"as_given": False}),
}
"""The maps of a run where nothing else is asked for: label -> (tolerance, settings). Some stand on earlier ones."""
SEVERAL = ("shares", "shuffled-across")  # of `MAPS`: where a split has one tensor they are "flat" and "shuffled"
CHECKED = 8  # images a split is verified with
BATCH = 64  # images at once
LABEL = re.compile(r"\w[\w.+^-]{0,79}")
RESERVED = ("clean",)  # what undisturbed features are called
PLACES = ("model", "data", "weights")  # of a plan: where things lie, which may be elsewhere next time


@dataclass(frozen=True)
class FeaturePlan:
    """What a run is made of; two plans are never mixed in one directory.

    Attributes:
        model, split, task, data: as the user named them; of a network made in Python, what it is to be called.
        revision: of a model from the hub; "" for its main branch.
        seeds: 0 to seeds - 1 are run.
        sizes: images in each part.
        eps, rho, drop: the guarantee Pr[drop <= eps] >= 1 - rho; `drop` is one of the task's, "" for its default.
        maps: label -> (tolerance, settings); where none are given, those of the run that is there already, else those
            of `MAPS` that fit the split.
        weights: file that the network of a factory is filled with; "" for none.
        prepare: how images are made ready for the network of a factory; None for its own way.
        score: what answers are held against: the "labels" of the data, or the undisturbed output ("agreement"), which
            takes no labels.
        group_by: which images are of one photograph (`limen.feature.data.grouping`); "" where each is by itself.
    """

    model: str
    split: str
    task: str = "classification"
    data: str = "scenes"
    seeds: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 3
    sizes: SubsetSizes = field(default_factory=SubsetSizes)
    eps: float = 0.05
    rho: float = 0.1
    drop: str = ""
    maps: Maps = field(default_factory=dict)
    revision: str = ""
    weights: str = ""
    prepare: Preparation | None = None
    score: Literal["labels", "agreement"] = "labels"
    group_by: str = ""

    @property
    def labelled(self) -> bool:
        """Whether answers are held against labels."""
        return self.score != AGREEMENT

    @classmethod
    def of(cls, store: Store) -> Self:
        """Return the plan that a run's manifest holds; raise `StoreError` where it holds none."""
        rows.manifest(store)
        try:
            return msgspec.convert(store.manifest["plan"], cls)
        except msgspec.ValidationError as error:
            wrong = validation.fault(error, store.manifest["plan"], cls)
            raise StoreError(f"{store.path / 'manifest.json'}: of the plan {wrong} {rows.AGAIN}") from None

    def entry(self) -> dict[str, Any]:
        """Return what a manifest says of the plan."""
        made: dict[str, Any] = orjson.loads(orjson.dumps(msgspec.to_builtins(asdict(self))))
        places = (*PLACES, "group_by") if self.group_by.endswith(TABLE) else PLACES
        return made | {name: rows.public(made[name]) for name in places}


class FeatureRun:
    """A run directory with its network loaded; a context manager.

    Attributes:
        store, plan: where and what.
        network, task, split: loaded and verified.
    """

    def __init__(
        self,
        store: Store,
        plan: FeaturePlan,
        network: Network,
        task: Task,
        split: SplitPoint,
        tried: tuple[Features, str],
    ) -> None:
        self.store, self.plan, self.network, self.task, self.split = store, plan, network, task, split
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
    ) -> Self:
        """Make a run, or go on with it; everything a user can get wrong is refused before anything is written.

        Args:
            out: the run directory.
            plan: what it is made of.
            device: "auto", "cpu", "cuda" or "cuda:N".
            network: one made in Python, in place of loading `plan.model`.
            trust: the repository whose code may run, the very name of `plan.model`; "" for none.
            task: one made in Python, in place of `plan.task`.

        Raises:
            InputError: a network, split, task, head or data that do not fit each other.
            StoreError: the directory holds another study.
        """
        own = task is not None
        if task is not None:
            plan = replace(plan, task=task.name)
        task = task or tasks.find(plan.task)
        plan = replace(plan, maps=_as_begun(Path(out), plan.maps))
        if task.needs == "nothing":
            plan = replace(plan, score="labels")  # there are none: what it is scored against is its own
        _check(plan, task)
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
        plan = replace(plan, maps=_suited(plan.maps, features), drop=plan.drop or next(iter(task.drops)))
        described = _described(plan, network, task, split, verification, features)
        described["network"] |= {"kind": kind, "prepared": prepared}
        described["task"] = {"python": own, "digest": str(getattr(task, "digest", ""))}
        with contextlib.ExitStack() as held:
            store = held.enter_context(Store.create(Path(out), described))
            _same(store, plan, described)
            held.pop_all()
        return cls(store, plan, network, task, split, (features[:1], batch.names[0]))

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

    def fitted(self, seed: int, progress: ProgressCallback = quiet, fit: bool = False) -> dict[str, Tolerance]:
        """Return a seed's maps by label: from their files, or fitted now.

        Args:
            seed: of the run, 0 .. `plan.seeds` - 1.
            progress: called with steps done, steps in all, and a note.
            fit: whether to fit those that have no file yet.

        Raises:
            StoreError: a map is not fitted and `fit` is false, or its file cannot be read.
        """
        found: dict[str, Tolerance] = {}
        surveys: dict[int, FisherSurvey] = {}
        folder = self.store.path / f"seed-{seed}"
        for label, (name, settings) in self.plan.maps.items():
            one = tolerance.make(name, settings)
            file = folder / f"{label}.safetensors"
            scope = Scope(
                self.split, self.task, self.parts(seed).fit, seed, found, folder / f"{label}.checkpoint",
                functools.partial(_noted, progress, f"{label}, seed {seed}"), surveys=surveys,
                encoded=self.clean(seed).fit,
            )  # fmt: skip
            kept = self._kept(label, seed)
            if file.exists():
                self._load(one, file, kept, scope)
            elif not fit:
                raise StoreError(
                    f"{self.store.path} holds no map {label!r} of seed {seed} ({_near(file)} is missing). "
                    "Run `limen feature fit`."
                )
            else:
                folder.mkdir(exist_ok=True)
                begun = time.monotonic()
                one.fit(scope)
                content = _bytes(one.state())
                row = {"map": label, "seed": seed, "seconds": time.monotonic() - begun, "images": len(scope.images),
                       "digest": _digest(content)}  # fmt: skip
                if kept not in ("", row["digest"]):
                    raise StoreError(
                        f"{_near(file)} is missing, and fitted again it holds other numbers than those that "
                        f"{self.store.path} was measured with. Restore it from a copy, or give another --out."
                    )
                self.store.add_measurements("fit", {f"{label} {seed}": row})  # first: no file without its digest
                _write(file, content)
                if scope.checkpoint:
                    scope.checkpoint.unlink(missing_ok=True)
            found[label] = one
        return found

    def _kept(self, label: str, seed: int) -> str:
        """Return the digest of a map's file; "" where it is not fitted, or by a limen that wrote none."""
        row = rows.measured(self.store, "fit").get(f"{label} {seed}", {})
        return str(row.get("digest", ""))

    def _load(self, one: Tolerance, file: Path, kept: str, scope: Scope) -> None:
        """Fill a map from its file, once that is what was written there and a map of this split."""
        again = "Restore it from a copy, or delete it and run `limen feature fit` again."
        features, name = self._tried
        try:
            content = file.read_bytes()
            if kept and _digest(content) != kept:
                raise StoreError(f"{file} is not the map that was fitted: its content has changed. {again}")
            one.load(safetensors.torch.load(content), scope)
            shapes = [tuple(part.shape) for part in one.map(features, [name])]
        except (OSError, safetensors.SafetensorError, LookupError, RuntimeError, TypeError, ValueError) as error:
            cause = " ".join(str(error).split())[:160]
            raise StoreError(f"{file} cannot be read as a map of this split ({cause}). {again}") from None
        wanted = [tuple(tensor.shape) for tensor in features.tensors]
        if shapes != wanted:
            raise StoreError(f"{file} is a map of features {shapes}, and this split carries {wanted}. {again}")


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


def _as_begun(path: Path, maps: Maps) -> Maps:
    """Return the maps of the run that is there, where none are given, or the same ones by names of today.

    Defaults and names change from one limen to the next, and a run goes on with those it was begun with.
    """
    if not (path / "manifest.json").is_file():
        return maps
    with Store.open(path) as store:
        begun = FeaturePlan.of(store).maps if store.manifest.get("wing") == WING else {}
    same = {current(label): (current(name), given) for label, (name, given) in begun.items()}
    return begun if not maps or same == maps else maps


def _close(there: object, given: float) -> bool:
    return isinstance(there, int | float) and math.isclose(there, given, rel_tol=1e-3, abs_tol=1e-3)


def current(name: str) -> str:
    """Return what a map that is called so is called today."""
    return registry.current("tolerance", name)


def _check(plan: FeaturePlan, task: Task) -> None:
    if not 1 <= plan.seeds <= 10_000:
        raise InputError(f"A run takes one seed at least, not {plan.seeds}; three show how sure a figure is.")
    if plan.score not in ("labels", AGREEMENT):
        raise UnknownNameError("score", plan.score, ("labels", AGREEMENT))
    if plan.drop and plan.drop not in task.drops:
        raise UnknownNameError(f"drop of {task.name}", plan.drop, task.drops)
    if not 0 <= plan.eps < float("inf"):
        raise InputError(f"eps is the drop that is tolerated, 0 or more, not {plan.eps:g}.")
    rank(plan.sizes.calibrate, plan.rho)
    for label in plan.maps:
        if label in RESERVED or not LABEL.fullmatch(label):
            raise InputError(
                f"A map cannot be called {label!r}: its label names a file and a row. Take letters, digits, and "
                f". _ + - ^ inside it, 80 at most, and not {' or '.join(RESERVED)}."
            )


def _suited(maps: Maps, features: Features) -> Maps:
    """Return the maps to fit, each found and its settings read; those of `MAPS` where none are given.

    A class token can be spared among tokens only, and tensors can differ only where there are several.
    """
    tokens = all(tensor.ndim == 3 for tensor in features.tensors)
    for name, given in maps.values():
        tolerance.make(name, given)
        if name == "cls-spared" and not tokens:
            shapes = ", ".join(str(tuple(tensor.shape[1:])) for tensor in features.tensors)
            raise InputError(f"'cls-spared' is for tokens (T, C), and this split carries {shapes}. Leave it out.")
    if maps:
        return dict(maps)
    unfit = (*(() if tokens else ("cls-spared",)), *(() if len(features.tensors) > 1 else SEVERAL))
    return {label: what for label, what in MAPS.items() if label not in unfit}


def _described(
    plan: FeaturePlan, network: Network, task: Task, split: SplitPoint, verification: Verification, features: Features
) -> dict[str, Any]:
    image = torch.zeros((1, *features.size), device=network.device, dtype=features.tensors[0].dtype)
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
            "flops": flops(lambda: split.outputs(image)),
        },
    }


def _bytes(state: Mapping[str, torch.Tensor]) -> bytes:
    return safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()})


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _near(file: Path) -> str:
    return f"{file.parent.name}/{file.name}"


def _write(file: Path, content: bytes) -> None:
    try:
        files.write(file, content)
    except OSError as error:
        raise StoreError(f"{file} cannot be written ({error}). Free some disk space, then run again.") from None
