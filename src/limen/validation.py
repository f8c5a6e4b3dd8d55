"""What a validation error means, in plain sentences: where it is, what was given there, what would be right."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

LONGEST = 60  # characters of what was given
_MSGSPECS = re.compile(r"Expected |Invalid |Object |Not finite|[\w ]*out of range")
_STEP = re.compile(r"\.(\w+)|\[(\d+|\.\.\.)\]")
_MISSING = re.compile(r"missing required field `(\w+)`")
_UNKNOWN = re.compile(r"contains unknown field `(.+)`$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ValidationFault:
    """One thing that is wrong with what was given.

    Attributes:
        place: where, as "images[1]"; "" for all of it.
        what: the end of a sentence that begins with the place: "cannot be '3'", "is missing".
        remedy: what would be right, a sentence.
    """

    place: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place or 'it'} {self.what}. {self.remedy}"


def fault(error: msgspec.ValidationError | str, given: Any, kind: Any, strict: bool = True) -> ValidationFault:
    """Return what a validation error of msgspec means.

    Args:
        error: as it was raised by `msgspec.convert(given, kind, strict=strict)`, or its text.
        given: plain data.
        kind: the type it should have been.
        strict: as it was there.
    """
    text = str(error)
    said, _, path = text.partition(" - at `$")
    said, _, of_key = said.partition(" - at `key` in `$") if not path else (said, "", "")
    steps = _steps(of_key or path, given, kind, strict)
    value, wanted = given, msgspec.inspect.type_info(kind)
    for step in steps:
        value, wanted = value[step], _inside(wanted, step)
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")
    if of_key:
        return ValidationFault(place, f"has a key that is no text, in {shown(value)}", "Give texts as its keys.")
    if missing := _MISSING.search(said):
        field = f"{place}.{missing[1]}".removeprefix(".")
        what = next((words(one.type) for one in getattr(wanted, "fields", ()) if one.name == missing[1]), "a value")
        return ValidationFault(field, "was not given", f"Give {what}.")
    if unknown := _UNKNOWN.search(said):
        known = [one.encode_name for one in getattr(wanted, "fields", ())]
        near = difflib.get_close_matches(unknown[1], known, n=1, cutoff=0.5)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        return ValidationFault(place, f"has no entry {unknown[1]!r}", f"{hint}Known: {', '.join(known) or 'none'}.")
    if isinstance(value, str) and _is_list(wanted):
        return ValidationFault(place, f"is a text: {shown(value)}", f"Give a list: [{shown(value)}].")
    own = "" if _MSGSPECS.match(said) else f": {said.rstrip('.')}"  # what a type of limen's says of its values
    return ValidationFault(place, f"cannot be {shown(value)}{own}", f"Give {words(wanted)}.")


def _steps(path: str, given: Any, kind: Any, strict: bool) -> list[str | int]:
    """Return a path of msgspec's as keys and numbers, as far as there is something there.

    It does not say at which key of a table a value is wrong: the first one that is refused alone.
    """
    steps: list[str | int] = []
    value, wanted = given, msgspec.inspect.type_info(kind)
    for name, number in _STEP.findall(path):
        step: str | int | None = name or (int(number) if number.isdecimal() else None)
        if step is None and isinstance(value, Mapping):
            step = next((key for key in value if _refused(_only(given, steps, key), kind, strict)), None)
        inner = None if step is None else _inside(wanted, step)
        there = step in value if isinstance(value, Mapping) else isinstance(value, list | tuple)
        if step is None or inner is None or not there:
            break
        steps.append(step)
        value, wanted = value[step], inner
    return steps


def _only(given: Any, steps: Sequence[str | int], key: str) -> Any:
    """Return plain data in which the table at the end of some steps holds one key alone."""
    if not steps:
        return {key: given[key]}
    inside = _only(given[steps[0]], steps[1:], key)
    if isinstance(given, Mapping):
        return {**given, steps[0]: inside}
    return [inside if place == steps[0] else one for place, one in enumerate(given)]


def _refused(given: Any, kind: Any, strict: bool) -> bool:
    try:
        msgspec.convert(given, kind, strict=strict)
    except msgspec.ValidationError:
        return True
    return False


def _inside(kind: Any, step: str | int) -> Any:
    """Return the type of what lies one step inside, of a union the first that has it; None where none has."""
    of = msgspec.inspect
    for one in kind.types if isinstance(kind, of.UnionType) else (kind,):
        found = None
        if isinstance(one, of.DictType):
            found = one.value_type
        elif isinstance(step, str):
            found = next((field.type for field in getattr(one, "fields", ()) if field.encode_name == step), None)
        elif isinstance(one, of.TupleType):
            found = one.item_types[step]
        else:
            found = getattr(one, "item_type", None)
        if found is not None:
            return found
    return None


def _is_list(kind: msgspec.inspect.Type) -> bool:
    of = msgspec.inspect
    kinds = kind.types if isinstance(kind, of.UnionType) else (kind,)
    single = any(isinstance(one, of.IntType | of.FloatType) for one in kinds)  # one number will do
    return not single and any(isinstance(one, of.VarTupleType | of.ListType) for one in kinds)


def shown(value: Any) -> str:
    """Return what was given, as a message quotes it."""
    text = value if isinstance(value, str) else f"{value!s:.{LONGEST + 1}}"
    return repr(text if len(text) <= LONGEST else f"{text[:40]}...")


def words(kind: msgspec.inspect.Type) -> str:
    """Return in words what a value may be."""
    of = msgspec.inspect
    if isinstance(kind, of.Metadata):
        return str((kind.extra_json_schema or {}).get("description") or words(kind.type))
    if isinstance(kind, of.UnionType):
        return " or ".join(dict.fromkeys(words(one) for one in kind.types if not isinstance(one, of.NoneType)))
    if isinstance(kind, of.IntType | of.FloatType):
        return _number(kind)
    if isinstance(kind, of.BoolType):
        return "true or false"
    if isinstance(kind, of.StrType):
        return f"a text{_length(kind, 'character')}"
    if isinstance(kind, of.LiteralType):
        return "one of " * (len(kind.values) > 1) + ", ".join(str(value) or '""' for value in kind.values)
    if isinstance(kind, of.EnumType):
        return f"one of {', '.join(str(one.value) for one in kind.cls)}"
    if isinstance(kind, of.VarTupleType | of.ListType):
        return f"a list{_length(kind, 'entry', 'entries')}, each of it {words(kind.item_type)}"
    if isinstance(kind, of.TupleType):
        return f"a list of {len(kind.item_types)}: {', '.join(map(words, kind.item_types))}"
    return "a table of keys and values"


def _number(kind: "msgspec.inspect.IntType | msgspec.inspect.FloatType") -> str:
    name = "a whole number" if isinstance(kind, msgspec.inspect.IntType) else "a number"
    if min(-(kind.ge or 0), kind.le or 0) >= 10**18:  # of 63 or 64 bits
        return f"{name} of at most 18 digits"
    up = "to" if kind.ge is not None else "up to"
    form = ",d" if isinstance(kind, msgspec.inspect.IntType) else ",.9g"
    limits = (("from", kind.ge), ("above", kind.gt), (up, kind.le), ("below", kind.lt))
    return " ".join((name, *(f"{word} {limit:{form}}" for word, limit in limits if limit is not None)))


def _length(kind: Any, one: str, more: str = "") -> str:
    """Return " of at least 1 entry", where a type bounds how long it is."""
    more, least, most = more or f"{one}s", kind.min_length, kind.max_length
    if least and most:
        return f" of {least:,} to {most:,} {more}"
    bound = least or most
    return f" of at {'least' if least else 'most'} {bound:,} {one if bound == 1 else more}" if bound else ""
