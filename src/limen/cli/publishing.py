"""The paper's own numbers, and what a careful reader adds to them."""

from limen.cli.group import JSON, main
from limen.printing import print_json, print_table


@main.command()
@JSON
def published(as_json: bool) -> None:
    """Analyse the paper's published JNDs as a run is: averages, ranks, correlations, prompting, backbones."""
    from limen.published import analysed
    from limen.report import relations

    found = analysed()
    if as_json:
        print_json(relations.published_records(found))
        return
    for table in relations.published(found):
        print_table(table)
