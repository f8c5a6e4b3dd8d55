"""Evaluations in Inspect; `make test-inspect` has it, and nothing else does."""

import collections.abc
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import eval as evaluate
from inspect_ai.log import EvalLog, read_eval_log
from inspect_ai.model import ChatMessage, GenerateConfig, ModelAPI, ModelOutput, modelapi
from inspect_ai.tool import ToolChoice, ToolInfo

from limen.inspect.model import query_of
from limen.observers.simulated import Simulated, SimulatedOptions

Evaluate = collections.abc.Callable[..., EvalLog]


class Faulty(ModelAPI):
    """A simulated observer that fails over what its name says: `faulty/WORD` where the question names WORD."""

    asked: int = 0
    fails = 10**9  # how often

    def __init__(
        self, model_name: str, base_url: str | None = None, api_key: str | None = None,
        config: GenerateConfig | None = None, **model_args: Any,
    ) -> None:  # fmt: skip
        super().__init__(model_name, base_url, api_key, [], config or GenerateConfig())
        self._simulated = Simulated("", SimulatedOptions())

    async def generate(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput:
        type(self).asked += 1
        query = await query_of(input)
        if self.model_name in query.text and type(self).fails > 0:
            type(self).fails -= 1
            raise ValueError("the provider broke sk-abcdefghijklmnopqrstuvwxyz")
        reply = await self._simulated.answer(query)
        assert reply.answer is not None
        return ModelOutput.from_content(self.model_name, reply.answer.text, stop_reason="stop")


modelapi(name="faulty")(Faulty)


class Unsure(Faulty):
    """Answers nothing that can be read."""

    async def generate(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput:
        return ModelOutput.from_content(self.model_name, "I am not sure.", stop_reason="stop")


modelapi(name="unsure")(Unsure)


@pytest.fixture(autouse=True)
def _faulty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Faulty, "asked", 0)
    monkeypatch.setattr(Faulty, "fails", 10**9)


@pytest.fixture
def evaluated(tmp_path: Path) -> Evaluate:
    def run(task: Any, model: str = "limen/simulated", **settings: Any) -> EvalLog:
        (log,) = evaluate(
            task, model=model, log_dir=str(tmp_path / "logs"), display="none", **{"fail_on_error": True, **settings}
        )
        return read_eval_log(log.location) if log.location else log

    return run
