"""The study files of the paper's models, and the page that lists them: by configuration only, nothing is loaded."""

import re
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from limen.analysis import paper
from limen.errors import InputError
from limen.observers.local.checkpoint import LocalOptions
from limen.study import Spec, Study, load

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "howto" / "models.md"
FILES = sorted((DOCS / "studies").glob("*.toml"))
ONE_GPU = 80.0  # GB: what is local must fit


def table(first: str) -> list[dict[str, str]]:
    """Return the rows of the page's table whose first column has this title, without the marks of code."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {first} |"))
    rows = []
    for line in (lines[start], *lines[start + 2 :]):
        if not line.startswith("|"):
            break
        rows.append([cell.strip().strip("`") for cell in line.strip("|").split("|")])
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def study_file(model: str) -> Path:
    return DOCS / "studies" / (re.sub(r"[()]", "", model).replace(" ", "-").lower() + ".toml")


MODELS = table("model")
MEASURED = [row for row in MODELS if row["today"] != "gone"]


def observer(spec: Spec) -> dict[str, Any]:
    (entry,) = spec.observers
    assert isinstance(entry, dict)
    return entry


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object) -> None:
        raise AssertionError("a study was planned with a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_the_page_lists_the_models_of_the_paper_in_its_order() -> None:
    assert [row["model"] for row in MODELS] == [row["model"] for row in paper.rows("first_jnd")[1:]]
    assert {row["today"] for row in MODELS} == {"local", "served", "API", "gone"}


def test_every_measurable_model_has_a_study_file_and_no_other_has() -> None:
    assert sorted(study_file(row["model"]) for row in MEASURED) == FILES


@pytest.mark.parametrize("row", [row for row in MODELS if row["parameters"] != "-"], ids=lambda row: row["model"])
def test_sizes_are_the_papers(row: dict[str, str]) -> None:
    printed = next(one for one in paper.rows("models") if one["model"] == row["model"])
    sizes = f"{printed['vision_params_m']}M + {printed['language_params_b']}B"
    assert row["parameters"].split(",")[0] == sizes
    assert ("active" in row["parameters"]) == paper.parameters()[row["model"]].mixture
    assert row["GB"] == printed["gpu_memory_gb"]


@pytest.mark.parametrize("row", MEASURED, ids=lambda row: row["model"])
def test_a_study_file_is_the_papers_protocol_with_that_model(row: dict[str, str]) -> None:
    path = study_file(row["model"])
    spec = load(path)
    assert f"# {row['model']} under" in path.read_text(encoding="utf-8")
    mine = Spec(
        images=(str(path.parent / "photos"), "scene"),
        observers=spec.observers,
        distortions=spec.distortions,
        questions=("direct",),
        procedure={"name": "skip", "gap": 1, "confirm": 2, "orders": 1},
    )
    assert spec == mine, "whatever else a study can say stays at limen's default, the exam and identical pairs too"
    columns = {name: name for name in paper.COLUMNS.values()} | {"band2k": "banding"}
    assert sorted(spec.distortions) == sorted(columns.values()), (
        "the paper's twelve, with limen's own ladder of banding"
    )

    kind, _, model = str(observer(spec)["name"]).partition(":")
    assert model == row["hub or API name"]
    assert kind == ("local" if row["today"] == "local" else "openai")
    assert ("localhost" in observer(spec).get("base_url", "")) == (row["today"] == "served")
    assert observer(spec)["max_tokens"] == 256, "local, served and hosted answers are cut at one length"


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_study_file_plans_on_the_bundled_photographs(path: Path) -> None:
    study = Study.plan(load(path, {"images": ["demo", "scene"], "limit": 2}))
    photographs = {series.reference.digest for series in study.series if series.reference.kind == "image"}
    assert len(photographs) == 2
    assert {series.distortion.name for series in study.series} == set(study.spec.distortions)
    assert [one.name for one in study.observers] == [observer(study.spec)["name"]]


def test_a_study_file_with_a_misspelt_setting_is_refused(tmp_path: Path) -> None:
    text = FILES[0].read_text(encoding="utf-8")
    (tmp_path / "study.toml").write_text(text.replace("max_tokens", "max_token"))
    with pytest.raises(InputError, match="max_tokens"):
        Study.plan(load(tmp_path / "study.toml", {"images": ["demo", "scene"], "limit": 1}))


# --- against the installed transformers ---


@pytest.mark.parametrize("row", [row for row in MODELS if row["model_type"] != "-"], ids=lambda row: row["model"])
def test_local_models_are_those_that_transformers_knows_and_one_gpu_holds(row: dict[str, str]) -> None:
    from transformers import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    known = row["model_type"] in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    assert known == (row["model_type"] in CONFIG_MAPPING)
    assert (row["today"] == "local") == (known and float(row["GB"]) <= ONE_GPU)


def image_processor(row: dict[str, str]) -> Any:
    """Return a family's image processor with the settings that the page names."""
    import transformers

    numbers = {name: int(value) for name, value in re.findall(r"`?(\w+)`? (\d+)", row["settings"])}
    if "Qwen" in row["processor"]:
        return transformers.Qwen2VLImageProcessorPil(**numbers)
    if "LLaVA" in row["processor"]:
        side = int(row["settings"])
        return transformers.LlavaOnevisionImageProcessorPil(size={"height": side, "width": side})
    side = numbers["of"]
    if "InternVL" in row["processor"]:
        size = {"height": side, "width": side}
        return transformers.GotOcr2ImageProcessorPil(size=size, crop_to_patches=True, max_patches=numbers["most"])
    edge = {"longest_edge": numbers["longest_edge"]}
    return transformers.Idefics3ImageProcessorPil(size=edge, max_image_size={"longest_edge": side})


@pytest.mark.parametrize("row", table("processor"), ids=lambda row: f"{row['processor']} {row['settings']}")
def test_what_arrives_of_two_pictures_is_what_the_page_says(row: dict[str, str]) -> None:
    images = image_processor(row)
    from limen.observers.local import arriving

    count = 1 if "alone" in row["processor"] else 2
    for sent in ("512x384", "1024x768"):
        width, height = map(int, sent.split("x"))
        picture = Pillow.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))
        batch = images(images=[[picture] * count], return_tensors="pt")
        tensors = {name: value for name, value in batch.items() if hasattr(value, "is_floating_point")}
        tiles, _, high, wide = arriving.seen(tensors, count, images, None, None)[0].values.shape
        assert row[sent] == f"{tiles} of {wide}x{high}"


def test_tokens_of_one_picture_follow_from_what_arrives() -> None:
    siglip = (384 // 14) ** 2  # LLaVA adds a newline to a picture, alone also one to each row of its tiles
    per_tile = {"InternVL": (448 // 14 // 2) ** 2, "SmolVLM-256M": (512 // 16 // 4) ** 2}
    flat = {
        "Qwen2-VL, Qwen2.5-VL": (504 // 28) * (392 // 28),
        "LLaVA-OneVision": siglip + 1,
        "LLaVA-OneVision, one picture alone": siglip + 27 * (27 * 4 // 3) + 27,
    }
    for row in table("processor"):
        tiles = int(row["512x384"].split()[0])
        expected = flat.get(row["processor"]) or tiles * per_tile[row["processor"]]
        assert int(row["tokens"].replace(",", "")) == expected
    text = PAGE.read_text(encoding="utf-8")
    assert "6,656 tokens for two of 512x384" in text
    assert 2 * 13 * per_tile["InternVL"] == 6656
    # DeepSeek-VL2: an overview and tiles of 14 x 14, a mark after each row, one between (vLLM's deepseek_vl2.py)
    one, two, most = (14 * 15 + 1 + 14 * high * (14 * wide + 1) for wide, high in ((2, 1), (3, 2), (3, 3)))
    assert f"{one:,} tokens at 512x384 and {two:,} at 1024x768" in text
    assert f"take {2 * most:,} of them" in text


def test_settings_that_the_page_names_are_settings_of_local_models() -> None:
    named = set(re.findall(r"-O (\w+)=", PAGE.read_text(encoding="utf-8")))
    assert named == {"max_pixels", "longest_edge"}
    assert named <= set(LocalOptions.__struct_fields__)
