"""What a run's manifest says: with what it was measured, so that two studies are never mixed in one directory."""

import datetime
import platform
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import orjson

import limen
from limen import digest
from limen.distortion import Distortion
from limen.errors import StoreError
from limen.observer import Observer
from limen.parsing.yes_no import READER_VERSION
from limen.procedure import Method
from limen.question import Question
from limen.source import Source
from limen.stimulus import Series
from limen.store import entries
from limen.study import drawing, shard
from limen.study.drawing import versions

MOST = 4  # fields that a message names
DIGESTS = ("ladder", "digest")  # fields that follow from those beside them
FEW = 6  # entries of a list that it shows
_NOTHING = object()

__all__ = ["aim", "describe", "git_revision", "merged", "same", "versions"]


def describe(
    procedure: str,
    method: Method,
    seed: int,
    kinds: Iterable[Distortion],
    questions: Iterable[Question],
    sources: Iterable[Source] = (),
) -> dict[str, Any]:
    """Return the manifest of a new run; observers enter theirs when they begin.

    Args:
        procedure: by name.
        method: the procedure with its settings.
        seed: of the study, any int of 64 bits.
        kinds: the distortions.
        questions: the questions.
        sources: where the references come from.
    """
    kinds = list(kinds)
    settings: dict[str, Any] = orjson.loads(msgspec.json.encode(method))
    return {
        "limen": limen.__version__,
        "git": git_revision(),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()} | drawing.libraries(kinds),
        "reader": READER_VERSION,
        "procedure": {"name": procedure, **settings},
        "seed": seed,
        "distortions": {kind.name: _ladder(kind) for kind in sorted(kinds, key=lambda kind: kind.name)},
        "questions": {question.name: _wording(question) for question in questions},
        "sources": {source.name: {"licence": source.licence, "where": source.where} for source in sources},
        "observers": {},
    }


def aim(observers: Iterable[Observer], questions: Iterable[Question], series: Sequence[Series]) -> dict[str, Any]:
    """Return what a session sets out to measure, as the manifest says it (`limen.store.entries.AimEntry`).

    Args:
        observers: all that will be asked.
        questions: that each of them is asked.
        series: that each question is put for.
    """
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    return {
        "at": f"{now.isoformat(timespec='seconds')}Z",
        "observers": [observer.name for observer in observers],
        "questions": [question.name for question in questions],
        "series": len(series),
    }


def merged(path: Path, there: Mapping[str, Any], mine: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of the manifest `there` with the distortions, questions and sources that `mine` adds.

    The reader becomes that of `mine`: every answer is read again, and it steers what is still to be asked.

    Args:
        path: the run directory, for messages.
        there: its manifest.
        mine: the manifest of the study that goes on, as `describe` makes it.

    Raises:
        StoreError: the directory holds another study, naming the fields that differ; or its manifest is not as
            limen writes it.
    """
    entries.check(path, dict(there))
    for entry in ("procedure", "seed"):
        same(path, entry, there[entry], mine[entry])
    same(path, "max_side", there.get("max_side", 0), mine.get("max_side", 0))
    changed = {"reader": mine["reader"]} | shard.going_on(path, there, mine)
    for entry in ("distortions", "questions", "sources"):
        changed[entry] = dict(there[entry])
        for name, content in mine[entry].items():
            same(path, f"{entry[:-1]} {name}", changed[entry].setdefault(name, content), content)
    return changed


def same(path: Path, what: str, there: object, given: object) -> None:
    """Raise `StoreError`, with the fields that differ, unless what the run was begun with is what is given now.

    Args:
        path: the run directory, for messages.
        what: the entry, for messages.
        there: what the run was begun with.
        given: what is given now.
    """
    if told := differing(what, there, given, "was", "there", "now"):
        raise StoreError(f"{path} holds another study: {told}. Give another --out.")


def differing(what: str, one: object, other: object, verb: str, here: str, there: str) -> str:
    """Return the fields that differ with both values, in clauses; "" where none does.

    A digest is named only where nothing that a person can read says the same.

    Args:
        what: the entry.
        one: what it is in the first manifest.
        other: what it is in the second.
        verb: between a field and its first value, "is" or "was".
        here: where the first stands, put behind its value.
        there: where the second stands.
    """
    found = list(_differing(what, one, other)) if one != other else []
    plain = [of for of in found if of[0].rpartition(".")[2] not in DIGESTS]
    fields = [
        f"{field} {verb} {_short(mine)} {here} and is {_short(others)} {there}"
        for field, mine, others in plain or found
    ]
    more = f"; and {len(fields) - MOST} fields more" if len(fields) > MOST else ""
    return f"{'; '.join(fields[:MOST])}{more}"


def _differing(what: str, there: object, given: object) -> Iterator[tuple[str, object, object]]:
    """Yield each field that differs, by its path, with both values."""
    if isinstance(there, Mapping) and isinstance(given, Mapping):
        for name in dict.fromkeys((*there, *given)):
            if there.get(name, _NOTHING) != given.get(name, _NOTHING):
                yield from _differing(f"{what}.{name}", there.get(name, _NOTHING), given.get(name, _NOTHING))
    else:
        yield what, there, given


def _ladder(kind: Distortion) -> dict[str, Any]:
    ladder = kind.ladder
    about = {"version": kind.version, "word": kind.word, "unit": ladder.unit, "ladder": ladder.digest}
    return about | {"strengths": list(ladder.strengths)} | ({"outside": kind.outside} if kind.outside else {})


def _wording(question: Question) -> dict[str, Any]:
    about = {} if question.identity else {"about": question.about}
    return {"digest": question.digest, "order": question.order.value, "text": question.text} | about


def git_revision() -> str | None:
    """Return the commit limen runs from, where this very file is tracked by one."""
    here = Path(__file__)
    try:
        for command in (["ls-files", "--error-unmatch", here.name], ["rev-parse", "HEAD"]):
            call = ["git", "-C", str(here.parent), *command]
            result = subprocess.run(call, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()


def _short(content: object) -> str:
    """Return a value as a message shows it: of a long list its ends."""
    if content is _NOTHING:
        return "not set"
    if isinstance(content, list | tuple) and len(content) > FEW:
        return f"{len(content)} values from {_short(content[0])} to {_short(content[-1])}"
    text = digest.canonical(content).decode()
    return text if len(text) <= 120 else f"{text[:80]}... (digest {digest.of(content)[:8]})"
