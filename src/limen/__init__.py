"""limen measures just noticeable differences of machine vision.

    import limen

    run = limen.measure(images=[array, "photo.jpg"], observer=looks, distortions=["blur"])
    run.jnds                  # and run.trials(), run.fit(), run.to_frame(), run.report("report.html")
    limen.open("runs/qwen").jnds
    limen.verify(run.bundle("supplement.zip")).sound

What is named here is the front door, loaded when it is first used. A plug-in imports its decorator from the module of
its noun (`limen.distortion`, `limen.observer`, `limen.procedure`, `limen.source`).
docs/explanation/design.md is the map.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_ROOMS = {
    "Run": "run", "measure": "run", "open": "run",
    "Spec": "study", "Study": "study",
    "Store": "store",
    "Analysis": "analysis", "analyse": "analysis",
    "Distortion": "distortion", "Ladder": "ladder", "Picture": "image",
    "Observer": "observer", "Query": "question", "Reply": "observer", "Answer": "trial", "Attempt": "trial",
    "verify": "report.verify",
    "names": "registry", "plugin": "registry", "simulate": "testing",
    "LimenError": "errors", "InputError": "errors", "UnknownNameError": "errors", "MissingExtraError": "errors",
    "ObserverError": "errors", "FatalObserverError": "errors", "StoreError": "errors",
}  # fmt: skip
__all__ = [
    "Analysis", "Answer", "Attempt", "Distortion", "FatalObserverError", "InputError", "Ladder", "LimenError",
    "MissingExtraError", "Observer", "ObserverError", "Picture", "Query", "Reply", "Run", "Spec", "Store",
    "StoreError", "Study", "UnknownNameError", "__version__", "analyse", "measure", "names", "open", "plugin",
    "simulate", "verify",
]  # fmt: skip

if TYPE_CHECKING:
    from limen.analysis import Analysis, analyse
    from limen.distortion import Distortion
    from limen.errors import (
        FatalObserverError,
        InputError,
        LimenError,
        MissingExtraError,
        ObserverError,
        StoreError,
        UnknownNameError,
    )
    from limen.image import Picture
    from limen.ladder import Ladder
    from limen.observer import Observer, Reply
    from limen.question import Query
    from limen.registry import names, plugin
    from limen.report.verify import verify
    from limen.run import Run, measure, open
    from limen.store import Store
    from limen.study import Spec, Study
    from limen.testing import simulate
    from limen.trial import Answer, Attempt


def __getattr__(name: str) -> Any:
    """Load a name of the front door when it is first used (PEP 562)."""
    if name not in _ROOMS:
        raise AttributeError(f"module 'limen' has no attribute {name!r}")
    thing = getattr(importlib.import_module(f"limen.{_ROOMS[name]}"), name)
    globals()[name] = thing
    return thing


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
