"""The readiness exam: against an honest server, against servers with one fault each, the demo model, and in a run."""

import asyncio
import functools
import hashlib
import io
import math
import re
import signal
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import orjson
import pytest
from aiohttp import web
from PIL import Image

from limen import cli, observer, question
from limen.errors import FatalObserverError, StoreError
from limen.image import Picture
from limen.observer import Reply
from limen.preflight import exam, images, questions, replies
from limen.preflight.exam import CheckResult, CheckStatus, Exam
from limen.question import Order, Question
from limen.store import Store, entries
from limen.study import Spec, Study
from limen.trial import Answer, Attempt
from tests.support.endpoint import Endpoint, Request, completion, reply, say, status
from tests.support.toy import Toy

Pixels = npt.NDArray[np.uint8]
LIMIT = 128
PLAN = questions.plan


@functools.cache
def planned(limit: int | None, seed: int | None, sampled: bool) -> tuple[questions.ExamItem, ...]:
    return PLAN({"max_tokens": limit, "seed": seed}, sampled)


@pytest.fixture(autouse=True)
def drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw the pictures once for all tests: they are the same for all observers (tested below)."""
    monkeypatch.setattr(
        questions, "plan", lambda about, sampled: planned(about.get("max_tokens"), about.get("seed"), sampled)
    )


@functools.lru_cache(256)
def decoded(data: bytes) -> Pixels:
    return np.array(Image.open(io.BytesIO(data)))


# --- a server that sees, and what can be wrong with it ------------------------------------------------------------


def keep_all(shown: list[Pixels]) -> list[Pixels]:
    return shown


def first_alone(shown: list[Pixels]) -> list[Pixels]:
    return shown[:1]


def first_twice(shown: list[Pixels]) -> list[Pixels]:
    return shown[:1] * len(shown)


def reverse(shown: list[Pixels]) -> list[Pixels]:
    return shown[::-1]


def beside(shown: list[Pixels]) -> list[Pixels]:
    """Paste all side by side, on black where they are lower."""
    tallest = max((one.shape[0] for one in shown), default=0)
    padded = [np.pad(one, ((0, tallest - one.shape[0]), (0, 0), (0, 0))) for one in shown]
    return [np.concatenate(padded, 1)] if shown else []


def below(shown: list[Pixels]) -> list[Pixels]:
    """Paste all below each other, on black where they are narrower."""
    return [one.transpose(1, 0, 2) for one in beside([one.transpose(1, 0, 2) for one in shown])]


def as_first(shown: list[Pixels]) -> list[Pixels]:
    """Bring all to the first one's size."""
    return [np.array(Image.fromarray(one).resize(shown[0].shape[1::-1])) for one in shown]


def scaled(longest: int) -> Callable[[list[Pixels]], list[Pixels]]:
    """Bring larger ones down to `longest` pixels a side."""

    def scale(shown: list[Pixels]) -> list[Pixels]:
        found = []
        for one in shown:
            picture = Image.fromarray(one)
            picture.thumbnail((longest, longest), Image.Resampling.BICUBIC)
            found.append(np.array(picture))
        return found

    return scale


def patches(one: Pixels) -> int:
    """Count prompt tokens as a model does that takes patches of 28 px between two marks."""
    return math.ceil(one.shape[0] / 28) * math.ceil(one.shape[1] / 28) + 2


@dataclass
class Sighted:
    """A model behind a server: it answers every question of the exam truly, from the pixels that reach it.

    Attributes:
        arrives: what becomes of the pictures on the way.
        tokens: what a picture costs; None: no usage is told.
        skilled: whether it can do more than compare two pictures.
        limited: whether it keeps to max_tokens.
        greedy: whether it decodes greedily, whatever the temperature.
        steady: whether greedy answers repeat.
        seeded: whether it honours a seed.
        names: what it calls itself, in turn.
        threshold: grey levels rms from which it says yes.
    """

    arrives: Callable[[list[Pixels]], list[Pixels]] = keep_all
    tokens: Callable[[Pixels], int] | None = patches
    skilled: bool = True
    limited: bool = True
    greedy: bool = False
    steady: bool = True
    seeded: bool = True
    names: tuple[str, ...] = ("toy-2026",)
    threshold: float = 6.0
    turn: int = 0

    async def __call__(self, server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
        self.turn += 1
        shown = self.arrives([decoded(data) for data in seen.files])
        words = self.said(seen.text, shown, self.chance(seen)).split(" ")
        limit = seen.payload.get("max_tokens", 10**9) if self.limited else 10**9
        finish = "length" if len(words) > limit else "stop"
        text = " ".join(words[:limit])
        asked = server.logprobs and seen.payload.get("logprobs")
        body = completion(text, finish, self.odds(text, shown) if asked else None)
        body["model"] = self.names[self.turn % len(self.names)]
        prompt = 12 + len(seen.text.split()) + sum(map(self.tokens, shown)) if self.tokens else 0
        body["usage"] = (
            {"prompt_tokens": prompt, "completion_tokens": self.cost(len(text.split()))} if self.tokens else None
        )
        return reply(body)

    def cost(self, words: int) -> int:
        return words

    def chance(self, seen: Request) -> str:
        """Return what samples differ by; nothing where decoding is greedy and steady."""
        sampled = bool(seen.payload.get("temperature")) and not self.greedy
        if not sampled:
            return "" if self.steady else str(self.turn)
        seed = seen.payload.get("seed")
        return f"seed {seed}" if self.seeded and seed is not None else str(self.turn)

    def said(self, text: str, shown: list[Pixels], chance: str) -> str:
        if "noticeable difference" in text or "differ noticeably" in text:
            return self.compared(text, shown)
        if not self.skilled:
            return "I see."
        last = shown[-1] if shown else None
        if "How many images" in text:
            return str(len(shown))
        if "Name the colour" in text:
            return f"{colour(shown[0])}, {colour(shown[-1])}"
        if "checkerboard" in text:
            fine = [np.abs(np.diff(one[:40].astype(int), axis=1)).mean() > 60 for one in (shown[0], shown[-1])]
            return {(1, 1): "<both>", (1, 0): "<first>", (0, 1): "<second>", (0, 0): "<none>"}[fine[0], fine[1]]
        if "red disc" in text and last is not None:
            x = np.nonzero(last[..., 1] < 100)[1].mean() / last.shape[1]
            return "<left>" if x < 0.5 else "<right>"
        if found := re.search(r"from 1 to (\d+)", text):
            return " ".join(str(n) for n in range(1, int(found[1]) + 1))
        shade = hashlib.sha256(f"{chance} {[one.mean() for one in shown]}".encode()).hexdigest()[:6]
        return f"The first image and the second image both show stripes in four fields, of a shade like #{shade}."

    def compared(self, text: str, shown: list[Pixels]) -> str:
        yes = self.rms(shown) > self.threshold
        if "A. Yes" in text:
            return "A" if yes else "B"
        return "Yes, one image is visibly changed." if yes else "No, both images look the same to me."

    def rms(self, shown: list[Pixels]) -> float:
        return float(np.sqrt(np.mean((shown[0].astype(float) - shown[-1].astype(float)) ** 2)))

    def odds(self, text: str, shown: list[Pixels]) -> list[tuple[str, dict[str, float]]] | None:
        """Return chances at the flag, never all or nothing."""
        flag = text.split(" ")[0].strip(",")
        rivals = {"Yes": "No", "No": "Yes", "A": "B", "B": "A"}
        if flag not in rivals:
            return None
        p = 0.75 + 0.2 * math.tanh(abs(self.rms(shown) - self.threshold) / 300)
        return [(flag, {flag: 0.99 * p, rivals[flag]: 0.99 * (1 - p)})]


class Saying(Sighted):
    """A server that says one thing, whatever it is asked."""

    def __init__(self, text: str, **more: Any) -> None:
        super().__init__(**more)
        self.text = text

    def said(self, text: str, shown: list[Pixels], chance: str) -> str:
        return self.text

    def odds(self, text: str, shown: list[Pixels]) -> list[tuple[str, dict[str, float]]] | None:
        return None


def colour(one: Pixels) -> str:
    mean = one.reshape(-1, 3).mean(0)
    return min(images.COLOURS, key=lambda name: float(np.abs(np.subtract(images.COLOURS[name], mean)).sum()))


def examine(model: Sighted, logprobs: bool = True, **options: Any) -> Exam:
    with Endpoint(behaviour=model, logprobs=logprobs) as server:
        given = {
            "base_url": server.base_url,
            "max_tokens": LIMIT,
            "backoff_s": 0.01,
            "retries": 2,
            "wait_for_server_s": 0,
            **options,
        }
        return exam.examine("openai:toy", given)


def found(held: Exam, check: str) -> CheckResult:
    (result,) = (one for one in held.results if one.check == check)
    return result


def statuses(held: Exam, *, but: str = "") -> dict[str, CheckStatus]:
    return {one.check: one.status for one in held.results if one.check != but}


# --- an honest server ---------------------------------------------------------------------------------------------


def test_a_server_that_sees_passes_everything() -> None:
    held = examine(Sighted())
    assert set(statuses(held).values()) == {CheckStatus.OK}, held.results
    assert len(held.results) == 12
    assert held.fit
    assert not held.marks
    assert len(held.asked) == held.answered <= exam.MOST


@pytest.mark.parametrize("sampled", [False, True])
def test_there_are_at_most_forty_questions_under_names_that_differ(sampled: bool) -> None:
    items = questions.plan({"max_tokens": 64, "seed": 1}, sampled)
    assert len(items) <= 40
    assert len({item.name for item in items}) == len(items)
    pairs = [item.query.pictures for item in items if len(item.query.pictures) == 2 and not item.for_tokens]
    assert all(one.pixels.shape == other.pixels.shape for one, other in pairs)
    assert all(isinstance(part, Picture) for item in items for part in item.query.parts[:-1])


def test_a_model_that_can_only_compare_is_neither_passed_nor_failed_for_what_it_cannot_say() -> None:
    held = examine(Sighted(skilled=False))
    assert held.fit
    assert found(held, "order").status is CheckStatus.UNKNOWN
    assert found(held, "second picture").status is CheckStatus.OK
    assert found(held, "kept apart").status is CheckStatus.OK, "by what pictures of two shapes cost"
    assert found(held, "size").status is CheckStatus.OK, "by what pictures of four sizes cost"
    assert held.marks == ("does not find a red disc",)


# --- one fault each -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("skilled", [True, False])
def test_a_dropped_second_picture_is_unfit_whatever_the_model_can(skilled: bool) -> None:
    held = examine(Sighted(first_alone, skilled=skilled))
    assert not held.fit
    assert found(held, "second picture").status is CheckStatus.FAILED
    assert "takes two images" in held.complaint or "take two images" in held.complaint


def test_a_second_picture_without_influence_is_unfit_by_p_yes_where_tokens_do_not_tell() -> None:
    for tokens in (None, patches):
        held = examine(Sighted(first_twice, tokens, skilled=False))
        assert found(held, "second picture").status is CheckStatus.FAILED
        assert "last digit" in found(held, "second picture").seen


def test_without_tokens_and_chances_a_weak_model_shows_nothing_of_a_dropped_picture() -> None:
    held = examine(Sighted(first_twice, None, skilled=False), logprobs=False)
    assert found(held, "second picture").status is CheckStatus.UNKNOWN
    assert held.fit
    assert "answers no to anything" in held.marks


def test_answers_that_change_by_themselves_show_nothing_of_the_second_picture() -> None:
    class Chatty(Sighted):
        def compared(self, text: str, shown: list[Pixels]) -> str:
            return f"{super().compared(text, shown)} ({self.turn})"

    held = examine(Chatty(first_twice, None, skilled=False), logprobs=False)
    assert found(held, "second picture").status is CheckStatus.UNKNOWN
    held = examine(Sighted(tokens=None, skilled=False), logprobs=False)
    assert found(held, "second picture").status is CheckStatus.OK, "where they do not, they do"


@pytest.mark.parametrize("paste", [beside, below])
@pytest.mark.parametrize("skilled", [True, False])
def test_two_pictures_made_one_are_unfit(paste: Callable[[list[Pixels]], list[Pixels]], skilled: bool) -> None:
    held = examine(Sighted(paste, skilled=skilled))
    assert found(held, "kept apart").status is CheckStatus.FAILED


def test_pictures_brought_to_one_size_are_not_taken_for_one_picture() -> None:
    held = examine(Sighted(as_first, skilled=False))
    assert found(held, "kept apart").status is CheckStatus.UNKNOWN
    assert held.fit


def test_two_pictures_made_one_of_fixed_cost_are_unfit() -> None:
    assert not examine(Sighted(beside, lambda one: 576)).fit


# What pictures cost, by what their makers or servers document or by the code of their processors: (height, width) of
# all pictures of a request -> tokens. An honest server may count in any of these ways.
Sizes = list[tuple[int, int]]


def multiples(factor: int, least: int, most: int) -> Callable[[Sizes], int]:
    """Qwen-VL: sides brought to multiples of `factor`, areas from `least` to `most`; a token a square, two marks."""

    def one(height: int, width: int) -> int:
        high, wide = (max(1, round(side / factor)) for side in (height, width))
        if high * wide * factor**2 > most:
            beta = math.sqrt(height * width / most)
            high, wide = (max(1, math.floor(side / beta / factor)) for side in (height, width))
        elif high * wide * factor**2 < least:
            beta = math.sqrt(least / (height * width))
            high, wide = (math.ceil(side * beta / factor) for side in (height, width))
        return high * wide + 2

    return lambda sizes: sum(one(*size) for size in sizes)


def openai_tiles(sizes: Sizes) -> int:
    """GPT-4o: into 2048 px, shorter side to 768, tiles of 512."""

    def one(height: int, width: int) -> int:
        scale = min(1.0, 2048 / max(height, width), 768 / min(height, width))
        return 85 + 170 * math.ceil(height * scale / 512) * math.ceil(width * scale / 512)

    return sum(one(*size) for size in sizes)


def gemini(sizes: Sizes) -> int:
    """Gemini 2: 258 up to 384 px, else 258 a crop."""

    def one(height: int, width: int) -> int:
        if max(height, width) <= 384:
            return 258
        unit = min(768, max(256, math.floor(min(height, width) / 1.5)))
        return 258 * math.ceil(height / unit) * math.ceil(width / unit)

    return sum(one(*size) for size in sizes)


def grids(most: int, share: bool) -> Callable[[Sizes], int]:
    """InternVL: the grid of 448 px tiles nearest in shape, the larger one if it is half filled, and a thumbnail."""

    def one(height: int, width: int, limit: int) -> int:
        best, near = (1, 1), math.inf
        grid = [(w, h) for w in range(1, limit + 1) for h in range(1, limit + 1) if w * h <= limit]
        for w, h in sorted(grid, key=lambda grid: grid[0] * grid[1]):
            off = abs(width / height - w / h)
            if off < near or (off == near and height * width > 0.5 * 448**2 * w * h):
                best, near = (w, h), off
        tiles = best[0] * best[1]
        return 256 * (tiles + (tiles > 1)) + 2

    return lambda sizes: sum(one(*size, max(1, most // len(sizes)) if share else most) for size in sizes)


def any_resolution(sizes: Sizes) -> int:
    """LLaVA-OneVision: one picture in tiles of 384 px, several at 729 each."""
    if len(sizes) == 1:
        ((height, width),) = sizes
        return 729 * (1 + min(9, math.ceil(height / 384) * math.ceil(width / 384)))
    return 729 * len(sizes)


def tiled_when_few(sizes: Sizes) -> int:
    """DeepSeek-VL2: tiles of 384 px for one or two pictures, none for more."""
    tiled = len(sizes) <= 2
    return sum(210 * (1 + (math.ceil(h / 384) * math.ceil(w / 384) if tiled else 0)) for h, w in sizes)


WAYS: dict[str, Callable[[Sizes], int]] = {
    "LLaVA-1.5": lambda sizes: 576 * len(sizes),
    "a mark for each": len,
    "text alone": lambda sizes: 0,
    "Claude": lambda sizes: sum(math.ceil(h * w / 750) for h, w in sizes),
    "Pixtral": lambda sizes: sum(math.ceil(h / 16) * (math.ceil(w / 16) + 1) for h, w in sizes),
    "Idefics3": lambda sizes: sum(64 * (1 + 4 * math.ceil(4 * min(h, w) / max(h, w))) + 20 for h, w in sizes),
    "Qwen2.5-VL": multiples(28, 56**2, 12845056),
    "Qwen2.5-VL, small": multiples(28, 256 * 28**2, 1280 * 28**2),
    "Qwen3-VL": multiples(32, 2**16, 2**24),
    "GPT-4o": openai_tiles,
    "Gemini": gemini,
    "InternVL": grids(12, share=False),
    "InternVL, shared": grids(12, share=True),
    "LLaVA-OneVision": any_resolution,
    "DeepSeek-VL2": tiled_when_few,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("without_pictures", [True, False])
def test_no_way_of_counting_pictures_makes_an_honest_server_unfit(way: str, without_pictures: bool) -> None:
    answers = {}
    for item in planned(LIMIT, None, False):
        sizes = [picture.pixels.shape[:2] for picture in item.query.pictures]
        cost = 30 + len(item.query.text.split()) + (WAYS[way](sizes) if sizes else 0)
        answers[item.name] = Answer("I see.", tokens_in=cost) if sizes or without_pictures else None
    results = {result.check: result for result in exam.judge(answers, {"max_tokens": LIMIT}, False)}
    assert CheckStatus.FAILED not in {result.status for result in results.values()}, results
    if way != "text alone":
        assert results["second picture"].status is CheckStatus.OK
    assert results["size"].status is (CheckStatus.OK if way in WHOLE else CheckStatus.UNKNOWN), results["size"]
    if way not in {"text alone", "a mark for each"} and without_pictures:
        assert results["kept apart"].status is CheckStatus.OK, results["kept apart"]


WHOLE = {"Claude", "Pixtral", "Qwen2.5-VL", "Qwen3-VL"}  # what they cost grows as pixels do between 300 and 640 px


def test_tokens_of_text_alone_prove_nothing() -> None:
    for model in (Sighted(tokens=lambda one: 0, skilled=False), Sighted(first_alone, lambda one: 0, skilled=False)):
        held = examine(model, logprobs=False)
        assert found(held, "kept apart").status is CheckStatus.UNKNOWN
        assert found(held, "second picture").status is not CheckStatus.FAILED


def test_swapped_pictures_are_unfit_where_the_model_can_tell() -> None:
    held = examine(Sighted(reverse))
    assert found(held, "order").status is CheckStatus.FAILED
    assert "keeps the order" in held.complaint
    assert found(examine(Sighted(reverse, skilled=False)), "order").status is CheckStatus.UNKNOWN


@pytest.mark.parametrize(
    ("longest", "status", "skilled"),
    [
        (100, CheckStatus.FAILED, True),
        (100, CheckStatus.FAILED, False),
        (160, CheckStatus.FAILED, False),
        (320, CheckStatus.FINDING, True),
        (320, CheckStatus.FINDING, False),
        (500, CheckStatus.UNKNOWN, True),
        (500, CheckStatus.UNKNOWN, False),
        (640, CheckStatus.OK, False),
    ],
)
def test_pictures_scaled_down_on_the_way(longest: int, status: CheckStatus, skilled: bool) -> None:
    result = found(examine(Sighted(scaled(longest), skilled=skilled)), "size")
    assert result.status is status, result
    if skilled and longest == 320:
        assert "told from grey at 320 px" in result.seen


def test_a_size_is_not_known_where_pictures_cost_the_same() -> None:
    held = examine(Sighted(scaled(64), lambda one: 64, skilled=False))
    assert found(held, "size").status is CheckStatus.UNKNOWN, (
        "so do models that see one size, or enlarge small pictures"
    )
    assert held.fit
    assert found(examine(Sighted(tokens=lambda one: 64)), "size").status is CheckStatus.OK, "the checkerboard is seen"


def test_detail_that_is_told_outweighs_what_pictures_cost() -> None:
    held = examine(Sighted(scaled(320), lambda one: min(38, patches(one))))
    assert found(held, "size").status is CheckStatus.UNKNOWN, "tokens alone would say 160 px or less"
    assert "told from grey at 320 px" in found(held, "size").seen


@pytest.mark.parametrize("tokens", [patches, None])
def test_an_ignored_limit_is_unfit(tokens: Callable[[Pixels], int] | None) -> None:
    held = examine(Sighted(tokens=tokens, limited=False))
    assert found(held, "max_tokens").status is CheckStatus.FAILED
    assert "max_completion_tokens" in held.complaint
    assert found(examine(Sighted(), max_tokens=4096), "max_tokens").status is CheckStatus.UNKNOWN, "too dear to try"


def test_thought_that_is_counted_but_not_shown_is_no_ignored_limit() -> None:
    class Thoughtful(Sighted):
        def cost(self, words: int) -> int:
            return 500

    result = found(examine(Thoughtful()), "max_tokens")
    assert result.status is CheckStatus.FINDING
    assert "500" in result.seen


def test_greedy_answers_that_change_their_words_are_a_finding() -> None:
    held = examine(Sighted(steady=False))
    assert found(held, "repeats").status is CheckStatus.FINDING
    assert held.fit


def test_greedy_answers_that_change_their_flag_are_unfit() -> None:
    class Fickle(Sighted):
        def compared(self, text: str, shown: list[Pixels]) -> str:
            return "Yes, one image is visibly changed." if self.turn % 2 else "No, both images look the same to me."

    held = examine(Fickle(), concurrency=1)
    assert found(held, "repeats").status is CheckStatus.FAILED
    assert "temperature" in held.complaint


def test_samples_that_are_none_are_unfit() -> None:
    held = examine(Sighted(greedy=True), temperature=1.0)
    assert found(held, "temperature").status is CheckStatus.FAILED
    assert "temperature=0" in held.complaint
    assert found(examine(Sighted(greedy=True), temperature=0.1), "temperature").status is CheckStatus.UNKNOWN
    assert found(examine(Sighted(), temperature=1.0), "temperature").status is CheckStatus.OK


def test_a_seed_that_is_not_honoured_is_a_finding() -> None:
    assert found(examine(Sighted(), temperature=1.0, seed=3), "seed").status is CheckStatus.OK
    held = examine(Sighted(seeded=False), temperature=1.0, seed=3)
    assert found(held, "seed").status is CheckStatus.FINDING
    assert held.fit


def test_without_usage_answers_can_still_show_what_arrives() -> None:
    held = examine(Sighted(tokens=None))
    assert held.fit
    assert {found(held, check).status for check in ("second picture", "kept apart", "order", "size")} == {
        CheckStatus.OK
    }
    assert all(one.name not in {"count-0", "count-tall", "count-mixed"} for one in held.asked)
    assert held.tokens[0] == 0


@pytest.mark.parametrize(
    ("text", "marks"),
    [("Yes, there is a visible difference.", {"answers yes to identical pictures", "does not find a red disc"}),
     ("No, both images look the same.", {"answers no to anything", "does not find a red disc"}),
     ("Zxq vbn kjh wrt plm qaz wsx.", {"answers cannot be read", "does not find a red disc"}),
     ("", {"answers cannot be read", "does not find a red disc"})],
)  # fmt: skip
def test_what_a_model_cannot_do_is_a_finding_and_stops_nothing(text: str, marks: set[str]) -> None:
    held = examine(Saying(text), logprobs=False)
    assert held.fit, held.complaint
    assert marks <= set(held.marks)
    assert found(held, "order").status is CheckStatus.UNKNOWN


def test_missing_log_probabilities_are_a_finding_where_they_were_asked_for() -> None:
    held = examine(Sighted(), logprobs=False)
    assert held.marks == ("gives no p(yes)",)
    with Endpoint(behaviour=Sighted(), logprobs=False) as server:
        held = exam.examine("openai:toy", {"base_url": server.base_url, "logprobs": False})
    assert not held.marks


def test_chances_that_belong_to_other_words_are_a_finding() -> None:
    class Odd(Sighted):
        def odds(self, text: str, shown: list[Pixels]) -> list[tuple[str, dict[str, float]]] | None:
            told = super().odds(text, shown)
            return told and [(token, dict(zip(odds, reversed(odds.values()), strict=True))) for token, odds in told]

    assert found(examine(Odd()), "log probabilities").status is CheckStatus.FINDING


def test_another_model_is_a_finding_and_several_are_unfit() -> None:
    held = examine(Sighted(names=("other/llama-3",)))
    assert held.marks == ("calls itself llama-3",)
    held = examine(Sighted(names=("toy-a", "toy-b")))
    assert found(held, "model").status is CheckStatus.FAILED
    assert "2 models" in held.complaint


def test_an_unknown_model_raises_as_it_does_in_a_run() -> None:
    with Endpoint(behaviour=status(404, "no such model")) as server, pytest.raises(FatalObserverError, match="toy"):
        exam.examine("openai:toy", {"base_url": server.base_url})


def test_a_server_that_takes_two_pictures_and_no_other_number_is_fit() -> None:
    class Strict(Sighted):
        async def __call__(self, server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
            if len(seen.files) != 2:
                return await status(400, "this model does not support so many images")(server, seen, request)
            return await super().__call__(server, seen, request)

    held = examine(Strict())
    assert held.fit
    assert found(held, "second picture").status is CheckStatus.OK, "by the colours"
    assert {one.name for one in held.asked if one.answer is None} == {"count-0", "count-1", "count-3"}


def test_a_server_that_falls_silent_is_not_asked_on() -> None:
    class Silent(Sighted):
        async def __call__(self, server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
            if self.turn:
                return await status(400, "too large")(server, seen, request)
            return await super().__call__(server, seen, request)

    held = examine(Silent(), concurrency=2)
    assert held.answered == 1
    assert exam.ENOUGH <= len(held.asked) - 1 <= exam.ENOUGH + 2
    assert held.failed
    assert "(400): too large" in found(held, "answers").seen
    with Endpoint(behaviour=status(400, "too large")) as server:
        held = exam.examine("openai:toy", {"base_url": server.base_url})
        assert len(server.requests) == 1
    assert "not held: nothing was answered. rejected: 127.0.0.1" in held.summary
    assert held.summary.endswith("(400): too large.")
    assert not held.fit


def test_a_question_that_fails_once_is_put_once_more() -> None:
    class Stumbling(Sighted):
        async def __call__(self, server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
            if self.turn in (8, 9, 10):
                self.turn += 1
                return await status(500, "a moment, please")(server, seen, request)
            return await super().__call__(server, seen, request)

    told: list[tuple[int, int]] = []
    with Endpoint(behaviour=Stumbling()) as server:
        given = {"base_url": server.base_url, "max_tokens": LIMIT, "retries": 1, "concurrency": 1}
        tell = lambda held: told.append((len(held.asked), len(held.waiting)))  # noqa: E731
        held = exam.examine("openai:toy", given, tell)
    assert held.fit
    assert held.answered == 36
    assert told[0] == (1, 35)
    assert told[-1] == (36, 0)
    assert len(told) == 36 + 3


# --- failures: those that pass leave a check open, those for good fail the exam -----------------------------------


def outage(begins: int) -> Sighted:
    """Return a server that sees and dies after so many answers; until `alive` is set."""

    class Dying(Sighted):
        alive = False

        async def __call__(self, server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
            if not self.alive and self.turn >= begins:
                return await status(503, "the model is being unloaded")(server, seen, request)
            return await super().__call__(server, seen, request)

    return Dying()


def test_checks_whose_answers_have_not_come_are_open_and_nothing_else() -> None:
    held = examine(outage(14), concurrency=1, retries=1)
    assert held.answered == 14
    assert not held.fit
    assert not held.failed
    assert "14 questions, 7,010" not in held.summary
    assert "not finished (14 questions" in held.summary
    assert held.summary.startswith("exam of openai:toy not finished (14 questions")
    assert "fails (503): the model is being unloaded." in held.summary
    status_of = statuses(held)
    assert status_of["order"] is CheckStatus.OK, "all it looks at has come"
    assert {status_of[check] for check in ("identical pictures", "wordings", "repeats", "model")} == {CheckStatus.OPEN}
    assert set(status_of.values()) <= {CheckStatus.OK, CheckStatus.OPEN}
    whole = examine(Sighted(first_alone))
    answers = {one.name: one.answer for one in whole.asked if one.name != "count-3"}
    results = exam.judge(answers, whole.about, False, waiting=["count-3"])
    assert results[0].status is CheckStatus.OPEN, "a third picture may still show that pictures are counted"


def test_questions_that_fail_for_good_fail_the_exam_with_the_servers_sentence() -> None:
    told = "max_tokens=128 cannot be greater than the context of 96"

    class Short(Sighted):
        async def __call__(self, server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
            if "noticeable difference" in seen.text:
                return await status(400, told)(server, seen, request)
            return await super().__call__(server, seen, request)

    held = examine(Short())
    assert held.failed
    assert "fail for good, as rejected: 127.0.0.1" in held.complaint
    assert f"(400): {told}" in held.complaint
    assert "max_tokens" in found(held, "answers").change
    assert not held.having(CheckStatus.OPEN)


def test_a_refused_size_marks_the_run() -> None:
    class Narrow(Sighted):
        async def __call__(self, server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
            if any(decoded(file).shape[0] > 600 for file in seen.files):
                return await status(400, "no side may have more than 600 pixels")(server, seen, request)
            return await super().__call__(server, seen, request)

    held = examine(Narrow())
    assert held.fit
    assert found(held, "answers").status is CheckStatus.FINDING
    assert "does not answer 3 of 31 questions (rejected)" in held.marks


@pytest.mark.parametrize("outcome", ["cut-off", "thought", "unsupported", "out-of-memory"])
def test_an_observer_that_gives_no_word_fails_with_its_reason(outcome: str) -> None:
    class Mute(Toy):
        async def answer(self, query: Any) -> Reply:
            if len(query.pictures) < 2 or "How many" in query.text:
                return Reply(Answer("2", finish="stop"), (Attempt("ok"),))
            return Reply(None, (Attempt(outcome, "all 64 tokens went into reasoning."),))

    held = asyncio.run(exam.hold(Mute(lambda query: "")))
    assert held.failed
    assert f"fail for good, as {outcome}: all 64 tokens went into reasoning. " in held.complaint
    assert found(held, "answers").change


def test_an_endpoint_whose_text_is_eaten_fails_with_what_to_set() -> None:
    class Thinker(Sighted):
        async def __call__(self, server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
            if "compare" in seen.text.lower() or "noticeable" in seen.text.lower():
                return await say("", "length", reasoning_content="The first picture")(server, seen, request)
            return await super().__call__(server, seen, request)

    held = examine(Thinker())
    assert held.failed
    assert not held.waiting
    assert "fail for good, as thought: All text went to the reasoning field" in held.complaint
    assert "max_tokens" in held.complaint


def test_no_absolute_path_is_kept_of_what_a_library_said(tmp_path: Path) -> None:
    class Failing(Toy):
        async def answer(self, query: Any) -> Reply:
            if len(query.pictures) < 2:
                return Reply(Answer("2", finish="stop"), (Attempt("ok"),))
            return Reply(None, (Attempt("unsupported", f"cannot open '{tmp_path / 'HOME-OF-BOB' / 'w.bin'}'"),))

    with Store.create(tmp_path / "run", {}) as store:
        with pytest.raises(FatalObserverError, match=r"cannot open 'w\.bin'"):
            asyncio.run(exam.keep(Failing(lambda query: ""), store))
        assert "cannot open 'w.bin'" in str(store.measurements("exam"))
    kept = list((tmp_path / "run").iterdir())
    assert [file.name for file in kept if b"HOME-OF-BOB" in file.read_bytes()] == []


def test_answers_that_are_cut_off_in_thought_fail_and_other_unread_ones_do_not() -> None:
    class Thinking(Toy):
        finish = "length"

        async def answer(self, query: Any) -> Reply:
            answer = Answer("<think>Let me look at the first image. It shows", finish=self.finish)
            return Reply(answer, (Attempt("ok"),))

    held = asyncio.run(exam.hold(Thinking(lambda query: "")))
    assert "cut off before a word of the answer" in found(held, "answers").seen
    assert "max_tokens" in held.complaint
    assert held.failed
    made = Thinking(lambda query: "")
    made.finish = "stop"
    held = asyncio.run(exam.hold(made))
    assert held.fit
    assert "answers cannot be read" in held.marks


# --- how answers are read, and pictures ---------------------------------------------------------------------------


def test_answers_to_the_exam_are_read_only_where_they_are_plain() -> None:
    assert [replies.number(t) for t in ("2", "Two.", "There are two (2) images", "Image 1 and image 2", "many")] == [
        2, 2, 2, None, None,
    ]  # fmt: skip
    assert replies.colours("Red, blue.") == ("red", "blue")
    assert replies.colours("The first image is red and the second is blue") == ("red", "blue")
    assert replies.colours("The second image is blue, the first is red") is None
    assert replies.colours("red red") is None
    assert replies.colours("red, purple") is None
    assert replies.choice("<left>", ("left", "right")) == "left"
    assert replies.choice("It is not <left> but <right>", ("left", "right")) == "right"
    assert replies.choice("left or right", ("left", "right")) is None


def test_the_finest_checkerboard_scaled_down_is_grey() -> None:
    for shift in range(3):
        fine, plain = images.grid(320, shift).pixels, images.grey(320, shift).pixels
        for filter_ in (Image.Resampling.BOX, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS):
            small = np.array(Image.fromarray(fine).resize((160, 160), filter_)).astype(int)
            inner = small[4:-4, 4:-4]
            assert np.abs(inner - int(plain[0, 0, 0])).max() <= 1


# --- in a run -----------------------------------------------------------------------------------------------------


def measured(photos: Path, out: Path, made: Any, **more: Any) -> Any:
    spec = Spec(images=(str(photos),), observers=("simulated",), distortions=("noise",), limit=1, **more)
    return replace(Study.plan(spec), observers=(made,)).run(out, examine=exam.keep)


def test_a_run_keeps_its_exam_and_does_not_repeat_it(tmp_path: Path, photos: Path) -> None:
    with Endpoint(behaviour=Sighted()) as server:
        made = observer.make("openai:toy", {"base_url": server.base_url, "max_tokens": LIMIT})
        progress = measured(photos, tmp_path / "run", made)
        first = len(server.requests)
        assert any("exam of openai:toy passed (38 questions" in notice for notice in progress.notices)
        progress = measured(photos, tmp_path / "run", made)
        assert len(server.requests) == first, "neither exam nor measurement asks again"
        assert progress.notices[0] == "exam of openai:toy passed, held before."
    with Store.open(tmp_path / "run") as store:
        assert store.manifest["exams"]["openai:toy"]["fit"] is True
        assert msgspec.to_builtins(entries.check(store.path, store.manifest)) == store.manifest, "read whole"
        (held,) = exam.kept(store)
    assert held.fit
    assert held.answered == 38
    again = exam.judge({one.name: one.answer for one in held.asked}, held.about, held.sampled, tried=held.tried)
    assert again == held.results
    assert {one.check: one.status for one in again} == statuses(held)
    assert first > 38


def test_an_unfit_observer_is_not_measured_and_is_examined_again(tmp_path: Path, photos: Path) -> None:
    model = Sighted(first_alone)
    with Endpoint(behaviour=model) as server:
        made = observer.make("openai:toy", {"base_url": server.base_url, "max_tokens": LIMIT})
        with pytest.raises(FatalObserverError, match="exam failed: openai:toy: second picture"):
            measured(photos, tmp_path / "run", made)
        with Store.open(tmp_path / "run") as store:
            assert not list(store.trials())
            assert store.manifest["observers"] == {}, "other settings may be tried in the same directory"
            (held,) = exam.kept(store)
            assert not held.fit
        model.arrives = keep_all
        assert measured(photos, tmp_path / "run", made).done == 1
    with Store.open(tmp_path / "run") as store:
        assert exam.kept(store)[0].fit
        assert len({row["at"] for row in store.measurements(exam.STAGE).values()}) == 2, "the failed one is a fact too"


def test_without_examine_nothing_but_the_study_is_asked(tmp_path: Path, photos: Path) -> None:
    toy = Toy(lambda query: "<yes> They differ.")
    spec = Spec(images=(str(photos),), observers=("simulated",), distortions=("noise",), limit=1)
    replace(Study.plan(spec), observers=(toy,)).run(tmp_path / "run")
    assert all("noticeable difference" in text for text in toy.texts)


def test_an_observer_that_answers_nothing_stops_the_run_with_its_last_word(tmp_path: Path, photos: Path) -> None:
    with pytest.raises(FatalObserverError, match="rate-limited: toy answers nothing: 429"):
        measured(photos, tmp_path / "run", Toy(lambda query: None))
    with Store.open(tmp_path / "run") as store:
        assert not exam.kept(store)
        assert not list(store.trials())


def test_an_exam_that_a_dying_server_cut_short_is_no_exam_and_goes_on(tmp_path: Path, photos: Path) -> None:
    model = outage(14)
    with Endpoint(behaviour=model) as server:
        given = {
            "base_url": server.base_url,
            "max_tokens": LIMIT,
            "concurrency": 1,
            "retries": 1,
            "wait_for_server_s": 0,
        }
        made = observer.make("openai:toy", given)
        with pytest.raises(
            FatalObserverError, match=r"overloaded: .* broke off after 14 of 38 questions: .* fails \(503\): the model"
        ):
            measured(photos, tmp_path / "run", made)
        with Store.open(tmp_path / "run") as store:
            assert not exam.kept(store)
            assert "fit" not in store.manifest["exams"]["openai:toy"]
            assert not list(store.trials())
        before = len(server.requests)
        model.alive = True
        progress = measured(photos, tmp_path / "run", made)
        again = [one for one in server.requests[before:] if "any noticeable" not in one.text]
        assert len(again) < 38 - 14
    assert any("exam of openai:toy passed (38 questions" in notice for notice in progress.notices)


def test_single_questions_that_stay_open_stop_nothing_and_are_put_again(tmp_path: Path, photos: Path) -> None:
    class Unsteady(Sighted):
        mended = False

        async def __call__(self, server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
            if len(seen.files) == 3 and not self.mended:
                return await status(500, "an index is out of range")(server, seen, request)
            return await super().__call__(server, seen, request)

    model = Unsteady()
    with Endpoint(behaviour=model) as server:
        given = {"base_url": server.base_url, "max_tokens": LIMIT, "retries": 1}
        made = observer.make("openai:toy", given)
        progress = measured(photos, tmp_path / "run", made)
        assert progress.done == 1
        assert "not finished (37 questions" in progress.notices[0]
        assert "Still open: whether the second picture arrives, whether two" in progress.notices[0]
        with Store.open(tmp_path / "run") as store:
            assert not exam.kept(store)
        model.mended = True
        asked = len(server.requests)
        assert "passed (38 questions" in measured(photos, tmp_path / "run", made).notices[0]
        assert len(server.requests) - asked == 1


def test_an_outcome_that_an_older_run_kept_of_too_few_answers_is_not_believed(tmp_path: Path, photos: Path) -> None:
    with Endpoint(behaviour=Sighted()) as server:
        given = {"base_url": server.base_url, "max_tokens": LIMIT}
        made = observer.make("openai:toy", given)
        measured(photos, tmp_path / "run", made)
        for lost in (22, 3):
            with Store.open(tmp_path / "run") as store:
                entry = store.manifest["exams"]["openai:toy"]
                rows = list(store.measurements(exam.STAGE))
            (tmp_path / "run" / "manifest.json").write_bytes(
                orjson.dumps(store.manifest | {"exams": {"openai:toy": older(entry)}})
            )
            with sqlite3.connect(tmp_path / "run" / "trials.db") as connection:
                connection.executemany("DELETE FROM measurement WHERE key = ?", [(key,) for key in rows[-lost:]])
            (tmp_path / "run" / "trials.count").unlink()  # older runs have none
            with Store.open(tmp_path / "run") as store:
                (held,) = exam.kept(store)
                assert held.fit == (lost < exam.ENOUGH), "a few may have been refused"
                assert bool(held.having(CheckStatus.OPEN)) == (lost >= exam.ENOUGH)
            asked = len(server.requests)
            measured(photos, tmp_path / "run", made)
            assert len(server.requests) - asked == lost
            with Store.open(tmp_path / "run") as store:
                assert exam.kept(store)[0].answered == 38


def older(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an outcome as it was written before it said how many questions were put."""
    return {name: value for name, value in entry.items() if name != "questions"}


@pytest.mark.parametrize(
    "exams", [[], {"openai:toy": 3}, {"openai:toy": {"version": 1}}, {"openai:toy": {"version": "1", "fit": "yes"}}]
)
def test_an_entry_that_no_limen_wrote_is_one_line(tmp_path: Path, exams: Any) -> None:
    with Store.create(tmp_path / "run", {}) as store:
        store.amend(exams=exams)
        with pytest.raises(StoreError, match="its entry 'exams' is not one that limen writes .* Restore it"):
            exam.kept(store)
        with pytest.raises(StoreError, match="manifest.json: its entry 'exams'"):
            asyncio.run(exam.keep(Toy(lambda query: "<yes>", "openai:toy"), store))


def test_questions_that_no_limen_wrote_are_one_line(tmp_path: Path) -> None:
    with Store.create(tmp_path / "run", {}) as store:
        store.amend(questions={"direct": {"digest": 3}})
        with pytest.raises(StoreError, match="its entry 'questions' is not one that limen writes .* from a copy\\.$"):
            asyncio.run(exam.keep(Toy(lambda query: "<yes>", "openai:toy"), store))


@pytest.mark.parametrize("command", ["exam", "measure"])
def test_a_stopped_exam_says_what_it_found_so_far(
    command: str, tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupting(Sighted):
        async def __call__(self, server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
            if self.turn == 20:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                await asyncio.Event().wait()
            return await super().__call__(server, seen, request)

    call = ["--observer", "openai:toy", "-O", f"max_tokens={LIMIT}", "-O", "concurrency=1"]
    call += [] if command == "exam" else ["--images", str(photos), "--distortion", "noise", "--limit", "1"]
    call += [] if command == "exam" else ["--out", str(tmp_path / "run")]
    with Endpoint(behaviour=Interrupting()) as server:
        assert cli.run([command, *call, "--base-url", server.base_url]) == 130
    shown = capsys.readouterr()
    said = " ".join((shown.out if command == "exam" else shown.err).split())
    assert "exam of openai:toy not finished (20 questions" in said
    if command == "exam":
        assert "open" in said
        assert "names the colours of first and second" in said
    else:
        with Store.open(tmp_path / "run") as store:
            assert len(store.measurements(exam.STAGE)) == 20


def test_an_exam_that_is_broken_off_goes_on(tmp_path: Path, photos: Path) -> None:
    class Broken(Sighted):
        async def __call__(self, server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
            if self.turn == 20:
                return await status(401, "no key")(server, seen, request)
            return await super().__call__(server, seen, request)

    model = Broken()
    with Endpoint(behaviour=model) as server:
        made = observer.make("openai:toy", {"base_url": server.base_url, "max_tokens": LIMIT, "concurrency": 1})
        with pytest.raises(FatalObserverError, match="401"):
            measured(photos, tmp_path / "run", made)
        model.turn = 100
        assert measured(photos, tmp_path / "run", made).done == 1
        exams = [request for request in server.requests if "any noticeable" not in request.text]
    with Store.open(tmp_path / "run") as store:
        (held,) = exam.kept(store)
        assert held.answered == 38
        mine = [one for one in held.asked if "any noticeable" not in str(one.shown)]
    assert len(exams) <= len(mine) + 1, "only the question that failed is put again"


# --- the study's own questions ------------------------------------------------------------------------------------


class Evasive(Sighted):
    """A model that sees, and answers certain questions in words that say nothing.

    Args:
        to: begin those questions, or are in them.
        words: that it says then.
    """

    def __init__(self, *to: str, words: str = "Both of them\x1b have\nbeautiful colours.") -> None:
        super().__init__()
        self.to, self.words = to, words

    def said(self, text: str, shown: list[Pixels], chance: str) -> str:
        return self.words if any(one in text for one in self.to) else super().said(text, shown, chance)

    def odds(self, text: str, shown: list[Pixels]) -> list[tuple[str, dict[str, float]]] | None:
        return None if text == self.words else super().odds(text, shown)


def tried(model: Sighted, *asked: Question, **options: Any) -> Exam:
    with Endpoint(behaviour=model) as server:
        given = {"base_url": server.base_url, "max_tokens": LIMIT, "backoff_s": 0.01, "wait_for_server_s": 0, **options}
        return exam.examine("openai:toy", given, asked=asked)


OWN = question.of_table({
    "name": "own", "text": "Which one is bluer?", "form": "letters", "options": ["the first", "neither"],
    "notices": ["A"],
})  # fmt: skip


def test_a_question_whose_answers_cannot_be_read_fails_the_exam_with_what_was_said() -> None:
    held = tried(
        Evasive("Which of these", "stronger in the first"), question.find("forced-choice"), question.find("direct")
    )
    result = found(held, "study's questions")
    assert result.status is CheckStatus.FAILED
    assert result.seen == (
        "not one of 4 answers to forced-choice can be read: it says 'Both of them have beautiful colours.'"
    )
    assert "study's questions: not one of 4 answers to forced-choice can be read" in held.complaint
    assert "limen list questions" in held.complaint
    assert not held.fit
    assert len(held.asked) == 36 + 4 + 2
    assert tried(Sighted(), question.find("direct")).fit


@pytest.mark.parametrize(
    ("words", "finish", "seen", "change"),
    [("", "stop", "they are empty", "limen list questions"),
     ("so " * 90, "length", f"it says '{('so ' * 90)[:80]}' and more", "max_tokens")],
)  # fmt: skip
def test_the_example_is_short_and_what_to_do_fits_why(words: str, finish: str, seen: str, change: str) -> None:
    answers = dict.fromkeys(questions.names(OWN), Answer(words, finish=finish))
    result = exam.judge(answers, {}, False, tried=[OWN])[-1]
    assert (result.stage, result.status) == (exam.Stage.STUDY, CheckStatus.FAILED)
    assert result.seen.endswith(f": {seen}")
    assert change in result.change


@pytest.mark.parametrize(
    ("said", "status"),
    [("A A A A", CheckStatus.OK), ("A B - -", CheckStatus.OK), ("A - - -", CheckStatus.FINDING),
     ("- - A -", CheckStatus.FINDING), ("- - - -", CheckStatus.FAILED), ("- - -", CheckStatus.FAILED),
     ("- -", CheckStatus.FINDING), ("", CheckStatus.UNKNOWN)],
)  # fmt: skip
def test_what_is_read_in_other_words_lets_the_run_go_on(said: str, status: CheckStatus) -> None:
    texts = [{"-": "Hm."}.get(one, one) for one in said.split()]
    answers = {name: Answer(text, finish="stop") for name, text in zip(questions.names(OWN), texts, strict=False)}
    result = exam.judge(answers, {}, False, tried=[OWN])[-1]
    assert result.status is status, result
    assert result.mark == ("answers to own cannot be read" if status is CheckStatus.FINDING else "")


def test_answers_that_have_not_come_leave_it_open_and_refused_ones_fail_as_the_others_do() -> None:
    names = questions.names(OWN)
    assert exam.judge({}, {}, False, waiting=names[:1], tried=[OWN])[-1].status is CheckStatus.OPEN
    refused = {name: Attempt("rejected", "three pictures are too many") for name in names}
    first, *_, last = exam.judge(dict.fromkeys(names), {}, False, refused, tried=[OWN])
    assert (first.check, first.status) == ("answers", CheckStatus.FAILED)
    assert last.status is CheckStatus.UNKNOWN


@pytest.mark.parametrize("order", list(Order))
def test_every_question_of_several_pictures_is_tried_by_four_that_differ(order: Order) -> None:
    shelf = [question.find(one.name, order) for one in question.every()]
    asked = questions.tried([*shelf, OWN, *OWN.wordings(0), *question.find("direct").wordings(2)])
    assert {one.name for one in asked} == {one.name for one in question.every() if not one.itemised} | {"own"}
    items = [*planned(LIMIT, None, False), *questions.of_study(asked)]
    queries = {item.name: item.query for item in items}
    assert len(queries) == len(items)
    for one in asked:
        mine = [queries[name] for name in questions.names(one)]
        assert len({query.key("") for query in mine}) == 4
        assert {len(query.pictures) for query in mine} == {one.pictures}
        assert one.fill("brightness") in mine[0].text
        assert one.fill("brightness", 1) in mine[2].text
        if one.forced:
            first, second = ([picture.digest for picture in query.pictures] for query in mine[:2])
            assert first != second
            assert sorted(first) == sorted(second)


def test_a_run_tries_its_questions_and_later_those_that_are_added(tmp_path: Path, photos: Path) -> None:
    run, model = tmp_path / "run", Evasive("Which of these", "stronger in the first")
    with Endpoint(behaviour=model) as server:
        made = observer.make("openai:toy", {"base_url": server.base_url, "max_tokens": LIMIT})
        assert measured(photos, run, made).done == 1
        before = len(server.requests)
        for failing in ("it says 'Both", "it says 'Both"):
            with pytest.raises(FatalObserverError, match=f"exam failed: openai:toy: study's questions: .* {failing}"):
                measured(photos, run, made, questions=("direct", "forced-choice"))
        assert len(server.requests) - before == 4 + 36 + 2 + 4, "first those that are new, then all: it may be mended"
        with Store.open(run) as store:
            assert {trial.question for trial in store.trials()} == {"direct"}
        model.words = "<first>"
        assert measured(photos, run, made, questions=("direct", "forced-choice")).done == 2
        asked = len(server.requests)
        told = measured(photos, run, made, questions=("direct", "forced-choice")).notices
        assert (len(server.requests), told[0]) == (asked, "exam of openai:toy passed, held before.")
    with Store.open(run) as store:
        (held,) = exam.kept(store)
        assert held.fit
        assert [one.name for one in held.tried] == ["direct", "forced-choice"]
        plan = Study.plan(Spec(images=(str(photos),), observers=("simulated",), questions=("choice", "forced-choice")))
        assert exam.pending(made, store, asked=plan.questions) == 2
    assert exam.pending(made, asked=plan.questions) == 36 + 2 + 4


def test_questions_of_one_picture_are_not_tried(tmp_path: Path, photos: Path) -> None:
    toy = Toy(lambda query: "<yes> They differ." if len(query.pictures) == 2 else "Nothing.")
    alone = {"name": "alone", "text": "What is this? <image 1>", "form": "letters", "options": ["a bear", "a boat"]}
    measured(photos, tmp_path / "run", toy, questions=("direct", alone))
    with Store.open(tmp_path / "run") as store:
        (held,) = exam.kept(store)
    assert [one.name for one in held.tried] == ["direct"]
    assert held.fit


# --- fixtures and the command line --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo() -> Exam:
    return exam.examine("demo")


def test_the_demo_model_is_fit_and_does_what_it_was_made_for(demo: Exam) -> None:
    assert demo.fit
    good = {"second picture", "kept apart", "repeats", "plain difference", "identical pictures", "wordings", "model"}
    assert {found(demo, check).status for check in good} == {CheckStatus.OK}
    assert {found(demo, check).status for check in ("order", "size")} == {CheckStatus.UNKNOWN}, "it names no colours"
    assert demo.marks == ("does not find a red disc",)


def test_simulated_observers_are_fit() -> None:
    held = exam.examine("simulated")
    assert held.fit
    assert found(held, "second picture").status is CheckStatus.OK
    assert "answers yes to identical pictures" in exam.examine("simulated", {"false_alarms": 1.0}).marks
    assert "answers no to anything" in exam.examine("simulated", {"threshold": 250.0}).marks


def test_questions_are_the_same_for_every_observer_and_day() -> None:
    first, second = (PLAN({"max_tokens": 64}, False) for _ in range(2))
    assert [item.query.key("") for item in first] == [item.query.key("") for item in second]


def test_the_command_line_says_what_is_unfit_and_measures_only_when_told(
    tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Endpoint(behaviour=Sighted(first_alone)) as server:
        where = ["--observer", "openai:toy", "--base-url", server.base_url, "-O", f"max_tokens={LIMIT}"]
        assert cli.run(["exam", *where]) == 1
        shown = capsys.readouterr()
        assert "second picture" in shown.out
        assert "exam of openai:toy failed" in shown.out
        call = ["measure", "--images", str(photos), "--distortion", "noise", "--limit", "1", *where]
        assert cli.run([*call, "--out", str(tmp_path / "run")]) == 1
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith("limen: exam failed: openai:toy: second picture: ")
        assert "--no-exam" in last
        asked = len(server.requests)
        assert cli.run([*call, "--no-exam", "--out", str(tmp_path / "run")]) == 0
        assert all("noticeable difference" in request.text for request in server.requests[asked:])


def test_the_command_line_takes_a_study_file_and_prints_what_was_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "study.toml"
    study.write_text('images = ["demo"]\n[[observers]]\nname = "simulated"\nfalse_alarms = 1.0\n')
    assert cli.run(["exam", str(study), "--json"]) == 0
    (printed,) = orjson.loads(capsys.readouterr().out)
    assert printed["fit"] is True
    assert "answers yes to identical pictures" in printed["marks"]
    assert {"plain-direct", "count-2"} <= {one["name"] for one in printed["asked"]}
    assert printed["asked"][0]["answer"]["text"]
    assert cli.run(["exam"]) == 1
    assert "--observer" in capsys.readouterr().err


def test_the_command_line_tries_the_questions_of_a_study_or_those_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "study.toml"
    study.write_text('images = ["demo"]\nobservers = ["demo"]\nquestions = ["forced-choice"]\n')
    assert cli.run(["exam", str(study)]) == 1
    shown = capsys.readouterr().out
    assert "not one of 4 answers to forced-choice can be read" in " ".join(shown.split())
    assert "limen list questions" in shown
    assert cli.run(["exam", str(study), "--question", "direct", "--json"]) == 0
    (printed,) = orjson.loads(capsys.readouterr().out)
    assert printed["tried"] == ["direct"]
    assert len(printed["asked"]) == 38
    assert cli.run(["exam", "--observer", "demo", "--question", "dierct"]) == 1
    assert "Did you mean 'direct'" in capsys.readouterr().err


def test_observers_answer_an_exam_within_a_loop() -> None:
    async def run() -> Exam:
        async with observer.make("simulated", {}) as made:
            return await exam.hold(made)

    assert asyncio.run(run()).fit


def test_from_nothing_nothing_follows() -> None:
    assert {result.status for result in exam.judge({}, {}, False)} == {CheckStatus.UNKNOWN}
    assert {result.status for result in exam.judge({"count-2": None}, {"max_tokens": 9}, True)} == {CheckStatus.UNKNOWN}


# --- in words -----------------------------------------------------------------------------------------------------


def test_every_check_is_called_by_plain_words() -> None:
    held = tried(Sighted(), OWN)
    assert {result.check for result in held.results} <= set(exam.IN_WORDS)


def test_a_finding_says_whether_it_affects_the_run() -> None:
    held = exam.examine("demo")
    first, *notes = held.summary.splitlines()
    assert first.startswith("exam of demo passed (36 questions, 1,938 + 143 tokens). Not settled: ")
    assert "whether pictures arrive in order, whether pictures arrive in full size" in first
    assert notes == ["Note: could not say on which side a test disc was; this does not affect the run."]


def test_every_finding_has_a_note_of_its_own() -> None:
    sources = "".join(
        Path(module.__file__ or "").read_text() for module in (exam.perception, exam.settings, exam.transport)
    )
    marks = [
        "misses a plain difference",
        "answers no to anything",
        "gives no p(yes)",
        "p(yes) does not fit the answers",
    ]
    marks += ["answers do not repeat word for word", "the seed is not honoured", "answers cost over max_tokens"]
    marks += [
        "pictures are scaled down to about 320 px",
        "answers yes to identical pictures",
        "does not find a red disc",
    ]
    for mark in marks:
        assert mark in sources, "a mark that is given"
        assert "the run is marked with it" not in exam._note(mark)
    for mark in ("calls itself gpt", "does not answer 2 of 9 questions (rejected)", "answers to direct cannot be read"):
        assert "the run is marked with it" not in exam._note(mark)
    assert exam._note("of a plug-in") == "Note: of a plug-in; the run is marked with it."
