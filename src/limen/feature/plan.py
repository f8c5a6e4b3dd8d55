"""What a run of deep features is made of, as its user says it and as its manifest keeps it."""

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

import msgspec
import orjson

from limen import registry, validation
from limen.errors import InputError, StoreError, UnknownNameError
from limen.feature import tolerance
from limen.feature.calibration import rank
from limen.feature.data.grouping import TABLE
from limen.feature.data.parts import SubsetSizes
from limen.feature.model.preparation import Preparation
from limen.feature.model.split import Features
from limen.feature.task import Task
from limen.store import Store, rows

WING = "feature"
AGREEMENT = "agreement"  # in place of labels: answers are held against the undisturbed output's
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
COMPARED = (
    *("gaussian", "channel", "absmax", "cls-spared", "fisher-channel", "fisher-token"),
    *("own-fisher", "shares", "shuffled", "shuffled-across", "other-image", "signed", "signed-magnitude"),
)
"""Maps of `MAPS` that are there to be compared with at equal strength. They are calibrated and
quantised only where they are asked for, or a run has no others."""
UNQUANTISED = (*COMPARED, "flat", "learned")  # flat steps are "uniform-image"; `learned` is no rate's
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


def as_begun(path: Path, plan: FeaturePlan, left: Set[str]) -> tuple[FeaturePlan, Set[str]]:
    """Return a plan with what is open taken from the run that is there, and what is still open.

    Defaults and names change from one limen to the next, and a run goes on with those it was begun with.

    Args:
        path: the run directory; there may be none.
        plan: as given; maps are open where it has none.
        left: what else is open: "seeds", and of `limen.feature.data.parts.PARTS` those whose images are.
    """
    if not (path / "manifest.json").is_file():
        return plan, left
    with Store.open(path) as store:
        if store.manifest.get("wing") != WING:
            return plan, left
        begun = FeaturePlan.of(store)
    same = {current(label): (current(name), given) for label, (name, given) in begun.maps.items()}
    sizes = replace(plan.sizes, **{part: count for part, count in asdict(begun.sizes).items() if part in left})
    return replace(
        plan, sizes=sizes, seeds=begun.seeds if "seeds" in left else plan.seeds,
        maps=begun.maps if not plan.maps or same == plan.maps else plan.maps,
    ), frozenset()  # fmt: skip


def current(name: str) -> str:
    """Return what a map that is called so is called today."""
    return registry.current("tolerance", name)


def check(plan: FeaturePlan, task: Task) -> None:
    """Raise `InputError` where a plan is none, or none for this task."""
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


def suited(maps: Maps, features: Features, labels: Iterable[str] = tuple(MAPS)) -> Maps:
    """Return the maps to fit, each found and its settings read; where none are given, those of `MAPS` that suit.

    A class token can be spared among tokens only, and tensors can differ only where there are several.

    Args:
        maps: label -> (tolerance, settings), or none.
        features: of the split.
        labels: of `MAPS`.

    Raises:
        InputError: a map that is none, or none for these features.
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
    return {label: MAPS[label] for label in labels if label not in unfit}


def needed(maps: Maps, label: str) -> list[str]:
    """Return the label of a map behind those of the maps that it stands on, in order.

    It stands on the one that its setting `of` names, if there is such a setting; a tolerance that is not limen's own
    may look at any that is fitted before it.

    Args:
        maps: label -> (tolerance, settings).
        label: one of them.
    """
    before = list(maps)[: list(maps).index(label)]
    made = tolerance.make(*maps[label])
    if not type(made).__module__.startswith("limen."):
        return [*before, label]
    of = getattr(made.settings, "of", "")
    return [*(needed(maps, of) if of in before else ()), label]


def chosen(plan: FeaturePlan, asked: Sequence[str], spared: Sequence[str]) -> list[str]:
    """Return labels of a plan's maps: those asked for; if none were, those that are not `MAPS` to be spared, or all.

    Args:
        plan: with its maps.
        asked: labels.
        spared: labels of `MAPS`: `COMPARED` or `UNQUANTISED`.

    Raises:
        UnknownNameError: a label that is none of the plan's.
    """
    for label in asked:
        if label not in plan.maps:
            raise UnknownNameError("map of this run", label, plan.maps)
    own = [
        label for label, (name, _) in plan.maps.items()
        if current(label) not in spared or current(name) != MAPS[current(label)][0]
    ]  # fmt: skip
    return list(dict.fromkeys(asked)) or own or list(plan.maps)
