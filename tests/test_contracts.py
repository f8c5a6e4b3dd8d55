"""Every plug-in keeps its shelf's contract; the contract checks can fail."""

import msgspec
import numpy as np
import pytest

from limen import distortion, registry, testing
from limen.ladder import Ladder
from limen.procedure import Ask, Probe
from limen.threshold import Threshold


@pytest.mark.parametrize("name", [n for n, kind in registry.every("distortion").items() if kind.of == "image"])
def test_distortion(name: str) -> None:
    testing.check_distortion(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.every("procedure"))
@pytest.mark.parametrize("levels", [5, 50, 100])
def test_procedure(name: str, levels: int) -> None:
    model = name in {"certify", "auto", "psi", "questplus"}  # what they reckon grows with the ladder
    testing.check_procedure(name, {5: 5, 50: 20, 100: 55}[levels] if model else levels)  # 55 is longer than 50, too


def test_observer() -> None:
    testing.check_observer("simulated")


@pytest.fixture
def shelves(monkeypatch: pytest.MonkeyPatch) -> None:
    for noun in registry.SHELVES:
        registry.every(noun)
    monkeypatch.setattr(registry, "_known", {noun: dict(things) for noun, things in registry._known.items()})


def _distort(name: str, prepare: distortion.Prepare) -> None:
    distortion.distortion(name, word=name, ladder=Ladder((1.0, 2.0, 3.0), unit="step"))(prepare)


@pytest.mark.usefixtures("shelves")
def test_a_bad_distortion_is_found_out() -> None:
    counter = iter(range(1000))

    def unsteady(image: np.ndarray, rng: np.random.Generator) -> distortion.Render:
        """Differ each time."""
        return lambda strength: image + np.uint8(next(counter))

    def destructive(image: np.ndarray, rng: np.random.Generator) -> distortion.Render:
        """Write into the input."""
        image[:] = 0
        return lambda strength: image.copy()

    def shrinking(image: np.ndarray, rng: np.random.Generator) -> distortion.Render:
        """Lose a row."""
        return lambda strength: image[1:]

    for name, prepare, complaint in (
        ("unsteady", unsteady, "differs the second time"),
        ("destructive", destructive, "changes its input"),
        ("shrinking", shrinking, "has shape"),
    ):
        _distort(name, prepare)
        with pytest.raises(AssertionError, match=complaint):
            testing.check_distortion(name)


@pytest.mark.usefixtures("shelves")
def test_a_bad_procedure_is_found_out() -> None:
    class Beyond(msgspec.Struct, frozen=True):
        """Ask beyond the ladder."""

        def start(self, ladder: Ladder):
            yield Ask((Probe(0, len(ladder) + 1),))
            return (Threshold(1, 1, 1.0),)

    registry.add("procedure", "beyond")(Beyond)
    with pytest.raises((AssertionError, IndexError)):
        testing.check_procedure("beyond", 5)
