"""A paper's supplement: runs bundled in one file, with the verdicts on their answers and the numbers of their report.

The file itself: `limen.store.bundle`. What is worked out of it again: `limen.report.verify`.
"""

import dataclasses
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

import limen
from limen import files
from limen.analysis import Outcome
from limen.errors import InputError
from limen.parsing.yes_no import READER_VERSION
from limen.preflight import exam
from limen.report.differing import number_of
from limen.report.format import plain
from limen.report.report import Report
from limen.report.runs import OpenRun
from limen.store import TABLES, Store, names_of
from limen.store import bundle as container
from limen.store.bundle import Note
from limen.store.publishing import Publisher
from limen.study import drawing

_LIBRARIES = ("numpy", "scipy", "pillow", "msgspec", "orjson")


def quiet(what: str) -> None:
    """Tell nobody what is being done."""


@dataclass(frozen=True, slots=True)
class Made:
    """A bundle that was written.

    Attributes:
        path: of the file.
        digest: SHA-256 of its index, which has that of all it holds: what a paper quotes.
        bytes: of the file.
        runs: names of its runs.
        answers, numbers: how many it holds.
        sentences: of its report, to quote.
        suspects: what in it still looks like a path, a host or a user, with the member that has it.
        replaced: digest of the bundle whose place it took; "" for none.
    """

    path: Path
    digest: str
    bytes: int
    runs: tuple[str, ...]
    answers: int
    numbers: int
    sentences: tuple[str, ...]
    suspects: tuple[str, ...] = ()
    replaced: str = ""


def write(runs: Sequence[Path], out: Path, anonymous: bool = False, note: Note = quiet, processes: int = 1) -> Made:
    """Bundle runs with the numbers of their report; the same runs give the same bytes.

    Args:
        runs: run directories (or bundles), at least one.
        out: the file.
        anonymous: leave out names of references and runs, the commit, times of day and texts of failures.
        note: told what is being done.
        processes: that may read answers (`limen.analysis.replay.outcomes`).

    Raises:
        StoreError: a run cannot be read.
        InputError: `out` cannot be written, or there is no run.
    """
    if not runs:
        raise InputError("A bundle needs at least one run: limen bundle runs/a --out a.zip")
    with ExitStack() as stack:
        paths = names_of(container.unpacked(runs, stack))
        names = [f"run-{i}" if anonymous else name for i, name in enumerate(paths.values(), start=1)]
        replaced = _digest_of(out)
        stores = {name: stack.enter_context(Store.open(path)) for name, path in zip(names, paths, strict=True)}
        try:
            with files.replacing(out) as stream:
                made = _written(container.Writer(stream), stores, out, anonymous, note, processes, stack)
        except OSError as error:
            raise InputError(f"{out} cannot be written ({error.strerror or error}). Give another --out.") from None
    return dataclasses.replace(made, bytes=out.stat().st_size, replaced=replaced)


def _digest_of(path: Path) -> str:
    """Return the digest of a bundle; "" where there is none."""
    try:
        with container.Bundle.open(path) as bundle:
            return bundle.digest
    except InputError:
        return ""


def _written(
    writer: container.Writer, stores: Mapping[str, Store], out: Path, anonymous: bool, note: Note, processes: int,
    stack: ExitStack,
) -> Made:  # fmt: skip
    root, about = temporary_folder(stack), list[container.RunAbout]()
    for number, (name, store) in enumerate(stores.items(), start=1):
        publisher = Publisher(store, anonymous)
        about.append(writer.run(number, store, publisher, name, note))
        _copy(store, publisher, root / name)
    note("working out every number")
    with Report.open([root / name for name in stores], processes=processes) as report:
        for number, lines in enumerate(verdicts_of(report, list(stores)), start=1):
            writer.write(f"runs/{number}/{container.VERDICTS}", b"".join(line + b"\n" for line in lines))
        results, sentences = results_of(report), tuple(report.sentences)
    writer.write(container.RESULTS, orjson.dumps(results, option=orjson.OPT_INDENT_2))
    writer.write(container.ABOUT, _readme(about, sentences, anonymous).encode())
    of = {"limen": limen.__version__, "reader": READER_VERSION, "versions": versions(), "anonymous": anonymous}
    digest = writer.close(**of, runs=about)
    left = tuple(f"{text} ({member})" for text, member in writer.suspects.items())
    answers = sum(one.rows["answer"] for one in about)
    return Made(out, digest, 0, tuple(stores), answers, number_of(results), sentences, left)


def temporary_folder(stack: ExitStack) -> Path:
    """Return a new folder that goes when the stack is closed."""
    root = Path(tempfile.mkdtemp(prefix="limen-bundle-"))
    stack.callback(shutil.rmtree, root, ignore_errors=True)
    return root


def _copy(store: Store, publisher: Publisher, folder: Path) -> None:
    """Make a run directory of what of a run is published, and of the pictures that it has kept."""
    with container.rebuilding(folder, publisher.manifest()) as put:
        for table in TABLES:
            put(table, (publisher.row(table, row) for row in store.rows(table, ordered=True)))
        put("picture", ((name, store.picture(name)) for name in store.pictures()))


def versions() -> dict[str, str]:
    """Return the versions of what works numbers out."""
    return {"python": platform.python_version()} | drawing.versions(*_LIBRARIES)


def results_of(report: Report) -> dict[str, Any]:
    """Return every number of a report as JSON has it."""
    found: dict[str, Any] = orjson.loads(orjson.dumps(report.data()))
    return found


def verdicts_of(report: Report, names: Sequence[str]) -> Iterator[list[bytes]]:
    """Yield the lines of verdicts of each run, by name: none of a run of deep features, which has no answers."""
    runs = {run.name: run for run in report.runs}
    for name in names:
        yield [orjson.dumps(one) for one in _of_run(runs[name])] if name in runs else []


def _of_run(run: OpenRun) -> Iterator[dict[str, Any]]:
    """Yield what every series came to, with the verdict on every answer; then what every exam did."""
    for outcome in run.analysis.outcomes:
        yield {
            "observer": outcome.observer, "question": outcome.question, "series": outcome.series.id,
            "status": outcome.status.value, "why": outcome.why,
            "thresholds": plain(outcome.thresholds), "estimates": plain(outcome.estimates),
            "verdicts": list(_said(outcome)),
        }  # fmt: skip
    for held in exam.kept(run.store):
        checks = [[result.stage.value, result.check, result.status.value] for result in held.results]
        yield {"exam": held.observer, "passed": held.fit, "findings": list(held.marks), "checks": checks}


def _said(outcome: Outcome) -> Iterator[list[Any]]:
    for response in outcome.responses:
        probe, verdict = response.probe, response.verdict
        fault = verdict.fault.value if verdict.fault else ""
        yield [probe.reference, probe.level, probe.draw, verdict.flag.value if response.asked else "same", fault]


def _readme(runs: Sequence[container.RunAbout], sentences: Sequence[str], anonymous: bool) -> str:
    """Return the page inside a bundle that says what it is, how it is checked, and what to quote."""
    rows = "\n".join(
        f"- runs/{i}: {run.name}, {run.rows['series']:,} series, {run.rows['answer']:,} answers, "
        f"{run.rows['attempt']:,} attempts, {run.rows['measurement']:,} rows of numbers"
        for i, run in enumerate(runs, start=1)
    )
    quoted = "\n\n".join(f"> {sentence}" for sentence in sentences) or "> (none: nothing was found yet)"
    left_out = "Names of references and runs, times of day and texts of failures are left out."
    names = left_out if anonymous else "References have the names of their files."
    return f"""# Results measured with limen

Every answer of the runs below, raw, and every number of their report. No pictures: references are known by the digests
of their pixels. {names}

{rows}

## To quote

{quoted}

## To check

    limen verify THIS-FILE

(made with limen {limen.__version__}) reads every answer again, puts the procedure through the verdicts, works out every
number and says what differs from `results.json`. With the photographs at hand `--images FOLDER` draws every stimulus
again, too. The digest of this bundle is the SHA-256 of `bundle.json`, which has the SHA-256 of all other members;
compare it with the one in the paper:

    unzip -p THIS-FILE bundle.json | sha256sum

`limen report THIS-FILE` makes the page of tables and figures. Without limen: `answer.jsonl` has a JSON list a line
(key, text, p_yes, p_neither, finish, tokens_in, tokens_out, seconds, model, at), `query.jsonl` says what each key was
asked (observer, question, series, reference, level, draw, again, part, key, wording, form), `series.jsonl` what the
series are (id, distortion, word, name, picture, key, levels, source, strength), `verdicts.jsonl` how answers were read.
"""
