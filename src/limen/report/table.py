"""What a table is: a title, columns, rows of text, notes; and how rows of observer, question and distortion begin."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from limen.analysis import Analysis


@dataclass(frozen=True, slots=True)
class Table:
    """A table to print.

    Attributes:
        title: what it shows.
        columns: headings.
        rows: cells, as text.
        notes: what a reader must know to read it right.
        heads: how many leading columns say what a row is of.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    heads: int = 1


class Asked(Protocol):
    """Anything that belongs to one observer and question."""

    @property
    def observer(self) -> str:
        """By name."""
        ...

    @property
    def question(self) -> str:
        """By name."""
        ...


class Keyed(Asked, Protocol):
    """A row of one observer, question and distortion."""

    @property
    def distortion(self) -> str:
        """By name."""
        ...


Row = TypeVar("Row", bound=Keyed)


def in_order(analysis: Analysis, rows: Iterable[Row]) -> list[Row]:
    """Return rows by distortion, then by observer and question as the study names them (orders stay in order)."""
    observers, asked = list(analysis.manifest["observers"]), list(analysis.manifest["questions"])
    return sorted(rows, key=lambda row: (row.distortion, observers.index(row.observer), asked.index(row.question)))


def heads(analysis: Analysis, row: Keyed) -> tuple[str, ...]:
    """Return the first cells of a row: its distortion, and who was asked what where that tells rows apart."""
    return (row.distortion, *who(analysis, row))


def who(analysis: Analysis, row: Asked) -> tuple[str, ...]:
    """Return observer and question, each only where the run has several."""
    observer = (row.observer,) if len(analysis.manifest["observers"]) > 1 else ()
    return observer + ((row.question,) if len(analysis.manifest["questions"]) > 1 else ())


def table(
    analysis: Analysis, title: str, columns: Iterable[str], rows: Iterable[tuple[str, ...]], notes: tuple[str, ...] = ()
) -> Table:
    """Return a table whose rows begin with `heads`.

    Args:
        analysis: decides which columns say who was asked what.
        title: of the table.
        columns: names of those that follow.
        rows: cells of all columns.
        notes: sentences below the table.
    """
    names = [name for name in ("observer", "question") if len(analysis.manifest[f"{name}s"]) > 1]
    return Table(title, ("distortion", *names, *columns), tuple(rows), notes, heads=1 + len(names))
