"""The floor of the house: errors, names and seeds, ladders, the registry, thresholds."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen import digest, registry
from limen.errors import (
    FatalObserverError,
    InputError,
    LimenError,
    MissingExtraError,
    ObserverError,
    StoreError,
    UnknownNameError,
)
from limen.ladder import Ladder
from limen.threshold import Threshold

# --- errors -------------------------------------------------------------------------------------------------


def test_the_error_tree() -> None:
    assert issubclass(InputError, LimenError)
    assert issubclass(InputError, ValueError)
    assert issubclass(UnknownNameError, InputError)
    assert issubclass(MissingExtraError, LimenError)
    assert issubclass(MissingExtraError, ImportError)
    assert issubclass(FatalObserverError, ObserverError)
    assert issubclass(ObserverError, LimenError)
    assert issubclass(StoreError, LimenError)
    assert not issubclass(ObserverError, InputError)


@pytest.mark.parametrize(
    ("name", "known", "message"),
    [
        (
            "blurr",
            ["noise", "blur", "darken"],
            "No thing named 'blurr'. Did you mean 'blur'? Known: blur, darken, noise.",
        ),
        ("xyz", ["blur", "noise"], "No thing named 'xyz'. Known: blur, noise."),
        ("Blur", ["blur", "noise"], "No thing named 'Blur'. Did you mean 'blur'? Known: blur, noise."),
        ("x", [], "No thing named 'x'. Known: none."),
    ],
)
def test_an_unknown_name_offers_the_nearest(name: str, known: list[str], message: str) -> None:
    error = UnknownNameError("thing", name, iter(known))
    assert str(error) == message
    assert error.known == tuple(sorted(known))
    assert (error.kind, error.name) == ("thing", name)


def test_a_missing_extra_says_how_to_install_it() -> None:
    error = MissingExtraError("the demo model", "onnxruntime", "demo")
    assert (
        str(error)
        == "The demo model needs onnxruntime, which is not installed: in the clone of limen, pip install -e '.[demo]'"
    )


def test_an_observers_failure_has_a_kind_for_tables_and_a_line_for_people() -> None:
    error = ObserverError("timeout", "no answer within 60 s")
    assert (error.kind, error.detail, str(error)) == (
        "timeout",
        "no answer within 60 s",
        "timeout: no answer within 60 s",
    )


# --- names, digests, seeds ----------------------------------------------------------------------------------

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def test_canonical_json_is_one_form() -> None:
    assert digest.canonical({"b": 1, "a": [1.5, None, "é"]}) == '{"a":[1.5,null,"é"],"b":1}'.encode()


@given(st.dictionaries(st.text(max_size=6), PLAIN, max_size=6))
def test_the_order_of_keys_does_not_matter(value: dict[str, object]) -> None:
    turned = dict(reversed(list(value.items())))
    assert digest.of(value) == digest.of(turned)
    assert json.loads(digest.canonical(value)) == value


def test_digests_are_sha_256_cut_to_128_bits() -> None:
    assert digest.of(b"limen") == hashlib.sha256(b"limen").hexdigest()[:32]
    assert digest.of(["a", 1]) == hashlib.sha256(b'["a",1]').hexdigest()[:32]
    assert digest.of(["a", 1]) == "135f17a475a61afdeeaf3759ad2e45ad"


def test_seeds_are_golden() -> None:
    assert digest.seed("distortion", "noise", "key") == 0xFEE0EC6CD927150B9F0DAEFE5E77DE02
    assert digest.generator("a", 1).integers(0, 2**63, 3).tolist() == [
        7794169624585822999,
        1720384239099590696,
        5811298945334608283,
    ]


def test_a_generator_is_philox_keyed_by_names_alone() -> None:
    ours = digest.generator("distortion", "noise", "key")
    peer = np.random.Philox(key=int(hashlib.sha256(b'["distortion","noise","key"]').hexdigest()[:32], 16))
    assert ours.bit_generator.random_raw(8).tolist() == peer.random_raw(8).tolist()


@given(st.lists(st.text(max_size=6) | st.integers(0, 10**6), min_size=1, max_size=4))
def test_seeds_do_not_depend_on_what_was_drawn_before(names: list[str | int]) -> None:
    first = digest.generator(*names).bit_generator.random_raw(4).tolist()
    digest.generator("something", "else").random(100)
    np.random.default_rng().random(3)
    assert digest.generator(*names).bit_generator.random_raw(4).tolist() == first


def test_names_are_not_run_together() -> None:
    seeds = {
        digest.seed("ab", "c"),
        digest.seed("a", "bc"),
        digest.seed("abc"),
        digest.seed("c", "ab"),
        digest.seed("a", 1),
        digest.seed("a", "1"),
        digest.seed("a1"),
    }
    assert len(seeds) == 7


def test_seeds_are_the_same_in_another_process() -> None:
    code = "from limen import digest; print(digest.seed('x', 3), digest.of({'b': 1, 'a': 2}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == [str(digest.seed("x", 3)), digest.of({"a": 2, "b": 1})]


# --- ladders ------------------------------------------------------------------------------------------------


def test_levels_count_from_one() -> None:
    ladder = Ladder((0.5, 1.0, 1.5), unit="px")
    assert len(ladder) == 3
    assert [ladder[level] for level in (1, 2, 3)] == [0.5, 1.0, 1.5]


@pytest.mark.parametrize("level", [-1, 0, 4])
def test_level_0_and_levels_beyond_have_no_strength(level: int) -> None:
    with pytest.raises(InputError, match=f"No strength at level {level}: this ladder has levels 1 to 3"):
        Ladder((1.0, 2.0, 3.0), unit="px")[level]


def test_a_ladders_digest_is_its_strengths_unit_and_version() -> None:
    ladder = Ladder((1.0, 2.0), unit="px")
    others = [Ladder((1.0, 2.1), "px"), Ladder((2.0, 1.0), "px"), Ladder((1.0, 2.0), "dB"), Ladder((1.0, 2.0), "px", 2)]
    assert len({ladder.digest, *(other.digest for other in others)}) == 5
    assert ladder.digest == Ladder((1.0, 2.0), "px").digest == "27a5e696400bdcf7e4c6e0353732ef6c"


# --- the registry -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noun", registry.SHELVES)
def test_every_shelf_loads_and_is_sorted(noun: str) -> None:
    shelf = registry.every(noun)
    assert list(shelf) == sorted(shelf)
    assert len(shelf) >= (1 if noun == "import" else 2)
    assert all(registry.find(noun, name) is thing for name, thing in shelf.items())


def test_the_shelf_that_is_handed_out_is_a_copy() -> None:
    shelf = registry.every("distortion")
    shelf.clear()
    assert "blur" in registry.every("distortion")


def test_a_name_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._known, "distortion", dict(registry.every("distortion")))
    first, second = object(), object()
    assert registry.add("distortion", "mine")(first) is first
    assert registry.add("distortion", "mine")(first) is first, "the same module may be loaded twice"
    with pytest.raises(
        InputError, match="Two distortions are named 'mine', and the other is of .*test_floor.py: name yours otherwise"
    ):
        registry.add("distortion", "mine")(second)
    assert registry.find("distortion", "mine") is first


def test_what_is_not_there_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"No procedure named 'skan'\. Did you mean 'scan'\?"):
        registry.find("procedure", "skan")


# --- thresholds ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("threshold", "written", "reached"),
    [
        (Threshold(1, 12, 6.0), "12", True),
        (Threshold(1, 50, 25.0, censored=True), ">50", False),
        (Threshold(1, 49, 24.5, confirmed=False), "49?", False),
        (Threshold(2, 50, 25.0, censored=True, confirmed=False), ">50", False),
    ],
)
def test_a_censored_threshold_is_not_its_level(threshold: Threshold, written: str, reached: bool) -> None:
    assert str(threshold) == written
    assert threshold.reached is reached
