"""Draws cameras and motions that never run into things and always have something to look at."""

import math
from dataclasses import dataclass

import numpy as np

from limen import digest
from limen.errors import LimenError
from limen.image import Image
from limen.scenes.rendering.camera import Camera, Studio, rays
from limen.scenes.rendering.motion import MOTIONS, moved
from limen.scenes.rendering.texture import Singles
from limen.scenes.rendering.world import CameraRegion

LEVELS = 50
CLEAR = 0.15  # metres around the camera that are empty at every level
NEAR = 0.45, 0.10  # at most this share of the picture is nearer than so many metres
BUSY = 0.65, 0.5  # share of blocks with structure, in the first picture and in the last
_SMALL = (128, 96)
_BLOCK = 16  # pixels a side
_FLAT = 7.0  # grey levels: standard deviation below which a block has no structure
STEEP = 40.0  # degrees: no camera looks up or down more steeply at the last level
_TRIES = 400


@dataclass(frozen=True, slots=True)
class SampledView:
    """One camera and its motion."""

    camera: Camera
    motion: str


def plan(studio: Studio, name: str, factor: str, number: int, seed: int = 0) -> SampledView:
    """Return the view `number`: the first of its draws that is acceptable. Views do not depend on each other.

    Each six numbers share out the six motions of the factor, each two numbers one mirrored picture.

    Args:
        studio: the scene with its light.
        name: of the scene.
        factor: "angle" or "distance".
        number: of the view, >= 0.
        seed: any int.

    Raises:
        LimenError: none of 400 draws is acceptable.
    """
    block, turn = divmod(number, len(MOTIONS[factor]))
    order = digest.generator("view", name, factor, seed, "motions", block).permutation(len(MOTIONS[factor]))
    motion = MOTIONS[factor][int(order[turn])]
    coin = int(digest.generator("view", name, factor, seed, "mirrored", number // 2).integers(2))
    rng = digest.generator("view", name, factor, seed, number)
    for _ in range(_TRIES):
        place = studio.world.places[int(rng.integers(len(studio.world.places)))]
        camera = draw(place, rng, mirrored=number % 2 == coin)
        if acceptable(studio, camera, motion):
            return SampledView(camera, motion)
    raise LimenError(
        f"Scene {name!r} has no room for view {number} ({motion}): {_TRIES} cameras were tried. "
        "Give the world larger places for cameras, away from things and walls."
    )


def draw(place: CameraRegion, rng: np.random.Generator, *, mirrored: bool) -> Camera:
    """Draw a camera at a place that looks at a point of the place's target, in round figures.

    Args:
        place: box of positions and box of targets, in metres; range of the field of view, in degrees.
        rng: source of random numbers.
        mirrored: whether the picture is to be flipped.
    """
    position, target = rng.uniform(place.low, place.high), rng.uniform(place.target_low, place.target_high)
    x, y, z = target - position
    yaw, pitch = math.degrees(math.atan2(y, x)), math.degrees(math.atan2(z, math.hypot(x, y)))
    at = round(float(position[0]), 3), round(float(position[1]), 3), round(float(position[2]), 3)
    return Camera(at, round(yaw, 1), round(pitch, 1), round(float(rng.uniform(*place.fields)), 1), mirrored)


def acceptable(studio: Studio, camera: Camera, motion: str) -> bool:
    """Say whether a camera stays clear of things at all levels and has structure before it at both ends.

    Args:
        studio: the scene with its light.
        camera: at level 0.
        motion: a name of `MOTIONS`.
    """
    path = [moved(camera, motion, float(level), studio.world.pivot) for level in range(LEVELS + 1)]
    if abs(path[-1].pitch) > STEEP or not clear(studio, np.array([step.position for step in path])):
        return False
    for step, least in ((path[0], BUSY[0]), (path[-1], BUSY[1])):
        if crowded(studio, step) or structure(studio.picture(step, _SMALL, 1)) < least:
            return False
    return True


def clear(studio: Studio, positions: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> bool:
    """Say whether positions (n, 3) are inside of the bounds, outside of things, and `CLEAR` of both."""
    low, high = studio.world.bounds
    where = np.unique(positions, axis=0)
    if (where < np.add(low, CLEAR)).any() or (where > np.subtract(high, CLEAR)).any():
        return False
    probe = sphere(600)
    start = np.repeat(where.astype(np.float32), len(probe), axis=0)
    along = np.tile(probe, (len(where), 1))
    if studio.every.blocked(start, along, np.full(len(along), CLEAR, dtype=np.float32)).any():
        return False
    triangle, _, _, _ = studio.lit.solid.hits(start[: len(probe)], along[: len(probe)])
    hit = triangle >= 0
    backs = np.einsum("nk,nk->n", studio.lit.geometry.faces[triangle[hit]], along[: len(probe)][hit]) > 0
    return bool(backs.sum() < 0.05 * len(probe))


def crowded(studio: Studio, camera: Camera) -> bool:
    """Say whether too much of the picture is very near."""
    directions = rays(camera, (32, 24), 1).reshape(-1, 3)
    start = np.broadcast_to(np.asarray(camera.position, dtype=np.float32), directions.shape)
    _, _, _, far = studio.every.hits(start, directions)
    return bool((far < NEAR[0]).mean() > NEAR[1])


def structure(picture: Image) -> float:
    """Return the share of blocks of a picture (rows and columns multiples of 16) that are not flat."""
    grey = picture.mean(axis=2)
    rows, columns = grey.shape[0] // _BLOCK, grey.shape[1] // _BLOCK
    blocks = grey.reshape(rows, _BLOCK, columns, _BLOCK).std(axis=(1, 3))
    return float((blocks > _FLAT).mean())


def sphere(count: int) -> Singles:
    """Return directions (count, 3) spread evenly (a Fibonacci lattice)."""
    k = np.arange(count) + 0.5
    z = 1 - 2 * k / count
    turn = math.pi * (1 + math.sqrt(5)) * k
    radius = np.sqrt(1 - z * z)
    return np.stack([radius * np.cos(turn), radius * np.sin(turn), z], axis=-1).astype(np.float32)
