"""The models `limen/NAME`: any observer of limen's inside Inspect (`--model limen/demo`)."""

import asyncio
import contextlib
from typing import Any

from inspect_ai._util.images import file_as_data
from inspect_ai.model import (
    ChatMessage,
    ContentImage,
    ContentText,
    GenerateConfig,
    ModelAPI,
    ModelOutput,
    modelapi,
)
from inspect_ai.tool import ToolChoice, ToolInfo

from limen import observer as observers
from limen.errors import InputError, ObserverError
from limen.image import Picture, decode
from limen.inspect.tasks import output_of
from limen.observer import Observer
from limen.question import Query


@modelapi(name="limen")
class LimenAPI(ModelAPI):
    """An observer of limen's as a model of Inspect's; `-M` gives its options.

    Pictures and texts of all user messages reach it in their order, as one question; pictures as uint8 RGB.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig | None = None,
        **model_args: Any,
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config or GenerateConfig())
        options = model_args | ({"base_url": base_url} if base_url else {})
        self._observer: Observer = observers.make(model_name, options)
        self._entered: contextlib.AsyncExitStack | None = None
        self._entering = asyncio.Lock()

    def max_connections(self) -> int:
        """Return how many questions the observer takes at a time."""
        return self._observer.concurrency

    async def generate(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput:
        """Ask the observer.

        Args:
            input: messages with texts and pictures.
            tools: none are used.
            tool_choice: has no use.
            config: is the observer's own affair: its options decide.

        Raises:
            ObserverError: it did not answer.
            InputError: a message holds what no observer takes, or a conversation.
        """
        async with self._entering:
            if self._entered is None:
                self._entered = contextlib.AsyncExitStack()
                await self._entered.enter_async_context(self._observer)
        reply = await self._observer.answer(await query_of(input))
        if reply.answer is None:
            last = reply.attempts[-1] if reply.attempts else None
            raise ObserverError(last.outcome if last else "failed", last.detail if last else "it gave no reason")
        return output_of(reply.answer, f"limen/{self.model_name}")

    async def aclose(self) -> None:
        """Let go of the observer."""
        if self._entered is not None:
            entered, self._entered = self._entered, None
            await entered.aclose()


async def query_of(messages: list[ChatMessage]) -> Query:
    """Return messages as a query: texts and pictures in their order.

    Raises:
        InputError: there is something else in them, or a turn of the model's own.
    """
    parts: list[Picture | str] = []
    for message in messages:
        if message.role not in ("system", "user"):
            raise InputError(
                f"An observer of limen's answers one question, and the messages hold one by the {message.role}. Use it "
                "in tasks of one turn."
            )
        contents = [ContentText(text=message.content)] if isinstance(message.content, str) else message.content
        for content in contents:
            if isinstance(content, ContentText):
                parts.append(content.text)
            elif isinstance(content, ContentImage):
                data, _ = await file_as_data(content.image)
                parts.append(Picture.of(decode(data, "a picture of the message")))
            else:
                raise InputError(f"An observer of limen's takes texts and pictures, not {content.type}.")
    return Query(tuple(part for part in parts if not isinstance(part, str) or part.strip()))
