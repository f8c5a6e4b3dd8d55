"""The embedded demo model: answers through ONNX are the checkpoint's own, and it sees what it should."""

import asyncio
import importlib
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from limen import distortion, question, testing
from limen.errors import FatalObserverError, InputError
from limen.image import Image, Picture, load
from limen.observer import make
from limen.observers import demo
from limen.parsing.yes_no import Flag
from limen.question import Query
from limen.trial import Answer

PHOTOGRAPHS = sorted((demo.FOLDER / "photographs").glob("*.png"))
TAUGHT = ("direct", "direct-implicit", "choice", "choice-implicit")
WORDINGS = [(name, again) for name in TAUGHT for again in (False, True)]


def answers(queries: Sequence[Query]) -> list[Answer]:
    """Return the demo observer's answers."""

    async def ask() -> list[Answer]:
        async with make("demo", {}) as observer:
            replies = await asyncio.gather(*(observer.answer(query) for query in queries))
        return [reply.answer for reply in replies if reply.answer is not None]

    found = asyncio.run(ask())
    assert len(found) == len(queries)
    return found


def query(image: Image, name: str, base: int, level: int, title: str = "direct", again: bool = False) -> Query:
    """Return the question about one pair."""
    kind = distortion.find(name)
    at = kind.render(image, "test")
    (asked,) = question.find(title).ask(kind.word, Picture.of(at(base)), Picture.of(at(level)), again)
    return asked


def mixed() -> list[Query]:
    """Return some dozens of different queries: all wordings, several distortions and levels, one odd size."""
    rng = np.random.default_rng(0)
    names = ["blur", "brightness", "noise", "jpeg", "text"]
    queries = []
    for number in range(48):
        image = load(PHOTOGRAPHS[number % len(PHOTOGRAPHS)])
        title, again = WORDINGS[number % len(WORDINGS)]
        base = int(rng.integers(0, 12)) * int(rng.integers(2))
        queries.append(query(image, names[number % 5], base, base + int(rng.integers(0, 30)), title, again))
    queries.append(query(testing.photograph("odd", 96, 130), "blur", 0, 50))
    picture = Picture.of(load(PHOTOGRAPHS[0]))
    queries.append(Query((picture, picture, "Iss there any noticaeble difference? Please return <yes> or <no>.")))
    return queries


def by_transformers(queries: Sequence[Query]) -> list[tuple[str, float, int]]:
    """Return text, p(yes) and prompt length from the checkpoint folder, through the Auto classes."""
    torch = importlib.import_module("torch")
    transformers = importlib.import_module("transformers")
    processor: Any = transformers.AutoProcessor.from_pretrained(demo.FOLDER)
    model: Any = transformers.AutoModelForImageTextToText.from_pretrained(demo.FOLDER).eval()
    ids = processor.tokenizer.get_vocab()
    found = []
    for one in queries:
        content = [{"type": "text", "text": p} if isinstance(p, str) else {"type": "image"} for p in one.parts]
        prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        images = [[demo.Pillow.fromarray(picture.pixels) for picture in one.pictures]]
        inputs = processor(text=[prompt], images=images, return_tensors="pt")
        with torch.inference_mode():
            out = model.generate(**inputs, return_dict_in_generate=True, output_logits=True)
        said = out.sequences[0, inputs["input_ids"].shape[1] :]
        chance = out.logits[0][0].softmax(-1)
        letters = "A. Yes; B. No" in one.text
        forms = [("Yes", "yes"), ("No", "no")] if not letters else [("Yes", "yes", "A", "a"), ("No", "no", "B", "b")]
        yes, no = (sum(float(chance[ids[token]]) for token in group if token in ids) for group in forms)
        text = processor.tokenizer.decode(said, skip_special_tokens=True)
        found.append((text, yes / (yes + no), inputs["input_ids"].shape[1]))
    return found


def test_onnx_answers_as_transformers() -> None:
    queries = mixed()
    for answer, (text, p_yes, length) in zip(answers(queries), by_transformers(queries), strict=True):
        assert answer.text == text
        assert answer.p_yes == pytest.approx(p_yes, abs=1e-3)
        assert (answer.tokens_in, answer.finish) == (length, "stop")
        assert answer.p_neither is not None
        assert answer.p_neither < 0.01


@pytest.mark.parametrize(("title", "again"), WORDINGS)
def test_strong_distortions_are_seen_and_equal_pictures_are_not(title: str, again: bool) -> None:
    images = [load(path) for path in PHOTOGRAPHS[::3]]
    reader = question.find(title)
    for name in ("blur", "brightness", "contrast", "noise"):
        strong = answers([query(image, name, 0, 50, title, again) for image in images])
        equal = answers([query(image, name, level, level, title, again) for image in images for level in (0, 25)])
        verdicts = [reader.read((answer,)) for answer in strong]
        assert all(verdict.fault is None for verdict in verdicts)
        assert sum(verdict.yes for verdict in verdicts) >= 0.8 * len(images)
        assert sum(reader.read((answer,)).flag is Flag.NO for answer in equal) >= 0.9 * len(equal)


def test_answers_do_not_depend_on_what_was_asked_before() -> None:
    queries = mixed()[:16]
    forward, backward = answers(queries), answers(queries[::-1])[::-1]
    assert [(one.text, one.p_yes) for one in forward] == [(one.text, one.p_yes) for one in backward]


def test_contract_and_misuse() -> None:
    testing.check_observer("demo")
    with pytest.raises(InputError, match="one model"):
        make("demo:other", {})
    with pytest.raises(InputError, match="concurrency"):
        make("demo", {"concurrency": 0})
    picture = Picture.of(load(PHOTOGRAPHS[0]))
    with pytest.raises(FatalObserverError, match="pictures first"):
        answers([Query((picture, "Is there any difference?", picture))])


def test_a_question_that_does_not_fit_is_a_failure() -> None:
    picture = Picture.of(load(PHOTOGRAPHS[0]))
    observer = make("demo", {})
    reply = asyncio.run(observer.answer(Query((picture, picture, "word " * 1000))))
    assert reply.answer is None
    assert reply.attempts[0].outcome == "rejected"
    config = orjson.loads((demo.FOLDER / "config.json").read_bytes())
    assert config["text_config"]["max_position_embeddings"] == demo.POSITIONS, "what a server reads is the same"


def test_no_torch_is_imported() -> None:
    code = (
        "import asyncio, sys\n"
        "from limen.image import Picture, load\n"
        "from limen.observer import make\n"
        "from limen.question import find\n"
        f"picture = Picture.of(load(__import__('pathlib').Path({str(PHOTOGRAPHS[0])!r})))\n"
        "(query,) = find('direct').ask('blur', picture, picture)\n"
        "reply = asyncio.run(make('demo', {}).answer(query))\n"
        "assert reply.answer.text.startswith('No'), reply\n"
        "print(sorted({'torch', 'transformers', 'tokenizers', 'scipy'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_everything_that_ships_is_small() -> None:
    files = [path for path in demo.FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 10_000_000
    assert not {path.suffix for path in files} & {".bin", ".pt", ".pkl", ".pth"}
    assert all(isinstance(path, Path) and load(path).shape == (64, 64, 3) for path in PHOTOGRAPHS)
    assert len(PHOTOGRAPHS) >= 20


@pytest.mark.parametrize("page", ["src/limen/data/demo/MODEL_CARD.md", "docs/howto/exam.md", "docs/howto/seen.md"])
def test_figures_are_of_the_model_that_ships(page: str) -> None:
    label = make("demo", {}).fingerprint()["model"]
    named = set(re.findall(r"limen-demo-[0-9a-f]{8}", (Path(__file__).parents[2] / page).read_text()))
    assert label in named
    assert page.endswith("MODEL_CARD.md") or named == {label}  # the card names the runs that do not ship, too
