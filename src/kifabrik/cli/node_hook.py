"""What `kifabrik node prolog` and `epilog` have in common: called by slurmd, quick, and silent if all is well."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from kifabrik.errors import KifabrikError, UnavailableError, UsageError
from kifabrik.upkeep.job import HookJob
from kifabrik.upkeep.scripts import Hook, script

F = TypeVar("F", bound=Callable[..., Any])


def hook_options(command: F) -> F:
    """Add `--home` (of the node), `--print-script`, and what tests look for elsewhere."""
    hidden = {
        "--dev": ("/dev", "Folder of device files."),
        "--driver": ("/proc/driver/nvidia", "Where NVIDIA's driver tells about itself."),
    }
    for name, (default, text) in hidden.items():
        kind = click.Path(path_type=Path, file_okay=False)
        command = click.option(name, type=kind, default=default, help=text, hidden=True)(command)
    command = click.option("--print-script", is_flag=True, help="Print the script that slurm.conf is to name.")(
        command
    )
    return click.option(
        "--home",
        type=click.Path(path_type=Path, file_okay=False),
        required=True,
        help="The node's folder, with node.toml.",
    )(command)


def run_hook(hook: Hook, home: Path, dev: Path, driver: Path) -> None:
    """Do it for the job Slurm names; a node that is not fit is drained.

    Raises:
        UnavailableError: The node is not fit; the message is the reason.
        UsageError: It is not Slurm that calls.
    """
    job = HookJob.from_environment(os.environ)
    if not job.ours and (hook is Hook.PROLOG or not (job.gpus or job.unreadable)):
        return
    faults = _faults(hook, job, home, dev, driver)
    begins = hook is Hook.PROLOG and job.ours
    if faults:
        _refuse(job, faults, begins=begins)
    if begins and job.restarts:
        from kifabrik.upkeep.drain import allow_requeue  # noqa: PLC0415 - seldom needed

        # Not a fault of this node if it fails: a job that begins again is refused by the factory.
        click.echo(allow_requeue(job, allowed=False), err=True)


def _refuse(job: HookJob, faults: list[str], *, begins: bool) -> NoReturn:
    """Drain the node, and let a job that has not begun go to another."""
    from kifabrik.upkeep.drain import allow_requeue, drain  # noqa: PLC0415 - only for a node that is not fit

    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    failed = drain(job, f"{faults[0]}{more}")
    if begins:
        failed = allow_requeue(job, allowed=True) or failed
    for fault in faults[1:]:
        click.echo(f"kifabrik: {fault}", err=True)
    raise UnavailableError(faults[0], hint=f"Slurm was not told: {failed}" if failed else "")


def _faults(hook: Hook, job: HookJob, home: Path, dev: Path, driver: Path) -> list[str]:
    from kifabrik.launcher.care import NodeCare  # noqa: PLC0415 - not needed for jobs of others
    from kifabrik.upkeep.fitness import Machine  # noqa: PLC0415
    from kifabrik.upkeep.hooks import Hooks  # noqa: PLC0415

    try:
        hooks = Hooks(NodeCare.load(home.resolve()), Machine(dev), driver)
        return hooks.prolog(job) if hook is Hook.PROLOG else hooks.epilog(job)
    except UsageError as error:
        return [error.message] if job.ours else []  # whether others' GPUs are to be scrubbed cannot be read
    except KifabrikError as error:
        return [error.message]
    except OSError as error:
        return [f"{hook} failed: {error.strerror or error} {error.filename or ''}".strip()]


def print_script(hook: Hook, home: Path, dev: Path, driver: Path) -> None:
    """Print the script for slurm.conf."""
    options = [] if dev == Path("/dev") else ["--dev", str(dev)]
    options += [] if driver == Path("/proc/driver/nvidia") else ["--driver", str(driver)]
    click.echo(script(hook, home, *options), nl=False)
