"""The group that commands join, and what several of them share."""

import contextlib
import copy
import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from limen import __version__, registry
from limen.cli.console import QUIET, WIDE, chosen, say
from limen.errors import InputError

if TYPE_CHECKING:
    from limen.scale.cluster import Placement
    from limen.scale.tasks import Replicas

F = TypeVar("F", bound=Callable[..., Any])
EPILOG = """\b
Exit codes:
  0    done
  1    a mistake, told in one line; exam or verify found a fault
  2    a run that ended with unfinished series: the same command goes on
  70   a bug of limen's
  130  interrupted (Ctrl-C); 143 by SIGTERM, 129 by SIGHUP
"""
COMMANDS = {
    "Measure": (
        "demo",
        "exam",
        "measure",
        "batch",
        "merge",
        "people",
        "report",
        "fit",
        "safe",
        "power",
        "simulate",
        "export",
        "import",
    ),
    "Publish": ("bundle", "verify"),
    "Look": ("list", "show", "render", "see", "watch", "backbones"),
    "The paper": ("published", "dataset"),
    "Deep features": ("feature",),
}
MOST = 20  # lines about single files, references or series


def _everywhere(hidden: bool) -> list[click.Option]:
    """Return the options that stand before a command or behind it."""

    def choose(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        ctx.meta[f"limen.{param.name}"] = ctx.meta.get(f"limen.{param.name}", False) or value

    helps = {
        ("-q", f"--{QUIET}"): "No progress and no notices; errors, warnings and results stay.",
        (f"--{WIDE}",): "Print every column of a table, however narrow the terminal is.",
    }
    return [
        click.Option(list(names), is_flag=True, expose_value=False, callback=choose, hidden=hidden, help=text)
        for names, text in helps.items()
    ]


class LimenCommand(click.Command):
    """A command that takes --quiet and --wide too, and whose help may show its options in sections.

    Args:
        sections: names of options by the heading they stand under; the others come last.
    """

    def __init__(self, *args: Any, sections: Mapping[str, Sequence[str]] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += _everywhere(hidden=True)
        self.sections = sections or {}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, section by section.

        Args:
            ctx: of the command line.
            formatter: to write with.
        """
        heading_of = {name: heading for heading, names in self.sections.items() for name in names}
        records: dict[str, list[tuple[str, str]]] = {heading: [] for heading in (*self.sections, "Options")}
        for option in self.get_params(ctx):
            record = option.get_help_record(ctx)
            if record is not None and isinstance(option, click.Option):
                records[heading_of.get(option.opts[0], "Options")].append(record)
        for heading, rows in records.items():
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)


class Group(click.Group):
    """A group of such commands."""

    command_class = LimenCommand
    group_class = type

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in the order and under the headings of `COMMANDS`, all others below.

        Args:
            ctx: of the command line.
            formatter: to write with.
        """
        headed = {name: heading for heading, names in COMMANDS.items() for name in names}
        rows: dict[str, list[tuple[str, str]]] = {heading: [] for heading in (*COMMANDS, "Commands")}
        order = list(headed)
        for name in sorted(self.commands, key=lambda name: order.index(name) if name in headed else len(order)):
            if not self.commands[name].hidden:
                heading = headed.get(name, "Commands") if ctx.parent is None else "Commands"
                rows[heading].append((name, self.commands[name].get_short_help_str(200)))
        for heading, found in rows.items():
            if found:
                with formatter.section(heading):
                    formatter.write_dl(found)


@click.group(
    cls=Group, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120}
)
@click.version_option(__version__)
def main() -> None:
    """Measure just noticeable differences of machine vision.

    \b
    limen demo                   try it: no model, network or photograph needed
    limen measure --images photos/ --observer openai:MODEL --out runs/a
    limen report runs/a --out report.html
    """


main.params += _everywhere(hidden=False)


class CountRange(click.IntRange):
    """A whole number from `low` on, whose help names no bound that nobody meets."""

    name = "integer"

    def __init__(self, low: int, high: int = 10**9) -> None:
        super().__init__(low, high)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number; one that is above all that can be told its bounds, which the help leaves out.

        Args:
            value: what was given, a text or a number.
            param: the option it was given to.
            ctx: of the command line.
        """
        number = click.INT.convert(value, param, ctx)
        if self.max is not None and number > self.max:
            self.fail(f"{number} is not in the range {self.min}<=x<={self.max}.", param, ctx)
        return super().convert(value, param, ctx)

    def _describe_range(self) -> str:
        return "" if self.min is None or self.min < 0 else f"x>={self.min}"


class FiniteRange(click.FloatRange):
    """A number between two bounds; NaN, which compares with neither, is refused."""

    name = "number"

    def __init__(self, low: float, high: float, **open_ends: bool) -> None:
        super().__init__(low, high, **open_ends)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, and refuse NaN, which lies in no range.

        Args:
            value: what was given, a text or a number.
            param: the option it was given to.
            ctx: of the command line.
        """
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


class SpanOfTime(click.ParamType[float]):
    """A time such as 90s, 10m or 2h, in seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the seconds; a number alone says nothing of its unit and is refused.

        Args:
            value: what was given, a text.
            param: the option it was given to.
            ctx: of the command line.
        """
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+) ?(s|m|min|h|d)", value.strip())
        seconds = float(found[1]) * {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}[found[2]] if found else 0.0
        if not 0 < seconds < 1e9:
            self.fail(f"{value!r} is no time. Give a number above 0 with its unit: 90s, 10m, 2h or 1d.", param, ctx)
        return seconds


def key_values(example: str) -> Callable[[click.Context, click.Parameter, tuple[str, ...]], dict[str, str]]:
    """Return what reads a repeated KEY=VALUE into a table of texts without the space around them.

    Args:
        example: one that is right, for the `InputError` over what is not.
    """

    def read(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
        pairs = [value.partition("=") for value in values]
        for value, (_, equals, _) in zip(values, pairs, strict=True):
            if not equals:
                raise InputError(f"{param.opts[0]} takes KEY=VALUE, not {value!r}: {example}")
        return {key.strip(): text.strip() for key, _, text in pairs}

    return read


class RenamedOption(click.Option):
    """An option whose first name is the one that help shows; its older names still work."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return name and help text, without the older names."""
        shown = copy.copy(self)
        shown.opts = self.opts[:1]
        return click.Option.get_help_record(shown, ctx)


def demo_places(out: str, page: str) -> Callable[[F], F]:
    """Return what gives a demo command its two places, `--out` (a run directory) and `--report` (a page).

    Args:
        out: where the run lies if nothing else is given.
        page: where the page is written if nothing else is given.
    """
    run = click.option(
        "--out", type=click.Path(path_type=Path), default=Path(out), show_default=True,
        help="Run directory; the same one resumes.",
    )  # fmt: skip
    report = click.option(
        "--report", "page", type=click.Path(path_type=Path), default=Path(page), show_default=True,
        help="Where the page is written.",
    )  # fmt: skip
    return lambda command: run(report(command))


SEED = CountRange(-(2**63), 2**63 - 1)

OBSERVER = click.option(
    "--observer", multiple=True, help="KIND:MODEL, e.g. openai:gpt-4o, local:FOLDER, demo; may be repeated."
)
BASE_URL = click.option(
    "--base-url", "base_urls", multiple=True, metavar="URL",
    help="URL of the observer's endpoint. For openai:, several are servers of one model: the flag again, URL,URL or a "
    "file (@FILE).",
)  # fmt: skip
OPTIONS = click.option(
    "-O",
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    callback=key_values("-O temperature=0"),
    help="A setting of the observers.",
)


_RATE = CountRange(1, 10**12)
_RPM = click.option("--rpm", type=_RATE, metavar="N", help="Requests in any minute at most, at all endpoints together.")
_TPM = click.option("--tpm", type=_RATE, metavar="N", help="Tokens of questions and answers in any minute at most.")


def rates(command: F) -> F:
    """Give a command --rpm and --tpm."""
    return _RPM(_TPM(command))


def at(base_urls: Sequence[str], options: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings that --base-url and -O give.

    Raises:
        InputError: both give an address, and not the same.
    """
    where = {"base_url": base_urls[0] if len(base_urls) == 1 else list(base_urls)} if base_urls else {}
    _expect_one_value(where, options)
    return {**options, **where}


def _expect_one_value(flags: Mapping[str, Any], options: Mapping[str, str]) -> None:
    for name in flags.keys() & options.keys():
        try:
            same = float(options[name]) == flags[name]
        except ValueError:
            same = options[name] == flags[name]
        if not same:
            flag = "--wait-for-server" if name == "wait_for_server_s" else f"--{name.replace('_', '-')}"
            raise InputError(f"{flag} and -O {name} are one setting and given two values. Leave one of them out.")


def with_server(
    entries: Sequence[str | dict[str, Any]], options: Mapping[str, str], **settings: float | None
) -> tuple[str | dict[str, Any], ...]:
    """Give observers that have a server what flags say of it, by the names of their settings.

    Args:
        entries: names, or tables with a name.
        options: those given by -O.
        settings: those that are None were not given.

    Raises:
        InputError: a rate is limited, and no observer has a server; or -O gives another value.
    """
    from limen.observer import ObserverKind

    given = {name: value for name, value in settings.items() if value is not None}
    _expect_one_value(given, options)
    changed: list[str | dict[str, Any]] = []
    taken, known = set[str](), registry.every("observer") if given else {}
    for entry in entries:
        table = {"name": entry} if isinstance(entry, str) else entry
        kind = known.get(str(table.get("name", "")).partition(":")[0])
        fields = kind.options.__struct_fields__ if isinstance(kind, ObserverKind) else ()
        takes = {name: value for name, value in given.items() if name in fields}
        changed.append(table | takes if takes else entry)
        taken |= takes.keys()
    if unkept := sorted(given.keys() - taken - {"wait_for_server_s"}):
        raise InputError(f"--{unkept[0]} limits what a server is sent, and no observer has one. Leave it out.")
    return tuple(changed)


def _load(ctx: click.Context, param: click.Parameter, files: tuple[Path, ...]) -> None:
    for file in files:
        registry.plugin(file)


PLUGIN = click.option(
    "--plugin", multiple=True, type=click.Path(path_type=Path), is_eager=True, expose_value=False, callback=_load,
    help="Python file that adds distortions, observers, ... of yours; may be repeated.",
)  # fmt: skip
ALL = click.option("--all", "whole", is_flag=True, help="Print all tables, not the essential one alone.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def on_ray(gpus: bool = True) -> Callable[[F], F]:
    """Return what adds --ray, --replicas and --gpus to a command, which gets them as `place`: None without --ray.

    Args:
        gpus: whether GPUs are of use to it.
    """

    def adding(command: F) -> F:
        @functools.wraps(command)
        def placed(*args: Any, ray: str | None, replicas: int | None, gpus: float | None = None, **given: Any) -> Any:
            return command(*args, place=_placement(ray, replicas, gpus), **given)

        for option in _RAY if gpus else _RAY[1:]:
            placed = option(placed)
        return placed  # type: ignore[return-value]

    return adding


_RAY = (
    click.option(
        "--gpus", type=FiniteRange(0, 1024), metavar="N",
        help="GPUs of each replica: a whole number, or 0.5 where two share one (0).",
    ),
    click.option(
        "--replicas", type=CountRange(1, 10_000), metavar="N",
        help="How many work at once (as many as there is room for).",
    ),
    click.option(
        "--ray", is_flag=False, flag_value="here", metavar="[ADDRESS]",
        help="Work on a Ray cluster: HOST:PORT, auto on one of its nodes, or nothing for all CPUs and GPUs of this "
        "machine.",
    ),
)  # fmt: skip


def _placement(address: str | None, replicas: int | None, gpus: float | None) -> "Placement | None":
    from limen.scale.cluster import Placement

    if address is not None:
        return Placement(address, replicas or 0, gpus or 0.0)
    if replicas is not None or gpus is not None:
        given = [name for name, value in (("--replicas", replicas), ("--gpus", gpus)) if value is not None]
        belong = " and ".join(given) + (" belongs" if len(given) == 1 else " belong")
        raise InputError(f"{belong} to --ray: give it, with an address or without one.")
    return None


@contextlib.contextmanager
def replicas(place: "Placement | None") -> Iterator["Replicas | None"]:
    """Connect to Ray while the block runs, and yield the replicas that do a command's work there; None without --ray.

    Args:
        place: from `on_ray`.
    """
    if place is None:
        yield None
        return
    from limen.scale import tasks

    with contextlib.ExitStack() as stack:
        with working("connecting to Ray"):
            joined = stack.enter_context(tasks.joined(place, functools.partial(say, err=True)))
        yield joined


def left_out(lines: Sequence[str]) -> None:
    """Say on stderr what could not be used."""
    for line in lines[:MOST]:
        say(f"left out: {line}", err=True)
    if len(lines) > MOST:
        say(f"left out: ... and {len(lines) - MOST:,} more.", err=True)


def split(names: str) -> list[str]:
    """Return the names in a text that has commas between them."""
    return [name.strip() for name in names.split(",") if name.strip()]


def named(flag: str, names: str | None) -> list[str]:
    """Return the names that a flag gives; none where it is not given.

    Args:
        flag: as it is written, for messages.
        names: with commas between them.
    """
    if names is None:
        return []
    if not split(names):
        raise InputError(f"{flag} is empty. Name at least one, or leave it out for the default.")
    return split(names)


@contextlib.contextmanager
def working(what: str) -> Iterator[Callable[[str], None]]:
    """Show on stderr that something is being done whose length nobody knows, and for how long; it leaves no trace.

    Yields a function to call with what is done next.
    """
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    console = Console(stderr=True, quiet=chosen(QUIET))
    off = not console.is_terminal  # a pipe would get an empty line
    with Progress(*columns, console=console, transient=True, refresh_per_second=8, disable=off) as bar:
        task = bar.add_task(what, total=None)
        yield lambda now: bar.update(task, description=now)


@contextlib.contextmanager
def telling(what: str) -> Iterator[Any]:
    """Yield a function that draws progress on stderr: called with nothing it counts one, else (done, of, note)."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bar = Progress(
        *columns,
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True, quiet=chosen(QUIET)),
        refresh_per_second=4,
    )
    task = bar.add_task(what, total=None, note="")

    def tell(done: int | None = None, of: int | None = None, note: str = "") -> None:
        bar.start()
        if done is None:
            bar.advance(task)
        else:
            bar.update(task, completed=done, total=of, note=note)

    try:
        yield tell
    finally:
        if bar.live.is_started:
            bar.stop()
