"""The paper's own numbers, and what a careful reader adds to them."""

from limen.cli.console import print_short
from limen.cli.group import ALL, JSON, main, working


@main.command()
@ALL
@JSON
def published(whole: bool, as_json: bool) -> None:
    """Analyse the paper's published JNDs as a run is: averages, ranks, correlations, prompting, backbones."""
    with working("working out the paper's numbers"):
        from limen.analysis.paper import analysed
        from limen.report import correlations

        found = analysed()
        tables = correlations.published_tables(found)
    print_short(as_json, lambda: correlations.published_records(found), tables, "1st JND by part", whole)
