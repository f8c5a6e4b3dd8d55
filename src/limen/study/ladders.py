"""Strengths of somebody's own, as a study file, the command line and Python give them: a list of them, or a rule.

`[ladders] blur = [1, 2, 4, 8]` and `[ladders.blur] strengths = [1, 2, 4, 8]` are the same; `[ladders.blur]` may have
`from`, `to`, `levels` and `spacing` instead.
"""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
import numpy as np

from limen import registry
from limen.distortion import Distortion
from limen.errors import InputError
from limen.ladder import Ladder

Given: TypeAlias = tuple[float, ...] | dict[str, Any]

FEWEST = 2  # levels: with one there is nothing to find
MOST = 10_000  # levels that a manifest holds
SPACINGS = ("linear", "geometric")
Rule = msgspec.defstruct(  # "from" is a word of Python's, so this is no class
    "Rule",
    [
        ("strengths", tuple[float, ...] | None, None),
        ("from", float | None, None),
        ("to", float | None, None),
        ("levels", Annotated[int, msgspec.Meta(ge=FEWEST, le=MOST)] | None, None),
        ("spacing", Literal["linear", "geometric"], "linear"),
    ],
    frozen=True,
    forbid_unknown_fields=True,
)
_TEXT = re.compile(r"([^.]\S*?)\.\.(\S+?)x(\d+)(?::([a-z]+))?")


def replaced(kind: Distortion, given: Mapping[str, Sequence[float] | Mapping[str, Any]]) -> Distortion:
    """Return a distortion with the ladder that is given for it by its name; as it is where none is.

    Raises:
        InputError: it cannot be the ladder of this distortion.
    """
    if kind.name not in given:
        return kind
    where, whole = f"ladders.{kind.name}", kind.domain is not None and kind.domain.whole
    found = strengths(where, given[kind.name], whole)
    if kind.domain is not None:
        try:
            kind.domain.check(found)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
    return replace(kind, ladder=Ladder(found, kind.ladder.unit))


def strengths(where: str, given: Sequence[float] | Mapping[str, Any], whole: bool = False) -> tuple[float, ...]:
    """Return the strengths that a list or a rule stands for, rising or falling.

    Args:
        where: what they are for, for messages.
        given: numbers, or a table with `strengths`, or with `from`, `to`, `levels` (2 to 10,000) and `spacing`
            ("linear", the default, or "geometric": each strength by the same factor more than the one before).
        whole: whether the strengths of a rule are rounded to whole numbers.

    Raises:
        InputError: it is neither, or too few, or they do not rise or fall all the way.
    """
    table = dict(given) if isinstance(given, Mapping) else {"strengths": given}
    rule: Any = registry.settings(where, table, Rule)
    ends = (getattr(rule, "from"), rule.to, rule.levels)
    if rule.strengths is not None and len(table) > 1:
        other = ", ".join(sorted(table.keys() - {"strengths"}))
        raise InputError(f"{where}: has strengths, and {other} beside them. Give the one or the other.")
    if rule.strengths is None and None in ends:
        missing = ", ".join(name for name, end in zip(("from", "to", "levels"), ends, strict=True) if end is None)
        raise InputError(f"{where}: has no {missing}. Give strengths = [...], or from, to and levels.")
    found = rule.strengths if rule.strengths is not None else _spaced(where, *ends, rule.spacing, whole)
    if not FEWEST <= len(found) <= MOST:
        number = f"{len(found):,} strength{'s' * (len(found) != 1)}"
        raise InputError(f"{where}: has {number}. Give {FEWEST} to {MOST:,}, the weakest first.")
    if not all(map(math.isfinite, found)):
        raise InputError(f"{where}: has a strength that is not a finite number. Correct it.")
    steps = [after - before for before, after in itertools.pairwise(found)]
    wrong = next((place for place, step in enumerate(steps) if step * steps[0] <= 0), None)
    if wrong is not None:
        one, next_one = found[wrong], found[wrong + 1]
        if rule.strengths is None:
            raise InputError(
                f"{where}: {rule.levels} levels do not fit between {ends[0]:g} and {ends[1]:g}: two of them are "
                f"{one:g}. Give fewer levels, or two ends further apart."
            )
        turn = f"turns at level {wrong + 1}, from {one:g} to {next_one:g}" if one != next_one else f"has {one:g} twice"
        raise InputError(f"{where}: {turn}. Strengths rise or fall all the way, from the weakest to the strongest.")
    return tuple(float(strength) for strength in found)


def of_text(text: str) -> tuple[str, Given]:
    """Return the distortion and the ladder that a text of the command line gives.

    Args:
        text: "blur=1,2,4,8", or "blur=0.5..16x20" for 20 levels from 0.5 to 16; ":geometric" behind it for steps by
            one factor.

    Raises:
        InputError: it is none of these.
    """
    name, _, rule = text.partition("=")
    found = _TEXT.fullmatch(rule.strip())
    try:
        if found is None:
            return name.strip(), tuple(float(one) for one in rule.split(","))
        first, last, levels, spacing = found.groups("linear")
        if spacing not in SPACINGS:
            raise ValueError
        return name.strip(), {"from": float(first), "to": float(last), "levels": int(levels), "spacing": spacing}
    except ValueError:
        raise InputError(
            f"--ladder cannot be {text!r:.80}. Give blur=1,2,4,8, or blur=0.5..16x20 (20 levels from 0.5 to 16), or "
            "blur=0.5..16x20:geometric."
        ) from None


def check_file(path: Path, entries: Any) -> None:
    """Raise `InputError`, with file and line, where a ladder of a study file cannot be used.

    What only a plug-in of the study knows is checked when the study is planned.

    Args:
        path: the study file.
        entries: its `ladders`.
    """
    if not isinstance(entries, dict):
        return
    for name, given in entries.items():
        try:
            kind = registry.every("distortion").get(name)
            if isinstance(given, list | dict):
                strengths(f"ladders.{name}", given) if kind is None else replaced(kind, {name: given})
            else:
                raise InputError(f"ladders.{name} cannot be {given!r:.60}. Give a list of strengths, or a table.")
        except (InputError, TypeError) as error:
            raise InputError(f"{path}{line_of(path, 'ladders', name)}: {error}") from None


def line_of(path: Path, table: str, name: str) -> str:
    """Return " line N" for where a study file has an entry of a table, "" where that cannot be told.

    Args:
        path: the study file.
        table: the table's name ("ladders").
        name: of the entry.
    """
    quoted = rf"""["']?{re.escape(name)}["']?"""
    entry = re.compile(
        rf"\s*(\[\s*{table}\s*\.\s*{quoted}\s*\]|({table}\s*\.\s*)?{quoted}\s*[.=]|{table}\s*=.*{quoted})"
    )
    within = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        found = entry.match(line)
        if found and (within or table in found[0]):
            return f" line {number}"
        if line.lstrip().startswith("["):
            within = bool(re.match(rf"\s*\[\s*{table}\s*\]", line))
    return ""


def _spaced(where: str, first: float, last: float, levels: int, spacing: str, whole: bool) -> tuple[float, ...]:
    """Return so many strengths from one to another, to 12 digits, so that every processor has the same."""
    if spacing == "geometric" and first * last <= 0:
        raise InputError(
            f"{where}: cannot go from {first:g} to {last:g} by one factor. Give two ends of one sign, neither of them "
            '0, or spacing = "linear".'
        )
    along = [place / (levels - 1) for place in range(levels)]
    if spacing == "geometric":
        spaced = [first * (last / first) ** share for share in along]
    else:
        spaced = [first + (last - first) * share for share in along]
    spaced[-1] = last
    return tuple(float(np.rint(one)) if whole else float(f"{one:.12g}") for one in spaced)
