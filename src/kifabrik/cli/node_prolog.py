"""`kifabrik node prolog`."""

from pathlib import Path

import click

from kifabrik.cli.node_hook import hook_options, run_hook
from kifabrik.cli.node_hook import print_script as print_it
from kifabrik.upkeep.scripts import Hook


@click.command(
    epilog="""\b
    Example:
      kifabrik node prolog --home /srv/kifabrik-node --print-script > /etc/slurm/kifabrik-prolog
    """
)
@hook_options
def prolog(home: Path, print_script: bool, dev: Path, driver: Path) -> None:
    """Before a job of a tenant begins: see that this node is fit for it. slurmd calls it as root.

    The node agent must answer, what is left of earlier runs is cleared away, the GPUs Slurm has given to the job
    must be there and scrubbed, disk and memory must have room. If not, the node is drained with the reason, and
    Slurm puts the job on another. Jobs of others are let through.
    """
    if print_script:
        print_it(Hook.PROLOG, home, dev, driver)
    else:
        run_hook(Hook.PROLOG, home, dev, driver)
