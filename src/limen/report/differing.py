"""In what a bundle differs from what is worked out from it: named by answer, series, digest and number."""

import functools
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from limen.report.format import clean
from limen.store import Store
from limen.store import bundle as container
from limen.store.bundle import RowFault

CLOSE = 1e-6  # relative: what other versions of SciPy move a fitted number by
_NAMES = ("run", "name", "observer", "observers", "question", "distortion", "order", "category", "rho", "map", "level")
_NEVER = (("limen",),)  # entries of results that say what they were made with


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as a bundle says.

    Attributes:
        what: "answer", "row", "digest", "verdict", "threshold", "number", "stimulus", "file", ...
        where: which, in words.
        stored: what the bundle says; "" for nothing.
        found: what is there, or was worked out; "" for nothing.
    """

    what: str
    where: str
    stored: Any
    found: Any

    def __str__(self) -> str:
        if self.what == "report":
            return f"The report {self.where}: {self.found}"
        if self.what == "run":
            return clean(f"{self.where} is {self.found}", 400)
        told = [
            f"{word} {_short(value)}"
            for word, value in (("stored", self.stored), (_word(self.what), self.found))
            if value != ""
        ]
        return clean(f"{self.what} {self.where}: {', '.join(told)}", 400)


_FOLLOW = ("sentence", "threshold", "status", "why", "verdict", "exam", "number")  # what is worked out, as it is told


def told(differences: Iterable[Difference]) -> list[Difference]:
    """Return differences in the order in which they are told: what was changed, then what follows, numbers last."""
    return sorted(differences, key=lambda one: _FOLLOW.index(one.what) if one.what in _FOLLOW else -1)


def summary(differences: Sequence[Difference]) -> str:
    """Return in a few words whether a bundle holds: what was changed in it, and how much of what follows differs."""
    if not differences:
        return "holds."
    if any(one.what == "run" for one in differences):
        return "was not made from the run that it is compared with."
    made, follow = Counter[tuple[str, str]](), Counter[str]()
    for one in differences:
        if one.what in _FOLLOW:
            follow["series" if one.what in ("status", "why") else one.what] += 1
        else:
            made[one.what, _done(one)] += 1
    changed = ", ".join(f"{_count(n, what)}{how}" for (what, how), n in made.items())
    rest = [
        _count(follow[what], what) for what in dict.fromkeys((*_FOLLOW[:2], "series", *_FOLLOW[4:])) if follow[what]
    ]
    if not rest:
        return f"does not hold: {changed}."
    listed = " and ".join(filter(None, (", ".join(rest[:-1]), rest[-1])))
    alone = sum(follow.values()) == 1
    if not changed:
        return f"does not hold: {listed} {'does' if alone else 'do'} not follow from its answers."
    return f"does not hold: {changed}; {listed} that {'follows differs' if alone else 'follow differ'}."


def _done(one: Difference) -> str:
    if one.what == "report":
        return ""
    if str(one.found).startswith("missing") or str(one.found).startswith("not in "):
        return " missing" if one.found == "missing" else " not in the run"
    return " added" if one.stored == "not there" else " edited" if one.what != "stimulus" else " drawn otherwise"


def _count(n: int, what: str) -> str:
    if what == "report":
        return "its report cannot be worked out"
    words = {"manifest": ("entry of the manifest", "entries of the manifest"), "stimulus": ("stimulus", "stimuli")}
    words["series"] = ("series", "series")
    singular, plural = words.get(what, (what, f"{what}s"))
    return f"{n:,} {singular if n == 1 else plural}"


def _word(what: str) -> str:
    return "recomputed" if what in ("number", "verdict", "threshold", "exam", "sentence", "stimulus") else "found"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= 160 else f"{text[:157]}..."


# --- rows ---


class Namer:
    """Says in words which row is meant, from what a run holds."""

    def __init__(self, store: Store) -> None:
        self._store, self._series = store, {row.id: row for row in store.series()}

    @functools.cached_property
    def _trials(self) -> dict[str, tuple[str, str, str, int, int, int]]:
        found: dict[str, tuple[str, str, str, int, int, int]] = {}
        for one in self._store.trials():  # of several questions with one answer, the first
            found.setdefault(one.key, (one.observer, one.question, one.series, one.reference, one.level, one.draw))
        return found

    def asked(self, observer: str, question: str, series: str, reference: int, level: int, draw: int) -> str:
        """Return who was asked what: observer, question, distortion, reference, levels, draw.

        Args:
            observer: by name.
            question: by name.
            series: its digest.
            reference: level of the reference.
            level: of the stimulus.
            draw: number of the draw.
        """
        row = self._series.get(series)
        of = f"{row.distortion}, {row.name}" if row else f"series {series}"
        return f"{observer}, {question}, {of}, reference level {reference}, level {level}, draw {draw}"

    def answer(self, key: str) -> str:
        """Return an answer's key with what it answers."""
        asked = self._trials.get(key)
        return f"{key} ({self.asked(*asked) if asked else 'no question has this key'})"

    def row(self, table: str, line: bytes, key: str = "") -> str:
        """Return which row a line is, or was.

        Args:
            table: by name.
            line: as it stands there; b"" where it is missing.
            key: of an answer, where it is known otherwise.
        """
        row = container.row_of(table, line)
        if table == "answer":
            return self.answer(key or (str(row[0]) if row else ""))
        if row is None:
            return f"of {table}"
        if table == "query":
            return f"of query ({self.asked(*row[:6])})"
        if table == "series":
            return f"of series ({row[1]}, {row[3]})"
        if table == "attempt":
            series = self._series.get(str(row[2]))
            of = f", {series.distortion}, {series.name}" if series else ""
            return f"of attempt ({row[1]}{of}, number {row[0]}, answer {row[3] or 'none'})"
        return f"of {table} ({', '.join(str(cell) for cell in row[:2])})"


def rows(faults: Sequence[RowFault], stores: Sequence[Store]) -> Iterator[Difference]:
    """Yield what rows are not those that were bundled.

    Args:
        faults: of all runs.
        stores: of all runs, as far as their rows can be read.
    """
    named = {number: Namer(stores[number - 1]) for number in {fault.run for fault in faults}}
    for fault in faults:
        namer = named[fault.run]
        what = "answer" if fault.table == "answer" else "row"
        place = f" (line {fault.place:,} of {fault.table}.jsonl)" if fault.place else ""
        stored, found = (f"digest {one}" if one else "" for one in (fault.stored, fault.found))
        which = f"{namer.row(fault.table, fault.line, fault.key)}{place}"
        if fault.what == "changed":
            yield Difference(what, which, stored, found or "no row")
        elif fault.what == "missing":
            yield Difference(what, which, stored, "missing")
        elif fault.what == "added":
            yield Difference(what, which, "not there", found)
        elif fault.what == "twice":
            yield Difference(what, which, "once", "twice")
        elif fault.what == "count":
            yield Difference("table", fault.table, f"{fault.stored} rows", f"{fault.found} rows")
        elif fault.what == "order":
            yield Difference("table", fault.table, "rows in order", "the same rows in another order")
        elif fault.line:
            yield Difference("digest", f"of {what} {which}", fault.stored or "none", fault.found)
        else:
            told = "another than in bundle.json, with every row as in digests.txt"
            yield Difference("digest", f"of the table {fault.table}", "", told)


def sets(
    table: str, alone: tuple[Collection[bytes], Collection[bytes]], rebuilt: Store, run: Store, name: str
) -> Iterator[Difference]:
    """Yield the rows that a bundle and a run do not share.

    Args:
        table: by name.
        alone: lines of the bundle alone, and of the run alone.
        rebuilt: run made of the bundle.
        run: that it is compared with.
        name: of the run.
    """
    what = "answer" if table == "answer" else "row"
    theirs, ours = Namer(rebuilt), Namer(run)
    for line in sorted(alone[0]):
        yield Difference(what, theirs.row(table, line), f"digest {container.digest_of(line)}", f"not in {name}")
    for line in sorted(alone[1]):
        yield Difference(what, ours.row(table, line), "not there", f"digest {container.digest_of(line)} in {name}")


# --- verdicts and thresholds ---


def verdicts(stored: Iterable[bytes], recomputed: Iterable[bytes], store: Store) -> Iterator[Difference]:
    """Yield the verdicts, thresholds and exams that are read otherwise than a bundle says.

    Args:
        stored: lines of the bundle.
        recomputed: lines made from its answers.
        store: of the run.
    """
    then, now = _by_name(stored), _by_name(recomputed)
    if then == now:
        return
    namer = Namer(store)
    for name in dict.fromkeys((*then, *now)):
        was, is_now = then.get(name), now.get(name)
        if was == is_now:
            continue
        where = f"of {name[1]}" if name[0] == "exam" else _series(namer, name)
        if was is None or is_now is None:
            yield Difference(name[0], where, "none" if was is None else "there", "none" if is_now is None else "there")
            continue
        for entry in dict.fromkeys((*was, *is_now)):
            if was.get(entry) == is_now.get(entry):
                continue
            if entry == "verdicts":
                yield from _differing(namer, name, was.get(entry), is_now.get(entry))
            else:
                kind = "exam" if name[0] == "exam" else "threshold" if entry in ("thresholds", "estimates") else entry
                which = f"{where}, {entry}" if kind == "exam" else f"of {where}"
                yield Difference(kind, which, _brief(was.get(entry)), _brief(is_now.get(entry)))


def _series(namer: Namer, name: tuple[str, ...]) -> str:
    return namer.asked(name[1], name[2], name[3], 0, 0, 0).rpartition(", reference level")[0]


def _by_name(lines: Iterable[bytes]) -> dict[tuple[str, ...], Mapping[str, Any]]:
    found: dict[tuple[str, ...], Mapping[str, Any]] = {}
    for i, line in enumerate(lines):
        try:
            one = orjson.loads(line)
        except orjson.JSONDecodeError:
            one = None
        if not isinstance(one, dict):
            found["line", f"{i + 1}", "", ""] = {"text": line[:80].decode(errors="replace")}
        elif "exam" in one:
            found["exam", str(one["exam"])] = one
        else:
            found["series", *(str(one.get(entry, "")) for entry in ("observer", "question", "series"))] = one
    return found


def _differing(namer: Namer, name: tuple[str, ...], was: Any, now: Any) -> Iterator[Difference]:
    then, again = _read(was), _read(now)
    for probe in dict.fromkeys((*then, *again)):
        if then.get(probe) != again.get(probe):
            where = f"on {namer.asked(name[1], name[2], name[3], *probe)}"
            yield Difference("verdict", where, then.get(probe, "none"), again.get(probe, "none"))


def _read(said: Any) -> dict[tuple[int, int, int], str]:
    found = {}
    for one in said if isinstance(said, list) else ():
        if isinstance(one, list) and len(one) == 5 and all(isinstance(place, int) for place in one[:3]):
            found[one[0], one[1], one[2]] = " ".join(filter(None, map(str, one[3:])))
    return found


def _brief(found: Any) -> Any:
    """Return thresholds in few words: levels, with > for one that was not reached."""
    if not isinstance(found, list) or not all(isinstance(one, dict) and "level" in one for one in found):
        return found
    return f"level {', '.join(_level(one) for one in found)}" if found else "none"


def _level(one: Mapping[str, Any]) -> str:
    marks = [word for word, told in (("unconfirmed", one.get("confirmed", True) is False),) if told]
    return " ".join([f"{'>' if one.get('censored') else ''}{one['level']}", *marks])


# --- numbers ---


Keys = tuple[str, ...]


def numbers(
    stored: Any, found: Any, left: Collection[Keys] = (), path: str = "", keys: Keys = (), exact: bool = False
) -> Iterator[Difference]:
    """Yield the numbers and words of a report that are not those that a bundle says.

    Numbers with a fraction may differ by a millionth: libraries of other versions round otherwise.

    Args:
        stored: of the bundle, plain data.
        found: worked out anew.
        left: entries that are not compared, by their names from the top, without those of rows.
        path: of the entry, in words.
        keys: of the entry, as `left` has them.
        exact: whether numbers with a fraction must be the same, too.
    """
    if isinstance(stored, Mapping) and isinstance(found, Mapping):
        for name in dict.fromkeys((*stored, *found)):
            if (within := (*keys, name)) in left or within in _NEVER:
                continue
            where = f"{path}: {name}" if path.endswith("]") else f"{path}.{name}" if path else str(name)
            if name not in stored or name not in found:
                yield Difference("number", where, *(side.get(name, "none") for side in (stored, found)))
            else:
                yield from numbers(stored[name], found[name], left, where, within, exact)
    elif isinstance(stored, list) and isinstance(found, list):
        if len(stored) != len(found):
            yield Difference("number", f"of rows of {path}", len(stored), len(found))
        for at, (one, other) in enumerate(zip(stored, found, strict=False)):
            yield from numbers(one, other, left, f"{path}[{_label(other, at)}]", keys, exact)
    elif stored != found if exact else not _same(stored, found):
        yield Difference("number", path, stored, found)


def _same(stored: Any, found: Any) -> bool:
    if isinstance(stored, float) or isinstance(found, float):
        numeric = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (stored, found))
        return numeric and math.isclose(stored, found, rel_tol=CLOSE, abs_tol=1e-12)
    return type(stored) is type(found) and bool(stored == found)


def _label(row: Any, at: int) -> str:
    if not isinstance(row, Mapping):
        return f"{at}"
    words = []
    for name in _NAMES:
        value = row.get(name)
        if isinstance(value, str | list) and value:
            words.append(_short(value))
        elif isinstance(value, int | float):
            words.append(f"{name} {value}")
    return ", ".join(words) or f"{at}"


def number_of(found: Any) -> int:
    """Return how many numbers plain data hold."""
    if isinstance(found, Mapping):
        return sum(map(number_of, found.values()))
    if isinstance(found, list):
        return sum(map(number_of, found))
    return int(isinstance(found, int | float) and not isinstance(found, bool))


def left_out(found: Any, left: Collection[Keys], keys: Keys = ()) -> int:
    """Return how many numbers are not compared.

    Args:
        found: plain data.
        left: entries, as `numbers` takes them.
        keys: of what is given.
    """
    if isinstance(found, Mapping):
        return sum(
            number_of(one) if (*keys, name) in left else left_out(one, left, (*keys, name))
            for name, one in found.items()
        )
    return sum(left_out(one, left, keys) for one in found) if isinstance(found, list) else 0
