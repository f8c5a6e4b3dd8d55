"""Changes of a camera's place in a 3D scene: what the paper calls field of view."""

from typing import Protocol

import numpy as np

from limen.distortion import Render, distortion
from limen.image import Image
from limen.ladder import Ladder

STEPS = tuple(float(k) for k in range(1, 51))


class SceneView(Protocol):
    """A view of a scene."""

    def at(self, strength: float) -> Image:
        """Return the picture after so many degrees or centimetres."""
        ...


@distortion("angle", word="perspectives", ladder=Ladder(STEPS, unit="degrees"), of="angle")
def angle(view: SceneView, rng: np.random.Generator) -> Render:
    """Turn the camera, or take it round what it looks at, by 1 degree a level (the paper's unit)."""
    return view.at


@distortion("distance", word="perspectives", ladder=Ladder(STEPS, unit="cm"), of="distance")
def distance(view: SceneView, rng: np.random.Generator) -> Render:
    """Move the camera by 1 cm a level (the paper's unit)."""
    return view.at


@distortion("angle-fine", word="perspectives", ladder=Ladder(tuple(k / 10 for k in STEPS), unit="degrees"), of="angle")
def angle_fine(view: SceneView, rng: np.random.Generator) -> Render:
    """Turn the camera by a tenth of a degree a level (ours: one degree is far above a pixel metric's threshold)."""
    return view.at


@distortion("distance-fine", word="perspectives", ladder=Ladder(tuple(k / 10 for k in STEPS), unit="cm"), of="distance")
def distance_fine(view: SceneView, rng: np.random.Generator) -> Render:
    """Move the camera by 1 mm a level (ours)."""
    return view.at
