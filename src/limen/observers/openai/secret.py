"""Secrets that do not show themselves, settings that look like one, and text made fit to be kept."""

import base64
import html
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

LONGEST = 300  # characters of a detail
UNLIKELY = 16  # characters that no word of a setting has in common with a secret by chance
LEAST = 4  # characters of a secret that is looked for at all
SURE = 8  # characters from which a secret is taken out of answers too: "none" and "EMPTY" are words

_KEYLIKE = (
    r"\b(?:sk|rk|pk)[-_][\w-]{16,}|\bAIza[\w-]{30,}|\b(?:hf|gsk|r8|fw|gh[opsu]|github_pat)_\w{20,}"
    r"|\b(?:xai|pplx|csk|nvapi|glpat)-[A-Za-z0-9][\w-]{19,}(?<!-)|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\beyJ[\w-]{8,}\.eyJ[\w-]{8,}(?:\.[\w-]*)?|-----BEGIN [A-Z ]*PRIVATE KEY"
)
_LOOKS = re.compile(_KEYLIKE + r"|^\s*(?i:bearer|basic)\s+(?=\S*[\d=])[\w+/=.~-]{8,}\s*$|//[^/\s@]*:[^/\s@]+@")
_NAMED = re.compile(
    r"(?:^|_)(?:api|access|secret|private|subscription|account|auth|service|client|user|app|master)_?key(?:_?id)?$"
    r"|^x?_?key$|(?:^|_)(?:api|access|auth|bearer|hf|id|refresh|session|security|user|csrf|x)_?token$|^token$"
    r"|passw|passphrase|secret|credential|authoriz|cookie|^auth$|bearer|^sig(?:nature)?$|^code$|^pwd$"
)
_PATTERNS = (
    (re.compile(r"data:[\w.+-]+/[\w.+-]+[;,][^\s\"'<>]*", re.IGNORECASE), "[picture]"),
    (re.compile(r"[A-Za-z0-9+/=_-]{120,}"), "[...]"),  # base64 whose beginning was cut off
    (re.compile(r"\b(bearer|basic)\s+[\w+/=.~*-]{6,}", re.IGNORECASE), "[key]"),
    (re.compile(r"\bsk-[\w.*-]+|[\w-]*\*{3,}[\w-]*"), "[key]"),  # keys as services shorten them: sk-ab***yz
    (re.compile(_KEYLIKE), "[key]"),
    (re.compile(r"//[^/\s@]+@"), "//"),
)


def secret_place(name: str, value: Any) -> str:
    """Return where in a setting something looks like a secret, by its name or by itself; "" where nothing does.

    Args:
        name: of the setting.
        value: anything JSON holds; tables and lists are searched.
    """
    if isinstance(value, Mapping):
        return next((place for key, one in value.items() if (place := secret_place(str(key), one))), "")
    if isinstance(value, list | tuple):
        return next((place for one in value if (place := secret_place(name, one))), "")
    if not isinstance(value, str) or not value:
        return ""
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().replace("-", "_")
    return name if _NAMED.search(plain) or _LOOKS.search(value) else ""


class Key:
    """Secrets that show themselves in one place, the headers that carry them, and take themselves out of any text.

    Args:
        text: the key.
        headers: further headers, with what they carry.
        others: what else must not be seen, of a proxy's address, say.
        carrier: the header that carries the key; "" for Authorization, as a bearer's.
    """

    __slots__ = ("_all", "_carrier", "_headers", "_sure", "_text")

    def __init__(
        self, text: str = "", headers: dict[str, str] | None = None, others: Iterable[str] = (), carrier: str = ""
    ) -> None:
        self._text, self._headers, self._carrier = text, headers or {}, carrier
        hidden = {part for one in (text, *self._headers.values(), *others) for part in (one, *one.split())}
        self._all = _any_of(one for one in hidden if len(one) >= LEAST)
        self._sure = _any_of(one for one in hidden if len(one) >= SURE)

    def __bool__(self) -> bool:
        return bool(self._text or self._headers)

    @property
    def sendable(self) -> bool:
        """Whether a header can carry the key: printable ASCII without blanks."""
        return re.fullmatch(r"[!-~]*", self._text) is not None

    @property
    def faults(self) -> tuple[str, ...]:
        """Names of the headers that are empty, or hold what no header can carry."""
        return tuple(name for name, value in self._headers.items() if not re.fullmatch(r"[ -~]+", value))

    @property
    def header(self) -> dict[str, str]:
        """The headers that carry them; empty without any."""
        given = {name.lower() for name in self._headers}
        name, value = (self._carrier, self._text) if self._carrier else ("Authorization", f"Bearer {self._text}")
        own = {name: value} if self._text and name.lower() not in given else {}
        return own | self._headers

    def stands_in(self, text: str) -> bool:
        """Say whether one of these stands in a text, one too long to be a word."""
        return self._sure is not None and any(len(found[0]) >= UNLIKELY for found in self._sure.finditer(text))

    def hide(self, text: str) -> str:
        """Return an answer's text as it came, without these secrets: some servers say back what they were sent."""
        return self._sure.sub("[key]", text) if self._sure else text

    def scrub(self, text: str, longest: int = LONGEST) -> str:
        """Return `text` as one short line without these secrets, credentials, pictures and control characters."""
        if self._all:
            text = self._all.sub("[key]", text)
        for pattern, instead in _PATTERNS:
            text = pattern.sub(instead, text)
        text = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
        return text if len(text) <= longest else _cut(text, longest - 1) + "…"


def _cut(text: str, longest: int) -> str:
    """Return the beginning of a text, up to the end of a word unless that word is most of it."""
    whole = text[: longest + 1].rpartition(" ")[0]
    return whole if 2 * len(whole) > longest else text[:longest]


def _any_of(secrets: Iterable[str]) -> re.Pattern[str] | None:
    """Return what finds the secrets, also as addresses, pages, JSON and base64 write them, in capitals or not."""
    forms: set[str] = set()
    for one in secrets:
        forms |= {one, quote(one, ""), quote(one), quote_plus(one), html.escape(one), html.escape(one, quote=False)}
        coded = base64.b64encode(one.encode(errors="replace")).decode()
        forms |= {one.replace("/", "\\/"), coded, coded.rstrip("=")}
    longest_first = sorted(forms, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE) if forms else None
