"""Which models answered, where that changed under the run: beside the numbers, in the page, in JSON."""

import dataclasses
import datetime
from collections import Counter
from collections.abc import Sequence
from typing import Any

from limen.analysis import Analysis
from limen.report.table import Table
from limen.store import Origin

NAMED = 5  # series that a warning names


def warnings(analysis: Analysis) -> list[str]:
    """Return a sentence for each observer under whose name several models, or several systems, answered."""
    lines = []
    for observer in dict.fromkeys(one.observer for one in analysis.origins):
        models, systems = (_of(analysis, observer, what) for what in ("model", "fingerprint"))
        if len(models) > 1:
            lines.append(
                f"{observer}: the model changed under the run ({_listed(models)}). Its numbers mix {len(models)} "
                f"models{_series(analysis, observer)}. Measure again into another --out, with a name that stays with "
                "one model."
            )
        elif len(systems) > 1:
            lines.append(
                f"{observer}: the fingerprint of the server changed under the run ({_listed(systems)}). Hosts change "
                "it with their software, too: it need not be another model."
            )
    return lines


def noted(analysis: Analysis, table: Table) -> Table:
    """Return a table of numbers with the warnings among its notes."""
    told = tuple(f"! {line}" for line in warnings(analysis))
    return dataclasses.replace(table, notes=(*told, *table.notes)) if told else table


def answering(analysis: Analysis) -> Table:
    """Return the table of who answered, where it was not one model and one system for each observer."""
    counts = Counter((one.observer, one.what) for one in analysis.origins)
    rows = tuple(
        (one.observer, one.what, one.said, f"{one.answers:,}", _when(one.first))
        for one in analysis.origins
        if max(counts.values()) > 1
    )
    return Table("Who answered", ("observer", "what", "as the answers say", "answers", "first"), rows)


def records(analysis: Analysis) -> dict[str, Any]:
    """Return who answered, the warnings, and the series with answers of several models, as plain data for JSON."""
    return {
        "models": [dataclasses.asdict(one) | {"first": _when(one.first)} for one in analysis.origins],
        "mixed": [
            {"observer": observer, "distortion": distortion, "reference": name}
            for observer, distortion, name in analysis.mixed
        ],
        "warnings": warnings(analysis),
    }


def _of(analysis: Analysis, observer: str, what: str) -> list[Origin]:
    return [one for one in analysis.origins if (one.observer, one.what) == (observer, what)]


def _listed(origins: Sequence[Origin]) -> str:
    told = [f"{one.said}: {one.answers:,} from {_when(one.first)}" for one in origins[:NAMED]]
    more = len(origins) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more else "")


def _series(analysis: Analysis, observer: str) -> str:
    mine = [f"{distortion} {name}" for who, distortion, name in analysis.mixed if who == observer]
    if not mine:
        return ", though no series has answers of more than one"
    more = f" and {len(mine) - NAMED} more" if len(mine) > NAMED else ""
    return f"; {len(mine)} series have answers of more than one ({', '.join(mine[:NAMED])}{more})"


def _when(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
