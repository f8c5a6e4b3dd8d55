"""How long a server asks to wait: in headers, in fields and in words, as seconds, spans or dates."""

import datetime
import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_UNIT = r"(?:milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)(?![a-z])"
_SPAN = rf"(?:\d{{1,9}}(?:\.\d{{1,9}})?\s?{_UNIT}[\s,]{{0,2}}(?:and\s)?){{1,5}}"
_IN_WORDS = re.compile(rf"(?:again|retry|wait|reset)\w{{0,5}}\s(?:\w+\s){{0,3}}({_SPAN})")
_NAMES = {"retrydelay": 1.0, "retry_after": 1.0, "retryafter": 1.0, "retry-after": 1.0, "retry_after_seconds": 1.0}
_NAMES |= {"retry_after_ms": 0.001, "retry_in": 1.0, "reset_after": 1.0, "wait_seconds": 1.0}
_LAST = 366 * 86400.0  # seconds; more is no wait but a mistake


def asked(headers: Mapping[str, str], told: float | None = None) -> float | None:
    """Return the seconds a server asks to wait: in its headers (as seconds, span or date), else those its body told."""
    for name, unit in (("retry-after-ms", 0.001), ("Retry-After", 1.0)):
        if (seconds := _seconds(headers.get(name, ""), unit)) is not None:
            return seconds
    if told is not None:
        return told
    resets = []
    for name, text in headers.items():
        if (low := name.lower()).startswith(("x-ratelimit-reset", "ratelimit-reset")) or (
            low.startswith("anthropic-ratelimit-") and low.endswith("-reset")
        ):
            left = headers.get(low.replace("reset", "remaining"), "0").strip()
            if (seconds := _seconds(text, 1.0)) is not None and left == "0":
                resets.append(seconds)
    return max(resets, default=None)


def _seconds(text: str, unit: float) -> float | None:
    """Return seconds from now, of a number, a span ("6m0s"), a time since 1970 or a date."""
    text = text.strip()
    if (span := _span(text.lower())) is not None:
        return span
    try:
        number = float(text) * unit
        if number > 1e9:  # since 1970, in seconds or thousandths
            number = (number / 1000 if number > 1e11 else number) - time.time()
    except ValueError:
        try:
            number = _date(text).timestamp() - time.time()
        except (ValueError, OverflowError, OSError):
            return None
    return max(0.0, number) if math.isfinite(number) else None


def _date(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text) if text[:4].isdigit() else parsedate_to_datetime(text)


def _span(text: str) -> float | None:
    if not re.fullmatch(_SPAN, text):
        return None
    parts = re.findall(rf"(\d+(?:\.\d+)?)\s?({_UNIT})", text)
    total = sum(float(number) * _UNITS["ms" if unit.startswith(("ms", "milli")) else unit[0]] for number, unit in parts)
    return min(total, _LAST)


def in_words(whole: str) -> float | None:
    """Return the seconds that words ask to wait ("try again in 1h2m3.5s")."""
    found = _IN_WORDS.search(whole)
    return _span(found[1].strip(" ,").removesuffix(" and")) if found else None


def named(name: str, said: object) -> float | None:
    """Return the seconds that a field asks to wait ("retryDelay": "3s")."""
    if name not in _NAMES or isinstance(said, bool) or not isinstance(said, str | int | float):
        return None
    return _seconds(str(said), _NAMES[name])


def spoken(seconds: float | None) -> str:
    """Return a wait as people say it."""
    for name, unit in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if (seconds or 0) >= 2 * unit:
            return f"{(seconds or 0) / unit:.0f} {name}"
    return f"{seconds or 0:.0f} s"
