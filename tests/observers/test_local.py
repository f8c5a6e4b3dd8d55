"""The local observer, asked through tiny checkpoints of real families with random weights."""

import asyncio
import functools
import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limen import observer, question
from limen.errors import FatalObserverError, InputError, MissingExtraError
from limen.image import Picture
from limen.observer import Reply
from limen.observers.local import Local
from limen.preflight import exam, questions
from limen.question import Order, Query
from limen.store import Store
from limen.study import Spec, Study
from limen.trial import Answer

pytestmark = pytest.mark.torch


FAMILIES = ("idefics3", "qwen2_vl", "llava_onevision", "internvl", "smolvlm", "qwen3_vl")
DIRECT = question.find("direct")


def picture(seed: int, width: int = 64, height: int = 64) -> Picture:
    """Return noise that depends on the seed alone."""
    return Picture.of(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def ask(first: Picture, second: Picture, word: str = "blur", order: Order = Order.REFERENCE_FIRST) -> Query:
    """Return the direct question about a pair."""
    (query,) = question.find("direct", order).ask(word, first, second)
    return query


def local(folder: Path, **options: Any) -> Local:
    """Return the observer of a checkpoint in float32, with short answers."""
    made = observer.make(f"local:{folder}", {"dtype": "float32", "max_tokens": 4, **options})
    assert isinstance(made, Local)
    return made


def within(made: Local, body: Callable[[Local], Awaitable[Any]]) -> Any:
    """Run `body` with the model loaded."""

    async def run() -> Any:
        async with made:
            return await body(made)

    return asyncio.run(run())


def answers(made: Local, queries: Sequence[Query]) -> list[Reply]:
    """Return the replies to queries asked at the same moment."""

    async def body(made: Local) -> list[Reply]:
        return list(await asyncio.gather(*(made.answer(query) for query in queries)))

    replies: list[Reply] = within(made, body)
    return replies


def p_yes(made: Local, *queries: Query) -> list[float]:
    """Return p(yes) of each query."""
    found = [reply.answer.p_yes for reply in answers(made, queries) if reply.answer]
    assert len(found) == len(queries)
    assert all(value is not None and 0.0 < value < 1.0 for value in found)
    return [value for value in found if value is not None]


def refused(made: Callable[[], Local]) -> str:
    """Return the one line with which a model is refused."""
    with pytest.raises(InputError) as caught:
        answers(made(), [])
    assert "\n" not in str(caught.value)
    print("REFUSED", caught.value)
    return str(caught.value)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing reach the network."""
    from huggingface_hub import constants

    from tests.support import tiny  # noqa: F401

    def connect(self: socket.socket, address: object) -> None:
        raise AssertionError(f"a test reached for {address}")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that holds one checkpoint of each family."""
    from tests.support import tiny

    folder = tmp_path_factory.mktemp("checkpoints")
    for name in FAMILIES:
        tiny.FAMILIES[name](folder / name)
    return folder


@pytest.fixture
def copy(shelf: Path, tmp_path: Path) -> Path:
    """Return an Idefics3 of one's own, to break."""
    return Path(shutil.copytree(shelf / "idefics3", tmp_path / "model"))


def edit(path: Path, **changes: Any) -> None:
    """Change entries of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("family", FAMILIES)
def test_answers(shelf: Path, family: str) -> None:
    made = local(shelf / family)
    one, other = answers(made, [ask(picture(1), picture(2)), ask(picture(1), picture(3), "JPEG compression")])
    assert made.name == f"local:{family}"
    assert made.concurrency == 2
    assert [attempt.outcome for attempt in one.attempts] == ["ok"]
    assert one.answer is not None
    assert other.answer is not None
    assert re.fullmatch("( (yes|no)){4}", one.answer.text)
    assert (one.answer.finish, one.answer.tokens_out, one.answer.model) == ("length", 4, family)
    assert other.answer.tokens_in > one.answer.tokens_in > 20
    assert one.answer.seconds > 0
    assert one.answer.p_yes is not None
    assert (one.answer.p_yes > 0.5) == one.answer.text.startswith(" yes")
    assert 0 <= one.answer.p_neither < 0.5


@pytest.mark.parametrize("family", FAMILIES)
def test_both_pictures_arrive_in_order(shelf: Path, family: str) -> None:
    a, b, c = picture(1), picture(2), picture(3)
    base, second, first, swapped = p_yes(local(shelf / family), ask(a, b), ask(a, c), ask(c, b), ask(b, a))
    assert min(abs(base - second), abs(base - first), abs(base - swapped)) > 1e-4


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_answers_as_one_does(shelf: Path, family: str) -> None:
    words = ["blur", "JPEG compression, noise, or anything else", "mask"]
    sizes = [(64, 64), (96, 48), (40, 80)]
    queries = [ask(picture(n, *sizes[n % 3]), picture(n + 9, *sizes[n % 3]), words[n // 2 % 3]) for n in range(6)]
    queries.append(Query((picture(30), picture(31), picture(32), "Which one is sharper?")))
    sizes_seen: list[int] = []

    async def several(made: Local) -> list[Reply]:
        held = made._held()
        generate = held.model.generate

        def spy(**inputs: Any) -> Any:
            sizes_seen.append(len(inputs["input_ids"]))
            return generate(**inputs)

        held.model.generate = spy
        return list(await asyncio.gather(*(made.answer(query) for query in queries)))

    together = within(local(shelf / family, batch=3), several)
    assert sizes_seen == [3, 3, 1]
    for one, many in zip(answers(local(shelf / family), queries), together, strict=True):
        assert one.answer is not None
        assert many.answer is not None
        assert many.answer.text == one.answer.text
        assert (many.answer.tokens_in, many.answer.tokens_out) == (one.answer.tokens_in, one.answer.tokens_out)
        assert many.answer.p_yes == pytest.approx(one.answer.p_yes, abs=1e-4)


@pytest.mark.parametrize("family", ["idefics3", "qwen2_vl"])
def test_the_processor_gets_the_parts_as_they_are(shelf: Path, family: str) -> None:
    a, b = picture(1, 70, 50), picture(2, 70, 50)
    query = Query(("before ", a, " between ", b, " after"))

    class Spy:
        def __init__(self, processor: Any) -> None:
            self._processor = processor

        def __getattr__(self, name: str) -> Any:
            return getattr(self._processor, name)

        def __call__(self, **inputs: Any) -> Any:
            self.seen, self.made = inputs, self._processor(**inputs)
            return self.made

    async def body(made: Local) -> Any:
        spy = Spy(made._held().processor)
        made._loaded = replace(made._held(), processor=spy)
        await made.answer(query)
        return spy

    spy = within(local(shelf / family), body)
    ((first, second),) = spy.seen["images"]
    assert first.mode == second.mode == "RGB"
    assert np.array_equal(np.asarray(first), a.pixels)
    assert np.array_equal(np.asarray(second), b.pixels)
    (prompt,) = spy.seen["text"]
    assert re.search(r"before \S+ between \S+ after", prompt)
    assert prompt.count(spy.image_token) == 2
    assert spy.made["input_ids"][0].tolist().count(spy.tokenizer.bos_token_id) == 1


plan = functools.cache(functools.partial(questions.plan, {"max_tokens": 2}, sampled=False))


@pytest.mark.parametrize("family", FAMILIES)
def test_exam_floor_and_measurement_go_through(
    shelf: Path, family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "plan", lambda about, sampled: plan())  # drawn once for all
    name = f"local:{family}"
    made = local(shelf / family, max_tokens=2)
    spec = Spec(images=("demo",), observers=("simulated",), distortions=("qr",), limit=1)
    progress = replace(Study.plan(spec), observers=(made,)).run(tmp_path / "run", examine=exam.keep)
    assert not progress.unfinished
    assert progress.asked > 0
    assert progress.failures == 0
    with Store.open(tmp_path / "run") as store:
        (held,) = exam.kept(store)
        (floor,) = store.measurements("floor").values()
        texts = {trial.answer.text for trial in store.trials(name) if trial.answer}
    assert held.fit, held.complaint
    assert held.answered == len(held.asked) == 36 + 2, "the study's question in other words"
    results = {one.check: one for one in held.results}
    assert results["second picture"].status is exam.CheckStatus.OK
    assert results["second picture"].seen.startswith("prompt tokens grow")
    assert results["kept apart"].status is exam.CheckStatus.OK, "pictures of two shapes cost as they should"
    assert all(re.fullmatch("( (yes|no)){2}", text) for text in texts)
    assert floor["first"] == 1
    assert floor["tokens"] >= 16
    tiled = family in {"internvl", "smolvlm"}
    assert (floor["tiles"], floor["size"]) == (5 if tiled else 1, [32, 32] if family == "llava_onevision" else [64, 64])


@pytest.mark.parametrize("family", FAMILIES)
def test_each_picture_takes_its_place_in_the_prompt(shelf: Path, family: str) -> None:
    shapes = [(64, 64), (96, 48)]
    one, other = ([picture(n, *shape) for n in range(4)] for shape in shapes)

    def tokens(*shown: Picture) -> int:
        return costs[shown]

    asked = [tuple(one[:count]) for count in (2, 3, 4)] + [tuple(other[:2]), (one[0], other[1]), (other[1], one[0])]
    replies = answers(local(shelf / family, max_tokens=1), [Query((*shown, "limen")) for shown in asked])
    costs = {shown: reply.answer.tokens_in or 0 for shown, reply in zip(asked, replies, strict=True) if reply.answer}
    two, three, four = (tokens(*one[:count]) for count in (2, 3, 4))
    assert three - two == four - three > 0
    assert 2 * tokens(one[0], other[1]) == two + tokens(*other[:2]), "each costs what it costs by itself"
    assert tokens(one[0], other[1]) == tokens(other[1], one[0])


def test_smolvlm_needs_no_package_that_only_its_videos_need(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.models.smolvlm import processing_smolvlm

    monkeypatch.setattr(processing_smolvlm, "num2words", None)
    (reply,) = answers(local(shelf / "smolvlm"), [ask(picture(1), picture(2))])
    assert reply.answer is not None
    assert processing_smolvlm.num2words is None, "and nothing stays behind"


@pytest.mark.parametrize(
    "options",
    [{"temperature": float("nan")}, {"temperature": 1e9}, {"batch": 10**9}, {"max_tokens": 10**19}, {"max_pixels": 0},
     {"longest_edge": 2**40}],
)  # fmt: skip
def test_numbers_have_bounds(shelf: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"Observer 'local': .*{next(iter(options))}"):
        local(shelf / "idefics3", **options)


def test_a_picture_may_stand_after_the_question(shelf: Path) -> None:
    a, b = picture(1), picture(2)
    queries = ask(a, b), ask(a, b, order=Order.REFERENCE_QUESTION_TEST)
    first, last = p_yes(local(shelf / "qwen2_vl"), *queries)
    assert abs(first - last) > 1e-4
    with pytest.raises(FatalObserverError, match="puts all pictures first: ask in an order that ends"):
        answers(local(shelf / "llava_onevision", batch=2), queries)


def test_an_answer_that_ends_says_stop(tmp_path: Path) -> None:
    from tests.support import tiny

    folder = tiny.idefics3(tmp_path / "brief", stop=True)
    (reply,) = answers(local(folder), [ask(picture(1), picture(2))])
    assert reply.answer is not None
    assert (reply.answer.finish, reply.answer.tokens_out) == ("stop", 1)
    assert reply.answer.p_yes is not None


def test_decoding_is_plain_whatever_the_checkpoint_ships(shelf: Path, copy: Path) -> None:
    habits = {"do_sample": True, "temperature": 9.0, "top_k": 1, "num_beams": 1, "max_length": 3}
    edit(copy / "generation_config.json", repetition_penalty=50.0, **habits)
    queries = [ask(picture(n), picture(n + 1)) for n in range(4)]
    plain, shipped = answers(local(shelf / "idefics3"), queries), answers(local(copy), queries)
    for one, other in zip(plain, shipped, strict=True):
        assert one.answer is not None
        assert other.answer is not None
        assert (one.answer.text, one.answer.p_yes) == (other.answer.text, other.answer.p_yes)


def test_sampled_answers_depend_on_what_is_shown_and_on_the_draw(shelf: Path) -> None:
    import torch

    made = local(shelf / "idefics3", temperature=3.0, max_tokens=12, batch=4)
    assert made.concurrency == 2
    queries = [replace(ask(picture(1), picture(2)), draw=draw) for draw in (0, 1, 2, 0)]
    state = torch.random.get_rng_state()
    texts = [reply.answer.text for reply in answers(made, queries) if reply.answer]
    assert torch.equal(state, torch.random.get_rng_state())
    assert texts[0] == texts[3]
    assert len(set(texts)) == 3
    torch.manual_seed(5)
    again = [reply.answer.text for reply in answers(made, queries[::-1]) if reply.answer]
    assert again[::-1] == texts


def failing(error: Callable[[int], BaseException | None]) -> Callable[[Local], Awaitable[list[Reply]]]:
    """Return a body that asks four questions while generate() fails as `error` says for a batch's size."""

    async def body(made: Local) -> list[Reply]:
        held = made._held()
        generate = held.model.generate

        def fail(**inputs: Any) -> Any:
            if (found := error(len(inputs["input_ids"]))) is not None:
                raise found
            return generate(**inputs)

        held.model.generate = fail
        queries = [ask(picture(n), picture(n + 1)) for n in range(4)]
        return list(await asyncio.gather(*(made.answer(query) for query in queries)))

    return body


def test_a_batch_that_does_not_fit_is_halved_once(shelf: Path) -> None:
    import torch

    def large(size: int) -> BaseException | None:
        return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB") if size > 2 else None

    for reply in within(local(shelf / "idefics3", batch=4), failing(large)):
        assert [attempt.outcome for attempt in reply.attempts] == ["out-of-memory", "ok"]
        assert reply.answer is not None

    def always(size: int) -> BaseException | None:
        return RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    for reply in within(local(shelf / "idefics3", batch=4), failing(always)):
        assert [attempt.outcome for attempt in reply.attempts] == ["out-of-memory"] * 2
        assert reply.answer is None


def test_one_failure_leaves_the_others_their_answers(shelf: Path) -> None:
    calls: list[int] = []

    def second_alone(size: int) -> BaseException | None:
        calls.append(size)
        return ValueError("a picture\nof no use") if size == 4 or len(calls) == 3 else None

    replies = within(local(shelf / "idefics3", batch=4), failing(second_alone))
    assert calls == [4, 1, 1, 1, 1]
    assert [reply.answer is None for reply in replies] == [False, True, False, False]
    assert [attempt.detail for attempt in replies[1].attempts] == ["a picture"] * 2


def test_a_lost_device_stops_the_run(shelf: Path) -> None:
    def lost(size: int) -> BaseException | None:
        return RuntimeError("CUDA error: device-side assert triggered")

    with pytest.raises(FatalObserverError, match="device-lost"):
        within(local(shelf / "idefics3", batch=4), failing(lost))


def test_a_query_given_up_holds_up_nobody(shelf: Path) -> None:
    async def body(made: Local) -> list[Reply]:
        asked = [asyncio.ensure_future(made.answer(ask(picture(n), picture(n + 1)))) for n in range(4)]
        await asyncio.sleep(0)
        asked[0].cancel()
        asked[2].cancel()
        return [reply for reply in await asyncio.gather(*asked, return_exceptions=True) if isinstance(reply, Reply)]

    replies = within(local(shelf / "idefics3", batch=2), body)
    assert [reply.answer is None for reply in replies] == [False, False]


def test_the_fingerprint_says_what_decides(shelf: Path, copy: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    async def body(made: Local) -> dict[str, Any]:
        return dict(made.fingerprint())

    def seen(folder: Path, **options: Any) -> dict[str, Any]:
        found: dict[str, Any] = within(local(folder, **options), body)
        assert str(folder.parent) not in json.dumps(found)
        return found

    def differing(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
        return {name for name in one if one[name] != other[name]}

    base = seen(shelf / "idefics3")
    assert seen(shelf / "idefics3") == base
    assert seen(copy) == base
    assert differing(base, seen(shelf / "idefics3", batch=2)) == {"batch"}
    assert differing(base, seen(shelf / "idefics3", longest_edge=32)) == {"preprocessing"}
    assert "dtype" in differing(base, seen(shelf / "idefics3", dtype="bfloat16"))
    assert "attention" in differing(base, seen(shelf / "idefics3", attention="eager"))
    assert {"decoding", "temperature"} <= differing(base, seen(shelf / "idefics3", temperature=1.0))
    few, many = (seen(shelf / "qwen2_vl", max_pixels=pixels) for pixels in (1024, 2048))
    assert differing(few, many) == {"preprocessing"}
    weights = load_file(copy / "model.safetensors")
    name = next(iter(weights))
    save_file({**weights, name: torch.nextafter(weights[name], weights[name] + 1)}, copy / "model.safetensors")
    assert differing(base, seen(copy)) == {"weights"}


def test_bounds_on_size_reach_the_processor(shelf: Path) -> None:
    query = [ask(picture(1), picture(2))]
    (whole,), (small,) = (answers(local(shelf / "qwen2_vl", max_pixels=pixels), query) for pixels in (4096, 1024))
    assert whole.answer is not None
    assert small.answer is not None
    assert whole.answer.tokens_in - small.answer.tokens_in == 2 * (16 - 4)
    assert "no min_pixels. Leave it out; it takes longest_edge." in refused(
        lambda: local(shelf / "idefics3", min_pixels=9)
    )
    assert "no longest_edge. Leave it out; it takes min_pixels, max_pixels." in refused(
        lambda: local(shelf / "qwen2_vl", longest_edge=9)
    )


def test_what_is_not_a_model_is_refused(shelf: Path, tmp_path: Path) -> None:
    from tests.support import tiny

    assert "No model at '/no/such/folder'" in refused(lambda: local(Path("/no/such/folder")))
    assert "No model at ''" in refused(lambda: observer.make("local", {}))  # type: ignore[return-value, arg-type]
    assert "Check the name, the connection" in refused(lambda: local(Path("nobody/nothing-of-that-name")))
    assert "'llama' is a text-only model: it takes no pictures" in refused(lambda: local(tiny.llama(tmp_path / "text")))
    (tmp_path / "empty").mkdir()
    assert "Check that the folder holds the config.json" in refused(lambda: local(tmp_path / "empty"))
    assert "not on this machine. Use 'auto'" in refused(lambda: local(shelf / "idefics3", device="cuda:99"))
    assert "Use 'auto', 'cpu'" in refused(lambda: local(shelf / "idefics3", device="abacus"))
    with pytest.raises(InputError, match="batch"):
        local(shelf / "idefics3", batch=0)


def test_a_broken_checkpoint_is_refused(copy: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    made = lambda: local(copy)  # noqa: E731
    weights = load_file(copy / "model.safetensors")
    kept = (copy / "model.safetensors").read_bytes()
    save_file({name: value for name, value in weights.items() if "connector" not in name}, copy / "model.safetensors")
    assert "weights are missing or do not fit: 1 (first: model.connector" in refused(made)
    (copy / "model.safetensors").write_bytes(kept[: len(kept) // 2])
    assert "Check that the folder holds model.safetensors" in refused(made)
    (copy / "model.safetensors").unlink()
    torch.save(weights, copy / "pytorch_model.bin")
    assert "model.safetensors" in refused(made)
    (copy / "model.safetensors").write_bytes(kept)
    template = (copy / "chat_template.jinja").read_text()
    (copy / "chat_template.jinja").write_text("{% for message in messages %}{{ message['content'][-1]['text'] }}")
    assert "Give the checkpoint a chat template" in refused(made)
    (copy / "chat_template.jinja").write_text("{{ messages[0]['content'] | map(attribute='text') | join }}")
    assert "its chat template drops pictures" in refused(made)
    (copy / "chat_template.jinja").unlink()
    assert "has no chat template. Use the instruction-tuned" in refused(made)
    (copy / "chat_template.jinja").write_text(template)
    (copy / "processor_config.json").unlink()
    assert "processor" in refused(made)
    edit(copy / "config.json", model_type="idefics9")
    assert "idefics9" in refused(made)
    (copy / "config.json").write_text("{")
    assert "not a valid JSON file. Check that the folder holds" in refused(made)


def test_code_runs_only_where_its_repository_is_named(copy: Path) -> None:
    assert "Its code runs only if trust_remote_code is exactly the model's name" in refused(
        lambda: local(copy, trust_remote_code="somebody/else")
    )
    edit(copy / "config.json", model_type="theirs", auto_map={"AutoConfig": "theirs.Config"})
    (copy / "theirs.py").write_text("raise AssertionError('code ran')")
    assert "set trust_remote_code to the model's name" in refused(lambda: local(copy))
    edit(copy / "config.json", auto_map={"AutoConfig": "somebody/else--theirs.Config"})
    assert "runs code from 'somebody/else'" in refused(lambda: local(copy, trust_remote_code=str(copy)))


def test_named_code_runs(copy: Path, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import dynamic_module_utils

    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    (copy / "theirs.py").write_text(
        "from transformers import Idefics3Config, Idefics3ForConditionalGeneration\n"
        "class TheirConfig(Idefics3Config):\n    model_type = 'theirs'\n"
        "class TheirModel(Idefics3ForConditionalGeneration):\n    config_class = TheirConfig\n"
    )
    maps = {"AutoConfig": "theirs.TheirConfig", "AutoModelForImageTextToText": "theirs.TheirModel"}
    edit(copy / "config.json", model_type="theirs", auto_map=maps)
    query = ask(picture(1), picture(2))
    assert p_yes(local(copy, trust_remote_code=str(copy)), query) == p_yes(local(shelf / "idefics3"), query)


def test_a_missing_library_names_the_extra(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"A local model needs transformers.*\.\[local\]"):
        answers(local(shelf / "idefics3"), [])


def test_a_model_not_loaded_says_so(shelf: Path) -> None:
    made = local(shelf / "idefics3")
    with pytest.raises(InputError, match="Use it inside `async with`"):
        made.fingerprint()
    with pytest.raises(InputError, match="Use it inside `async with`"):
        asyncio.run(made.answer(ask(picture(1), picture(2))))


def test_importing_the_observer_loads_no_model_library() -> None:
    code = "import sys, limen.observers.local; print(*{'torch', 'transformers', 'safetensors'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_length_that_eats_all_text_leaves_no_answer(shelf: Path) -> None:
    one = observer.make(f"local:{shelf / 'idefics3'}", {})
    assert isinstance(one, Local)
    eaten = one._reply(Answer(" \n", finish="length", tokens_out=9), ())
    assert (eaten.answer, eaten.attempts[-1].outcome) == (None, "cut-off")
    assert "max_tokens=N" in eaten.attempts[-1].detail
    for kept in (Answer("", finish="stop"), Answer("<yes> The", finish="length")):
        assert one._reply(kept, ()).answer == kept
