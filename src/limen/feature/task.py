"""What a head is for: how well it does, how far its output moved, what may be lost.

A task is one file in `tasks/`, registered under its name. Everything about a network's kind of output lives there:
the rest of the wing knows images, features and numbers only.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch
from torch import Tensor

from limen import registry
from limen.curve import Interval
from limen.errors import InputError
from limen.feature.model import factory
from limen.feature.model.split import Outputs

if TYPE_CHECKING:
    from limen.feature.model.network import Network


class Task(Protocol):
    """One use of a network's outputs.

    Attributes:
        name: as registered.
        score_name: what `score` is, as tables call it ("top-1 accuracy").
        discrepancy_name: what `discrepancy` is ("KL").
        drops: names of the per-image losses that `drop` knows, the default first, each with what it is.
        auto_class: the class of transformers that loads a checkpoint with a head for it.
        needs: what data must say of an image: its class, the boxes or masks of its objects, the class of each of its
            pixels, or nothing. Targets are class numbers, `limen.feature.data.instances.Instances`, class maps
            (`limen.feature.data.class_maps.ClassMap`), or, where nothing is needed, the clean outputs' answers.
        compared_at: the discrepancy at which kinds of steps are compared in bits: felt, but not much.
    """

    name: str
    score_name: str
    discrepancy_name: str
    drops: Mapping[str, str]
    auto_class: str
    needs: Literal["class", "boxes", "masks", "pixels", "nothing"]
    compared_at: float

    def of(self, network: "Network") -> "Task":
        """Return the task as it is for one network: how many classes its head knows, say."""
        ...

    def outputs(self, returned: Any) -> Outputs:
        """Name what the model returned, results only; raise `InputError` where its head does not fit the task."""
        ...

    def check(self, outputs: Outputs, targets: Sequence[Any]) -> None:
        """Raise `InputError` where targets do not fit the outputs (labels out of range, ...)."""
        ...

    def discrepancy(self, clean: Outputs, perturbed: Outputs) -> Tensor:
        """Return D_t for each sample (N,): differentiable, 0 where nothing moved. `clean` carries no gradient."""
        ...

    def sampled(self, outputs: Outputs, source: torch.Generator) -> Tensor:
        """Return (N,) values whose squared gradients have, over draws, the diagonal of the Fisher information as mean.

        The log-likelihood of an answer drawn from the outputs themselves is one such value.
        """
        ...

    def drop(self, clean: Outputs, perturbed: Outputs, kind: str) -> Tensor:
        """Return the per-image loss (N,) that calibration bounds, 0 where nothing is lost.

        Args:
            clean: outputs for the undisturbed features.
            perturbed: outputs for disturbed features.
            kind: one of `drops`.
        """
        ...

    def evidence(self, outputs: Outputs, clean: Outputs) -> Tensor:
        """Return (N,): how much the outputs speak for what the clean ones say; what attribution divides up."""
        ...

    def answers(self, outputs: Outputs) -> list[Any]:
        """Return one answer a sample, from which `score` is worked out; small, on the CPU."""
        ...

    def scores(self, answers: Sequence[Any], targets: Sequence[Any]) -> Mapping[str, float]:
        """Return P_t over a set of images as `score`, larger is better, and what else there is to say of it."""
        ...

    def interval(self, answers: Sequence[Any], targets: Sequence[Any]) -> Interval | None:
        """Return the 95 % interval of `score` over images; None where it would cost too much."""
        ...


def find(name: str) -> Task:
    """Return a task by name, or by where it is: `package.module:name` of an object, a class, or a function to call.

    Raises:
        UnknownNameError: no task is registered under the name.
        InputError: there is no such object, or it is no task.
    """
    made: Task
    if not factory.NAME.fullmatch(name):
        made = registry.find("task", name)()
        return made
    made = factory.make(name, "the task")
    wanted = (*Task.__annotations__, *(part for part in vars(Task) if not part.startswith("_")))
    lacking = [part for part in wanted if not hasattr(made, part)]
    if lacking:
        raise InputError(
            f"{name} is {type(made).__name__}, which lacks {', '.join(lacking[:3])} of a task. Make one of a loss and "
            "a score: limen.feature.own_task(loss=..., score=...)."
        )
    return made


def agreement(task: Task) -> str:
    """Return what a task's score is called where answers are held against those of the clean output.

    "top-1 agreement with the clean output", of "top-1 accuracy".

    Args:
        task: whose score.
    """
    return f"{task.score_name.removesuffix(' accuracy')} agreement with the clean output"
