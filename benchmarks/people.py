"""How long a participant waits for the next question: from an answer to the probe that follows from it.

    python benchmarks/people.py [--json FILE] [--before PYTHONPATH] [--peers PYTHON]

Procedures on ladders of 50 and 100 levels, with yes/no questions and 4-alternative forced choice: of one participant,
and of 50 whose procedures take turns in one process, as `limen people` runs them, so that nothing stays in a cache.
Simulated participants answer by chance. Drawing a stimulus and keeping an answer are not in it. CPU time of all
threads, one a library: the machine is shared, and what others do is not the procedure's.

`--before` names the sources of another limen, measured in turns with this one where it differs. `--peers` is an
interpreter that has the package questplus: the same grid of thresholds, slopes, false alarms and lapses, and a step.
"""

import argparse
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

TURNS = 2
BOUND = 30.0  # ms
CHANGED = "questplus"  # what `--before` is measured for, beside learning
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "psi, yes/no": ("psi", {"draws": 8, "trials": 8, "sd": 0}),
    "psi, 4-AFC": ("psi", {"draws": 8, "trials": 8, "sd": 0, "guess": 0.25}),
    "questplus, yes/no": ("questplus", {"draws": 8, "trials": 8, "sd": 0}),
    "questplus, 4-AFC": ("questplus", {"draws": 8, "trials": 8, "sd": 0, "guess": 0.25}),
    "certify": ("certify", {}),
    "certify, gap 2, confirm 3": ("certify", {"gap": 2, "confirm": 3}),
    "staircase": ("staircase", {"draws": 40}),
    "skip": ("skip", {}),
}


def waits(case: str, levels: int, people: int, series: int) -> list[float]:
    """Return the seconds from each answer to the next probe, or the end, of procedures that take turns."""
    import numpy as np

    from limen.ladder import Ladder
    from limen.parsing.yes_no import Flag, Verdict
    from limen.procedure import begin, make

    name, settings = CASES[case]
    method, ladder = make(name, settings), Ladder(tuple(float(k) for k in range(1, levels + 1)), "level")
    rng, floor = np.random.default_rng(levels), settings.get("guess", 0.05)
    found: list[float] = []
    for _ in range(series):
        courses = {at: begin(method, ladder) for at in range(people)}
        thresholds = rng.uniform(0.2 * levels, 0.8 * levels, people)
        asks = {at: next(course) for at, course in courses.items()}
        while asks:
            for at in [*asks]:
                says = {}
                for probe in asks[at].needed:
                    noticed = 1 / (1 + np.exp(-(probe.level - thresholds[at]) / (0.05 * levels)))
                    says[probe] = Verdict(Flag.YES if rng.random() < floor + (0.97 - floor) * noticed else Flag.NO)
                started = time.process_time()
                try:
                    asks[at] = courses[at].send(says)
                except StopIteration:
                    del asks[at]
                found.append(time.process_time() - started)
    return found


def learning(levels: int, series: int) -> list[float]:
    """Return the seconds that a wave waits for what `series` series of 30 answers taught."""
    import numpy as np

    from limen.statistics import observer_model

    rng = np.random.default_rng(levels)
    answers = [
        [(int(level), bool(rng.random() < level / levels)) for level in rng.integers(1, levels + 1, 30)]
        for _ in range(series)
    ]
    observer_model.learn(levels, answers)
    found = []
    for _ in range(5):
        started = time.process_time()
        observer_model.learn(levels, answers)
        found.append(time.process_time() - started)
    return found


def peer(levels: int) -> list[float]:
    """Return the seconds of a step of the package questplus on limen's grid."""
    import numpy as np
    import questplus

    plus = questplus.QuestPlus(
        stim_domain={"intensity": np.arange(1.0, levels + 1)},
        param_domain={
            "threshold": np.concatenate([np.arange(0.5, levels + 1), levels + np.array([3.0, 8.0, 20.0])]),
            "slope": np.array([0.3, 1.0, 2.0, 3.5, 6.0]),
            "lower_asymptote": np.array([0.005, 0.02, 0.05, 0.1, 0.2, 0.3, 0.45]),
            "lapse_rate": np.array([0.005, 0.05, 0.1, 0.3]),
        },
        outcome_domain={"response": ["Yes", "No"]}, func="weibull", stim_scale="linear",
    )  # fmt: skip
    rng, found = np.random.default_rng(levels), []
    for _ in range(15):
        level = int(plus.next_stim["intensity"])
        said = "Yes" if rng.random() < level / levels else "No"
        started = time.process_time()
        plus.update(stim={"intensity": level}, outcome={"response": said})
        _ = plus.next_stim
        found.append(time.process_time() - started)
    return found


def work(what: str) -> None:
    """Print one list of seconds as JSON."""
    kind, levels, *rest = json.loads(what)
    print(json.dumps(peer(levels) if kind == "peer" else learning(levels, *rest) if kind == "learn"
                     else waits(kind, levels, *rest)))  # fmt: skip


def alone(python: str, what: list[Any], sources: str = "") -> list[float]:
    """Return the milliseconds that a fresh process with one thread a library measured; [] where it cannot."""
    one = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
    place = {"PYTHONPATH": sources} if sources else {}
    done = subprocess.run(
        [python, "-W", "ignore", __file__, "--work", json.dumps(what)], text=True, stdout=subprocess.PIPE,
        env=os.environ | one | place,
    )  # fmt: skip
    return [1000 * one for one in json.loads(done.stdout.splitlines()[-1])] if done.returncode == 0 else []


def row(label: str, levels: int, who: str, now: list[list[float]], before: list[list[float]]) -> dict[str, Any]:
    """Print and return one row: the quietest turn counts, because noise only adds."""
    best = min(now, key=statistics.median)
    median, most = statistics.median(best), statistics.quantiles(best, n=100)[98] if len(best) > 99 else max(best)
    then = min(map(statistics.median, before)) if all(before) and before else None
    ratio = "" if then is None else f"{then:.2f} | {then / median:.1f}"
    within = statistics.fmean(one <= BOUND for one in best)
    cells = (label, levels, who, f"{median:.2f}", f"{most:.1f}", f"{100 * within:.4g} %", ratio or "- | -")
    print(f"| {' | '.join(map(str, cells))} |", flush=True)
    figures = {"median": median, "p99": most, "within": within, "before": then}
    return {"case": label, "levels": levels, "participants": who} | figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--before", metavar="PYTHONPATH", default="", help="sources of another limen")
    parser.add_argument("--peers", metavar="PYTHON", default="", help="an interpreter that has questplus")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.work:
        return work(chosen.work)
    rows = []
    said = ("procedure", "levels", "participants", "median, ms", "99 % within, ms", f"<= {BOUND:g} ms", "before, ms")
    print(f"| {' | '.join(said)} | before / now |")
    print("|---" * 8 + "|")
    for levels, label, people in itertools.product((50, 100), CASES, (1, 50)):
        what = [label, levels, people, 8 if people == 1 else 1]
        now, before = [], []
        for _ in range(TURNS):
            now.append(alone(sys.executable, what))
            if chosen.before and label.startswith(CHANGED):
                before.append(alone(sys.executable, what, chosen.before))
        rows.append(row(label, levels, str(people), now, before))
    for levels, series in itertools.product((50, 100), (8, 24)):
        what = ["learn", levels, series]
        before = [alone(sys.executable, what, chosen.before)] if chosen.before else []
        rows.append(row(f"what {series} series taught", levels, "1", [alone(sys.executable, what)], before))
    rows += [
        row("the package questplus, yes/no", levels, "1", [alone(chosen.peers, ["peer", levels])], [])
        for levels in ((50, 100) if chosen.peers else ())
    ]
    print(json.dumps({"python": platform.python_version(), "load": os.getloadavg()}))
    if chosen.json:
        Path(chosen.json).write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
