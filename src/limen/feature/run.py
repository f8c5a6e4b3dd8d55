"""A run of the feature wing: what is fitted with what, kept in a run directory, resumed where it stopped.

    manifest.json, trials.db    as in every run of limen; numbers are rows of the table `measurement`
    seed-0/LABEL.safetensors    what each map has learnt, for each seed

A seed stands for everything random: the division of the data (for scenes, the scenes themselves), training and noise.
Claims are made over several.
"""

import contextlib
import datetime
import functools
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import orjson
import safetensors.torch
import torch

import limen
from limen import manifest
from limen.errors import InputError, StoreError, UnknownNameError
from limen.feature import task as tasks
from limen.feature import tolerance
from limen.feature.calibrate import rank
from limen.feature.data import Parts, Sizes, parts
from limen.feature.network import Network, flops, load
from limen.feature.split import Features, SplitPoint, Verification
from limen.feature.task import Task
from limen.feature.tolerance import Scope, Survey, Tell, Tolerance, quiet
from limen.store import Store

WING = "feature"
MAPS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "gaussian": ("gaussian", {}),
    "flat": ("flat", {}),
    "channel": ("channel", {}),
    "absmax": ("absmax", {}),
    "cls-spared": ("cls-spared", {}),
    "fisher": ("fisher", {}),
    "fisher-2": ("fisher", {"power": -2.0}),
    "fisher-channel": ("fisher", {"over": "channel"}),
    "fisher-token": ("fisher", {"over": "token"}),
    "image-fisher": ("image-fisher", {}),
    "learned": ("learned", {"objective": "log_nrmse"}),
    "learned-magnitude": ("learned", {"objective": "log_magnitude"}),
    "learned-information": ("learned", {"objective": "information", "steps": 300, "learning_rate": 4e-3}),
    "shuffled": ("shuffled", {"of": "learned"}),
    "other-image": ("other-image", {"of": "learned"}),
    "signed": ("signed", {}),
    "signed-magnitude": ("signed", {"as_given": False}),
}
"""The maps of a run where nothing else is asked for: label -> (tolerance, settings). Some stand on earlier ones."""
CHECKED = 8  # images a split is verified with


@dataclass(frozen=True)
class Plan:
    """What a run is made of; two plans are never mixed in one directory.

    Attributes:
        model, split, task, data: as the user named them.
        seeds: 0 to seeds - 1 are run.
        sizes: images in each part.
        eps, rho, drop: the promise Pr[drop <= eps] >= 1 - rho; `drop` is one of the task's, "" for its default.
        maps: label -> (tolerance, settings); where none are given, those of `MAPS` that fit the split.
    """

    model: str
    split: str
    task: str = "classification"
    data: str = "scenes"
    seeds: int = 3
    sizes: Sizes = field(default_factory=Sizes)
    eps: float = 0.05
    rho: float = 0.1
    drop: str = ""
    maps: Mapping[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Self:
        """Return the plan that a manifest holds."""
        known = {name: content[name] for name in cls.__dataclass_fields__}
        maps = {label: (name, settings) for label, (name, settings) in known["maps"].items()}
        return cls(**known | {"sizes": Sizes(**known["sizes"]), "maps": maps})


class Run:
    """A run directory with its network loaded; a context manager.

    Attributes:
        store, plan: where and what.
        network, task, split: loaded and verified.
    """

    def __init__(self, store: Store, plan: Plan, network: Network, task: Task, split: SplitPoint) -> None:
        self.store, self.plan, self.network, self.task, self.split = store, plan, network, task, split

    @classmethod
    def begin(cls, out: Path, plan: Plan, device: str = "auto", network: Network | None = None) -> Self:
        """Make a run, or go on with it; everything a user can get wrong is refused before anything is written.

        Args:
            out: the run directory.
            plan: what it is made of.
            device: of the network.
            network: one made in Python, in place of loading `plan.model`.

        Raises:
            InputError: a network, split, task, head or data that do not fit each other.
            StoreError: the directory holds another study.
        """
        task = tasks.find(plan.task)
        _check(plan, task)
        network = network or load(plan.model, task, device)
        task = task.of(network)
        split = SplitPoint(network.model, plan.split, task.outputs)
        first = parts(plan.data, task, network, 0, plan.sizes).fit
        batch = first.batch(range(min(CHECKED, len(first))))
        verification = split.verify(batch.images)
        with torch.no_grad():
            task.check(split.outputs(batch.images), batch.targets)
        features = split.encode(batch.images)
        plan = replace(plan, maps=_suited(plan.maps, features), drop=plan.drop or next(iter(task.drops)))
        described = _described(plan, network, task, split, verification, features)
        with contextlib.ExitStack() as held:
            store = held.enter_context(Store.create(out, described))
            for entry in ("wing", "plan", "network"):
                there = store.manifest.get(entry)
                if entry == "plan" and there is not None:  # more seeds may be added to a run
                    there = there | {"seeds": described["plan"]["seeds"]}
                manifest.same(out, entry, there, described[entry])
            if store.manifest["plan"]["seeds"] < plan.seeds:
                store.amend(plan=described["plan"])
            held.pop_all()
        return cls(store, plan, network, task, split)

    @classmethod
    def open(cls, path: Path, device: str = "auto", network: Network | None = None) -> Self:
        """Open a run that `begin` made, to measure more.

        Raises:
            StoreError: it is not such a run, or its network has changed since.
        """
        with Store.open(path) as store:
            if store.manifest.get("wing") != WING:
                raise StoreError(f"{path} is no run of deep features. Give the --out of a `limen feature fit`.")
            plan = Plan.of(store.manifest["plan"])
        return cls.begin(path, plan, device, network)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.store.close()

    @functools.lru_cache(maxsize=1)  # noqa: B019 - one seed's images at a time, and runs are few
    def parts(self, seed: int) -> Parts:
        """Return the images of a seed."""
        return parts(self.plan.data, self.task, self.network, seed, self.plan.sizes)

    def fitted(self, seed: int, tell: Tell = quiet, fit: bool = False) -> dict[str, Tolerance]:
        """Return a seed's maps by label: from their files, or fitted now.

        Args:
            seed: which.
            tell: called with progress.
            fit: whether to fit those that have no file yet.

        Raises:
            StoreError: a map is not fitted and `fit` is false, or its file cannot be read.
        """
        found: dict[str, Tolerance] = {}
        surveys: dict[int, Survey] = {}
        folder = self.store.path / f"seed-{seed}"
        for label, (name, settings) in self.plan.maps.items():
            one = tolerance.make(name, settings)
            file = folder / f"{label}.safetensors"
            scope = Scope(
                self.split, self.task, self.parts(seed).fit, seed, found, file.with_suffix(".checkpoint"),
                functools.partial(_noted, tell, f"{label}, seed {seed}"), surveys=surveys,
            )  # fmt: skip
            if file.exists():
                one.load(_read(file), scope)
            elif not fit:
                raise StoreError(f"{self.store.path} holds no map {label!r} of seed {seed}. Run `limen feature fit`.")
            else:
                folder.mkdir(exist_ok=True)
                begun = time.monotonic()
                one.fit(scope)
                _write(file, one.state())
                if scope.checkpoint:
                    scope.checkpoint.unlink(missing_ok=True)
                row = {"map": label, "seed": seed, "seconds": time.monotonic() - begun, "images": len(scope.images)}
                self.store.add_measurements("fit", {f"{label} {seed}": row})
            found[label] = one
        return found


def _noted(tell: Tell, what: str, done: int, total: int, note: str) -> None:
    tell(done, total, f"{what}{f': {note}' if note else ''}")


def _check(plan: Plan, task: Task) -> None:
    if plan.seeds < 1:
        raise InputError(f"A run takes one seed at least, not {plan.seeds}; three show how sure a figure is.")
    if plan.drop and plan.drop not in task.drops:
        raise UnknownNameError(f"drop of {task.name}", plan.drop, task.drops)
    if not plan.eps >= 0:
        raise InputError(f"eps is the drop that is borne, 0 or more, not {plan.eps:g}.")
    rank(plan.sizes.calibrate, plan.rho)


def _suited(
    maps: Mapping[str, tuple[str, Mapping[str, Any]]], features: Features
) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Return the maps to fit, each found and its settings read; a class token can be spared among tokens only."""
    tokens = all(tensor.ndim == 3 for tensor in features.tensors)
    for name, given in maps.values():
        tolerance.make(name, given)
        if name == "cls-spared" and not tokens:
            shapes = ", ".join(str(tuple(tensor.shape[1:])) for tensor in features.tensors)
            raise InputError(f"'cls-spared' is for tokens (T, C), and this split carries {shapes}. Leave it out.")
    return dict(maps) or {label: what for label, what in MAPS.items() if tokens or what[0] != "cls-spared"}


def _described(
    plan: Plan, network: Network, task: Task, split: SplitPoint, verification: Verification, features: Features
) -> dict[str, Any]:
    image = torch.zeros((1, *features.size), device=network.device)
    return {
        "limen": limen.__version__,
        "git": manifest.git_revision(),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()}
        | manifest.versions("torch", "transformers", "numpy", "safetensors"),
        "wing": WING,
        "plan": orjson.loads(orjson.dumps(plan)),
        "measures": {"score": task.score_name, "discrepancy": task.discrepancy_name, "drop": task.drops[plan.drop]},
        "network": {"name": network.name, "digest": network.digest, "parameters": network.parameters},
        "split": {
            "leak": verification.leak,
            "change": verification.change,
            "idle": list(verification.idle),
            "shapes": [list(tensor.shape[1:]) for tensor in features.tensors],
            "elements": features.elements,
            "image": list(features.size),
            "flops": flops(lambda: split.outputs(image)),
        },
    }


def _read(file: Path) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load_file(file)
    except (OSError, safetensors.SafetensorError) as error:
        raise StoreError(f"{file} cannot be read ({error}). Delete it and run `limen feature fit` again.") from None


def _write(file: Path, state: Mapping[str, torch.Tensor]) -> None:
    draft = file.with_suffix(".part")
    content = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    try:
        safetensors.torch.save_file(content, draft)
        draft.replace(file)
    except OSError as error:
        raise StoreError(f"{file} cannot be written ({error}). Free the disk, then run again.") from None
