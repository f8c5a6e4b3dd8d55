"""What several tests share: photographs on disk, and toy observers that count what they are asked."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from limen.image import png
from limen.observer import Reply
from limen.question import Query
from limen.testing import photograph
from limen.trial import Answer, Attempt

# A busy machine is no failure; in CI the examples are the same each time, elsewhere they search on.
settings.register_profile("limen", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("fuzz", deadline=None, max_examples=2000)  # make test-fuzz
settings.load_profile("ci" if os.environ.get("CI") else "limen")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of four small photographs."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in "abcd":
        (folder / f"{name}.png").write_bytes(png(photograph(name, 64, 80)))
    return folder


class Toy:
    """An observer made of a function from query to answer text (None fails); counts what it was asked."""

    def __init__(self, says: Callable[[Query], str | None], name: str = "toy", concurrency: int = 4) -> None:
        self.name, self.concurrency, self._says = name, concurrency, says
        self.asked: Counter[str] = Counter()
        self.texts: list[str] = []

    def fingerprint(self) -> dict[str, Any]:
        return {"kind": "toy", "name": self.name}

    async def answer(self, query: Query) -> Reply:
        self.asked[query.key("")] += 1
        self.texts.append(query.text)
        await asyncio.sleep(0)
        text = self._says(query)
        if text is None:
            return Reply(None, (Attempt("rate-limited", "429"), Attempt("rate-limited", "429")))
        return Reply(Answer(text, finish="stop", tokens_in=7, tokens_out=2), (Attempt("ok"),))

    async def __aenter__(self) -> "Toy":
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None


@pytest.fixture
def toy() -> type[Toy]:
    return Toy
