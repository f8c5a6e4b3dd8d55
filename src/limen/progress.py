"""Progress on stderr: what is being read, how many series are done, what was asked, what failed."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from limen import study
from limen.printing import tame


class Watch:
    """Draws a study's progress; called with it while the study runs."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("reading images", total=None, note="")
        self._read = 0
        self._said = 0

    def reading(self, name: str) -> None:
        """Count one image file."""
        self._bar.start()
        self._read += 1
        self._bar.update(self._task, note=f"{self._read:,}")

    def __call__(self, progress: study.Progress) -> None:
        """Draw how far the study is."""
        self._bar.start()
        for notice in progress.notices[self._said :]:
            self._bar.console.print("\n".join(map(tame, notice.splitlines())), markup=False, highlight=False)
        self._said = len(progress.notices)
        floors = f"as-seen floor of {progress.floors:,} series"
        note = f"{progress.asked:,} asked" if progress.asked or not progress.floors else floors
        if progress.replayed:
            note += f", {progress.replayed:,} replayed"
        if progress.failures:
            note += f", {progress.failures:,} failures"
        self._bar.update(self._task, description="series", total=progress.total, completed=progress.done, note=note)


@contextmanager
def watching() -> Iterator[Watch]:
    """Yield a `Watch` that draws on stderr until the block ends."""
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True), transient=False, refresh_per_second=4,
    )  # fmt: skip
    try:
        yield Watch(bar)  # drawn from the first file or series on: a mistake in a name leaves no bar behind
    finally:
        if bar.live.is_started:
            bar.stop()
