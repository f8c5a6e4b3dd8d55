"""Pixels in flight are bounded, large photographs are announced, and may be scaled down as a declared part of a run."""

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from limen import image, source
from limen.analysis import analyse
from limen.errors import InputError, StoreError
from limen.observer import Reply
from limen.question import Query
from limen.report import headline
from limen.source import Reference
from limen.store import Store
from limen.study import Spec, Study
from limen.study.pixel_budget import PixelBudget, announcement
from limen.testing import photograph
from tests.support.toy import Toy


@given(st.lists(st.integers(1, 30), min_size=1, max_size=30), st.integers(1, 40), st.randoms())
def test_never_over_the_budget_unless_alone_and_first_come_is_first_served(
    sizes: list[int], whole: int, chance: Any
) -> None:
    under_way: list[int] = []
    order: list[int] = []

    async def work(budget: PixelBudget, number: int, size: int) -> None:
        share = await budget.take(size)
        under_way.append(size)
        order.append(number)
        assert sum(under_way) <= whole or len(under_way) == 1
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        under_way.remove(size)
        budget.give_back(share)

    async def run() -> None:
        budget = PixelBudget(whole)
        await asyncio.gather(*(work(budget, *item) for item in enumerate(sizes)))
        assert await budget.take(whole) == whole  # all of it is there again

    asyncio.run(asyncio.wait_for(run(), 20))
    assert order == sorted(order)


@pytest.mark.parametrize("late", [False, True], ids=["while it waits", "as its turn comes"])
def test_one_that_is_called_off_leaves_its_room_to_those_behind(late: bool) -> None:
    async def run() -> None:
        budget = PixelBudget(10)
        share = await budget.take(6)
        large, small = asyncio.create_task(budget.take(8)), asyncio.create_task(budget.take(4))
        await asyncio.sleep(0)
        assert not small.done()  # it would fit, but waits behind the large one
        if late:
            budget.give_back(share)
        large.cancel()
        assert await small == 4
        with pytest.raises(asyncio.CancelledError):
            await large
        if not late:
            budget.give_back(share)
        budget.give_back(4)
        assert await budget.take(10) == 10

    asyncio.run(asyncio.wait_for(run(), 5))


class Crowd(Toy):
    """Counts how many questions are before it at once."""

    def __init__(self) -> None:
        super().__init__(lambda query: "<no> Both images look exactly the same.", concurrency=8)
        self.now = self.most = 0

    async def answer(self, query: Query) -> Reply:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.002)
        self.now -= 1
        return await super().answer(query)


def thresholds(out: Path) -> list[tuple[str, list[str]]]:
    with Store.open(out) as store:
        return [(one.series.id, [str(t) for t in one.thresholds]) for one in analyse(store).outcomes]


def test_series_wait_for_room_and_find_the_same(photos: Path, tmp_path: Path) -> None:
    most = {}
    for name, megapixels in (("one", 0.006), ("all", 48.0)):  # a photograph has 64 x 80 px
        spec = Spec((str(photos),), ("simulated",), ("qr", "mask"), megapixels_in_flight=megapixels)
        crowd = Crowd()
        dataclasses.replace(Study.plan(spec), observers=(crowd,)).run(tmp_path / name)
        most[name] = crowd.most
    assert most["one"] == 1 < most["all"]
    assert thresholds(tmp_path / "one") == thresholds(tmp_path / "all")


def test_a_failed_series_gives_its_room_back(photos: Path, tmp_path: Path) -> None:
    spec = Spec((str(photos),), ("simulated",), ("qr",), megapixels_in_flight=0.006)
    progress = dataclasses.replace(Study.plan(spec), observers=(Toy(lambda query: None),)).run(tmp_path / "run")
    assert len(progress.unfinished) == progress.done == 4


def test_large_photographs_are_announced_with_what_they_cost() -> None:
    small, large = (1024, 768), (6000, 4000)
    assert announcement([small] * 9, 48, 0) == ""
    told = announcement([small, large, (8000, 3000), (4000, 2000)], 48, 0)
    assert told.startswith("3 of 4 photographs have over 4 megapixels, the largest 6000x4000: ")
    assert (
        "about 3 s on one core, 1.2 GB of memory, and sent as PNG 72 MB; 2 series of its size go side by side" in told
    )
    assert "--max-side 1024" in told
    assert "0.09 s on one core, 35 MB of memory, and sent as PNG 2 MB" in told  # 1024 x 683 px
    assert "--max-side" not in announcement([(1000, 5000)], 48, 1000)
    assert "1 series of its size" in announcement([(9000, 7000)], 48, 0)


def test_a_run_announces_them(tmp_path: Path) -> None:
    Pillow.fromarray(np.tile(photograph("a", 64, 80), (32, 32, 1))).save(tmp_path / "a.jpg")
    spec = Spec((str(tmp_path / "a.jpg"),), ("simulated",), ("mask",), procedure={"name": "constant"})
    study = dataclasses.replace(Study.plan(spec), observers=(Toy(lambda query: None),))
    notices = study.run(tmp_path / "run").notices
    assert any("1 of 1 photographs have over 4 megapixels, the largest 2560x2048" in one for one in notices)


# --- max_side ---


def test_what_is_shown_is_the_scaled_photograph_under_a_digest_of_its_own(photos: Path) -> None:
    whole = source.collect([photos])
    scaled = source.collect([photos], max_side=40)
    assert [one.name for one in scaled.references] == [one.name for one in whole.references]
    for before, after in zip(whole.references, scaled.references, strict=True):
        pixels = after.load()
        expected = np.asarray(Pillow.fromarray(before.load()).resize((40, 32), Pillow.Resampling.LANCZOS))
        assert np.array_equal(pixels, expected)
        assert after.size == (40, 32)
        assert after.digest == image.digest(pixels) != before.digest


def test_photographs_that_are_small_enough_stay_as_they_are(photos: Path) -> None:
    digests = [[one.digest for one in source.collect([photos], max_side=side).references] for side in (0, 80, 500)]
    assert digests[0] == digests[1] == digests[2]


def test_both_pictures_of_a_pair_are_scaled_and_one_without_a_known_size_is_looked_at() -> None:
    first, second = photograph("a", 64, 80), photograph("b", 64, 80)
    pair = Reference("p", source.digest_of((first, second)), lambda: (first, second), kind="pair")
    scaled = source.scaled_down(pair, 50)
    assert isinstance(scaled, Reference)
    assert [one.shape for one in scaled.load()] == [(40, 50, 3)] * 2
    assert scaled.digest == source.digest_of(scaled.load()) != pair.digest


def test_a_panorama_that_would_be_too_low_is_refused_by_name(tmp_path: Path) -> None:
    Pillow.fromarray(photograph("a", 40, 400)).save(tmp_path / "wide.png")
    Pillow.fromarray(photograph("b", 64, 80)).save(tmp_path / "usual.png")
    found = source.collect([tmp_path], max_side=64)
    assert [one.name for one in found.references] == ["usual.png"]
    assert found.refused == (
        "wide.png: 400x40 pixels scaled to 64 px a side are 64x6, under 32 px. Crop the image, or allow a longer side.",
    )


def test_it_is_declared_and_never_mixed(photos: Path, tmp_path: Path) -> None:
    spec = Spec((str(photos),), ("simulated",), ("qr",), max_side=40, limit=1)
    toy = Toy(lambda query: "<no> Both images look exactly the same.")
    dataclasses.replace(Study.plan(spec), observers=(toy,)).run(tmp_path / "run")
    with Store.open(tmp_path / "run") as store:
        assert store.manifest["max_side"] == 40
        assert "Over 1 references scaled to 40 px a side at most, measured" in headline.sentence(analyse(store), ())
    for other in (0, 50):
        with pytest.raises(StoreError, match=f"max_side was 40 there and is {other} now"):
            Study.plan(msgspec.structs.replace(spec, max_side=other)).run(tmp_path / "run")


def test_a_side_no_distortion_fits_is_refused(photos: Path) -> None:
    with pytest.raises(InputError, match="max_side is 12 px. Give 32 or more, or 0"):
        Study.plan(Spec((str(photos),), ("simulated",), max_side=12))
