"""Training of the estimator: what it learns, that kill -9 changes nothing, and its errors."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from limen.errors import InputError, StoreError
from limen.feature import clean_batches, tolerance
from limen.feature.model.split import Outputs
from limen.feature.perturbation import energy, noise
from limen.feature.tasks.classification import ClassificationTask
from limen.feature.tolerance import Scope
from tests.feature.test_maps import encoded, scope

QUICK = {"steps": 12, "batch": 8, "draws": 2}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def fitted(name: str, given: Scope, **settings: Any) -> tolerance.Tolerance:
    made = tolerance.make(name, {**QUICK, **settings})
    made.fit(given)
    return made


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def half_read() -> Scope:
    """A net whose head reads three of its six channels."""
    given = scope("maps", gain=2.0)
    model: Any = given.split.model
    model.last.weight[:, 3:] *= 0.02
    return given


def test_the_noise_goes_where_the_head_does_not_look() -> None:
    given = half_read()
    features, names = encoded(given, range(24))
    flat, learned = (fitted("learned", given, bias="flat", steps=n, learning_rate=2e-2) for n in (1, 80))
    before, after = (made.map(features, names)[0] for made in (flat, learned))
    assert float(after[:, 3:].square().sum() / after.square().sum()) > 0.9
    assert energy([before]).top10 < 0.2
    with torch.no_grad():
        clean = given.split.head(features)
        moved = [
            given.task.discrepancy(clean, given.split.head(features.plus(noise([one], names, 5)))).mean()
            for one in (before, after)
        ]
    assert float(after.square().sum()) > 4 * float(before.square().sum())  # more of it, as little noticed
    assert all(float(one) < 0.12 for one in moved)


def test_the_constraint_holds_from_the_first_step_and_the_multiplier_follows_it() -> None:
    told: list[str] = []
    given = replace(half_read(), progress=lambda done, total, note: told.append(note))
    fitted("learned", given, objective="log_magnitude", steps=60)
    lines = [note.split() for note in told if note.startswith("M ")]
    violations = [float(line[5]) for line in lines]
    multipliers = [float(line[7]) for line in lines]
    assert len(lines) == 60
    assert sum(violations[:10]) / 10 < 1.5
    assert 0.1 < sum(violations[-30:]) / 30 < 1.2  # tau is .5
    for violation, before, after in zip(violations, multipliers, multipliers[1:], strict=False):
        step = 0.05 * min(1.0, max(-1.0, violation - 0.5))
        assert after / before == pytest.approx(2.718281828**step, rel=0.02)


def test_information_is_predicted_from_the_image() -> None:
    """Behind a ReLU, an element below the threshold costs nothing in that image, and the same element above it does."""
    given = scope("maps", gain=1.5, count=60, batch=20)
    model: Any = given.split.model
    thresholds = encoded(given, range(60))[0].tensors[0].mean((0, 2, 3))
    stem = model.stem
    model.forward = lambda images: model.last((stem(images) - thresholds.view(-1, 1, 1)).relu().mean((2, 3)))
    made = fitted("learned", given, objective="information", steps=120, batch=20, learning_rate=2e-2, damping=0.01)
    fresh = scope("maps", gain=1.5, count=90)
    features, names = encoded(fresh, range(60, 90))
    off = (features.tensors[0] < thresholds.view(-1, 1, 1)).float()
    share = off.mean(0)
    both = (share > 0.2) & (share < 0.8)
    assert int(both.sum()) > 20
    logarithm = made.map(features, names)[0].log()
    below = (logarithm * off).sum(0) / off.sum(0)
    above = (logarithm * (1 - off)).sum(0) / (1 - off).sum(0)
    assert float((below - above)[both].mean()) > 0.5  # a static map has 0


@pytest.mark.parametrize("kind", ["tokens", "vector", "levels"])
@pytest.mark.parametrize("objective", ["log_nrmse", "log_magnitude", "information"])
def test_every_kind_of_features_trains_and_comes_back(kind: str, objective: str) -> None:
    given = scope(kind)
    made, again = (
        fitted("learned", given, objective=objective, steps=3),
        tolerance.make("learned", {"objective": objective}),
    )
    again.load(made.state(), given)
    features, names = encoded(given, range(4))
    maps = made.map(features, names)
    assert [one.shape for one in maps] == [one.shape for one in features.tensors]
    assert all(bool((one > 0).all()) and not one.requires_grad for one in maps)
    assert all(torch.equal(a, b) for a, b in zip(maps, again.map(features, names), strict=True))
    alone = made.map(features[[2]], names[2:3])
    assert all(torch.allclose(a[0], b[2], rtol=1e-4) for a, b in zip(alone, maps, strict=True))


def test_the_seed_decides_and_nothing_else() -> None:
    first, second = fitted("learned", scope("maps")).state(), fitted("learned", scope("maps")).state()
    assert same(first, second)
    assert same(first, fitted("learned", scope("maps"), mixed_precision=False).state())  # no CUDA, no difference
    assert not same(first, fitted("learned", scope("maps", seed=1)).state())


def test_clean_features_that_do_not_fit_are_worked_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = fitted("learned", scope("maps")).state()
    monkeypatch.setattr(clean_batches, "ROOM", 0)
    fresh = fitted("learned", scope("maps")).state()
    assert all(torch.allclose(kept[name], fresh[name], rtol=1e-2, atol=1e-4) for name in kept)


def test_signed_is_used_as_given_or_by_its_magnitude() -> None:
    given = scope("maps")
    made = fitted("signed", given)
    assert made.noise == "given"
    features, names = encoded(given, range(4))
    (delta,) = made.map(features, names)
    assert 0.2 < float((delta > 0).float().mean()) < 0.8
    magnitude = tolerance.make("signed", {"as_given": False})
    magnitude.load(made.state(), given)
    assert magnitude.noise == "signs"
    assert torch.equal(magnitude.map(features, names)[0], delta.abs())
    with pytest.raises(InputError, match="is signed"):
        tolerance.make("learned").load(made.state(), given)
    with pytest.raises(InputError, match="Information has no sign"):
        tolerance.make("signed", {"objective": "information"})


KILLED = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
import torch
torch.set_num_threads(1)
from tests.feature.test_training import fitted, scope

def end():
    os.kill(os.getpid(), signal.SIGKILL)

def at(step):
    return lambda done, total, note: end() if note.startswith("M ") and done == step else None

def half(content, stream):
    save(content, stream)
    if content["step"] == 20:
        stream.truncate(stream.tell() // 2)
        stream.flush()
        end()

save = torch.save
for moment in ("early", "late", "writing"):
    child = os.fork()
    if not child:
        torch.save = half if moment == "writing" else save
        tell = at({"early": 3, "late": 27, "writing": 99}[moment])
        fitted("learned", scope("maps", checkpoint=Path(sys.argv[1]) / moment, progress=tell), steps=30)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
"""


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], cwd=Path(__file__).parents[2], check=True, env=environment
    )
    whole = fitted("learned", scope("maps"), steps=30).state()
    for moment, first in (("early", 1), ("late", 21), ("writing", 11)):
        told: list[tuple[int, str]] = []
        given = scope("maps", checkpoint=tmp_path / moment, progress=lambda *now: told.append((now[0], now[2])))  # noqa: B023
        resumed = fitted("learned", given, steps=30)
        assert [step for step, note in told if note.startswith("M ")] == list(range(first, 31))
        assert same(resumed.state(), whole)
        assert any("Fisher" in note for _, note in told) == (moment == "early")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["early", "late", "writing"]  # no drafts


def test_a_checkpoint_of_another_fit_is_left_and_a_damaged_one_refused(tmp_path: Path) -> None:
    file = tmp_path / "fit"
    given = scope("maps", checkpoint=file)
    fitted("learned", given, eps=0.1)
    assert same(fitted("learned", given).state(), fitted("learned", scope("maps")).state())
    for content in (b"", b"PK something else", file.read_bytes()[:1000]):
        file.write_bytes(content)
        with pytest.raises(InputError, match="not a checkpoint of limen's, or is damaged. Delete it"):
            fitted("learned", given)
    with pytest.raises(StoreError, match="cannot be written"):
        fitted("learned", scope("maps", checkpoint=tmp_path / "no folder" / "fit"))


class Breaking(ClassificationTask):
    """A task whose discrepancy is not a number from one step on."""

    calls = 0

    def discrepancy(self, clean: Outputs, perturbed: Outputs) -> Tensor:
        self.calls += 1
        found = super().discrepancy(clean, perturbed)
        return found * float("nan") if self.calls > 16 + 11 else found


def test_numbers_that_are_not_finite_end_the_training_with_one_line(tmp_path: Path) -> None:
    given = scope("maps", checkpoint=tmp_path / "fit", task=Breaking())
    with pytest.raises(InputError, match=r"Training broke at step 12 of 30: loss nan, .* Try a smaller") as caught:
        fitted("learned", given, steps=30)
    assert "\n" not in str(caught.value)
    saved = torch.load(tmp_path / "fit", weights_only=True)
    assert saved["step"] == 10
    assert all(bool(one.isfinite().all()) for one in saved["estimator"].values())
    assert [one.name for one in tmp_path.iterdir()] == ["fit"]
