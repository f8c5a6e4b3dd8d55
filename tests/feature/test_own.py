"""A task of one's own: its information against tasks whose own is known; every fault of its functions in one line."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from limen import feature
from limen.cli import run as command
from limen.errors import InputError, LimenError, StoreError
from limen.feature import stages, task
from limen.feature.data.parts import SubsetSizes
from limen.feature.model.network import Network
from limen.feature.own import OwnTask, root_times
from limen.feature.plan import MAPS, FeaturePlan
from limen.feature.run import FeatureRun

CLASSIFY = task.find("classification")


def squared(clean: Tensor, other: Tensor) -> Tensor:
    return (clean - other).square().flatten(1).mean(1)


def kl(clean: Tensor, other: Tensor) -> Tensor:
    p, q = clean.log_softmax(1), other.log_softmax(1)
    return (p.exp() * (p - q)).sum(1)


def closeness(answers: Any, clean: Any) -> float:
    return -float(np.mean([np.abs(a - b).mean() for a, b in zip(answers, clean, strict=True)]))


def made(loss: Callable[..., Any] = squared, score: Callable[..., Any] = closeness, **more: Any) -> OwnTask:
    return feature.own_task(loss, score, name="mine", **more)


def logits(images: int = 3, size: int = 7, seed: int = 0) -> dict[str, Tensor]:
    return {"logits": 2 * torch.randn(images, size, generator=torch.Generator().manual_seed(seed))}


def information(of: Any, clean: Tensor, draws: int) -> Tensor:
    """Return the second moment of the gradients in the output, (D, D)."""
    many = clean.expand(draws, *clean.shape[1:]).clone().requires_grad_()
    of.sampled({"logits": many}, torch.Generator().manual_seed(1)).sum().backward()
    drawn = many.grad.flatten(1)
    return drawn.T @ drawn / draws


def test_the_information_of_a_kl_of_ones_own_is_that_of_classification() -> None:
    clean = logits(images=1)["logits"]
    p = clean.softmax(1)[0]
    known = p.diag() - p[:, None] * p[None]
    for of in (made(kl), CLASSIFY):
        assert torch.allclose(information(of, clean, 20000), known, atol=0.03 * float(known.max()))


def test_the_information_is_that_of_larger_outputs_too_and_exact_for_each_draw() -> None:
    """A loss over pixels: 300 numbers a sample, more than steps of Lanczos' method."""

    def pixels(clean: Tensor, other: Tensor) -> Tensor:
        return kl(clean, other).mean(1)

    clean = torch.randn(2, 3, 100, generator=torch.Generator().manual_seed(3))
    at = clean.clone().requires_grad_()
    made(pixels).sampled({"logits": at}, torch.Generator().manual_seed(4)).sum().backward()
    signs = 2 * torch.randint(0, 2, clean.shape, generator=torch.Generator().manual_seed(4)).float() - 1
    for row in range(2):
        p = clean[row].softmax(0).T  # (pixels, classes)
        blocks = torch.diag_embed(p) - p[:, :, None] * p[:, None]
        values, vectors = torch.linalg.eigh(blocks.double() / 100)
        roots = vectors @ torch.diag_embed(values.clamp_min(0).sqrt()) @ vectors.mT
        wanted = (roots @ signs[row].T[..., None].double())[..., 0].T
        found = at.grad[row].double()
        assert float((found - wanted).norm() / wanted.norm()) < 0.02


def test_the_root_of_a_matrix_times_a_vector_is_what_its_eigenvectors_say() -> None:
    source = torch.Generator().manual_seed(0)
    parts = torch.randn(3, 12, 5, generator=source)
    matrices = parts @ parts.mT  # rank 5 of 12
    start = torch.randn(3, 12, generator=source)
    found = root_times(lambda vector: (matrices @ vector[..., None])[..., 0], start)
    values, vectors = torch.linalg.eigh(matrices.double())
    roots = vectors @ torch.diag_embed(values.clamp_min(0).sqrt()) @ vectors.mT
    assert torch.allclose(found.double(), (roots @ start.double()[..., None])[..., 0], atol=2e-3)


def test_draws_belong_to_the_sample_and_several_outputs_are_taken_together() -> None:
    def both(clean: dict[str, Tensor], other: dict[str, Tensor]) -> Tensor:
        return squared(clean["a"], other["a"]) + 3 * squared(clean["b"], other["b"])

    of = made(both)
    outputs = {"a": torch.randn(1, 4), "b": torch.randn(1, 2, 3)}
    at = {name: value.clone().requires_grad_() for name, value in outputs.items()}
    of.sampled(at, torch.Generator().manual_seed(0)).sum().backward()
    assert torch.allclose(at["a"].grad.abs(), torch.full((1, 4), (2 / 4) ** 0.5), atol=1e-4)
    assert torch.allclose(at["b"].grad.abs(), torch.full((1, 2, 3), (3 * 2 / 6) ** 0.5), atol=1e-4)
    assert [set(answer) for answer in of.answers(outputs)] == [{"a", "b"}]
    of.check(outputs, [None])


def test_drop_evidence_and_answers_follow_from_the_two_functions() -> None:
    clean, other = logits(), logits(seed=1)
    of = made(answer=lambda output: int(output.argmax()), score=lambda a, b: np.mean(np.equal(a, b)))
    assert of.drop(clean, other, "loss").tolist() == squared(clean["logits"], other["logits"]).tolist()
    assert of.evidence(other, clean).tolist() == (-of.discrepancy(clean, other)).tolist()
    assert of.answers(clean) == clean["logits"].argmax(1).tolist()
    assert of.scores(of.answers(clean), of.answers(clean)) == {"score": 1.0}
    assert of.interval([], []) is None
    assert made().answers(clean)[0].tolist() == clean["logits"][0].tolist()


def raising(*_given: Any) -> Any:
    raise KeyError("depth")


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (raising, "The loss of mine raised KeyError: 'depth'. Mend that function."),
        (lambda a, b: (a - b).square().mean(), r"returns a tensor \(\) for 3 samples. Give a tensor \(3,\)"),
        (lambda a, b: 1.0, "returns float for 3 samples"),
        (lambda a, b: squared(a, b) + 1, "is 1 where nothing moved"),
        (lambda a, b: -squared(a, b), "is negative .* where outputs moved a little"),
        (lambda a, b: squared(a, b) * torch.where(a == b, 1, torch.inf).amax(1), "is not finite"),
        (lambda a, b: squared(a, b.detach()), "has no gradient in the disturbed output"),
        (lambda a, b: (a.argmax(1) != (b + 9 * (a != b) * torch.eye(7)[:3]).argmax(1)).float(), "has no gradient"),
        (lambda a, b: squared(a, b) / max(len(a), 1), "for a sample alone and .* among others"),
    ],
)
def test_what_is_wrong_with_a_loss_is_one_line(loss: Callable[..., Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        made(loss).check(logits(), [None] * 3)
    assert "\n" not in str(caught.value)


def test_what_is_wrong_with_scores_and_answers_is_one_line() -> None:
    for score in (lambda a, b: "good", lambda a, b: float("nan"), lambda a, b: None):
        with pytest.raises(InputError, match="The score of mine is .* for 2 images. Give a number"):
            made(score=score).scores([1, 2], [1, 2])
    with pytest.raises(InputError, match="The score of mine raised KeyError"):
        made(score=raising).scores([1], [1])
    with pytest.raises(InputError, match="The answer of mine raised KeyError"):
        made(answer=raising).check(logits(), [None] * 3)
    with pytest.raises(InputError, match="compared_at is a loss above 0, not 0"):
        made(compared_at=0)
    at = {"logits": logits()["logits"].requires_grad_()}
    for loss, what in (
        (lambda a, b: (a - b).abs().sum(1), "zero"),
        (lambda a, b: (a - b).norm(dim=1), "zero|not finite"),
    ):
        with pytest.raises(InputError, match=f"second derivative of the loss of mine is ({what}) where nothing moved"):
            made(loss).sampled(at, torch.Generator().manual_seed(0))


class Net(nn.Module):
    """A network of random weights, whose channels count more and more."""

    def __init__(self) -> None:
        super().__init__()
        self.maps, self.head = nn.Conv2d(3, 8, 8, 8), nn.Conv2d(8, 2, 1)
        source = torch.Generator().manual_seed(0)
        for weights in self.parameters():
            weights.data = torch.randn(weights.shape, generator=source) * 0.3
        self.head.weight.data *= torch.logspace(-2, 0.5, 8).view(1, 8, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        made: Tensor = functional.gelu(self.head(torch.tanh(self.maps(images - 0.5))))
        return made


FEW = {"seeds": 1, "sizes": SubsetSizes(12, 9, 10), "maps": {label: MAPS[label] for label in ("flat", "fisher")}}


def test_a_run_in_python_goes_on_with_the_same_functions_only(tmp_path: Path) -> None:
    network, plan = Network(Net().eval(), name="net"), FeaturePlan("net", "maps", eps=0.01, **FEW)
    of = made(answer=lambda output: output.numpy())
    with FeatureRun.begin(tmp_path / "run", plan, "cpu", network, task=of) as run:
        stages.fit(run)
        assert {row["map"] for row in stages.calibrate(run)} == {"flat", "fisher"}
        rows = stages.evaluate(run, (1.0,))
        assert run.store.manifest["measures"]["discrepancy"] == "loss"
    by = {row["map"]: row for row in rows}
    assert by["clean"]["score"] == 0 > by["fisher"]["score"] > by["flat"]["score"]
    assert 0 < by["fisher"]["discrepancy"] < 0.7 * by["flat"]["discrepancy"]
    with FeatureRun.open(tmp_path / "run", "cpu", network, task=of) as run:
        assert run.task is of
    with pytest.raises(StoreError, match="was begun in Python with a task of its own, 'mine'. Open it there"):
        FeatureRun.open(tmp_path / "run", "cpu", network)
    other = made(lambda a, b: 2 * squared(a, b), answer=lambda output: output.numpy())
    with pytest.raises(StoreError, match="holds another study: functions of the task was"):
        FeatureRun.open(tmp_path / "run", "cpu", network, task=other)


SOURCE = """
import numpy as np
import torch
from torch import nn
from limen import feature

def loss(clean, perturbed):
    return (clean - perturbed).square().mean((1, 2, 3))

def score(answers, clean):
    return -float(np.mean([np.abs(a - b).mean() for a, b in zip(answers, clean)]))

depth = feature.own_task(loss=loss, score=score, name="depth", score_name="closeness", loss_name="squared error")
nothing = 3

def made():
    return depth

def network():
    return nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.ReLU(), nn.Conv2d(4, 1, 1))
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "mytasks.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    sys.modules.pop("mytasks", None)


def test_a_task_is_named_by_where_it_is(here: Path) -> None:
    assert task.find("mytasks:depth").name == "depth"
    assert task.find("mytasks:made").name == "depth"
    assert task.find("limen.feature.tasks.embedding:EmbeddingTask").name == "embedding"
    with pytest.raises(
        InputError, match="mytasks:nothing is int, which lacks name, score_name, discrepancy_name of a task"
    ):
        task.find("mytasks:nothing")
    with pytest.raises(InputError, match="mytasks has no 'dept'. Near it: depth. .* makes the task"):
        task.find("mytasks:dept")
    with pytest.raises(LimenError, match="No task named 'detect'"):
        task.find("detect")


def test_a_run_from_the_command_line_and_its_other_commands(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["feature", "fit", "--model", "mytasks:network", "--split", "0", "--data", "scenes", "--device", "cpu"]
    few = ["--seeds", "1", "--images-fit", "12", "--images-calibrate", "9", "--images-test", "8", "--map", "flat"]
    assert command([*asked, *few, "--task", "mytasks:depth", "--out", "run", "--map", "fisher", "--eps", "0.001"]) == 0
    assert command(["feature", "evaluate", "run", "--nrmse", "0.5", "--device", "cpu"]) == 0
    shown = " ".join(capsys.readouterr().out.lower().split())
    assert "closeness" in shown
    assert "squared error" in shown
    assert command([*asked, "--task", "mytasks:none", "--out", "other"]) == 1
    assert "mytasks has no 'none'" in capsys.readouterr().err
