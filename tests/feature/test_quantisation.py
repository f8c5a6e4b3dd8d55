"""Quantisation: errors against the guaranteed bound, bytes against the ideal code length, steps against arithmetic."""

import hashlib
import json
import math
import subprocess
import sys
import zlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from limen import digest
from limen.errors import InputError, MissingExtraError, UnknownNameError
from limen.feature import task as tasks
from limen.feature.clean_batches import CleanBatches
from limen.feature.data.parts import Batch, LabelledImage, Subset
from limen.feature.model.network import Network
from limen.feature.model.split import Features, SplitPoint
from limen.feature.perturbation import Tensors
from limen.feature.quantisation.codec import _HEADER, _MAGIC, HEADER, Quantiser
from limen.feature.quantisation.fit import QuantisationRow, ResampledRow, at_equal, compare, fit
from limen.feature.quantisation.step_sizes import KINDS, StepRule, tokens
from limen.testing import photograph

CODERS = ("range", "lzma", "zlib")


class Net(nn.Module):
    """Two tensors of features, tokens (17, 12) and a map (6, 4, 4); then a linear head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.tokens = nn.Conv2d(3, 12, 4, stride=4)
        self.map = nn.Conv2d(3, 6, 4, stride=4)
        self.body = Both()
        self.last = nn.Linear(17 * 12 + 96, 5)

    def forward(self, images: Tensor) -> Tensor:
        rows = self.tokens(images).flatten(2).transpose(1, 2)
        rows = torch.cat([4 * rows.mean(1, keepdim=True), rows], 1)
        one, two = self.body(rows, self.map(images).relu())
        return self.last(torch.cat([one.flatten(1), two.flatten(1)], 1))


class Both(nn.Module):
    def forward(self, one: Tensor, two: Tensor) -> tuple[Tensor, Tensor]:
        return one, two


class Uneven:
    """A map that is an image's own: tokens differ, and so do images."""

    noise = "signs"

    def map(self, features: Features, names: Sequence[str] = ()) -> Tensors:
        return tuple(
            (1 + tensor.abs().mean(1 if tensor.ndim == 4 else 2, keepdim=True)).pow(3).expand_as(tensor)
            * (1 + tensor.abs())
            for tensor in features.tensors
        )


CLASSIFY = tasks.find("classification")
NET = Net()
SPLIT = SplitPoint(NET, "body")
RULES = {
    "tolerance:uneven": StepRule("tolerance", "uneven", Uneven()),  # type: ignore[arg-type]
    "permuted:uneven": StepRule("permuted", "uneven", Uneven()),  # type: ignore[arg-type]
    "static:uneven": StepRule("static", "uneven", Uneven()),  # type: ignore[arg-type]
    "absmax": StepRule("absmax"),
    "uniform-image": StepRule("uniform-image"),
    "uniform": StepRule("uniform"),
}


def part(count: int, named: str) -> Subset:
    def read(index: int) -> LabelledImage:
        name = f"{named} {index}"
        return LabelledImage(name, photograph(name, 16, 16), index % 5)

    return Subset(count, read, Network(NET))


@pytest.fixture(scope="module")
def fitted() -> dict[str, Quantiser]:
    made = fit(CleanBatches(SPLIT, CLASSIFY, part(60, "fit"), 25), [(steps, 0.1) for steps in RULES.values()])
    return dict(zip(RULES, made, strict=True))


@pytest.fixture(scope="module")
def fresh() -> tuple[Features, list[str]]:
    batch = part(30, "fresh").batch(range(30))
    return SPLIT.encode(batch.images), list(batch.names)


def within(features: Features, decoded: Features, quantiser: Quantiser, levels: Any) -> bool:
    """Whether every element is within half its token's step, in rational numbers."""
    for tensor, other, half in zip(features.tensors, decoded.tensors, quantiser.bound(levels), strict=True):
        pairs = zip(tokens(tensor).numpy(), tokens(other).numpy(), half, strict=True)
        for rows, others, bounds in pairs:
            wide = np.broadcast_to(bounds[:, None], rows.shape)
            for a, b, most in zip(rows.ravel(), others.ravel(), wide.ravel(), strict=True):
                if abs(Fraction(float(a)) - Fraction(float(b))) > Fraction(float(most)):
                    return False
    return True


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("coder", CODERS)
def test_features_come_back_within_the_bound(fitted: Any, fresh: Any, name: str, coder: str) -> None:
    features, names = fresh
    quantiser, few = fitted[name], features[:6]
    decoded = quantiser.decode(quantiser.encode(few, names[:6], coder))
    quantised = quantiser.quantise(few, names[:6])
    for one, two in zip(decoded.tensors, quantised.features.tensors, strict=True):
        assert torch.equal(one, two)
    assert decoded.size == features.size
    assert within(few, decoded, quantiser, quantised.levels)
    widest = max(float(half.max()) for half in quantiser.bound(quantised.levels))
    assert 0 < max(float((a - b).abs().max()) for a, b in zip(few.tensors, decoded.tensors, strict=True)) <= widest


wild = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(st.one_of(wild, st.floats(-2, 2, width=32)), min_size=12, max_size=12), st.sampled_from(list(RULES)))
def test_any_finite_feature_is_within_the_bound(fitted: Any, fresh: Any, values: list[float], name: str) -> None:
    """Also what no fitting image had: it escapes, and costs a finite number of bits."""
    features, names = fresh
    one = Features(tuple(tensor[:1].clone() for tensor in features.tensors), features.size)
    one.tensors[0][0, 3] = torch.tensor(values)
    quantiser = fitted[name]
    quantised = quantiser.quantise(one, names[:1])
    assert within(one, quantised.features, quantiser, quantised.levels)
    assert np.isfinite(quantised.bits).all()
    assert np.isfinite(quantised.side_bits).all()
    decoded = quantiser.decode(quantiser.encode(one, names[:1]))
    assert all(torch.equal(a, b) for a, b in zip(decoded.tensors, quantised.features.tensors, strict=True))


def test_bytes_are_near_the_ideal_code_length(fitted: Any, fresh: Any) -> None:
    features, names = fresh
    for quantiser in fitted.values():
        quantised = quantiser.quantise(features, names)
        ideal = float((quantised.bits + quantised.side_bits).sum()) / 8
        measured = len(quantiser.encode(features, names, "range"))
        assert ideal <= measured <= 1.02 * ideal + HEADER + 8
        assert measured < len(quantiser.encode(features, names, "lzma"))


def test_the_code_length_is_the_entropy_of_what_is_coded() -> None:
    """Laplace features of known scales with a fine step D: bits are the mean of log2(2 e b / D)."""
    scales = torch.tensor([0.5, 1.0, 2.0, 4.0])
    names = [f"sample {i}" for i in range(300)]
    drawn = torch.from_numpy(digest.generator("laplace").laplace(size=(600, 64, 4)).astype(np.float32)) * scales

    class Stored(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Identity()

        def forward(self, images: Tensor) -> Tensor:
            return self.body(images)

    split = SplitPoint(Stored(), "body")
    network = Network(split.model, lambda images: torch.stack([drawn[int(image[0, 0, 0])] for image in images]))

    class Numbered(Subset):
        def batch(self, indices: Any) -> Any:
            chosen = tuple(names[i] for i in indices)
            return Batch(chosen, drawn[list(indices)], (0,) * len(chosen))

    images = Numbered(300, lambda i: LabelledImage(names[i], photograph("a", 8, 8), 0), network)
    (quantiser,) = fit(CleanBatches(split, CLASSIFY, images), [(StepRule("uniform"), 0.03)])
    quantised = quantiser.quantise(Features((drawn[300:],), (64, 4)), names)
    step = quantiser.tables[0].steps[0]
    exact = float(np.mean(np.log2(2 * math.e * scales.numpy() / step)))
    assert quantised.bits.mean() / 256 == pytest.approx(exact, rel=0.02)
    assert quantised.bits.mean() / 256 > exact - 0.005  # no code is shorter than the entropy
    noise = float((quantised.features.tensors[0] - drawn[300:]).pow(2).mean())
    assert noise == pytest.approx(step**2 / 12, rel=0.02)


def test_fresh_noise_is_the_budget_and_the_same_steps_permuted_make_as_much(fitted: Any, fresh: Any) -> None:
    features, names = fresh
    for name, quantiser in fitted.items():
        levels = quantiser.choose(features, names)
        power = sum(
            (table.steps[chosen] ** 2).sum(1) * table.low.shape[1] / 12
            for table, chosen in zip(quantiser.tables, levels, strict=True)
        )
        signal = sum(tensor.double().flatten(1).pow(2).sum(1).numpy() for tensor in features.tensors)
        nominal = np.sqrt(power / signal)
        assert nominal.mean() == pytest.approx(0.1, rel=0.05)
        if name in ("tolerance:uneven", "permuted:uneven", "uniform-image"):
            assert np.allclose(nominal, 0.1, rtol=0.16)  # each image's own, up to the grid of half octaves
    own, permuted = (fitted[f"{kind}:uneven"].choose(features, names) for kind in ("tolerance", "permuted"))
    for one, two in zip(own, permuted, strict=True):
        assert np.array_equal(np.sort(one, 1), np.sort(two, 1))
        assert not np.array_equal(one, two)


def test_only_steps_that_travel_cost_bits(fitted: Any, fresh: Any) -> None:
    features, names = fresh
    side = {name: float(quantiser.quantise(features, names).side_bits.mean()) for name, quantiser in fitted.items()}
    assert side["uniform"] == side["static:uneven"] == 0
    assert 0 < side["uniform-image"] < 8 < side["tolerance:uneven"] < 33 * 4
    static = fitted["static:uneven"].choose(features, names)
    assert all((row == row[0]).all() for row in static)


def test_batches_change_nothing(fitted: Any, fresh: Any) -> None:
    features, names = fresh
    for quantiser in fitted.values():
        whole = quantiser.quantise(features, names)
        alone = quantiser.quantise(features[7:8], names[7:8])
        assert alone.bits[0] == pytest.approx(whole.bits[7], abs=1e-9)
        for one, two in zip(alone.features.tensors, whole.features.tensors, strict=True):
            assert torch.equal(one[0], two[7])


def test_saved_and_loaded_it_is_the_same_in_another_process(fitted: Any, fresh: Any, tmp_path: Path) -> None:
    features, names = fresh
    for name in ("tolerance:uneven", "static:uneven", "absmax"):
        quantiser, folder = fitted[name], tmp_path / name.replace(":", "-")
        quantiser.save(folder)
        again = Quantiser.load(folder, quantiser.steps.tolerance)
        data = quantiser.encode(features, names)
        assert again.encode(features, names) == data
        assert again.key == quantiser.key
        assert again.steps == quantiser.steps
    (tmp_path / "data").write_bytes(data)
    code = (
        "import hashlib, sys; from pathlib import Path; from limen.feature.quantisation.codec import Quantiser\n"
        "q = Quantiser.load(Path(sys.argv[1])); f = q.decode(Path(sys.argv[2]).read_bytes())\n"
        "print(q.encode(f[:3]).hex()); print(*[hashlib.sha256(t.numpy().tobytes()).hexdigest() for t in f.tensors])"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, folder, tmp_path / "data"], check=True, capture_output=True, text=True
    ).stdout.split()
    decoded = quantiser.decode(data)
    assert told[0] == quantiser.encode(decoded[:3]).hex()
    assert told[1:] == [hashlib.sha256(tensor.numpy().tobytes()).hexdigest() for tensor in decoded.tensors]


def test_damaged_and_alien_bytes_are_one_clear_error(fitted: Any, fresh: Any) -> None:
    features, names = fresh
    for coder in CODERS:
        data = fitted["absmax"].encode(features[:2], names[:2], coder)
        for end in range(0, len(data), 7):
            with pytest.raises(InputError, match="do not begin|damaged"):
                fitted["absmax"].decode(data[:end])
        for place in range(0, len(data), 5):
            broken = bytearray(data)
            broken[place] ^= 0x41
            with pytest.raises(InputError):
                fitted["absmax"].decode(bytes(broken))
        with pytest.raises(InputError, match="another quantiser"):
            fitted["uniform"].decode(data)
        with pytest.raises(InputError, match="damaged"):
            fitted["absmax"].decode(data + b"\0")
    with pytest.raises(InputError, match="do not begin as encoded features"):
        fitted["absmax"].decode(b"\x89PNG" + bytes(100))


@given(st.binary(min_size=0, max_size=60), st.sampled_from(range(3)))
def test_forged_bytes_with_a_right_checksum_are_refused_or_decode(fitted: Any, body: bytes, coder: int) -> None:
    quantiser = fitted["absmax"]
    head = _HEADER.pack(_MAGIC, 1, coder, quantiser.key, 1, len(body), 0)
    try:
        decoded = quantiser.decode(head + zlib.crc32(head + body).to_bytes(4, "little") + body)
    except InputError:
        return
    assert all(bool(tensor.isfinite().all()) for tensor in decoded.tensors)


def test_a_folder_that_is_no_quantiser_is_refused(fitted: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="quantiser.json is missing"):
        Quantiser.load(tmp_path)
    one, two = tmp_path / "one", tmp_path / "two"
    fitted["uniform"].save(one)
    fitted["absmax"].save(two)
    (one / "quantiser.safetensors").write_bytes((two / "quantiser.safetensors").read_bytes())
    with pytest.raises(InputError, match="do not belong together"):
        Quantiser.load(one)
    (one / "quantiser.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read"):
        Quantiser.load(one)
    (two / "quantiser.json").write_text('{"version": 1}')
    with pytest.raises(InputError, match="cannot be read"):
        Quantiser.load(two)


def test_what_cannot_be_quantised_is_refused(fitted: Any, fresh: Any, tmp_path: Path) -> None:
    features, names = fresh
    quantiser = fitted["tolerance:uneven"]
    with pytest.raises(InputError, match="was fitted on"):
        quantiser.encode(Features(features.tensors[:1], features.size), names)
    broken = Features((features.tensors[0] * math.nan, features.tensors[1]), features.size)
    with pytest.raises(InputError, match="not finite"):
        quantiser.encode(broken, names)
    quantiser.save(tmp_path)
    with pytest.raises(InputError, match="none was given"):
        Quantiser.load(tmp_path).encode(features, names)
    with pytest.raises(UnknownNameError, match="Did you mean 'range'"):
        quantiser.encode(features, names, "rang")
    with pytest.raises(UnknownNameError, match="Did you mean 'absmax'"):
        StepRule("absmx")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="above 0, not -1"):
        fit(CleanBatches(SPLIT, CLASSIFY, part(4, "fit")), [(StepRule("uniform"), -1.0)])
    other = StepRule("tolerance", "uneven", Uneven())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="Two kinds of steps are called 'tolerance:uneven'"):
        fit(CleanBatches(SPLIT, CLASSIFY, part(4, "fit")), [(RULES["tolerance:uneven"], 0.1), (other, 0.1)])


def test_without_constriction_the_standard_library_serves(
    fitted: Any, fresh: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, names = fresh
    quantiser = fitted["absmax"]
    data = quantiser.encode(features, names)
    monkeypatch.setitem(sys.modules, "constriction", None)
    with pytest.raises(MissingExtraError, match="The range coder needs constriction"):
        quantiser.decode(data)
    plain = quantiser.encode(features, names)
    assert torch.equal(quantiser.decode(plain).tensors[0], quantiser.quantise(features, names).features.tensors[0])
    assert len(plain) > len(data)


def test_rows_say_what_was_measured(fitted: Any) -> None:
    test = part(20, "test")
    made = compare(CleanBatches(SPLIT, CLASSIFY, test, 8), list(fitted.values()), seed=5)
    rows = [row for row, _ in made]
    features, names = SPLIT.encode(test.batch(range(20)).images), test.batch(range(20)).names
    clean = SPLIT.head(features)["logits"].log_softmax(1)
    for row, (name, quantiser) in zip(rows, fitted.items(), strict=True):
        quantised = quantiser.quantise(features, names)
        logits = SPLIT.head(quantised.features)["logits"]
        kl = (clean.exp() * (clean - logits.log_softmax(1))).sum(1).mean()
        error = torch.cat(
            [(a - b).flatten(1) for a, b in zip(quantised.features.tensors, features.tensors, strict=True)], 1
        )
        size = torch.cat([tensor.flatten(1) for tensor in features.tensors], 1)
        assert (row.steps, row.budget, row.seed, row.n) == (name, 0.1, 5, 20)
        assert row.discrepancy == pytest.approx(float(kl), rel=1e-3)
        assert row.actual_noise == pytest.approx(float((error.norm(dim=1) / size.norm(dim=1)).mean()), rel=1e-5)
        assert row.bits == pytest.approx(float(quantised.bits.mean()) / features.elements)
        assert row.score == int((logits.argmax(1) == torch.arange(20) % 5).sum()) / 20
    assert at_equal(rows, 1e9)[0].bits is None  # no budget reaches it
    for row, again in made:  # the spread of the draws is the standard error of the mean
        assert (again.steps, again.budget, again.seed, again.n) == (row.steps, row.budget, row.seed, row.n)
        assert len(again.bits) == len(again.discrepancy) == 200
        assert np.mean(again.bits) == pytest.approx(row.bits + row.side_bits, rel=0.02)
        assert np.std(again.discrepancy) > 0
    whole = compare(CleanBatches(SPLIT, CLASSIFY, test, 20), list(fitted.values()), seed=5)
    for (_, one), (_, other) in zip(whole, made, strict=True):
        assert one.bits == pytest.approx(other.bits, rel=1e-5)


def test_intervals_over_images_are_those_of_the_crossing() -> None:
    """Bits that are 2 and 1 whatever the images, and a discrepancy that varies: the crossing can be worked out."""
    rng = np.random.default_rng(4)

    def rows(steps: str, budget: float, bits: float, moved: np.ndarray) -> tuple[QuantisationRow, ResampledRow]:
        row = QuantisationRow(steps, budget, budget, bits, 0.0, 0.9, float(np.exp(np.log(moved).mean())), 0, 10)
        return row, ResampledRow(steps, budget, 0, 10, (bits,) * 200, tuple(moved))

    small = 10.0 ** rng.normal(-2, 0.1, 200)
    made = [rows("uniform", 0.3, 2.0, small), rows("uniform", 1.0, 1.0, np.ones(200))]
    made += [rows("map", 0.3, 1.0, small), rows("map", 1.0, 0.5, np.ones(200))]  # half of the bits, image by image
    found = {
        equal.steps: equal for equal in at_equal([row for row, _ in made], 0.1, resampled=[again for _, again in made])
    }
    crossing = 2.0 - (-1 - np.log10(small)) / (0 - np.log10(small))
    low, high = np.quantile(crossing, (0.025, 0.975))
    assert (found["uniform"].bits_low, found["uniform"].bits_high) == pytest.approx((low, high))
    assert (found["map"].bits_low, found["map"].bits_high) == pytest.approx((low / 2, high / 2))
    assert (found["map"].ratio_low, found["map"].ratio_high) == pytest.approx((0.5, 0.5))  # the draws are paired
    lacking = at_equal([row for row, _ in made], 0.1, resampled=[again for _, again in made[1:]])
    assert {equal.steps: equal.bits_low is None for equal in lacking} == {"uniform": True, "map": False}
    assert all(equal.ratio_low is None for equal in lacking)  # nothing to be relative to


def test_bits_at_equal_discrepancy_are_interpolated() -> None:
    def row(
        steps: str, budget: float, bits: float, side: float, discrepancy: float, score: float = 0.9
    ) -> QuantisationRow:
        return QuantisationRow(steps, budget, budget, bits, side, score, discrepancy, 0, 10)

    rows = [row("uniform", 0.3, 2.0, 0, 0.01), row("uniform", 1.0, 1.0, 0, 1.0)]
    rows += [row("map", 0.3, 1.5, 0.2, 0.01, 0.8), row("map", 1.0, 0.9, 0.2, 0.1, 0.4), row("map", 2.0, 0.5, 0.2, 0.3)]
    found = {equal.steps: equal for equal in at_equal(rows, 0.1)}
    assert found["uniform"].bits == pytest.approx(1.5)
    assert found["map"].bits == pytest.approx(1.1)
    assert found["map"].side_bits == pytest.approx(0.2)
    assert found["map"].ratio == pytest.approx(1.1 / 1.5)
    assert found["uniform"].same_bits_discrepancy == pytest.approx(0.1)
    assert found["map"].same_bits_discrepancy == pytest.approx(0.01 * 10 ** (1 / 3))  # 1.5 between 1.7 and 1.1 bits
    assert found["map"].same_bits_score == pytest.approx(0.8 - 0.4 / 3)
    dear = at_equal([*rows, row("dear", 0.3, 9.0, 0, 0.01), row("dear", 1.0, 8.0, 0, 1.0)], 0.1)[-1]
    assert dear.ratio == pytest.approx(8.5 / 1.5)
    assert dear.same_bits_discrepancy is None  # it never gets by with so few


def test_a_rate_that_is_not_reached_is_censored_and_says_up_to_where_it_was_tried() -> None:
    def row(steps: str, budget: float, bits: float, discrepancy: float) -> QuantisationRow:
        return QuantisationRow(steps, budget, budget, bits, 0.1, 0.9, discrepancy, 0, 10)

    known = [row("uniform", 0.3, 2.0, 0.01), row("uniform", 1.0, 1.0, 1.0)]
    rows = [*known, row("robust", 3.0, 0.6, 0.04), row("robust", 1.0, 0.9, 0.02), row("weak", 0.3, 3.0, 0.2),
            row("weak", 3.0, 1.0, 2.0), row("broken", 0.3, 1.0, math.nan)]  # fmt: skip
    found = {equal.steps: equal for equal in at_equal(rows, 0.1)}
    assert (found["uniform"].censored, found["uniform"].limit, found["uniform"].why) == ("", None, "")
    assert (found["robust"].censored, found["robust"].limit) == ("fewer", pytest.approx(0.7))
    assert found["robust"].why.startswith(
        "discrepancy 0.1 is not reached up to budget 3 (0.04 there): fewer than 0.700"
    )
    assert "no budget tried takes the 1.600 bits of uniform steps" in found["robust"].why
    assert (found["weak"].censored, found["weak"].limit) == ("more", pytest.approx(3.1))
    assert found["weak"].why == (
        "discrepancy 0.1 is passed at the smallest budget tried, 0.3 (0.2 there): more than 3.100 bits"
    )
    assert found["broken"].why.startswith("no budget tried gives a finite discrepancy")
    alone = at_equal([row("weak", 0.3, 3.0, 0.05), row("weak", 3.0, 1.0, 2.0)], 0.1)[0]
    assert alone.bits is not None
    assert alone.ratio is None
    assert alone.why == "uniform steps do not reach discrepancy 0.1, so nothing is said relative to them"


def test_a_quantiser_whose_files_are_not_of_one_another_is_refused(tmp_path: Path) -> None:
    (made,) = fit(CleanBatches(SPLIT, CLASSIFY, part(4, "fit")), [(StepRule("uniform"), 0.3)])
    made.save(tmp_path)
    file = tmp_path / "quantiser.json"
    there = json.loads(file.read_text())
    shapes = [*there["shapes"], there["shapes"][0]]
    for changed in ({"shapes": shapes}, {"levels": there["levels"] | {"count": 9}}, {"tables": "0" * 32}):
        file.write_text(json.dumps(there | changed))
        with pytest.raises(InputError, match="do not belong together"):
            Quantiser.load(tmp_path)


def test_every_kind_is_tried_here() -> None:
    assert {steps.kind for steps in RULES.values()} == set(KINDS)
    assert len(RULES) == len(KINDS)
