"""Scenes: views are recipes, rays are cast without noise, light is solved once and kept."""

import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from limen import registry
from limen.errors import InputError, LimenError, MissingExtraError, UnknownNameError
from limen.image import Image, digest
from limen.scenes import scene
from limen.scenes.rendering import camera, light, light_cache, surface, texture, view_sampling
from limen.scenes.rendering.camera import Camera, Studio
from limen.scenes.rendering.motion import MOTIONS, moved
from limen.scenes.rendering.shading import LitWorld
from limen.scenes.rendering.surface import box, pillow, quad, revolve, sheet, tube, wall
from limen.scenes.rendering.surface import moved as placed
from limen.scenes.rendering.world import CameraRegion, Caster, Material, Sky, World, dark, geometry, paint

SIZE = (160, 120)
QUICK = light.Effort(light=4, sphere=16, bounces=1)


def checks() -> texture.Floats:
    squares = (np.indices((64, 64)) // 8).sum(axis=0) % 2
    return np.repeat(0.2 + 0.6 * squares[..., None], 3, axis=2)


def cell(*, things: bool = True) -> World:
    """A chequered room of 4 x 4 x 3 m with a lamp in the ceiling, a window, a box and a bowl."""
    shell = [
        quad((0, 0, 0), (4, 0, 0), (0, 4, 0), "checks", texel=0.2),
        quad((0, 4, 3), (4, 0, 0), (0, -4, 0), "checks", texel=0.4),
        quad((4, 0, 0), (-4, 0, 0), (0, 0, 3), "checks", texel=0.4),
        wall((0, 4, 0), (4, 0, 0), (0, 0, 3), "checks", [(1, 3, 1, 2)], texel=0.2),
        quad((4, 4, 0), (0, -4, 0), (0, 0, 3), "checks", texel=0.4),
        quad((0, 0, 0), (0, 4, 0), (0, 0, 3), "checks", texel=0.4),
        quad((1.5, 2.5, 2.99), (1, 0, 0), (0, -1, 0), "lamp"),
        quad((1, 4.05, 1), (2, 0, 0), (0, 0, 1), "pane"),
    ]
    inside = box((1.5, 1.5, 0), (2.1, 2.1, 0.7), "red", bevel=0.02, texel=0.1) if things else []
    inside += pillow((2.8, 1.6, 0.3), (0.3, 0.3, 0.3), "metal", segments=16, texel=0.1) if things else []
    return World(
        patches=(*shell, *inside),
        materials={
            "checks": Material(texture="checks", size=1.0),
            "lamp": Material(glow=6.0),
            "pane": Material(glass=True),
            "red": Material("#b03020"),
            "metal": Material("#777777", gloss=0.5),
        },
        textures={"checks": checks, "sky": lambda: np.full((16, 16, 3), 0.6)},
        sky=Sky("sky", (180, 0), (-60, 60), lights=4.0),
        bounds=((0, 0, 0), (4, 4, 3)),
        places=(CameraRegion((0.5, 0.5, 1.0), (3.5, 3.5, 1.8), (1, 1, 0.5), (3, 3, 1.5)),),
        portals=(((1, 4.02, 1), (2, 0, 0), (0, 0, 1)),),
        exposure=2.0,
    )


def lit(world: World, name: str = "cell") -> Studio:
    shapes = geometry(world)
    unlit = LitWorld(shapes, paint(world), world.sky, dark(shapes), Caster(shapes, panes=False))
    solved = light.solve(world, unlit, name, QUICK)
    return Studio(world, LitWorld(shapes, unlit.paint, world.sky, solved, unlit.solid), Caster(shapes, panes=True))


@pytest.fixture(scope="module")
def studio() -> Studio:
    return lit(cell())


@pytest.fixture(scope="module")
def room() -> Studio:
    return scene.studio("room")


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, World], None]]:
    """Registers worlds for one test."""
    registry.every("scene")
    kept = dict(registry._known["scene"])

    def put(name: str, world: World) -> None:
        registry.add("scene", name)(scene.Scene(name, lambda: world))

    yield put
    registry._known["scene"] = kept


def psnr(first: Image, second: Image) -> float:
    error = np.square(first.astype(float) - second).mean()
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


EYE = Camera((0.6, 0.7, 1.5), 48.0, -15.0, 70.0)


def test_the_same_view_is_the_same_bytes(studio: Studio) -> None:
    assert digest(studio.picture(EYE, SIZE, 2)) == digest(studio.picture(EYE, SIZE, 2))


def test_another_process_solves_the_same_light_and_gives_the_same_bytes(studio: Studio) -> None:
    code = "import tests.scenes.test_scene as t; print(t.digest(t.lit(t.cell()).picture(t.EYE, t.SIZE, 2)))"
    paths = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    there = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": paths}
    )
    assert there.stdout.strip() == digest(studio.picture(EYE, SIZE, 2))


def test_smaller_motions_change_less_and_nothing_else_changes(studio: Studio) -> None:
    still = studio.picture(EYE, SIZE, 2)
    errors = [psnr(still, studio.picture(moved(EYE, "pan-left", s, 1.5), SIZE, 2)) for s in (0.01, 0.1, 1.0)]
    assert errors[0] > errors[1] + 8 > errors[2] + 16  # a frame with noise of its own would not come near 0.01 degrees
    assert psnr(still, studio.picture(EYE, SIZE, 2)) == math.inf


def test_light_of_another_seed_is_nearly_the_same_light(studio: Studio) -> None:
    other = lit(cell(), "another")
    first, second = studio.picture(EYE, SIZE, 2), other.picture(EYE, SIZE, 2)
    assert 30 < psnr(first, second) < math.inf


def test_light_falls_off_and_throws_shadows(studio: Studio) -> None:
    floor = studio.world.patches[0]
    rows, columns = floor.nodes
    nodes = studio.lit.light[: rows * columns].reshape(rows, columns, 3).mean(axis=2)
    alone = lit(cell(things=False)).lit.light[: rows * columns].reshape(rows, columns, 3).mean(axis=2)
    middle, corner = alone[rows // 2, columns // 2], alone[0, 0]
    assert middle > 1.3 * corner > 0
    beside = int(1.3 / 4 * (rows - 1)), int(1.8 / 4 * (columns - 1))  # 20 cm from the box
    assert nodes[beside] < 0.9 * alone[beside]


def test_direct_light_is_what_the_form_factor_says() -> None:
    lamp = quad((-0.5, 0.5, 2), (1, 0, 0), (0, -1, 0), "lamp")
    ground = quad((-2, -2, 0), (4, 0, 0), (0, 4, 0), "ground", texel=0.25)
    world = World(
        (ground, lamp),
        {"lamp": Material(glow=3.0), "ground": Material("#000000")},
        {"sky": lambda: np.zeros((2, 2, 3))},
        Sky("sky", (180, -180), (-90, 90)),
        ((-2, -2, 0), (2, 2, 3)),
        (),
    )
    shapes = geometry(world)
    unlit = LitWorld(shapes, paint(world), world.sky, dark(shapes), Caster(shapes, panes=False))
    solved = light.solve(world, unlit, "lamp", light.Effort(64, 16, 1))
    rows, columns = ground.nodes
    under = solved[(rows // 2) * columns + columns // 2, 0]
    # a point under the middle of a parallel square of side 2a at height h (Howell, A catalog of radiation factors, B-3)
    a = 0.5 / 2.0
    factor = 4 / (2 * math.pi) * 2 * (a / math.sqrt(1 + a * a) * math.atan(a / math.sqrt(1 + a * a)))
    assert under == pytest.approx(3.0 * factor, rel=0.05)
    x, y = np.meshgrid(*[(np.arange(50) + 0.5) / 50 - 0.5] * 2)  # off the middle: both cosines count
    column = columns - 2
    square = (x + 2 - 4 * column / (columns - 1)) ** 2 + (y + 2 - 4 * (rows // 2) / (rows - 1)) ** 2 + 4
    aside = (4 / square**2).mean() / math.pi
    assert solved[rows // 2 * columns + column, 0] == pytest.approx(3.0 * aside, rel=0.05)


def test_a_mirrored_picture_is_flipped(studio: Studio) -> None:
    flipped = studio.picture(Camera(EYE.position, EYE.yaw, EYE.pitch, EYE.field, mirrored=True), SIZE, 2)
    assert (flipped == studio.picture(EYE, SIZE, 2)[:, ::-1]).all()


def test_glass_is_seen_through_and_sky_fills_the_rest(studio: Studio) -> None:
    out = studio.picture(Camera((2.0, 3.0, 1.5), 90.0, 0.0, 60.0), SIZE, 1)
    sky = texture.linear((1, 1, 1)) * 0.6
    assert np.ptp(out[60, 70:90].astype(int), axis=0).max() <= 2
    assert abs(float(out[60, 80].mean()) - float(studio_tone(sky * 0.92))) < 12


def studio_tone(radiance: texture.Floats) -> float:
    from limen.scenes.rendering.shading import tone

    return float(tone(np.asarray(radiance, dtype=np.float32), 2.0).mean() * 255)


def test_what_stands_in_the_middle_stays_there_in_an_orbit() -> None:
    start = Camera((1.0, 2.0, 1.4), 30.0, -10.0)
    pivot = np.array(start.position) + 1.5 * start.axes()[0]
    for way in ("orbit-left", "orbit-right"):
        after = moved(start, way, 40.0, 1.5)
        assert np.array(after.position) + 1.5 * after.axes()[0] == pytest.approx(pivot)
        side = (np.array(after.position) - start.position) @ start.axes()[1]
        assert (side < 0) == (way == "orbit-left")


@pytest.mark.parametrize("motion", MOTIONS["distance"])
def test_distances_are_centimetres(motion: str) -> None:
    start = Camera((1.0, 2.0, 1.4), 30.0, -10.0)
    after = moved(start, motion, 25.0, 1.5)
    assert math.dist(after.position, start.position) == pytest.approx(0.25)
    assert (after.yaw, after.pitch) == (start.yaw, start.pitch)


@pytest.mark.parametrize("motion", MOTIONS["angle"][:4])
def test_angles_are_degrees(motion: str) -> None:
    start = Camera((1.0, 2.0, 1.4), 30.0, 0.0)
    after = moved(start, motion, 17.0, 1.5)
    assert after.position == start.position
    assert after.axes()[0] @ start.axes()[0] == pytest.approx(math.cos(math.radians(17.0)))


def test_fragments_group_samples_of_a_pixel() -> None:
    owner, members, leader = camera.fragments(np.array([5, 5, 5, 5, 7, 8, 7, 9]), 4)
    assert owner.tolist() == [0, 0, 0, 0, 1, 2, 1, 3]
    assert members.tolist() == [4, 2, 1, 1]
    assert leader.tolist() == [0, 4, 5, 7]


def test_no_two_rays_of_a_pixel_share_a_column_or_a_row() -> None:
    plane = camera.rays(Camera((0, 0, 0), 0.0, 0.0, 60.0), (4, 4), 3)[1, 2]
    y, z = -plane[:, 1] / plane[:, 0], plane[:, 2] / plane[:, 0]
    assert len(set(np.round(y, 6))) == len(set(np.round(z, 6))) == 9


@pytest.mark.parametrize(
    "patches",
    [
        box((-1, -1, -1), (1, 2, 3), "m", bevel=0.1),
        revolve([(0.0, -1.0), (1.0, -1.0), (1.0, 1.0), (0.0, 1.0)], (0, 0, 0), "m"),
        tube([(0, 0, -1), (0.1, 0, 0), (0, 0, 1)], [0.2, 0.3, 0.2], "m"),
        pillow((0, 0, 0), (1, 2, 0.5), "m"),
        placed(box((-1, -1, -1), (1, 1, 1), "m"), (5, 6, 7), yaw=30, pitch=20),
    ],
)
def test_closed_surfaces_face_outwards_and_are_tight(patches: list[surface.Patch]) -> None:
    world = World(tuple(patches), {"m": Material()}, {}, Sky("", (0, 0), (0, 0)), ((0, 0, 0),) * 2, ())  # type: ignore[arg-type]
    shapes = geometry(world)
    centre = np.mean([p.points.reshape(-1, 3).mean(axis=0) for p in patches], axis=0)
    rays = view_sampling.sphere(500)
    triangle, _, _, _ = Caster(shapes, panes=True).hits(np.tile(centre.astype(np.float32), (500, 1)), rays)
    assert (triangle >= 0).all()
    assert (np.einsum("nk,nk->n", shapes.faces[triangle], rays) > 0).all()
    assert (np.einsum("nk,nk->n", shapes.corners[triangle][:, :, :3].mean(axis=1), shapes.faces[triangle]) > 0.5).all()


def test_neighbours_of_a_box_share_points_and_normals() -> None:
    known: dict[tuple[float, ...], list[np.ndarray]] = {}
    for patch in box((0, 0, 0), (1, 1, 1), "m", bevel=0.1):
        for point, normal in zip(patch.points.reshape(-1, 3), patch.normals.reshape(-1, 3), strict=True):
            known.setdefault(tuple(np.round(point, 9)), []).append(normal)
    shared = [normals for normals in known.values() if len(normals) > 1]
    assert len(shared) == 8 + 12 * 2  # corners, and two points within each edge
    assert all(np.allclose(normals, normals[0]) for normals in shared)


def test_a_hole_lets_rays_through() -> None:
    shapes = geometry(cell(things=False))
    caster = Caster(shapes, panes=False)
    start = np.array([[2, 2, 1.5], [0.5, 2, 1.5]], dtype=np.float32)
    hit, _, _, _ = caster.hits(start, np.array([[0, 1, 0]] * 2, dtype=np.float32))
    assert hit[0] == -1
    assert hit[1] >= 0


def test_textures_are_read_between_texels_and_averaged_below() -> None:
    ramp = np.zeros((4, 4, 3))
    ramp[:, 2:] = 1.0
    atlas = texture.Atlas({"one": np.full((2, 2, 3), 0.25), "ramp": ramp})
    which = np.array([1, 1, 1, 0])
    u = np.array([0.125, 0.875, 0.3, 0.4], dtype=np.float32)
    seen = atlas.look_up(which, u, np.full(4, 0.5, np.float32), np.array([0, 0, 9, 0], np.float32))
    assert seen[:, 0] == pytest.approx([0, 1, 0.5, 0.25], abs=0.01)


def test_light_packs_small_and_comes_back(tmp_path: Path) -> None:
    values = np.random.default_rng(0).gamma(1.0, 1.0, (500, 3)).astype(np.float32)
    codes = light_cache.pack(values)
    light_cache.write(tmp_path / "a" / "l.npz", codes, "key")
    back = light_cache.read(tmp_path / "a" / "l.npz", 500, "key")
    assert back is not None
    assert (back == codes).all()
    assert light_cache.unpack(codes) == pytest.approx(values, rel=0.003, abs=1e-4)
    assert light_cache.read(tmp_path / "a" / "l.npz", 500, "other") is None
    assert light_cache.read(tmp_path / "a" / "l.npz", 499, "key") is None
    assert list((tmp_path / "a").iterdir()) == [tmp_path / "a" / "l.npz"]


def test_broken_light_is_solved_again(
    tmp_path: Path, shelf: Callable[[str, World], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf("cell", cell())
    solved: list[str] = []
    solve = light.solve

    def quick(world: World, unlit: LitWorld, name: str) -> texture.Singles:
        solved.append(name)
        return solve(world, unlit, name, light.Effort(1, 4, 1))

    monkeypatch.setattr(light, "solve", quick)

    def picture() -> Image:  # `studio` without its memory of the last two scenes
        return scene._opened.__wrapped__("cell", tmp_path).picture(EYE, SIZE, 1)

    first = picture()
    (kept,) = tmp_path.iterdir()
    assert (picture() == first).all()
    assert solved == ["cell"]
    for broken in (b"", b"no archive", kept.read_bytes()[:-200], bytes(reversed(kept.read_bytes()))):
        kept.write_bytes(broken)
        assert (picture() == first).all()
    assert len(solved) == 5


def test_the_light_that_ships_belongs_to_the_world_that_ships() -> None:
    world, found = scene.find("room").build(), scene.find("room")
    path = Path(scene.__file__).parents[1] / "data" / "scenes" / "room.npz"
    codes = light_cache.read(path, len(dark(geometry(world))), scene.light_key(found, world))
    assert codes is not None, "the room has changed: raise its version, solve its light again, freeze its views again"
    assert path.stat().st_size < 1_500_000


def test_frozen_views_are_what_planning_gives(room: Studio) -> None:
    for factor, number in (("angle", 3), ("distance", 11)):
        view = scene.find("room").views(factor, 12)[number]
        found = view_sampling.plan(room, "room", factor, number)
        assert (found.camera, found.motion) == (view.camera, view.motion)


@pytest.mark.parametrize("factor", MOTIONS)
def test_views_are_shared_out_and_named(factor: str) -> None:
    made = scene.find("room").views(factor)
    assert len(made) == len({v.digest for v in made}) == len({v.name for v in made}) == 50
    assert made[7].name == f"room-{factor}-07"
    assert sum(v.camera.mirrored for v in made) == 25
    counts = [sum(v.motion == motion for v in made) for motion in MOTIONS[factor]]
    assert max(counts) - min(counts) <= 2
    assert made[:5] == scene.find("room").views(factor, 5)


def test_frozen_cameras_stay_clear_of_things(room: Studio) -> None:
    for view in scene.find("room").views("distance", 8) + scene.find("room").views("angle", 8):
        path = [moved(view.camera, view.motion, s, view.pivot).position for s in np.linspace(0, 50, 21)]
        assert view_sampling.clear(room, np.array(path)), view.name


def test_another_seed_gives_other_views(room: Studio) -> None:
    first, other = scene.find("room").views("distance", 1)[0], scene.find("room").views("distance", 1, seed=3)[0]
    assert first.camera != other.camera
    assert other.name == "room-distance-00-3"


def test_planning_refuses_walls_things_and_cramped_worlds(studio: Studio) -> None:
    assert view_sampling.clear(studio, np.array([[0.6, 0.7, 1.5]]))
    assert not view_sampling.clear(studio, np.array([[0.1, 2.0, 1.5]]))  # at a wall
    assert not view_sampling.clear(studio, np.array([[1.8, 1.8, 0.35]]))  # in the box
    assert not view_sampling.clear(studio, np.array([[1.8, 1.8, 0.8]]))  # on the box
    assert not view_sampling.clear(studio, np.array([[5.0, 2.0, 1.5]]))  # outside
    assert view_sampling.structure(np.full((96, 128, 3), 90, np.uint8)) == 0
    assert view_sampling.structure(studio.picture(EYE, (128, 96), 1)) > 0.5
    cramped = replace(studio.world, places=(CameraRegion(*[(1.7, 1.7, 0.3)] * 4),))
    nowhere = replace(studio, world=cramped)
    with pytest.raises(LimenError, match="no room for view 0.*larger places"):
        view_sampling.plan(nowhere, "cell", "angle", 0)


def test_views_answer_for_what_is_given() -> None:
    view = scene.find("room").views("angle", 1)[0]
    with pytest.raises(UnknownNameError, match="No factor named 'angel'. Did you mean 'angle'"):
        scene.find("room").views("angel")
    with pytest.raises(UnknownNameError, match="No scene named 'rom'. Did you mean 'room'"):
        scene.find("rom").views("angle")
    with pytest.raises(InputError, match="not nan"):
        view.at(math.nan)
    with pytest.raises(InputError, match="at least one view"):
        scene.find("room").views("angle", 0)


def test_digests_stand_for_pixels() -> None:
    view = scene.View("room", EYE, "forward")
    others = [
        scene.View("room", EYE, "backward"),
        scene.View("room", Camera(EYE.position, EYE.yaw, EYE.pitch, EYE.field, mirrored=True), "forward"),
        scene.View("room", EYE, "forward", (320, 240)),
        scene.View("room", EYE, "forward", samples=1),
        scene.View("room", EYE, "forward", pivot=1.0),
    ]
    assert len({v.digest for v in [view, *others]}) == 6
    assert scene.View("room", EYE, "forward", label="09").digest == view.digest


def test_without_embree_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "embreex.mesh_construction", None)
    with pytest.raises(MissingExtraError, match=r"pip install -e '\.\[scene\]'"):
        Caster(geometry(cell()), panes=True)


def test_the_room_has_something_to_see(room: Studio) -> None:
    for view in scene.find("room").views("angle", 3, size=(128, 96), samples=1):
        assert view_sampling.structure(view.at(0)) >= view_sampling.BUSY[0]
        assert view_sampling.structure(view.at(50)) >= view_sampling.BUSY[1]
        assert 7 < psnr(view.at(0), view.at(1)) < 40


def test_a_sheet_is_a_grid() -> None:
    with pytest.raises(InputError, match="grid of points"):
        sheet(np.zeros((3, 3)), "m")


def test_a_report_draws_views_again(tmp_path: Path) -> None:
    """A run holds a view's recipe; its pictures come from the scene, and only where it is still the same scene."""
    from limen import distortion
    from limen.report import pictures
    from limen.store import SeriesRow, Store

    view = scene.find("room").views("angle", count=3)[2]
    kind = distortion.find("angle")
    about = {"version": kind.version, "ladder": kind.ladder.digest}
    row = SeriesRow("s", "angle", kind.word, view.name, view.digest, f"{view.digest}/0", len(kind.ladder), "scene")
    with Store.create(tmp_path / "run", {"distortions": {"angle": about}}) as store:
        with pytest.raises(InputError, match="limen render scene=room"):
            pictures.renderer(store, row)
        assert digest(pictures.renderer(store, row, views=True)(1)) == digest(view.at(1.0))
        other = SeriesRow("s", "angle", kind.word, view.name, "another", "another/0", 50, "scene")
        with pytest.raises(InputError, match="in another way"):
            pictures.renderer(store, other, views=True)
