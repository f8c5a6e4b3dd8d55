"""Data sets: plan, build, verify."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from limen.cli.console import print_json, print_table, say
from limen.cli.group import JSON, SEED, CountRange, left_out, main, on_ray, replicas, split, telling, working
from limen.errors import InputError, MissingExtraError, UnknownNameError

if TYPE_CHECKING:
    from limen.datasets.build import BuildResult
    from limen.datasets.vpa_jnd import PartOnDisk, SourcePlaces
    from limen.scale.cluster import Placement

SOURCE = click.option("--source", "sources", multiple=True, metavar="NAME=PATH", help="Where a source lies; repeat it.")
PHOTOGRAPHS = click.option(
    "--photographs", multiple=True, metavar="PLACE", help="Other photographs in place of KonJND-1k's: a folder, demo."
)


@main.group()
def dataset() -> None:
    """Build published data sets from their sources: VPA-JND (vpa-jnd)."""


@dataset.command("plan")
@click.argument("name")
@SOURCE
@PHOTOGRAPHS
@JSON
def plan(name: str, sources: tuple[str, ...], photographs: tuple[str, ...], as_json: bool) -> None:
    """Show a data set part by part: what was published, what can be had, what is on disk, and each licence."""
    from limen.datasets import vpa_jnd as datasets

    given = datasets.SourcePlaces.parse(sources, photographs, name)
    with telling("reading references") as counted:
        held = datasets.survey(datasets.find(name), given, progress=lambda reference: counted(), strict=False)
    if as_json:
        print_json(_plain(name, held, given))
        return
    _print_plan(name, held, given)
    _refused(held)


@dataset.command("build")
@click.argument("name")
@click.option("--part", "parts", default="", help="Comma-separated; all that can be made if not given.")
@SOURCE
@PHOTOGRAPHS
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of shards; the same one resumes.")
@click.option(
    "--format", "form", default="parquet", show_default=True, help="parquet (for datasets) or webdataset (tar)."
)
@click.option("--workers", type=click.IntRange(1, 1024), default=1, show_default=True, help="How many processes.")
@click.option(
    "--shard", "share", default="1/1", metavar="I/N", help="Only every N-th shard from the I-th: a job array."
)
@on_ray(gpus=False)
@click.option("--limit", type=CountRange(0), default=0, help="At most so many references a part (0: all).")
@click.option("--seed", type=SEED, default=0, help="Seed of the random draws of stimuli.")
@click.option(
    "--shard-stimuli", type=CountRange(1), default=1_000, show_default=True, help="About so many stimuli in each shard."
)
@JSON
def build(
    name: str, out: Path, form: str, workers: int, limit: int, seed: int, place: "Placement | None", as_json: bool,
    **given: Any,
) -> None:  # fmt: skip
    """Write the parts that can be made, as shards that resume and do not depend on who writes them.

    With --ray the nodes see --out and the sources under the same paths.
    """
    from limen.datasets import build as building
    from limen.datasets import vpa_jnd as datasets

    if place is not None and click.get_current_context().get_parameter_source("workers") is ParameterSource.COMMANDLINE:
        raise InputError(
            f"--workers {workers} are processes here, and --ray works on a cluster. Give one of them: --workers N, or "
            "--ray --replicas N."
        )
    places = datasets.SourcePlaces.parse(given["sources"], given["photographs"], name)
    wanted = datasets.chosen(name, split(given["parts"]))
    share = _share(given["share"])
    _can_write(form)
    left = [part for part in wanted if not places.places(part)]
    if left and given["parts"]:
        raise InputError(datasets.missing(left[0]))
    with replicas(place) as where:
        with telling("reading references") as counted:
            held = datasets.survey(wanted, places, limit, seed, lambda reference: counted(), strict=False)
        _spared(held, named=bool(given["parts"]))
        work = building.plan(name, held, format=form, limit=limit, seed=seed, stimuli=given["shard_stimuli"])
        with telling("stimuli") as counted:
            done = building.build(out, work, workers, share, counted, where)
    _refused(held)
    for line in (*map(datasets.missing, left), *_faults(held)):
        say(f"not made: {line}", err=True)
    if as_json:
        print_json({key: getattr(done, key) for key in done.__slots__} | {"out": str(out)})
        return
    say(f"{_said(done)} Check them: limen dataset verify {shlex.quote(str(out))}")


def _can_write(form: str) -> None:
    """Refuse a format before any reference is read, which may take minutes."""
    from limen.datasets.shard import SUFFIXES, pyarrow

    if form not in SUFFIXES:
        raise UnknownNameError("format", form, SUFFIXES)
    if form == "parquet":
        pyarrow()


def _spared(held: "tuple[PartOnDisk, ...]", named: bool) -> None:
    """Raise the first fault, but for libraries that are missing for parts nobody named where others can be made."""
    some = any(one.series for one in held)
    for one in held:
        if one.fault and (named or not some or not isinstance(one.fault, MissingExtraError)):
            raise one.fault


def _faults(held: "tuple[PartOnDisk, ...]") -> list[str]:
    """Return why places could not be read, one line for all parts that drew on one."""
    lines: dict[str, list[str]] = {}
    for one in held:
        if one.fault:
            lines.setdefault(str(one.fault), []).append(one.part.name)
    return [f"{', '.join(names)}: {line}" for line, names in lines.items()]


def _said(done: "BuildResult") -> str:
    equal = ", ".join(f"{part} {count:,}" for part, count in done.left_out.items())
    none = f" ({sum(done.left_out.values()):,} more look like their reference and were left out: {equal})" * bool(equal)
    return (
        f"{_many(done.written, 'shard')} written, {done.kept:,} {'was' if done.kept == 1 else 'were'} there: "
        f"{_many(done.stimuli, 'stimulus', 'stimuli')}{none}, {done.bytes / 1e6:,.1f} MB, "
        f"{done.core_seconds:,.1f} core seconds, {done.seconds:,.1f} s."
    )


def _many(count: int, one: str, more: str = "") -> str:
    return f"{count:,} {one if count == 1 else more or one + 's'}"


@dataset.command("verify")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--samples", type=CountRange(0), default=4, show_default=True, help="How many rows of each shard to check."
)
@click.option("--deep", is_flag=True, help="Check the pixels of every row.")
@JSON
def verify(folder: Path, samples: int, deep: bool, as_json: bool) -> int:
    """Find shards that are missing, cut or altered, and what does not belong there; exit code 1 if there is any."""
    from limen.datasets import build as building

    with working("checking shards"):
        faults = building.verify(folder, samples, deep)
    command = building.repair(folder) if any(fault.mends for fault in faults) else ""
    if as_json:
        print_json({"faults": faults, "repair": command})
    elif not faults:
        shards = len(building.read_manifest(folder)["shards"])
        click.echo(f"{_many(shards, 'shard')}: all there and as built.")
    else:
        for fault in faults:
            say(str(fault))
        if command:
            say(f"Repair: {command}", err=True)
    return 1 if faults else 0


def _share(text: str) -> tuple[int, int]:
    first, _, second = text.partition("/")
    if not (first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second)):
        raise InputError(f"--shard takes I/N, 1 <= I <= N, not {text!r}: --shard 1/8 for the first of eight jobs.")
    return int(first), int(second)


def _refused(held: "tuple[PartOnDisk, ...]") -> None:
    left_out(list(dict.fromkeys(line for one in held for line in one.refused)))


def _print_plan(name: str, held: "tuple[PartOnDisk, ...]", given: "SourcePlaces") -> None:
    from limen.datasets.vpa_jnd import total
    from limen.report.format import Table

    rows = []
    for one in held:
        part = one.part
        found = (f"{one.count.references:,}", f"{one.count.stimuli:,}") if one.given else (_state(one), "")
        counts = (part.paper.references, part.paper.stimuli, part.public.references, part.public.stimuli)
        rows.append((part.name, part.source, *(f"{count:,}" for count in counts), *found))
    sums = [total((one.part.pool, getattr(one.part, which)) for one in held) for which in ("paper", "public")]
    here = total((one.part.pool, one.count) for one in held)
    rows.append(("total", "", *(f"{n:,}" for s in (*sums, here) for n in (s.references, s.stimuli))))
    notes = [f"{one.part.name}: {_gap(one)}" for one in held if one.part.gap]
    notes += ["References that several parts share count once in the total. On disk an edit is a series of its own."]
    notes += _faults(held)
    if any(one.stands_in for one in held):
        notes += ["Other photographs stand in for KonJND-1k's: those parts are not the paper's stimuli."]
    columns = ("part", "source", "references", "stimuli", "public refs", "public stimuli", "series on disk", "stimuli")
    title = f"{name}: the paper's counts, what can be had, what is here"
    print_table(Table(title, columns, tuple(rows), tuple(notes), spare=("source", "stimuli", "public stimuli")))
    print_table(Table("Sources", ("source", "licence", "published at", "how to get it"), _sources(held), heads=4))


def _state(one: "PartOnDisk") -> str:
    if isinstance(one.fault, MissingExtraError):
        return f"needs the extra {one.fault.extra}"
    return "cannot be read" if one.fault else "not on disk"


def _gap(one: "PartOnDisk") -> str:
    paper, public = one.part.paper, one.part.public
    if paper == public:
        return f"{one.part.gap}."
    references, stimuli = paper.references - public.references, paper.stimuli - public.stimuli
    return f"{references:,} references and {stimuli:,} stimuli are missing: {one.part.gap}."


def _sources(held: "tuple[PartOnDisk, ...]") -> tuple[tuple[str, ...], ...]:
    from limen import source

    names = [one.part.source for one in held]
    names += [series.reference.source for one in held if one.stands_in for series in one.series]
    every = [source.find(name) for name in dict.fromkeys(names)]
    return tuple((one.name, one.licence or "none stated", one.where, one.get) for one in every)


def _plain(name: str, held: "tuple[PartOnDisk, ...]", given: "SourcePlaces") -> dict[str, Any]:
    from dataclasses import asdict

    from limen.datasets.vpa_jnd import total

    parts = [
        {
            "name": one.part.name, "source": one.part.source, "distortion": one.part.distortion,
            "paper": asdict(one.part.paper), "public": asdict(one.part.public), "gap": one.part.gap,
            "on_disk": {"series": one.count.references, "stimuli": one.count.stimuli} if one.given else None,
            "other_photographs": one.stands_in, "refused": one.refused, "fault": str(one.fault or ""),
        }
        for one in held
    ]  # fmt: skip
    sums = {w: asdict(total((one.part.pool, getattr(one.part, w)) for one in held)) for w in ("paper", "public")}
    words = ("name", "licence", "where", "get")
    sources = [dict(zip(words, row, strict=True)) for row in _sources(held)]
    return {"dataset": name, "parts": parts, "total": sums, "sources": sources}
