"""People beside models: people."""

from pathlib import Path
from typing import Any

import click

from limen.cli.console import notice
from limen.cli.group import PLUGIN, CountRange, FiniteRange, main
from limen.stopping import StopSignal

ABOUT = (
    "The page is open to everybody who can reach this machine at {host}, over plain HTTP: who can read the network "
    "reads links and answers. Behind a proxy with HTTPS leave --host away and give --address https://..."
)


@main.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Run directory; the same one goes on.")
@click.option("--participants", type=CountRange(1), default=50, show_default=True, help="Who may take part, at most.")
@click.option(
    "--minutes", type=FiniteRange(0, 600, min_open=True), help="Length of a sitting; series are dealt to fit."
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen at; 0.0.0.0 opens the page to the network.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the page (as before, or a free one).")
@click.option("--address", metavar="URL", default="", help="What links begin with, where a proxy stands in front.")
@click.option("--withdraw", metavar="ALIAS", help="Take a participant and all of theirs out of the run, for good.")
@click.option("--yes", is_flag=True, help="With --withdraw: do not ask whether you are sure.")
@click.option("--open", "opened", is_flag=True, help="Open the owner's page in a browser.")
@PLUGIN
def people(study: Path, out: Path, **given: Any) -> None:
    """Ask people what a study file asks models: a page in which each participant does the very same series.

    Prints two links: the invitation, to be given to participants, and one for you. Everything is kept as it comes;
    Ctrl-C ends it, the same command goes on, and links stay as they are. The table [people] of the study file says how
    people are asked. limen report shows people beside models.
    """
    alias, sure = given.pop("withdraw"), given.pop("yes")
    if alias is not None:
        _withdraw(out, alias, sure)
        return
    try:
        _serve(study, out, **given)
    except StopSignal:
        raise
    except KeyboardInterrupt:
        click.echo(err=True)  # behind the terminal's ^C


def _withdraw(out: Path, alias: str, sure: bool) -> None:
    from limen.people.lab import withdraw

    def confirm() -> None:
        click.confirm(f"Delete all that {alias} has answered from {out}? This cannot be undone", abort=True, err=True)

    answers = withdraw(out, alias, (lambda: None) if sure else confirm)
    click.echo(
        f"{alias} is taken out of {out}: {answers:,} answers. Copies, reports and bundles made before hold them."
    )


def _serve(
    file: Path, out: Path, participants: int, minutes: float | None, host: str, port: int, address: str, opened: bool
) -> None:
    import webbrowser

    import msgspec

    from limen.loop import finish
    from limen.people import protocol as protocols
    from limen.people import turns
    from limen.people.lab import LINKS, Lab, planned
    from limen.study import Progress, load
    from limen.web.people import Doors, serve

    spec = load(file, {"observers": []})
    protocol = protocols.of(spec.people, file.parent)
    if minutes is not None:
        protocol = msgspec.structs.replace(protocol, minutes=minutes)
    doors = Doors(host, address)
    study = planned(spec, protocol)
    progress = Progress()
    with study.opened(out, progress) as store:
        for line in (*study.refused, *progress.notices):
            notice(line)
        lab = Lab(study, protocol, store, participants)
        for line in (*turns.notices(protocol, study.questions), *lab.notices):
            notice(line)
        if doors.open and not address:
            notice(ABOUT.format(host=host))

        def ready(at: int) -> None:
            lab.links.port = at
            lab.keep()
            start = doors.begin(at)
            click.echo(f"Invitation  {start}/{lab.links.invitation}/")
            click.echo(f"Your page   {start}/{lab.links.owner}/")
            notice(f"{lab.cost} The links are kept in {out / LINKS}, for you alone. Ctrl-C ends it.")
            if opened and not webbrowser.open(f"{start}/{lab.links.owner}/"):
                notice("No browser could be opened here: open your page yourself.")

        finish(serve(lab, doors, port or lab.links.port, ready))
