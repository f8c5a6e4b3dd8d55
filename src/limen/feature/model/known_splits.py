"""Where a network can sensibly be split: a list for the known families, a search for the others.

The paths are those of transformers, by `model.config.model_type`. Every path of the list was run through
`SplitPoint.verify` on small nets of random weights under transformers 5.23 (tests/feature/test_split.py) and 4.57
(EfficientNet, ConvNeXt V2, SigLIP, Swin V2 and SegFormer under 5.23 alone): what is written here was tried, not
remembered. A path is offered only where the model at hand has it.

The names of MPEG feature coding for machines (FCM) are those of CompressAI-Vision's `model_wrappers` (InterDigital),
where for Faster and Mask R-CNN "fpn" is the outputs p2..p5 of the feature pyramid, "c2" the outputs c2..c5 of its
lateral convolutions, before they are added up, and "r2" the output of the backbone's first residual stage (res2); for
SAM "imgenc" is the output of the image encoder; for YOLOX "l13" and "l37" lie in its Darknet-53. A split has such a
name only where it is that very layer of the same kind of network; otherwise the note says which comes nearest.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from limen.errors import InputError
from limen.feature.model.split import Features, Outputs, SplitPoint, outputs_of

FeatureKind = Literal["maps", "tokens", "levels", "vectors"]


@dataclass(frozen=True, slots=True)
class Split:
    """A place to split a network.

    Attributes:
        path: as `SplitPoint` takes it: a module, or several with commas between.
        kind: what lies there: "maps" (N, C, H, W), "tokens" (N, T, C), "levels" (several tensors) or "vectors" (N, C).
        note: what it is, in a few words.
        fcm: its name in MPEG feature coding for machines, where it has one.
    """

    path: str
    kind: FeatureKind
    note: str
    fcm: str | None = None


# In a path, N stands for any number (a split for each) and * for all numbers (one split of all of them).
_STAGE = Split("encoder.stages.N", "maps", "after a stage")
_LAYERS = (
    Split("layers.N", "tokens", "after a layer"),
    Split("encoder.layer.N", "tokens", "after a layer"),  # ViT and DeiT of transformers 4
)
_SWIN = (Split("encoder.layers.N.(?:blocks.N|downsample)", "tokens", "after a block, or after merging patches"),)
_FIRST_STAGE = "the first residual stage of the backbone"
_RT_DETR = (
    Split("backbone.model.encoder.stages.0", "maps", f"{_FIRST_STAGE}, a ResNet-D; nearest r2"),
    Split("backbone", "levels", "the backbone's maps, strides 8 to 32"),
    Split("encoder_input_proj.*", "levels", "those maps, brought to one width; nearest c2"),
    Split("encoder", "levels", "the hybrid encoder's maps, as the decoder sees them; nearest fpn"),
)
_KNOWN: dict[str, tuple[Split, ...]] = {
    "resnet": (
        Split("encoder.stages.0", "maps", "after the first residual stage", "r2"),
        replace(_STAGE, path="encoder.stages.[1-9]"),
    ),
    "convnext": (_STAGE,),
    "convnextv2": (_STAGE,),
    "efficientnet": (Split("encoder.blocks.N", "maps", "after a block"),),
    "vit": _LAYERS,
    "deit": _LAYERS,
    "dinov2": _LAYERS,
    "dinov2_with_registers": _LAYERS,
    "siglip": (Split("vision_model.encoder.layers.N", "tokens", "after a layer of the image's part"),),
    "swin": _SWIN,
    "swinv2": _SWIN,
    "segformer": (Split("stages.N", "maps", "after a stage"),),
    "segformer, semantic": (
        Split("segformer", "levels", "the maps of all stages, strides 4 to 32, as the decoder sees them"),
    ),
    "yolos": _LAYERS,
    "detr": (
        Split("backbone.model.encoder.stages.0", "maps", _FIRST_STAGE, "r2"),
        Split("backbone.conv_encoder.model.encoder.stages.0", "maps", _FIRST_STAGE, "r2"),  # transformers 4
        Split("backbone", "maps", "the backbone's last map, stride 32"),
        Split("input_projection", "maps", "that map, brought to the transformer's width"),
        Split("encoder", "tokens", "the encoder's tokens, as the decoder sees them"),
        # with a mask head, which looks at the backbone's maps, past the encoder
        Split("detr.model.backbone.model.encoder.stages.0", "maps", _FIRST_STAGE, "r2"),
        Split("detr.model.backbone", "levels", "the backbone's maps, strides 4 to 32"),
    ),
    "rt_detr": _RT_DETR,
    "rt_detr_v2": _RT_DETR,
    "mask2former": (
        Split("pixel_level_module.encoder.encoder.stages.0", "maps", _FIRST_STAGE + ", a ResNet-D; nearest r2"),
        Split("pixel_level_module.encoder", "levels", "the backbone's maps, strides 4 to 32"),
        Split(
            "pixel_level_module.decoder.input_projections.*,pixel_level_module.decoder.adapter_*",
            "levels",
            "those maps, brought to one width; nearest c2",
        ),
        Split("pixel_level_module.decoder", "levels", "the pixel decoder's maps; nearest fpn"),
    ),
    "maskformer": (
        Split("pixel_level_module.encoder.encoder.stages.0", "maps", _FIRST_STAGE, "r2"),
        Split("pixel_level_module.encoder", "levels", "the backbone's maps, strides 4 to 32"),
        Split("pixel_level_module", "levels", "the backbone's last map and the pixel decoder's finest"),
    ),
    "sam": (Split("vision_encoder", "maps", "the image encoder's map, as the mask decoder sees it", "imgenc"),),
}
_MODELS = (
    *("model", "vit", "resnet", "convnext", "convnextv2", "deit", "dinov2", "dinov2_with_registers", "efficientnet"),
    *("segformer", "swin", "swinv2"),
)
_INSIDE = rf"(?:(?:{'|'.join(_MODELS)})\.)?"  # in front of the paths of a model with a head


def sensible(model: nn.Module) -> list[Split]:
    """Return the sensible splits of a network of a known family, from the image to the outputs.

    Families: ResNet, EfficientNet, ConvNeXt and its second version, ViT, DeiT, DINOv2 (with and without registers),
    SigLIP, Swin and its second version, SegFormer, DETR, RT-DETR and its second version, YOLOS, Mask2Former,
    MaskFormer, SAM; of others nothing is known, see `search`. The model is not run: `SplitPoint.verify` has the last
    word.

    Args:
        model: one of transformers' classes with a head.
    """
    names = [name for name, _ in model.named_modules()]
    family = str(getattr(getattr(model, "config", None), "model_type", ""))
    known = _KNOWN.get(f"{family}, semantic" if hasattr(model, "decode_head") else family, ())
    return [replace(split, path=path) for split in known for path in _paths(split.path, names)]


def search(
    model: nn.Module,
    images: Tensor,
    read: Callable[[Any], Outputs] | None = None,
    options: Mapping[str, Any] | None = None,
) -> list[Split]:
    """Search a network of any kind for splits: verify its blocks on images and return the sound ones, in running order.

    Blocks are members of lists and sequences, modules with modules in them, and what lies at the top. A block inside
    another one of a list is not tried, nor one that puts out the very outputs; of several that carry the same, one is
    returned. It costs about nine passes a block.

    Args:
        model: any network called with an image batch first; frozen here.
        images: some real ones (N, C, H, W), two at least, the more different the better.
        read: as `SplitPoint` takes it.
        options: as `SplitPoint` takes them.

    Raises:
        InputError: no block is sound; with what is wrong with the first.
    """
    sound, refusals = [], []
    last: tuple[Tensor, ...] = ()
    for path in _candidates(model, images, read or outputs_of, options or {}):
        split = SplitPoint(model, path, read, options)
        try:
            split.verify(images)
        except InputError as error:
            refusals.append(error)
            continue
        features = split.encode(images)
        if not _equal(features.tensors, last):
            sound.append(Split(path, _kind(features), f"{features.elements:,} numbers an image"))
        last = features.tensors
    if not sound:
        why = f" The first: {refusals[0]}" if refusals else ""
        raise InputError(f"No block of {type(model).__name__} carries all that its outputs need.{why}")
    return sound


def _paths(pattern: str, names: list[str]) -> Iterator[str]:
    if "*" not in pattern:
        yield from _matching(pattern, names)
        return
    parts = [_matching(part, names) for part in pattern.split(",")]
    if all(parts):
        yield ",".join(name for part in parts for name in part)


def _matching(pattern: str, names: list[str]) -> list[str]:
    expression = pattern.replace(".", r"\.").replace("N", r"\d+").replace("*", r"\d+")
    return [name for name in names if re.fullmatch(_INSIDE + expression, name)]


def _candidates(
    model: nn.Module, images: Tensor, read: Callable[[Any], Outputs], options: Mapping[str, Any]
) -> list[str]:
    """Return the blocks worth verifying, in the order in which they run."""
    put_out: dict[str, list[Tensor]] = {}

    def keep(name: str, output: Any) -> None:
        leaves = [leaf for leaf in pytree.tree_leaves(output) if isinstance(leaf, Tensor) and leaf.is_floating_point()]
        put_out.setdefault(name, leaves)

    blocks = [(name, module) for name, module in model.named_modules() if _is_block(name, module)]
    handles = [
        module.register_forward_hook(lambda _module, _inputs, output, name=name: keep(name, output))
        for name, module in blocks
    ]
    try:
        with torch.no_grad():
            outputs = set(map(id, read(model.eval()(images, **options)).values()))
    finally:
        for handle in handles:
            handle.remove()
    paths: dict[frozenset[int], str] = {}
    for name, leaves in put_out.items():
        carried = frozenset(map(id, leaves))  # they live as long as `put_out`, so no two share an id
        if not carried <= outputs:
            paths[carried] = min(paths.get(carried, name), name, key=lambda path: path.count("."))
    return list(paths.values())


def _is_block(name: str, module: nn.Module) -> bool:
    *above, last = name.split(".")
    if not name or any(part.isdigit() for part in above) or isinstance(module, nn.ModuleList | nn.ModuleDict):
        return False
    return last.isdigit() or not above or any(True for _ in module.children())


def _equal(some: tuple[Tensor, ...], others: tuple[Tensor, ...]) -> bool:
    return len(some) == len(others) and all(map(torch.equal, some, others))


def _kind(features: Features) -> FeatureKind:
    if len(features.tensors) > 1:
        return "levels"
    (tensor,) = features.tensors
    return "maps" if tensor.ndim == 4 else "tokens" if tensor.ndim == 3 else "vectors"
