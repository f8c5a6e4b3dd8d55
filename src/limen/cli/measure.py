"""Runs: measure, demo, report, export."""

import contextlib
import functools
import gc
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from limen.cli.console import QUIET, WIDE, notice, print_json, print_result, print_table, say
from limen.cli.group import (
    BASE_URL,
    JSON,
    OBSERVER,
    OPTIONS,
    PLUGIN,
    CountRange,
    FiniteRange,
    RenamedOption,
    at,
    demo_places,
    key_values,
    left_out,
    main,
    named,
    on_ray,
    rates,
    with_server,
    working,
)
from limen.errors import InputError

if TYPE_CHECKING:
    from limen.observer import Observer
    from limen.scale.cluster import Placement
    from limen.spending import Spending
    from limen.study import Progress, Spec, Study, UnfinishedSeries

UNFINISHED = 2
MOST_CAUSES = 8  # lines about why series stay open
SECTIONS = {
    "What is shown": (
        "--images", "--part", "--source", "--photographs", "--distortion", "--ladder", "--limit", "--shard",
        "--max-side", "--seed",
    ),
    "Who is asked": (
        "--observer", "--base-url", "-O", "--wait-for-server", "--rpm", "--tpm", "--no-exam", "--no-floor",
    ),
    "What is asked": ("--question", "--ask", "--paraphrases", "--order", "--no-identical-pairs"),
    "How thresholds are found": ("--procedure", "-P", "--gap", "--confirm", "--jnds"),
    "What it costs": (
        "--dry-run", "--price", "--latency", "--data-set", "--throughput", "--max-questions", "--max-cost",
    ),
    "Where it runs": ("--ray", "--replicas", "--gpus"),
    "The run": ("--out", "--offline", "--look-ahead", "--megapixels-in-flight", "--no-keep-references"),
}  # fmt: skip
EXAMPLES = """\b
Examples:
  limen measure --images demo --distortion blur,jpeg --observer demo \\
      --out runs/a
  limen measure --images photos/ --limit 20 --observer openai:MODEL \\
      --base-url http://localhost:8000/v1 --out runs/b
  limen measure --images photos/ --distortion jpeg --observer local:FOLDER \\
      --procedure psi -P trials=60 --out runs/c
  limen measure study.toml --out runs/d --dry-run --price in=2.5,out=10
  limen measure study.toml --out runs/d
"""


@main.command(sections=SECTIONS, epilog=EXAMPLES)
@click.argument("study", type=click.Path(path_type=Path), required=False)
@click.option("--images", multiple=True, help="File or folder of images, demo, scene, or KIND=PATH; may be repeated.")
@click.option("--part", help="Of a data set, e.g. vpa-jnd:jpeg, instead of --images and --distortion.")
@click.option("--source", "sources", multiple=True, metavar="NAME=PATH", help="Where a --part's source lies.")
@click.option("--photographs", multiple=True, metavar="PLACE", help="Other photographs for a --part of KonJND-1k's.")
@click.option("--distortion", help="Comma-separated; all that fit the references if not given.")
@click.option(
    "--ladder",
    "ladders",
    multiple=True,
    metavar="NAME=STRENGTHS",
    help="Strengths of your own for a distortion: blur=1,2,4,8, or blur=0.5..16x20 for 20 levels, with :geometric "
    "behind it for steps by one factor. May be repeated.",
)
@OBSERVER
@BASE_URL
@OPTIONS
@click.option(
    "--wait-for-server",
    type=FiniteRange(0, 604_800),
    metavar="SECONDS",
    help="How long an endpoint that is away is waited for, from the first question on (600 once it has been met).",
)
@rates
@click.option("--question", help="Comma-separated, of `limen list questions` (direct; with --ask answer-changes).")
@click.option(
    "--ask",
    multiple=True,
    metavar="FILE",
    help="Questions of your own with their pictures (JSONL, CSV, TSV, Parquet): from which level on does the answer "
    "change? May be repeated; the same as --images items=FILE --question answer-changes.",
)
@click.option(
    "--paraphrases",
    type=int,
    help="Ask each question in so many other wordings too: how much does the threshold hang on the words? (0).",
)
@click.option(
    "--order",
    help="In which order a pair is shown: reference-first (default), swapped, balanced (by seeded hash) or "
    "ref-question-test. How many JNDs: --jnds.",
)
@click.option("--procedure", help="skip (default), or another of `limen list procedures`.")
@click.option(
    "-P",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    callback=key_values("-P orders=2"),
    help="A setting of the procedure (`limen show psi`).",
)
@click.option("--gap", type=int, help="Where the confirmation window begins, above the candidate (1).")
@click.option("--confirm", type=int, help="Levels of the confirmation window (2).")
@click.option(
    "--jnds",
    "--orders",
    "orders",
    cls=RenamedOption,
    type=int,
    help="How many JNDs to look for in each series; 0 for all (1).",
)
@click.option(
    "--limit",
    type=int,
    help="At most so many references of each kind, in order (0: all). How many JNDs of each: --jnds.",
)
@click.option(
    "--shard", metavar="I/N", help="Only the I-th of N shards of the references: a job array (`limen merge`)."
)
@click.option(
    "--max-side",
    metavar="PX[,PX...]",
    help="Scale photographs down to that many px on the longer side first (0: as they are). Several, as in 512,1024: "
    "each photograph at each size.",
)
@click.option(
    "--megapixels-in-flight", type=float, help="Megapixels of all series under way, which bounds memory (48)."
)
@click.option("--seed", type=int, help="Seed of the random draws of stimuli.")
@click.option("--no-identical-pairs", is_flag=True, help="Do not measure false alarms.")
@click.option("--no-keep-references", is_flag=True, help="Keep no photograph in the run directory.")
@click.option(
    "--look-ahead",
    type=int,
    help="Ask 1 to 4 steps early, whatever the answers will be: sooner done, more questions (0).",
)
@click.option("--no-exam", is_flag=True, help="Do not examine observers first (`limen exam`).")
@click.option("--no-floor", is_flag=True, help="Do not write down from which level on a model's input differs at all.")
@click.option("--max-questions", type=CountRange(1), metavar="N", help="Stop when N questions have been asked.")
@click.option(
    "--max-cost",
    type=FiniteRange(0, 1e12, min_open=True),
    metavar="X",
    help="Stop before answers cost more than X, at --price.",
)
@click.option("--price", metavar="RATES", help="What a million tokens cost you, in any currency: in=2.5,out=10.")
@click.option("--offline", is_flag=True, help="Only replay what the run holds; ask nobody.")
@click.option("--dry-run", is_flag=True, help="Say what it would cost, and ask nothing; what --out holds is taken off.")
@click.option(
    "--latency",
    type=FiniteRange(0, 86_400, min_open=True),
    metavar="SECONDS",
    help="Of one answer, for --dry-run to say how long it takes (what the run's own answers took).",
)
@on_ray()
@click.option("--data-set", metavar="NAME", help="With --dry-run: what all of vpa-jnd costs for the paper's models.")
@click.option(
    "--throughput",
    type=FiniteRange(0, 1e9, min_open=True),
    metavar="N",
    help="Answers a second of one GPU, for --data-set to say GPU hours.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Run directory; the same one resumes.  [required, but for --dry-run]"
)
@JSON
@PLUGIN
def measure(
    study: Path | None, out: Path | None, offline: bool, as_json: bool, wait_for_server: float | None,
    rpm: int | None, tpm: int | None, max_questions: int | None, max_cost: float | None, price: str | None,
    dry_run: bool, latency: float | None, data_set: str | None, throughput: float | None,
    place: "Placement | None", **given: Any,
) -> int:  # fmt: skip
    """Measure JNDs: a study file, or flags (which replace the file's entries)."""
    from limen import registry
    from limen.spending import Spending
    from limen.study import check

    spending = Spending(max_questions, max_cost, price)
    if latency is not None and not dry_run:
        raise InputError("--latency is for --dry-run, which says how long a study takes. Give both, or neither.")
    if data_set is not None and dry_run:
        _data_set(
            data_set, {"study": study, "out": out, "latency": latency} | _changes(given), spending, throughput, as_json
        )
        return 0
    if data_set is not None or throughput is not None:
        raise InputError(
            "--data-set goes with --dry-run, and --throughput with both: limen measure --dry-run --data-set vpa-jnd."
        )
    spec = spec_of("measure", study, given)
    for path in spec.plugins:
        registry.plugin(path)
    served = with_server(spec.observers, given["options"], wait_for_server_s=wait_for_server, rpm=rpm, tpm=tpm)
    spec = msgspec.structs.replace(spec, observers=served)
    if out is None and not dry_run:
        check(spec)  # what is misspelt is told first: whoever mends it has not named a folder in vain
        raise click.UsageError("Missing option '--out': the run directory.")
    if out is None or dry_run:
        _dry_run(spec, out, spending, latency, as_json)
        return 0
    return _measure(spec, out, offline, as_json, spending, None if offline else place)


@main.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("report.html"),
    show_default=True,
    help="Where the page is written.",
)
@click.option("--embed", type=FiniteRange(0, 1e6), help="MB of stimuli in the page, for its viewer (12; 0: none).")
@click.option("--stimuli-beside", is_flag=True, help="All stimuli in a folder beside the page instead.")
@click.option("--tables", type=click.Path(path_type=Path), help="Folder for results.json, CSV and Parquet.")
@click.option("--figures", type=click.Path(path_type=Path), help="Folder for every figure as SVG and PNG.")
@click.option("--card", type=click.Path(path_type=Path), help="One PNG with the result and the sentence to quote.")
@click.option(
    "--backbones",
    type=click.Path(path_type=Path),
    help="CSV of backbone sizes: model, vision_params_m, language_params_b.",
)
@JSON
@PLUGIN
def report(runs: tuple[Path, ...], out: Path, as_json: bool, **wanted: Any) -> None:
    """Make one self-contained HTML page from runs; with --json print every number instead."""
    from limen.analysis import paper
    from limen.report import files, observers
    from limen.report.report import EMBED, Report, check_extra

    sizes = paper.parameters(wanted["backbones"]) if wanted["backbones"] else None
    if not as_json:
        check_extra()
        _check_places(out, wanted)
    written, left = list[str](), ""
    with (
        _in_haste(),
        working("reading answers") as now,
        Report.open(runs, sizes, processes=min(8, os.cpu_count() or 1)) as made,
    ):
        lacking = observers.lacking(made.all) if made.runs else ""
        now("working out every number" if as_json else "drawing the page")
        if as_json:
            found = made.data()
        else:
            left = made.page(out, EMBED if wanted["embed"] is None else wanted["embed"], wanted["stimuli_beside"])
            written.append(str(out))
        for name, write in (("tables", files.tables), ("figures", files.drawings)):
            if wanted[name] is not None and not as_json:
                now(f"writing {name}")
                written.append(f"{wanted[name]}: {len(write(made, wanted[name]))} files")
        if wanted["card"] is not None and not as_json:
            now("drawing the card")
            written.append(str(files.card(made, wanted["card"])))
    if as_json:
        print_json(found)
    for line in written:
        click.echo(line)
    if lacking:
        say(f"not the whole study: {lacking}", err=True)
    if left:
        notice(left)


def _check_places(out: Path, wanted: dict[str, Any]) -> None:
    """Raise `InputError` where something could not be written that is known only after minutes of work."""
    from limen.report import files

    files.check(out)
    if wanted["stimuli_beside"]:
        files.check(files.folder_beside(out), folder=True)
    for name in ("tables", "figures", "card"):
        if wanted[name] is not None:
            files.check(wanted[name], folder=name != "card", remedy=files.ELSEWHERE)


@contextlib.contextmanager
def _in_haste() -> Iterator[None]:
    """Look for no cycles of garbage: a report makes millions of objects and hardly any, and takes a quarter longer."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@main.command()
@click.argument("run_directory", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--to", "kind", metavar="KIND", help="What to write: see `limen list exports`.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Where to write; for parquet a folder of one file a table."
)
@click.option("--parquet", type=click.Path(path_type=Path), hidden=True, help="The same as --to parquet --out.")
def export(run_directory: Path, kind: str | None, out: Path | None, parquet: Path | None) -> None:
    """Export the raw tables of a run, or of the runs of a bundle, to other formats; of several, each to a folder."""
    from limen import registry
    from limen.store import bundle, names_of

    if parquet is not None and kind is None and out is None:
        kind, out, parquet = "parquet", parquet, None
    if kind is None or out is None or parquet is not None:
        raise InputError(
            "export takes a kind and a place: limen export RUN --to KIND --out PATH. See limen list exports."
        )
    write = registry.find("export", kind)
    with working("writing tables"), contextlib.ExitStack() as stack:
        names = names_of(bundle.unpacked([run_directory], stack))
        files = [file for run, name in names.items() for file in write(run, out / name if len(names) > 1 else out)]
    for file in files:
        click.echo(str(file))


@main.command()
@demo_places("runs/demo", "report.html")
@click.option("--limit", type=CountRange(0), default=0, help="At most so many of the bundled crops (0: all).")
@JSON
def demo(out: Path, limit: int, page: Path, as_json: bool) -> int:
    """Measure the 1st to n-th JND of the embedded demo model on bundled photographs, and write a report."""
    from limen.report import files
    from limen.report.report import Report, check_extra
    from limen.study import Spec

    check_extra()
    files.check(page, remedy="Give another --report.")
    spec = Spec(images=("demo",), observers=("demo",), procedure={"name": "skip", "orders": 0}, limit=limit)
    code = _measure(spec, out, offline=False, as_json=as_json)
    with working("drawing the report"), Report.open((out,)) as made:
        made.page(page)
    say(f"Report: {page} (open it in a browser)", err=as_json)
    return code


def _measure(
    spec: "Spec", out: Path, offline: bool, as_json: bool, spending: "Spending | None" = None,
    place: "Placement | None" = None,
) -> int:  # fmt: skip
    """Run a study with progress on stderr, print its first table, return the exit code."""
    from limen.analysis import analyse, survival, trust
    from limen.cli.progress import watching
    from limen.preflight import exam
    from limen.report import headline, observers, tables
    from limen.report.format import plain
    from limen.store import Store
    from limen.study import Study

    with contextlib.ExitStack() as stack:
        made = _spread(spec, place, stack) if place is not None else ()
        with watching() as watch:
            plan = Study.plan(spec, watch.reading, made)
        left_out(plan.refused)  # before anything is asked, and paid for
        _say_shard(spec, plan)
        pairs = any(question.pictures > 1 for question in plan.questions)
        if spec.exam and not pairs and not offline:
            notice("No exam: it finds out how two pictures arrive, and these questions show one at a time.")
        with watching() as watch:
            examine = functools.partial(exam.keep, tell=watch.examining, spending=spending)
            progress = plan.run(out, watch, offline, examine if spec.exam and pairs else None, spending)
    if not plan.series and not as_json:
        _account(progress, out, offline)
        return 0
    with Store.open(out) as store:
        analysis = analyse(store)
        numbers = observers.distances(store, analysis)
        judged = trust.of_run(analysis, store)
        told = {"distances": observers.distance_records(store)} if as_json and numbers.rows else {}
    if as_json:
        unfinished = {"unfinished": plain(progress.unfinished)}
        judgement = {"trust": plain(judged)}
        print_json(tables.records(analysis) | observers.origin_records(analysis) | judgement | unfinished | told)
    else:
        accuracy = survival.accuracy(analysis)
        if any(kind.graded for kind in analysis.manifest.distortions.values()):
            print_table(tables.main_table(analysis))
        if analysis.categories:
            print_table(tables.categories(analysis))
        if numbers.rows:
            print_table(numbers)
        if accuracy:
            from limen.report import statistics  # with it comes what fits thresholds, and SciPy

            print_table(statistics.accuracy(analysis, accuracy))
        say(headline.sentence(analysis, judged))
    for line in observers.warnings(analysis):
        say(f"warning: {line}", err=True)
    _account(progress, out, offline)
    return UNFINISHED if progress.unfinished else 0


def _say_shard(spec: "Spec", plan: "Study") -> None:
    """Say which shard of a study that is divided is meant, and how much of it that is."""
    if plan.whole:
        mine, every = ({one.reference.digest for one in some} for some in (plan.series, plan.every))
        notice(f"Shard {spec.shard}: {len(mine):,} of {len(every):,} references.")


def _spread(spec: "Spec", place: "Placement", stack: contextlib.ExitStack) -> "Sequence[Observer]":
    """Connect to Ray until the stack ends, and return a study's observers as replicas.

    Args:
        spec: the study.
        place: where the replicas are to be.
        stack: what ends with the study.
    """
    from limen.scale import replicas, tasks
    from limen.study import check, named

    check(spec)  # what is misspelt is told before a cluster is begun
    with working("connecting to Ray"):
        where = stack.enter_context(tasks.joined(place, notice))
    return replicas.spread([named(entry) for entry in spec.observers], where)


def _dry_run(spec: "Spec", out: Path | None, spending: "Spending", latency: float | None, as_json: bool) -> None:
    """Print what a study would cost."""
    from limen.analysis import cost
    from limen.cli.progress import watching
    from limen.report import costs
    from limen.study import Study

    with watching() as watch:
        plan = Study.plan(spec, watch.reading)
    left_out(plan.refused)
    _say_shard(spec, plan)
    with working("reckoning") as tell:
        found = cost.costs(plan, out, spending.price, latency, tell)
    print_result(as_json, lambda: costs.records(found), lambda: [costs.costs(found)])


def _data_set(name: str, given: dict[str, Any], spending: "Spending", throughput: float | None, as_json: bool) -> None:
    """Print what a whole data set would cost for the models of the paper.

    Args:
        name: of the data set.
        given: all else that was given, of which the procedure and identical pairs alone are of use.
        spending: with the price.
        throughput: answers a second of one GPU.
        as_json: whether --json was given.
    """
    from limen import procedure as procedures
    from limen.report import costs
    from limen.scale import budget

    needless = [entry for entry, value in given.items() if value and entry not in ("procedure", "identical_pairs")]
    if needless:
        raise InputError(
            f"--data-set prices the whole of {name} for the paper's models and takes no "
            f"{needless[0].replace('_', '-')}. Give a procedure with its settings, --price, --throughput and "
            "--no-identical-pairs, or leave --data-set out."
        )
    settings = {"name": "skip", **given.get("procedure", {})}
    said = " ".join(f"{key}={value}" for key, value in settings.items()).removeprefix("name=")
    method = procedures.make(str(settings.pop("name")), settings)
    with working("reckoning") as tell:
        found = budget.costs(name, method, spending.price, throughput, given.get("identical_pairs", True), tell)
    print_result(as_json, lambda: costs.data_set_records(found), lambda: [costs.of_data_set(found, name, said)])


def _account(progress: "Progress", out: Path, offline: bool) -> None:
    """Say on stderr what it cost and what is left."""
    from limen.study import LIMIT

    tokens = f", {progress.tokens_in:,} + {progress.tokens_out:,} tokens" if progress.tokens_in else ""
    early = f" ({progress.ahead:,} of them ahead)" if progress.ahead else ""
    notice(
        f"{progress.done:,} series: {progress.asked:,} questions asked{early}, {progress.replayed:,} answers replayed, "
        f"{progress.failures:,} attempts failed{tokens}. Run: {out}"
    )
    stopped = [left for left in progress.unfinished if left.kind == LIMIT]
    spending = progress.spending
    if stopped:
        count = f"{len(stopped):,} series are" if len(stopped) > 1 else "1 series is"
        say(
            f"stopped: {spending.why} ({spending.summary}). {count} not finished: the same command goes on, with a "
            "larger limit further, and asks nothing twice.",
            err=True,
        )
    elif spending.price is not None:
        notice(f"cost: {spending.summary}.")
    groups = _causes([left for left in progress.unfinished if left.kind != LIMIT])
    for line in groups[:MOST_CAUSES]:
        say(f"unfinished: {line}", err=True)
    if groups:
        more = len(groups) - MOST_CAUSES
        remedy = "Run the same command again to finish them."
        if offline:
            remedy = "The run does not hold the answers they need: run it without --offline to ask for them."
        say(f"{f'... and {more} more causes. ' if more > 0 else ''}{remedy}", err=True)


def _causes(unfinished: "Sequence[UnfinishedSeries]") -> list[str]:
    """Return one line for each cause, the commonest first; causes that differ in figures alone are one."""
    groups: dict[tuple[str, str, str], list[UnfinishedSeries]] = {}
    for left in unfinished:
        groups.setdefault((left.observer, left.kind, re.sub(r"\d+", "0", left.detail)), []).append(left)
    lines = []
    for (observer, kind, _), series in sorted(groups.items(), key=lambda group: -len(group[1])):
        where = "/".join(sorted({left.distortion for left in series}))
        first = f"{observer} {where} {series[0].reference}"
        what = first if len(series) == 1 else f"{len(series):,} series of {observer}, {where}"
        lines.append(f"{what}: {kind}: {series[0].detail}")
    return lines


def study_options() -> list[click.Parameter]:
    """Return the argument and the options that say what is measured, for commands that take a study as `measure` does.

    Their values are what `spec_of` takes.
    """
    own = {
        "out", "offline", "as_json", "wait_for_server", "rpm", "tpm", "max_questions", "max_cost", "price", "dry_run",
        "latency", "data_set", "throughput", "ray", "replicas", "gpus", "plugin", QUIET, WIDE,
    }  # fmt: skip
    return [one for one in measure.params if one.name not in own]


def spec_of(command: str, study: Path | None, given: dict[str, Any]) -> "Spec":
    """Return the study that a command was given.

    Args:
        command: its name, for messages.
        study: a study file, or None.
        given: values of `study_options`, which replace the file's entries.

    Raises:
        InputError: something is missing or does not fit, named in one line.
    """
    from limen import registry
    from limen.study import Spec, load

    changes = _changes(given)
    if study is not None and study.suffix != ".toml":
        raise InputError(
            f"{study} is no study file (.toml). Several images: give their folder, or --images before each of them."
        )
    if study is not None:
        return load(study, changes)
    for entry, flag in (("images", "--images"), ("observers", "--observer")):
        if entry not in changes:
            raise InputError(f"{command} needs {flag}, or a study file. See limen {command} --help.")
    return registry.settings(command, changes, Spec)


def _changes(given: dict[str, Any]) -> dict[str, Any]:
    """Turn flags into entries of a study; those not given are left out."""
    from limen.study import ladders

    if given["shard"] == "":  # of a variable that is not set: nothing would be divided
        raise InputError("--shard is empty. Give I/N, 1/8 for the first of eight jobs, or leave it out.")
    settings = at(given["base_urls"], given["options"])
    changes: dict[str, Any] = {
        "images": [*given["images"], *(f"items={file}" for file in given["ask"])],
        "distortions": named("--distortion", given["distortion"]),
        "questions": named("--question", given["question"]) or (["answer-changes"] if given["ask"] else None),
        "observers": [{"name": name, **settings} for name in given["observer"]],
        "ladders": dict(map(ladders.of_text, given["ladders"])) or None,
        "order": given["order"],
        "paraphrases": given["paraphrases"],
        "limit": given["limit"],
        "shard": given["shard"],
        "seed": given["seed"],
        "max_side": given["max_side"],
        "megapixels_in_flight": given["megapixels_in_flight"],
        "look_ahead": given["look_ahead"],
        "identical_pairs": False if given["no_identical_pairs"] else None,
        "keep_megabytes": 0 if given["no_keep_references"] else None,
        "exam": False if given["no_exam"] else None,
        "floor": False if given["no_floor"] else None,
    }
    protocol: dict[str, Any] = dict(given["settings"])
    protocol |= {key: given[key] for key in ("gap", "confirm", "orders") if given[key] is not None}
    if given["procedure"] or protocol:
        changes["procedure"] = ({"name": given["procedure"]} if given["procedure"] else {}) | protocol
    if settings and not given["observer"]:
        raise InputError("--base-url and -O belong to an --observer: give one, or write them into the study file.")
    return {key: value for key, value in changes.items() if value not in (None, [])} | _part(given)


def _part(given: dict[str, Any]) -> dict[str, Any]:
    """Return the images and the distortion of a data set's part."""
    if not given["part"]:
        if given["sources"] or given["photographs"]:
            raise InputError("--source and --photographs belong to a --part: --part vpa-jnd:jpeg --source konjnd=DIR.")
        return {}
    if given["images"] or given["distortion"]:
        raise InputError("--part says which images and which distortion: leave out --images and --distortion.")
    from limen.datasets import vpa_jnd

    images, distortions = vpa_jnd.places(given["part"], given["sources"], given["photographs"])
    return {"images": list(images), "distortions": list(distortions)}
