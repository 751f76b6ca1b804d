"""Brings Slurm's accounting in step with the factory's tenants: plan, show, do.

Invariants:
- many steps are one command, as far as that goes (`account_batches`), of which sacctmgr may leave one out without a
  word; so after each the plan is made anew, and what of it still stands there is done step by step;
- so the step that fails is named, and nothing is done twice.
"""

import pwd
import subprocess
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from kifabrik.engines.slurm.account_batches import Batch, batches
from kifabrik.engines.slurm.account_plan import Kind, Plan, Step, TenantShare, plan_accounts, unix_user
from kifabrik.engines.slurm.accounts import read_book
from kifabrik.engines.slurm.commands import PATIENCE_S, SlurmCommands
from kifabrik.errors import KifabrikError, UnavailableError

_STEP_S: Final = 1.0
"""What a step of a batch may take beyond what one command may: many times what slurmdbd needs."""


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
            KifabrikError: A step failed, and is named; those done before it, and others of its batch, stay done.
        """
        for batch in batches(plan.steps):
            if batch.steps[0].kind is Kind.MAKE_USER:
                for step in batch.steps:
                    _make_user(step)
                    done(step)
            else:
                left = batch.steps if len(batch.steps) == 1 else self._together(batch)
                for step in batch.steps:
                    if step in left:
                        self._alone(step)
                    done(step)

    def _together(self, batch: Batch) -> Collection[Step]:
        """Do a batch; return its steps that still are to do, one by one."""
        patience_s = PATIENCE_S + _STEP_S * len(batch.steps)
        with TemporaryDirectory(prefix="kifabrik-accounts-") as folder:
            command = batch.command
            if batch.file:
                file = Path(folder) / "load.cfg"
                file.write_text(batch.file, encoding="ascii")
                command = (*command, f"file={file}")
            with suppress(KifabrikError):  # what it did not do is done alone, and says why
                self._commands.run(*command, patience_s=patience_s)
        return self._still_to_do(batch.steps)

    def _still_to_do(self, steps: Sequence[Step]) -> list[Step]:
        kinds = {step.kind for step in steps}
        again = self.plan(make_users=True, remove_gone=Kind.REMOVE in kinds)
        return [step for step in steps if step in again.steps]

    def _alone(self, step: Step) -> None:
        try:
            self._commands.run(*step.command)
        except KifabrikError as error:
            raise type(error)(f"{step.what}: {error.message}", hint=error.hint) from None


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
