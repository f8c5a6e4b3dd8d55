"""Write the figures of the demo model into its card, from the cells that `training/held_out.py` asked for.

    python training/card.py training/figures/seed-*.json

One file a training run. The tables show the run whose model ships; the goals are checked for every run. The text of
the card outside the two markers is left as it is.
"""

import argparse
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from held_out import HELD_OUT, Cell, count, levels, shares
from pairs import NAMES
from words import QUESTIONS

DEMO = Path(__file__).resolve().parents[1] / "src" / "limen" / "data" / "demo"
BEGIN, FINISH = "<!-- figures: written by training/card.py -->", "<!-- end of figures -->"
SHOWN = (5, 10, 20, 35, 50, 70)


@dataclass(frozen=True)
class Run:
    """One training run and what its model answered.

    Attributes:
        facts: what the training script wrote down.
        model: the label of the demo observer, from the weights' digest.
        query_seconds: median time of one answer.
        cells: all of them.
    """

    facts: dict[str, Any]
    model: str
    query_seconds: float
    cells: tuple[Cell, ...]

    @classmethod
    def read(cls, path: Path) -> "Run":
        """Read what `held_out.py` wrote."""
        found = json.loads(path.read_text())
        cells = tuple(Cell(*row) for row in found["cells"])
        return cls(found["training"], found["model"], found["query_seconds"], cells)

    @cached_property
    def _by_place(self) -> dict[tuple[str, int, int, str, bool, str], Cell]:
        return {(cell.name, cell.base, cell.level, cell.title, cell.again, cell.asked): cell for cell in self.cells}

    def share(
        self, name: str, base: int, level: int, title: str = "direct", again: bool = False, asked: str = ""
    ) -> float:
        """Share of yes in a cell."""
        return self._by_place[name, base, level, title, again, asked or name].share

    def curve(self, name: str, title: str = "direct") -> list[float]:
        """Shares of yes at `levels(name)` against level 0."""
        return [self.share(name, 0, level, title) for level in levels(name)]

    def top(self, title: str = "direct") -> dict[str, float]:
        """Share of yes at the top against level 0, by distortion."""
        return {name: self.share(name, 0, count(name), title) for name in NAMES}

    def half(self, name: str) -> float:
        """Level at which the curve first crosses one half, interpolated between those asked; inf if it never does."""
        last_level, last = 0, 0.0
        for level, share in zip(levels(name), self.curve(name), strict=True):
            if share >= 0.5:
                return last_level + (level - last_level) * (0.5 - last) / (share - last)
            last_level, last = level, share
        return math.inf

    def fall(self, name: str) -> float:
        """Return by how much the curve lies below its own highest value so far, at the worst level."""
        highest = worst = 0.0
        for share in self.curve(name):
            highest = max(highest, share)
            worst = max(worst, highest - share)
        return worst

    def alarms(self) -> dict[str, float]:
        """Highest share of yes to pictures that are equal, by distortion; any wording, any level."""
        return {name: max(c.share for c in self.cells if c.name == name and c.base == c.level) for name in NAMES}

    def others(self, name: str) -> dict[str, float]:
        """Share of yes at the top when asked about each other distortion."""
        return {other: self.share(name, 0, count(name), asked=other) for other in NAMES if other != name}

    def denied(self) -> float:
        """Share of no to all questions about another distortion than the one shown."""
        yes = [share for name in NAMES for share in self.others(name).values()]
        return 1 - sum(yes) / len(yes)

    def apart(self, name: str) -> float:
        """Largest difference between the choice and the direct question over the levels, 0 included."""
        pairs = zip(self.curve(name), self.curve(name, "choice"), strict=True)
        zero = abs(self.share(name, 0, 0) - self.share(name, 0, 0, "choice"))
        return max(zero, *(abs(direct - choice) for direct, choice in pairs))


def _extreme(pick: Callable[..., str], values: dict[str, float]) -> str:
    """Return the least or the largest value, as `pick` is min or max, and whose it is."""
    name = pick(values, key=values.__getitem__)
    return f"{values[name]:.2f} ({name})"


def _every(function: Callable[[str], float]) -> dict[str, float]:
    return {name: function(name) for name in NAMES}


def goals(run: Run) -> list[tuple[str, bool, str]]:
    """Return each goal, whether the run reached it, and the figure."""
    top, implicit, alarms = run.top(), run.top("direct-implicit"), run.alarms()
    outside = [name for name in NAMES if not 2 <= run.half(name) <= count(name) / 2]
    fall, apart = _every(run.fall), _every(run.apart)
    crossed = {f"{name} taken for {other}": yes for name in NAMES for other, yes in run.others(name).items()}
    facts = run.facts
    minutes = facts["cpu_seconds"] / 60
    many = sum(share >= 0.9 for share in top.values())
    return [
        ("false alarms at most .05 in every cell", max(alarms.values()) <= 0.05, _extreme(max, alarms)),
        ("yes at the top at least .90 for nine of ten", many >= 9, f"{many} of 10"),
        ("and at least .75 for all", min(top.values()) >= 0.75, _extreme(min, top)),
        ("no curve falls back by more than .05", max(fall.values()) <= 0.05, _extreme(max, fall)),
        ("implicit at the top at least .95 for all", min(implicit.values()) >= 0.95, _extreme(min, implicit)),
        (
            "half yes between level 2 and half the ladder for nine of ten",
            len(outside) <= 1,
            f"{10 - len(outside)} of 10" + "".join(f"; {name} {run.half(name):.0f}" for name in outside),
        ),
        ("no to another distortion: at least .95 pooled", run.denied() >= 0.95, f"{run.denied():.3f}"),
        ("and in no cell below .5", max(crossed.values()) < 0.5, f"yes {_extreme(max, crossed)}"),
        ("choice within .20 of direct at every level", max(apart.values()) <= 0.2, _extreme(max, apart)),
        ("at most 30 CPU minutes of training", minutes <= 30, f"{minutes:.1f}"),
        ("at most 60 ms a query", run.query_seconds <= 0.06, f"{1000 * run.query_seconds:.0f} ms"),
    ]


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def checked(runs: Sequence[Run], shipped: str) -> str:
    """Return the table of goals, a column a run; a figure that misses its goal is bold."""
    head = [f"seed {run.facts['seed']}" + (" (shipped)" if run.model == shipped else "") for run in runs]
    rows = [
        [name, *(figure if reached else f"**{figure}**" for _, reached, figure in found)]
        for found in zip(*map(goals, runs), strict=True)
        for name in [found[0][0]]
    ]
    return table(["goal", *head], rows)


def figures(run: Run) -> list[str]:
    """Return the tables of one run."""
    explicit, wordings, alarms, others = [], [], [], []
    for name in NAMES:
        top = count(name)
        half = run.half(name)
        explicit.append(
            [
                name,
                f"{half:.1f}" if math.isfinite(half) else f">{top}",
                *(f"{run.share(name, 0, level):.2f}" for level in (0, *SHOWN) if level <= top),
                *[""] * sum(level > top for level in SHOWN),
                f"{run.share(name, 0, top):.2f} ({top})",
            ]
        )
        forms = [(title, again) for title in QUESTIONS for again in (False, True)][1:]
        pairs = [[run.share(name, 0, level, *form) for level in (0, top)] for form in forms]
        wordings.append([name, *(f"{none:.2f}, {full:.2f}" for none, full in pairs)])
        at = shares(name)
        same = [run.share(name, level, level) for level in at.values()]
        alarms.append(
            [
                name,
                f"{max(same):.2f}",
                f"{run.alarms()[name]:.2f}",
                f"{run.share(name, at[0.3], at[0.5]):.2f}",
                f"{run.share(name, at[0.3], at[0.7]):.2f}",
                f"{run.share(name, top, 0):.2f}",
            ]
        )
        cross = run.others(name)
        worst = sorted(((yes, other) for other, yes in cross.items() if yes >= 0.1), reverse=True)
        taken = ", ".join(f"{other} {yes:.2f}" for yes, other in worst) or "-"
        others.append([name, f"{1 - sum(cross.values()) / len(cross):.2f}", taken])
    return [
        "Explicit direct question, share of yes against an undistorted reference (in brackets: the top level):",
        table(["distortion", "half yes at level", "0", *(str(level) for level in SHOWN), "top"], explicit),
        "Other wordings, share of yes at level 0, at the top:",
        table(
            [
                "distortion",
                "direct, paraphrase",
                "implicit",
                "paraphrase",
                "choice",
                "paraphrase",
                "choice-implicit",
                "paraphrase",
            ],
            wordings,
        ),
        "Comparing: the highest share of yes where both pictures carry the same distortion at one of ten levels "
        "(false alarms), with the direct question and with any of the four; from a reference at 30 % to 50 %, to "
        "70 %; and the top against level 0, in swapped order:",
        table(["distortion", "equal", "equal, any wording", "30, 50", "30, 70", "100, 0"], alarms),
        "Asked about another distortion (nine words, top level): share of no, and words with a share of yes of .10 or "
        "more:",
        table(["shown", "no", "taken for"], others),
    ]


def trained(run: Run) -> str:
    """Return what the training script wrote down about itself, in one sentence."""
    facts = run.facts
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return (
        f"Seed {facts['seed']}: {facts['cpu_seconds']} s of CPU time, pair making included ({facts['seconds']} s on "
        f"the clock), {facts['steps']} steps of 32 pairs, {facts['parameters']} parameters; last losses "
        f"{facts['flag_loss']} (flag) and {facts['rest_loss']} (rest of the answer), score on the validation pictures "
        f"{facts['validation_score']}; largest difference in logits of the ONNX export "
        f"{facts['onnx_largest_logit_difference']:.1e} ({versions}); {run.model}."
    )


def asked(run: Run) -> str:
    """Return what a cell is."""
    n = [cell.n for cell in run.cells]
    photographs = ", ".join(Path(name).stem for name in HELD_OUT)
    pairs = f"{min(n)}" if min(n) == max(n) else f"{min(n)} to {max(n)}"
    return (
        f"{pairs} pairs a cell, random square crops (100 px to the whole shorter side, brought to 64x64) of the "
        f"{len(HELD_OUT)} held-out photographs ({photographs}) in turn; so n counts five photographs, seen in many "
        "crops. With n = 105 the 95 % Wilson interval of .00 is .00-.04, of .95 it is .89-.98. "
        f"{sum(n)} answers a run; of the shipped one's {sum(cell.unreadable for cell in run.cells)} unreadable, "
        f"{sum(cell.faulty for cell in run.cells)} with a fault."
    )


def main() -> None:
    """Write the tables into the card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="files that held_out.py wrote")
    parser.add_argument("--card", type=Path, default=DEMO / "MODEL_CARD.md", help="the card")
    arguments = parser.parse_args()
    runs = [Run.read(path) for path in arguments.runs]
    facts = json.loads((DEMO / "training.json").read_text())
    shipped = next(run for run in runs if run.facts == facts)
    parts = [*map(trained, runs), asked(shipped), checked(runs, shipped.model), *figures(shipped)]
    before, rest = arguments.card.read_text().split(BEGIN)
    after = rest.split(FINISH)[1]
    text = "\n\n".join(parts)
    arguments.card.write_text(f"{before}{BEGIN}\n\n{text}\n\n{FINISH}{after}")
    for run in runs:
        print("seed", run.facts["seed"])
        for name, reached, figure in goals(run):
            print(f"  {name}: {figure}{'' if reached else '  MISSED'}")


if __name__ == "__main__":
    main()
