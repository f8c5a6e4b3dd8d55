"""Which models an endpoint offers: for the message over one that it does not know, and to tell models apart."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

MOST = 8  # names in a message
LONGEST = 80  # characters of a name
TELLING = ("root", "parent", "revision", "fingerprint", "sha", "digest")  # fields of an entry that tell models apart
_SIZES = ("n_params", "n_embd", "n_vocab", "size")  # the same in "meta", as llama.cpp has it


def read(data: bytes) -> tuple[str, ...]:
    """Return the names in a reply of `GET /models`; none where it is not such a one.

    Args:
        data: its body.
    """
    names = [_name(entry) for entry in _entries(data)]
    return tuple(name for name in names if isinstance(name, str) and 0 < len(name) <= LONGEST and name.isprintable())


def identity(model: str, data: bytes) -> dict[str, str] | None:
    """Return what a reply of `GET /models` says of which model answers; None where it does not say.

    That is the entry of the name that is asked for, or the only one: some servers answer to any name.

    Args:
        model: the name that is asked for.
        data: the reply's body.

    Returns:
        Its "model", and those of `TELLING` that the server says. Of a path the last part: servers may keep one model
        in different folders.
    """
    entries = _entries(data)
    ours = [entry for entry in entries if _name(entry) == model] or (entries if len(entries) == 1 else [])
    if not ours or not isinstance(_name(ours[0]), str):
        return None
    entry = ours[0] if isinstance(ours[0], Mapping) else {}
    said: dict[str, Any] = {"model": _name(ours[0]), **{name: entry.get(name) for name in TELLING}}
    meta = entry.get("meta")
    said |= {name: meta.get(name) for name in _SIZES} if isinstance(meta, Mapping) else {}
    return {name: _bare(str(value)) for name, value in said.items() if isinstance(value, str | int) and value}


def difference(one: Mapping[str, str] | None, other: Mapping[str, str] | None) -> tuple[str, str, str] | None:
    """Return the first field in which two models differ, with what each says; None where nothing tells them apart.

    Args:
        one: as `identity` gives it.
        other: likewise.
    """
    if one is None or other is None:
        return None
    both = (name for name in one if name in other)
    return next(((name, one[name], other[name]) for name in both if not _alike(one[name], other[name])), None)


def _alike(one: str, other: str) -> bool:
    """Say whether two names may be one model's: a folder is called as the end of Qwen/Qwen2-VL."""
    return one == other or one.endswith(f"/{other}") or other.endswith(f"/{one}")


def _entries(data: bytes) -> list[Any]:
    try:
        content: Any = orjson.loads(data)
    except orjson.JSONDecodeError:
        return []
    entries = content.get("data", content.get("models")) if isinstance(content, dict) else content
    return entries if isinstance(entries, list) else []


def _name(entry: Any) -> Any:
    return entry.get("id", entry.get("name")) if isinstance(entry, dict) else entry


def _bare(text: str) -> str:
    """Return the last part of an absolute path, else the text; short, and on one line."""
    path = re.fullmatch(r"(?:~?/|[A-Za-z]:[/\\]).*?([^/\\]+)[/\\]*", text)
    return " ".join((path[1] if path else text)[:LONGEST].split())


def sentence(model: str, names: Sequence[str]) -> str:
    """Return what an endpoint offers, the names nearest to `model` first; "" where nothing is known.

    Args:
        model: the name that it does not know.
        names: those it says.
    """
    if not names:
        return ""

    def likeness(name: str) -> float:
        return difflib.SequenceMatcher(None, model.lower(), name.lower()).ratio()

    near = sorted(dict.fromkeys(names), key=likeness, reverse=True)
    more = f", and {len(near) - MOST} more" if len(near) > MOST else ""
    return f" It offers {', '.join(near[:MOST])}{more}."
