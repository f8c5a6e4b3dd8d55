"""Models of human vision: the standard model against its definition, and what happens without cvvdp."""

import asyncio
import builtins
import math
import sys
import types
from typing import Any

import numpy as np
import pytest

from limen import observer, question, testing
from limen.errors import FatalObserverError, InputError, UnknownNameError
from limen.image import Image, Picture
from limen.observers.vision import watson

PPD = 37.8


def uniform(*colour: int, height: int = 40, width: int = 56) -> Image:
    return np.full((height, width, 3), colour, np.uint8)


def answer(name: str, first: Image, second: Image, asked: str = "direct", **options: Any) -> str:
    async def run() -> str:
        async with observer.make(name, options) as made:
            (query,) = question.find(asked).ask("blur", Picture.of(first), Picture.of(second))
            reply = await made.answer(query)
            assert reply.answer is not None
            return reply.answer.text

    return asyncio.run(run())


# --- the standard model of contrast detection ---


def test_sensitivity_by_hand() -> None:
    at = watson.sensitivity(np.array([0.0, 1.0, 4.0, 30.0]))
    assert at[0] == pytest.approx(373.08 * (1 - 0.8493))
    for frequency, value in zip((1.0, 4.0, 30.0), at[1:], strict=True):
        high = 2 / (math.exp((frequency / 4.1726) ** 0.7786) + math.exp(-((frequency / 4.1726) ** 0.7786)))
        low = 2 / (math.exp(frequency / 1.3625) + math.exp(-frequency / 1.3625))
        assert value == pytest.approx(373.08 * (high - 0.8493 * low))
    frequencies = np.linspace(0.1, 60, 2000)
    assert 2.5 < frequencies[np.argmax(watson.sensitivity(frequencies))] < 4.5, (
        "people see 3 to 4 cycles per degree best"
    )


@pytest.mark.parametrize(("frequency", "seen"), [(2.83, 1.0), (4.0, 1.0), (8.0, 0.5), (12.0, 2.0)])
def test_a_gabor_has_the_visibility_of_the_formula(frequency: float, seen: float) -> None:
    """Integrate by hand: a narrow-band pattern is scaled by the sensitivity at its frequency, then summed."""
    degree, half, sigma = 64, 128, 0.5
    y, x = np.mgrid[-half:half, -half:half] / degree
    contrast = 0.01 * np.cos(2 * np.pi * frequency * x) * np.exp(-(x**2 + y**2) / (2 * sigma**2))
    power = 2.4081
    cosine = math.gamma((power + 1) / 2) / (math.sqrt(math.pi) * math.gamma(power / 2 + 1))  # mean of |cos|^power
    area = 2 * math.pi / (power * (1 / sigma**2 + 1 / 0.6273**2))
    by_hand = 0.01 * float(watson.sensitivity(np.array([frequency]))[0]) * (cosine * area) ** (1 / power)
    assert watson.jnd(contrast, degree) == pytest.approx(by_hand, rel=0.03)
    assert watson.jnd(seen * contrast, degree) == pytest.approx(seen * watson.jnd(contrast, degree)), "it is linear"


def test_the_threshold_of_a_gabor_is_near_the_observers() -> None:
    """ModelFest's Gabors of 4 cycles per degree and half a degree are seen at about one per cent of contrast."""
    y, x = np.mgrid[-128:128, -128:128] / 120
    contrast = np.cos(2 * np.pi * 4 * x) * np.exp(-(x**2 + y**2) / (2 * 0.5**2))
    assert 0.006 < 1 / watson.jnd(contrast, 120) < 0.012


def test_place_does_not_matter_and_more_is_seen_more() -> None:
    spot = np.zeros((96, 128))
    spot[40:44, 60:64] = 0.1
    elsewhere = np.roll(spot, (10, -20), (0, 1))
    assert watson.jnd(spot, PPD) == pytest.approx(watson.jnd(elsewhere, PPD), rel=0.01)
    both = spot + elsewhere
    assert watson.jnd(spot, PPD) < watson.jnd(both, PPD) < 2 * watson.jnd(spot, PPD)
    assert watson.jnd(spot * 0, PPD) == 0.0


def test_texture_masks_by_the_declared_slope_where_it_is() -> None:
    spot, side = np.zeros((96, 192)), 96
    spot[46:50, 40:44] = 0.1
    _, x = np.mgrid[:96, :192] / PPD
    grating = 0.4 * np.cos(2 * np.pi * 3 * x)
    alone = watson.jnd(spot, PPD)
    rms = 0.4 * float(watson.sensitivity(np.array([3.0]))[0]) / math.sqrt(2)
    for slope in (0.3, 0.62, 1.0):
        masked = watson.jnd(spot, PPD, grating, slope)
        assert alone / masked == pytest.approx((1 + rms**2) ** (slope / 2), rel=0.05)
    assert watson.jnd(spot, PPD, grating, 0.0) == alone
    far = np.where(np.arange(192) > side + 40, grating, 0.0)
    assert watson.jnd(spot, PPD, far) > 0.9 * alone


def test_contrast_is_of_luminance_against_the_references_mean() -> None:
    compare = watson.start(PPD)
    grey, lighter = uniform(128, 128, 128), uniform(130, 130, 130)
    light = [((value / 255 + 0.055) / 1.055) ** 2.4 for value in (128, 130)]
    flat = np.full((40, 56), light[1] / light[0] - 1)
    assert compare(grey, lighter) == pytest.approx(watson.jnd(flat, PPD), rel=1e-6), "uniform grey masks nothing"
    assert compare(grey, grey) == 0.0
    assert compare(uniform(0, 0, 0), uniform(0, 0, 0)) == 0.0
    assert compare(grey, uniform(160, 114, 160)) < 0.2 * compare(grey, uniform(160, 160, 160)), "no eye for colour"


# --- observers ---


def test_the_threshold_is_declared() -> None:
    base, lighter = uniform(120, 120, 120), uniform(121, 121, 121)
    text = answer("vision:watson", base, lighter)
    assert text.startswith("<no> JND 0."), text
    assert text.endswith(", criterion 1")
    assert answer("vision:watson", base, lighter, threshold=0.1).startswith("<yes> ")
    assert answer("vision:watson", base, lighter, "choice", threshold=0.1).startswith("A. ")
    assert answer("vision:watson", base, base, "choice-implicit") == "B. JND 0, criterion 1"
    made: Any = observer.make("vision:watson", {"threshold": 1.5, "pixels_per_degree": 60})
    told = made.fingerprint()
    assert (told["threshold"], told["pixels_per_degree"], told["masking"], told["human"]) == (1.5, 60, 0.62, False)
    assert "Watson and Ahumada 2005" in told["source"]
    with pytest.raises(InputError, match="threshold"):
        observer.make("vision:watson", {"threshold": 0})


def test_it_keeps_the_contract_of_observers() -> None:
    testing.check_observer("vision:watson")


def test_what_it_cannot_do_is_said() -> None:
    with pytest.raises(UnknownNameError, match=r"No model of human vision named 'watsn'. Did you mean 'watson'?"):
        observer.make("vision:watsn", {})
    with pytest.raises(FatalObserverError, match="forced choice"):
        answer("vision:watson", uniform(1, 2, 3), uniform(1, 2, 3), "forced-choice")
    made: Any = observer.make("vision:watson", {})
    sizes = (Picture.of(uniform(1, 2, 3)), Picture.of(uniform(1, 2, 3, height=50)))
    (query,) = question.find("direct").ask("blur", *sizes)
    reply = asyncio.run(made.answer(query))
    assert reply.answer is None
    assert reply.attempts[-1].detail == "the two pictures have different sizes"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModuleNotFoundError("No module named 'torchvision'"), r"\(No module named 'torchvision'\)"),
        (RuntimeError("operator torchvision::nms does not exist"), r"\(operator torchvision::nms does not exist\)"),
    ],
)
def test_without_its_packages_cvvdp_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    plain = builtins.__import__

    def load(name: str, *rest: Any, **more: Any) -> Any:
        if name == "pycvvdp" or name.startswith("pycvvdp."):
            raise error
        return plain(name, *rest, **more)

    monkeypatch.setattr("importlib.import_module", lambda name: load(name))
    with pytest.raises(InputError, match=rf"vision:cvvdp cannot load its package cvvdp {said}. Install it yourself"):
        observer.make("vision:cvvdp", {})


def test_cvvdp_is_called_as_its_package_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in of the package's interface (version 0.5.7): which picture is the reference, and the screen."""
    calls: dict[str, Any] = {}

    class Metric:
        def __init__(self, **given: Any) -> None:
            calls.update(given)

        def predict(self, test: Image, reference: Image, dim_order: str) -> tuple[float, None]:
            calls.update(test=test.mean(), reference=reference.mean(), dim_order=dim_order)
            return 8.5, None

    library: Any = types.ModuleType("pycvvdp")
    display: Any = types.ModuleType("pycvvdp.display_model")
    library.cvvdp = Metric
    display.vvdp_display_geometry = lambda resolution, ppd: (resolution, ppd)
    monkeypatch.setitem(sys.modules, "pycvvdp", library)
    monkeypatch.setitem(sys.modules, "pycvvdp.display_model", display)
    first, second = uniform(10, 10, 10), uniform(20, 20, 20)
    text = answer("vision:cvvdp", first, second, pixels_per_degree=60)
    assert text == "<yes> JOD lost 1.5, criterion 1"
    assert (calls["reference"], calls["test"], calls["dim_order"]) == (10, 20, "HWC")
    assert calls["display_geometry"] == ((1920, 1080), 60)
    assert answer("vision:cvvdp", first, second, threshold=2).startswith("<no> ")
    with pytest.raises(InputError, match="leave masking out"):
        observer.make("vision:cvvdp", {"masking": 0.5})
