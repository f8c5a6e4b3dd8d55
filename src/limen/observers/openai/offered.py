"""Which models an endpoint offers, for the message over one that it does not know."""

import difflib
from collections.abc import Sequence
from typing import Any

import orjson

MOST = 8  # names in a message
LONGEST = 80  # characters of a name


def read(data: bytes) -> tuple[str, ...]:
    """Return the names in a reply of `GET /models`; none where it is not such a one.

    Args:
        data: its body.
    """
    try:
        content: Any = orjson.loads(data)
    except orjson.JSONDecodeError:
        return ()
    entries = content.get("data", content.get("models")) if isinstance(content, dict) else content
    if not isinstance(entries, list):
        return ()
    names = [entry.get("id", entry.get("name")) if isinstance(entry, dict) else entry for entry in entries]
    return tuple(name for name in names if isinstance(name, str) and 0 < len(name) <= LONGEST and name.isprintable())


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
