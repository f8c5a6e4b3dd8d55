"""Casts a view: rays on a fixed grid in each pixel, one colour for each triangle seen in it, averaged by coverage.

No random number is drawn here and nothing depends on the number of threads: the same view is the same bytes.
"""

import math
from dataclasses import dataclass

import numpy as np

from limen.image import Image
from limen.scenes.rendering.shading import LitWorld, schlick, spread, tone, towards
from limen.scenes.rendering.texture import Floats, Singles
from limen.scenes.rendering.world import Booleans, Caster, Hits, Integers, World

VERSION = 1  # raised whenever the same world and camera give other pixels
_GLASS = np.float32(0.92)  # what a pane lets through
_MIRROR = np.float32(0.015)  # reflectance that is not worth a ray; taken off everywhere, so that no border shows
_BLUR = np.float32(1.3)  # where normals turn by 0.03 to 0.13 radians a pixel, reflections fade to the mean light


@dataclass(frozen=True, slots=True)
class Camera:
    """Where a picture is taken from.

    Attributes:
        position: metres.
        yaw: degrees from +x towards +y.
        pitch: degrees upwards.
        field: horizontal field of view, degrees.
        mirrored: left and right change places in the picture.
    """

    position: tuple[float, float, float]
    yaw: float
    pitch: float
    field: float = 65.0
    mirrored: bool = False

    def axes(self) -> Floats:
        """Return forward, right and up as rows (3, 3)."""
        cy, sy = math.cos(math.radians(self.yaw)), math.sin(math.radians(self.yaw))
        cp, sp = math.cos(math.radians(self.pitch)), math.sin(math.radians(self.pitch))
        return np.array([[cy * cp, sy * cp, sp], [sy, -cy, 0.0], [-cy * sp, -sy * sp, cp]])


def rays(camera: Camera, size: tuple[int, int], samples: int) -> Singles:
    """Return unit directions (height, width, samples**2, 3) of rays on a turned grid in each pixel.

    Each sample has a column and a row of its own, so that upright and level edges get as many steps as samples.

    Args:
        camera: position, direction and field of view.
        size: (width, height) in px.
        samples: a side of the grid in each pixel, >= 1.
    """
    width, height = size
    step = spread(camera.field, width)
    i, j = (a.reshape(-1) + 0.5 for a in np.mgrid[:samples, :samples])
    x = (np.arange(width)[:, None] + (i - 0.5 + j / samples) / samples - width / 2) * step
    y = (height / 2 - np.arange(height)[:, None] - (j - 0.5 + 1 - i / samples) / samples) * step
    forward, right, up = camera.axes()
    x, y = x.astype(np.float32)[None, :, :], y.astype(np.float32)[:, None, :]
    scale = 1 / np.sqrt(x * x + y * y + 1)
    directions = np.empty((height, width, samples * samples, 3), dtype=np.float32)
    for k in range(3):
        axis = np.float32(forward[k]), np.float32(right[k]), np.float32(up[k])
        directions[..., k] = (axis[0] + x * axis[1] + y * axis[2]) * scale
    return directions


@dataclass(frozen=True, slots=True, eq=False)
class Studio:
    """A lit world, and `every`, which casts rays at all of it, glass included."""

    world: World
    lit: LitWorld
    every: Caster

    def picture(self, camera: Camera, size: tuple[int, int], samples: int) -> Image:
        """Return the view as uint8 RGB (height, width, 3).

        Args:
            camera: position, direction and field of view.
            size: (width, height) in px.
            samples: a side of the grid in each pixel, >= 1.
        """
        width, height = size
        count = samples * samples
        directions = rays(camera, size, samples).reshape(-1, 3)
        origin = np.asarray(camera.position, dtype=np.float32)
        hits = self.every.hits(np.broadcast_to(origin, directions.shape).copy(), directions)
        step = np.float32(spread(camera.field, width))
        triangle, u, v, far, pane = self._through(origin, directions, hits)
        glare = self._glare(origin, directions, hits, pane, count, float(step))
        owner, members, leader = fragments(triangle * 2 + pane, count)
        u, v, far = (_mean(a, owner, members) for a in (u, v, far))
        direction = _mean(directions, owner, members)
        shown = self._shade(triangle[leader], u, v, far, direction, origin, step)
        behind = np.flatnonzero(pane[leader])
        shown[behind] = shown[behind] * _GLASS + glare[leader[behind] // count]
        values = (
            tone(shown, self.world.exposure)[owner].reshape(height * width, count, 3).mean(axis=1, dtype=np.float32)
        )
        picture: Image = np.clip(np.rint(values * 255), 0, 255).astype(np.uint8).reshape(height, width, 3)
        return np.ascontiguousarray(picture[:, ::-1]) if camera.mirrored else picture

    def _through(
        self, origin: Singles, directions: Singles, hits: Hits
    ) -> tuple[Integers, Singles, Singles, Singles, Booleans]:
        """Replace hits on glass by what lies behind; the last array says where glass was."""
        triangle, u, v, far = hits
        pane = np.zeros(triangle.shape, dtype=bool)
        if self.lit.geometry.solid.all():
            return triangle, u, v, far, pane
        hit = triangle >= 0
        pane[hit] = ~self.lit.geometry.solid[triangle[hit]]
        through = np.flatnonzero(pane)
        if len(through):
            start = np.broadcast_to(origin, (len(through), 3)).copy()
            behind = self.lit.solid.hits(start, directions[through])
            triangle, u, v, far = triangle.copy(), u.copy(), v.copy(), far.copy()
            triangle[through], u[through], v[through], far[through] = behind
        return triangle, u, v, far, pane

    def _glare(
        self, origin: Singles, directions: Singles, hits: Hits, pane: Booleans, count: int, step: float
    ) -> Singles:
        """Return what panes mirror (pixels, 3): one ray for each pixel that sees a pane."""
        glare = np.zeros((len(directions) // count, 3), dtype=np.float32)
        seen = pane.reshape(-1, count)
        pixels = np.flatnonzero(seen.any(axis=1))
        if len(pixels):
            first = pixels * count + seen[pixels].argmax(axis=1)
            triangle, _, _, far = (a[first] for a in hits)
            direction = directions[first]
            normal, cosine = towards(self.lit.geometry.faces[triangle], direction)
            mirrored = self.lit.reflection(origin + direction * far[:, None], normal, direction, step)
            glare[pixels] = mirrored * schlick(np.full(len(first), 0.06, np.float32), cosine)[:, None]
        return glare

    def _shade(
        self,
        triangle: Integers,
        u: Singles,
        v: Singles,
        far: Singles,
        direction: Singles,
        origin: Singles,
        step: np.float32,
    ) -> Singles:
        """Return radiance (n, 3) of fragments; those without a triangle show the sky."""
        shown = np.empty((len(triangle), 3), dtype=np.float32)
        none = np.flatnonzero(triangle < 0)
        direction = direction / np.sqrt(np.einsum("nk,nk->n", direction, direction))[:, None]
        shown[none] = self.lit.outside(direction[none])
        hit = np.flatnonzero(triangle >= 0)
        at = self.lit.places(triangle[hit], u[hit], v[hit])
        ray = direction[hit]
        normal, cosine = towards(at.normal, ray)
        footprint = far[hit] * step * np.maximum(cosine, np.float32(0.05)) ** np.float32(-0.5)
        light = self.lit.irradiance(at)
        radiance = self.lit.sent(at, self.lit.colour(at, np.asarray(footprint, dtype=np.float32)), light)
        part = np.maximum(schlick(self.lit.paint.gloss[at.material], cosine) - _MIRROR, 0)
        sharp = np.clip(_BLUR - self.lit.geometry.bend[triangle[hit]] * footprint * 10, 0, 1)
        radiance += (light - radiance) * (part * (1 - sharp))[:, None]
        part *= sharp
        bright = np.flatnonzero(part > 0)
        if len(bright):
            point = origin + ray[bright] * far[hit[bright], None]
            mirrored = self.lit.reflection(point, normal[bright], ray[bright], float(step))
            radiance[bright] += (mirrored - radiance[bright]) * part[bright, None]
        shown[hit] = radiance
        return shown


def fragments(key: Integers, count: int) -> tuple[Integers, Singles, Integers]:
    """Group the samples of each pixel by what they hit.

    Args:
        key: (pixels * count,) what was hit; samples of a pixel stand together.
        count: samples a pixel.

    Returns:
        owner: (pixels * count,) the number of each sample's fragment.
        members: (fragments,) how many samples each has.
        leader: (fragments,) its first sample.
    """
    keys = key.reshape(-1, count)
    first = np.zeros(keys.shape, dtype=np.int64)
    for k in range(count - 1, 0, -1):
        first[:, k] = k
        for earlier in range(k - 1, -1, -1):
            first[:, k] = np.where(keys[:, k] == keys[:, earlier], earlier, first[:, k])
    leads = first == np.arange(count)
    number = np.cumsum(leads.reshape(-1)) - 1
    head = np.arange(len(keys))[:, None] * count + first
    owner = number[head.reshape(-1)]
    leader = np.flatnonzero(leads.reshape(-1))
    members = np.bincount(owner, minlength=len(leader)).astype(np.float32)
    return owner, members, leader


def _mean(values: Singles, owner: Integers, members: Singles) -> Singles:
    """Return the mean of `values` (samples, ...) over each fragment."""
    if values.ndim == 1:
        return (np.bincount(owner, values, minlength=len(members)) / members).astype(np.float32)
    return np.stack([_mean(values[:, k], owner, members) for k in range(values.shape[1])], axis=-1)
