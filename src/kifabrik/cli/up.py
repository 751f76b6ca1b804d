"""`kifabrik up`."""

import os
from pathlib import Path
from typing import Final

import click

from kifabrik.cli.options import Country, home_option
from kifabrik.cli.single_party import SingleParty
from kifabrik.cli.terminal import done, remark, step, warn
from kifabrik.errors import UsageError
from kifabrik.values import Place
from kifabrik.wiring.factory import init_home, serve
from kifabrik.wiring.factory_config import FILE, PORT, EngineKind, FactoryConfig
from kifabrik.wiring.node import init_node
from kifabrik.wiring.objects import OBJECTS
from kifabrik.wiring.runs import NODE

_ONE_PROCESS: Final = "a factory of a single party is one process"


@click.command(
    epilog="""\b
    Examples:
      kifabrik up --single-party          factory and keyholder here, to try things out
      kifabrik up --home /srv/factory     a factory only; customers bring their own keyholder
      kifabrik up --engine slurm --home /srv/factory     runs go to this machine's Slurm cluster
      kifabrik up --api-only --port 8471     one more process that answers
      kifabrik up --port 8472                one more that stands by to drive the runs
    """
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help=f"Port to listen on, {PORT} if not said; of a factory that exists, the port of one more process.",
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
@click.option(
    "--api-only", is_flag=True, help="Only answer, at --port: another process of this factory drives the runs."
)
@home_option
def up(port: int | None, country: str, engine: str, single_party: bool, api_only: bool, home: Path) -> None:
    """Start a factory on this machine: service, objects, and this machine as its first node.

    With --engine slurm runs go to the cluster whose slurm.conf factory.toml names; its nodes are enrolled with
    `kifabrik node init` and `kifabrik admin nodes --enrol`.

    With --api-only it answers beside the process that was started without it; without, one more process at
    another --port also stands by to drive the runs. Put a proxy in front of all, and name its address as public_url
    in factory.toml; docs/operations.md says how.

    Everything lies in HOME/factory as ciphertext. Stop it with Ctrl-C: runs go on and are found again.
    """
    folder = home / "factory"
    if api_only:
        if single_party:
            raise UsageError(_ONE_PROCESS, hint="Leave --api-only out.")
        _answer(folder, port)
        return
    config = init_home(folder, port=PORT if port is None else port, engine=EngineKind(engine))
    port = _own_port(config, port)
    one_more = bool(port and config.port)
    if one_more and single_party:
        raise UsageError(_ONE_PROCESS, hint="Leave --port out.")
    if config.engine is EngineKind.LOCAL:
        init_node(
            folder / NODE, place=Place(country=country), objects=None if config.objects.url else folder / OBJECTS
        )
    if os.geteuid() != 0:
        warn("Not running as root: all runs share your user, and limits may be weaker. See: kifabrik doctor")
    party = SingleParty(home, folder) if single_party else None

    def ready(url: str) -> None:
        if one_more:
            done(f"One more process of this factory answers on port {port}, and drives the runs if no other does")
            return
        done(f"The factory answers at {url}")
        if party is None:
            remark("  Make a sign-up code for a customer with: kifabrik admin code")
        else:
            party.begin(url)

    step(f"Starting the factory in {folder}")
    try:
        serve(folder, ready=ready, port=port)
    finally:
        if party is not None:
            party.end()


def _own_port(config: FactoryConfig, port: int | None) -> int | None:
    """Where this process listens, if not where the settings say.

    Raises:
        UsageError: Launchers and customers would not find it there.
    """
    if port in (None, config.port):
        return None
    if config.port and not config.public_url:
        raise UsageError(
            f"this factory listens on port {config.port}, not on {port}",
            hint=f"Change port in {FILE}. For one more process, put a proxy in front of both and name its address "
            f"as public_url there.",
        )
    return port


def _answer(folder: Path, port: int | None) -> None:
    """Serve a factory that another process drives."""

    def ready(url: str) -> None:
        done(f"One more process of this factory answers at {url}")

    step(f"Answering for the factory in {folder}")
    serve(folder, ready=ready, port=port, drives=False)
