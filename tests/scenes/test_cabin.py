"""The car cabin: it builds, is lit, is drawn the same twice, and its views stay clear of things."""

import json
from collections import Counter
from importlib import resources

import numpy as np
import pytest

from limen.scenes import scene
from limen.scenes.rendering import light, light_cache
from limen.scenes.rendering.camera import Camera, Studio
from limen.scenes.rendering.car_seats import Trim, cord, cushion, facing, mirrored, oval, swept
from limen.scenes.rendering.motion import MOTIONS, moved
from limen.scenes.rendering.shading import LitWorld
from limen.scenes.rendering.street import parked
from limen.scenes.rendering.surface import Patch, box
from limen.scenes.rendering.view_sampling import CLEAR, clear, structure
from limen.scenes.rendering.world import Caster, geometry, paint

BENCH = Camera((-1.2, 0.0, 1.12), 0.0, -9.0, 75.0)
WHEEL = Camera((-0.22, 0.4, 1.12), -2.0, -14.0, 72.0)


@pytest.fixture(scope="module")
def studio() -> Studio:
    """Return the cabin under light of few rays."""
    world = scene.find("cabin").build()
    shapes = geometry(world)
    solid = Caster(shapes, panes=False)
    blank = np.zeros((int(shapes.start[-1]), 3), np.float32)
    unlit = LitWorld(shapes, paint(world), world.sky, blank, solid)
    solved = light.solve(world, unlit, "cabin", light.Effort(light=4, sphere=4, bounces=1))
    return Studio(world, LitWorld(shapes, unlit.paint, world.sky, solved, solid), Caster(shapes, panes=True))


@pytest.fixture(scope="module")
def frozen() -> dict[str, list[dict[str, object]]]:
    """Return the views that ship."""
    return json.loads((resources.files("limen") / "data" / "scenes" / "cabin.json").read_text())


def volume(patches: list[Patch]) -> float:
    """Return what closed patches enclose: positive where fronts face outwards."""
    total = 0.0
    for patch in patches:
        p = patch.points
        a, b, c, d = p[:-1, :-1], p[:-1, 1:], p[1:, 1:], p[1:, :-1]
        total += float((a * (np.cross(b, c) + np.cross(c, d))).sum()) / 6
    return total


def inside(studio: Studio) -> np.ndarray:
    """Say which nodes of light belong to patches in the cabin."""
    shapes = studio.lit.geometry
    which = np.zeros(int(shapes.start[-1]), dtype=bool)
    for k, patch in enumerate(studio.world.patches):
        if np.abs(patch.points.mean(axis=(0, 1)) - [-0.5, 0, 0.6]).max() < 1.2:
            which[shapes.start[k] : shapes.start[k + 1]] = True
    return which


def test_patches_are_whole_and_their_materials_known(studio: Studio) -> None:
    for patch in studio.world.patches:
        assert np.isfinite(patch.points).all()
        assert patch.material in studio.world.materials
        length = np.linalg.norm(patch.normals, axis=-1)
        assert ((np.abs(length - 1) < 1e-6) | (length < 1e-6)).all()
    used = {patch.material for patch in studio.world.patches}
    assert set(studio.world.materials) == used


def test_it_is_no_larger_than_can_be_lit_in_two_minutes(studio: Studio) -> None:
    assert len(studio.lit.geometry.triangles) < 320_000
    assert len(studio.lit.light) < 210_000


def test_the_light_that_ships_belongs_to_the_world_that_ships(studio: Studio) -> None:
    key = scene.light_key(scene.find("cabin"), studio.world)
    with resources.as_file(resources.files("limen") / "data" / "scenes" / "cabin.npz") as path:
        codes = light_cache.read(path, len(studio.lit.light), key)
        assert codes is not None, "the cabin has changed: raise its version, solve its light and freeze its views again"
        assert path.stat().st_size < 1_000_000


def test_padding_and_trim_face_outwards() -> None:
    trim = Trim("a", "b", "c", "d", "e")
    padded = cushion([(0, 0, 0), (-0.05, 0, 0.3), (-0.1, 0, 0.6)], [0.25, 0.26, 0.2], [0.06, 0.07, 0.05], trim)
    assert 0.01 < volume(padded) < 0.6 * 0.52 * 0.14
    bar = swept([(0, 0, 0), (0.5, 0, 0), (1, 0, 0)], oval(0.1, 0.05, 1.0, 96), "a", (0, 1, 0))
    assert volume(bar) == pytest.approx(np.pi * 0.1 * 0.05, rel=0.01)
    assert volume(mirrored(bar)) == pytest.approx(volume(bar))
    assert volume(parked("a", "b", "c", "d", "e", "f")[:3]) > 3.0


def test_bolsters_stand_out_and_ribs_do_not() -> None:
    trim = Trim("insert", "leather", "piping", "d", "e")
    spine = [(0, 0, 0), (0, 0, 0.3), (0, 0, 0.6)]
    flat = cushion(spine, [0.25] * 3, [0.06] * 3, trim)
    shaped = cushion(spine, [0.25] * 3, [0.06] * 3, trim, bolster=0.05)

    def reach(patches: list[Patch], material: str) -> float:
        return max(float(p.points[..., 0].max()) for p in patches if p.material == material)

    assert reach(shaped, "leather") - reach(flat, "leather") > 0.02
    assert reach(shaped, "insert") - reach(flat, "insert") < 0.02


def test_mirroring_twice_changes_nothing() -> None:
    made = cord([(0, 0.2, 0), (0.3, 0.3, 0), (0.5, 0.4, 0.2)], 0.01, "a")
    for before, after in zip(made, mirrored(mirrored(made)), strict=True):
        np.testing.assert_allclose(before.points, after.points)
        np.testing.assert_allclose(before.normals, after.normals)
        assert before.nodes == after.nodes


def test_facing_turns_the_viewers_frame_into_that_of_the_car() -> None:
    ahead = facing(box((-0.1, 1.0, -0.1), (0.1, 1.2, 0.1), "a"), (0, 0, 0))
    low, high = (f(np.concatenate([p.points.reshape(-1, 3) for p in ahead]), axis=0) for f in (np.min, np.max))
    np.testing.assert_allclose(low, [1.0, -0.1, -0.1], atol=1e-9)
    np.testing.assert_allclose(high, [1.2, 0.1, 0.1], atol=1e-9)


def test_light_is_finite_and_weaker_inside_than_outside(studio: Studio) -> None:
    assert np.isfinite(studio.lit.light).all()
    assert (studio.lit.light >= 0).all()
    brightness, within = studio.lit.light.mean(axis=1), inside(studio)
    assert np.median(brightness[within]) < 0.5 * np.median(brightness[~within])
    assert np.median(brightness[within]) > 0.02


def test_the_same_view_is_the_same_bytes_and_full_of_things(studio: Studio) -> None:
    for camera in (BENCH, WHEEL):
        picture = studio.picture(camera, (128, 96), 2)
        assert picture.dtype == np.uint8
        assert picture.shape == (96, 128, 3)
        np.testing.assert_array_equal(picture, studio.picture(camera, (128, 96), 2))
        assert structure(picture) > 0.6


def test_the_screen_and_the_sky_are_where_they_belong(studio: Studio) -> None:
    picture = studio.picture(BENCH, (128, 96), 1).astype(int)
    roof_glass, screen, gap = picture[2, 60], picture[45, 60:68].mean(axis=0), picture[70:74, 50:56].mean(axis=(0, 1))
    assert roof_glass[2] > 150
    assert screen.mean() > gap.mean() + 40


def test_fifty_views_of_each_factor_ship_half_of_them_mirrored(frozen: dict[str, list[dict[str, object]]]) -> None:
    for factor, motions in MOTIONS.items():
        rows = frozen[factor]
        assert len(rows) == 50
        assert sum(bool(row["mirrored"]) for row in rows) == 25
        counts = Counter(str(row["motion"]) for row in rows)
        assert set(counts) == set(motions)
        assert min(counts.values()) >= 8


def test_no_view_comes_near_a_thing_at_any_level(studio: Studio) -> None:
    for factor in MOTIONS:
        for view in scene.find("cabin").views(factor, 50):
            path = [moved(view.camera, view.motion, float(level), view.pivot).position for level in range(51)]
            assert clear(studio, np.array(path)), view.name
    assert not clear(studio, np.array([[0.55, 0.42, 0.8]]))  # within CLEAR of the steering wheel
    assert CLEAR == 0.15
