"""A log of Inspect's that limen/jnd or limen/ask made, read into a run."""

from collections.abc import Callable
from pathlib import Path

from limen import registry
from limen.observers.inspect import expect_inspect


@registry.add("import", "inspect")
def from_inspect(place: str, run: Path, tell: Callable[[int, int], None] = lambda done, of: None) -> list[str]:
    """A log (.eval or .json) of the tasks limen/jnd and limen/ask; digests are held against its pictures and answers.

    Args:
        place: the log; a path or what else Inspect reads.
        run: the run directory, which must not be there yet.
        tell: called with how many samples are read, of how many.

    Returns:
        Lines for a person: what was read, and what could not be.

    Raises:
        MissingExtraError: the extra "inspect" is not installed.
        InputError: the log is of another task, cut short beyond reading, or was edited; named in one line.
        StoreError: the run cannot be written.
    """
    expect_inspect("the import of Inspect's logs")
    from limen.inspect import reading

    return reading.to_run(place, run, tell)
