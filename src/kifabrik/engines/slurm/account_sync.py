"""Brings Slurm's accounting in step with the factory's tenants: plan, show, do."""

import pwd
import subprocess
from collections.abc import Callable, Sequence

from kifabrik.engines.slurm.account_plan import Kind, Plan, Step, TenantShare, plan_accounts, unix_user
from kifabrik.engines.slurm.accounts import read_book
from kifabrik.engines.slurm.commands import SlurmCommands
from kifabrik.errors import KifabrikError, UnavailableError


class AccountSync:
    """Plans and does.

    Args:
        commands: Slurm's.
        tenants: All tenants of the factory with what they may use, asked anew for each plan.
    """

    def __init__(self, commands: SlurmCommands, tenants: Callable[[], Sequence[TenantShare]]) -> None:
        self._commands = commands
        self._tenants = tenants

    def plan(self, *, make_users: bool = False, remove_gone: bool = False) -> Plan:
        """Say what has to change.

        Raises:
            UnavailableError: Slurm's accounting does not answer.
            ConflictError: A name is taken by something of others.
        """
        tenants = self._tenants()
        users = {user for user in (unix_user(share.tenant) for share in tenants) if _exists(user)}
        return plan_accounts(
            tenants, read_book(self._commands), users, make_users=make_users, remove_gone=remove_gone
        )

    def do(self, plan: Plan, *, done: Callable[[Step], None]) -> None:
        """Take all steps in order; each is complete by itself, and a plan that broke off is made anew.

        Args:
            plan: From `plan`.
            done: Called after each step.

        Raises:
            RefusedError: This user may not change Slurm's accounting.
            UnavailableError: Slurm's accounting does not answer, or there is no `useradd`.
            KifabrikError: A step failed; those before it stay done.
        """
        for step in plan.steps:
            if step.kind is Kind.MAKE_USER:
                _make_user(step)
            else:
                self._commands.run(*step.command)
            done(step)


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _make_user(step: Step) -> None:
    try:
        done = subprocess.run(step.command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UnavailableError(
            "there is no useradd on this machine", hint=f"Make it yourself: {step.what}"
        ) from None
    if done.returncode:
        raise KifabrikError(f"useradd: {done.stderr.strip()}", hint="Making users needs root.")
