"""`kifabrik up`."""

import os
from pathlib import Path

import click

from kifabrik.cli.options import Country, home_option
from kifabrik.cli.single_party import SingleParty
from kifabrik.cli.terminal import done, remark, step, warn
from kifabrik.values import Place
from kifabrik.wiring.factory import OBJECTS, init_home, serve
from kifabrik.wiring.factory_config import PORT, EngineKind
from kifabrik.wiring.node import init_node
from kifabrik.wiring.runs import NODE


@click.command(
    epilog="""\b
    Examples:
      kifabrik up --single-party          factory and keyholder here, to try things out
      kifabrik up --home /srv/factory     a factory only; customers bring their own keyholder
      kifabrik up --engine slurm --home /srv/factory     runs go to this machine's Slurm cluster
    """
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=PORT,
    show_default=True,
    help="Port to listen on, when the factory is new.",
)
@click.option(
    "--country", type=Country(), default="", help="ISO code of the country this node is in, when it is new."
)
@click.option(
    "--engine",
    type=click.Choice([kind.value for kind in EngineKind]),
    default=EngineKind.LOCAL.value,
    show_default=True,
    help="What runs go to, when the factory is new: this machine, or a Slurm cluster.",
)
@click.option("--single-party", is_flag=True, help="Also run a keyholder here: one trust domain, to try.")
@home_option
def up(port: int, country: str, engine: str, single_party: bool, home: Path) -> None:
    """Start a factory on this machine: service, objects, and this machine as its first node.

    With --engine slurm runs go to the cluster whose slurm.conf factory.toml names; its nodes are enrolled with
    `kifabrik node init` and `kifabrik admin nodes --enrol`.

    Everything lies in HOME/factory as ciphertext. Stop it with Ctrl-C: runs go on and are found again.
    """
    folder = home / "factory"
    config = init_home(folder, port=port, engine=EngineKind(engine))
    if config.engine is EngineKind.LOCAL:
        init_node(folder / NODE, place=Place(country=country), objects=folder / OBJECTS)
    if os.geteuid() != 0:
        warn("Not running as root: all runs share your user, and limits may be weaker. See: kifabrik doctor")
    party = SingleParty(home, folder) if single_party else None

    def ready(url: str) -> None:
        done(f"The factory answers at {url}")
        if party is None:
            remark("  Make a sign-up code for a customer with: kifabrik admin code")
        else:
            party.begin(url)

    step(f"Starting the factory in {folder}")
    try:
        serve(folder, ready=ready)
    finally:
        if party is not None:
            party.end()
