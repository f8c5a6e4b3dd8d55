"""Views of the 3D scenes."""

import functools
import importlib.util
import itertools
from collections.abc import Iterator
from typing import Any

from limen import registry
from limen.errors import MissingExtraError
from limen.source import VIEWS, Reference, Refusal, source

MOST = 50  # views of each scene and factor, as in the paper


@source(
    "scene",
    licence="Apache-2.0",
    get="Drawn by limen; needs its extra scene.",
    bare=True,
)
def scene(path: str) -> Iterator[Reference | Refusal]:
    """Views of the 3D scenes that limen draws: all scenes, or one (`scene=room`)."""
    if importlib.util.find_spec("embreex") is None:  # said now, not when the first view is drawn
        raise MissingExtraError("rendering a scene", "embreex", "scene")
    names = [path] if path else list(registry.every("scene"))
    of_each = [registry.find("scene", name).views(factor, MOST) for factor in VIEWS for name in names]
    for view in itertools.chain.from_iterable(zip(*of_each, strict=True)):  # so that a limit takes some of each
        yield Reference(view.name, view.digest, functools.partial(_itself, view), kind=view.factor, size=view.size)


def _itself(view: Any) -> Any:
    return view
