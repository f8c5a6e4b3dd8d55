"""What a study would cost as a table, with what each number rests on in words; and raw, for JSON."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from limen.analysis.cost import ObserverCost
from limen.analysis.forecast import OBSERVERS, Count
from limen.report.format import NONE, Table, plain
from limen.scale.budget import PICTURE, ModelCost
from limen.spending import CHARACTERS, PATCH, USUAL, money, short

TITLE = "What this study would cost (nothing was sent)"


def costs(each: Sequence[ObserverCost]) -> Table:
    """Return the table: a column for each observer, and for all of them where there are several."""
    rows = [
        ("series", *(f"{one.series:,} open" + f", {one.finished:,} finished" * bool(one.finished) for one in each)),
        ("questions", *(_count(one.questions) for one in each)),
        ("tokens in", *(_tokens(one.tokens_in, None) for one in each)),
        ("tokens out", *(_tokens(one.tokens_out, one.longest) for one in each)),
        ("pictures sent", *(NONE if one.sent is None else f"about {_bytes(one.sent.expected)}" for one in each)),
    ]
    if any(one.price is not None for one in each):
        rows.append(("price, at your rates", *(_price(one) for one in each)))
        rows.append(("", *(NONE if one.dearest is None else f"at most {_rounded(one.dearest)}" for one in each)))
    rows.append(("time", *(NONE if one.seconds is None else _time(one.seconds) for one in each)))
    columns = ("", *(one.observer for one in each))
    return Table(TITLE, columns, tuple(row for row in rows if set(row[1:]) != {NONE}), tuple(_notes(each)))


def records(each: Sequence[ObserverCost]) -> dict[str, Any]:
    """Return the same numbers raw."""
    return {"costs": plain(tuple(each)), "notes": list(_notes(each))}


def of_data_set(each: Sequence[ModelCost], name: str, procedure: str) -> Table:
    """Return what a data set costs: a row for each model of the paper, and one for all of them.

    Args:
        each: the costs.
        name: of the data set.
        procedure: its name with its settings.
    """
    columns: dict[str, list[str]] = {
        "model": [one.model for one in each],
        "weights": [{"open": "open", "api": "closed"}.get(one.access, "") for one in each],
        "questions": [_ranged(one.questions) for one in each],
        "tokens in": [short(_digits(one.tokens_in.expected)) for one in each],
        "tokens out": [short(_digits(one.tokens_out.expected)) for one in each],
        "GPU hours": [NONE if one.gpu_hours is None else _rounded(one.gpu_hours.expected) for one in each],
        "price": [NONE if one.price is None else _rounded(one.price.expected) for one in each],
    }
    kept = {head: cells for head, cells in columns.items() if set(cells) != {NONE}}
    title = f"What {name} would cost, {each[0].series:,} series with {procedure} (nothing was asked)"
    return Table(title, tuple(kept), tuple(zip(*kept.values(), strict=True)), tuple(_data_set_notes(each)))


def _data_set_notes(each: Sequence[ModelCost]) -> Iterator[str]:
    yield (
        "Questions: the procedure played with simulated observers whose first JNDs have the mean that the paper prints "
        "of this model and part, in levels (95 % interval over observers: how wide JNDs spread, slope, false alarms). "
        "Where no JND was found on the ladder, first JNDs lie beyond it. Questions that cannot be read are asked once "
        "more on top."
    )
    width, height = PICTURE
    yield (
        f"Tokens by a rule of thumb: one for {CHARACTERS} characters and for {PATCH}x{PATCH} px of two pictures of "
        f"{width}x{height} px, {USUAL} for an answer (Qwen2-VL's; other models differ)."
    )
    if each[-1].gpu_hours is not None:
        yield "GPU hours: at your --throughput for each model; a model that needs several GPUs answers less a GPU."


def data_set_records(each: Sequence[ModelCost]) -> dict[str, Any]:
    """Return the same numbers raw."""
    return {"costs": plain(tuple(each)), "notes": list(_data_set_notes(each))}


def _ranged(count: Count) -> str:
    if count.exact:
        return _rounded(count.expected)
    return f"{_rounded(count.expected)} ({_rounded(count.interval.low)} to {_rounded(count.interval.high)})"


def _notes(each: Sequence[ObserverCost]) -> Iterator[str]:
    if not any(one.series or one.questions.expected for one in each):
        yield "Nothing is left to ask."
        return
    whole, single = each[-1], [one for one in each if one.observer != "all"] or list(each)
    yield from _basis(whole)
    if whole.exam:
        yield f"{whole.exam} questions at most are exams', before the first series (--no-exam leaves them out)."
    if whole.series and not whole.questions.exact:
        yield "Not reckoned with: what equals its reference is not asked; what cannot be read is asked once more."
    elif whole.series:
        yield "Fewer where a stimulus equals its reference; more where an answer cannot be read and is asked again."
    reckoned = [one for one in single if one.tokens_in is not None and not one.reported]
    if reckoned:
        limited = " At most: every answer as long as max_tokens allows." if any(one.longest for one in reckoned) else ""
        yield (
            f"Tokens by a rule of thumb: one for {CHARACTERS} characters of text and for {PATCH}x{PATCH} px of a "
            f"picture (Qwen2-VL's; other models differ), {USUAL} for a usual answer.{limited}"
        )
    if any(one.reported for one in single):
        yield "Tokens by the answers that the run holds, where they say."
    if whole.sent is not None:
        yield "Pictures sent: by the mean of some of each distortion, coded as they would travel."
    if silent := [one.observer for one in single if one.sent is None]:
        names = ", ".join(silent)
        yield f"{names}: nothing is sent to a server, so no bytes, and no tokens or price until answers say them."
    yield from _pace(single)


def _basis(whole: ObserverCost) -> Iterator[str]:
    series = {name: f"{count:,} series" for name, count in whole.basis.items()}
    if "simulation" in series:
        yield (
            f"Questions of {series['simulation']}: by simulation. The procedure is played with up to {OBSERVERS} "
            "simulated observers whose first JND lies anywhere on the ladder or beyond its ends. The interval (95 %) "
            "is over such observers: more series do not narrow it, answers do. Run a few (--limit 5), then look again."
        )
    if "finished" in series:
        yield (
            f"Questions of {series['finished']}: by what finished ones of the same observer, question and distortion "
            "took (95 % interval over series)."
        )
    if "fixed" in series:
        yield f"Questions of {series['fixed']}: the procedure asks the same number whoever answers."


def _pace(single: Sequence[ObserverCost]) -> Iterator[str]:
    known = [one for one in single if one.latency is not None]
    if known:
        paces = "; ".join(f"{one.observer} {one.latency:.2g} s an answer, {one.concurrency} at a time" for one in known)
        yield f"Time: {paces}; observers come one after another. Loading, drawing and waiting come on top."
    if len(known) < len(single):
        yield "Time: give --latency SECONDS of one answer to see how long it takes."


def _count(count: Count) -> str:
    if count.exact:
        return f"exactly {count.expected:,.0f}"
    low, high = (_rounded(bound) for bound in (count.interval.low, count.interval.high))
    return f"about {_rounded(count.expected)} ({low} to {high})"


def _tokens(count: Count | None, most: float | None) -> str:
    if count is None:
        return NONE
    return f"about {short(_digits(count.expected))}" + (f", at most {short(_digits(most))}" if most is not None else "")


def _price(one: ObserverCost) -> str:
    if one.price is None:
        return NONE
    low, high = one.price.interval.low, one.price.interval.high
    return f"about {_rounded(one.price.expected)} ({_rounded(low)} to {_rounded(high)})"


def _time(seconds: Count) -> str:
    return f"about {_span(seconds.expected)} ({_span(seconds.interval.low)} to {_span(seconds.interval.high)})"


def _span(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{_rounded(seconds / size)} {unit}"
    return f"{_rounded(seconds)} s"


def _bytes(count: float) -> str:
    return f"{short(_digits(count))}B" if count >= 1000 else f"{_rounded(count)} B"


def _digits(value: float) -> float:
    """Return a number with the two digits that an estimate has."""
    return float(f"{value:.2g}")


def _rounded(value: float) -> str:
    """Return a number in two digits: 3.6, 47, 1,200."""
    short_ = _digits(value)
    if not short_ or math.isnan(short_):
        return "0"
    return f"{short_:,.0f}" if short_ >= 10 else money(short_) if short_ < 0.095 else f"{short_:.2g}"
