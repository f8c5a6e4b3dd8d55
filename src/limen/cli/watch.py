"""A page that says how far runs are: watch."""

from pathlib import Path

import click

from limen.cli.group import main
from limen.errors import InputError
from limen.stopping import StopSignal


@main.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port that the page is served at (one that is free)."
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Name of this machine for itself: 127.0.0.1, localhost or ::1.",
)
@click.option("--price", metavar="RATES", help="What a million tokens cost you, in any currency: in=2.5,out=10.")
@click.option("--open", "opened", is_flag=True, help="Open the page in a browser.")
def watch(runs: tuple[Path, ...], port: int, host: str, price: str | None, opened: bool) -> None:
    """Show runs that are under way on a page of this machine: progress, cost, thresholds so far, the last answers.

    It only looks: the runs wait for nothing, and no file is made. RUNS need not be there yet. Ctrl-C ends it, and
    leaves the runs alone.
    """
    try:
        _serve(runs, port, host, price, opened)
    except StopSignal:
        raise
    except KeyboardInterrupt:
        click.echo(err=True)  # behind the terminal's ^C


def _serve(runs: tuple[Path, ...], port: int, host: str, price: str | None, opened: bool) -> None:
    import webbrowser

    from limen.loop import finish
    from limen.spending import Price
    from limen.store import names_of
    from limen.web import server
    from limen.web.watch import RunWatch

    for run in runs:
        if run.is_file():
            raise InputError(f"{run} is a file, not a run directory. Give the --out of a `limen measure`.")
    server.check_host(host, port)
    rates = Price.of(price) if price is not None else None
    token = server.new_token()
    name = f"[{host}]" if ":" in host else host

    def ready(at: int) -> None:
        address = f"http://{name}:{at}/{token}/"
        click.echo(address)
        click.echo(f"From another machine: ssh -L {at}:{name}:{at} THIS-MACHINE. Ctrl-C ends it.", err=True)
        if opened and not webbrowser.open(address):
            click.echo("No browser could be opened here: open the address yourself.", err=True)

    page = server.application(token, {"state.json": RunWatch(names_of(runs), rates).state})
    finish(server.serve(page, host, port, ready))
