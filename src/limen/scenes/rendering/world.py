"""A world: surfaces, what they are made of, what lights them, what lies outside. And its flat form for casting rays."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from limen.errors import InputError, MissingExtraError
from limen.scenes.rendering.surface import Patch, unit
from limen.scenes.rendering.texture import Atlas, Colour, Floats, Singles, linear

Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]
Hits = tuple[Integers, Singles, Singles, Singles]  # triangle (-1: none), its two barycentric coordinates, distance


@dataclass(frozen=True, slots=True)
class Material:
    """What a surface is made of.

    Attributes:
        colour: sRGB; multiplied with the texture.
        texture: a name in the world's textures, or "".
        size: metres over which the texture's width repeats; 0 fits one picture to the patch.
        turned: the texture's width runs along the patch's rows.
        gloss: reflectance seen from the front (0 matt, 0.04 varnish, 0.6 metal), rising to 1 at grazing angles.
        glow: radiance it sends out; it lights the world unless `unlit`.
        unlit: shown as painted, neither lit nor lighting: what is far outside.
        glass: seen through.
    """

    colour: Colour | str = (1.0, 1.0, 1.0)
    texture: str = ""
    size: float = 0.0
    turned: bool = False
    gloss: float = 0.0
    glow: float = 0.0
    unlit: bool = False
    glass: bool = False


@dataclass(frozen=True, slots=True)
class Sun:
    """A distant round light: unit direction towards it, its radius in degrees, irradiance it gives head-on."""

    towards: tuple[float, float, float]
    radius: float
    power: Colour


@dataclass(frozen=True, slots=True)
class Sky:
    """The outside at infinity: one texture spread over a part of the sphere.

    Attributes:
        texture: a name in the world's textures.
        azimuths: degrees (from +x towards +y) at its left and right border, decreasing from left to right.
        elevations: degrees at its lower and upper border.
        seen: radiance of white as the camera sees it.
        lights: radiance of white as it lights the world (a camera would be dazzled by it).
    """

    texture: str
    azimuths: tuple[float, float]
    elevations: tuple[float, float]
    seen: float = 1.0
    lights: float = 1.0


@dataclass(frozen=True, slots=True)
class CameraRegion:
    """A box in which cameras may be put, and which way they may look from there.

    Attributes:
        low, high: corners, metres.
        target_low, target_high: corners of the box that holds the point looked at.
        fields: narrowest and widest field of view, degrees.
    """

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    target_low: tuple[float, float, float]
    target_high: tuple[float, float, float]
    fields: tuple[float, float] = (55.0, 75.0)


@dataclass(frozen=True, slots=True)
class World:
    """Everything that decides what is seen.

    Attributes:
        patches: surfaces.
        materials: by name.
        textures: painters by name, each returning linear RGB (h, w, 3), sides powers of two.
        sky: what is seen where no surface is.
        bounds: low and high corner of the space cameras move in.
        places: where they begin.
        portals: (corner, edge, edge) of openings through which the sky lights the world; none: from everywhere.
        sun: a distant light.
        exposure: multiplies radiance before the tone curve.
        pivot: metres in front of a camera of the point it orbits.
    """

    patches: tuple[Patch, ...]
    materials: Mapping[str, Material]
    textures: Mapping[str, Callable[[], Floats]]
    sky: Sky
    bounds: tuple[tuple[float, float, float], tuple[float, float, float]]
    places: tuple[CameraRegion, ...]
    portals: tuple[tuple[tuple[float, float, float], ...], ...] = ()
    sun: Sun | None = None
    exposure: float = 1.0
    pivot: float = 1.5

    def digest(self) -> str:
        """Stands for all that decides the light but the texels of textures; the same on every machine."""
        hasher = hashlib.sha256()
        for patch in self.patches:
            hasher.update(np.rint(patch.points * 2e3).astype(np.int32).tobytes())
            hasher.update(repr((patch.material, patch.nodes)).encode())
        lights = self.sky, self.sun, self.portals, sorted(self.materials.items()), sorted(self.textures)
        hasher.update(repr(lights).encode())
        return hasher.hexdigest()[:16]


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """A world's surfaces as triangles.

    Attributes:
        vertices: (v, 3).
        triangles: (t, 3).
        corners: (t, 3, 7) normal, node in the patch's light map (column, row), texture place (u, v).
        faces: (t, 3) unit normals of the triangles.
        bend: (t,) radians by which smooth normals turn a metre.
        patch: (t,) number of the patch.
        start: (patches,) where each light map begins, and their sum behind the last.
        width, height: (patches,) nodes.
        material: (patches,) number of the material.
        across: (patches,) metres along the side that the texture's width runs on.
        solid: (t,) whether it is no glass.
    """

    vertices: Singles
    triangles: npt.NDArray[np.int32]
    corners: Singles
    faces: Singles
    bend: Singles
    patch: Integers
    start: Integers
    width: Integers
    height: Integers
    material: Integers
    across: Singles
    solid: Booleans


@dataclass(frozen=True, slots=True, eq=False)
class Paint:
    """Materials as arrays, and the atlas of textures."""

    names: tuple[str, ...]
    colour: Singles
    texture: Integers
    gloss: Singles
    glow: Singles
    unlit: Booleans
    fine: Singles  # texels a metre at the finest level; 0 without a texture
    atlas: Atlas = field(repr=False)


def paint(world: World) -> Paint:
    """Paint all textures and lay materials out in arrays."""
    made = list(world.materials.values())
    atlas = Atlas({name: painter() for name, painter in world.textures.items()})
    texture = np.array([atlas.index[m.texture] if m.texture else -1 for m in made], dtype=np.int64)
    fine = [atlas.sizes[t][0] / m.size if t >= 0 and m.size else 0.0 for m, t in zip(made, texture, strict=True)]
    return Paint(
        tuple(world.materials),
        np.array([linear(m.colour) for m in made], dtype=np.float32),
        texture,
        np.array([m.gloss for m in made], dtype=np.float32),
        np.array([m.glow for m in made], dtype=np.float32),
        np.array([m.unlit for m in made]),
        np.array(fine, dtype=np.float32),
        atlas,
    )


def geometry(world: World) -> Geometry:
    """Lay all patches out as triangles."""
    names = {name: k for k, name in enumerate(world.materials)}
    points, triangles, corners, owner, nodes, materials, base = [], [], [], [], [], [], 0
    for number, patch in enumerate(world.patches):
        if patch.material not in names:
            raise InputError(f"A patch is made of {patch.material!r}, which the world does not know. Add the material.")
        index = _triangles(patch)
        attributes = _attributes(patch, world.materials[patch.material])
        points.append(patch.points.reshape(-1, 3))
        triangles.append(index + base)
        corners.append(attributes[index])
        owner.append(np.full(len(index), number))
        nodes.append(patch.nodes)
        materials.append(names[patch.material])
        base += len(points[-1])
    vertices, faces = np.concatenate(points), np.concatenate(triangles)
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    flat = unit(np.cross(b - a, c - a))
    smooth = np.concatenate(corners)
    turns = [np.linalg.norm(smooth[:, k, :3] - smooth[:, k - 1, :3], axis=-1) for k in range(3)]
    sides = [np.linalg.norm(vertices[faces[:, k]] - vertices[faces[:, k - 1]], axis=-1) for k in range(3)]
    bend = np.max([turn / np.maximum(side, 1e-6) for turn, side in zip(turns, sides, strict=True)], axis=0)
    counts = np.array([rows * columns for rows, columns in nodes])
    patch_of, glass = np.concatenate(owner), np.array([world.materials[p.material].glass for p in world.patches])
    return Geometry(
        vertices.astype(np.float32),
        faces.astype(np.int32),
        smooth.astype(np.float32),
        flat.astype(np.float32),
        bend.astype(np.float32),
        patch_of,
        np.concatenate([[0], np.cumsum(counts)]),
        np.array([columns for _, columns in nodes]),
        np.array([rows for rows, _ in nodes]),
        np.array(materials),
        np.array([_across(p, world.materials[p.material]) for p in world.patches], dtype=np.float32),
        ~glass[patch_of],
    )


def _across(patch: Patch, material: Material) -> float:
    return float(patch.lengths[..., 1 if material.turned else 0].max())


def _triangles(patch: Patch) -> Integers:
    """Return two triangles a cell (t, 3), without those that have shrunk to a line."""
    rows, columns = patch.points.shape[:2]
    keep = np.ones((rows - 1, columns - 1), dtype=bool) if patch.cells is None else patch.cells
    i, j = np.nonzero(keep)
    a = i * columns + j
    both = np.stack([a, a + 1, a + columns + 1, a, a + columns + 1, a + columns], axis=-1).reshape(-1, 3)
    p = patch.points.reshape(-1, 3)[both]
    area = np.linalg.norm(np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]), axis=-1)
    index: Integers = both[area > 1e-12]
    return index


def _attributes(patch: Patch, material: Material) -> Floats:
    rows, columns = patch.points.shape[:2]
    node = np.stack(np.meshgrid(*patch.light), axis=-1).reshape(-1, 2)
    place = patch.lengths.reshape(-1, 2)
    place = place / material.size if material.size else place / np.maximum(place.max(axis=0), 1e-9)
    if material.turned:
        place = place[:, ::-1]
    return np.concatenate([patch.normals.reshape(rows * columns, 3), node, place], axis=-1)


class Caster:
    """Casts rays at triangles with Embree, one after another in the order given.

    Args:
        geometry: the triangles.
        panes: whether rays stop at glass.

    Raises:
        MissingExtraError: embreex is not installed.
    """

    def __init__(self, geometry: Geometry, *, panes: bool) -> None:
        try:
            from embreex.mesh_construction import TriangleMesh
            from embreex.rtcore_scene import EmbreeScene
        except ImportError:
            raise MissingExtraError("rendering a scene", "embreex", "scene") from None
        which = np.arange(len(geometry.triangles)) if panes else np.flatnonzero(geometry.solid)
        self._number = np.append(which, -1)  # Embree's -1, nothing hit, finds the last entry
        self._scene: Any = EmbreeScene()
        TriangleMesh(self._scene, geometry.vertices, np.ascontiguousarray(geometry.triangles[which]))

    def hits(self, origins: Singles, directions: Singles) -> Hits:
        """Return what rays (n, 3) hit first."""
        found = self._scene.run(np.ascontiguousarray(origins), np.ascontiguousarray(directions), output=True)
        return self._number[found["primID"]], found["u"], found["v"], found["tfar"]

    def blocked(self, origins: Singles, directions: Singles, reach: Singles) -> Booleans:
        """Say which rays (n, 3) hit anything nearer than `reach` (n,), in lengths of their directions.

        Args:
            origins: (n, 3), in metres.
            directions: (n, 3), of any length.
            reach: (n,), as multiples of each direction's length, > 0.
        """
        start, along = np.ascontiguousarray(origins), np.ascontiguousarray(directions)
        blocked: Booleans = self._scene.run(start, along, dists=np.ascontiguousarray(reach), query="OCCLUDED") == 0
        return blocked


def dark(shapes: Geometry) -> Singles:
    """Return light maps (nodes, 3) without light."""
    return np.zeros((int(shapes.start[-1]), 3), dtype=np.float32)
