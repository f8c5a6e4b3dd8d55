"""What the watch page is told of runs: plain data, the same bytes as long as nothing has changed."""

import asyncio
import datetime
import math
import time
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limen.analysis import units
from limen.analysis.tables import EstimateRow, JndRow
from limen.spending import Price, money
from limen.store.entries import AimEntry
from limen.web.following import MOST_SERIES, OPEN, Failures, RunFollower

SOONEST = 0.25  # seconds between two looks
SHARE = 0.2  # seconds of one look at all runs, while there is much to be read
LONGEST = 240  # characters of an answer or a failure
FEWEST_SECONDS, FEWEST_SERIES = 10.0, 3  # from which a rate, and the time left, are told


class RunWatch:
    """Runs that are looked at as long as somebody asks, and no longer.

    Args:
        runs: names by run directory, in the order of the page; none of them need be there yet.
        price: rates of tokens; None where no sum is wanted.
    """

    def __init__(self, runs: Mapping[Path, str], price: Price | None = None) -> None:
        self._price = price
        self._runs = [(RunFollower(path), name) for path, name in runs.items()]
        self._lock = asyncio.Lock()
        self._at = -math.inf
        self._told: dict[str, Any] = {}

    async def state(self) -> dict[str, Any]:
        """Return what there is to say of all runs; however many ask, they are looked at once in a while."""
        async with self._lock:
            if time.monotonic() - self._at >= SOONEST:
                self._told = await asyncio.to_thread(self._look)
                self._at = time.monotonic()
        return self._told

    def _look(self) -> dict[str, Any]:
        for run, _ in self._runs:
            until = time.monotonic() + SHARE / len(self._runs)
            while run.look() and time.monotonic() < until:
                pass
        return {"runs": [state(run, name, self._price) for run, name in self._runs]}


def state(run: RunFollower, name: str, price: Price | None = None) -> dict[str, Any]:
    """Return what there is to say of a run; moments in seconds since 1970.

    Args:
        run: as it was looked at last.
        name: that the page calls it by.
        price: rates of tokens; None where no sum is wanted.
    """
    told: dict[str, Any] = {"name": line(name), "path": line(str(run.path)), "state": _kind(run), "why": _why(run)}
    if run.manifest is None:
        return told
    progress = _progress(run)
    return told | {
        "about": _about(run),
        "progress": progress,
        "cost": {
            "tokens_in": run.tokens_in, "tokens_out": run.tokens_out,
            "price": money(price.of_tokens(run.tokens_in, run.tokens_out)) if price is not None else "",
        },
        "thresholds": [_threshold(row) for row in run.rows()],
        "fitted": any(isinstance(row, EstimateRow) for row in run.rows()),
        "answers": [
            {
                "at": one.at, "observer": line(one.observer), "question": line(one.question),
                "distortion": line(one.distortion), "reference": line(one.reference), "first": one.first,
                "level": one.level, "levels": one.levels, "verdict": one.verdict, "text": line(one.text),
            }
            for one in run.answers()
        ],
        "failures": [_failure(kind, some) for kind, some in sorted(run.failures.items(), key=lambda one: -one[1].at)],
    }  # fmt: skip


def line(text: str, most: int = LONGEST) -> str:
    """Return text from outside on one line, without control and direction-changing characters, cut to `most`."""
    some = text[: 4 * most]
    kept = "".join(" " if sign.isspace() else sign for sign in some if sign.isspace() or not _controls(sign))
    whole = " ".join(kept.split())
    return whole if len(whole) <= most and len(text) == len(some) else f"{whole[: most - 1].rstrip()}…"


def _controls(sign: str) -> bool:
    return unicodedata.category(sign).startswith("C")


def _kind(run: RunFollower) -> str:
    """Return in which state a run is, in a word that the page knows."""
    if not run.present:
        return "gone" if run.seen else "absent"
    if run.trouble or run.manifest is None:
        return "unreadable"
    if run.writing:
        return "running"
    if run.reading and not run.held_up:
        return "reading"
    return "stopped" if _open(run) or not run.outcomes else "finished"


def _why(run: RunFollower) -> str:
    """Return the rest of that, where there is something to be said."""
    if not run.present:
        return ""
    if run.trouble:
        return line(run.trouble, 1_000)
    if run.held_up and not run.writing:
        return f"It was killed while it wrote, and cannot be looked at as it lies ({run.held_up})."
    return "" if run.writing or run.closed else "It was killed: its last words are missing, its answers are not."


def _aim(run: RunFollower) -> AimEntry | None:
    return run.manifest.aim if run.manifest is not None else None


def _began(run: RunFollower) -> float:
    """Return when the latest session began; 0.0 where the run does not say."""
    aim = _aim(run)
    if aim is not None:
        return aim.at.timestamp()
    try:
        return datetime.datetime.fromisoformat(run.manifest.created if run.manifest else "").timestamp()
    except ValueError:
        return 0.0


def _lanes(run: RunFollower) -> dict[str, int]:
    """Return how many series of each observer have a result, or can have none."""
    found = dict.fromkeys(run.manifest.observers if run.manifest else (), 0)
    for (observer, _, _), outcome in run.outcomes.items():
        found[observer] = found.get(observer, 0) + (outcome.status not in OPEN)
    return found


def _planned(run: RunFollower) -> dict[str, int]:
    """Return of how many series of each observer that is; nothing in a run that does not say."""
    aim = _aim(run)
    return dict.fromkeys(aim.observers, aim.series * len(aim.questions)) if aim is not None else {}


def _open(run: RunFollower) -> int:
    """Return how many series are still to be finished, as far as the run says."""
    done = _lanes(run)
    if planned := _planned(run):
        return sum(max(0, count - done.get(observer, 0)) for observer, count in planned.items())
    return sum(outcome.status in OPEN for outcome in run.outcomes.values())


def _progress(run: RunFollower) -> dict[str, Any]:
    done, planned = _lanes(run), _planned(run)
    rate = _rate(run)
    used = sum(run.trials.values())
    return {
        "began": _began(run),
        "last": run.last,
        "done": sum(min(count, planned.get(observer, count)) for observer, count in done.items()),
        "planned": sum(planned.values()) + sum(count for observer, count in done.items() if observer not in planned)
        if planned
        else None,
        "open": _open(run),
        "observers": [
            {"observer": line(name), "done": done.get(name, 0), "planned": planned.get(name)}
            for name in dict.fromkeys((*done, *planned))
        ],
        "asked": run.answered,
        "reused": max(0, used - run.answered),
        "failed": sum(some.count for some in run.failures.values()),
        "rate": rate,
        "left": _left(run, rate),
        "behind": run.behind if run.reading and run.behind > MOST_SERIES else 0,
    }


def _rate(run: RunFollower) -> float | None:
    """Return how many questions a minute were answered lately, in this session."""
    begin = max(_began(run), run.times[0]) if run.times else 0.0
    span = run.last - begin
    if not run.writing or span < FEWEST_SECONDS:
        return None
    return round(60 * sum(at > begin for at in run.times) / span, 1)


def _left(run: RunFollower, rate: float | None) -> float | None:
    """Return about how many seconds are left, from the questions that finished series have taken."""
    finished = [run.trials[lane] for lane, outcome in run.outcomes.items() if outcome.status not in OPEN]
    if not rate or not _planned(run) or len(finished) < FEWEST_SERIES:
        return None
    under_way = sum(run.trials[lane] for lane, outcome in run.outcomes.items() if outcome.status in OPEN)
    questions = _open(run) * sum(finished) / len(finished) - under_way
    return float(f"{60 * max(questions, 0) / rate:.2g}")


def _about(run: RunFollower) -> dict[str, Any]:
    manifest = run.manifest
    assert manifest is not None
    used = {row.distortion for row in run.series.values()}
    observers = [*manifest.observers, *(_planned(run).keys() - manifest.observers.keys())]
    return {
        "observers": [line(name) for name in observers],
        "questions": [{"name": line(name), "text": line(one.text)} for name, one in manifest.questions.items()],
        "distortions": [
            {"name": line(name), "levels": len(kind.strengths)}
            for name, kind in manifest.distortions.items()
            if name in used or not used
        ],
        "references": len({row.picture for row in run.series.values()}),
        "series": len(run.series),
        "procedure": line(str(manifest.procedure.get("name", ""))),
        "settings": [
            f"{line(name)} {line(str(value))}"
            for name, value in manifest.procedure.items()
            if name != "name" and value not in ([], None)
        ],
        "created": line(manifest.created),
        "limen": line(manifest.limen),
    }


def _threshold(row: JndRow | EstimateRow) -> dict[str, Any]:
    ends = [str(end) for end in (row.median_low, row.median_high) if end is not None]
    return {
        "observer": line(row.observer), "question": line(row.question), "distortion": line(row.distortion),
        "n": row.n, "median": str(row.median), "interval": ends, "levels": row.levels,
        "strength": line(units.strength(row.strength, row.unit)),
        "mean": None if math.isnan(row.mean) else row.mean,
    }  # fmt: skip


def _failure(kind: str, some: Failures) -> dict[str, Any]:
    return {
        "kind": line(kind), "count": some.count, "at": some.at, "observer": line(some.observer),
        "detail": line(some.detail),
    }  # fmt: skip
