"""Splits of small nets of every known family, with weights drawn by name, and of nets whose leak is known by hand."""

import functools
import re
import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from limen import digest
from limen.errors import InputError
from limen.feature.model import known_splits
from limen.feature.model.split import LEAK, STILL, Features, SplitPoint, outputs_of

STAGES = ["stage1", "stage2", "stage3", "stage4"]
RESNET = {"embedding_size": 8, "hidden_sizes": [8, 12, 16, 24], "depths": [1, 1, 1, 1], "layer_type": "basic"}
SWIN = {"image_size": 64, "patch_size": 4, "embed_dim": 16, "depths": [1] * 4, "num_heads": [2] * 4, "window_size": 2}
VIT = {
    "image_size": 64,
    "patch_size": 16,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_labels": 7,
}
DETR = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 8,
    "decoder_attention_heads": 8,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
}
RT_DETR = {
    "d_model": 32,
    "encoder_in_channels": [16, 24, 32],
    "encoder_hidden_dim": 32,
    "encoder_ffn_dim": 32,
    "encoder_attention_heads": 2,
    "decoder_in_channels": [32] * 3,
    "decoder_layers": 2,
    "decoder_ffn_dim": 32,
    "decoder_attention_heads": 2,
    "num_queries": 10,
    "num_denoising": 0,
    "anchor_image_size": None,
    "num_labels": 5,
}
MASK2FORMER = {
    "feature_size": 32,
    "mask_feature_size": 32,
    "hidden_dim": 32,
    "encoder_feedforward_dim": 32,
    "dim_feedforward": 32,
    "encoder_layers": 2,
    "num_attention_heads": 2,
    "num_queries": 6,
    "num_labels": 5,
}
SIGLIP_TEXT = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2,
               "vocab_size": 50, "projection_size": 32}  # fmt: skip
SEGFORMER = {
    "hidden_sizes": [8, 16, 24, 32],
    "depths": [1] * 4,
    "num_attention_heads": [1, 2, 2, 2],
    "sr_ratios": [4, 2, 1, 1],
    "decoder_hidden_size": 16,
}
SAM = {
    "vision_config": {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 64,
        "patch_size": 16,
        "output_channels": 32,
        "mlp_dim": 32,
        "window_size": 2,
        "global_attn_indexes": [1],
        "num_pos_feats": 16,
    },
    "prompt_encoder_config": {"hidden_size": 32, "image_size": 64, "patch_size": 16, "mask_input_channels": 4},
    "mask_decoder_config": {"hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 32},
}


def levels(t: Any, backbone: str) -> Any:
    """Return the configuration of a backbone that gives all its stages."""
    return (
        t.SwinConfig(**SWIN, out_features=STAGES)
        if backbone == "swin"
        else t.ResNetConfig(**RESNET, out_features=STAGES)
    )


def detr(t: Any, **more: Any) -> Any:
    backbone = levels(t, "resnet")
    return t.DetrConfig(use_timm_backbone=False, backbone_config=backbone, num_queries=6, num_labels=5, **DETR, **more)


def rt_detr(t: Any, kind: str) -> Any:
    sizes = RESNET | {"hidden_sizes": [8, 16, 24, 32], "out_features": STAGES[1:]}
    return getattr(t, f"{kind}ForObjectDetection")(
        getattr(t, f"{kind}Config")(backbone_config=t.RTDetrResNetConfig(**sizes), **RT_DETR)
    )


def mask2former(t: Any, decoder_layers: int = 4) -> Any:
    config = t.Mask2FormerConfig(backbone_config=levels(t, "swin"), decoder_layers=decoder_layers, **MASK2FORMER)
    return t.Mask2FormerForUniversalSegmentation(config)


def maskformer(t: Any, backbone: str) -> Any:
    sizes = {"fpn_feature_size": 32, "mask_feature_size": 32, "num_labels": 5}
    config = t.MaskFormerConfig(backbone_config=levels(t, backbone), decoder_config=detr(t), **sizes)
    return t.MaskFormerForInstanceSegmentation(config)


NETS: dict[str, Callable[[Any], Any]] = {
    "resnet": lambda t: t.ResNetForImageClassification(t.ResNetConfig(**RESNET, num_labels=7)),
    "convnext": lambda t: t.ConvNextForImageClassification(
        t.ConvNextConfig(hidden_sizes=[8, 12, 16, 24], depths=[1] * 4, num_labels=7)
    ),
    "vit": lambda t: t.ViTForImageClassification(t.ViTConfig(**VIT, intermediate_size=64)),
    "deit": lambda t: t.DeiTForImageClassificationWithTeacher(t.DeiTConfig(**VIT, intermediate_size=64)),
    "dinov2": lambda t: t.Dinov2ForImageClassification(t.Dinov2Config(**VIT, mlp_ratio=2)),
    "dinov2_with_registers": lambda t: t.Dinov2WithRegistersForImageClassification(
        t.Dinov2WithRegistersConfig(**VIT, mlp_ratio=2)
    ),
    "swin": lambda t: t.SwinForImageClassification(t.SwinConfig(**SWIN, num_labels=7)),
    "yolos": lambda t: t.YolosForObjectDetection(
        t.YolosConfig(**VIT | {"image_size": [64, 64]}, intermediate_size=64, num_detection_tokens=6)
    ),
    "detr": lambda t: t.DetrForObjectDetection(detr(t)),
    "rt_detr": lambda t: rt_detr(t, "RTDetr"),
    "rt_detr_v2": lambda t: rt_detr(t, "RTDetrV2"),
    "mask2former": mask2former,
    "maskformer": lambda t: maskformer(t, "swin"),
    "maskformer on resnet": lambda t: maskformer(t, "resnet"),
    "detr with masks": lambda t: t.DetrForSegmentation(detr(t)),
    "convnextv2": lambda t: t.ConvNextV2ForImageClassification(
        t.ConvNextV2Config(hidden_sizes=[8, 12, 16, 24], depths=[1] * 4, num_labels=7)
    ),
    "efficientnet": lambda t: t.EfficientNetForImageClassification(
        t.EfficientNetConfig(image_size=64, width_coefficient=0.25, depth_coefficient=0.3, hidden_dim=320, num_labels=7)
    ),
    "siglip": lambda t: t.SiglipForImageClassification(
        t.SiglipConfig(vision_config=VIT | {"intermediate_size": 64}, text_config=SIGLIP_TEXT, num_labels=7)
    ),
    "swinv2": lambda t: t.Swinv2ForImageClassification(t.Swinv2Config(**SWIN, num_labels=7)),
    "segformer": lambda t: t.SegformerForImageClassification(t.SegformerConfig(**SEGFORMER, num_labels=7)),
    "segformer, semantic": lambda t: t.SegformerForSemanticSegmentation(t.SegformerConfig(**SEGFORMER, num_labels=7)),
    "sam": lambda t: t.SamModel(t.SamConfig(**SAM)),
    "vit without head": lambda t: t.ViTModel(t.ViTConfig(**VIT, intermediate_size=64)),
    "mask2former of two layers": lambda t: mask2former(t, decoder_layers=3),
}
FAMILIES = list(NETS)[:22]
LISTED = {"sam": 1, "segformer, semantic": 1}  # splits that are known of them; of the others two at least


@functools.cache
def net(name: str) -> nn.Module:
    """Make a net whose weights come from their names, as large as keeps the signal's size: it looks at its image."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import transformers

        transformers.utils.logging.set_verbosity_error()
        return drawn(NETS[name](transformers), gain=2.0 if name == "efficientnet" else 1.0)


def drawn(model: nn.Module, gain: float = 1.0) -> nn.Module:
    """Draw a net's weights; where many activations halve the signal, filters make up for it."""
    with torch.no_grad():
        for name, weights in model.named_parameters():
            noise = torch.from_numpy(digest.generator("weights", name).standard_normal(weights.shape)).to(weights)
            wide = weights.ndim > 1
            weights.copy_(
                gain * noise / weights[0].numel() ** 0.5 if wide else 0.1 * noise + (not name.endswith("bias"))
            )
    return model.eval()


def pictures(count: int = 3, side: int = 64) -> Tensor:
    noise = digest.generator("pictures").standard_normal((8, 3, side, side))
    return torch.from_numpy(noise[:count]).float()


def listed(name: str) -> list[known_splits.Split]:
    return known_splits.sensible(net(name))


CASES = [(name, number) for name in FAMILIES for number in range(LISTED.get(name, 2))]


# The list.


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_every_listed_split_is_sound(name: str) -> None:
    images = pictures()
    known = listed(name)
    assert len(known) >= LISTED.get(name, 2)
    for place in known:
        split = SplitPoint(net(name), place.path)
        found = split.verify(images)
        assert found.leak[found.worst] <= LEAK, place
        assert min(found.change.values()) > 1e4 * STILL  # or the line above would say little
        features = split.encode(images)
        shapes = {tensor.ndim for tensor in features.tensors}
        assert (len(features.tensors) > 1) == (place.kind == "levels"), place
        assert shapes == ({3} if place.kind == "tokens" else {4}), place
        assert len({tensor.shape[-2:] for tensor in features.tensors}) == len(features.tensors)  # no map twice


def test_paths_are_counted_in_the_model_at_hand() -> None:
    def paths(name: str) -> list[str]:
        return [place.path for place in listed(name)]

    assert paths("vit") == [f"vit.layers.{layer}" for layer in range(3)]
    assert paths("vit without head") == [f"layers.{layer}" for layer in range(3)]
    assert paths("dinov2") == [f"dinov2.encoder.layer.{layer}" for layer in range(3)]
    assert paths("resnet") == [f"resnet.encoder.stages.{stage}" for stage in range(4)]
    assert paths("rt_detr")[2] == ",".join(f"model.encoder_input_proj.{level}" for level in range(3))
    assert paths("detr with masks") == ["detr.model.backbone.model.encoder.stages.0", "detr.model.backbone"]


def test_names_of_older_releases_are_offered_where_the_model_has_them() -> None:
    class Old(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.config = type("Config", (), {"model_type": "vit"})
            self.vit = nn.ModuleDict({"encoder": nn.ModuleDict({"layer": nn.ModuleList([nn.Identity()] * 1)})})

    assert [place.path for place in known_splits.sensible(Old())] == ["vit.encoder.layer.0"]


def test_names_of_feature_coding_for_machines_stand_where_the_layer_is_the_same() -> None:
    named = {(name, place.path): place.fcm for name in FAMILIES for place in listed(name) if place.fcm}
    assert named == {
        ("resnet", "resnet.encoder.stages.0"): "r2",
        ("detr", "model.backbone.model.encoder.stages.0"): "r2",
        ("detr with masks", "detr.model.backbone.model.encoder.stages.0"): "r2",
        ("maskformer on resnet", "model.pixel_level_module.encoder.encoder.stages.0"): "r2",
        ("sam", "vision_encoder"): "imgenc",
    }


def test_nothing_is_known_of_other_models() -> None:
    assert known_splits.sensible(nn.Linear(3, 3)) == []


# Leaks.

LEAKY = [
    ("rt_detr", "model.backbone.model.encoder.stages.3"),
    ("rt_detr", "model.encoder.fpn_blocks.1"),
    ("rt_detr", "model.decoder.layers.0"),
    ("detr with masks", "detr.model.encoder"),
    ("mask2former", "model.pixel_level_module.decoder.encoder.layers.0"),
    ("mask2former", "model.pixel_level_module.decoder.input_projections.0"),
    ("maskformer", "model.pixel_level_module.decoder"),
    ("vit", "vit.layers.1.attention"),
]


@pytest.mark.parametrize(("name", "path"), LEAKY)
def test_leaky_splits_are_refused_with_what_goes_round_them(name: str, path: str) -> None:
    images = pictures()
    with pytest.raises(InputError, match="does not carry all the information") as caught:
        SplitPoint(net(name), path).verify(images)
    (percent, output) = re.findall(r"([\d.]+)% of what the image changes in '(\w+)' goes round it", str(caught.value))[
        0
    ]
    assert float(percent) == pytest.approx(100 * by_hand(net(name), path, images)[output], abs=0.06)
    assert float(percent) > 5


def by_hand(model: nn.Module, path: str, images: Tensor) -> dict[str, float]:
    """Return the leak of each output, with a hook of our own on a module that returns one tensor (or one first)."""
    kept: list[Any] = []
    module = model.get_submodule(path)
    with torch.no_grad():
        handle = module.register_forward_hook(lambda _module, _inputs, output: kept.append(output))
        clean = outputs_of(model(images))
        handle.remove()
        blank = outputs_of(model(torch.zeros_like(images)))
        handle = module.register_forward_hook(lambda _module, _inputs, _output: kept[0])
        replayed = outputs_of(model(torch.zeros_like(images)))
        handle.remove()
    return {name: float((clean[name] - replayed[name]).norm() / (clean[name] - blank[name]).norm()) for name in clean}


class Skip(nn.Module):
    """A share of the image goes round the block; nothing else happens."""

    def __init__(self, round_it: float, size: float = 1.0, offset: float = 0.0) -> None:
        super().__init__()
        self.block, self.round_it, self.size, self.offset = nn.Identity(), round_it, size, offset

    def forward(self, images: Tensor) -> Tensor:
        rows = images.flatten(1)
        return self.offset + self.size * ((1 - self.round_it) * self.block(rows * 1) + self.round_it * rows)


def test_the_leak_is_the_share_that_goes_round() -> None:
    with pytest.raises(InputError, match=r"25\.0% of what the image changes in 'logits' goes round it"):
        SplitPoint(Skip(0.25), "block").verify(pictures())
    assert SplitPoint(Skip(LEAK / 2), "block").verify(pictures()).leak["logits"] == pytest.approx(LEAK / 2, rel=1e-3)


def test_a_net_that_hardly_looks_is_judged_by_the_little_it_sees() -> None:
    """Outputs of size 1 differ by 2e-4: a fixed tolerance of 1e-3 would pass what loses a quarter of the image."""
    split = SplitPoint(Skip(0.25, size=2e-4, offset=1.0), "block")
    images = pictures()
    assert torch.allclose(split.head(split.encode(images))["logits"], split.outputs(images)["logits"], atol=1e-3)
    with pytest.raises(InputError, match=r"2[45]\.\d% of what the image changes"):
        split.verify(images)


@pytest.mark.parametrize("images", [pictures(), torch.zeros(2, 3, 64, 64)])
def test_a_net_that_does_not_look_proves_nothing(images: Tensor) -> None:
    size = 1.0 if not images.any() else 1e-8
    with pytest.raises(InputError, match="hardly depend on the image"):
        SplitPoint(Skip(0.0, size=size, offset=1.0), "block").verify(images)


# Encode and head.


@pytest.mark.parametrize(("name", "number"), CASES)
def test_the_head_replays_batches_of_any_size(name: str, number: int) -> None:
    split = SplitPoint(net(name), listed(name)[-1 - number].path)
    seen: list[int] = []
    split.verify(pictures())
    with torch.no_grad():
        for count in (1, 5):
            images = pictures(count)
            features, clean = split.encode(images), split.outputs(images)
            handle = split.model.register_forward_pre_hook(lambda _model, inputs: seen.append(len(inputs[0])))
            narrow = split.head(features)
            handle.remove()
            wide = SplitPoint(split.model, split.path)
            wide._idle = split._idle  # one that was never verified does not dare to give the head one blank image
            for output, value in wide.head(features).items():
                torch.testing.assert_close(value, clean[output], rtol=1e-3, atol=1e-4)
                torch.testing.assert_close(narrow[output], value, rtol=1e-3, atol=1e-4)
    assert seen == ([1, 5] if name.startswith("detr") else [1, 1])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "number"), CASES)
def test_gradients_are_those_of_the_whole_network(name: str, number: int) -> None:
    split = SplitPoint(net(name), listed(name)[number].path)
    images = pictures(2)
    found = split.verify(images)
    left_out = {*found.idle, *found.repeated}

    def total(outputs: Any) -> Tensor:
        return sum((value * weights(output, value)).sum() for output, value in outputs.items())

    def weights(output: str, value: Tensor) -> Tensor:
        return torch.from_numpy(digest.generator("weights of", output).standard_normal(value.shape)).to(value)

    features = split.encode(images)
    leaves = tuple(tensor.requires_grad_() for tensor in features.tensors)
    replayed = torch.autograd.grad(total(split.head(Features(leaves, features.size))), leaves)

    inside: dict[str, list[Tensor]] = {}
    paths = split.path.split(",")
    handles = [split.model.get_submodule(path).register_forward_hook(cut(path, inside)) for path in paths]
    whole = total(split.outputs(images))
    for handle in handles:
        handle.remove()
    tensors = [tensor for path in paths for tensor in inside[path]]
    expected = torch.autograd.grad(whole, [one for number, one in enumerate(tensors) if number not in left_out])
    for mine, theirs in zip(replayed, expected, strict=True):
        assert mine.isfinite().all()
        assert mine.any()
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max()))


def cut(path: str, inside: dict[str, list[Tensor]]) -> Callable[..., Any]:
    """Return a hook that lets the tail alone depend on what a module puts out: the levels of one depend on another."""

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        made: list[tuple[Tensor, Tensor]] = []

        def start(leaf: Any) -> Any:
            if not torch.is_tensor(leaf) or not leaf.is_floating_point():
                return leaf
            same = next((new for old, new in made if old is leaf), None)  # a module may put out a tensor twice
            made.append((leaf, leaf.detach().requires_grad_() if same is None else same))
            inside.setdefault(path, []).append(made[-1][1])
            return made[-1][1]

        return torch.utils._pytree.tree_map(start, output)

    return hook


class Counted(nn.Module):
    """A layer that counts how often it is worked out."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale, self.runs = scale, 0

    def forward(self, images: Tensor) -> Tensor:
        self.runs += 1
        return images * self.scale + self.scale


class Layers(nn.Module):
    """What can go wrong before a split: a layer that runs twice, an addition in place, an order that looks at sizes."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.first, self.twice, self.block, self.last = (Counted(scale) for scale in (2.0, 0.5, 3.0, 0.25))
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        first = self.first(images)
        if "in place" in self.kind:
            first += 1
        middle = self.twice(self.twice(first))
        features = self.block(middle)
        if "wide" in self.kind:  # needs as many images as features
            features = features.view(len(images), -1)
        if self.kind == "remembers":
            self.seen.append(first)
        return self.last(features).flatten(1)


@pytest.mark.parametrize(
    ("kind", "narrow", "runs"),  # runs of first, twice, block and last in three passes of the head
    [
        ("plain", True, [0, 6, 0, 3]),
        ("in place", True, [0, 6, 0, 3]),
        ("wide", False, [0, 6, 0, 3]),
        ("wide, in place", False, [3, 6, 3, 3]),  # what stands for several images cannot be written to
        ("remembers", True, [0, 6, 0, 3]),
    ],
)
def test_what_lies_before_a_split_is_worked_out_once(kind: str, narrow: bool, runs: list[int]) -> None:
    model, images = Layers(kind), pictures(4, 8)
    split = SplitPoint(model, "block")
    unverified = SplitPoint(Layers(kind), "block")
    split.verify(images)
    with torch.no_grad():
        features = split.encode(images)
        expected = unverified.head(unverified.encode(images))["logits"]
        before = [module.runs for module in (model.first, model.twice, model.block, model.last)]
        for _ in range(3):
            torch.testing.assert_close(split.head(features)["logits"], expected)
    after = [module.runs for module in (model.first, model.twice, model.block, model.last)]
    assert [b - a for a, b in zip(before, after, strict=True)] == runs
    assert split._narrow == narrow
    assert all("forward" not in vars(module) for module in model.modules())
    torch.testing.assert_close(split.outputs(images)["logits"], expected)


def test_passing_over_leaves_the_network_as_it_was_when_the_head_fails() -> None:
    model = Layers("plain")
    split = SplitPoint(model, "block")
    split.verify(pictures(4, 8))
    own = model.first.forward
    vars(model.first)["forward"] = own  # somebody's own, as libraries that wrap layers have it
    with pytest.raises(InputError, match="carries 1 tensors, not 2"):
        split.head(Features((torch.zeros(1, 3, 8, 8),) * 2, (3, 8, 8)))
    model.last.scale = "no number"  # type: ignore[assignment]
    with pytest.raises(TypeError):
        split.head(split.encode(pictures(2, 8)))
    assert vars(model.first)["forward"] == own
    assert "forward" not in vars(model.block)


def test_several_modules_in_any_order_carry_the_same() -> None:
    images = pictures()
    parts = [f"model.encoder_input_proj.{level}" for level in range(3)]
    there, back = (SplitPoint(net("rt_detr"), path) for path in (", ".join(parts), ",".join(reversed(parts))))
    features = there.encode(images)
    turned = Features(features.tensors[::-1], features.size)
    assert all(map(torch.equal, back.encode(images).tensors, turned.tensors))
    for output, value in back.head(turned).items():
        assert torch.equal(value, there.head(features)[output])


def test_masks_stay_and_features_change() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = Pairs()

        def forward(self, images: Tensor) -> Tensor:
            ((first, mask), (second, _)) = self.block(images)["levels"]
            return torch.cat([(first * mask).flatten(1), second.flatten(1)], dim=1)

    class Pairs(nn.Module):
        def forward(self, images: Tensor) -> dict[str, list[tuple[Tensor, Tensor]]]:
            mask = torch.arange(images.shape[-1]) < 5
            return {
                "levels": [(images * 2, mask.expand(len(images), -1)[:, None, None]), (images[:, :, ::2, ::2], mask)]
            }

    split = SplitPoint(Masked(), "block")
    assert split.verify(pictures(side=8)).leak == {"logits": 0.0}
    features = split.encode(pictures(side=8))
    assert [tuple(tensor.shape) for tensor in features.tensors] == [(3, 3, 8, 8), (3, 3, 4, 4)]
    ones = split.head(features.plus([1 - tensor for tensor in features.tensors]))["logits"]
    assert ones[:, : 3 * 64].reshape(3, 3, 8, 8).sum() == 3 * 3 * 8 * 5  # the mask's columns alone


def test_the_maskless_backbone_of_a_detector_gives_its_levels() -> None:
    split = SplitPoint(net("rt_detr"), "model.backbone")
    assert [tensor.dtype for tensor in split.encode(pictures()).tensors] == [torch.float32] * 3


@pytest.mark.parametrize(
    ("name", "path", "idle", "left"),
    [
        ("swin", "swin.encoder.layers.0", (1,), [(64, 32)]),  # its tokens a second time, as a map
        ("detr", "model.backbone", (0, 1, 2), [(24, 2, 2)]),  # the encoder sees the last map alone
        ("mask2former of two layers", "model.pixel_level_module.decoder", (2,), [(32, 2, 2), (32, 4, 4), (32, 16, 16)]),
        ("mask2former", "model.pixel_level_module.decoder", (), [(32, 2, 2), (32, 4, 4), (32, 8, 8), (32, 16, 16)]),
    ],
)
def test_tensors_that_no_output_depends_on_are_left_out(
    name: str, path: str, idle: tuple[int, ...], left: list[tuple[int, ...]]
) -> None:
    split = SplitPoint(net(name), path)
    images = pictures()
    assert split.verify(images).idle == idle
    features = split.encode(images)
    assert [tuple(tensor.shape[1:]) for tensor in features.tensors] == left
    for output, value in split.head(features).items():
        torch.testing.assert_close(value, split.outputs(images)[output], rtol=1e-3, atol=1e-4)


def test_the_class_token_beside_the_tokens_is_no_second_tensor() -> None:
    split = SplitPoint(net("dinov2"), "dinov2")
    found = split.verify(pictures())
    assert (found.repeated, found.idle) == ((1,), ())
    assert [tuple(tensor.shape[1:]) for tensor in split.encode(pictures()).tensors] == [(17, 32)]


class Twice(nn.Module):
    """A block that puts out the same numbers several times, and a head that reads all of them, each by itself."""

    def __init__(self, put_out: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.block = Apply(lambda images: put_out(images * 2))

    def forward(self, images: Tensor) -> Tensor:
        floats = [one for one in torch.utils._pytree.tree_leaves(self.block(images)) if one.is_floating_point()]
        return torch.cat([(place + 1) * one.flatten(1) for place, one in enumerate(floats)], dim=1)


@pytest.mark.parametrize(
    ("put_out", "shapes", "repeated"),
    [
        (lambda x: (x, x), [(3, 8, 8)], (1,)),
        (lambda x: {"last": x, "hidden": [x / 2, x], "count": x.argmax(1)}, [(3, 8, 8), (3, 8, 8)], (2,)),
        (lambda x: (x, x.view(x.shape)), [(3, 8, 8)], (1,)),
        (lambda x: (x, x.flatten(2).transpose(1, 2)), [(3, 8, 8)], (1,)),  # a map and its tokens
        (lambda x: (x[:, :, 0], x), [(3, 8, 8)], (0,)),  # a class token, before what it is one of
        (lambda x: (x[:, :, 0], x[:, :, 0, 2:5], x), [(3, 8, 8)], (0, 1)),
        (lambda x: (x, x[:, [0, 2]], x.chunk(3, 1)), [(3, 8, 8), (2, 8, 8)], (2, 3, 4)),  # picked ones are copies
        (lambda x: x.chunk(3, 1), [(1, 8, 8)] * 3, ()),  # one memory, no number twice
        (lambda x: (x[..., ::2], x[..., 1::2]), [(3, 8, 4)] * 2, ()),
        (lambda x: (x.transpose(0, 1).contiguous().transpose(0, 1),) * 2, [(3, 8, 8)], (1,)),
        (lambda x: x.mean((2, 3), keepdim=True).expand(-1, -1, 8, 8), [(3, 1, 1)], ()),
        (lambda x: (x[:, :, 0, :, None].expand(-1, -1, -1, 4), x), [(3, 8, 8)], (0,)),
        (lambda x: (x, x.detach(), x.float(), x.contiguous(), nn.Dropout().eval()(x)), [(3, 8, 8)], (1, 2, 3, 4)),
        (lambda x: (x, x.argmax(1), x.new_empty(len(x), 0)), [(3, 8, 8), (0,)], ()),
    ],
)
@pytest.mark.parametrize("bare", [True, False])
def test_a_number_given_twice_is_counted_and_disturbed_once(
    put_out: Callable[[Tensor], Any], shapes: list[tuple[int, ...]], repeated: tuple[int, ...], bare: bool
) -> None:
    model, images = Twice(put_out), pictures(side=8)
    split = SplitPoint(model, "block")
    if not bare:
        found = split.verify(images)
        assert found.repeated == repeated
        shapes = [shape for shape in shapes if shape != (0,)]  # no output depends on what holds nothing
    features = split.encode(images)
    assert [tuple(tensor.shape[1:]) for tensor in features.tensors] == shapes
    assert features.elements == sum(torch.Size(shape).numel() for shape in shapes)
    # the block of an image twice as bright puts out what the features are when they are doubled
    doubled = split.head(features.plus(features.tensors))["logits"]
    torch.testing.assert_close(doubled, split.outputs(images * 2)["logits"])
    torch.testing.assert_close(split.head(features[:1])["logits"], split.outputs(images)["logits"][:1])
    leaves = tuple(tensor.detach().requires_grad_() for tensor in features.tensors)
    head = split.head(Features(leaves, features.size))["logits"]
    slopes = torch.autograd.grad(head.sum(), leaves, allow_unused=True)
    size = sum(
        float((slope * tensor.detach()).sum())
        for slope, tensor in zip(slopes, leaves, strict=True)
        if slope is not None
    )
    assert size == pytest.approx(float(head.detach().sum()), rel=1e-4)  # the head is linear


@pytest.mark.parametrize(
    ("put_out", "problem"),
    [
        (lambda x: (x[..., :5], x[..., 3:]), r"\(3, 3, 8, 5\) and \(3, 3, 8, 5\) that share some of their numbers"),
        (lambda x: (x[..., :6], x[:, 1:]), "neither holds all of the other's"),
        (lambda x: x.unfold(2, 3, 1), "the same number in several places"),
    ],
)
def test_numbers_that_cannot_be_told_apart_are_refused(put_out: Callable[[Tensor], Any], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        SplitPoint(Twice(put_out), "block").encode(pictures(side=8))


def test_modules_that_pass_a_tensor_on_carry_it_once() -> None:
    model = Chain(nn.Flatten(), nn.Linear(12288, 6), nn.Identity(), nn.Dropout(), nn.ReLU(inplace=True), nn.Softplus())
    passed_on = SplitPoint(drawn(model), "rest.0,rest.1,rest.2")
    assert passed_on.verify(pictures()).repeated == (1, 2)
    assert passed_on.encode(pictures()).elements == 6
    written = SplitPoint(model, "rest.0,rest.3")  # one memory, and another tensor once it was written into
    assert [bool((tensor < 0).any()) for tensor in written.encode(pictures()).tensors] == [True, False]
    assert written.verify(pictures()).idle == (0,)


def test_what_is_put_out_twice_stays_one_object_for_a_head_that_writes_into_it() -> None:
    def head(pair: Any) -> Tensor:
        pair[0].mul_(3)
        return pair[1] * 1

    split = SplitPoint(Chain(Apply(lambda x: (x.flatten(1) * 2,) * 2), Apply(head)), "first")
    images = pictures()
    assert split.verify(images).leak == {"logits": 0.0}
    assert torch.equal(split.head(split.encode(images))["logits"], split.outputs(images)["logits"])


class Chain(nn.Module):
    """Modules one after another, what they return put through `read`."""

    def __init__(self, *modules: nn.Module, read: Callable[[Any], Any] = lambda last: last) -> None:
        super().__init__()
        self.first, *rest = modules
        self.rest, self.read = nn.ModuleList(rest), read

    def forward(self, images: Tensor) -> Any:
        found = self.first(images)
        for module in self.rest:
            found = module(found)
        return self.read(found)


class Apply(nn.Module):
    def __init__(self, work: Callable[[Any], Any]) -> None:
        super().__init__()
        self.work = work

    def forward(self, given: Any) -> Any:
        return self.work(given)


def test_a_head_that_writes_into_its_input_spoils_no_features() -> None:
    split = SplitPoint(Chain(Apply(lambda x: x.flatten(1) * 2), Apply(lambda x: x.add_(1))), "first")
    split.verify(pictures())
    features = split.encode(pictures())
    before = features.tensors[0].clone()
    first, again = (split.head(features)["logits"] for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(features.tensors[0], before)
    split.head(Features((before.requires_grad_(),), features.size))["logits"].sum().backward()
    assert torch.equal(before.grad, torch.ones_like(before))
    both = SplitPoint(split.model, "first,rest.0")
    assert torch.equal(both.encode(pictures()).tensors[0], features.tensors[0])


# What a model may return.


@pytest.mark.parametrize(
    ("read", "names"),
    [
        (lambda last: last, ["logits"]),
        (lambda last: (last, last.argmax(1), last * 2), ["output 0", "output 2"]),
        (lambda last: {"logits": last, "hidden": last * 2, "enc_logits": last}, ["logits"]),
        (lambda last: {"depth": last, "count": last.argmax(1)}, ["depth"]),
    ],
)
def test_a_plain_module_may_return_a_tensor_a_tuple_or_a_dictionary(
    read: Callable[[Any], Any], names: list[str]
) -> None:
    split = SplitPoint(Chain(nn.Flatten(), nn.Tanh(), read=read), "first")
    assert split.verify(pictures()).leak == dict.fromkeys(names, 0.0)


@pytest.mark.parametrize(
    ("read", "problem"),
    [
        (lambda last: "a cat", "returns str without float tensors"),
        (lambda last: {"ids": last.argmax(1)}, "returns dict without float tensors"),
        (lambda last: (last, last.mean()), r"one row for each of 3 images, not output 0 \(3, 12288\), output 1 \(\)"),
        (lambda last: last.sum(0), r"one row for each of 3 images, not logits \(12288,\)"),
        (lambda last: last / 0, "returns 'logits' with numbers that are not finite"),
    ],
)
def test_outputs_that_cannot_be_compared_are_refused(read: Callable[[Any], Any], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        SplitPoint(Chain(nn.Flatten(), nn.Tanh(), read=read), "first").verify(pictures())


# Splits that are none.


@pytest.mark.parametrize(
    ("model", "path", "problem"),
    [
        (Chain(nn.Flatten(), *[nn.Tanh()] * 2), "rest.0", "'rest.0' runs 2 times in one pass of Chain"),
        (Chain(nn.Flatten(), nn.Tanh()), "rest", "'rest' does not run when Chain looks at images"),
        (
            Chain(Apply(lambda x: x.flatten(1).round().long()), Apply(lambda x: x / 2)),
            "first",
            "no floating-point numbers",
        ),
        (Chain(Apply(lambda x: x.flatten(1).T), Apply(lambda x: x.T)), "first", r"shape \(12288, 3\) for 3 images"),
        (Chain(Apply(lambda x: x.flatten(1).log()), Apply(torch.nan_to_num)), "first", "'first' returns numbers that"),
        (
            Chain(Apply(lambda x: x.flatten(1)[:, :0]), Apply(lambda x: x.sum(1))),
            "first",
            "hardly depend|no floating-point numbers",
        ),
    ],
)
def test_what_is_no_split_is_refused(model: nn.Module, path: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        SplitPoint(model, path).verify(pictures())


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("vit.encoder.layer.1", "vit.layers.1"),  # as transformers 4 had it
        ("vit.layer.2", "vit.layers.2"),
        ("vit.layers.7", "vit.layers.2"),
        ("vit.layers.0,vit.layer.2", "vit.layers.2"),
        ("", "classifier"),
        ("xyz", "classifier"),
    ],
)
def test_unknown_modules_bring_near_ones(path: str, near: str) -> None:
    with pytest.raises(InputError, match=r"has no module '[\w.]*'\. Near it: ") as caught:
        SplitPoint(net("vit"), path)
    assert near in str(caught.value)


def test_features_of_another_split_are_refused() -> None:
    split = SplitPoint(net("rt_detr"), "model.backbone")
    with pytest.raises(InputError, match="carries 3 tensors, not 1"):
        split.head(SplitPoint(net("rt_detr"), "model.backbone.model.encoder.stages.0").encode(pictures()))


def test_the_model_is_left_frozen_and_without_hooks() -> None:
    def check(model: nn.Module) -> None:
        hooks = [module for module in model.modules() if module._forward_hooks or module._forward_pre_hooks]
        assert not hooks
        assert not any(weights.requires_grad for weights in model.parameters())
        assert not any(module.training for module in model.modules())

    def stumble(given: Tensor) -> Tensor:
        if not given.any() or len(given) == 2:
            raise RuntimeError("stumbled")
        return given

    model = Chain(nn.Flatten(), nn.Linear(12288, 4, bias=False), nn.Dropout(), Apply(stumble)).train()
    split = SplitPoint(model, "rest.0")
    features = split.encode(pictures())
    check(model)
    with pytest.raises(RuntimeError, match="stumbled"):
        split.verify(pictures())  # at the blank image
    check(model)
    with pytest.raises(RuntimeError, match="stumbled"):
        split.head(features[:2])
    check(model)
    with pytest.raises(RuntimeError, match="stumbled"):
        known_splits.search(model, pictures(2))
    check(model)


# The search.


class Branches(nn.Module):
    """Two branches that meet, and a head: sound are `stem` and `meet`."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
        self.left, self.right = nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3)
        self.meet = nn.Conv2d(8, 6, 1)
        self.pool, self.classifier = nn.AdaptiveAvgPool2d(1), nn.Linear(6, 4)

    def forward(self, images: Tensor) -> Tensor:
        stem = self.stem(images)
        meet = self.meet(self.left(stem).relu() + self.right(stem).relu())
        return self.classifier(self.pool(meet).flatten(1))


def test_the_search_finds_what_everything_passes_through() -> None:
    found = known_splits.search(drawn(Branches()), pictures(side=16))
    assert [(place.path, place.kind) for place in found] == [
        ("stem.0", "maps"),
        ("stem", "maps"),
        ("meet", "maps"),
        ("pool", "maps"),
    ]
    assert found[2].note == f"{6 * 12 * 12:,} numbers an image"


@pytest.mark.parametrize("name", ["resnet", "vit", "detr"])
def test_the_search_finds_what_the_list_has(name: str) -> None:
    """Nothing is lost but modules that other ones hide: their tensors are among those found."""
    model, images = net(name), pictures()
    there = [SplitPoint(model, place.path) for place in known_splits.search(model, images)]
    for split in there:
        split.verify(images)
    carried = [split.encode(images).tensors for split in there]
    for one, other in pairwise(carried):
        assert len(one) != len(other) or not all(map(torch.equal, one, other))  # nothing is offered twice
    for place in listed(name):
        if (
            "," in place.path or "input_projection" in place.path
        ):  # several together, or a layer without parts: not tried
            continue
        split = SplitPoint(model, place.path)
        split.verify(images)
        mine = split.encode(images).tensors
        assert any(len(mine) == len(theirs) and all(map(torch.equal, mine, theirs)) for theirs in carried), place


def test_a_search_without_a_find_says_why() -> None:
    with pytest.raises(InputError, match=r"No block of Skip carries all.* 50\.0% of what the image changes"):
        known_splits.search(Skip(0.5), pictures())
    with pytest.raises(InputError, match=r"No block of Skip carries all.* hardly depend on the image"):
        known_splits.search(Skip(0.0), torch.zeros(2, 3, 8, 8))
