"""Draw the README's figure from a run: references, and the stimuli at their 1st to n-th JND.

python docs/figure.py runs/demo docs/figure.png
"""

import sys
from pathlib import Path

from limen import distortion
from limen.analysis import Outcome, SeriesStatus, analyse
from limen.image import Image, decode, png
from limen.report.images import contact_sheet
from limen.store import Store

SHOWN = ("blur", "noise", "contrast", "qr")
JNDS = 5


def row(store: Store, outcomes: list[Outcome]) -> list[tuple[str, Image]]:
    """Return the reference whose 1st JND is the median one, and its stimuli at each JND."""
    reached = [
        o for o in outcomes if o.status is SeriesStatus.COMPLETE and len([t for t in o.thresholds if t.reached]) > 1
    ]
    chosen = sorted(reached, key=lambda o: (o.thresholds[0].level, o.series.name))[len(reached) // 2]
    blob = store.picture(chosen.series.picture)
    assert blob is not None
    render = distortion.find(chosen.series.distortion).render(decode(blob), chosen.series.key)
    levels = [t.level for t in chosen.thresholds if t.reached][:JNDS]
    return [("reference", render(0)), *((f"JND {n}: level {k}", render(k)) for n, k in enumerate(levels, start=1))]


def main(run: Path, out: Path) -> None:
    """Draw."""
    with Store.open(run) as store:
        outcomes = analyse(store).outcomes
        rows = {name: row(store, [o for o in outcomes if o.series.distortion == name]) for name in SHOWN}
    out.write_bytes(png(contact_sheet(rows)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
