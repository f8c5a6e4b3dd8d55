"""Embeddings: cosine, its information, and retrieval against plain loops; a run of images nobody labelled."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from torch import Tensor, nn

from limen import feature
from limen.errors import InputError
from limen.feature import stages, task
from limen.feature.data.parts import SubsetSizes, parts
from limen.feature.model.network import Network
from limen.feature.model.split import SplitPoint
from limen.feature.plan import MAPS, FeaturePlan
from limen.feature.run import FeatureRun

EMBED = task.find("embedding")


def outputs(images: int = 3, size: int = 5, seed: int = 0) -> dict[str, Tensor]:
    source = torch.Generator().manual_seed(seed)
    return {"embedding": 3 * torch.randn(images, size, generator=source)}


def test_the_discrepancy_is_one_less_the_cosine() -> None:
    clean, other = outputs(), outputs(seed=1)
    a, b = (one["embedding"].double().numpy() for one in (clean, other))
    cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert np.allclose(EMBED.discrepancy(clean, other).numpy(), 1 - cosines, atol=1e-6)
    longer = {"embedding": 7 * clean["embedding"]}
    assert EMBED.discrepancy(clean, longer).abs().max() < 1e-6  # the direction counts alone
    assert EMBED.discrepancy(clean, clean).tolist() == [0, 0, 0]
    assert EMBED.drop(clean, other, "1-cosine").tolist() == EMBED.discrepancy(clean, other).tolist()
    assert torch.allclose(EMBED.evidence(other, clean), 1 - EMBED.discrepancy(clean, other), atol=1e-6)


def test_the_fisher_information_is_the_curvature_of_the_discrepancy() -> None:
    clean = outputs(images=1)["embedding"]
    at = clean.clone().requires_grad_()
    found = EMBED.discrepancy({"embedding": clean}, {"embedding": at})
    (first,) = torch.autograd.grad(found.sum(), at, create_graph=True)
    curvature = torch.stack([torch.autograd.grad(one, at, retain_graph=True)[0].flatten() for one in first.flatten()])
    many = clean.expand(20000, -1).clone().requires_grad_()
    EMBED.sampled({"embedding": many}, torch.Generator().manual_seed(1)).sum().backward()
    assert torch.allclose(many.grad.T @ many.grad / len(many), curvature, atol=0.03 * float(curvature.max()))


def test_retrieval_is_kept_where_no_other_clean_vector_is_nearer() -> None:
    source = np.random.default_rng(0)
    gallery = source.standard_normal((40, 6)).astype(np.float32)
    gallery /= np.linalg.norm(gallery, axis=1, keepdims=True)
    moved = gallery + 0.5 * source.standard_normal(gallery.shape).astype(np.float32)
    moved /= np.linalg.norm(moved, axis=1, keepdims=True)
    right = sum(all(moved[i] @ gallery[i] >= moved[i] @ gallery[j] for j in range(40)) for i in range(40))
    found = EMBED.scores(list(moved), list(gallery))
    assert 0 < right < 40
    assert found["score"] == right / 40
    assert found["cosine"] == pytest.approx((moved * gallery).sum(1).mean())
    interval = EMBED.interval(list(moved), list(gallery))
    assert interval is not None
    assert interval.low < right / 40 < interval.high
    doubled = [*gallery, *gallery]  # the same image twice: neither is lost
    assert EMBED.scores(doubled, doubled)["score"] == 1


def test_vectors_are_found_among_what_encoders_return() -> None:
    vector = torch.ones(2, 4)
    assert EMBED.outputs(vector)["embedding"] is vector
    assert EMBED.outputs({"last_hidden_state": torch.ones(2, 9, 4), "pooler_output": vector})["embedding"] is vector
    assert EMBED.outputs({"pooler_output": 2 * vector, "image_embeds": vector})["embedding"] is vector
    assert EMBED.outputs({"pooler_output": torch.ones(2, 4, 1, 1)})["embedding"].shape == (2, 4)
    with pytest.raises(
        InputError, match=r"does not fit embedding: it gives last_hidden_state \(2, 9, 4\), not a vector"
    ):
        EMBED.outputs({"last_hidden_state": torch.ones(2, 9, 4)})
    with pytest.raises(InputError, match="vectors of 1 of 2 images are zero"):
        EMBED.check({"embedding": torch.tensor([[0.0, 0], [0, 1]])}, [None, None])


def test_a_network_of_images_and_text_is_refused_with_what_to_give() -> None:
    class Both(nn.Module):
        def get_image_features(self) -> None: ...

    with pytest.raises(InputError, match="both is a network of images and text. Give its half for images"):
        EMBED.of(Network(Both(), name="both"))


class Encoder(nn.Module):
    """An encoder of random weights: eight channels, of which some count more than others."""

    def __init__(self) -> None:
        super().__init__()
        self.maps, self.pooled = nn.Conv2d(3, 8, 8, 8), nn.Linear(8 * 16, 16)
        source = torch.Generator().manual_seed(0)
        for weights in self.parameters():
            weights.data = torch.randn(weights.shape, generator=source) * 0.2
        self.pooled.weight.data *= torch.logspace(-2, 0.5, 8).repeat_interleave(16)

    def forward(self, images: Tensor) -> Tensor:
        made: Tensor = self.pooled(torch.tanh(self.maps(images - 0.5)).flatten(1))
        return made


def test_a_run_on_a_plain_folder_compares_with_the_clean_vectors(tmp_path: Path) -> None:
    source = np.random.default_rng(3)
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    for number in range(70):
        small = source.integers(0, 255, (5, 5, 3)).astype(np.uint8)
        place = tmp_path / "photos" / ("deep" if number % 2 else "") / f"{number}.png"
        Pillow.fromarray(small).resize((32, 32), Pillow.Resampling.BICUBIC).save(place)
    network = Network(Encoder().eval(), feature.Preparation(squash=32), "encoder")
    maps = {label: MAPS[label] for label in ("flat", "fisher")}
    plan = FeaturePlan(
        "encoder", "maps", "embedding", str(tmp_path / "photos"), seeds=1, sizes=SubsetSizes(20, 9, 40), maps=maps,
        eps=0.05,
    )  # fmt: skip
    with FeatureRun.begin(tmp_path / "run", plan, "cpu", network) as run:
        stages.fit(run)
        calibrations = stages.calibrate(run)
        rows = stages.evaluate(run, (0.5, 2.0))
        quantised = stages.quantise(run, (0.3,), maps=["fisher"])
        promised = stages.promise(run, stages.promised(run, 0.2, 0.3, "1-cosine"), ["static:fisher"])
    by = {(row["map"], row["nrmse"]): row for row in rows}
    assert by["clean", 0.0]["score"] == 1
    assert by["clean", 0.0]["cosine"] == pytest.approx(1)
    assert by["flat", 2.0]["score"] < by["fisher", 2.0]["score"]
    assert by["flat", 0.5]["cosine"] == pytest.approx(1 - by["flat", 0.5]["discrepancy"], abs=1e-5)
    assert by["fisher", 0.5]["discrepancy"] < 0.7 * by["flat", 0.5]["discrepancy"]
    tolerated = {row["map"]: row["nrmse"] for row in calibrations}
    assert tolerated["fisher"] > tolerated["flat"] > 0
    assert all(row["score"] > 0.5 for row in quantised)
    assert all(row["score"] > 0.5 for row in promised if row["budget"])


def test_scenes_serve_an_encoder_too() -> None:
    found = parts("scenes", EMBED, Network(nn.Identity()), 0, SubsetSizes(1, 1, 2)).test.batch([0, 1])
    assert found.images.shape == (2, 3, 64, 64)
    assert found.targets == ()
    with pytest.raises(InputError, match="No folder"):
        parts("nowhere", EMBED, Network(nn.Identity()), 0, SubsetSizes(1, 1, 2))


@pytest.mark.parametrize("kind", ["CLIPVisionModelWithProjection", "SiglipVisionModel", "Dinov2Model"])
def test_encoders_of_transformers_are_read(kind: str) -> None:
    import transformers

    torch.manual_seed(0)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    sizes = {"image_size": 32, "patch_size": 8}
    config = {
        "CLIPVisionModelWithProjection": lambda t: t.CLIPVisionConfig(**small, **sizes, projection_dim=8),
        "SiglipVisionModel": lambda t: t.SiglipVisionConfig(**small, **sizes),
        "Dinov2Model": lambda t: t.Dinov2Config(
            hidden_size=16, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=1, **sizes
        ),
    }[kind](transformers)
    net = getattr(transformers, kind)(config).eval()
    path = {
        "CLIPVisionModelWithProjection": "vision_model.encoder.layers.0", "SiglipVisionModel": "encoder.layers.0",
        "Dinov2Model": "encoder.layer.0",
    }[kind]  # fmt: skip
    names = [name for name, _ in net.named_modules() if name.endswith(path.split(".", 1)[1]) or name == path]
    split = SplitPoint(net, names[0], EMBED.outputs)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert split.verify(images).leak["embedding"] < 1e-3
    with torch.no_grad():
        assert split.outputs(images)["embedding"].shape == (2, 8 if "Projection" in kind else 16)
