"""With what stimuli are drawn: libraries, and digests of probes, so that a run goes on with the pixels it began with.

A library that draws another pixel gives another stimulus under the name of the old one. Versions alone do not say so:
most releases change nothing here. Each distortion is therefore done to one small picture, and the digest of what comes
out is kept in the manifest.
"""

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import AvifImagePlugin, features

import limen
from limen import digest as digests
from limen import registry
from limen.distortion import Distortion
from limen.errors import LimenError, StoreError
from limen.image import Image, digest
from limen.source import PAIRS, VIEWS
from limen.stimulus import Series

SIDE = 64  # px of the picture that probes are drawn from
VIEW = (64, 48)
_LIBRARIES = ("numpy", "pillow", "segno", "embreex")
_WITHIN_PILLOW = ("libjpeg_turbo", "freetype2", "raqm", "littlecms2", "webp", "libtiff", "avif", "jpg_2000")
# What a distortion of somebody else's may raise over a picture of 64 px: then it has no probe.
_UNFIT = (LimenError, ArithmeticError, LookupError, ValueError, TypeError, AttributeError, RuntimeError, OSError)


def versions(*names: str) -> dict[str, str]:
    """Return the versions of those distributions that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def libraries(kinds: Iterable[Distortion]) -> dict[str, str]:
    """Return the versions of all that has a hand in a stimulus, in reading a picture or changing it."""
    foreign = {kind.prepare.__module__.partition(".")[0] for kind in kinds} - {"limen", "__main__"}
    within = {name: features.version(name) for name in _WITHIN_PILLOW}
    within["aom"] = AvifImagePlugin.get_codec_version("aom") if features.check("avif") else None  # libavif has several
    return versions(*_LIBRARIES, *sorted(foreign)) | {name: str(found) for name, found in within.items() if found}


def probes(series: Sequence[Series], tell: Callable[[str], None] = lambda name: None) -> dict[str, str]:
    """Return the digest of some levels of the probe of each distortion, for views by scene; pairs are drawn by nobody.

    A scene is opened for that, as the first question about one of its views would open it.

    Args:
        series: of the study.
        tell: called with the name of each probe before it is drawn.
    """
    found = {}
    for name, (kind, of) in {_named(one): (one.distortion, one.reference.kind) for one in series}.items():
        tell(name)
        drawn = probe(kind, name.rpartition(" ")[2] if of in VIEWS else "")
        if drawn is not None:
            found[name] = drawn
    return found


def probe(kind: Distortion, scene: str = "") -> str | None:
    """Return the digest of some levels of a distortion's probe, for a distortion of views that of a scene's first.

    None where a distortion of somebody else's cannot be done to it.
    """
    levels = sorted({1, (len(kind.ladder) + 1) // 2, len(kind.ladder)})
    try:
        draw = kind.render(_view(scene, kind.of) if scene else _picture(), "probe")
        return digests.of([digest(draw(level)) for level in levels])
    except _UNFIT:
        return None


def _named(series: Series) -> str:
    """Return the name of a series' probe."""
    kind = series.distortion.name
    return f"{kind} {series.reference.name.partition('-')[0]}" if series.reference.kind in VIEWS else kind


def _view(name: str, factor: str) -> Any:
    return registry.find("scene", name).views(factor, 1, size=VIEW, samples=1)[0]


def _picture() -> Image:
    """Return a picture of edges, ramps and texture, made of whole numbers alone."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    planes = ((3 * x + y) % 256, (x * y + 7 * x) % 256, 64 + 128 * ((x // 8 + y // 8) % 2))
    return np.stack(planes, axis=-1).astype(np.uint8)


def went_on(
    path: Path, manifest: Mapping[str, Any], series: Sequence[Series], tell: Callable[[str], None] = lambda name: None
) -> tuple[dict[str, Any], list[str]]:
    """Return what a session adds to a run's manifest, and lines for a person.

    Args:
        path: the run directory.
        manifest: what it says.
        series: of the study.
        tell: called with the name of each probe before it is drawn: a codec's program may take its time.

    Raises:
        StoreError: stimuli are drawn with other pixels than when the run was begun.
    """
    now = libraries(one.distortion for one in series)
    sessions = manifest.get("sessions", [])
    before = {**manifest["versions"], **(sessions[-1]["versions"] if sessions else {})}
    other = {name: (before[name], now[name]) for name in now if before.get(name, now[name]) != now[name]}
    told = ", ".join(f"{name} {was} then, {found} now" for name, (was, found) in other.items())
    known = manifest.get("probes", {})
    wanted = [one for one in series if one.distortion.of == "image" or other or _named(one) not in known]
    drawn = probes([one for one in wanted if one.distortion.of not in PAIRS], tell)
    wrong = sorted(name for name, found in drawn.items() if known.get(name, found) != found)
    if wrong:
        raise StoreError(
            f"{path}: {', '.join(wrong)} would be drawn with other pixels than when the run was begun "
            f"({told or 'the versions of libraries are the same, so they were built otherwise'}). Install what it was "
            "begun with, or give another --out."
        )
    lines = []
    if other and drawn.keys() - known.keys():
        lines.append(f"This run was begun with other libraries ({told}), and has no record of what they drew.")
    elif other:
        lines.append(f"This run was begun with other libraries ({told}). Its stimuli are drawn with the same pixels.")
    session = {"at": _now(), "limen": limen.__version__, "versions": now}
    return {"probes": {**known, **drawn}} | ({"sessions": [*sessions, session]} if other else {}), lines


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def same_references(path: Path, kept: Iterable[tuple[str, str, str]], series: Sequence[Series], told: bool) -> str:
    """Return a line where references of a run have other pixels now, "" where none has.

    Args:
        path: the run directory.
        kept: source, name and digest of the run's references.
        series: of the study.
        told: whether libraries differ, so that they may be the cause.

    Raises:
        StoreError: libraries differ.
    """
    now = {(one.reference.source, one.reference.name): one.reference.digest for one in series}
    before: dict[tuple[str, str], set[str]] = {}
    for source, name, found in kept:
        before.setdefault((source, name), set()).add(found)
    present = set(now.values())
    other = [key[1] for key, found in now.items() if key in before and not before[key] & {found, *present}]
    if not other:
        return ""
    some = f"{', '.join(other[:3])}{f' and {len(other) - 3} more' if len(other) > 3 else ''}"
    has = f"{some}: other pixels under the same name than when the run was begun"
    if told:
        raise StoreError(
            f"{path}: {has}, and other libraries read them. Restore the files, or install what the run was begun with "
            "(see 'versions' in its manifest.json), or give another --out."
        )
    return f"{has}. They are measured as further references; what was begun with the old ones stays as it is."
