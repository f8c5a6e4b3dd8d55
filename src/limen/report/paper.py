"""The paper's own rows, quoted apart: most of its stimuli are not ours (Chen et al. 2025, arXiv:2507.00490)."""

from collections.abc import Iterable, Mapping, Sequence

from limen.analysis import paper
from limen.report.table import Table

SOURCE = paper.SOURCE
COLUMNS = {
    "blur": "blur", "brightness": "brightness", "saturation": "color", "contrast": "contrast", "jpeg": "jpeg",
    "noise": "noise", "band2k": "banding", "mask": "mask", "qr": "wm_qrcode", "text": "wm_text", "angle": "angle",
    "distance": "distance",
}  # fmt: skip
SAME_UNIT = frozenset({"jpeg", "angle", "distance"})


def rows() -> list[dict[str, str]]:
    """Return the published 1st JNDs, human observers first, as printed (">50" stays text)."""
    return paper.rows("first_jnd")


def quoted(distortions: Iterable[str], measured: Mapping[str, Sequence[tuple[str, str]]]) -> list[Table]:
    """Return the published rows of these distortions: those in the same unit, and those of other stimuli.

    Args:
        distortions: of the runs; those the paper does not have are left out.
        measured: by distortion, observers of the runs and their mean, to stand beside the rows in the same unit.
    """
    known = [name for name in distortions if name in COLUMNS]
    same, other = ([name for name in known if (name in SAME_UNIT) is shared] for shared in (True, False))
    tables = []
    if same:
        observers = dict.fromkeys(who for name in same for who, _ in measured.get(name, ()))
        ours = [(f"{who} (measured here)", *(dict(measured.get(name, ())).get(who, "-") for name in same))
                for who in observers]  # fmt: skip
        notes = ("The unit agrees, the photographs do not: these rows are not ranked together.",)
        tables.append(Table("Same unit as here", ("observer", *same), (*ours, *_cells(same)), notes))
    if other:
        notes = ("The paper's ladders are not published: its level 10 is not level 10 of this page.",)
        title = "Other stimuli: not comparable level by level"
        tables.append(Table(title, ("observer", *other), _cells(other), notes))
    return tables


def _cells(distortions: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    return tuple((row["model"], *(row[COLUMNS[name]] or "-" for name in distortions)) for row in rows())
