"""What of a run others may see: no path, no host, on request no name of a picture; of questions and answers all.

Paths and hosts are known by their form. A bare word that is somebody's machine or name is known only where the run's
own settings name it; `suspects` finds what has such a form all the same.

The rules look at the text alone, never at the machine, so that a run is published with the same bytes everywhere.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

import orjson

from limen import digest
from limen.errors import without_paths
from limen.store import Store
from limen.store.entries import CATCHES, SITTINGS
from limen.store.ledger import ROUNDS
from limen.store.rows import public

WITHHELD, PATH, HOST = "withheld", "[path]", "[host]"
FINGERPRINTS = "fingerprints"  # entry of a published manifest: digests of what identifies the observers, by name
_PLACES = ("host", "path", "query", "headers")  # entries of a fingerprint that say where a server is reached
_OWN = ("scene", "demo", "demo-items")  # sources whose names are limen's own
_FILES = (
    "bin|bmp|ckpt|csv|gguf|gif|h5|html?|ini|jpe?g|json|jsonl|log|md|npy|npz|onnx|parquet|png|pth?|py|safetensors|sh|so|"
    "toml|txt|webp|ya?ml|zip"
)  # how the names of files end
_RELATIVE = re.compile(rf"(?<![\w./\\:-])[\w.@-]*(?:[/\\][\w.@-]+)+\.(?:{_FILES})\b", re.IGNORECASE)
_ADDRESS = re.compile(
    rf"""(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^/\s'"<>]+
    |\b[\w.+-]+@[\w.-]*\w(?::\d+)?                                               # a user at a host
    |(?P<word>\bhost\ |\b(?:host(?:name)?|node|server|machine|user(?:name)?)\s?[=:]\s?['"]?)(?!\[host\])[\w.:-]*\w
    |(?P<six>\[?(?<![\w:.])[0-9a-f]{{0,4}}(?::[0-9a-f]{{0,4}}){{2,7}}(?:%\w+)?(?![\w:])\]?(?::\d+)?)
    |(?<![\w.])\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?![\w.]\d)(?::\d+)?
    |(?<![\w./\\@-])[a-z][\w.-]*:(?:80|443|\d{{4,5}})(?![\w.:-]*\w)              # a name and a port; no error:429
    |(?<![\w./\\@-])(?:[a-z0-9_-]+\.)+(?!(?:{_FILES})\b)[a-z][a-z0-9-]*[a-z0-9](?!\w|\.\w|\()(?::\d+)?
    """,
    re.IGNORECASE | re.VERBOSE,
)  # the last: names with dots, which are a file's where they end as files do
_CODE = re.compile(r"(?:.*\.)?_?[A-Z][a-z]+\w*")  # a class of Python's, with its modules
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT)\d\d:\d\d:\d\d(?:\.\d+)?(Z|[+-]\d\d:\d\d)?")
_SYSTEM = "system "  # what the digest of a system's fingerprint is called
_DAY = 86_400  # seconds
_SUSPECT = re.compile(
    r"""(?<![\w.:/\\~-])(?:~|/(?:home|Users|root|mnt|data|media|scratch|srv|opt|tmp|var|work|workspace|Volumes))/[\w.@/-]+
    |\b[A-Z]:\\\\?[\w.-]+[\w.\\ -]*|\\\\\\\\[\w.-]+\\\\[\w.-]+
    |\b[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.?[\w-]+
    |(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]\d)(?::\d+)?
    |(?<![\w./\\@"-])[a-z][\w.-]*[\w]:\d{4,5}\b
    |\b[\w-]+(?:\.[\w-]+)*\.(?:local|internal|lan|corp|intranet|home\.arpa)\b""",
    re.VERBOSE,
)
_Row = tuple[Any, ...]
_Plain = TypeVar("_Plain")
_Time = TypeVar("_Time", str, float)


def suspects(text: str) -> Iterator[str]:
    """Yield what in a text has the form of a path, a host or a user at a host."""
    for found in _SUSPECT.finditer(text):
        yield found[0].rstrip(".-/")


class Publisher:
    """Takes out of one run what others must not see.

    Args:
        store: of the run.
        anonymous: give references numbers and digests for names, round times to days, leave out the commit and what
            servers said of failures.
    """

    def __init__(self, store: Store, anonymous: bool = False) -> None:
        self._manifest, self._anonymous = store.manifest, anonymous
        self._hosts = _hosts(store.manifest)
        self._called = {} if "wing" in store.manifest else _called(store)
        own = [row for row in store.series() if row.source not in _OWN] if anonymous else []
        references = sorted({(row.name, row.picture) for row in own})  # numbers keep the order of names, and of tables
        wide = len(str(len(references)))
        self._names = {at: f"{i:0{wide}} {at[1][:8]}" for i, at in enumerate(references, start=1)}
        shown = store.rows("presentation") if anonymous else ()
        self._shown = _ranked(sorted({float(row[2]) for row in shown}), lambda at: int(at // _DAY))
        exams = sorted({str(row["at"]) for row in store.measurements("exam").values()}) if anonymous else []
        exams += [str(one["at"]) for one in store.manifest.get("exams", {}).values() if anonymous]
        self._held = _ranked(sorted(set(exams)), lambda at: at[:10])

    def manifest(self) -> dict[str, Any]:
        """Return the manifest as it is published, with the digests of what identifies the observers."""
        found = dict(self._manifest)
        if self._anonymous:
            found["git"] = None
        if "wing" in found:
            return self._timeless({name: self._texts(value, public) for name, value in found.items()})
        observers, known = found.get("observers", {}), found.get(FINGERPRINTS, {})
        prints = {name: known.get(name) or digest.of(about) for name, about in observers.items()}
        found[FINGERPRINTS] = self._named(prints)
        found["observers"] = self._named({name: self._texts(_placeless(about)) for name, about in observers.items()})
        found["exams"] = self._named({name: self._exam(entry) for name, entry in found.get("exams", {}).items()})
        if "endpoints" in found:
            found["endpoints"] = self._named({name: [WITHHELD] * len(at) for name, at in found["endpoints"].items()})
        if "planned" in found:
            found["planned"] = self._named(found["planned"])
        if aim := found.get("aim"):
            found["aim"] = aim | {"observers": [self.name(one) for one in aim.get("observers", [])]}
        found["distortions"] = {
            name: {**about, "outside": self.text(about["outside"])} if "outside" in about else about
            for name, about in found.get("distortions", {}).items()
        }
        return self._timeless(found)

    def row(self, table: str, row: _Row) -> _Row:
        """Return a row as it is published.

        Args:
            table: by name.
            row: with the columns of `limen.store.soundness.COLUMNS`.
        """
        if table == "series":
            identity, distortion, word, name, picture, *rest = row
            return identity, distortion, word, self._names.get((name, picture), public(name)), picture, *rest
        if table == "query":
            return self.name(row[0]), *row[1:]
        if table in ("wave", "prior"):
            return self.name(row[0]), *row[1:]
        if table == "answer":
            *first, model, at = row
            return *first, self.name(model), self._day(at)
        if table == "attempt":
            number, observer, series, key, outcome, detail, seconds, at = row
            return (
                number,
                self.name(observer),
                series,
                key,
                outcome,
                self._detail(outcome, detail),
                seconds,
                self._day(at),
            )
        if table == "presentation" and self._anonymous:
            key, session, shown, *rest = row
            first = shown // _DAY * _DAY
            return key, session, float(first + self._shown[float(shown)]), *rest
        if table == "measurement":
            return self._measurement(row)
        return row

    def name(self, name: str) -> str:
        """Return what an observer or a model is called: of a path its last part, like no other of the run."""
        return self._called.get(name, name)

    def text(self, text: str) -> str:
        """Return what a library or a server said, without paths and hosts."""
        text = _RELATIVE.sub(PATH, without_paths(text, PATH))
        text = _ADDRESS.sub(_masked, text)
        for host in self._hosts:
            text = re.sub(rf"(?<!\w){re.escape(host)}(?!\w)", HOST, text)
        return text

    def _detail(self, outcome: str, detail: str) -> str:
        """Return what was said of an attempt: of one that succeeded its system's fingerprint, else a failure's text."""
        if not self._anonymous or not detail:
            return self.text(detail)
        if outcome != "ok":
            return ""
        return detail if detail.startswith(_SYSTEM) else f"{_SYSTEM}{digest.of(detail)[:12]}"

    def _measurement(self, row: _Row) -> _Row:
        stage, key, content = row
        if not self._called and not self._anonymous and stage != "exam":
            return row
        about = orjson.loads(content)
        if stage == ROUNDS and self._anonymous:
            about.pop("run", None)
        if stage in (SITTINGS, CATCHES) and self._anonymous:
            about = _of_day(about)
        if stage != "exam":
            return stage, self._within(key), orjson.dumps(self._timeless(self._texts(about, self.name)))
        if answer := about.get("answer"):
            about["answer"] = answer | {"model": self.name(answer.get("model", ""))}
        said = [
            one | {"detail": self._detail(str(one.get("outcome", "")), str(one.get("detail", "")))}
            for one in about.get("attempts", [])
        ]
        at = self._moment(str(about["at"]))
        key = self._within(key.replace(str(about["at"]), at))
        about |= {"observer": self.name(about["observer"]), "at": at} | (
            {"attempts": said} if "attempts" in about else {}
        )
        return stage, key, orjson.dumps(about)

    def _exam(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self._texts(_placeless(entry))
        if self._anonymous and "results" in found:  # their evidence may quote a failure; it follows from the answers
            found["results"] = [[*one[:3], "", *one[4:]] for one in found["results"]]
        return found | {"at": self._moment(str(entry["at"]))}

    def _moment(self, at: str) -> str:
        """Return when an exam was held: of a day, as its first, second, ..., so that exams stay apart."""
        rank = self._held.get(at)
        if rank is None:
            return at
        return _TIME.sub(rf"\g<1>{rank // 3600:02}:{rank // 60 % 60:02}:{rank % 60:02}\g<2>", at)

    def _day(self, at: float) -> float:
        return float(at // _DAY * _DAY) if self._anonymous else at

    def _timeless(self, value: _Plain) -> _Plain:
        """Return plain data with the days of all times in them, but those of exams, which have theirs already."""
        found: Any = value
        if not self._anonymous:
            return value
        if isinstance(value, dict):
            found = {name: one if name == "exams" else self._timeless(one) for name, one in value.items()}
        elif isinstance(value, list):
            found = [self._timeless(one) for one in value]
        elif isinstance(value, str) and _TIME.fullmatch(value):
            found = _TIME.sub(r"\g<1>00:00:00\g<2>", value)
        return cast(_Plain, found)

    def _named(self, entries: Mapping[str, Any]) -> dict[str, Any]:
        return {self.name(name): value for name, value in entries.items()}

    def _within(self, key: str) -> str:
        """Return the key of a row, which may begin with an observer's name."""
        for name in sorted(self._called, key=len, reverse=True):
            if key.startswith(name):
                return self._called[name] + key.removeprefix(name)
        return key

    def _texts(self, value: Any, how: Callable[[str], str] | None = None) -> Any:
        if isinstance(value, str):
            return (how or (lambda text: self._called.get(text) or self.text(text)))(value)
        if isinstance(value, Mapping):
            return {name: self._texts(one, how) for name, one in value.items()}
        return [self._texts(one, how) for one in value] if isinstance(value, list) else value


def _of_day(about: dict[str, Any]) -> dict[str, Any]:
    """Return a row of a participant's sitting, or of a catch trial, as if it had begun at midnight."""
    began = about.get("began", about.get("at"))
    if not isinstance(began, int | float):
        return about
    hour = began % _DAY
    moved = {name: about[name] - hour for name in ("began", "ended", "at") if isinstance(about.get(name), int | float)}
    gaps = {"gaps": [[one - hour for one in gap] for gap in about["gaps"]]} if "gaps" in about else {}
    return about | moved | gaps


def _placeless(about: Any) -> Any:
    if not isinstance(about, Mapping):
        return about
    return {name: WITHHELD if name in _PLACES and value else value for name, value in about.items()}


def _masked(found: re.Match[str]) -> str:
    """Return what stands for an address; what only looks like one as it is."""
    if found["six"] and not _is_six(found["six"]):
        return found[0]
    if _CODE.fullmatch(found[0]) and ":" not in found[0] and "@" not in found[0] and not found["word"]:
        return found[0]
    return f"{found['scheme'] or found['word'] or ''}{HOST}"


def _is_six(text: str) -> bool:
    inside = text[1:].partition("]")[0] if text.startswith("[") else text.rstrip("]")
    try:
        ipaddress.IPv6Address(inside)
    except ValueError:
        return False
    return len(inside) > 3


def _hosts(manifest: Mapping[str, Any]) -> list[str]:
    """Return the hosts that a run's settings name, the longest first, whole and by the name of the machine."""
    settings = [*manifest.get("observers", {}).values()]
    settings += [one.get("about") for one in manifest.get("exams", {}).values()]
    named = {str(one["host"]) for one in settings if isinstance(one, Mapping) and one.get("host")} - {WITHHELD}
    places = {place for at in manifest.get("endpoints", {}).values() for place in at} - {WITHHELD}
    named |= {place.partition("/")[0].partition("?")[0] for place in places}
    parts = {part for host in named for part in (host, host.partition(":")[0])}
    first = {host.partition(":")[0].partition(".")[0] for host in named}
    parts |= {part for part in first if re.search(r"[a-z].*\d", part, re.IGNORECASE)}  # "gpu01", never "api"
    return sorted((part for part in parts if len(part) > 3), key=len, reverse=True)


def _called(store: Store) -> dict[str, str]:
    """Return what observers and models that have the names of paths are called instead, no two alike."""
    manifest = store.manifest
    observers = {*manifest.get("observers", {}), *manifest.get("exams", {}), *manifest.get("planned", {})}
    observers |= set((manifest.get("aim") or {}).get("observers", []))
    models = {one.said for one in store.origins() if one.what == "model"}
    models |= {str(one["model"]) for one in manifest.get("observers", {}).values() if one.get("model")}
    models |= {str((row.get("answer") or {}).get("model") or "") for row in store.measurements("exam").values()}
    ends = {name: name.partition(":") for name in observers}
    every = models | {rest or kind for kind, _, rest in ends.values()}
    taken, last = {one for one in every if _last(one) == one}, dict[str, str]()
    for place in sorted(every - taken):
        wanted, number = _last(place), 1
        while (name := wanted if number == 1 else f"{wanted} #{number}") in taken:
            number += 1
        taken.add(name)
        last[place] = name
    whole = {name: f"{kind}{colon}{last[rest]}" for name, (kind, colon, rest) in ends.items() if rest in last}
    return last | whole


def _last(name: str) -> str:
    """Return the last part of a name that is a path; else the name, such as Qwen/Qwen2-VL."""
    if name.startswith(("./", "../", ".\\")) or re.search(rf"[/\\].*\.(?:{_FILES})$", name, re.IGNORECASE):
        return re.split(r"[\\/]", name.rstrip("\\/"))[-1] or "root"
    return public(name)


def _ranked(times: Sequence[_Time], day: Callable[[_Time], object]) -> dict[_Time, int]:
    """Return the place of each time in its day, from 0.

    Args:
        times: in order, no two alike.
        day: of a time.
    """
    seen: Counter[object] = Counter()
    places = {}
    for at in times:
        places[at] = seen[day(at)]
        seen[day(at)] += 1
    return places
