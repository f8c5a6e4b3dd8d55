"""A toy observer that counts what it is asked."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from limen.observer import Observer, Reply
from limen.question import Query
from limen.trial import Answer, Attempt


class Toy(Observer):
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
