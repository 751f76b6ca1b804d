"""`kifabrik admin slurm sync`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import done, remark, show_json, show_table, warn
from kifabrik.engines.slurm.account_plan import Plan
from kifabrik.errors import IntegrityError, UsageError
from kifabrik.wiring.slurm_accounts import account_sync


@click.command(
    epilog="""\b
    Examples:
      kifabrik admin slurm sync                    show the plan, ask, do it
      kifabrik admin slurm sync --yes --make-users
      kifabrik admin slurm sync --check            exit status 6 if Slurm says otherwise
    """
)
@click.option("--check", is_flag=True, help="Change nothing; the exit status is 6 if something would change.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--make-users", is_flag=True, help="Make missing Unix users on this machine, with useradd.")
@click.option("--remove-gone", is_flag=True, help="Remove accounts of tenants that are gone, not only close them.")
@click.option(
    "--slurm-conf",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The cluster's slurm.conf; default the factory's setting, $SLURM_CONF, or the system's.",
)
@home_option
@json_option
def sync(
    check: bool, yes: bool, make_users: bool, remove_gone: bool, slurm_conf: Path | None, home: Path, as_json: bool
) -> None:
    """Bring accounts, users, QOS, limits and shares of a Slurm cluster in step with the factory's tenants.

    Each tenant has an account and a QOS of its own, named by its id, and a Unix user its runs belong to. What
    kifabrik did not make is never changed. Run it again after `kifabrik admin limits`, and when tenants join.
    """
    if as_json and not (check or yes):
        raise UsageError("--json cannot ask", hint="Add --yes to do it, or --check to look only.")
    syncing = account_sync(home / "factory", slurm_conf)
    plan = syncing.plan(make_users=make_users, remove_gone=remove_gone)
    if not as_json:
        _show(plan)
    if plan.steps and not check:
        if not yes:
            click.confirm("Do this?", abort=True, err=True)
        syncing.do(plan, done=lambda step: None if as_json else done(step.what))
    if as_json:
        show_json(_as_json(plan, applied=not check))
    if check and not plan.in_step:
        raise IntegrityError(
            "Slurm's accounting is not in step with the factory", hint="Mend it with: kifabrik admin slurm sync"
        )


def _show(plan: Plan) -> None:
    if plan.steps:
        show_table(["STEP", "WHAT"], [(step.kind.value, step.what) for step in plan.steps])
    for user in plan.missing_users:
        warn(f"the Unix user {user} does not exist here; --make-users makes it, or your directory (LDAP) does")
    if plan.in_step:
        done("Slurm and the factory agree: nothing to do")
    elif not plan.steps:
        remark("Nothing else to do.")


def _as_json(plan: Plan, *, applied: bool) -> dict[str, object]:
    return {
        "in_step": plan.in_step,
        "applied": applied,
        "steps": [{"kind": step.kind, "what": step.what, "command": list(step.command)} for step in plan.steps],
        "missing_users": list(plan.missing_users),
    }
