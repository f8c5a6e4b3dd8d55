"""The paper's own numbers, and what a careful reader adds to them."""

from limen.cli.console import print_result
from limen.cli.group import JSON, main


@main.command()
@JSON
def published(as_json: bool) -> None:
    """Analyse the paper's published JNDs as a run is: averages, ranks, correlations, prompting, backbones."""
    from limen.analysis.paper import analysed
    from limen.report import correlations

    found = analysed()
    print_result(as_json, lambda: correlations.published_records(found), lambda: correlations.published(found))
