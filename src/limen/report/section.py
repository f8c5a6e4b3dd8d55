"""What a report is put together from: sections with tables, figures and pictures, and whoever brings them.

Runs of images shown to observers have their own page, tables and viewer (`limen.report.build`). Runs of another wing
(their manifest names it: `"wing": "feature"`, and says like any other `created`, `limen`, `git` and `versions`) bring
a `Contribution`, and all stand in one page.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from limen.errors import InputError
from limen.image import Image
from limen.report.figures import Spec
from limen.report.table import Table
from limen.store import Store

Drawing: TypeAlias = tuple[str, str, Callable[[int], Spec]]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: its anchor, title, a sentence of introduction, tables, figures and pictures.

    Attributes:
        figures: (name, what it shows, a function from the page's width to the specification).
        pictures: rows of (what it shows, the picture), each small enough to stand five in a row.
    """

    anchor: str
    title: str
    about: str
    tables: tuple[Table, ...] = ()
    figures: tuple[Drawing, ...] = ()
    pictures: tuple[tuple[tuple[str, Image], ...], ...] = ()


@dataclass(frozen=True)
class Contribution:
    """What the runs of one wing bring to a report.

    Attributes:
        heading: what was measured, for the title of a page that shows nothing else.
        sentences: to quote, one a run.
        sections: of the page, in order.
        records: tables as plain data, rows by name, for JSON and CSV.
    """

    heading: str
    sentences: tuple[str, ...]
    sections: tuple[Section, ...]
    records: Mapping[str, Any] = field(default_factory=dict)


# By the wing that a manifest names: a function from open runs, by name, to what they bring.
WINGS: dict[str, Callable[[Mapping[str, Store]], Contribution]] = {}


def contributions(stores: Mapping[str, Store]) -> dict[str, Contribution]:
    """Return what the runs of other wings bring, by wing.

    Args:
        stores: open runs by name, each with a `wing` in its manifest.

    Raises:
        InputError: this limen has no report for a wing.
    """
    groups: dict[str, dict[str, Store]] = {}
    for name, store in stores.items():
        groups.setdefault(str(store.manifest["wing"]), {})[name] = store
    for wing, mine in groups.items():
        if wing not in WINGS:
            known = ", ".join(WINGS) or "none"
            raise InputError(
                f"{next(iter(mine))} is a run of the wing {wing!r}, which this limen cannot report on (other wings it "
                f"knows: {known}). Report with the limen that made it."
            )
    return {wing: WINGS[wing](mine) for wing, mine in groups.items()}
