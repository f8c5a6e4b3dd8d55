"""From what services sent back to the run: answers, and failures as failed attempts."""

import asyncio
import dataclasses
import re
from collections import Counter
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from limen import observer as observers
from limen import registry
from limen.analysis import replay
from limen.errors import InputError, LimenError, StoreError
from limen.loop import finish
from limen.observer import BatchObserver, Reply
from limen.scale.batch import formats
from limen.scale.batch.formats import LineResult
from limen.scale.batch.standing import NOTHING, Standing, standing
from limen.store import Store, entries, ledger
from limen.store.ledger import ANSWERED, Ledger, Line, key_of
from limen.trial import Answer, Attempt

TOGETHER = 256  # answers put into the store at a time
LONGEST_LINE = 64 * 2**20  # bytes of a line that comes back
LONGEST_ERROR = 2**16  # bytes of what a service says in place of a file
_OTHERWISE = {  # how a file begins that is not as it came
    b"\x1f\x8b": "compressed. Unpack it first: gunzip.", b"PK\x03\x04": "a zip. Unpack it first.",
    b"\xff\xfe": "in UTF-16: another program saved it anew. Give it as it came, in UTF-8.",
    b"\xfe\xff": "in UTF-16: another program saved it anew. Give it as it came, in UTF-8.",
}  # fmt: skip


@dataclass
class AnswersRead:
    """What `read` found.

    Attributes:
        rounds: whose lines it read.
        lines: read, doubles included.
        answered: answers that were new to the run.
        unreadable: of them, those that hold no verdict (nonsense, refused, filtered).
        failed: failures that were new to it, by kind.
        why: what a service said, once for each kind.
        before: lines that the run knew already.
        doubled: lines that came twice.
        differing: of both, answers that differ from the first one, which stands.
        unknown: lines of another run.
        broken: lines that cannot be read (a download that was cut off).
        other: lines that another kind of service answers.
        missing: questions of the files read so far that nothing came back for; they are written again.
        unread: files of the last round of which nothing was read yet.
        standing: how far the run is, as the next `write` will find it.
    """

    rounds: tuple[int, ...] = ()
    lines: int = 0
    answered: int = 0
    unreadable: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    why: dict[str, str] = field(default_factory=dict)
    before: int = 0
    doubled: int = 0
    differing: int = 0
    unknown: int = 0
    broken: int = 0
    other: int = 0
    missing: int = 0
    unread: tuple[str, ...] = ()
    standing: Standing = NOTHING


def read(run: Path, files: Sequence[Path]) -> AnswersRead:
    """Put what services sent back into a run: answers, and failures as failed attempts, under their keys.

    Order, doubles and lines of earlier rounds do no harm, and reading a file again changes nothing.

    Args:
        run: the run directory.
        files: as they came, answers and errors.

    Raises:
        InputError: a file cannot be read, or holds nothing that the run asked; nothing has been read then.
        StoreError: the run cannot be read or written.
    """
    known = Ledger.of(run)
    if not known.lines:
        with Store.open(run):  # says what is wrong with it, if anything is
            raise InputError(f"{run} has no questions in files. Write some first: limen batch write ... --out {run}")
    try:
        if not sum([_expect_known(file, known, run) for file in files]):
            one = f"{files[0]} is empty" if len(files) == 1 else f"All {len(files)} files are empty"
            raise InputError(f"{one}. Give what the service sent back; if that is all it sent, write --again.")
    except InputError as error:
        more = " Nothing was read: give the other files without it." if len(files) > 1 else ""
        raise InputError(f"{error}{more}") from None
    with Store.create(run, {}) as store:
        reader = _Reader(store, known)
        finish(reader.read(files))
        found = reader.found
    with Store.open(run) as store:
        known.look(store)
        found.unread, found.missing = tuple(known.unread()), known.missing()
        found.standing = standing(store, known)
    return found


def _lines_of(file: Path) -> Iterator[dict[str, Any] | None]:
    """Yield the lines of a file, as values; None for one that is none."""
    try:
        with file.open("rb") as stream:
            start = stream.read(4)
            if told := next((told for mark, told in _OTHERWISE.items() if start.startswith(mark)), ""):
                raise InputError(f"{file} is {told}")
            stream.seek(0)
            while data := stream.readline(LONGEST_LINE):
                data = data.removeprefix(b"\xef\xbb\xbf").strip()
                if not data:
                    continue
                try:
                    value = orjson.loads(data)
                except orjson.JSONDecodeError:
                    value = None
                yield value if isinstance(value, dict) else None
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror or error}). Check the path.") from None


def _expect_known(file: Path, known: Ledger, run: Path) -> bool:
    """Raise unless a file answers something that the run asked, or is empty; say whether it holds anything."""
    first, count, question, other = "", 0, False, ""
    takes = _takes(known)
    for line in _lines_of(file):
        count += 1
        result = formats.result(line) if line is not None else None
        if result is not None and result.custom_id in known.lines:
            if result.takes == takes[known.lines[result.custom_id].which]:
                return True
            other = other or result.takes
        question = question or (line is not None and formats.is_question(line))
        first = first or (result.custom_id[:80] if result is not None else "")
    if question and not first:
        raise InputError(f"{file} holds the questions, not the answers. Give what the service sent back.")
    if other:
        theirs = next(one.name for one in formats.FORMATS.values() if one.takes == other)
        mine = ", ".join(sorted({one.format for one in known.rounds}))
        raise InputError(
            f"{file} holds lines of another format, {theirs}'s, where {run} asked in that of {mine}. Give the file "
            "that the service sent which was asked."
        )
    if first:
        raise InputError(
            f"{file} answers nothing that {run} asked (its first line is {first!r}). Give the run that it was written "
            "for."
        )
    if count:
        with file.open("rb") as stream:
            said = formats.complaint(stream.read(LONGEST_ERROR))
        told = f": it says {said[:-1]!r}. Fetch it again" if said else ". Give the file as it came, in JSON lines"
        raise InputError(f"{file} holds no line of a service's answers{told}.")
    return False


def _takes(known: Ledger) -> dict[ledger.Which, str]:
    """Return what was asked in each round, as `formats.Format.takes` has it."""
    return {one.which: formats.find(one.format).takes for one in known.rounds}


class _Reader:
    """Gives lines to the store, some at a time."""

    def __init__(self, store: Store, known: Ledger) -> None:
        self.found = AnswersRead()
        self._store, self._known = store, known
        self._seen, self._rounds = set[str](), set[int]()
        self._texts: dict[str, str] = {}  # of the answers read, by key
        self._changed: dict[str, Line] = {}
        self._writing: list[Coroutine[Any, Any, None]] = []
        described = store.manifest["observers"]
        self._takes = _takes(known)
        self._questions = replay.questions_of(store.path, entries.check(store.path, store.manifest))
        items = replay.items_of(store)
        self._items = {row.id: items.get(row.picture) for row in store.series()}
        self._candidates = {one.which: one.candidates for one in known.rounds}
        names = {one.observer for one in known.rounds}
        self._observers = {name: _remade(name, described.get(name, {})) for name in names}

    async def read(self, files: Sequence[Path]) -> None:
        for file in files:
            for line in _lines_of(file):
                self.found.lines += 1
                result = formats.result(line) if line is not None else None
                if result is None:
                    self.found.broken += 1
                else:
                    self._take(result)
                if len(self._writing) >= TOGETHER:
                    await self._commit()
        await self._commit()
        self.found.rounds = tuple(sorted(self._rounds))

    def _take(self, result: LineResult) -> None:
        line, found, key = self._known.lines.get(result.custom_id), self.found, key_of(result.custom_id)
        if line is None:
            found.unknown += 1
            return
        if result.takes != self._takes[line.which]:
            found.other += 1
            return
        self._rounds.add(line.round)
        twice = result.custom_id in self._seen
        self._seen.add(result.custom_id)
        reply, first = self._reply(line, result), self._text(key)
        if first is not None or (reply.answer is None and line.outcome):
            found.doubled += twice
            found.before += not twice
            found.differing += reply.answer is not None and first not in (None, reply.answer.text)
            if not line.outcome:  # answered meanwhile, at the endpoint or in another round
                self._mark(result.custom_id, line, ANSWERED)
            return
        last = reply.attempts[-1]
        self._mark(result.custom_id, line, last.outcome if reply.answer is None else ANSWERED)
        if reply.answer is None:
            found.failed[last.outcome] += 1
            found.why.setdefault(last.outcome, last.detail)
        else:
            found.answered += 1
            found.unreadable += self._says_nothing(line, reply.answer)
            self._texts[key] = reply.answer.text
        trial = dataclasses.replace(line.trial(key), answer=reply.answer)
        self._writing.append(self._store.add(trial, reply.attempts, line.ahead))

    def _says_nothing(self, line: Line, answer: Answer) -> bool:
        item = self._items.get(line.series)
        question = self._questions[line.question]
        return (question.form or item) is not None and not question.value((answer,), item).readable

    def _text(self, key: str) -> str | None:
        """Return the text of an answer that is there already; None where there is none."""
        known = self._store.get(key) if key not in self._texts else None
        return known.text if known is not None else self._texts.get(key)

    def _mark(self, name: str, line: Line, outcome: str) -> None:
        line.outcome = outcome
        self._changed[name] = line

    def _reply(self, line: Line, result: LineResult) -> Reply:
        if result.kind:
            return Reply(None, (Attempt(result.kind, result.detail),))
        asked = self._candidates[line.which]
        return self._observers[line.observer].reply(result.status, result.body, line.letters, asked)

    async def _commit(self) -> None:
        writing, self._writing = self._writing, []
        await asyncio.gather(*writing)
        self._store.add_measurements(ledger.LINES, ledger.rows(self._changed))
        self._changed = {}


def _remade(name: str, about: Mapping[str, Any]) -> BatchObserver:
    """Return an observer that can read what was answered, made of what the run says of it.

    Raises:
        StoreError: there is no such observer.
    """
    kind, model = str(about.get("kind", "")), str(about.get("model", ""))
    known = registry.every("observer").get(kind)
    try:
        if not isinstance(known, observers.ObserverKind):
            raise InputError(f"There is no observer {kind!r}; if it is a plug-in's, give its file with --plugin.")
        fields = {field for field in known.options.__struct_fields__ if about.get(field) not in (None, "")}
        given = {field: about[field] for field in fields - {"label"}}
        if "base_url" in known.options.__struct_fields__ and re.fullmatch(r"[\w.:\[\]-]+", str(about.get("host", ""))):
            given["base_url"] = f"https://{about['host']}{about.get('path', '')}"
        made = observers.make(f"{kind}:{model}", given)
    except LimenError as error:
        raise StoreError(f"What answered as {name} cannot be read: {error}") from None
    if not isinstance(made, BatchObserver):
        raise StoreError(f"What answered as {name} cannot be read: {kind} has no batch files.")
    return made
