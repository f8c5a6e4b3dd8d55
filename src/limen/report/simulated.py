"""The table of a simulation study."""

import math
from collections.abc import Sequence

from limen.analysis.simulation import SimulationRow
from limen.curve import Share
from limen.report.table import Table


def table(results: Sequence[SimulationRow]) -> Table:
    """Return observers x procedures: questions, exactness, stated certainty, error, coverage."""
    rows = []
    for one in results:
        questions = f"{one.questions:.1f} [{one.interval.low:.1f}, {one.interval.high:.1f}]"
        stated = "-" if one.stated is None or math.isnan(one.stated) else f"{one.stated:.3f}"
        rmse = "-" if one.rmse is None else f"{one.rmse:.2f}"
        rows.append((one.observer, one.procedure, questions, _share(one.exact), stated, rmse, _share(one.covered)))
    columns = ("observer", "procedure", "questions [95 %]", "= scan [95 %]", "stated", "rmse", "covered [95 %]")
    n = ", ".join(sorted({f"{one.images:,}" for one in results}))
    note = (
        f"{n} series a row. Questions: mean a series. = scan: per cent of series whose JNDs are the exhaustive scan's. "
        "Stated: mean certainty claimed. Rmse: of the fitted T50, in levels. Covered: per cent of 95 % intervals that "
        "hold the true T50. Intervals: Wilson, and normal for questions."
    )
    return Table("Simulated observers", columns, tuple(rows), (note,), heads=2)


def _share(share: Share | None) -> str:
    if share is None or share.interval is None:
        return "-"
    return f"{100 * share.value:.1f} [{100 * share.interval.low:.1f}, {100 * share.interval.high:.1f}]"
