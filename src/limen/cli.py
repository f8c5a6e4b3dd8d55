"""The command line: parse, call one function, print.

Tables and data go to stdout, progress and notices to stderr. Exit codes: 0 done, 1 a mistake that one line
explains, 2 a run that ended with unfinished series, 130 interrupted.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limen.errors import InputError, LimenError
from limen.printing import print_json, print_table, tame

if TYPE_CHECKING:
    from limen.analysis import Analysis
    from limen.image import Image
    from limen.study import Progress, Spec

UNFINISHED = 2


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    try:
        code = main.main(list(arguments), prog_name="limen", standalone_mode=False)
    except LimenError as error:
        click.echo(f"limen: {tame(str(error))}", err=True)
        return 1
    except click.ClickException as error:
        error.show()
        return 1
    except (KeyboardInterrupt, click.Abort):
        kept = (
            " What was answered is kept: the same command goes on from there."
            if arguments[:1] in (["measure"], ["demo"])
            else ""
        )
        click.echo(f"limen: stopped.{kept}", err=True)
        return 130
    except BrokenPipeError:
        return 1
    except OSError as error:
        click.echo(f"limen: {tame(str(error))}. Check the disk and where the output goes.", err=True)
        return 1
    return code if isinstance(code, int) else 0


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="limen")
def main() -> None:
    """Measure just noticeable differences of machine vision.

    \b
    limen demo                                     try it: no model, no network, no photographs needed
    limen measure --images photos/ --distortion blur,jpeg --observer openai:MODEL --out runs/a
    limen report runs/a --out report.html
    """


_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


@main.command("list")
@click.argument("shelf", type=click.Choice(["distortions", "observers", "procedures", "questions"]), required=False)
@_JSON
def list_(shelf: str | None, as_json: bool) -> None:
    """List distortions, observers, procedures and questions."""
    from limen import question, registry
    from limen.report.tables import Table

    rows: list[tuple[str, str, str]] = []
    for noun, name in registry.SHELVES.items():
        if shelf in (None, name):
            rows += [(noun, item, _summary(thing)) for item, thing in registry.every(noun).items()]
    if shelf in (None, "questions"):
        rows += [("question", item.name, item.text.split("\n")[0]) for item in question.every()]
    if as_json:
        print_json([{"kind": kind, "name": name, "summary": summary} for kind, name, summary in rows])
    else:
        print_table(Table("", ("kind", "name", "what it is"), tuple(rows)))


@main.command()
@click.argument("name")
@_JSON
def show(name: str, as_json: bool) -> None:
    """Show a distortion's ladder, or the settings of a procedure or an observer."""
    from limen import distortion, registry
    from limen.report.tables import Table

    for noun in ("procedure", "observer"):
        if name in registry.every(noun):
            found = registry.find(noun, name)
            text, defaults = registry.described(found if noun == "procedure" else found.options)
            if as_json:
                print_json({"name": name, "kind": noun, "settings": defaults})
            else:
                click.echo(f"{noun} {name}\n\n{text}\n")
                print_table(Table("", ("setting", "if not given"), tuple((k, str(v)) for k, v in defaults.items())))
            return
    kind = distortion.find(name)
    about = {"name": kind.name, "word": kind.word, "summary": kind.summary, "version": kind.version}
    about |= {"unit": kind.ladder.unit, "ladder": kind.ladder.digest, "strengths": list(kind.ladder.strengths)}
    if as_json:
        print_json(about)
        return
    columns, top = 5, len(kind.ladder)
    height = -(-top // columns)
    rows = []
    for first in range(1, height + 1):
        levels = range(first, top + 1, height)
        cells = [cell for level in levels for cell in (str(level), f"{kind.ladder[level]:g}")]
        rows.append((*cells, *[""] * (2 * columns - len(cells))))
    title = f"{kind.name} v{kind.version} ({kind.word}): {kind.summary}"
    note = f"Strength in {kind.ladder.unit}; level 0 is the image itself."
    print_table(Table(title, ("level", "strength") * columns, tuple(rows), (note,)))


@main.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.option("--distortion", "names", default="", help="Comma-separated; all if not given.")
@click.option("--levels", default="", help="Comma-separated; 0, 1, and steps up to the top if not given.")
@click.option("--key", default="render", help="Names the random draw.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder for the PNG files and the contact sheet."
)
def render(image: Path, names: str, levels: str, key: str, out: Path) -> None:
    """Write an image's stimuli to files, and a contact sheet to look at."""
    from limen import distortion, registry
    from limen.image import load, png
    from limen.report.sheet import contact_sheet

    pixels = load(image)
    chosen = _split(names) or list(registry.every("distortion"))
    kinds = [distortion.find(name) for name in chosen]
    rows: dict[str, list[tuple[str, Image]]] = {}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for kind in kinds:
            top = len(kind.ladder)
            wanted = [_integer(k) for k in _split(levels)] or [0, 1, top // 8, top // 4, top // 2, 3 * top // 4, top]
            stimulus = kind.render(pixels, key)
            rows[kind.name] = [(str(level), stimulus(level)) for level in wanted]
            for level, picture in rows[kind.name]:
                (out / f"{image.stem}_{kind.name}_{int(level):03d}.png").write_bytes(png(picture))
        sheet = out / f"{image.stem}_sheet.png"
        sheet.write_bytes(png(contact_sheet(rows)))
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}). Give another --out.") from None
    click.echo(f"{sum(map(len, rows.values()))} stimuli and {sheet}")


@main.command()
@click.argument("study", type=click.Path(path_type=Path), required=False)
@click.option("--images", multiple=True, help="File or folder of images, or 'demo'; may be repeated.")
@click.option("--distortion", help="Comma-separated; all ten image distortions if not given.")
@click.option("--observer", multiple=True, help="KIND:MODEL, e.g. openai:gpt-4o, local:FOLDER, demo; may be repeated.")
@click.option("--base-url", help="Of an OpenAI-compatible endpoint.")
@click.option("-O", "--option", "options", multiple=True, metavar="KEY=VALUE", help="A setting of the observers.")
@click.option(
    "--question", help="Comma-separated: direct (default), direct-implicit, choice, choice-implicit, forced-choice."
)
@click.option("--order", help="reference-first (default), swapped, balanced (by seeded hash) or ref-question-test.")
@click.option("--procedure", help="skip (default), or another of `limen list procedures`.")
@click.option(
    "-P", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of the procedure (`limen show psi`)."
)
@click.option("--gap", type=int, help="Where the confirmation window begins, above the candidate (1).")
@click.option("--confirm", type=int, help="Levels of the confirmation window (2).")
@click.option("--orders", type=int, help="How many JNDs to look for; 0 for all (1).")
@click.option(
    "--limit", type=click.IntRange(min=0), help="At most so many references (0: all); a larger one later appends."
)
@click.option("--seed", type=int, help="Of the random draws of stimuli.")
@click.option("--no-identical-pairs", is_flag=True, help="Do not measure false alarms.")
@click.option("--no-keep-references", is_flag=True, help="Keep no photograph in the run directory.")
@click.option("--offline", is_flag=True, help="Only replay what the run holds; ask nobody.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Run directory; the same one resumes.")
@_JSON
def measure(study: Path | None, out: Path, offline: bool, as_json: bool, **given: Any) -> int:
    """Measure JNDs: a study file, or flags (which replace the file's entries)."""
    from limen import registry
    from limen.study import Spec, load

    changes = _changes(given)
    if study is not None and study.suffix != ".toml":
        raise InputError(
            f"{study} is no study file (.toml). Several images: give their folder, or --images before each of them."
        )
    if study is not None:
        spec = load(study, changes)
    else:
        for entry, flag in (("images", "--images"), ("observers", "--observer")):
            if entry not in changes:
                raise InputError(f"measure needs {flag}, or a study file. See limen measure --help.")
        spec = registry.settings("measure", changes, Spec)
    return _measure(spec, out, offline, as_json)


@main.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=Path("report.html"), show_default=True)
@_JSON
def report(runs: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Make one self-contained HTML page from runs; with --json print every number instead."""
    from limen.report import build

    if as_json:
        print_json(build.data(runs))
        return
    build.page(runs, out)
    click.echo(str(out))


@main.command()
@click.argument("run_directory", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--parquet", type=click.Path(path_type=Path), required=True, help="Folder for one file a table.")
def export(run_directory: Path, parquet: Path) -> None:
    """Export a run's raw tables to Parquet."""
    from limen.report.export import to_parquet

    for file in to_parquet(run_directory, parquet):
        click.echo(str(file))


@main.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/demo"), show_default=True)
@click.option("--limit", type=int, default=0, help="At most so many of the bundled crops.")
@click.option("--report", "page", type=click.Path(path_type=Path), default=Path("report.html"), show_default=True)
@_JSON
def demo(out: Path, limit: int, page: Path, as_json: bool) -> int:
    """Measure the 1st to n-th JND of the embedded demo model on bundled photographs, and write a report."""
    from limen.report import build
    from limen.study import Spec

    build.check_extra()
    spec = Spec(images=("demo",), observers=("demo",), procedure={"name": "skip", "orders": 0}, limit=limit)
    code = _measure(spec, out, offline=False, as_json=as_json)
    build.page((out,), page)
    click.echo(f"Report: {page} (open it in a browser)", err=as_json)
    return code


@main.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--shape", default="logistic", show_default=True, help="logistic, normal, weibull, gumbel, rgumbel.")
@_JSON
def fit(runs: tuple[Path, ...], shape: str, as_json: bool) -> None:
    """Fit thresholds to runs, false alarms and lapses apart, with intervals; compare their observers."""
    from limen import fitting
    from limen.report import fits

    analysis = _together(runs)
    rows, compared = fitting.fit(analysis, shape), fitting.comparisons(analysis, shape)
    if as_json:
        print_json(fits.records(rows, compared))
        return
    print_table(fits.fits(analysis, rows))
    if compared:
        print_table(fits.compared(compared))


@main.command()
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--half-width", type=float, default=1.0, show_default=True, help="Wanted, of the 95 % interval, in levels."
)
@click.option("--sd", type=float, help="Spread of J over references, where there is no run yet.")
@_JSON
def power(runs: tuple[Path, ...], half_width: float, sd: float | None, as_json: bool) -> None:
    """Say how many references a wanted interval takes, from runs as pilots or from a spread."""
    from limen import fitting
    from limen.report import fits
    from limen.statistics.inference import references_needed

    if bool(runs) == (sd is not None):
        raise InputError("power takes runs as pilots, or --sd where there are none: limen power --sd 8 --half-width 1")
    if sd is not None:
        needed = references_needed(sd, half_width)
        if as_json:
            print_json({"sd": sd, "half_width": half_width, "references": needed})
        else:
            click.echo(f"{needed:,} references put the mean J within +-{half_width:g} levels (sd {sd:g}, 95 %)")
        return
    analysis = _together(runs)
    rows = fitting.powers(analysis, half_width)
    if not rows:
        raise InputError(
            "No JND in these runs, so no spread of one. Give a run of scan, skip, auto or certify, or --sd."
        )
    if as_json:
        print_json(fits.records((), (), rows))
    else:
        print_table(fits.powers(analysis, rows))


@main.command()
@click.option("--procedure", "labels", default="", help="Comma-separated labels of the table; all if not given.")
@click.option("--slope", type=click.FloatRange(min=0), help="Of an observer of your own, in levels (0: a step).")
@click.option("--false-alarms", type=click.FloatRange(0, 1), default=0.0, help="Its share of yes to no difference.")
@click.option("--lapses", type=click.FloatRange(0, 1), default=0.0, help="Its share of no to plain differences.")
@click.option(
    "--correlation",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    help="Between its answers at neighbouring levels.",
)
@click.option("--images", type=click.IntRange(min=1), default=100, show_default=True, help="About a minute for 100.")
@click.option("--levels", type=click.IntRange(min=10), default=50, show_default=True)
@click.option("--orders", type=int, default=1, show_default=True, help="JNDs to look for; 0 for all.")
@click.option("--seed", type=int, default=0, show_default=True)
@_JSON
def simulate(labels: str, as_json: bool, **given: Any) -> None:
    """Show which procedure suits which observer, on simulated answers whose truth is known."""
    from limen import simulation
    from limen.errors import UnknownNameError
    from limen.report import simulated, tables

    known = {contender.label: contender for contender in simulation.CONTENDERS}
    chosen = _split(labels) or list(known)
    for name in chosen:
        if name not in known:
            raise UnknownNameError("contender", name, known)
    if given["slope"] is None and (given["false_alarms"] or given["lapses"] or given["correlation"]):
        raise InputError(
            "--false-alarms, --lapses and --correlation belong to an observer of your own: give its --slope too."
        )
    if given["false_alarms"] + given["lapses"] >= 1:
        raise InputError("False alarms and lapses add up to 1 or more: nothing is left to notice.")
    seen = list(simulation.OBSERVERS)
    if given["slope"] is not None:
        own = (given["slope"], given["false_alarms"], given["lapses"], given["correlation"])
        seen = [simulation.Observer(f"s={own[0]:g}, g={own[1]:g}, l={own[2]:g}", *own)]
    results = []
    for observer in seen:
        for name in chosen:
            click.echo(f"{observer.name}: {name}", err=True)
            size = (given["images"], given["levels"], given["seed"], given["orders"])
            results.append(simulation.study(observer, known[name], *size))
    if as_json:
        print_json(tables.plain(results))
    else:
        print_table(simulated.table(results))


# --- what the commands share ---


def _measure(spec: "Spec", out: Path, offline: bool, as_json: bool) -> int:
    """Run a study with progress on stderr, print its first table, return the exit code."""
    from limen.analysis import analyse
    from limen.progress import watching
    from limen.report import tables
    from limen.store import Store
    from limen.study import Study

    with watching() as watch:
        plan = Study.plan(spec, watch.reading)
        progress = plan.run(out, watch, offline)
    with Store.open(out) as store:
        analysis = analyse(store)
    if as_json:
        print_json(tables.records(analysis) | {"unfinished": tables.plain(progress.unfinished)})
    else:
        print_table(tables.main_table(analysis))
        click.echo(tame(tables.sentence(analysis)))
    _account(progress, out)
    return UNFINISHED if progress.unfinished else 0


def _together(runs: Sequence[Path]) -> "Analysis":
    """Analyse runs and put them together."""
    from contextlib import ExitStack

    from limen.analysis import analyse
    from limen.report import tables
    from limen.store import Store

    with ExitStack() as stack:
        named = tables.names_of(runs)
        return tables.together({name: analyse(stack.enter_context(Store.open(path))) for path, name in named.items()})


def _account(progress: "Progress", out: Path) -> None:
    """Say on stderr what it cost and what is left."""
    for line in progress.refused:
        click.echo(f"left out: {tame(line)}", err=True)
    tokens = f", {progress.tokens_in:,} + {progress.tokens_out:,} tokens" if progress.tokens_in else ""
    click.echo(
        f"{progress.done:,} series: {progress.asked:,} questions asked, {progress.replayed:,} answers replayed, "
        f"{progress.failures:,} attempts failed{tokens}. Run: {out}",
        err=True,
    )
    for left in progress.unfinished[:20]:
        click.echo(
            tame(f"unfinished: {left.observer} {left.distortion} {left.reference}: {left.kind}: {left.detail}"),
            err=True,
        )
    if progress.unfinished:
        more = len(progress.unfinished) - 20
        click.echo(
            f"{f'... and {more} more. ' if more > 0 else ''}Run the same command again to finish them.", err=True
        )


def _changes(given: dict[str, Any]) -> dict[str, Any]:
    """Turn flags into entries of a study; those not given are left out."""
    settings = dict(_pair(option) for option in given["options"])
    if given["base_url"]:
        settings["base_url"] = given["base_url"]
    changes: dict[str, Any] = {
        "images": list(given["images"]),
        "distortions": _named("--distortion", given["distortion"]),
        "questions": _named("--question", given["question"]),
        "observers": [{"name": name, **settings} for name in given["observer"]],
        "order": given["order"],
        "limit": given["limit"],
        "seed": given["seed"],
        "identical_pairs": False if given["no_identical_pairs"] else None,
        "keep_megabytes": 0 if given["no_keep_references"] else None,
    }
    protocol: dict[str, Any] = dict(_pair(setting) for setting in given["settings"])
    protocol |= {key: given[key] for key in ("gap", "confirm", "orders") if given[key] is not None}
    if given["procedure"] or protocol:
        changes["procedure"] = ({"name": given["procedure"]} if given["procedure"] else {}) | protocol
    if settings and not given["observer"]:
        raise InputError("--base-url and -O belong to an --observer: give one, or write them into the study file.")
    return {key: value for key, value in changes.items() if value not in (None, [])}


def _named(flag: str, names: str | None) -> list[str]:
    if names is None:
        return []
    if not _split(names):
        raise InputError(f"{flag} is empty. Name at least one, or leave it out for the default.")
    return _split(names)


def _pair(option: str) -> tuple[str, str]:
    key, equals, value = option.partition("=")
    if not equals:
        raise InputError(f"-O and -P take KEY=VALUE, not {option!r}: -O temperature=0, -P orders=2")
    return key.strip(), value.strip()


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _integer(text: str) -> int:
    if not text.isdecimal():
        raise InputError(f"A level is a whole number from 0, not {text!r}.")
    return int(text)


def _summary(thing: Any) -> str:
    return str(getattr(thing, "summary", "") or (thing.__doc__ or "").strip().split("\n")[0])
