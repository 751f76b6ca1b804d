"""`kifabrik node serve`."""

import os
from pathlib import Path

import click

from kifabrik.cli.terminal import done
from kifabrik.errors import RefusedError
from kifabrik.wiring.agent import serve_node


@click.command(
    epilog="""\b
    Examples:
      kifabrik node serve --home /var/lib/kifabrik/node
    """
)
@click.option("--home", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the node.")
def serve(home: Path) -> None:
    """Serve this node: start launchers for the jobs the cluster's scheduler puts here.

    Needs root: a launcher gives each run a user, memory and control groups of its own. Stop it with Ctrl-C or
    SIGTERM; runs that work here then end, and those that may are tried again.
    """
    if os.geteuid() != 0:
        raise RefusedError(
            "the agent of a node needs root", hint="Start it as a system service; see docs/slurm.md."
        )
    serve_node(home, ready=lambda socket: done(f"Jobs are served at {socket}"))
