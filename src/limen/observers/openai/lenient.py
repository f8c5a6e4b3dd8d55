"""JSON as servers write it: NaN, halves of surrogate pairs, bytes that are no UTF-8, numbers no computer holds.

A strict reader comes first and is what nearly every reply meets; what it refuses is brought into strict JSON here,
in bounded time, so that a paid answer is not lost for a number beside it.
"""

import json
import math
import re
from typing import Any

import orjson

MOST = 4 * 2**20  # bytes repaired: a chat completion of 4,096 tokens with 20 candidates each has 5 MB, usual ones 50 kB
DEEPEST = 60  # levels of nesting kept; what lies below becomes null
_PIECES = re.compile(r'"(?:[^"\\]+|\\.)*+"?|[+-]?\b(?:nan|inf(?:inity)?)\b|[\[\]{}]', re.IGNORECASE | re.DOTALL)


def parse(data: bytes) -> Any:
    """Return the value of strict JSON, or of JSON that `repaired` can mend.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return orjson.loads(repaired(data))


def repaired(data: bytes) -> bytes:
    """Return `data` as strict JSON.

    Numbers that are none (NaN, Infinity) or that no double holds become null, lone surrogates and bytes that are no
    UTF-8 become U+FFFD, line breaks inside texts are kept, and what is nested too deeply becomes null.

    Raises:
        ValueError: it is no JSON, or too long to be mended.
    """
    if len(data) > MOST:
        raise ValueError(f"not JSON, and with {len(data):,} bytes too long to be mended")
    text = data.decode(json.detect_encoding(data), errors="replace").removeprefix("\ufeff")
    if text.lstrip()[:1] not in ("{", "["):
        raise ValueError("no JSON object")
    value = json.loads(_shallow(text), strict=False, parse_int=_whole, parse_float=_finite)
    whole = json.dumps(value, ensure_ascii=False)
    return whole.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def _shallow(text: str) -> str:
    """Return `text` with null for words that stand for no number, and for whatever is nested too deeply."""
    kept, depth, start = [], 0, 0
    for piece in _PIECES.finditer(text):
        sign = piece[0]
        if sign[0] == '"':
            continue
        if sign in "[{":
            depth += 1
            if depth == DEEPEST + 1:
                kept.append(text[start : piece.start()])
        elif sign in "]}":
            if depth == DEEPEST + 1:
                kept.append("null")
                start = piece.end()
            depth -= 1
        elif depth <= DEEPEST:
            kept += [text[start : piece.start()], "null"]
            start = piece.end()
    return "".join([*kept, text[start:]]) if depth <= DEEPEST else text[:0]


def _whole(digits: str) -> int | float | None:
    return int(digits) if len(digits) < 19 else _finite(digits)


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None
