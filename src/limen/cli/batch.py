"""Questions in files, for services that answer them hours later: batch write, batch read."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limen.cli.console import notice, print_json, say
from limen.cli.group import JSON, PLUGIN, left_out, main
from limen.cli.measure import SECTIONS, UNFINISHED, spec_of, study_options

if TYPE_CHECKING:
    from limen.scale.batch import AnswersRead, RoundWritten

MOST_LEFT = 8  # series that stay open for good, named
COSTS, WHERE = "What it costs", "The run"
_SECTIONS = {
    **SECTIONS,
    COSTS: ("--price",),
    WHERE: ("--out", "--to", "--format", "--again", "--look-ahead", "--megapixels-in-flight", "--no-keep-references"),
}
WRITING = """\b
Examples:
  limen batch write --images photos/ --distortion blur,jpeg \\
      --observer openai:gpt-4o --out runs/a --to batches/a
  limen batch read runs/a answers.jsonl errors.jsonl
  limen batch write --images photos/ --distortion blur,jpeg \\
      --observer openai:gpt-4o --out runs/a --to batches/a
"""


@main.group()
def batch() -> None:
    """Ask in files, for the batch prices of services: write a round, send it, read what comes back, and again."""


@batch.command("write", params=study_options(), sections=_SECTIONS, epilog=WRITING)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Run directory; the same one goes on, round by round."
)
@click.option(
    "--to", type=click.Path(path_type=Path), required=True, help="Folder for the files; each round gets one of its own."
)
@click.option(
    "--format", "form", default="", metavar="NAME", help="openai or mistral, for openai: (what the host takes)."
)
@click.option("--again", is_flag=True, help="Write once more what never came back, and what failed for good.")
@click.option("--price", metavar="RATES", help="What a million tokens cost you in batches: in=1.25,out=5.")
@JSON
@PLUGIN
def write(
    study: Path | None, out: Path, to: Path, form: str, again: bool, price: str | None, as_json: bool, **given: Any
) -> int:
    """Write what a study asks next, of all its open series, into files to send; the same command writes each round."""
    from limen.cli.progress import watching
    from limen.preflight import exam
    from limen.report.format import plain
    from limen.scale import batch as rounds
    from limen.study import Study

    rounds.expect_folder(to)
    spec = spec_of("batch write", study, given)
    with watching() as watch:
        plan = Study.plan(spec, watch.reading)
    left_out(plan.refused)
    pairs = any(question.pictures > 1 for question in plan.questions)
    with watching() as watch:
        examine = functools.partial(exam.keep, tell=watch.examining) if spec.exam and pairs else None
        made = rounds.write(plan, out, to, watch=watch, examine=examine, again=again, form=form, price=price)
    if as_json:
        print_json(plain(made) | {"done": made.done})
    else:
        for line in _written(made, out):
            say(line)
    for left in made.left[:MOST_LEFT]:
        say(f"left open: {left.observer} {left.distortion} {left.reference}: {left.kind}: {left.detail}", err=True)
    if len(made.left) > MOST_LEFT:
        say(f"left open: ... and {len(made.left) - MOST_LEFT:,} more.", err=True)
    if made.files and not as_json:
        _tell_sending(made, out)
    return UNFINISHED if made.left and not made.files else 0


@batch.command("read")
@click.argument("run_directory", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@JSON
@PLUGIN
def read(run_directory: Path, files: tuple[Path, ...], as_json: bool) -> None:
    """Put what a service sent back into a run: answers and errors, in any order; the same file twice does no harm."""
    from limen.cli.group import working
    from limen.report.format import plain
    from limen.scale import batch as rounds

    with working("reading answers"):
        found = rounds.read(run_directory, files)
    if as_json:
        print_json(plain(found))
        return
    for line in _found(found, run_directory):
        say(line)


def _written(made: "RoundWritten", out: Path) -> Iterator[str]:
    """Yield what was written, line by line."""
    from limen.spending import money, short

    state = _state(made.done, made.open, made.waiting, len(made.left))
    if not made.files:
        yield f"Nothing is left to ask: {state}. {_end(len(made.left), out)}"
        return
    size, files = _size(made.bytes), f"{len(made.files):,} file{'s' * (len(made.files) != 1)}"
    yield f"round {made.round}: {_count(made.lines, 'question')} in {files}, {size}; {state}"
    for file in made.files:
        yield f"  {file.path}: {_count(file.lines, 'line')}, {_size(file.bytes)} ({file.format})"
    price = "" if made.cost is None else f", {money(made.cost)} at most at your rates"
    yield (
        f"tokens: about {short(made.tokens_in)} in, {short(made.tokens_out)} out at most{price} (nothing has been sent)"
    )


def _tell_sending(made: "RoundWritten", out: Path) -> None:
    """Say how the files get to their service."""
    from limen.scale.batch import formats

    notice("Send each file by the service's own tools (docs/howto/batch.md):")
    for name in dict.fromkeys(file.format for file in made.files):
        for command in formats.find(name).sending:
            notice(f"  {command}")
    notice(f"Then: limen batch read {out} FILES, and this command again for the next round.")


def _found(found: "AnswersRead", run: Path) -> Iterator[str]:
    """Yield what was read, line by line."""
    rounds = ", ".join(map(str, found.rounds)) or "none"
    failed = ", ".join(f"{kind} {count:,}" for kind, count in sorted(found.failed.items()))
    silent = f", {found.unreadable:,} of them without a readable verdict" if found.unreadable else ""
    yield (
        f"round {rounds}: {_count(found.lines, 'line')} read, {_count(found.answered, 'new answer')}{silent}, "
        f"{_count(found.failed.total(), 'failure')}{f' ({failed})' if failed else ''}, "
        f"{found.missing:,} without a line"
    )
    rest = {
        "known before": found.before, "doubled": found.doubled, "of another run": found.unknown,
        "of another format": found.other, "that cannot be read": found.broken,
    }  # fmt: skip
    if any(rest.values()):
        advice = "; fetch the file again and read it again" if found.broken else ""
        yield f"not used: {', '.join(f'{count:,} {what}' for what, count in rest.items() if count)}{advice}"
    if found.differing:
        yield f"{_count(found.differing, 'answer')} differ from the one that came first, which stands."
    for kind, why in sorted(found.why.items()):
        yield f"  {kind}: {why}"
    if found.unread:
        yield f"not read yet: {', '.join(found.unread)}"
    at = found.standing
    unread = f", {at.unreadable:,} of them without a readable verdict" if at.unreadable else ""
    state = _state(at.done, at.open, at.waiting, at.left, unread)
    if found.unread or at.open + at.waiting:
        yield f"{state}; next: {'read what is not read yet' if found.unread else 'limen batch write, as before'}"
    else:
        yield f"{state}. {_end(at.left, run)}"


def _state(done: int, open_: int, waiting: int, left: int, more: str = "") -> str:
    """Return how far a run is, in the words of writing and of reading."""
    state = f"{done:,} of {done + open_ + waiting + left:,} series done{more}, {open_:,} open"
    if waiting:
        state += f", {waiting:,} wait for their wave"
    return state + (f", {left:,} left open by failures" if left else "")


def _end(left: int, out: Path) -> str:
    """Return what can be done when nothing is left to ask."""
    return "limen batch write --again asks what failed once more." if left else f"See: limen report {out}"


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count / 1e3:,.1f} kB"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
