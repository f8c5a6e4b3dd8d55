"""Progress on stderr: what is being read, how many series are done, what was asked, what failed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from limen import study
from limen.cli.console import QUIET, chosen, tame

if TYPE_CHECKING:
    from limen.preflight.exam import Exam


class Watch:
    """Draws a study's progress; called with it while the study runs."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("reading images", total=None, note="")
        self._read = 0
        self._said = 0
        self._exam: Exam | None = None
        self.counted = False  # whether series are drawn

    def reading(self, name: str) -> None:
        """Count one image file."""
        self._bar.start()
        self._read += 1
        self._bar.update(self._task, note=f"{self._read:,}")

    def examining(self, exam: "Exam") -> None:
        """Draw how far an exam is."""
        self._bar.start()
        self._exam = exam
        settled = sum(one.settled for one in exam.asked)
        total = settled + len(exam.waiting)
        self._bar.update(self._task, description="exam", total=total, completed=settled, note="questions")

    def stopped(self) -> None:
        """Say what an exam found that was broken off."""
        if self._exam is not None and self._exam.waiting:
            self._bar.console.print(self._exam.summary, markup=False)

    def __call__(self, progress: study.Progress) -> None:
        """Draw how far the study is."""
        self._bar.start()
        self.counted = True
        for notice in progress.notices[self._said :]:
            self._bar.console.print("\n".join(map(tame, notice.splitlines())), markup=False, highlight=False)
        self._said = len(progress.notices)
        note = tame(progress.doing) or f"{progress.asked:,} asked"
        if progress.replayed:
            note += f", {progress.replayed:,} replayed"
        if progress.spending.price is not None:
            note += f", {progress.spending.said} spent"
        if progress.failures:
            note += f", {progress.failures:,} failures"
        self._bar.update(self._task, description="series", total=progress.total, completed=progress.done, note=note)


@contextmanager
def watching() -> Iterator[Watch]:
    """Yield a `Watch` that draws on stderr until the block ends."""
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True, quiet=chosen(QUIET)),
        transient=False, refresh_per_second=4,
    )  # fmt: skip
    watch = Watch(bar)
    whole = False
    try:
        yield watch  # drawn from the first file or series on: a mistake in a name leaves no bar behind
        whole = watch.counted
    except KeyboardInterrupt:
        watch.stopped()
        raise
    finally:
        if bar.live.is_started:
            bar.live.transient = not whole  # of a run that failed, or of files alone, no bar stays on the screen
            bar.stop()
