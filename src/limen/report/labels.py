"""What a page calls those that were asked: short names, each like no other; and which of them are fixtures."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from limen.analysis import Analysis
from limen.report import html
from limen.report.table import Table


@dataclass
class Names:
    """Short names of an analysis.

    Attributes:
        asked: of each observer with a question that it was asked, in the page's order.
        short: by an observer's own name, and by "observer, question".
    """

    of: Analysis
    asked: dict[tuple[str, str], str] = field(default_factory=dict)
    short: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Give each observer, and each that was asked a question, a short name that is like no other."""
        several = len(self.of.manifest.questions) > 1
        for observer in self.of.manifest.observers:
            name = html.shortened(html.clean(observer), 48)
            same = sum(known.split(" #")[0] == name for known in self.short.values())
            self.short[observer] = name if not same else f"{name} #{same + 1}"
        asked = {(outcome.observer, outcome.question) for outcome in self.of.outcomes}
        for observer in self.of.manifest.observers:
            for question in self.of.manifest.questions:
                if (observer, question) in asked:
                    self.asked[observer, question] = self.short[observer] + (f", {question}" if several else "")
        self.short |= {f"{who[0]}, {who[1]}": name for who, name in self.asked.items()}

    def grid(self, table: Table) -> dict[str, Any]:
        """Lay out a table with the short names."""
        rows = (
            tuple(self.short.get(cell, cell) if i < 2 else cell for i, cell in enumerate(row)) for row in table.rows
        )
        columns = tuple(self.short.get(column, column) for column in table.columns)
        return html.grid(replace(table, rows=tuple(rows), columns=columns))

    def grids(self, tables: Iterable[Table]) -> list[dict[str, Any]]:
        """Lay out tables with the short names."""
        return [self.grid(table) for table in tables]

    def position(self, observer: str, question: str) -> int:
        """Return the place of one who was asked a question, which is also the number of its colour."""
        return list(self.asked).index((observer, question))


def fixtures(analysis: Analysis) -> dict[str, str]:
    """Return the observers that are no models to be measured, and what they are."""
    demo = "a small model made to try limen with"
    known = {"simulated": "a simulated observer of known threshold", "demo": demo}
    found = {}
    for name, fingerprint in analysis.manifest.observers.items():
        if fingerprint.get("kind") in known or fingerprint.get("fixture"):
            found[name] = known.get(str(fingerprint.get("kind")), demo)
    return found
