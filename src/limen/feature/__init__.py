"""How much each deep feature of a vision network tolerates (the FeatJND paper, Zhao et al. 2026, arXiv:2601.21933).

    from limen import feature

    network = feature.Network(model, feature.Preparation(squash=224))    # any nn.Module called with images (N, C, H, W)
    plan = feature.FeaturePlan("my network", split="layer2", data="val/")
    with feature.FeatureRun.begin("runs/mine", plan, network=network) as run:
        feature.fit(run), feature.calibrate(run), feature.evaluate(run, (0.5, 1.0)), feature.quantise(run)

What is named here is loaded when it is first used. A plug-in imports its decorator from `limen.registry`.
"""

import importlib
from typing import TYPE_CHECKING, Any

from limen import checkpoint  # noqa: F401 - first, as it quiets what transformers says in a notebook

_ROOMS = {
    "FeaturePlan": "plan", "FeatureRun": "run",
    "Network": "model.network", "NetworkSource": "model.network", "load": "model.network",
    "Preparation": "model.preparation",
    "Features": "model.split", "SplitPoint": "model.split", "search": "model.known_splits",
    "SubsetSizes": "data.parts",
    "anchor": "anchors",
    "own_task": "own",
    **dict.fromkeys(
        ("attribute", "calibrate", "choose", "evaluate", "fit", "keeping_quantiser", "promise", "promised", "quantise",
         "quantiser"), "stages"),
}  # fmt: skip
__all__ = [
    "FeaturePlan", "FeatureRun", "Features", "Network", "NetworkSource", "Preparation", "SplitPoint", "SubsetSizes",
    "anchor", "attribute", "calibrate", "choose", "evaluate", "fit", "keeping_quantiser", "load", "own_task", "promise",
    "promised", "quantise", "quantiser", "search",
]  # fmt: skip

if TYPE_CHECKING:
    from limen.feature.anchors import anchor
    from limen.feature.data.parts import SubsetSizes
    from limen.feature.model.known_splits import search
    from limen.feature.model.network import Network, NetworkSource, load
    from limen.feature.model.preparation import Preparation
    from limen.feature.model.split import Features, SplitPoint
    from limen.feature.own import own_task
    from limen.feature.plan import FeaturePlan
    from limen.feature.run import FeatureRun
    from limen.feature.stages import (
        attribute,
        calibrate,
        choose,
        evaluate,
        fit,
        keeping_quantiser,
        promise,
        promised,
        quantise,
        quantiser,
    )


def __getattr__(name: str) -> Any:
    """Load a name of this room when it is first used (PEP 562)."""
    if name not in _ROOMS:
        raise AttributeError(f"module 'limen.feature' has no attribute {name!r}")
    thing = getattr(importlib.import_module(f"limen.feature.{_ROOMS[name]}"), name)
    globals()[name] = thing
    return thing


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
