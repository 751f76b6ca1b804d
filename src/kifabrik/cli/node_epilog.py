"""`kifabrik node epilog`."""

from pathlib import Path

import click

from kifabrik.cli.node_hook import hook_options, run_hook
from kifabrik.cli.node_hook import print_script as print_it
from kifabrik.upkeep.scripts import Hook


@click.command(
    epilog="""\b
    Example:
      kifabrik node epilog --home /srv/kifabrik-node --print-script > /etc/slurm/kifabrik-epilog
    """
)
@hook_options
def epilog(home: Path, print_script: bool, dev: Path, driver: Path) -> None:
    """After a job of a tenant: clear away what it has left on this node. slurmd calls it as root.

    Processes, mounts, control groups and folders of its run; everything of the tenant's user in /tmp, /var/tmp,
    /dev/shm and /run/lock, its shared memory and queues, unless it has another job here; the memory of the GPUs
    the job had. What cannot be cleared away drains the node with the reason.
    """
    if print_script:
        print_it(Hook.EPILOG, home, dev, driver)
    else:
        run_hook(Hook.EPILOG, home, dev, driver)
