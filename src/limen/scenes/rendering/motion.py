"""How a camera moves: turns in degrees, shifts in centimetres."""

import math
from dataclasses import replace

import numpy as np

from limen.errors import UnknownNameError
from limen.scenes.rendering.camera import Camera

MOTIONS = {
    "angle": ("pan-left", "pan-right", "pitch-up", "pitch-down", "orbit-left", "orbit-right"),
    "distance": ("forward", "backward", "left", "right", "up", "down"),
}
_AXES = {"forward": (0, 1), "backward": (0, -1), "right": (1, 1), "left": (1, -1)}


def moved(camera: Camera, motion: str, strength: float, pivot: float) -> Camera:
    """Return the camera after a motion.

    Forward and backward follow the line of sight, left and right are level, up and down are vertical. An orbit to
    the left carries the camera to its left round a vertical axis `pivot` metres before it, which stays in the middle
    of the picture. Directions are those of the world: in a mirrored picture left and right have changed places.

    Args:
        camera: before.
        motion: one of `MOTIONS`.
        strength: degrees of an angle, centimetres of a distance.
        pivot: of an orbit, metres before the camera, > 0.
    """
    if motion not in MOTIONS["angle"] + MOTIONS["distance"]:
        raise UnknownNameError("motion", motion, MOTIONS["angle"] + MOTIONS["distance"])
    kind, _, way = motion.partition("-")
    if kind == "pan":
        return replace(camera, yaw=camera.yaw + (strength if way == "left" else -strength))
    if kind == "pitch":
        return replace(camera, pitch=camera.pitch + (strength if way == "up" else -strength))
    position, axes = np.array(camera.position), camera.axes()
    if kind == "orbit":
        turned = replace(camera, yaw=camera.yaw + (-strength if way == "left" else strength))
        return _placed(turned, position + pivot * (axes[0] - turned.axes()[0]))
    metres = strength / 100
    if motion in _AXES:
        axis, sign = _AXES[motion]
        return _placed(camera, position + sign * metres * axes[axis])
    return _placed(camera, position + np.array([0, 0, metres if motion == "up" else -metres]))


def _placed(camera: Camera, position: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Camera:
    x, y, z = (float(value) for value in position)
    assert math.isfinite(x + y + z)
    return replace(camera, position=(x, y, z))
