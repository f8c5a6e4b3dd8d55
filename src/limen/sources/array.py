"""Arrays, given in Python."""

from collections.abc import Iterator

from limen.errors import InputError
from limen.source import Reference, Refusal, source


@source("array", get="Give arrays in Python: limen.measure(images=[array], ...).", bare=True)
def array(path: str) -> Iterator[Reference | Refusal]:
    """Images in memory; only from Python (`limen.measure`)."""
    raise InputError("Arrays have no path: give them in Python, limen.measure(images=[array], ...).")
