"""What limen hears of a task from Inspect: how it is evaluated, and that it has ended."""

import logging

from inspect_ai.hooks import Hooks, RunEnd, TaskEnd, TaskStart, hooks
from inspect_ai.log import EvalSpec

from limen.inspect import source
from limen.inspect.records import PLACE

_log = logging.getLogger("limen")  # Inspect shows what is logged


@hooks(name="limen", description="Tells limen's tasks how they are evaluated, and when they have ended.")
class LimenHooks(Hooks):
    """Passes on starts and ends to the sources of samples under way."""

    def __init__(self) -> None:
        self._begun: dict[str, list[str]] = {}  # by run: several tasks may be under way

    def enabled(self) -> bool:
        """Say whether a task of limen's is there: evaluations of others are not spoken to."""
        return source.any_under_way()

    async def on_task_start(self, data: TaskStart) -> None:
        """Tell a source the settings of its evaluation."""
        found = source.under_way(_name(data.spec))
        if found is not None:
            self._begun.setdefault(data.run_id, []).append(found.name)
            found.begin(data.spec)

    async def on_task_end(self, data: TaskEnd) -> None:
        """End the study of a task, whatever it waits for."""
        found = source.under_way(_name(data.log.eval))
        if found is not None and data.log.results is not None:
            metrics = [one for score in data.log.results.scores for one in score.metrics.values()]
            if line := found.shortfall(sum(int(one.value) for one in metrics if one.name.endswith("/unfinished"))):
                _log.warning(line)
        await _close(_name(data.log.eval))

    async def on_run_end(self, data: RunEnd) -> None:
        """End the studies of tasks that failed."""
        for name in self._begun.pop(data.run_id, ()):
            await _close(name)


async def _close(name: str) -> None:
    found = source.under_way(name)
    if found is not None:
        await found.close()


def _name(spec: EvalSpec) -> str:
    about = (spec.metadata or {}).get(PLACE)
    return str(about.get("task", "")) if isinstance(about, dict) else ""
