"""No damage to a picture file, and no bytes behind a format's first ones, give anything but pixels or one line."""

import functools
import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from limen import image
from limen.errors import InputError
from limen.image import colour, container
from limen.image.container import Colour

P3 = Colour((0.3127, 0.3290, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06))
STARTS = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF89a",
    b"II\x2a\x00",
    b"MM\x00\x2b",
    b"RIFF\0\0\0\0WEBPVP8 ",
    b"BM" + bytes(12) + b"\x7c\0\0\0",
    b"P6 ",
    b"\0\0\0\x18ftypavif",
    b"\x00\x00\x00\x0cjP  \r\n\x87\n",
    b"\xff\x4f\xff\x51",
)


@functools.cache
def files() -> tuple[bytes, ...]:
    """Return a small picture in every format that is read, with a profile where it can have one."""
    y, x = np.mgrid[:36, :40]
    picture = Pillow.fromarray(np.stack([x * 6, y * 7, (x + y) * 3], -1).astype(np.uint8))
    made = []
    for kind in container.reads():
        for options in ({}, {"icc_profile": colour.profile_of(P3)}):
            buffer = io.BytesIO()
            picture.save(buffer, kind, **options)
            made.append(buffer.getvalue())
    return tuple(made)


def check(data: bytes) -> None:
    try:
        found = image.decode(data, "x")
    except InputError as error:
        text = str(error)
        assert text.startswith("x: ")
        assert text.isprintable()
        assert len(text) < 400
    else:
        assert found.dtype == np.uint8
        assert found.shape[2] == 3


EDITS = st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4)), max_size=6)


@given(which=st.integers(0, 2 * len(container.reads()) - 1), early=st.booleans(), edits=EDITS, cut=st.floats(0, 1))
def test_no_damage_escapes(which: int, early: bool, edits: list[tuple[float, bytes]], cut: float) -> None:
    data = bytearray(files()[which])
    for place, new in edits:
        at = int(place * (min(300, len(data)) if early else len(data)))
        data[at : at + len(new)] = new
    check(bytes(data if cut > 0.3 else data[: int(len(data) * cut / 0.3)]))


@given(start=st.sampled_from(STARTS), rest=st.binary(max_size=400))
def test_no_bytes_behind_the_first_ones_escape(start: bytes, rest: bytes) -> None:
    check(start + rest)


@given(edits=EDITS, cut=st.integers(0, 9_000))
def test_no_damaged_profile_escapes(edits: list[tuple[float, bytes]], cut: int) -> None:
    profile = bytearray(colour.profile_of(P3))
    for place, new in edits:
        profile[int(place * 300) : int(place * 300) + len(new)] = new
    data = bytes(profile[:cut] if cut % 3 else profile)
    buffer = io.BytesIO()
    Pillow.new("RGB", (40, 36), (200, 30, 90)).save(buffer, "TIFF", icc_profile=data)
    check(buffer.getvalue())
