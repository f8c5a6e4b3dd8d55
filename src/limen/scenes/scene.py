"""What a scene is: a world one can stand in, seen by a camera that turns by degrees or moves by centimetres.

A `View` is a recipe (scene, camera, motion) and gives the picture at any strength; 0 is the reference. Its light is
solved once and kept, and rays are cast without a random number: between two pictures of a view nothing differs but
what the motion changed. (A path tracer's noise differs from frame to frame, and would be noticed before the motion.)

To add one, put a file into `scenes/`:

    @scene("hall")
    def hall() -> World:
        \"\"\"An empty hall.\"\"\"
        return World(patches=..., materials=..., textures=..., sky=..., bounds=..., places=...)
"""

import functools
import math
import re
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import msgspec

from limen import digest as digests
from limen import registry
from limen.errors import InputError, UnknownNameError
from limen.image import Image
from limen.scenes.rendering import light, light_cache
from limen.scenes.rendering.camera import VERSION, Camera, Studio
from limen.scenes.rendering.motion import MOTIONS, moved
from limen.scenes.rendering.shading import LitWorld
from limen.scenes.rendering.view_sampling import SampledView, plan
from limen.scenes.rendering.world import Caster, World, dark, geometry, paint

__all__ = ["MOTIONS", "Camera", "Scene", "View", "find", "scene", "studio"]

Build: TypeAlias = Callable[[], World]
_opening = threading.Lock()


@dataclass(frozen=True, slots=True)
class Scene:
    """A world by name.

    Attributes:
        name: unique; also the beginning of its views' names.
        build: makes the world, the same each time.
        version: raised whenever pixels of the same view change.
        summary: one line, the first of the function's docstring.
    """

    name: str
    build: Build
    version: int = 1
    summary: str = ""

    def views(
        self,
        factor: str,
        count: int = 50,
        seed: int = 0,
        *,
        size: tuple[int, int] = (640, 480),
        samples: int = 2,
        folder: Path | None = None,
    ) -> tuple["View", ...]:
        """Return views, each with a camera and a motion of its own; half of them are mirrored.

        Those of seed 0 ship with limen as far as they go; others are searched for (some seconds each ten).

        Args:
            factor: "angle" (levels are degrees) or "distance" (centimetres).
            count: how many, >= 1.
            seed: of the study, any int; another one gives other views.
            size: width and height in pixels.
            samples: rays a pixel along each side, >= 1.
            folder: for solved light; see `studio`.
        """
        if factor not in MOTIONS:
            raise UnknownNameError("factor", factor, MOTIONS)
        if count < 1 or min(size) < 32 or samples < 1:
            raise InputError(f"Give at least one view, 32 px a side and one sample, not {count}, {size}, {samples}.")
        frozen, pivot = _frozen(self, factor) if seed == 0 else ([], 0.0)
        pivot = pivot or studio(self.name, folder).world.pivot
        made = []
        for number in range(count):
            planned = (
                frozen[number]
                if number < len(frozen)
                else plan(studio(self.name, folder), self.name, factor, number, seed)
            )
            label = f"{number:02d}" if seed == 0 else f"{number:02d}-{seed}"
            made.append(View(self.name, planned.camera, planned.motion, size, samples, pivot, label))
        return tuple(made)


def scene(name: str, *, version: int = 1) -> Callable[[Build], Build]:
    """Register a function that builds a world as the scene `name`."""

    def keep(build: Build) -> Build:
        summary = (build.__doc__ or "").strip().split("\n")[0]
        registry.add("scene", name)(Scene(name, build, version, summary))
        return build

    return keep


def find(name: str) -> Scene:
    """Return the scene `name`, or raise `UnknownNameError`."""
    found = registry.find("scene", name)
    assert isinstance(found, Scene)
    return found


@dataclass(frozen=True, slots=True)
class View:
    """A recipe for pictures; nothing is loaded until one is made.

    Attributes:
        scene: name.
        camera: where it stands at strength 0.
        motion: one of `MOTIONS`.
        size: width and height in pixels.
        samples: rays a pixel along each side.
        pivot: metres in front of the camera of the point it orbits.
        label: tells views of one scene and factor apart; decides no pixel.
    """

    scene: str
    camera: Camera
    motion: str
    size: tuple[int, int] = (640, 480)
    samples: int = 2
    pivot: float = 1.5
    label: str = "00"

    @property
    def factor(self) -> str:
        """What the motion changes: "angle" (degrees) or "distance" (centimetres)."""
        return next(factor for factor, motions in MOTIONS.items() if self.motion in motions)

    @property
    def name(self) -> str:
        """The view as tables call it ("room-angle-07")."""
        return f"{self.scene}-{self.factor}-{self.label}"

    @property
    def digest(self) -> str:
        """Stands for everything that decides the pixels."""
        versions = [VERSION, find(self.scene).version]
        camera = asdict(self.camera)
        return digests.of([self.scene, versions, camera, self.motion, self.size, self.samples, self.pivot])

    def at(self, strength: float, folder: Path | None = None) -> Image:
        """Return the picture after so many degrees or centimetres, uint8 RGB (H, W, 3).

        Args:
            strength: 0 is the reference; any number, fractions included.
            folder: where solved light is kept; see `studio`.

        Raises:
            InputError: the strength is no number.
            MissingExtraError: embreex is not installed.
        """
        if not math.isfinite(strength):
            raise InputError(f"A strength is a number of degrees or centimetres, not {strength}.")
        camera = moved(self.camera, self.motion, strength, self.pivot)
        return studio(self.scene, folder).picture(camera, self.size, self.samples)


def studio(name: str, folder: Path | None = None) -> Studio:
    """Return the lit world of a scene, kept for the two scenes used last.

    Light is read from what ships with limen, else from `folder`, else solved (about a minute) and kept there.

    Args:
        name: of the scene.
        folder: for solved light; None for $XDG_CACHE_HOME/limen or ~/.cache/limen.
    """
    with _opening:  # several series begin at once; the light is solved for one of them
        return _opened(name, folder or light_cache.folder())


@functools.lru_cache(maxsize=2)
def _opened(name: str, folder: Path) -> Studio:
    found = find(name)
    world = found.build()
    shapes = geometry(world)
    solid = Caster(shapes, panes=False)
    unlit = LitWorld(shapes, paint(world), world.sky, dark(shapes), solid)
    count, key = len(unlit.light), light_key(found, world)
    codes = light_cache.read(_data(name, "npz"), count, key)
    if codes is None:
        kept = folder / f"{name}-{digests.of(key)[:12]}.npz"
        codes = light_cache.read(kept, count, key)
        if codes is None:
            codes = light_cache.pack(light.solve(world, unlit, name))
            light_cache.write(kept, codes, key)
    lit = LitWorld(shapes, unlit.paint, world.sky, light_cache.unpack(codes), solid)
    return Studio(world, lit, Caster(shapes, panes=True))


def light_key(found: Scene, world: World) -> str:
    """Return what solved light is known by: the scene, its version, the solver's, and a digest of the world."""
    return f"{found.name} {found.version} {light.VERSION} {world.digest()}"


def _data(name: str, kind: str) -> Path:
    return Path(__file__).parents[1] / "data" / "scenes" / f"{name}.{kind}"


class _Row(msgspec.Struct):
    """One plan as it ships: x, y, z (metres), yaw, pitch, field (degrees)."""

    camera: tuple[float, float, float, float, float, float]
    motion: str
    mirrored: bool


class _Sheet(msgspec.Struct):
    """The plans of a scene as they ship."""

    version: int
    pivot: float
    angle: list[_Row]
    distance: list[_Row]


def _frozen(found: Scene, factor: str) -> tuple[list[SampledView], float]:
    """Return the plans that ship for this version of a scene, and the distance of its pivot."""
    path = _data(found.name, "json")
    if not path.is_file():
        return [], 0.0
    kept = msgspec.json.decode(path.read_bytes(), type=_Sheet)
    if kept.version != found.version:
        return [], 0.0
    rows = kept.angle if factor == "angle" else kept.distance
    return [SampledView(Camera(r.camera[:3], *r.camera[3:], mirrored=r.mirrored), r.motion) for r in rows], kept.pivot


def freeze(name: str, count: int = 50, folder: Path | None = None) -> bytes:
    """Return the file in which the views of seed 0 ship (`data/scenes/NAME.json`).

    Args:
        name: of the scene.
        count: views of each factor, >= 1.
        folder: where solved light is kept; None for the folder that is used by itself.
    """
    lit = studio(name, folder)

    def rows(factor: str) -> list[_Row]:
        plans = [plan(lit, name, factor, number) for number in range(count)]
        return [
            _Row((*p.camera.position, p.camera.yaw, p.camera.pitch, p.camera.field), p.motion, p.camera.mirrored)
            for p in plans
        ]

    kept = _Sheet(find(name).version, lit.world.pivot, rows("angle"), rows("distance"))
    text = msgspec.json.format(msgspec.json.encode(kept), indent=1)
    return re.sub(rb"\n {3,}|\n {2}(?=})", b" ", text) + b"\n"
