"""What a ray sees where it hits: colour from textures, light from the light map, reflection, sky."""

import math
from dataclasses import dataclass, field

import numpy as np

from limen.scenes.rendering.texture import Singles
from limen.scenes.rendering.world import Caster, Geometry, Integers, Paint, Sky

_STEP = np.float32(1e-3)  # metres a ray starts away from the surface it leaves


@dataclass(frozen=True, slots=True, eq=False)
class SurfacePoints:
    """Points on surfaces, n of them.

    Attributes:
        patch, material: their numbers.
        normal: (n, 3) smooth, unit.
        node: (n, 2) column and row in the light map.
        place: (n, 2) of the texture, in repeats.
    """

    patch: Integers
    material: Integers
    normal: Singles
    node: Singles
    place: Singles


@dataclass(frozen=True, slots=True, eq=False)
class LitWorld:
    """A world with its light solved.

    Attributes:
        geometry, paint, sky: of the world.
        light: (nodes, 3) irradiance over pi: times colour it is radiance.
        solid: casts at everything but glass.
    """

    geometry: Geometry
    paint: Paint
    sky: Sky
    light: Singles
    solid: Caster
    _planes: tuple[Singles, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_planes", tuple(np.ascontiguousarray(self.light[:, k]) for k in range(3)))

    def places(self, triangle: Integers, u: Singles, v: Singles) -> SurfacePoints:
        """Interpolate what the corners of triangles (n,) hold, at barycentric coordinates.

        Args:
            triangle: (n,) numbers of triangles.
            u: (n,) weight of the second corner, 0..1.
            v: (n,) weight of the third corner, 0..1 - u.
        """
        corners = self.geometry.corners[triangle]
        rest = (np.float32(1) - u - v)[:, None]
        mixed = corners[:, 0] * rest + corners[:, 1] * u[:, None] + corners[:, 2] * v[:, None]
        normal = mixed[:, :3]
        normal /= np.sqrt(np.einsum("nk,nk->n", normal, normal))[:, None] + np.float32(1e-12)
        patch = self.geometry.patch[triangle]
        return SurfacePoints(patch, self.geometry.material[patch], normal, mixed[:, 3:5], mixed[:, 5:7])

    def irradiance(self, at: SurfacePoints) -> Singles:
        """Return light (n, 3) from the light map, bilinear between nodes."""
        width, height = self.geometry.width[at.patch], self.geometry.height[at.patch]
        zero, edge = np.float32(0), np.float32(1.001)
        x = np.clip(at.node[:, 0], zero, width.astype(np.float32) - edge)
        y = np.clip(at.node[:, 1], zero, height.astype(np.float32) - edge)
        j, i = x.astype(np.int64), y.astype(np.int64)
        fx, fy = x - j.astype(np.float32), y - i.astype(np.float32)
        first = self.geometry.start[at.patch] + i * width + j
        light = np.empty((len(first), 3), dtype=np.float32)
        weights = (1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy
        corners = first, first + 1, first + width, first + width + 1
        for k in range(3):
            plane = self._planes[k]
            light[:, k] = sum(plane.take(c) * w for c, w in zip(corners, weights, strict=True))
        return light

    def colour(self, at: SurfacePoints, footprint: Singles | float) -> Singles:
        """Return the surfaces' reflectance (n, 3), textures averaged over `footprint` metres."""
        paint = self.paint
        colour: Singles = paint.colour[at.material]
        texture = paint.texture[at.material]
        has = np.flatnonzero(texture >= 0)
        if len(has):
            width = np.broadcast_to(np.asarray(footprint, dtype=np.float32), texture.shape)[has]
            fine = self._fine(at, has)
            level = np.log2(np.maximum(width * fine, np.float32(1e-6)))
            place = at.place[has]
            colour[has] *= paint.atlas.look_up(texture[has], place[:, 0], place[:, 1], level)
        return colour

    def _fine(self, at: SurfacePoints, which: Integers) -> Singles:
        """Return texels a metre; where a picture is fitted to its patch, from the size of the patch."""
        fine = self.paint.fine[at.material[which]]
        fitted = np.flatnonzero(fine == 0)
        if len(fitted):
            chosen = which[fitted]
            width = self.paint.atlas.sizes[self.paint.texture[at.material[chosen]], 0]
            fine[fitted] = width / self.geometry.across[at.patch[chosen]]
        return fine

    def outside(self, direction: Singles) -> Singles:
        """Return the sky's radiance (n, 3) as a camera sees it, along unit directions."""
        return self.sky_at(direction, 0.0) * np.float32(self.sky.seen)

    def sky_at(self, direction: Singles, level: float) -> Singles:
        """Return the sky's texture (n, 3) along unit directions, from one level of its pyramid."""
        left, right = self.sky.azimuths
        low, high = self.sky.elevations
        turn = np.degrees(np.arctan2(direction[:, 1], direction[:, 0]))
        middle = (left + right) / 2
        turn = (turn - middle + 180) % 360 - 180 + middle
        rise = np.degrees(np.arcsin(np.clip(direction[:, 2], -1, 1)))
        number = self.paint.atlas.index[self.sky.texture]
        edge = np.float32(0.5 / self.paint.atlas.sizes[number][1])
        u = np.clip((turn - left) / (right - left), 0, 1).astype(np.float32)
        v = np.clip((rise - low) / (high - low), edge, 1 - edge).astype(np.float32)
        which = np.full(len(direction), number)
        return self.paint.atlas.look_up(which, u, v, np.full(len(direction), level, dtype=np.float32))

    def radiance(self, at: SurfacePoints, footprint: Singles | float) -> Singles:
        """Return what surfaces send out (n, 3), mirrors left aside: light times colour, and glow."""
        return self.sent(at, self.colour(at, footprint), self.irradiance(at))

    def sent(self, at: SurfacePoints, colour: Singles, light: Singles) -> Singles:
        """Return what surfaces of such colour (n, 3) send out under such light (n, 3).

        Args:
            at: n places.
            colour: (n, 3) linear RGB, 0..1.
            light: (n, 3) irradiance over pi, >= 0.
        """
        glow = self.paint.glow[at.material][:, None]
        lit = np.where(self.paint.unlit[at.material][:, None], np.float32(0), light)
        return np.asarray(colour * (lit + glow), dtype=np.float32)

    def reflection(self, origin: Singles, normal: Singles, direction: Singles, spread: float) -> Singles:
        """Return the radiance (n, 3) that arrives from the mirrored direction, mirrors in it seen as matt.

        Args:
            origin: points, (n, 3).
            normal: (n, 3) smooth normals, turned towards the viewer.
            direction: (n, 3) unit vectors from the viewer to the points.
            spread: metres a pixel covers a metre away.
        """
        along = direction - 2 * np.einsum("nk,nk->n", direction, normal)[:, None] * normal
        triangle, u, v, far = self.solid.hits(np.ascontiguousarray(origin + normal * _STEP), along)
        seen = self.outside(along)
        hit = np.flatnonzero(triangle >= 0)
        if len(hit):
            at = self.places(triangle[hit], u[hit], v[hit])
            seen[hit] = self.radiance(at, (far[hit] + np.float32(2)) * np.float32(spread))
        return seen


def schlick(front: Singles, cosine: Singles) -> Singles:
    """Return reflectance at an angle from that at the front (Schlick 1994).

    Less than in the source where `front` is small: such surfaces stand for rough ones, which never become mirrors.
    """
    grazing = 1 - np.minimum(cosine, np.float32(1))
    square = grazing * grazing
    value: Singles = front + (1 - front) * square * square * grazing * (1 - np.exp(-front * 14))
    return value


def tone(radiance: Singles, exposure: float) -> Singles:
    """Return display values 0..1 (gamma applied) of linear radiance.

    Hable's filmic curve (2010, "Uncharted 2: HDR Lighting") scaled to white at 6, then the sRGB curve's 1/2.2 power.
    """

    def curve(x: Singles) -> Singles:
        shoulder, line, angle, toe, high, low = 0.22, 0.30, 0.10, 0.20, 0.01, 0.30
        top = x * (shoulder * x + angle * line) + toe * high
        return np.asarray(top / (x * (shoulder * x + line) + toe * low) - high / low, dtype=np.float32)

    white = curve(np.full(1, 6.0, dtype=np.float32))
    mapped = np.maximum(curve(radiance * np.float32(exposure)) / white, 0) ** np.float32(1 / 2.2)
    return np.asarray(mapped, dtype=np.float32)


def towards(normal: Singles, direction: Singles) -> tuple[Singles, Singles]:
    """Return normals turned against the viewing direction, and the cosines between them (0..1)."""
    cosine = np.einsum("nk,nk->n", normal, direction)
    turned = np.where(cosine[:, None] > 0, -normal, normal)
    return turned, np.abs(cosine)


def spread(field: float, width: int) -> float:
    """Return the metres a pixel covers a metre away, for a field of view in degrees over `width` pixels."""
    return 2 * math.tan(math.radians(field) / 2) / width
