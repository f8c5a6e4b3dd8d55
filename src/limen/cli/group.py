"""The group that commands join, and what several of them share."""

import click


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="limen")
def main() -> None:
    """Measure just noticeable differences of machine vision.

    \b
    limen demo                                     try it: no model, no network, no photographs needed
    limen measure --images photos/ --distortion blur,jpeg --observer openai:MODEL --out runs/a
    limen report runs/a --out report.html
    """


JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]
