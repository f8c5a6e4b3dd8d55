"""A paper's supplement: bundle, verify."""

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from limen.cli.console import notice, print_json, say
from limen.cli.group import JSON, MOST, PLUGIN, main, working
from limen.errors import InputError, LimenError

if TYPE_CHECKING:
    from limen.report.verify import Verification

FEW = 5  # things that a warning names


@main.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The file, e.g. supplement.zip.")
@click.option("--anonymous", is_flag=True, help="Leave out names of references, times of day, failures' texts.")
@JSON
@PLUGIN
def bundle(runs: tuple[Path, ...], out: Path, anonymous: bool, as_json: bool) -> None:
    """Write runs into one file to publish beside a paper: every answer, every number, no pictures, no paths."""
    from limen.report import bundle as supplement
    from limen.report import files
    from limen.report.format import plain

    files.check(out)
    with working("reading answers") as now:
        made = supplement.write(runs, out, anonymous, now, _processes())
    if as_json:
        print_json(plain(made) | {"path": str(made.path)})
        return
    click.echo(
        f"{out}: {', '.join(made.runs)}; {made.answers:,} answers, {made.numbers:,} numbers, {made.bytes:,} bytes"
    )
    click.echo(f"Digest, to be quoted: {made.digest}")
    if made.replaced:
        notice(f"{out} was there and is replaced; its digest was {made.replaced}.")
    if made.suspects:
        more = f" and {len(made.suspects) - FEW:,} more (--json lists all)" if len(made.suspects) > FEW else ""
        notice(
            f"Warning: it still has what looks like a path, host or user: {', '.join(made.suspects[:FEW])}{more}. "
            "Look through it before you publish it."
        )
    notice(f"Check it as readers will: limen verify {out}")


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--digest", help="The digest that the paper quotes, or its first 16 digits or more.")
@click.option(
    "--against", multiple=True, type=click.Path(path_type=Path),
    help="The run it was made from: its rows are compared, too; one for each run of the bundle, in order.",
)  # fmt: skip
@click.option("--images", multiple=True, help="Its photographs, as measure takes them: stimuli are drawn again.")
@JSON
@PLUGIN
def verify(file: Path, digest: str | None, against: tuple[Path, ...], images: tuple[str, ...], as_json: bool) -> int:
    """Work out every number of a bundle from its raw answers, and say what differs."""
    from limen.report import verify as supplement

    try:
        if digest is not None and (len(digest) < 16 or not set(digest.lower()) <= set("0123456789abcdef")):
            raise InputError(f"--digest is {digest[:80]!r}. Give 16 to 64 hexadecimal digits of it.")
        with working("reading") as now:
            found = supplement.verify(file, against, images, note=now, processes=_processes())
    except LimenError as error:
        if not as_json:
            raise
        print_json({"sound": False, "bundle": file.name, "error": str(error)})
        return 1
    quoted = digest is None or found.digest.startswith(digest.lower())
    if as_json:
        print_json(found.record() | {"sound": found.sound and quoted, "quoted": None if digest is None else quoted})
    else:
        _tell(found, digest, quoted)
    return 0 if found.sound and quoted else 1


def _tell(found: "Verification", digest: str | None, quoted: bool) -> None:
    from limen.report.differing import told

    if not found.sound:
        say(found.conclusion)
    ordered = told(found.differences)
    shown = [one for one in ordered if one.what != "number"] or ordered
    for difference in shown[:MOST]:
        say(str(difference))
    if rest := Counter(
        "number" if one.what == "number" else "difference" for one in [*shown[MOST:], *ordered[len(shown) :]]
    ):
        say(f"... and {', '.join(f'{n:,} {what}' + 's' * (n != 1) for what, n in rest.items())} (--json has all).")
    if not quoted:
        say(
            f"digest of the bundle: quoted {digest}, found {found.digest}. It is not the file that the paper speaks of."
        )
    for line in found.notes:
        say(f"Note: {line}")
    if not found.sound:
        return
    redrawn = f" The keys of {found.stimuli:,} questions fit the stimuli drawn again." if found.stimuli else ""
    say(
        f"{found.path} ({', '.join(found.runs)}): {found.rows:,} rows, {found.answers:,} of them answers, as they "
        f"were bundled. Worked out again, and the same: {found.verdicts:,} verdicts, {found.thresholds:,} thresholds, "
        f"{found.numbers:,} numbers.{redrawn}"
    )
    for line in found.unchecked:
        say(f"Not checked: {line}")
    if digest is None:
        say(f"Digest: {found.digest}. Compare it with the one in the paper: only that tells a bundle made anew.")
    elif quoted:
        say(f"Digest: {found.digest}, as quoted.")


def _processes() -> int:
    return min(8, os.cpu_count() or 1)
