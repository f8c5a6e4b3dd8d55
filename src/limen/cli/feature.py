"""The second wing: how much each deep feature bears."""

import contextlib
import functools
import importlib.util
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from limen.cli.console import print_result, print_sentences, print_short, say
from limen.cli.group import (
    ALL,
    JSON,
    CountRange,
    FiniteRange,
    SpanOfTime,
    demo_places,
    main,
    on_ray,
    replicas,
    split,
    telling,
    working,
)
from limen.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from limen.feature.plan import FeaturePlan
    from limen.feature.quantisation.promise import Promise
    from limen.feature.run import FeatureRun
    from limen.feature.spread import RunCrew
    from limen.feature.task import Task
    from limen.report.format import Table
    from limen.scale.cluster import Placement
    from limen.scale.tasks import Replicas

Asked: TypeAlias = tuple[float, float | None, str]
"""A promise as asked for: eps, rho and drop."""

RUN = click.argument("run", type=click.Path(path_type=Path))
DEVICE = click.option(
    "--device", default="auto", show_default=True, help="Where the network runs: auto, cpu, cuda, cuda:1."
)
MODEL_HELP = "Folder or hub id of a checkpoint, demo:NAME, or package.module:factory."
TASK_HELP = "One of `limen list tasks`, or package.module:name of one of yours."
MODEL = click.option(
    "--model", default="", help="Where the checkpoint lies now, or the factory, if the run does not find it."
)
DATA = click.option("--data", default="", help="Where the data lie now, if the run does not find them.")


def located(command: "Callable[..., Any]") -> "Callable[..., Any]":
    """Add the options that say where the network and the data of a run are now; the command takes them as `where`."""

    @MODEL
    @click.option("--weights", default="", metavar="FILE", help="Where a factory's weights lie now, if not found.")
    @DATA
    @TRUST
    @DEVICE
    @functools.wraps(command)
    def taking(model: str, weights: str, data: str, trust: str, device: str, **given: Any) -> Any:
        where: dict[str, Any] = {"model": model, "weights": weights, "data": data, "trust": trust, "device": device}
        return command(where=where, **given)

    return taking


def promising(command: "Callable[..., Any]") -> "Callable[..., Any]":
    """Add the options that ask for a promise; the command takes them as `promise`, None where --eps is not given."""

    @click.option("--eps", type=FiniteRange(0, 1e6), default=None, help="Promise Pr[drop > EPS] <= RHO; not --budget.")
    @click.option(
        "--rho",
        type=FiniteRange(0, 1, min_open=True, max_open=True),
        default=None,
        help="Of --eps; the run's own if not given.",
    )
    @click.option("--drop", default="", help="Of --eps: how the loss is measured; the run's own if not given.")
    @functools.wraps(command)
    def taking(eps: float | None, rho: float | None, drop: str, **given: Any) -> Any:
        if eps is None:
            _beside(("--rho", rho), ("--drop", drop))
        return command(promise=None if eps is None else (eps, rho, drop), **given)

    return taking


REVISION = click.option("--revision", default="", help="Branch, tag or commit of a model from the hub.")
WEIGHTS = click.option("--weights", default="", metavar="FILE", help="Weights for the network of a factory.")
TRUST = click.option(
    "--trust-remote-code",
    "trust",
    default="",
    metavar="NAME",
    help="Run the code of this repository: the very --model.",
)
PREPARE = click.option(
    "--prepare",
    multiple=True,
    metavar="PRESET|KEY=VALUE",
    help="How images are made ready for the network of a factory: imagenet, or resize, crop, squash (px), mean, std; "
    "repeat it.",
)
COUNT = CountRange(1)
DEMO = {"resnet": "resnet.encoder.stages.1", "vit": "vit.layers.2"}
DEMO_MAPS = ("gaussian", "flat", "absmax", "fisher", "own-fisher", "learned", "learned-information", "shuffled")
DEMO_STEPS = ("static:fisher", "tolerance:learned-information")  # that a promise is asked of
ANCHORED = ("bd-rate", "anchor-curve", "sender", "sender-time")  # what `anchor` keeps beside its own rows
BUDGET = 0.45  # of a quantiser that is exported without a promise
LIBRARIES = ("torch", "transformers", "safetensors", "jinja2")


@main.group()
def feature() -> None:
    """Measure how much each deep feature of a vision network bears.

    \b
    limen feature splits --model demo:resnet
    limen feature splits --model package.module:factory --weights FILE --sweep
    limen feature fit --model demo:resnet --split resnet.encoder.stages.2 --data scenes --out runs/f
    limen feature evaluate runs/f
    limen report runs/f --out report.html
    """
    for library in LIBRARIES:
        if importlib.util.find_spec(library) is None:
            raise MissingExtraError("the feature wing", library, "feature")
    from limen.feature.allocator import keep_memory

    keep_memory()


@feature.command("fit")
@click.option("--model", required=True, help=MODEL_HELP)
@WEIGHTS
@PREPARE
@click.option("--split", required=True, help="Dotted path of the module whose output is the features.")
@click.option("--task", default="classification", show_default=True, help=TASK_HELP)
@click.option(
    "--data",
    required=True,
    help="Folder with a folder of images a class; for objects a COCO JSON file, or a folder or data.yaml of YOLO's; "
    "for pixels images/ and masks/; any folder of images where nothing is needed; or scenes.",
)
@click.option(
    "--score",
    type=click.Choice(("labels", "agreement")),
    default="labels",
    show_default=True,
    help="Hold answers against labels, or against the clean output's: then --data is any folder of images.",
)
@click.option(
    "--group-by",
    default="",
    metavar="PATTERN|folder|CSV",
    help="Which images are of one photograph: the first group of a regular expression in their names, their folder, or "
    "the columns name and group of a file.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Run directory; the same one resumes.")
@click.option(
    "--seeds",
    type=click.IntRange(1, 1000),
    default=None,
    show_default="3; 1 of a large network",
    help="How many seeds, counted from 0.",
)
@click.option("--images-fit", type=COUNT, default=None, show_default="400", help="Images to fit on.")
@click.option("--images-calibrate", type=COUNT, default=None, show_default="500", help="Images to calibrate on.")
@click.option("--images-test", type=COUNT, default=None, show_default="700", help="Images to measure on.")
@click.option(
    "--eps",
    type=FiniteRange(0, 1e6),
    default=0.05,
    show_default=True,
    help="Largest drop of the task that is tolerated.",
)
@click.option("--rho", type=FiniteRange(0, 1), default=0.1, show_default=True, help="How often the drop may exceed it.")
@click.option(
    "--drop",
    default="",
    help="How the loss is measured, the first if not given: kl, top1 (classification); 1-f1 (detectors, instances); "
    "kl, changed, 1-miou (semantic-segmentation); 1-cosine (embedding); loss (yours).",
)
@click.option("--map", "maps", multiple=True, metavar="[LABEL=]NAME[,KEY=VALUE...]", help="Instead of all; repeat it.")
@click.option("--calibrate", "labels", default="", help="Comma-separated labels of the maps to calibrate.")
@click.option(
    "--time",
    "seconds",
    type=SpanOfTime(),
    default=None,
    metavar="10m|2h",
    help="Leave out seeds, maps and images until all stages, and a promise, take about so long here.",
)
@REVISION
@TRUST
@DEVICE
@on_ray()
@JSON
def fit(
    out: Path, labels: str, seconds: float | None, device: str, trust: str, place: "Placement | None", as_json: bool,
    **given: Any,
) -> None:  # fmt: skip
    """Fit maps of tolerance and calibrate their scale: Pr[drop <= eps] >= 1 - rho.

    \b
    Seeds, maps and images that are not given are those of the run in --out, or
    chosen by the size of the network, or so that --time is kept.
    """
    from limen.feature import course, stages
    from limen.feature.run import FeatureRun
    from limen.feature.stages import calibrate
    from limen.report.feature_tables import calibrations, calibrations_by_seed

    plan, left = _plan(given)
    begun = (out / "manifest.json").exists()
    if begun and seconds:
        say(f"{out} goes on as it was begun: --time chooses nothing any more.", err=True)
    with _replicas(place, device) as (where, here):
        with FeatureRun.begin(out, plan, here, trust=trust, left=left, seconds=seconds or 0) as run:
            if not begun:
                whole = run.course.whole(len(course.budgets_for(run.operations)))
                then = f"With evaluate, quantise and a promise that is about {course.spoken(whole)} here."
                say(f"{course.told(run.plan)}. {then}", err=True)
            with _crew(run, where, trust) as crew:
                with telling("fitting") as tell:
                    stages.fit(run, tell, _expecting("Fitting"), crew)
                with telling("calibrating") as tell:
                    rows = calibrate(run, tell, split(labels), _expecting("Calibrating"), crew)
        print_result(
            as_json, lambda: rows, lambda: [calibrations(run.store.manifest, rows), calibrations_by_seed(rows)]
        )


@feature.command("evaluate")
@RUN
@click.option(
    "--nrmse", default="0.1,0.25,0.5,0.75,1,1.5", show_default=True, help="Comma-separated strengths, as NRMSE."
)
@located
@on_ray()
@JSON
def evaluate(run: Path, nrmse: str, where: dict[str, Any], place: "Placement | None", as_json: bool) -> None:
    """Measure the task under each map at equal strength."""
    from limen.feature.stages import evaluate
    from limen.report.feature_tables import compared

    strengths = _numbers("--nrmse", nrmse)
    expect, device, trust = _expecting("This"), where["device"], where["trust"]
    with _replicas(place, device) as (spread, here):

        def measured(opened: "FeatureRun", tell: Any) -> "list[dict[str, Any]]":
            with _crew(opened, spread, trust) as crew:
                return evaluate(opened, strengths, tell, expect, crew)

        _stage(run, where | {"device": here}, as_json, measured, compared)


@feature.command("quantise")
@RUN
@click.option(
    "--budget",
    default="",
    help="Noise budgets as NRMSE, comma-separated; if not given, ten from 0.1 to 3 (four of a large network), and more "
    "beyond them for steps that do not reach the discrepancy at which bits are compared.",
)
@click.option("--map", "labels", default="", help="Comma-separated labels of the maps to make steps from.")
@promising
@click.option(
    "--steps",
    default="",
    help="With --eps: comma-separated KIND or KIND:MAP to compare, or auto; static:fisher if not given.",
)
@located
@ALL
@JSON
def quantise(
    run: Path, budget: str, labels: str, promise: Asked | None, steps: str, where: dict[str, Any], whole: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Quantise tokens with steps from a map, beside permuted, uniform, absmax and static steps.

    \b
    limen feature quantise RUN                     bits at equal discrepancy
    limen feature quantise RUN --eps .05 --rho .1  bytes at a kept promise
    """
    if promise:
        _alone(("--budget", budget), ("--map", labels))
        _bytes(run, promise, split(steps), where, as_json)
        return
    _beside(("--steps", steps))
    from limen.feature.course import budgets_for
    from limen.feature.run import FeatureRun
    from limen.feature.stages import equal_rates, quantise
    from limen.report import feature_tables

    with FeatureRun.open(run, **where) as opened, telling("quantising") as tell:
        budgets = _numbers("--budget", budget) if budget else budgets_for(opened.operations)
        rows = quantise(opened, budgets, tell, split(labels), not budget, _expecting("This"))
        equal = equal_rates(opened)
    manifest = opened.store.manifest
    tables = [feature_tables.rates(manifest, rows), feature_tables.equal_rates(manifest, equal)]
    print_short(as_json, lambda: rows, tables, "What it takes", whole)


@feature.command("anchor")
@RUN
@click.option("--codec", "codecs", default="", help="Comma-separated codecs of pictures; all if not given.")
@click.option("--steps", default="", help="Comma-separated KIND or KIND:MAP, or auto; static:fisher if not given.")
@promising
@located
@JSON
def anchor(
    run: Path, codecs: str, steps: str, promise: Asked | None, where: dict[str, Any], as_json: bool
) -> None:  # fmt: skip
    """Hold features against sending the picture: bytes at a promise, BD-rate.

    Beside both stand plain integers of 8 and 4 bits, and what the sender takes.
    The promise is the run's own, or that of --eps. Pictures are coded as the
    network sees them: jpeg, jpeg-444, webp, avif, avif-444, jpeg2000,
    webp-lossless.

    \b
    limen feature anchor RUN
    limen feature anchor RUN --eps .05 --rho .1 --codec webp,webp-lossless
    """
    from limen.feature import stages
    from limen.feature.anchors import anchor
    from limen.feature.run import FeatureRun
    from limen.report import feature_anchors
    from limen.store.rows import measured

    with FeatureRun.open(run, **where) as opened, telling("sending features and pictures") as tell:
        wanted = stages.promised(opened, *(promise or (opened.plan.eps,)))
        kinds = [_settled(opened, wanted, one, (), tell) for one in split(steps)]
        rows = anchor(opened, wanted, split(codecs), kinds, progress=tell, expect=_expecting("The next part"))
        stored = {name: list(measured(opened.store, name).values()) for name in ANCHORED}
    rates, points, sender, times = (stored[name] for name in ANCHORED)
    names = {row["who"] for row in rows}
    rates = [row for row in rates if row["who"] in names]
    if not as_json:
        print_sentences([feature_anchors.beside(rows, sender).sentence])
    data = {"anchor": rows, "bd-rate": rates, "sender": sender, "sender-time": times}
    tables = [
        feature_anchors.table(opened.store.manifest, rows, rates, sender, times),
        feature_anchors.integers(opened.store.manifest, rows, points),
    ]
    print_result(as_json, lambda: data, lambda: tables)


@feature.command("attribute")
@RUN
@click.option("--images", type=COUNT, default=100, show_default=True, help="How many test images to use.")
@located
@JSON
def attribute(run: Path, images: int, where: dict[str, Any], as_json: bool) -> None:
    """Measure whether maps spare what matters: energy inside objects, rank correlation with attribution."""
    from limen.feature.stages import attribute
    from limen.report.feature_tables import attributions

    def attributed(manifest: Mapping[str, Any], rows: list[dict[str, Any]]) -> "list[Table]":
        return [attributions(manifest, rows)]

    _stage(run, where, as_json, lambda opened, tell: attribute(opened, images, tell, _expecting("This")), attributed)


@feature.command("export")
@RUN
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder to write, for the sender and the receiver."
)
@click.option(
    "--steps",
    default="static:fisher",
    show_default=True,
    help="KIND or KIND:MAP, any of the run's; with --eps also auto: the fewest bytes on fitting images.",
)
@click.option(
    "--budget", type=FiniteRange(0, 1e6), default=None, help=f"Noise budget, as an NRMSE; {BUDGET} without --eps."
)
@promising
@click.option(
    "--seed",
    type=CountRange(0, 2**63 - 1),
    default=0,
    show_default=True,
    help="The seed whose map and images are used.",
)
@located
def export(
    run: Path, out: Path, steps: str, budget: float | None, promise: Asked | None, seed: int, where: dict[str, Any]
) -> None:
    """Write a quantiser: what sender and receiver of features need.

    \b
    limen feature export RUN --out q --budget .45        of this nominal noise
    limen feature export RUN --out q --eps .05 --rho .1  the coarsest to keep it
    """
    from limen.feature import stages
    from limen.feature.run import FeatureRun
    from limen.report.feature_tables import promise_told

    if promise:
        _alone(("--budget", budget))
    with telling("fitting the quantiser") as tell, FeatureRun.open(run, **where) as opened:
        if promise:
            wanted = stages.promised(opened, *promise)
            steps = _settled(opened, wanted, steps, (seed,), tell)
            rows = stages.promise(opened, wanted, [steps], [seed], tell, _expecting("Looking for it"))
            made = stages.keeping_quantiser(opened, wanted, steps, seed)
            kept = [row for row in rows if row["steps"] == steps]
        elif steps == stages.AUTO:
            raise InputError("Steps are chosen by their bytes at a promise, and none was asked for. Give --eps too.")
        else:
            made, kept = stages.quantiser(opened, steps, BUDGET if budget is None else budget, seed), []
        made.save(out)
    if kept:
        print_sentences([promise_told(kept)])
    told = ", and the map's file beside the run" if made.steps.dynamic and made.steps.tolerance else ""
    say(f"{out}: quantiser.json, quantiser.safetensors. The sender needs them{told}; the receiver only them.")


@feature.command("demo")
@demo_places("runs/features", "features.html")
@click.option(
    "--seeds",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="How many seeds; three show how certain the figures are.",
)
@DEVICE
def demo(out: Path, page: Path, seeds: int, device: str) -> None:
    """Measure the small networks that ship with limen on scenes drawn here, and write a report."""
    from limen.feature import stages
    from limen.feature.course import BUDGETS
    from limen.feature.data.parts import SubsetSizes
    from limen.feature.plan import MAPS, FeaturePlan
    from limen.feature.run import FeatureRun
    from limen.feature.stages import attribute, calibrate, evaluate, quantise
    from limen.report import files
    from limen.report.report import Report, check_extra

    check_extra()
    files.check(page, remedy="Give another --report.")
    maps = {label: MAPS[label] for label in DEMO_MAPS}
    runs = []
    for name, path in DEMO.items():
        plan = FeaturePlan(f"demo:{name}", path, seeds=seeds, sizes=SubsetSizes(200, 99, 150), maps=maps)
        with FeatureRun.begin(out / name, plan, device) as run, telling(name) as tell:
            stages.fit(run, tell)
            calibrate(run, tell)
            evaluate(run, (0.25, 0.5, 1.0, 1.5), tell)
            quantise(run, BUDGETS, tell, further=True)
            stages.promise(run, stages.promised(run, run.plan.eps), DEMO_STEPS, progress=tell)
            attribute(run, 60, tell)
        runs.append(out / name)
    with working("drawing the report"), Report.open(runs) as made:
        made.page(page)
        screens = made.features.screens if made.features else ()
    for screen in screens:
        print_sentences((f"{screen.verdict[0]}: {screen.verdict[1]}.", screen.sentence))
    say(f"Report: {page} (open it in a browser)")


@feature.command("splits")
@click.option("--model", required=True, help=MODEL_HELP)
@WEIGHTS
@PREPARE
@click.option("--task", default="classification", show_default=True, help=TASK_HELP)
@click.option("--data", default="scenes", show_default=True, help="Images to search with, and to measure on.")
@click.option("--search", "searching", is_flag=True, help="Search, though the family of the network is known.")
@click.option("--sweep", "sweeping", is_flag=True, help="Measure each: what is computed and sent, what noise costs.")
@click.option(
    "--images", type=COUNT, default=32, show_default=True, help="How many images --sweep takes, of each part."
)
@promising
@REVISION
@TRUST
@DEVICE
@JSON
def splits(
    model: str, weights: str, prepare: tuple[str, ...], task: str, data: str, searching: bool, sweeping: bool,
    images: int, promise: Asked | None, revision: str, trust: str, device: str, as_json: bool,
) -> None:  # fmt: skip
    """List sensible splits of a network: of known families by a list, of others by a search.

    \b
    limen feature splits --model demo:resnet --sweep
    limen feature splits --model demo:resnet --sweep --eps .05 --rho .1
    """
    from limen.report import feature_tables

    if promise and not sweeping:
        raise InputError("--eps asks for bytes at a promise, which --sweep measures. Give --sweep as well.")

    with working("loading the network") as now:
        from limen.feature import task as tasks
        from limen.feature.data.parts import SubsetSizes, parts
        from limen.feature.model.known_splits import search, sensible
        from limen.feature.model.network import NetworkSource, load
        from limen.feature.model.preparation import parse
        from limen.feature.run import CHECKED
        from limen.feature.sweep import sweep

        source = NetworkSource(model, revision, weights, parse(prepare) if prepare else None, trust)
        network = load(source, tasks.find(task), device)
        known = tasks.find(task).of(network)
        found = [] if searching else sensible(network.model)
        listed = bool(found)
        if sweeping or not listed:
            few, others = max(images if sweeping else 0, CHECKED), images if promise else 1
            some = parts(data, known, network, 0, SubsetSizes(few, others, others), labelled=False)
        if not listed:
            now("searching its blocks")
            found = search(network.model, some.fit.batch(range(CHECKED)).images, known.outputs)
    if not sweeping:
        print_result(as_json, lambda: found, lambda: [feature_tables.splits(network.name, found, listed, data)])
        return
    with telling("measuring") as tell:
        kept = promise and _promise(known, promise, images)
        costs = sweep(network, known, found, some, kept, progress=tell)
    table = feature_tables.swept(network.name, costs, known.discrepancy_name, data, str(kept or ""))
    print_result(as_json, lambda: costs, lambda: [table])


def _promise(task: "Task", promise: Asked, n: int) -> "Promise":
    """Return a promise as it is for a task and so many images, where there is no run to say the rest of it."""
    from limen.feature.calibration import Bound
    from limen.feature.quantisation.promise import DELTA, Promise

    eps, rho, drop = promise
    made = Promise(drop or next(iter(task.drops)), eps, 0.1 if rho is None else rho, DELTA, n)
    Bound(made.drop, eps).check(task)
    return made


@contextlib.contextmanager
def _replicas(place: "Placement | None", device: str) -> "Iterator[tuple[Replicas | None, str]]":
    """Connect to Ray while the block runs; yield a command's replicas, None without --ray, and its own device.

    A replica without a GPU has as many threads as the command, and as many CPUs: other numbers of threads give other
    roundings. The command itself needs no GPU where its replicas have.

    Args:
        place: from --ray.
        device: from --device.
    """
    if place is None:
        yield None, device
        return
    import torch

    if device.startswith("cuda") and (not place.gpus or device != "cuda"):
        raise InputError(
            f"--device {device}: on Ray a replica has the GPU that Ray gives it. Give --gpus 1, and leave --device out."
        )
    if device == "cpu" and place.gpus:
        raise InputError(f"--device cpu needs none of --gpus {place.gpus:g}. Leave one of them out.")
    if place.gpus:
        with replicas(place) as where:
            yield where, "auto"
    else:
        with replicas(replace(place, cpus=torch.get_num_threads())) as where:
            yield where, "cpu"


def _crew(
    run: "FeatureRun", where: "Replicas | None", trust: str
) -> "contextlib.AbstractContextManager[RunCrew | None]":
    """Return what makes a run's replicas for a block; None without --ray."""
    from limen.feature import spread

    if where is None:
        return contextlib.nullcontext()
    return spread.crew(run, where, "cuda" if where.place.gpus else "cpu", trust)


def _stage(
    path: Path,
    where: dict[str, Any],
    as_json: bool,
    measure: "Callable[[FeatureRun, Callable[[int, int, str], None]], list[dict[str, Any]]]",
    tables: "Callable[[Mapping[str, Any], list[dict[str, Any]]], Iterable[Table]]",
) -> None:
    from limen.feature.run import FeatureRun

    with FeatureRun.open(path, **where) as run, telling("measuring") as tell:
        rows = measure(run, tell)
    print_result(as_json, lambda: rows, lambda: tables(run.store.manifest, rows))


def _bytes(path: Path, promise: Asked, steps: list[str], where: dict[str, Any], as_json: bool) -> None:
    """Print what a promise costs in bytes, all seeds."""
    from limen.feature import stages
    from limen.feature.run import FeatureRun
    from limen.report import feature_tables

    with FeatureRun.open(path, **where) as opened, telling("looking for the coarsest quantisers") as tell:
        wanted = stages.promised(opened, *promise)
        steps = [_settled(opened, wanted, one, (), tell) for one in steps]
        rows = stages.promise(opened, wanted, steps, progress=tell, expect=_expecting("This"))
    print_result(as_json, lambda: rows, lambda: [feature_tables.promises(opened.store.manifest, rows)])


def _settled(run: "FeatureRun", promise: "Promise", steps: str, seeds: tuple[int, ...], tell: Any) -> str:
    """Return the steps that were asked for, or those that are chosen where the choice was left to limen; and say it."""
    from limen.feature import stages

    if steps != stages.AUTO:
        return steps
    found = stages.choose(run, promise, seeds, tell)
    first, *others = found
    next_best = "; ".join(f"{name} {found[name]:,.0f}" for name in others[:3])
    say(
        f"Chosen: {first} with {found[first]:,.0f} bytes a fitting image where as many fail as may, among {len(found)} "
        f"kinds of steps (next: {next_best}).",
        err=True,
    )
    return str(first)


def _alone(*others: tuple[str, Any]) -> None:
    """Refuse what cannot stand beside --eps."""
    for option, value in others:
        if value not in (None, ""):
            raise InputError(
                f"{option} cannot stand beside --eps, which finds the budget by itself. Leave one of them out."
            )


def _beside(*others: tuple[str, Any]) -> None:
    """Refuse what belongs to --eps, where it is not given."""
    for option, value in others:
        if value not in (None, ""):
            raise InputError(
                f"{option} {value} belongs to a promise, and none was asked for. Give --eps too, or leave it out."
            )


def _expecting(what: str) -> "Callable[[float], None]":
    """Return what says, before a stage begins, how long it takes here."""
    from limen.feature.course import spoken

    return lambda seconds: say(f"{what} takes about {spoken(seconds)} here.", err=True)


def _plan(given: dict[str, Any]) -> "tuple[FeaturePlan, frozenset[str]]":
    """Return the plan that was asked for, and what of it was not."""
    from limen.feature.data.parts import PARTS, SubsetSizes
    from limen.feature.model.preparation import parse
    from limen.feature.plan import FeaturePlan

    counts = {part: given.pop(f"images_{part}") for part in PARTS} | {"seeds": given.pop("seeds")}
    left = frozenset(name for name, count in counts.items() if count is None)
    asked = {name: count for name, count in counts.items() if name not in left}
    sizes = replace(SubsetSizes(), **{part: asked.pop(part) for part in PARTS if part in asked})
    maps: dict[str, tuple[str, dict[str, Any]]] = {}
    for text in given.pop("maps"):
        label, what = _map(text)
        if label in maps:
            raise InputError(
                f"Two maps are called {label!r}. Give one of them a label of its own: --map mine={what[0]},..."
            )
        maps[label] = what
    words = given.pop("prepare")
    return FeaturePlan(**given, **asked, sizes=sizes, maps=maps, prepare=parse(words) if words else None), left


def _map(text: str) -> tuple[str, tuple[str, dict[str, Any]]]:
    """Read [LABEL=]NAME[,KEY=VALUE...]; a NAME among the default maps stands for that map, changed as is written."""
    from limen.feature.plan import MAPS

    head, *rest = split(text)
    label, _, name = head.rpartition("=")
    settings: dict[str, Any] = {}
    for item in rest:
        key, equals, value = item.partition("=")
        if not equals:
            raise InputError(
                f"--map {text!r}: {item!r} is no KEY=VALUE. Write fisher,over=channel or my=fisher,power=-1."
            )
        settings[key] = value
    kind, own = MAPS.get(name, (name, {}))
    if settings.get("objective", own.get("objective")) != own.get("objective"):
        own = {}  # of training for something else
    return label or name, (kind, {**own, **settings})


def _numbers(option: str, text: str) -> list[float]:
    try:
        found = sorted({float(part) for part in split(text)})
    except ValueError:
        found = []
    if not found or not all(0 < number < math.inf for number in found):
        raise InputError(f"{option} takes numbers above 0 with commas between, not {text!r}: {option} 0.25,0.5,1")
    return found
