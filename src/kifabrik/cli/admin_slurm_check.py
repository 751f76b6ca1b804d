"""`kifabrik admin slurm check`."""

import shutil
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.plain import plain
from kifabrik.cli.terminal import done, remark, show_json
from kifabrik.engines.slurm.expectations import Finding, Standing
from kifabrik.errors import IntegrityError
from kifabrik.wiring.slurm_check import check_cluster

_MARGIN: Final = 9
_WIDEST: Final = 100


@click.command(
    epilog="""\b
    Examples:
      kifabrik admin slurm check
      kifabrik admin slurm check --all --slurm-conf /etc/slurm/slurm.conf
    """
)
@click.option("--all", "everything", is_flag=True, help="Show also what is as it should be.")
@click.option(
    "--slurm-conf",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The cluster's slurm.conf; default the factory's setting, $SLURM_CONF, or the system's.",
)
@home_option
@json_option
def check(everything: bool, slurm_conf: Path | None, home: Path, as_json: bool) -> None:
    """Check that a Slurm cluster is set up as the promises to tenants need it. Changes nothing.

    The exit status is 6 if something that is needed is missing. cgroup.conf is that of this machine: keep one file
    for the whole cluster.
    """
    found = check_cluster(home / "factory", slurm_conf)
    missing = [one for one in found if one.standing is Standing.MISSING]
    if as_json:
        show_json({"ok": not missing, "findings": [asdict(one) for one in found]})
        click.get_current_context().exit(IntegrityError.exit_status if missing else 0)
    _show(found, everything=everything)
    if missing:
        raise IntegrityError(
            f"{len(missing)} of {len(found)} settings the promises need are missing, such as {missing[0].setting}",
            hint=f"Write {missing[0].write} in {missing[0].file}" if missing[0].file else missing[0].write,
        )


def _show(found: list[Finding], *, everything: bool) -> None:
    shown = [one for one in found if everything or one.standing is not Standing.OK]
    width, indent = min(_WIDEST, shutil.get_terminal_size().columns), " " * (_MARGIN + 2)
    for one in shown:
        click.echo(plain(f"{one.standing:<{_MARGIN}}{one.setting}: {one.value or 'not set'}"))
        if one.write:
            click.echo(plain(f"{'':<{_MARGIN}}{one.write}{f'     in {one.file}' if one.file else ''}"))
            why = f"otherwise {one.why}"
            click.echo(textwrap.fill(why, width, initial_indent=indent, subsequent_indent=indent))
    fine = sum(one.standing is Standing.OK for one in found)
    if fine == len(found):
        done(f"All {fine} settings are as they should be")
    else:
        remark(f"{fine} of {len(found)} are as they should be.")
