"""Train the estimator: the largest perturbation that keeps what the task needs.

The paper's (Zhao et al. 2026, arXiv:2601.21933): maximise a magnitude M of the perturbation while the probability of a
loss above eps stays at most rho; relaxed, with the violation v = loss - eps, to `max M s.t. E[v]+ <= tau`, solved by a
Lagrangian, the task's score replaced by a differentiable discrepancy D.

Ours, since the paper's are not public: the estimator, both objectives M, that NRMSE is |delta| / |f| of each sample,
that the violation is counted in units of eps, and the dual step: `log lambda += .05 clip(violation - tau, -1, 1)`. The
map is a magnitude that must hold for random signs, drawn afresh at each step. `E[v]+ <= tau` bounds no probability:
that is calibration's work, and so rho is no setting here.

A third objective is ours altogether: "information" has no Lagrangian. The estimator predicts the Fisher information of
the image at hand from its features, by the gamma deviance `F / G + log G`, whose minimum is the mean even where `F` is
one noisy draw. At the energy shares of a static Fisher map it is the one that gains something from the image.

Signs and batches belong to (seed, step), so a run that was killed goes on from its checkpoint as if it had not been: on
a CPU with the same number of threads the weights are equal bit for bit.
"""

import math
import pickle
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import msgspec
import torch
from torch import Tensor, nn

from limen import digest
from limen.errors import InputError
from limen.feature.model.split import Features, Outputs
from limen.feature.perturbation import Tensors, noise, norms, nrmse
from limen.feature.tolerance import Scope
from limen.feature.tolerances.estimator import Estimator
from limen.feature.tolerances.information import FisherSettings, information
from limen.files import drafts, saving

SAVED_STEPS, SAVED_SECONDS = 10, 20.0  # a checkpoint is written after so many, whichever comes first
DUAL_STEP = 0.05
FLOOR = 1e-3  # of the mean information of an image: less than this is as good as none
_SAVED = {"step": int, "log_multiplier": float, "estimator": dict, "optimiser": dict}  # in a checkpoint
CLIP = 1.0  # of the gradient's norm
OFFSET_PACE = 10.0  # the offset that all elements share learns faster than the weights by this factor


class TrainingSettings(FisherSettings, frozen=True, kw_only=True):
    """How the estimator is trained.

    Attributes:
        objective: M. "log_nrmse", mean log(|delta| / |f|), fills insensitive elements and wins the paper's plot;
            "log_magnitude", mean log m, is what a quantiser's rate wants; "information" has no M, and power and
            damping turn what it predicts into the map.
        eps: discrepancy that is tolerated (classification: KL in nats).
        tau: mean violation that is tolerated, in units of eps.
        steps, batch, learning_rate: of Adam, the rate falling to zero as a cosine.
        bias: the static map it starts from: static Fisher, or the same everywhere.
        over, power, damping, relative, draws: of the static Fisher map, as in `FisherSettings`; a step of
            "information" takes one fresh draw. Under "log_nrmse" a steeper power is a better start: the map `learned`
            of `limen.feature.plan.MAPS` has -2 (docs/explanation/features-method.md).
        width: hidden units of the estimator; None for its own choice.
        mixed_precision: bfloat16 where the network is on a CUDA device; nowhere else.
    """

    objective: Literal["log_nrmse", "log_magnitude", "information"] = "log_nrmse"
    eps: Annotated[float, msgspec.Meta(gt=0, le=1e6)] = 0.05
    tau: Annotated[float, msgspec.Meta(gt=0, le=1e6)] = 0.5
    steps: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = 200
    batch: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 40
    learning_rate: Annotated[float, msgspec.Meta(gt=0, le=1e3)] = 2e-3
    bias: Literal["fisher", "flat"] = "fisher"
    width: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None
    mixed_precision: bool = True


class Trainer:
    """One training run: the estimator, Adam, the multiplier, and at which step they are.

    Args:
        estimator: trained in place.
        scope: what it may look at; progress and checkpoints go where it says.
        settings: how.
        key: what the run is; a checkpoint of another run is not continued.
    """

    def __init__(self, estimator: Estimator, scope: Scope, settings: TrainingSettings, key: str) -> None:
        self.estimator = estimator.to(scope.split.device)
        self._scope, self._settings, self._key = scope, settings, key
        weights = [one for name, one in estimator.named_parameters() if name != "offset"]
        self._optimiser = torch.optim.Adam([{"params": weights}, {"params": [estimator.offset]}])
        self._parameters = [*weights, estimator.offset]
        self._step, self._log_multiplier = 0, 0.0

    def run(self, saved: Mapping[str, Any] | None = None) -> None:
        """Train to the last step, from the first or from a checkpoint.

        Raises:
            InputError: a number that is not finite came up; the last checkpoint stands.
        """
        if saved is None and self._settings.objective != "information":
            self._begin()
        elif saved is not None:
            self.estimator.load_state_dict(saved["estimator"])
            self._optimiser.load_state_dict(saved["optimiser"])
            self._step, self._log_multiplier = saved["step"], saved["log_multiplier"]
        total, written, since = self._settings.steps, self._step, time.monotonic()
        while self._step < total:
            with torch.enable_grad():  # also for a caller who has switched gradients off
                note = self._advance()
            self._scope.progress(self._step, total, note)
            late = self._step - written >= SAVED_STEPS or time.monotonic() - since > SAVED_SECONDS
            if late or self._step == total:
                self._save()
                written, since = self._step, time.monotonic()

    def _begin(self) -> None:
        """Choose the offset by bisection so that the first batch violates as much as it may.

        A static map fits no particular eps; Adam alone would take hundreds of steps to get from one to the other.
        """
        low, high = -40.0, 40.0
        with torch.no_grad():
            self.estimator.offset.zero_()
            features, names, clean = self._batch(0)
            logarithms, directions = self.estimator(features)
            sizes = norms(perturbation(logarithms, directions)) / norms(features.tensors)
            start = float(sizes.mean().log())
            for _ in range(16):
                middle = (low + high) / 2
                at = tuple(one + (middle - start) for one in logarithms)
                found = self._discrepancy(features, names, clean, at, directions, 0)
                fine = bool(found.isfinite().all()) and float(self._violation(found)) <= self._settings.tau
                low, high = (middle, high) if fine else (low, middle)
            self.estimator.offset.fill_(low - start)

    def _advance(self) -> str:
        """Take one step; return how it stands."""
        settings = self._settings
        falling = 0.5 * (1 + math.cos(math.pi * self._step / settings.steps))
        for group, factor in zip(self._optimiser.param_groups, (1.0, OFFSET_PACE), strict=True):
            group["lr"] = settings.learning_rate * factor * falling
        loss, violation, note = self._deviance() if settings.objective == "information" else self._lagrangian()
        self._optimiser.zero_grad()
        torch.autograd.backward(loss)
        size = nn.utils.clip_grad_norm_(self._parameters, CLIP)
        if not bool(loss.isfinite() & size.isfinite()):
            raise InputError(
                f"Training broke at step {self._step + 1} of {settings.steps}: loss {float(loss.detach()):.3g}, "
                f"gradient {float(size):.3g} ({note}). Try a smaller learning_rate, a larger eps or damping, or "
                "mixed_precision = false."
            )
        self._optimiser.step()
        self._log_multiplier += DUAL_STEP * min(1.0, max(-1.0, violation - settings.tau))
        self._step += 1
        return note

    def _lagrangian(self) -> tuple[Tensor, float, str]:
        """Return -M + lambda E[v]+, the violation, and how it stands."""
        features, names, clean = self._batch(self._step)
        with self._precision():
            logarithms, directions = self.estimator(features)
            found = self._discrepancy(features, names, clean, logarithms, directions, self._step)
        magnitude, violation = self._objective(features, logarithms, directions), self._violation(found)
        multiplier, broken = math.exp(self._log_multiplier), float(violation.detach())
        note = (
            f"M {float(magnitude.detach()):.3f}  discrepancy {float(found.detach().mean()):.4f}  "
            f"violation {broken:.2f}  lambda {multiplier:.3g}"
        )
        return multiplier * violation - magnitude, broken, note

    def _deviance(self) -> tuple[Tensor, float, str]:
        """Return the gamma deviance of what is predicted from a fresh draw of the information, and no violation.

        An image's information is taken relative to its mean, at the static map's level: how sure the network is of an
        image varies over orders of magnitude, and each image is to count the same.
        """
        features, names, _ = self._batch(self._step)
        draw = digest.seed("training information", self._scope.seed, self._step) & (2**53 - 1)
        drawn = information(self._scope.split, self._scope.task, features, names, 1, draw)
        total = torch.stack([one.flatten(1).sum(1) for one in drawn]).sum(0) / features.elements
        level = self.estimator.level(features)
        with self._precision():
            logarithms, _ = self.estimator(features)
        parts = []
        for one, predicted in zip(drawn, logarithms, strict=True):
            each = total.clamp_min(1e-30).view(-1, *[1] * (one.ndim - 1))
            parts.append(((one / each + FLOOR) * level * (-predicted).exp() + predicted).flatten(1).sum(1))
        loss = torch.stack(parts).sum(0).mean() / features.elements
        return loss, self._settings.tau, f"deviance {float(loss.detach()):.4f}"

    def _batch(self, step: int) -> tuple[Features, tuple[str, ...], Outputs]:
        count = len(self._scope.images)
        source = digest.generator("training batch", self._scope.seed, step)
        chosen = source.choice(count, min(self._settings.batch, count), replace=False)
        batch = self._scope.clean.chosen([int(index) for index in chosen])
        return batch.features, batch.names, batch.outputs

    def _discrepancy(
        self,
        features: Features,
        names: tuple[str, ...],
        clean: Outputs,
        logarithms: Tensors,
        directions: Tensors,
        step: int,
    ) -> Tensor:
        delta = perturbation(logarithms, directions)
        if not directions:
            draw = digest.seed("training signs", self._scope.seed, step) & (2**53 - 1)
            delta = noise(delta, names, draw)
        return self._scope.task.discrepancy(clean, self._scope.split.head(features.plus(delta)))

    def _violation(self, found: Tensor) -> Tensor:
        """Return E[v]+ in units of eps."""
        return (found - self._settings.eps).relu().mean() / self._settings.eps

    def _objective(self, features: Features, logarithms: Tensors, directions: Tensors) -> Tensor:
        if self._settings.objective == "log_nrmse":
            return nrmse(features, perturbation(logarithms, directions)).log().mean()
        if directions:
            logarithms = tuple(a + b.abs().clamp_min(1e-6).log() for a, b in zip(logarithms, directions, strict=True))
        total = torch.stack([one.flatten(1).sum(1) for one in logarithms]).sum()
        return total / (features.elements * len(features))

    def _precision(self) -> torch.autocast:
        cuda = self._scope.split.device.type == "cuda"
        return torch.autocast("cuda", torch.bfloat16, enabled=cuda and self._settings.mixed_precision)

    def _save(self) -> None:
        if self._scope.checkpoint is None:
            return
        state = {
            "key": self._key,
            "step": self._step,
            "log_multiplier": self._log_multiplier,
            "estimator": self.estimator.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }
        with saving(self._scope.checkpoint) as stream:
            torch.save(state, stream)


def resume(file: Path | None, key: str) -> Mapping[str, Any] | None:
    """Return what a run left in its checkpoint, None where there is none, or that of another run.

    Raises:
        InputError: the file is no checkpoint.
    """
    if file is None:
        return None
    for draft in drafts(file):
        draft.unlink(missing_ok=True)
    if not file.exists():
        return None
    try:
        saved: Mapping[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        if saved["key"] != key:
            return None
        found = [isinstance(saved[name], kind) for name, kind in _SAVED.items()]
        return saved if all(found) else _refuse(file)
    except (OSError, RuntimeError, EOFError, LookupError, TypeError, pickle.UnpicklingError):
        _refuse(file)


def _refuse(file: Path) -> NoReturn:
    raise InputError(f"{file} is not a checkpoint of limen's, or is damaged. Delete it and run again.") from None


def perturbation(logarithms: Tensors, directions: Tensors) -> Tensors:
    """Return magnitudes, or a signed delta where there are directions."""
    sizes = tuple(one.exp() for one in logarithms)
    return tuple(a * b for a, b in zip(sizes, directions, strict=True)) if directions else sizes
