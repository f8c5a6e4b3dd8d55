"""Solves the light of a world: what reaches every node of the light maps, directly and from other surfaces.

Radiosity on light maps. Light from portals, lamps and the sun is integrated over points on them, with shadow rays;
what surfaces send each other is gathered over the hemisphere, bounce after bounce. Neighbouring nodes use different
sets of points in a pattern of 4 x 4, which a small filter averages again (interleaved sampling, Keller and Heidrich
2001): 16 times the points for the price of one set, and no noise left. Nodes inside of things see the backs of
surfaces; they are filled from their neighbours, so that no darkness leaks out from under furniture.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from limen import digest
from limen.scenes.rendering.shading import LitWorld
from limen.scenes.rendering.surface import Floats
from limen.scenes.rendering.texture import Singles
from limen.scenes.rendering.world import Booleans, Geometry, Integers, World

VERSION = 1  # raised whenever the same world is lit otherwise
_SETS = 16
_INSIDE = 0.3  # share of backs among what a node sees beyond which it lies inside of something
_CHUNK = 400_000  # rays at a time
_OFF = 2e-3  # metres a node is lifted from its surface
_NEAR = 0.5  # metres to a portal
_FOOTPRINT = 0.05  # metres over which textures are averaged for light that bounces
_KERNEL = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16


@dataclass(frozen=True, slots=True)
class Effort:
    """How many points are taken: of each light, of the hemisphere, and how often light bounces."""

    light: int = 36
    sphere: int = 100
    bounces: int = 3


@dataclass(frozen=True, slots=True, eq=False)
class Nodes:
    """All nodes of all light maps.

    Attributes:
        point, normal: (n, 3).
        choice: (n,) which of the 16 sets of points a node uses.
        open: (n,) lit by the sky over the hemisphere, not through a portal: all without portals, else those so near
            to one that points on it would be unevenly far away.
    """

    point: Singles
    normal: Singles
    choice: Integers
    open: Booleans


@dataclass(frozen=True, slots=True, eq=False)
class Emitter:
    """Sets of points on a light.

    Attributes:
        point: (16, s, 3); for a distant light unit vectors towards it.
        normal: (16, s, 3); unused where distant.
        power: (16, s, 3) radiance times area, or irradiance head-on; of one point.
        distant: at infinity.
        aimed: radiance comes from the sky behind the point, not from `power` alone.
    """

    point: Singles
    normal: Singles
    power: Singles
    distant: bool = False
    aimed: bool = False


def solve(world: World, lit: LitWorld, name: str, effort: Effort | None = None) -> Singles:
    """Return light (nodes, 3): irradiance over pi, to be multiplied with colour.

    Args:
        world: what is lit.
        lit: its geometry and paint; its light is ignored.
        name: seeds all points.
        effort: how many points.
    """
    effort = effort or Effort()
    nodes = _nodes(world)
    direct = np.zeros_like(nodes.point)
    for emitter in _emitters(world, lit, name, effort.light):
        direct += _direct(emitter, nodes, lit)
    _, inside = _gather(replace(lit, light=np.zeros_like(direct)), nodes, name, effort.sphere // 4)
    direct = _smooth(world, lit.geometry, direct, inside)
    indirect = np.zeros_like(direct)
    for bounce in range(effort.bounces):
        count = effort.sphere if bounce == effort.bounces - 1 else effort.sphere // 4
        gathered, _ = _gather(replace(lit, light=direct + indirect), nodes, name, count)
        indirect = _smooth(world, lit.geometry, gathered, inside)
    return direct + indirect


def _nodes(world: World) -> Nodes:
    points, normals, choices = [], [], []
    for patch in world.patches:
        rows, columns = patch.nodes
        i, j = np.meshgrid(np.arange(rows, dtype=float), np.arange(columns, dtype=float), indexing="ij")
        inset_j = j if patch.round else np.clip(j, 0.15, columns - 1.15)
        point, normal = patch.at(inset_j, np.clip(i, 0.15, rows - 1.15))
        points.append((point + normal * _OFF).reshape(-1, 3))
        normals.append(normal.reshape(-1, 3))
        choices.append((i % 4 * 4 + (j % (columns - 1) if patch.round else j) % 4).astype(np.int64).reshape(-1))
    point = np.concatenate(points)
    unclear = np.full(len(point), not world.portals)
    for portal in world.portals:
        unclear |= _distance(point, np.asarray(portal)) < _NEAR
    return Nodes(point.astype(np.float32), np.concatenate(normals).astype(np.float32), np.concatenate(choices), unclear)


def _distance(point: Floats, portal: Floats) -> Floats:
    """Return metres from points (n, 3) to a rectangle (corner, edge, edge)."""
    corner, *edges = portal
    nearest = np.broadcast_to(corner, point.shape).copy()
    for edge in edges:
        nearest += np.clip((point - corner) @ edge / (edge @ edge), 0, 1)[:, None] * edge
    distance: Floats = np.linalg.norm(point - nearest, axis=-1)
    return distance


def _strata(name: str, count: int, *more: str | int) -> Floats:
    """Return jittered points of the unit square (16, side**2, 2); the 16 sets interleave to a finer grid."""
    side = max(1, math.isqrt(count))
    y, x = (np.mgrid[:side, :side] + 0.0).reshape(2, 1, -1)
    order = digest.generator("light", name, *more).permutation(_SETS)[:, None]
    fine = np.stack([(x + (order % 4 + 0.5) / 4) / side, (y + (order // 4 + 0.5) / 4) / side], axis=-1)
    jitter = digest.generator("light", name, "jitter", *more).random(fine.shape) - 0.5
    strata: Floats = fine + jitter / (4 * side)
    return strata


def _emitters(world: World, lit: LitWorld, name: str, count: int) -> list[Emitter]:
    """Return every light as sets of points: portals, glowing patches (the weak with fewer points), the sun."""
    made = [_portal(np.asarray(portal), name, k, count) for k, portal in enumerate(world.portals)]
    lamps = {}
    for k, patch in enumerate(world.patches):
        material = world.materials[patch.material]
        if material.glow > 0 and not material.unlit:
            edges = np.diff(patch.points, axis=1)[:-1], np.diff(patch.points, axis=0)[:, :-1]
            lamps[k] = material.glow * float(np.linalg.norm(np.cross(*edges), axis=-1).sum())
    for k, power in lamps.items():
        made.append(_lamp(world, lit, k, name, math.ceil(count * min(1.0, math.sqrt(power / max(lamps.values()))))))
    if world.sun:
        made.append(_sun(world, name, count))
    return made


def _portal(portal: Floats, name: str, number: int, count: int) -> Emitter:
    corner, along, up = portal
    square = _strata(name, count * 4, "portal", number)
    point = corner + square[..., :1] * along + square[..., 1:] * up
    across = np.cross(along, up)
    area = float(np.linalg.norm(across))
    normal = np.broadcast_to(across / area, point.shape)
    power = np.full(point.shape, area / point.shape[1])
    return Emitter(point.astype(np.float32), normal.astype(np.float32), power.astype(np.float32), aimed=True)


def _lamp(world: World, lit: LitWorld, number: int, name: str, count: int) -> Emitter:
    patch = world.patches[number]
    square = _strata(name, count, "lamp", number)
    rows, columns = patch.nodes
    x, y = square[..., 0] * (columns - 1), square[..., 1] * (rows - 1)
    point, normal = patch.at(x, y)
    step = 1e-3
    ahead, _ = patch.at(np.minimum(x + step, columns - 1), y)
    above, _ = patch.at(x, np.minimum(y + step, rows - 1))
    cross = np.linalg.norm(np.cross(ahead - point, above - point), axis=-1) / step**2
    area = cross * (columns - 1) * (rows - 1) / square.shape[1]
    material = lit.paint.names.index(patch.material)
    radiance = lit.paint.colour[material] * lit.paint.glow[material]
    power = area[..., None] * radiance
    return Emitter((point + normal * _OFF).astype(np.float32), normal.astype(np.float32), power.astype(np.float32))


def _sun(world: World, name: str, count: int) -> Emitter:
    assert world.sun is not None
    towards = np.asarray(world.sun.towards) / np.linalg.norm(world.sun.towards)
    side = np.cross(towards, [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side)
    square = _strata(name, count, "sun")
    radius = np.sqrt(square[..., :1]) * math.tan(math.radians(world.sun.radius))
    turn = 2 * math.pi * square[..., 1:]
    ray = towards + radius * (np.cos(turn) * side + np.sin(turn) * np.cross(towards, side))
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    power = np.broadcast_to(np.asarray(world.sun.power) / square.shape[1], ray.shape)
    return Emitter(ray.astype(np.float32), ray.astype(np.float32), power.astype(np.float32), distant=True)


def _direct(emitter: Emitter, nodes: Nodes, lit: LitWorld) -> Singles:
    """Return irradiance over pi (n, 3) that reaches nodes straight from one light."""
    total = np.zeros_like(nodes.point)
    count = emitter.point.shape[1]
    step = max(1, _CHUNK // count)
    for first in range(0, len(total), step):
        part = slice(first, first + step)
        point, normal, choice = nodes.point[part], nodes.normal[part], nodes.choice[part]
        ray = emitter.point[choice] - (0 if emitter.distant else point[:, None])
        square = np.einsum("nsk,nsk->ns", ray, ray)
        far = np.sqrt(np.maximum(square, 1e-8))
        falls = np.einsum("nsk,nk->ns", ray, normal) / far
        if not emitter.distant:
            leaves = -np.einsum("nsk,nsk->ns", ray, emitter.normal[choice]) / far
            falls = np.where((falls > 0) & (leaves > 0), falls * leaves / np.maximum(square, 0.02**2), 0)
        if emitter.aimed:
            falls = np.where(nodes.open[part, None], 0, falls)
        n, s = np.nonzero(falls > 0)
        if not len(n):
            continue
        reach = np.full(len(n), 1e3 if emitter.distant else 0.998, dtype=np.float32)
        free = ~lit.solid.blocked(point[n], ray[n, s], reach)
        n, s = n[free], s[free]
        sent = emitter.power[choice[n], s] * falls[n, s][:, None]
        if emitter.aimed:
            sent = sent * _daylight(lit, ray[n, s] / far[n, s][:, None])
        total[part] = np.stack([np.bincount(n, sent[:, k], minlength=len(point)) for k in range(3)], axis=-1)
    return total / np.float32(math.pi)


def _daylight(lit: LitWorld, direction: Singles) -> Singles:
    """Return the radiance of the outside: its picture squared, for a picture shows less contrast than there is."""
    radiance: Singles = lit.sky_at(direction, 5.0) ** 2 * np.float32(lit.sky.lights)
    return radiance


def _gather(lit: LitWorld, nodes: Nodes, name: str, count: int) -> tuple[Singles, Booleans]:
    """Return the mean radiance (n, 3) of what nodes see, weighted by cosine, and which nodes lie inside of things.

    Lamps seen are left out, for `_direct` has counted them, and so is the sky from nodes that are not open.
    """
    square = _strata(name, count, "sphere", count)
    radius, turn = np.sqrt(square[..., 0]), 2 * math.pi * square[..., 1]
    local = np.stack([radius * np.cos(turn), radius * np.sin(turn), np.sqrt(1 - square[..., 0])], axis=-1)
    local = local.astype(np.float32)
    total, backs = np.zeros_like(nodes.point), np.zeros(len(nodes.point))
    count = local.shape[1]
    step = max(1, _CHUNK // count)
    for first in range(0, len(total), step):
        part = slice(first, first + step)
        normal = nodes.normal[part]
        frame = _frames(normal)
        ray = np.einsum("nsk,nkc->nsc", local[nodes.choice[part]], frame).reshape(-1, 3)
        triangle, u, v, _ = lit.solid.hits(np.repeat(nodes.point[part], count, axis=0), ray)
        seen = np.zeros((len(ray), 3), dtype=np.float32)
        hit = np.flatnonzero(triangle >= 0)
        back = np.einsum("nk,nk->n", lit.geometry.faces[triangle[hit]], ray[hit]) > 0
        front = hit[~back]
        at = lit.places(triangle[front], u[front], v[front])
        dark = (lit.paint.glow[at.material] > 0)[:, None]
        seen[front] = np.where(dark, 0, lit.colour(at, _FOOTPRINT) * lit.irradiance(at))
        miss = np.flatnonzero((triangle < 0) & np.repeat(nodes.open[part], count))
        seen[miss] = _daylight(lit, ray[miss])
        total[part] = seen.reshape(-1, count, 3).mean(axis=1)
        backs[part] = np.bincount(hit[back] // count, minlength=len(normal)) / count
    return total, backs > _INSIDE


def _frames(normal: Singles) -> Singles:
    """Return right-handed frames (n, 3, 3) with `normal` as third row (Duff et al. 2017)."""
    x, y, z = normal.T
    sign = np.where(z >= 0, np.float32(1), np.float32(-1))
    a = -1 / (sign + z)
    b = x * y * a
    first = np.stack([1 + sign * x * x * a, sign * b, -sign * x], axis=-1)
    second = np.stack([b, sign + y * y * a, -y], axis=-1)
    return np.stack([first, second, normal], axis=1)


def _smooth(world: World, geometry: Geometry, light: Singles, inside: Booleans) -> Singles:
    """Average the interleaved sets of points over neighbours within a patch, leaving nodes inside of things out."""
    result = light.copy()
    for k, patch in enumerate(world.patches):
        part = slice(geometry.start[k], geometry.start[k + 1])
        values = light[part].reshape(*patch.nodes, 3).astype(np.float64)
        good = ~inside[part].reshape(patch.nodes)
        if patch.bevelled:
            values[1:-1, 1:-1] = _filled(values[1:-1, 1:-1], good[1:-1, 1:-1], closed=False)
            values = _patched(values, good)
        else:
            values = _filled(values, good, closed=patch.round)
        result[part] = values.reshape(-1, 3)
    return result


def _patched(values: Floats, good: Booleans) -> Floats:
    """Give the border nodes inside of things the light of the nodes next to them."""
    rows, columns = good.shape
    i, j = np.nonzero(~good)
    values[i, j] = values[np.clip(i, 1, rows - 2), np.clip(j, 1, columns - 2)]
    return values


def _filled(values: Floats, good: Booleans, *, closed: bool) -> Floats:
    """Filter good values by a binomial kernel, then grow them over the others until none is left."""
    if not good.any():
        return values
    known = good.astype(float)[..., None]
    sums, weights = _blur(values * known, closed), _blur(known, closed)
    filled = np.where(known > 0, sums / np.maximum(weights, 1e-9), 0)
    while not known.all():
        sums, weights = _blur(filled * known, closed), _blur(known, closed)
        new = (weights > 1e-9) & (known == 0)
        filled = np.where(new, sums / np.maximum(weights, 1e-9), filled)
        if not new.any():  # a side too short to be filtered
            return np.where(known > 0, filled, (filled * known).sum(axis=(0, 1)) / known.sum())
        known = np.where(new, 1.0, known)
    return filled


def _blur(grid: Floats, closed: bool) -> Floats:
    for axis in (0, 1):
        size = grid.shape[axis]
        half = 2 if size >= 8 else 1 if size >= 4 else 0
        kernel = _KERNEL if half == 2 else np.array([1.0, 2.0, 1.0]) / 4
        if half == 0:
            continue
        width = [(half, half) if k == axis else (0, 0) for k in range(3)]
        if closed and axis == 1:  # first and last column are one: wrap round without it
            body = np.pad(grid[:, :-1], width, mode="wrap")
            size -= 1
        else:
            body = np.pad(grid, width, mode="edge")
        mixed = sum(w * np.take(body, np.arange(k, k + size), axis) for k, w in enumerate(kernel))
        assert isinstance(mixed, np.ndarray)
        grid = np.concatenate([mixed, mixed[:, :1]], axis=1) if closed and axis == 1 else mixed
    return grid
