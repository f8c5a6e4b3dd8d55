"""Which level is safe: safe."""

from contextlib import ExitStack
from pathlib import Path

import click

from limen.cli.console import print_result, print_sentences
from limen.cli.group import JSON, PLUGIN, FiniteRange, main, working
from limen.errors import InputError


@main.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--rho",
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    help="Share of new photographs that may be noticed, or answered otherwise.",
)
@JSON
@PLUGIN
def safe(runs: tuple[Path, ...], rho: float, as_json: bool) -> None:
    """Say up to which level new photographs go unnoticed, or are answered as they were; of codecs, what that saves."""
    from limen.analysis import analyse
    from limen.analysis.merge import joined, renamed
    from limen.analysis.safe import safe_levels
    from limen.report import observers
    from limen.report import safe as report
    from limen.report.format import plain
    from limen.store import Store, bundle, names_of

    with working("reading answers"), ExitStack() as stack:
        named = names_of(bundle.unpacked(runs, stack))
        stores = {name: stack.enter_context(Store.open(path)) for path, name in named.items()}
        apart = renamed({name: analyse(store) for name, store in stores.items()})
        analysis = joined(apart)
        rows = safe_levels(apart, (rho,), tuple(stores.values()))
    if not rows:
        raise InputError(
            f"No first JND in these runs (procedure {analysis.manifest.procedure['name']}), which a safe level is made "
            "of. Measure with scan, skip, certify or bisect, on a ladder of several levels."
        )
    quoted = report.sentences(analysis, rows)
    print_result(
        as_json,
        lambda: {
            "safe": [{**plain(row), "sentence": sentence} for row, sentence in zip(rows, quoted, strict=True)],
            "warnings": observers.warnings(analysis),
        },
        lambda: [observers.noted(analysis, report.table(analysis, rows))],
    )
    if not as_json:
        levels = [sentence for row, sentence in zip(rows, quoted, strict=True) if row.level is not None]
        print_sentences(levels)  # why there is none stands below the table
