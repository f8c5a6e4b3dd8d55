"""The pixels of a fixed set of stimuli stay what they were: a library, or a change here, that moves one is noticed.

    python -m tests.distortions.test_stimulus_digests      writes tests/distortions/reference/digests.json again

It writes nothing while a distortion whose digests moved has the version it had.
"""

import json
import sys
from pathlib import Path
from typing import TypeAlias

import numpy as np
import PIL
import pytest
import segno
from PIL import AvifImagePlugin, features

import limen
from limen import image, registry
from limen.distortion import Distortion
from tests.distortions.reference.subjects import procedural

PHOTOGRAPHS = Path(limen.__file__).parent / "data" / "demo" / "photographs"
FILE = Path(__file__).parent / "reference" / "digests.json"
LEVELS = (1, 10, 25, 50)
Digests: TypeAlias = dict[str, dict[str, dict[str, str]]]  # distortion, picture, level
EVERY: tuple[Distortion, ...] = tuple(one for one in registry.every("distortion").values() if one.of == "image")
RECORD = json.loads(FILE.read_text()) if FILE.exists() else {}

# Whose code makes the pixels, beyond the arithmetic of NumPy that IEEE 754 leaves no freedom in.
LIBRARIES = {
    "jpeg": ("libjpeg-turbo", "pillow"),
    "webp": ("libwebp", "pillow"),
    "avif": ("libavif", "aom", "pillow"),
    "jpeg2000": ("openjpeg", "pillow"),
    "text": ("freetype", "pillow"),
    "qr": ("segno",),
}


def libraries() -> dict[str, str]:
    """Return the versions of all libraries that have a hand in a stimulus."""
    return {
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "libjpeg-turbo": str(features.version("libjpeg_turbo")),
        "libwebp": str(features.version("webp")),
        "libavif": str(features.version("avif")),
        "aom": str(AvifImagePlugin.get_codec_version("aom")),
        "openjpeg": str(features.version("jpg_2000")),
        "freetype": str(features.version("freetype2")),
        "segno": segno.__version__,
    }


def pictures() -> dict[str, image.Image]:
    """Return a made picture of even sides, one of odd sides, and a photograph (a PNG, so no decoder changes it)."""
    photograph = image.load(PHOTOGRAPHS / "astronaut-1.png")
    return {"procedural 48x64": procedural(), "procedural 75x101": procedural(75, 101), "astronaut-1": photograph}


def digests(kind: Distortion) -> dict[str, dict[str, str]]:
    """Return the digests of a distortion's stimuli, by picture and level."""
    levels = sorted({*LEVELS, len(kind.ladder)})
    found = {}
    for name, picture in pictures().items():
        at = kind.render(picture, "digests")
        found[name] = {str(level): image.digest(at(level)) for level in levels}
    return found


def moved(was: dict[str, dict[str, str]], now: dict[str, dict[str, str]]) -> list[str]:
    """Return the stimuli whose digests differ, "picture: levels"."""
    lines = []
    for name in was.keys() | now.keys():
        before, after = was.get(name, {}), now.get(name, {})
        levels = sorted((k for k in before.keys() | after.keys() if before.get(k) != after.get(k)), key=int)
        lines += [f"{name}: levels {', '.join(levels)}"] if levels else []
    return sorted(lines)


def advice(kind: Distortion, stimuli: list[str], made_with: dict[str, str], here: dict[str, str]) -> str:
    """Say what moved, which library may have moved it, and what to do."""
    concerned = (*LIBRARIES.get(kind.name, ()), "numpy")
    changed = [
        f"{name} {made_with.get(name)} -> {here[name]}" for name in concerned if made_with.get(name) != here[name]
    ]
    cause = "The libraries are the same, so the change is ours. Undo it, or, if it is meant, take the new pixels"
    if changed:
        cause = (
            f"The digests were made with other versions: {'; '.join(changed)}. If the code of {kind.name!r} is as it "
            "was, the library changed the pixels: pin the old one, or take the new pixels"
        )
    return (
        f"{kind.name!r} gives other pixels for the same strength ({'; '.join(stimuli)}). {cause}: raise version="
        f"{kind.version} of {kind.name!r} in src/limen/distortions, then run "
        f"`python -m tests.distortions.test_stimulus_digests`."
    )


def held(kind: Distortion) -> None:
    """Raise `AssertionError` unless the distortion gives the recorded pixels under the recorded version."""
    stimuli = moved(RECORD["digests"].get(kind.name, {}), digests(kind))
    assert not stimuli, advice(kind, stimuli, RECORD["made with"], libraries())
    assert RECORD["versions"][kind.name] == kind.version, (
        f"{kind.name!r} is version {kind.version}, its digests are of version {RECORD['versions'][kind.name]}, and the "
        "pixels are the same: lower the version again, or run `python -m tests.distortions.test_stimulus_digests`."
    )


@pytest.mark.parametrize("kind", [k for k in EVERY if k.name not in LIBRARIES], ids=lambda kind: kind.name)
def test_arithmetic_gives_the_same_pixels_everywhere(kind: Distortion) -> None:
    """Elementwise float32 and float64, exact sums, integers of Philox: no processor or release may move these."""
    held(kind)


@pytest.mark.parametrize("kind", [k for k in EVERY if k.name in LIBRARIES], ids=lambda kind: kind.name)
def test_libraries_give_the_pixels_they_gave(kind: Distortion) -> None:
    """A codec, a font's rasteriser, an encoder of QR codes: a new build may move these, and then it must be said."""
    held(kind)


def test_every_distortion_is_recorded_at_every_level() -> None:
    assert set(RECORD["digests"]) == {kind.name for kind in EVERY}
    assert set(RECORD["made with"]) == set(libraries())
    for kind in EVERY:
        for levels in RECORD["digests"][kind.name].values():
            assert {int(level) for level in levels} == {*LEVELS, len(kind.ladder)}


def test_a_moved_pixel_is_noticed_and_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = next(kind for kind in EVERY if kind.name == "jpeg")
    name = next(iter(RECORD["digests"]["jpeg"]))
    off = {**RECORD["digests"]["jpeg"], name: {**RECORD["digests"]["jpeg"][name], "10": "0" * 32}}
    monkeypatch.setitem(RECORD["digests"], "jpeg", off)
    monkeypatch.setitem(RECORD, "made with", libraries())
    with pytest.raises(AssertionError, match=rf"'jpeg' gives other pixels .*{name}: levels 10.* the change is ours"):
        held(kind)
    monkeypatch.setitem(RECORD, "made with", {**libraries(), "libjpeg-turbo": "1.0"})
    with pytest.raises(
        AssertionError, match=r"libjpeg-turbo 1\.0 -> .*the library changed the pixels.*raise version=1"
    ):
        held(kind)


def main() -> None:
    """Write the digests, unless a distortion changed pixels without changing its version."""
    record = {
        "made with": libraries(),
        "versions": {kind.name: kind.version for kind in EVERY},
        "digests": {kind.name: digests(kind) for kind in EVERY},
    }
    for kind in EVERY if RECORD else ():
        stimuli = moved(RECORD["digests"].get(kind.name, {}), record["digests"][kind.name])
        if stimuli and RECORD["versions"].get(kind.name) == kind.version:
            sys.exit(advice(kind, stimuli, RECORD["made with"], libraries()))
    FILE.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
