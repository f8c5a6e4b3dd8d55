"""Keys that do not show themselves, and text made fit to be kept: one line, no credentials, no pictures."""

import html
import re
from urllib.parse import quote

LONGEST = 300  # characters of a detail

_PATTERNS = (
    (re.compile(r"data:[\w.+-]+/[\w.+-]+[;,][^\s\"'<>]*", re.IGNORECASE), "[picture]"),
    (re.compile(r"[A-Za-z0-9+/=_-]{120,}"), "[...]"),  # base64 whose beginning was cut off
    (re.compile(r"\b(bearer|basic)\s+[\w+/=.~*-]{6,}", re.IGNORECASE), "[key]"),
    (re.compile(r"\bsk-[\w.*-]+|[\w-]*\*{3,}[\w-]*"), "[key]"),  # keys as services shorten them: sk-ab***yz
    (re.compile(r"//[^/\s@]+@"), "//"),
)


class Key:
    """A key that shows itself in one place, the header that carries it, and takes itself out of any text."""

    __slots__ = ("_forms", "_text")

    def __init__(self, text: str = "") -> None:
        self._text = text
        self._forms = sorted({text, quote(text, ""), html.escape(text)} - {""}, key=len, reverse=True)

    def __bool__(self) -> bool:
        return bool(self._text)

    @property
    def sendable(self) -> bool:
        """Whether a header can carry it: printable ASCII without blanks."""
        return re.fullmatch(r"[!-~]*", self._text) is not None

    @property
    def header(self) -> dict[str, str]:
        """The header that carries it; empty without a key."""
        return {"Authorization": f"Bearer {self._text}"} if self._text else {}

    def scrub(self, text: str, longest: int = LONGEST) -> str:
        """Return `text` as one short line without this key, credentials, pictures and control characters."""
        for form in self._forms:
            text = text.replace(form, "[key]")
        for pattern, instead in _PATTERNS:
            text = pattern.sub(instead, text)
        text = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
        return text if len(text) <= longest else text[: longest - 1] + "…"
