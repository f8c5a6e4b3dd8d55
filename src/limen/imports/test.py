"""Files that readers of a report saved from its test ("Take the same test"), read into one run."""

import asyncio
import datetime
import glob
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

import limen
from limen import registry
from limen.errors import InputError
from limen.files import beginning, vacant
from limen.loop import finish
from limen.parsing.yes_no import READER_VERSION
from limen.people import answer_file
from limen.people.answer_file import AnswerFile
from limen.store import Store, entries
from limen.store.entries import SITTINGS, SIZES, Manifest, PeopleEntry, SittingEntry
from limen.trial import Presentation

MOST = 10_000  # files at a time
PATTERN = "limen-test-*.json"  # of files in a folder
_AT_ONCE = 64  # answers written in one transaction


@registry.add("import", "test")
def from_test(place: str, run: Path, tell: Callable[[int, int], None] = lambda done, of: None) -> list[str]:
    """What readers of a report saved from its test: a file, a folder, or a pattern ('test=limen-test-*.json').

    Args:
        place: a file, a folder of files (limen-test-*.json), or a pattern with * and ?, which is expanded here.
        run: the run directory, which must not be there yet.
        tell: called with how many files are read, of how many.

    Returns:
        Lines for a person: who was read, and what of.

    Raises:
        InputError: a file was edited, is none, or does not fit the others; nothing is written then.
        StoreError: the run cannot be written.
    """
    vacant(run)
    paths = _paths(place)
    lines, files, known = list[str](), list[AnswerFile](), dict[str, str]()
    for number, path in enumerate(paths, start=1):
        file, digest = answer_file.read(path)
        if digest in known:
            lines.append(f"{path.name} is the same file as {known[digest]}: read once.")
        else:
            known[digest] = path.name
            files.append(file)
        tell(number, len(paths))
    answer_file.check_together(files)
    with beginning(run) as draft:
        finish(_fill(draft, files))
    return [*lines, *map(_said, files), _total(files, run)]


def _paths(place: str) -> list[Path]:
    path = Path(place)
    if path.is_dir():
        found, what = sorted(path.glob(PATTERN)), f"The folder {place} holds no {PATTERN}"
    elif path.exists():
        found, what = [path], ""
    else:
        found, what = sorted(map(Path, glob.glob(place))), f"{place}: no such file"
    if not found:
        raise InputError(f"{what}. Give test=FILE, test=FOLDER, or a pattern: 'test=limen-test-*.json'.")
    if len(found) > MOST:
        raise InputError(f"{place} names {len(found):,} files; a run takes up to {MOST:,}. Import them in parts.")
    return found


async def _fill(run: Path, files: Sequence[AnswerFile]) -> None:
    manifest = _manifest(files)
    entries.check(run, manifest)
    rows = {row.id: row for file in files for row in file.content.series}
    with Store.create(run, manifest) as store:
        store.add_series(row.row for row in rows.values())
        sizes = {row.picture: {"of": row.of, "side": row.side} for row in rows.values() if row.side is not None}
        store.add_measurements(SIZES, sizes)
        store.add_measurements(SITTINGS, {_session(file): msgspec.to_builtins(_sitting(file)) for file in files})
        for file in files:
            trials = file.trials()
            for start in range(0, len(trials), _AT_ONCE):
                await asyncio.gather(*(store.add(trial) for trial in trials[start : start + _AT_ONCE]))
            await store.add_presentations(
                Presentation(trial.key, _session(file), one.when, 1e3 * one.seconds, 1e3 * one.seconds)
                for trial, one in zip(trials, file.content.answers, strict=True)
            )


def _manifest(files: Sequence[AnswerFile]) -> dict[str, Any]:
    study = files[0].content.study
    rows = {row.id: row for file in files for row in file.content.series}
    kinds = {row.distortion for row in rows.values()}
    asked = sorted({file.question.name for file in files})
    alike = all(file.protocol == files[0].protocol for file in files)
    protocol = files[0].protocol if alike else {"where": "report"}
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None).isoformat(timespec="seconds")
    content = Manifest(
        schema=entries.SCHEMA, limen=limen.__version__, git=None, created=f"{now}+00:00", versions={},
        reader=READER_VERSION, procedure=_procedure(files), seed=int(study.seed),
        distortions={name: study.distortions[name] for name in sorted(kinds)},
        questions={name: study.questions[name] for name in asked},
        sources={name: entry for name, entry in study.sources.items() if name in {row.source for row in rows.values()}},
        observers={file.observer: file.fingerprint for file in files}, max_side=study.max_side,
        probes={name: probe for name, probe in study.probes.items() if name.partition(" ")[0] in kinds},
        people=PeopleEntry(protocol),
    )  # fmt: skip
    plain: dict[str, Any] = msgspec.to_builtins(content)
    names = [file.observer for file in files]
    return plain | {"aim": {"at": f"{now}Z", "observers": names, "questions": asked, "series": len(rows)}}


def _procedure(files: Sequence[AnswerFile]) -> dict[str, Any]:
    """Return the procedure whose whole run this is: fixed levels if all series have the same, else what there is."""
    asked = {
        (file.name, row.id): set[tuple[int, int]]() for file in files for one in files for row in one.content.series
    }
    for file in files:
        for answer in file.content.answers:
            if answer.reference == 0 < answer.level:
                asked[file.name, answer.series].add((answer.level, answer.draw))
    first, *others = asked.values()
    levels, draws = sorted({level for level, _ in first}), 1 + max((draw for _, draw in first), default=0)
    if first and all(other == first for other in others) and len(first) == len(levels) * draws:
        return {"name": "constant", "levels": levels, "every": 5, "draws": draws}
    return {"name": "recorded"}


def _session(file: AnswerFile) -> str:
    return f"{file.observer}/1"


def _sitting(file: AnswerFile) -> SittingEntry:
    first, last = file.content.answers[0], file.content.answers[-1]
    screen = {**file.screen, "viewport": list(last.viewport)}
    return SittingEntry(file.observer, 1, first.when, last.when + last.seconds, screen, [])


def _said(file: AnswerFile) -> str:
    content = file.content
    answers, series = len(content.answers), len({one.series for one in content.answers})
    stopped = f", {content.planned - answers:,} not put" if content.planned > answers else ""
    scaled = sum(one.zoom < 1 for one in content.answers)
    small = f"; {scaled:,} were scaled down to fit the screen" if scaled else ""
    kind = "of whole series" if content.test == "whole" else "of the short test"
    return f"{file.observer}: {answers:,} answers {kind}, {series:,} series{stopped}{small}."


def _total(files: Sequence[AnswerFile], run: Path) -> str:
    trials = [trial.key for file in files for trial in file.trials()]
    twice = len(trials) - len(set(trials))
    again = (
        f" {twice:,} are about a pair that was answered before, in another series: the first counts." if twice else ""
    )
    return f"{len(files):,} reader{'s' * (len(files) != 1)}, {len(trials):,} answers.{again} Run: {run}"
