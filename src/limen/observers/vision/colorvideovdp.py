"""ColorVideoVDP, where its packages are installed: quality lost on a given screen, in just-objectionable differences.

R. K. Mantiuk, P. Hanji, M. Ashraf, Y. Asano and A. Chapiro, "ColorVideoVDP: A visual difference predictor for image,
video and display distortions", ACM Transactions on Graphics 43(4), 129, 2024. The package `cvvdp` (MIT licence) needs
torchvision, which must fit the installed torch exactly; limen therefore installs neither.
"""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from limen.errors import InputError
from limen.image import Image

SOURCE = "ColorVideoVDP, Mantiuk et al. 2024, ACM TOG 43(4):129"
BEST = 10.0  # its quality of two pictures that are the same
SCREEN = (1920, 1080)
NEEDS = (
    "Install it yourself, into an environment of its own: pip install cvvdp torch torchvision (versions that belong "
    "together). vision:watson needs nothing."
)


def start(pixels_per_degree: float) -> Callable[[Image, Image], float]:
    """Return a function of reference and test: JOD lost, 0 where none.

    Args:
        pixels_per_degree: of the screen, otherwise ColorVideoVDP's `standard_fhd` (200 cd/m2, office light).

    Raises:
        InputError: the package, or one that it needs, cannot be loaded.
    """
    try:
        library: Any = importlib.import_module("pycvvdp")
        display: Any = importlib.import_module("pycvvdp.display_model")
    except (ImportError, RuntimeError, OSError) as error:
        why = str(error).splitlines()[0].rstrip(".")
        raise InputError(f"vision:cvvdp cannot load its package cvvdp ({why}). {NEEDS}") from None
    geometry = display.vvdp_display_geometry(SCREEN, ppd=pixels_per_degree)
    metric = library.cvvdp(display_name="standard_fhd", display_geometry=geometry, quiet=True)

    def compare(reference: Image, test: Image) -> float:
        found, _ = metric.predict(np.ascontiguousarray(test), np.ascontiguousarray(reference), dim_order="HWC")
        return max(0.0, BEST - float(found))

    return compare
