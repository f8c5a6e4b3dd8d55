"""The promise of a quantiser: p-values against exact sums, walks by hand, its error over resplits, runs, refusals."""

import json
import math
import re
import shutil
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from limen.cli import run as command
from limen.errors import InputError, StoreError, UnknownNameError
from limen.feature import clean_batches, stages, task
from limen.feature import run as runs
from limen.feature.clean_batches import CleanBatches
from limen.feature.data.parts import Batch, LabelledImage, Subset, SubsetSizes
from limen.feature.model.network import Network
from limen.feature.model.split import Features, SplitPoint
from limen.feature.quantisation import coarsest as keeping
from limen.feature.quantisation.codec import Quantiser
from limen.feature.quantisation.fit import fit
from limen.feature.quantisation.promise import DELTA, Drops, Promise, least, p_value, walk
from limen.feature.quantisation.step_sizes import StepRule
from limen.feature.run import FeaturePlan, FeatureRun
from limen.report import Report
from limen.report.feature_sections import first_screen
from limen.report.feature_tables import promise_told, promises
from limen.store import Store
from limen.store.rows import measured

CLASSIFY = task.find("classification")


def exact(failures: int, n: int, rho: Fraction) -> Fraction:
    """P[Bin(n, rho) <= failures] in whole numbers."""
    return sum(
        (math.comb(n, k) * rho**k * (1 - rho) ** (n - k) for k in range(failures + 1)), Fraction(0)
    )  # fmt: skip


# --- the statistics ---


@pytest.mark.parametrize("rho", [Fraction(1, 20), Fraction(1, 10), Fraction(1, 5)])
def test_the_p_value_is_the_exact_binomial_one(rho: Fraction) -> None:
    for n, failures in ((14, 0), (59, 0), (99, 4), (99, 5), (500, 38), (500, 60)):
        found = p_value(failures, n, float(rho))
        assert found == pytest.approx(float(exact(failures, n, rho)), rel=1e-9)
        assert found == pytest.approx(stats.binomtest(failures, n, float(rho), "less").pvalue, rel=1e-9)


def test_the_fewest_images_are_those_whose_clean_sheet_rejects() -> None:
    assert [least(rho) for rho in (0.05, 0.1, 0.2)] == [59, 29, 14]
    for rho in (0.01, 0.05, 0.1, 0.2, 0.5):
        n = least(rho)
        assert p_value(0, n, rho) <= DELTA < p_value(0, n - 1, rho)
        Promise("kl", 0.05, rho, DELTA, n).check()
        with pytest.raises(InputError, match=rf"{n - 1} calibration images are too few .* it takes {n} at least"):
            Promise("kl", 0.05, rho, DELTA, n - 1).check()


def test_one_failure_more_than_is_allowed_is_not_rejected() -> None:
    for n, rho in ((59, 0.05), (99, 0.1), (500, 0.1), (700, 0.2)):
        allowed = Promise("kl", 0.05, rho, DELTA, n).allowed
        assert p_value(allowed, n, rho) <= DELTA < p_value(allowed + 1, n, rho)
    assert Promise("kl", 0.05, 0.1, DELTA, 99).allowed == 4


@pytest.mark.parametrize(
    ("eps", "rho", "delta", "told"),
    [(math.nan, 0.1, 0.05, "eps is"), (-1, 0.1, 0.05, "eps is"), (0, 1.0, 0.05, "rho is"), (0, 0.1, 0.0, "delta is")],
)
def test_what_is_no_promise_is_refused(eps: float, rho: float, delta: float, told: str) -> None:
    with pytest.raises(InputError, match=told):
        Promise("kl", eps, rho, delta, 100).check()


def test_a_walk_ends_at_the_first_that_is_not_rejected_however_good_a_later_one_is() -> None:
    promise = Promise("kl", 1.0, 0.1, DELTA, 30)  # none may fail
    looked: list[int] = []

    def drops(place: int) -> Iterator[Drops]:
        for part in range(3):
            looked.append(place)
            failing = place == 2 and part == 1
            yield np.where(np.arange(10) == 0, 2.0 if failing else 1.0, 0.5)

    found = walk((0.1, 0.2, 0.4, 0.8), drops, promise)
    assert found.taken == 1
    assert [(one.budget, one.failures, one.images) for one in found.tried] == [(0.1, 0, 30), (0.2, 0, 30), (0.4, 1, 20)]
    assert looked == [0, 0, 0, 1, 1, 1, 2, 2]  # the third part of 0.4 changes nothing, and 0.8 is never tried


def test_a_drop_that_is_no_number_is_a_failure_and_a_walk_may_pass_all() -> None:
    promise = Promise("kl", 1.0, 0.1, DELTA, 30)
    assert walk((0.1,), lambda place: [np.full(30, math.nan)], promise).taken is None
    assert walk((0.1, 0.2), lambda place: [np.zeros(30)], promise).taken == 1


def test_the_reach_of_the_finest_is_the_eps_that_it_would_have_kept() -> None:
    drops = np.linspace(0.1, 0.99, 99)
    found = walk((0.1, 0.2), lambda place: [drops], Promise("kl", 0.05, 0.1, DELTA, 99))
    assert found.taken is None
    assert len(found.tried) == 1
    kept = [walk((0.1,), lambda _: [drops], Promise("kl", eps, 0.1, DELTA, 99)).taken for eps in
            (found.reach, np.nextafter(found.reach, 0))]  # fmt: skip
    assert kept == [0, None]


# --- the error over resplits, on a network made here ---


class Net(nn.Module):
    """Features 6 x 4 x 4, then a linear head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 6, 4, stride=4), nn.ReLU())
        self.last = nn.Linear(96, 5)
        self.last.weight.data *= 4

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.last(self.body(images).flatten(1))
        return made


def clean(split: SplitPoint, count: int, named: str) -> CleanBatches:
    """Images of smooth noise of unlike contrast, so that what an image bears differs."""
    source = torch.Generator().manual_seed(sum(named.encode()))
    coarse = torch.randn((count, 3, 4, 4), generator=source) * torch.rand((count, 1, 1, 1), generator=source) * 2
    images = nn.functional.interpolate(coarse, size=16, mode="bilinear")
    names = tuple(f"{named} {place}" for place in range(count))

    class Drawn(Subset):
        def batch(self, indices: Sequence[int]) -> Batch:
            return Batch(tuple(names[i] for i in indices), images[list(indices)], (0,) * len(indices))

    def read(place: int) -> LabelledImage:
        raise AssertionError(place)

    return CleanBatches(split, CLASSIFY, Drawn(count, read, Network(split.model)), count)


@pytest.fixture(scope="module")
def population() -> tuple[Promise, np.ndarray[Any, Any]]:
    """What each of 3,000 images loses with each candidate (images, candidates); candidates from other images."""
    split, promise = SplitPoint(Net(), "body"), Promise("kl", 0.02, 0.1, DELTA, 99)
    fitting = clean(split, 200, "fit")

    def fitted(budgets: Sequence[float]) -> list[Quantiser]:
        return fit(fitting, [(StepRule("uniform"), budget) for budget in budgets])

    budgets = keeping.candidates(split, CLASSIFY, fitted, fitting, promise)
    assert list(budgets) == sorted(budgets)
    fresh = clean(split, 3000, "fresh")
    lost = [next(iter(keeping.lost(split, CLASSIFY, one, fresh, promise))) for one in fitted(budgets)]
    return promise, np.stack(lost, 1)


def test_over_resplits_a_promise_is_broken_no_more_often_than_delta_says(population: Any) -> None:
    promise, lost = population
    risk = (lost > promise.eps).mean(0)
    assert risk[0] < promise.rho / 4 < promise.rho < risk[-1]  # candidates lie on both sides
    draws, rng, broken, naive, taken = 400, np.random.default_rng(5), 0, 0, []
    for _ in range(draws):
        chosen = lost[rng.choice(len(lost), promise.n, replace=False)]
        found = walk(range(lost.shape[1]), lambda place, drops=chosen: [drops[:, place]], promise)
        assert found.taken is not None
        taken.append(found.taken)
        broken += risk[found.taken] > promise.rho
        naive += risk[np.flatnonzero((chosen > promise.eps).mean(0) <= promise.rho)[-1]] > promise.rho
    most = stats.binom.ppf(0.999, draws, promise.delta)
    assert broken <= most
    assert naive > 3 * most  # the share among calibration images alone promises nothing
    assert len(set(taken)) > 3
    assert risk[int(np.median(taken))] > promise.rho / 4  # and it is not kept by taking the finest


# --- a run ---


SIZES = SubsetSizes(fit=24, calibrate=40, test=24)
MAPS = {"flat": ("flat", {}), "fisher": ("fisher", {"draws": 1})}


def network() -> Network:
    made = nn.Sequential(nn.Conv2d(3, 6, 8, stride=8), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 64, 10))
    source = torch.Generator().manual_seed(3)
    for parameter in made.parameters():
        parameter.data = torch.randn(parameter.shape, generator=source) * (0.3 if parameter.ndim > 1 else 0.1)
    return Network(made, name="small")


def plan(**changes: Any) -> FeaturePlan:
    given = {"model": "small", "split": "1", "seeds": 1, "sizes": SIZES, "maps": MAPS, "rho": 0.2} | changes
    return FeaturePlan(**given)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("promise") / "run"
    with FeatureRun.begin(out, plan(), "cpu", network()) as run:
        run.fitted(0, fit=True)
        stages.promise(run, stages.promised(run, 0.05))
    return out


def test_a_run_keeps_what_each_kind_of_steps_takes(kept: Path) -> None:
    with Store.open(kept) as store:
        rows, walks = measured(store, "promise"), measured(store, "walk")
    assert {row["steps"] for row in rows.values()} == {"uniform", "uniform-image", "static:fisher"}
    for key, row in rows.items():
        sizes, tried = walks[key]["sizes"], walks[key]["tried"]
        assert (row["eps"], row["rho"], row["delta"], row["n_calibrate"], row["drop"]) == (0.05, 0.2, 0.05, 40, "kl")
        assert row["bytes"] == pytest.approx(sum(sizes) / 24)
        assert row["bytes_low"] <= row["bytes"] <= row["bytes_high"]
        assert row["failures"] <= row["allowed"] == Promise("kl", 0.05, 0.2, DELTA, 40).allowed
        assert [budget for budget, _, _ in tried] == sorted(budget for budget, _, _ in tried)
        assert row["budget"] in [budget for budget, failures, _ in tried if failures <= row["allowed"]]
        assert 0 <= row["kept"] <= row["n"] == 24
    one = {row["steps"]: row for row in rows.values()}
    assert one["uniform"]["ratio"] == one["uniform-image"]["ratio_image"] == 1
    ratio = one["static:fisher"]["bytes"] / one["uniform-image"]["bytes"]
    assert one["static:fisher"]["ratio_image"] == pytest.approx(ratio)
    assert one["static:fisher"]["ratio_image_low"] <= ratio <= one["static:fisher"]["ratio_image_high"]


def test_the_quantiser_is_the_one_that_was_tested_and_its_bytes_decode(kept: Path, tmp_path: Path) -> None:
    with FeatureRun.open(kept, "cpu", network()) as run:
        wanted = stages.promised(run, 0.05)
        made = stages.keeping_quantiser(run, wanted, "static:fisher", 0)
        row = next(row for row in measured(run.store, "walk").values() if row["steps"] == "static:fisher")
        images = run.parts(0)
        batch = images.test.batch(range(24))
        features = run.split.encode(batch.images)
        sent = [made.encode(features[i : i + 1], batch.names[i : i + 1]) for i in range(24)]
        assert [len(one) for one in sent] == row["sizes"]
        received = torch.cat([made.decode(one).tensors[0] for one in sent])
        with torch.no_grad():
            drops = run.task.drop(run.split.head(features), run.split.head(Features((received,), features.size)), "kl")
            calibrate = images.calibrate.batch(range(40))
            encoded = run.split.encode(calibrate.images)
            again = run.split.head(made.quantise(encoded, calibrate.names).features)
            failing = int((run.task.drop(run.split.head(encoded), again, "kl") > 0.05).sum())
    assert int((drops <= 0.05).sum()) == row["kept"]
    assert failing == row["failures"]
    made.save(tmp_path)
    assert Quantiser.load(tmp_path).promise == wanted
    said = json.loads((tmp_path / "quantiser.json").read_text())["promise"]
    assert said == {"drop": "kl", "eps": 0.05, "rho": 0.2, "delta": 0.05, "n": 40}


def test_a_quantiser_without_a_promise_says_nothing_of_it_and_old_files_load(kept: Path, tmp_path: Path) -> None:
    with FeatureRun.open(kept, "cpu", network()) as run:
        made = stages.quantiser(run, "uniform", 0.5, 0)
    made.save(tmp_path)
    file = tmp_path / "quantiser.json"
    there = json.loads(file.read_text())
    assert "promise" not in there  # as older versions wrote it, and read it
    assert Quantiser.load(tmp_path).promise is None
    file.write_text(json.dumps(there | {"promise": {"drop": "kl", "eps": 0.1, "rho": 2.0, "delta": 0.05, "n": 9}}))
    with pytest.raises(InputError, match="cannot be read"):
        Quantiser.load(tmp_path)


def test_a_promise_is_not_looked_for_twice_and_other_steps_are_added(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walked: list[str] = []
    original = stages._walked

    def counted(run: FeatureRun, seed: int, steps: str, *more: Any) -> dict[str, dict[str, Any]]:
        walked.append(steps)
        return original(run, seed, steps, *more)

    monkeypatch.setattr(stages, "_walked", counted)
    with FeatureRun.open(kept, "cpu", network()) as run:
        wanted = stages.promised(run, 0.05)
        rows = stages.promise(run, wanted)
        assert walked == []
        more = stages.promise(run, wanted, ["static:flat"])
        assert walked == ["static:flat"]
    assert [row["steps"] for row in rows] == ["uniform", "uniform-image", "static:fisher"]
    assert [row["steps"] for row in more] == ["uniform", "uniform-image", "static:flat"]
    assert more[2]["ratio"] > 0


def test_batches_change_nothing(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(kept) as store:
        there = measured(store, "walk")
    monkeypatch.setattr(runs, "BATCH", 7)
    monkeypatch.setattr(clean_batches, "ROOM", 0)
    with FeatureRun.begin(tmp_path / "run", plan(), "cpu", network()) as run:
        run.fitted(0, fit=True)
        stages.promise(run, stages.promised(run, 0.05), ["uniform"])
        again = measured(run.store, "walk")
    assert again
    for key, row in again.items():
        for name in ("budget", "failures", "sizes", "kept", "key"):
            assert row[name] == there[key][name]
        # of the last candidate no more is looked at than it takes, and that is by batches
        assert [one[0] for one in row["tried"]] == [one[0] for one in there[key]["tried"]]


def test_an_eps_that_no_step_keeps_is_told_with_the_finest_and_its_drop(kept: Path) -> None:
    with FeatureRun.open(kept, "cpu", network()) as run:
        wanted = stages.promised(run, 0.0)
        rows = stages.promise(run, wanted, ["uniform"])
        finest = f"{rows[0]['finest']:g}"
        assert rows[0]["budget"] is None
        assert rows[0]["bytes"] is None
        told = rf"No quantiser with uniform steps .*Pr\[kl > 0\] <= 0.2.* budget {finest}, .* of 40 .* Allow an eps of"
        with pytest.raises(InputError, match=told):
            stages.keeping_quantiser(run, wanted, "uniform", 0)
        table = promises(run.store.manifest, rows)
        assert table.rows[0][1] == "none keeps it"
        assert any("Allow an eps" in note for note in table.notes)
        eased = stages.promised(run, float(f"{rows[0]['reach'] * 1.01:.3g}"))
        assert stages.promise(run, eased, ["uniform"])[0]["budget"] is not None


def test_another_quantiser_than_the_one_tested_is_not_given_out(kept: Path) -> None:
    with FeatureRun.open(kept, "cpu", network()) as run:
        wanted = stages.promised(run, 0.05)
        key, row = next((key, row) for key, row in measured(run.store, "walk").items() if row["eps"] == 0.05)
        run.store.add_measurements("walk", {key: row | {"key": "00" * 8}})
        with pytest.raises(StoreError, match="is another than the one that is fitted here"):
            stages.keeping_quantiser(run, wanted, row["steps"], 0)
        run.store.add_measurements("walk", {key: row})


def test_what_cannot_be_promised_is_refused_before_anything_is_measured(kept: Path) -> None:
    with FeatureRun.open(kept, "cpu", network()) as run:
        with pytest.raises(InputError, match="40 calibration images are too few .* it takes 59 at least"):
            stages.promised(run, 0.05, 0.05)
        with pytest.raises(UnknownNameError, match="top1"):
            stages.promised(run, 0.05, drop="topl")
        with pytest.raises(UnknownNameError, match="static:fishre"):
            stages.promise(run, stages.promised(run, 0.05), ["static:fishre"])


# --- the report ---


def test_steps_are_chosen_by_bytes_on_fitting_images_alone(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(kept, tmp_path / "run")
    seen: list[str] = []
    encode = SplitPoint.encode
    batch = Subset.batch

    def noted(images: Subset, indices: Sequence[int]) -> Batch:
        found = batch(images, indices)
        seen.extend(found.names)
        return found

    with FeatureRun.open(tmp_path / "run", "cpu", network()) as run:
        wanted = stages.promised(run, 0.5)
        fitted = run.fitted(0)
        parts = run.parts(0)
        fitting = set(parts.fit.batch(range(len(parts.fit))).names)
        monkeypatch.setattr(Subset, "batch", noted)
        found = stages.choose(run, wanted, [0])
        assert fitted
        assert set(seen) <= fitting
        assert list(found.values()) == sorted(found.values())
        assert {"uniform", "uniform-image", "absmax", "static:fisher", "tolerance:fisher"} <= set(found)
        assert not [name for name in found if name.startswith("permuted")]
        rows = measured(run.store, "choice")
        assert {row["bytes"] for row in rows.values() if row["seed"] == 0} == set(found.values())
        monkeypatch.setattr(SplitPoint, "encode", lambda *_: pytest.fail("it was worked out again"))
        assert stages.choose(run, wanted, [0]) == found
        monkeypatch.setattr(SplitPoint, "encode", encode)
        # at the budget of its row a kind takes these bytes: by hand
        name = next(iter(found))
        (row,) = (row for row in rows.values() if row["steps"] == name and row["seed"] == 0)
        monkeypatch.setattr(Subset, "batch", batch)
        quantiser = stages.quantiser(run, name, row["budget"], 0)
        images = parts.fit.batch(range(row["n"]))
        features = run.split.encode(images.images)
        sizes = [len(quantiser.encode(features[i : i + 1], images.names[i : i + 1])) for i in range(row["n"])]
        assert row["bytes"] == pytest.approx(np.mean(sizes))


def test_the_report_leads_with_bytes_at_the_promise(kept: Path, tmp_path: Path) -> None:
    with Store.open(kept) as store:
        (screen,) = first_screen({"run": store})
        rows = [row for row in measured(store, "promise").values() if row["eps"] == 0.05]
        table = promises(store.manifest, rows)
    assert table.title == "Bytes at a kept promise: Pr[kl > 0.05] <= 0.2"
    sizes = [row["bytes"] for row in sorted(rows, key=lambda row: row["bytes"])]
    told_first = [cells[1].split(" ")[0] for cells in table.rows]
    assert told_first == [f"{size:,.0f}" if size >= 100 else f"{size:,.1f}" for size in sizes]
    assert screen.numbers[0].label == "Bytes of an image"
    assert screen.numbers[1].label == "Saved against one step an image"
    assert len({number.label for number in screen.numbers}) == len(screen.numbers)
    assert "Pr[kl > 0.05] <= 0.2 is kept" in screen.asked
    assert screen.verdict[0] in {"Saves bytes", "Costs bytes", "No difference shown"}
    told = promise_told([row for row in rows if row["steps"] == "static:fisher"])
    assert told.startswith("Pr[kl > 0.05] <= 0.2 with confidence 0.95 (fixed-sequence test, 40 calibration images): ")
    assert told.endswith(" of one step an image at the same promise.")
    assert screen.sentence.startswith(told[:-1])
    with Report.open([kept]) as report:
        report.page(tmp_path / "page.html")
        assert {row["steps"] for row in report.data()["wings"]["feature"]["promise"]} >= {"uniform", "static:fisher"}
    page = (tmp_path / "page.html").read_text()
    assert ">Bytes at a kept promise</h3>" in page


def test_a_row_that_is_no_promise_is_named(kept: Path, tmp_path: Path) -> None:
    with Store.open(kept) as store:
        (key, row), *_ = measured(store, "promise").items()
    copy = tmp_path / "run"
    shutil.copytree(kept, copy)
    with Store.create(copy, json.loads((copy / "manifest.json").read_text())) as store:
        store.add_measurements("promise", {key: row | {"rho": 2.0}})
        with pytest.raises(StoreError, match=r"of 'promise': .*rho"):
            measured(store, "promise")


# --- the command line ---


def test_the_command_line_promises(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out, sent = str(tmp_path / "run"), tmp_path / "sent"
    given = ["--model", "demo:resnet", "--split", "resnet.encoder.stages.1", "--data", "scenes", "--seeds", "1"]
    sizes = ["--images-fit", "24", "--images-calibrate", "29", "--images-test", "16", "--map", "fisher,draws=1"]
    assert command(["feature", "fit", *given, *sizes, "--out", out, "--device", "cpu"]) == 0, capfd.readouterr().err
    assert command(["feature", "export", out, "--out", str(sent), "--eps", ".5"]) == 0, capfd.readouterr().err
    told = " ".join(capfd.readouterr().out.split())
    assert "Pr[kl > 0.5] <= 0.1 with confidence 0.95 (fixed-sequence test, 29 calibration images)" in told
    promise = Quantiser.load(sent).promise
    assert promise == Promise("kl", 0.5, 0.1, 0.05, 29)
    assert command(["feature", "quantise", out, "--eps", ".5", "--json"]) == 0, capfd.readouterr().err
    rows = json.loads(capfd.readouterr().out)
    assert [row["steps"] for row in rows] == ["uniform", "uniform-image", "static:fisher"]
    assert command(["feature", "quantise", out, "--eps", ".5"]) == 0
    assert "Bytes at a kept promise: Pr[kl > 0.5] <= 0.1" in capfd.readouterr().out
    assert command(["feature", "export", out, "--out", str(tmp_path / "best"), "--eps", ".5", "--steps", "auto"]) == 0
    told = " ".join(capfd.readouterr().err.split())
    chosen = re.search(r"Chosen: (\S+) with [\d,]+ bytes a fitting image .* among 5 kinds of steps", told)
    assert chosen
    best = Quantiser.load(tmp_path / "best")
    assert best.promise == promise
    assert f"{best.steps.kind}:{best.steps.label}".rstrip(":") == chosen[1]
    assert command(["feature", "quantise", out, "--eps", ".5", "--steps", "auto,uniform", "--json"]) == 0
    rows = json.loads(capfd.readouterr().out)
    assert chosen[1] in [row["steps"] for row in rows]
    for arguments, wrong in (
        (
            ["export", out, "--out", str(tmp_path / "q"), "--eps", ".5", "--budget", ".4"],
            "--budget cannot stand beside",
        ),
        (["quantise", out, "--eps", ".5", "--budget", ".4"], "--budget cannot stand beside"),
        (["quantise", out, "--eps", ".5", "--map", "fisher"], "--map cannot stand beside"),
        (["export", out, "--out", str(tmp_path / "q"), "--steps", "auto"], "none was asked for. Give --eps too"),
        (["export", out, "--out", str(tmp_path / "q"), "--rho", ".2"], "belongs to a promise"),
        (["quantise", out, "--steps", "uniform"], "belongs to a promise"),
        (["export", out, "--out", str(tmp_path / "q"), "--eps", ".5", "--rho", ".05"], "it takes 59 at least"),
    ):
        assert command(["feature", *arguments]) == 1
        assert wrong in " ".join(capfd.readouterr().err.split())
    assert not (tmp_path / "q").exists()
