"""The observer that a participant is: it answers when its person does."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from limen import digest
from limen.observer import Observer, Query, Reply
from limen.participant import name_of
from limen.trial import Answer, Attempt, Trial


@dataclass(frozen=True, eq=False)
class Waiting:
    """A question that waits to be shown.

    Attributes:
        id: the key of its answer.
        query: what is shown and asked.
        trial: the record that its answer belongs to.
        reply: what the series waits for.
    """

    id: str
    query: Query
    trial: Trial
    reply: "asyncio.Future[Reply]" = field(repr=False)


class Participant(Observer):
    """A person before a page: questions wait here until they are shown, series until they are answered.

    Args:
        alias: of the person.
        fingerprint: `limen.participant.fingerprint`.
        interleave: series advanced side by side, >= 1.
    """

    sampled = True
    slow = True
    looks = 1  # who remembers says the same of a picture however often it is shown

    def __init__(self, alias: str, fingerprint: Mapping[str, Any], interleave: int) -> None:
        self.name = name_of(alias)
        self.concurrency = interleave
        self.waiting: dict[str, Waiting] = {}
        self.change = asyncio.Event()  # something waits that did not, or the end has come
        self._fingerprint = dict(fingerprint)
        self._digest = digest.of(self._fingerprint)
        self._trials: dict[str, Trial] = {}
        self._stopped = False

    def fingerprint(self) -> dict[str, Any]:
        """Return alias, screen and protocol."""
        return self._fingerprint

    def follow(self, trial: Trial) -> None:
        """Hear which record the next query's answer belongs to."""
        if trial.key and trial.answer is None:
            self._trials[trial.key] = trial

    async def answer(self, query: Query) -> Reply:
        """Wait until the person has answered; without an answer where the sitting ends first."""
        if self._stopped:
            return Reply(None, ())
        key = query.key(self._digest)
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.waiting[key] = Waiting(key, query, self._trials.pop(key), reply)
        self.change.set()
        try:
            return await reply
        finally:
            self.waiting.pop(key, None)

    def say(self, key: str, text: str, seconds: float) -> None:
        """Give the answer to a question that waits.

        Args:
            key: of the answer.
            text: as the question's reader reads it.
            seconds: from the pictures' appearance to the answer.
        """
        answer = Answer(text, finish="stop", seconds=seconds)
        self.waiting.pop(key).reply.set_result(Reply(answer, (Attempt("ok", "", seconds),)))

    def stop(self) -> int:
        """Let everything that waits go without an answer; nothing is under way that could still come in."""
        self._stopped = True
        for one in self.waiting.values():
            if not one.reply.done():
                one.reply.set_result(Reply(None, ()))
        self.waiting.clear()
        return 0
