"""Before a run: exam."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limen import registry
from limen.cli.console import print_json, print_table, say, tame
from limen.cli.group import BASE_URL, JSON, OBSERVER, OPTIONS, PLUGIN, at, main, named, rates, telling, with_server
from limen.errors import InputError

if TYPE_CHECKING:
    from limen.preflight.exam import Exam
    from limen.question import Question
    from limen.study import Spec

FAILED = 1


@main.command()
@click.argument("study", type=click.Path(path_type=Path), required=False)
@OBSERVER
@BASE_URL
@OPTIONS
@rates
@click.option("--question", help="Comma-separated: can its answers to these be read? Those of the study, if not given.")
@JSON
@PLUGIN
def exam(
    study: Path | None,
    observer: tuple[str, ...],
    base_urls: tuple[str, ...],
    options: dict[str, str],
    rpm: int | None,
    tpm: int | None,
    question: str | None,
    as_json: bool,
) -> int:
    """Find out, in some 40 questions, whether an observer sees two pictures, in order, in their size.

    Examines the observers given, or those of a study file, at each of their endpoints, and tries the study's questions,
    or those given. Sends no photograph. Exit code 1 if one of them fails, or its exam did not come to its end.
    """
    from limen.study import load

    spec = load(study) if study is not None else None
    for path in spec.plugins if spec is not None else ():
        registry.plugin(path)
    asked = _questions(spec, question)
    held: list[Exam] = []
    missed: list[dict[str, str]] = []
    try:
        for entry in with_server(_observers(spec, observer, at(base_urls, options)), options, rpm=rpm, tpm=tpm):
            settings = {"name": entry} if isinstance(entry, str) else dict(entry)
            name = str(settings.pop("name", ""))
            for where, why in _examine(name, settings, asked, held, as_json).items():
                missed.append({"observer": name, "not_examined": where, "why": why})
                say(f"not examined: {tame(name)} at {where} ({tame(why).rstrip('. ')}).", err=as_json)
    finally:
        if as_json and (held or missed):
            print_json([*map(_plain, held), *missed])
    return 0 if not missed and all(one.fit for one in held) else FAILED


def _examine(
    name: str, settings: dict[str, Any], asked: "Sequence[Question]", held: list["Exam"], as_json: bool
) -> "Mapping[str, str]":
    """Examine one observer at each endpoint, and print what was found: also of an exam that is broken off.

    Returns:
        The endpoints where no exam was held, with why.
    """
    from limen.preflight import exam as exams

    so_far: dict[str, Exam] = {}
    lines: list[str] = []

    def watch(one: "Exam") -> None:
        so_far[one.observer] = one
        settled = sum(asked.settled for exam in so_far.values() for asked in exam.asked)
        tell(settled, settled + sum(len(exam.waiting) for exam in so_far.values()), "questions")

    try:
        with telling(f"examining {tame(name)}") as tell:
            return exams.examine_each(name, settings, watch, asked, lines.append)
    finally:
        held += so_far.values()
        for one in so_far.values():
            if not as_json:
                _print(one)
            for line in one.summary.splitlines():
                say(line, err=as_json)
        for line in lines:
            say(line, err=True)


def _questions(spec: "Spec | None", names: str | None) -> "tuple[Question, ...]":
    """Return the questions to try: those named, or the study's; without a study none."""
    from limen.question import Order
    from limen.study import asking

    order = spec.order if spec is not None else Order.REFERENCE_FIRST
    known = spec.questions if spec is not None else ()
    return asking.questions_of(named("--question", names) or known, order, 0)


def _observers(
    spec: "Spec | None", names: tuple[str, ...], settings: dict[str, Any]
) -> "Sequence[str | dict[str, Any]]":
    """Return the observers to examine, with their settings."""
    if names:
        return [{"name": name, **settings} for name in names]
    if spec is None or settings:
        raise InputError("exam needs --observer (to which --base-url and -O belong), or a study file.")
    return spec.observers


def _print(one: "Exam") -> None:
    """Print an exam as a table, with what to change where it failed."""
    from limen.report.format import Table

    rows = tuple((str(r.stage), r.check, str(r.status), r.seen) for r in one.results)
    notes = tuple(f"{result.check}: {result.change}." for result in one.results if result.change)
    print_table(Table(one.observer, ("stage", "check", "result", "what was seen"), rows, notes))


def _plain(one: "Exam") -> dict[str, Any]:
    import msgspec

    fields = {name: getattr(one, name) for name in (*one.__dataclass_fields__, "results", "fit", "marks", "answered")}
    fields["tried"] = [question.name for question in one.tried]
    return {name: msgspec.to_builtins(value) for name, value in fields.items()}
