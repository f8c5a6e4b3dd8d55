"""A run as logs of Inspect's, for its viewer and its data frames."""

from pathlib import Path

from limen import registry
from limen.observers.inspect import expect_inspect


@registry.add("export", "inspect")
def to_inspect(run: Path, folder: Path) -> list[Path]:
    """One log (.eval) for each observer, as limen/jnd would have made it: samples with pictures, verdicts and figures.

    Pictures are drawn again from the references that the run kept, and held against the keys of the answers; what
    cannot be drawn as it was shown is left out. Exams, as-seen floors and questions without an answer stay in the run.

    Args:
        run: a run directory.
        folder: made if it is not there; logs of the same names are replaced.

    Returns:
        The logs, by the names of the observers.

    Raises:
        MissingExtraError: the extra "inspect" is not installed.
        StoreError: the run cannot be read.
        InputError: the folder cannot be written.
    """
    expect_inspect("the export of Inspect's logs")
    from limen.inspect import writing

    return writing.to_logs(run, folder)
