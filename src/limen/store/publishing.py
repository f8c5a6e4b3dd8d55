"""What of a run others may see: no path, no host, on request no name of a picture; of questions and answers all.

The rules look at the text alone, never at the machine, so that a run is published with the same bytes everywhere.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from limen import digest
from limen.errors import without_paths
from limen.store import SeriesRow
from limen.store.rows import public

WITHHELD, PATH, HOST = "withheld", "[path]", "[host]"
FINGERPRINTS = "fingerprints"  # entry of a published manifest: digests of what identifies the observers, by name
_PLACES = ("host", "path", "query", "headers")  # entries of a fingerprint that say where a server is reached
_OWN = ("scene", "demo", "demo-items")  # sources whose names are limen's own
_ADDRESS = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^/\s'\"<>]+|(?P<word>\bhost )\[?[\w.-]+:\w+\]?"
    r"|(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]\d)(?::\d+)?",
    re.IGNORECASE,
)
_Row = tuple[Any, ...]


class Publisher:
    """Takes out of one run what others must not see.

    Args:
        manifest: of the run.
        series: of the run.
        anonymous: give references numbers and digests for names, and leave out the commit.
    """

    def __init__(self, manifest: Mapping[str, Any], series: Iterable[SeriesRow], anonymous: bool = False) -> None:
        self._manifest, self._anonymous = manifest, anonymous
        observers = manifest.get("observers", {}).values()
        named = {str(one["host"]) for one in observers if isinstance(one, Mapping) and one.get("host")}
        parts = {part for host in named - {WITHHELD} for part in (host, host.partition(":")[0])}
        self._hosts = sorted((part for part in parts if len(part) > 3), key=len, reverse=True)
        own = [row for row in series if row.source not in _OWN] if anonymous else []
        references = sorted({(row.name, row.picture) for row in own})  # numbers keep the order of names, and of tables
        wide = len(str(len(references)))
        self._names = {at: f"{i:0{wide}} {at[1][:8]}" for i, at in enumerate(references, start=1)}

    def manifest(self) -> dict[str, Any]:
        """Return the manifest as it is published, with the digests of what identifies the observers."""
        found = dict(self._manifest)
        if self._anonymous:
            found["git"] = None
        if "wing" in found:
            return {name: self._texts(value, public) for name, value in found.items()}
        observers, known = found.get("observers", {}), found.get(FINGERPRINTS, {})
        found[FINGERPRINTS] = {name: known.get(name) or digest.of(about) for name, about in observers.items()}
        found["observers"] = {name: self._texts(_placeless(about)) for name, about in observers.items()}
        found["exams"] = self._texts(found.get("exams", {}))
        found["distortions"] = {
            name: {**about, "outside": self.text(about["outside"])} if "outside" in about else about
            for name, about in found.get("distortions", {}).items()
        }
        return found

    def row(self, table: str, row: _Row) -> _Row:
        """Return a row as it is published.

        Args:
            table: by name.
            row: with the columns of `limen.store.soundness.COLUMNS`.
        """
        if table == "series":
            identity, distortion, word, name, picture, *rest = row
            return identity, distortion, word, self._names.get((name, picture), public(name)), picture, *rest
        if table == "attempt":
            *first, detail, seconds, at = row
            return *first, self.text(detail), seconds, at
        if table == "measurement" and row[0] == "exam":
            return *row[:2], orjson.dumps(self._tried(orjson.loads(row[2])))
        return row

    def text(self, text: str) -> str:
        """Return what a library or a server said, without paths and hosts."""
        for host in self._hosts:
            text = text.replace(host, HOST)
        text = _ADDRESS.sub(lambda at: f"{at['scheme'] or at['word'] or ''}{HOST}", text)
        return without_paths(text, PATH)

    def _tried(self, row: dict[str, Any]) -> dict[str, Any]:
        attempts = row.get("attempts", [])
        return row | {"attempts": [one | {"detail": self.text(str(one.get("detail", "")))} for one in attempts]}

    def _texts(self, value: Any, how: Callable[[str], str] | None = None) -> Any:
        if isinstance(value, str):
            return (how or self.text)(value)
        if isinstance(value, Mapping):
            return {name: self._texts(one, how) for name, one in value.items()}
        return [self._texts(one, how) for one in value] if isinstance(value, list) else value


def _placeless(about: Any) -> Any:
    if not isinstance(about, Mapping):
        return about
    return {name: WITHHELD if name in _PLACES and value else value for name, value in about.items()}
