"""Series of one reference that are open together share what it loads; what nobody holds is let go."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from limen import distortion, image
from limen.source import Reference
from limen.stimulus import Series


def reference(seed: int) -> tuple[Reference, list[str]]:
    """Return a reference, and a list that grows each time it is loaded."""
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    loads: list[str] = []

    def load() -> image.Image:
        loads.append(threading.current_thread().name)
        return pixels.copy()

    return Reference(f"r{seed}", image.digest(pixels), load, source="array", size=(48, 40)), loads


def test_open_series_of_one_reference_share_its_pixels() -> None:
    one, loads = reference(1)
    blur, noise = (Series(one, distortion.find(name)).open() for name in ("blur", "noise"))
    assert len(loads) == 1
    assert blur(0).pixels is noise(0).pixels
    assert blur(3).digest != noise(3).digest


def test_it_is_loaded_again_when_nobody_holds_it() -> None:
    one, loads = reference(2)
    draw = Series(one, distortion.find("blur")).open()
    first = draw(5).digest
    del draw
    again = Series(one, distortion.find("blur")).open()
    assert len(loads) == 2
    assert again(5).digest == first


def test_threads_that_open_at_once_load_it_once() -> None:
    one, loads = reference(3)
    kinds = [distortion.find(name) for name in ("blur", "noise", "contrast", "saturation", "jpeg", "mask")]
    with ThreadPoolExecutor(6) as threads:
        drawn = list(threads.map(lambda kind: Series(one, kind).open(), kinds))
    assert len(loads) == 1
    assert len({draw(0).digest for draw in drawn}) == 1


def test_another_reference_of_the_same_name_is_another() -> None:
    one, _ = reference(4)
    other, loads = reference(5)
    other = replace(other, name=one.name)
    first, second = (Series(which, distortion.find("noise")).open() for which in (one, other))
    assert loads
    assert first(0).digest == one.digest
    assert second(0).digest == other.digest
