"""What arrives: the real image processors of transformers, the as-seen floor, and what a study keeps of it."""

import math
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from limen import distortion, observer, source
from limen.errors import InputError
from limen.image import Image, Picture
from limen.preflight import model_input
from limen.preflight.model_input import Floor, ModelInput, floor, psnr
from limen.stimulus import Series
from limen.store import Store
from limen.study import Spec, Study
from limen.testing import photograph
from tests.support.toy import Toy

UNIT = (1.0, 1.0, 1.0)
ZERO = (0.0, 0.0, 0.0)


def arrived(images: Any, *pictures: Image, patch: int | None = None) -> tuple[ModelInput, ...]:
    """Return what an image processor gives of pictures shown together."""
    from limen.observers.local import arriving

    batch = images(images=[[Pillow.fromarray(one) for one in pictures]], return_tensors="pt")
    tensors = {name: value for name, value in batch.items() if hasattr(value, "is_floating_point")}
    return arriving.seen(tensors, len(pictures), images, None, patch)


def resized(image: Image, width: int, height: int, name: str = "BICUBIC") -> Image:
    return np.asarray(Pillow.fromarray(image).resize((width, height), Pillow.Resampling[name]))


@pytest.fixture(scope="module")
def processors() -> Any:
    import transformers

    from tests.support import tiny  # noqa: F401

    return transformers


@pytest.fixture(scope="module")
def wide() -> Image:
    return photograph("wide", 120, 200)


# --- real image processors ---


@pytest.mark.parametrize(
    ("bounds", "size"),
    [
        ({}, (196, 112)),  # 200x120 to multiples of 28
        ({"max_pixels": 100 * 100}, (112, 56)),  # 28 * floor(200 / 1.549 / 28), 28 * floor(120 / 1.549 / 28)
        ({"min_pixels": 400 * 400}, (532, 336)),  # 28 * ceil(200 * 2.582 / 28), 28 * ceil(120 * 2.582 / 28)
    ],
)
def test_qwen_scales_to_its_patches_and_bounds(
    processors: Any, wide: Image, bounds: dict[str, int], size: tuple[int, int]
) -> None:
    first, second = arrived(processors.Qwen2VLImageProcessorPil(**bounds), wide, wide[:, ::-1])
    picture = first.picture(wide)
    assert picture.shape == (size[1], size[0], 3)
    assert np.array_equal(picture, resized(wide, *size))
    assert np.array_equal(second.picture(wide[:, ::-1]), resized(np.ascontiguousarray(wide[:, ::-1]), *size))
    assert model_input.scaling(wide, picture) == f"{size[0]}x{size[1]}, bicubic if larger or smaller"
    assert (len(first.values), first.patch) == (1, 14)


def test_larger_patches_mean_coarser_sizes(processors: Any, wide: Image) -> None:
    found = arrived(processors.Qwen2VLImageProcessorPil(patch_size=16), wide, wide)[0]
    assert np.array_equal(found.picture(wide), resized(wide, 192, 128)), "200x120 to multiples of 32"
    assert found.patch == 16
    untouched = photograph("fits", 96, 160)
    assert np.array_equal(
        arrived(processors.Qwen2VLImageProcessorPil(patch_size=16), untouched)[0].picture(untouched), untouched
    )


@pytest.mark.parametrize("name", ["Idefics3ImageProcessorPil", "SmolVLMImageProcessorPil"])
def test_idefics3_cuts_tiles_after_scaling_them_to_whole_ones(processors: Any, wide: Image, name: str) -> None:
    images = getattr(processors, name)(size={"longest_edge": 192}, max_image_size={"longest_edge": 64})
    first, second = arrived(images, wide, 255 - wide)
    assert first.values.shape == (3 * 2 + 1, 3, 64, 64), "200x120 becomes 192x128: two rows of three, and all of it"
    joined = first.picture(wide)
    assert joined.shape == (128, 192, 3)
    assert psnr(joined, resized(wide, 192, 128, "LANCZOS")) > 30, "scaled twice: to 192x116, then to 192x128"
    assert np.mean(np.abs(second.picture(255 - wide).astype(int) - (255 - joined.astype(int)))) < 1.5
    whole = arrived(type(images)(size={"longest_edge": 64}, max_image_size={"longest_edge": 64}), wide)[0]
    assert len(whole.values) == 1, "no larger than a tile: not cut"


def test_idefics2_splits_into_four_and_an_overview(processors: Any, wide: Image) -> None:
    images = processors.Idefics2ImageProcessorPil(do_image_splitting=True)
    tiles = arrived(images, wide, wide)[0]
    assert len(tiles.values) == 5
    joined = tiles.picture(wide)
    assert psnr(joined, resized(wide, joined.shape[1], joined.shape[0])) > 25
    plain = arrived(processors.Idefics2ImageProcessorPil(do_image_splitting=False), wide, wide)[0]
    assert len(plain.values) == 1


def test_internvl_tiles_by_the_nearest_aspect_ratio(processors: Any, wide: Image) -> None:
    square = {"height": 64, "width": 64}
    for most, columns, rows in ((3, 2, 1), (6, 3, 2)):  # 200:120 is 1.67
        images = processors.GotOcr2ImageProcessorPil(size=square, crop_to_patches=True, max_patches=most)
        first, second = arrived(images, wide, 255 - wide)
        assert first.values.shape == (columns * rows + 1, 3, 64, 64), "tiles, and all of it"
        size = (64 * columns, 64 * rows)
        assert np.array_equal(first.picture(wide), resized(wide, *size))
        assert np.array_equal(second.picture(255 - wide), resized(255 - wide, *size))
        assert model_input.scaling(wide, first.picture(wide)) == f"{size[0]}x{size[1]}, bicubic if larger or smaller"
    untiled = processors.GotOcr2ImageProcessorPil(size=square, crop_to_patches=False)
    assert np.array_equal(arrived(untiled, wide, wide)[0].picture(wide), resized(wide, 64, 64))


def test_llava_next_puts_the_overview_first(processors: Any, wide: Image) -> None:
    images = processors.LlavaNextImageProcessorPil(
        size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}, image_grid_pinpoints=[[56, 112], [112, 56]]
    )
    found = arrived(images, wide, wide)[0]
    assert found.values.shape == (3, 3, 56, 56)
    assert found.picture(wide).shape == (56, 112, 3)


@pytest.mark.parametrize("name", ["SiglipImageProcessorPil", "Gemma3ImageProcessorPil", "ViTImageProcessorPil"])
def test_a_square_of_fixed_size(processors: Any, wide: Image, name: str) -> None:
    images = getattr(processors, name)(size={"height": 48, "width": 48})
    found = arrived(images, wide)[0] if name != "Gemma3ImageProcessorPil" else arrived(images, wide, wide)[0]
    said = model_input.scaling(wide, found.picture(wide))
    kind = Pillow.Resampling(images.resample).name.lower()
    assert said == f"48x48, {kind} if larger or smaller"


def test_clip_cuts_the_sides_off_and_says_nothing_about_scaling(processors: Any, wide: Image) -> None:
    images = processors.CLIPImageProcessorPil(size={"shortest_edge": 60}, crop_size={"height": 60, "width": 60})
    found = arrived(images, wide)[0].picture(wide)
    assert np.array_equal(found, resized(wide, 100, 60)[:, 20:80])
    assert model_input.scaling(wide, found) == ""


def test_siglip2_keeps_the_shape_in_patches(processors: Any, wide: Image) -> None:
    found = arrived(processors.Siglip2ImageProcessorPil(patch_size=8, max_num_patches=60), wide, wide)[0]
    picture = found.picture(wide)
    assert picture.shape == (48, 80, 3)
    assert model_input.scaling(wide, picture) == "80x48, bilinear if larger or smaller"


def test_a_layout_that_is_not_known_is_refused() -> None:
    import torch

    from limen.observers.local import arriving

    images = SimpleNamespace()
    with pytest.raises(InputError, match=r"SimpleNamespace gives pixel_values of shape \(4, 9\), a layout"):
        arriving.seen({"pixel_values": torch.zeros(4, 9)}, 2, images, None, None)
    with pytest.raises(InputError, match="gives no pixel_values, but input_ids"):
        arriving.seen({"input_ids": torch.zeros(4)}, 2, images, None, None)
    with pytest.raises(InputError, match="gives 3 tiles of 2 pictures"):
        arriving.seen({"pixel_values": torch.zeros(3, 3, 8, 8)}, 2, images, None, None)


# --- through whole checkpoints ---


@pytest.mark.parametrize("family", ["idefics3", "qwen2_vl", "llava_onevision", "internvl"])
def test_a_local_model_sees_the_same_with_and_without_its_weights(family: str, tmp_path: Path) -> None:
    import asyncio

    from tests.support import tiny

    folder = tiny.FAMILIES[family](tmp_path / family)
    pair = [Picture.of(photograph(name, 48, 80)) for name in ("a", "b")]

    async def held() -> tuple[ModelInput, ...]:
        async with observer.make(f"local:{folder}", {}) as made:
            assert isinstance(made, model_input.InputObserver)
            return made.see(pair)

    bare = observer.make(f"local:{folder}", {})
    assert isinstance(bare, model_input.InputObserver)
    for one, other, picture in zip(asyncio.run(held()), bare.see(pair), pair, strict=True):
        assert one.same(other)
        assert one.tokens == other.tokens
        assert one.tokens
        if family in {"qwen2_vl", "internvl"}:  # the others scale twice, or pad to a square
            assert model_input.scaling(picture.pixels, one.picture(picture.pixels))
    assert not one.same(bare.see(pair)[0])


def test_a_number_format_hides_single_grey_levels(tmp_path: Path) -> None:
    from tests.support import tiny

    folder = tiny.qwen2_vl(tmp_path / "qwen")
    blue = np.full((64, 64, 3), 253, np.uint8)
    more = blue.copy()
    more[:, :, 2] += 1
    pair = [Picture.of(blue), Picture.of(more)]
    for dtype, same in (("float32", False), ("bfloat16", True)):
        made = observer.make(f"local:{folder}", {"dtype": dtype})
        assert isinstance(made, model_input.InputObserver)
        first, second = made.see(pair)
        assert first.same(second) is same, "CLIP's scaling puts blues .0142 apart; above 2, bfloat16 steps by .0156"


# --- the floor ---


def straight(pictures: Sequence[Picture]) -> tuple[ModelInput, ...]:
    """See every pixel."""
    return tuple(ModelInput(one.pixels.transpose(2, 0, 1)[None].astype(np.float32), UNIT, ZERO) for one in pictures)


def coarse(pictures: Sequence[Picture]) -> tuple[ModelInput, ...]:
    """See only sixteen grey levels."""
    return tuple(
        ModelInput((one.pixels.transpose(2, 0, 1)[None] // 16).astype(np.float32), (16.0,) * 3, ZERO)
        for one in pictures
    )


def test_the_floor_is_where_the_input_first_differs() -> None:
    base = np.full((8, 8, 3), 100, np.uint8)  # 100 // 16 = 6; 112 // 16 = 7

    def stimulus(level: int) -> Picture:
        return Picture.of(base + np.uint8(5 * level))

    found = floor(coarse, stimulus, 4)
    assert found.first == 3
    assert found.unseen == (1, 2)
    assert found.seen[:2] == (math.inf, math.inf)
    assert found.seen[2] == pytest.approx(10 * math.log10(255**2 / 16**2))
    assert found.sent == pytest.approx([10 * math.log10(255**2 / (5 * level) ** 2) for level in range(1, 5)])
    assert found.row()["seen_db"] == [None, None, 24.05, 24.05]
    everything = floor(straight, stimulus, 4)
    assert everything.first == 1
    assert everything.seen == everything.sent
    assert everything.pixels == "8x8, bicubic if larger or smaller"
    assert (everything.size, everything.tiles, everything.tokens) == ((8, 8), 1, None)


def test_a_change_that_never_arrives_has_no_floor_and_another_size_always_arrives() -> None:
    base = photograph("a", 16, 16)
    nothing = floor(straight, lambda level: Picture.of(base), 3)
    assert (nothing.first, nothing.unseen) == (None, (1, 2, 3))
    cut = floor(straight, lambda level: Picture.of(base if level != 2 else np.ascontiguousarray(base[1:])), 3)
    assert cut.seen == (math.inf, 0.0, math.inf)
    assert cut.first == 2


def test_the_demo_model_hides_blur_of_large_photographs() -> None:
    demo = observer.make("demo", {})
    assert isinstance(demo, model_input.InputObserver)
    large = Picture.of(photograph("large", 384, 512))
    series = distortion.find("noise")
    render = series.render(large.pixels, "key")
    found = floor(demo.see, lambda level: Picture.of(render(level)), 10)
    assert found.size == (64, 64)
    assert found.pixels == "64x64, bicubic if larger or smaller"
    gained = [after - before for before, after in zip(found.sent, found.seen, strict=True)]
    assert min(gained) > 6, "averaging some 48 pixels into one hides noise"


# --- what a study keeps ---


class Numeric:
    """An observer with a criterion."""

    name = "numeric"

    def __init__(self) -> None:
        self.given: list[Any] = []

    def calibrate(self, pictures: Sequence[Picture]) -> dict[str, Any]:
        self.given.append(len(pictures))
        return {"criterion": 0.5}

    def judge_by(self, row: Any) -> None:
        self.given.append(row)


def some_series() -> tuple[Series, ...]:
    found = source.collect(("demo",), 2)
    return tuple(Series(one, distortion.find(name)) for one in found.references for name in ("blur", "noise"))


def test_floors_are_kept_once_a_series(tmp_path: Path) -> None:
    demo, series = observer.make("demo", {}), some_series()
    with Store.create(tmp_path / "run", {}) as store:
        assert model_input.keep_floors(demo, series[:3], store) == ""
        first = model_input.floor_key("demo", series[0].id)
        kept = store.measurements("floor")[first] | {"first": 49}
        store.add_measurements("floor", {first: kept})
        assert model_input.keep_floors(demo, series, store) == ""
        rows = store.measurements("floor")
    assert len(rows) == 4
    assert rows[first] == kept
    row = rows[model_input.floor_key("demo", series[3].id)]
    assert (row["observer"], row["series"]) == ("demo", series[3].id)
    assert len(row["seen_db"]) == len(series[3])
    assert row["seen_db"] == row["sent_db"], "the bundled photographs have the model's size"


def test_a_study_says_what_it_draws_before_the_first_question(tmp_path: Path) -> None:
    """A codec's program may take a second a level: nobody should look at a bar that stands still."""

    class Seeing(Toy):
        def see(self, pictures: Sequence[Picture]) -> tuple[ModelInput, ...]:
            return straight(pictures)

    toy, said = Seeing(lambda query: "<yes>"), list[tuple[str, int]]()
    kinds = [distortion.find("jpeg"), distortion.find("noise")]
    study = Study.of(Spec(images=("demo",), observers=(), limit=1), [toy], kinds)
    study.run(tmp_path / "run", lambda progress: said.append((progress.doing, progress.asked)))
    before = [doing for doing, asked in said if doing and not asked]
    assert before[:2] == ["drawing jpeg", "drawing noise"]
    levels = [
        f"as-seen floor {number}/2, level {level}/{len(kind.ladder)}"
        for number, kind in enumerate(kinds, start=1)
        for level in range(len(kind.ladder) + 1)
    ]
    assert before[2:] == levels
    assert [doing for doing, asked in said if asked and doing] == []
    said.clear()
    study.run(tmp_path / "run", lambda progress: said.append((progress.doing, progress.asked)))
    assert {doing for doing, _ in said} == {"drawing jpeg", "drawing noise", ""}, "floors are kept"


def test_an_observer_that_cannot_say_leaves_a_line_and_no_rows(tmp_path: Path) -> None:
    class Blind:
        name = "blind"

        def see(self, pictures: Sequence[Picture]) -> tuple[ModelInput, ...]:
            raise InputError("its layout is not known.")

    with Store.create(tmp_path / "run", {}) as store:
        said = model_input.keep_floors(Blind(), some_series(), store)
        assert said == "No as-seen floor for blind: its layout is not known."
        assert model_input.keep_floors(observer.make("simulated", {}), some_series(), store) == ""
        assert store.measurements("floor") == {}


def test_one_series_that_cannot_be_seen_does_not_cost_the_others(tmp_path: Path) -> None:
    calls = []

    class Picky:
        name = "picky"

        def see(self, pictures: Sequence[Picture]) -> tuple[ModelInput, ...]:
            calls.append(len(pictures))
            if 30 < len(calls) < 60:
                raise InputError("this one is too wide.")
            return straight(pictures)

    series = some_series()
    with Store.create(tmp_path / "run", {}) as store:
        said = model_input.keep_floors(Picky(), series, store)
        assert said == "3 series without an as-seen floor, the first: this one is too wide."
        assert list(store.measurements("floor")) == [model_input.floor_key("picky", series[0].id)]
    assert set(calls) == {2}, "always in pairs"


def test_what_a_processor_refuses_is_a_line(tmp_path: Path) -> None:
    from tests.support import tiny

    made = observer.make(f"local:{tiny.qwen2_vl(tmp_path / 'qwen')}", {})
    assert isinstance(made, model_input.InputObserver)
    with pytest.raises(InputError, match="absolute aspect ratio must be smaller than 200"):
        made.see([Picture.of(np.zeros((8, 2000, 3), np.uint8))] * 2)


def test_a_criterion_is_fixed_once_from_the_references(tmp_path: Path) -> None:
    first, second = Numeric(), Numeric()
    with Store.create(tmp_path / "run", {}) as store:
        model_input.calibrate(first, some_series(), store)
        model_input.calibrate(second, some_series(), store)
        model_input.calibrate(observer.make("demo", {}), some_series(), store)
        assert store.measurements("calibration") == {"numeric": {"criterion": 0.5}}
        assert model_input.judged(store.measurements("calibration")["numeric"]) == "yes above 0.5, declared"
        with pytest.raises(InputError, match="not one could be loaded"):
            model_input.calibrate(Numeric(), (), Store.create(tmp_path / "other", {}))
    assert first.given == [2], "four series, two references"
    assert second.given == [{"criterion": 0.5}]


def test_psnr_by_hand() -> None:
    black, white = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
    assert psnr(black, white) == 0.0
    assert psnr(black, black) == math.inf
    half = black.copy()
    half[0] = 255
    assert psnr(black, half) == pytest.approx(10 * math.log10(2))
    assert Floor((1.0,), (math.inf,), (1, 1), 1, None, "").first is None
