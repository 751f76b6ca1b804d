"""Brings Slurm's accounting in step with the factory's tenants: plan, show, do.

Invariants:
- commands of one sort go to one `sacctmgr`, which reads them from its standard input: most of what a command costs
  is the start of a process and its way to slurmdbd;
- after a group that did not go through as a whole the plan is made anew, and what of the group still stands in it
  is done step by step: so the one that fails is named, and nothing is done twice.
"""

import pwd
import subprocess
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Final

from kifabrik.engines.slurm.account_plan import MANAGE, Kind, Plan, Step, TenantShare, plan_accounts, unix_user
from kifabrik.engines.slurm.accounts import read_book
from kifabrik.engines.slurm.commands import PATIENCE_S, SlurmCommands
from kifabrik.errors import KifabrikError, UnavailableError, UsageError

MOST_TOGETHER: Final = 50
"""Steps of one group: their progress is seen, and little is done anew where one fails."""
_STEP_S: Final = 2.0
"""What a command may take beyond the start of its `sacctmgr`: many times what slurmdbd needs."""


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
            KifabrikError: A step failed, and is named; those done before it, and others of its group, stay done.
        """
        for steps in _groups(plan.steps):
            if steps[0].kind is Kind.MAKE_USER:
                for step in steps:
                    _make_user(step)
                    done(step)
            else:
                self._manage(steps, done)

    def _manage(self, steps: Sequence[Step], done: Callable[[Step], None]) -> None:
        left: Sequence[Step] = steps
        if len(steps) > 1:
            try:
                self._together(steps)
                left = ()
            except (UnavailableError, UsageError):
                raise
            except KifabrikError:
                left = self._still_to_do(steps)
        for step in steps:
            if step in left:
                self._alone(step)
            done(step)

    def _together(self, steps: Sequence[Step]) -> None:
        lines = [_line(step.command[len(MANAGE) :]) for step in steps]
        patience_s = PATIENCE_S + _STEP_S * len(steps)
        # `quit`, as sacctmgr counts the end of its input as a failure.
        self._commands.run(*MANAGE, stdin="\n".join([*lines, "quit", ""]), patience_s=patience_s)

    def _still_to_do(self, steps: Sequence[Step]) -> list[Step]:
        kinds = {step.kind for step in steps}
        again = self.plan(make_users=True, remove_gone=Kind.REMOVE in kinds)
        return [step for step in steps if step in again.steps]

    def _alone(self, step: Step) -> None:
        try:
            self._commands.run(*step.command)
        except KifabrikError as error:
            raise type(error)(f"{step.what}: {error.message}", hint=error.hint) from None


def _groups(steps: Sequence[Step]) -> Iterator[Sequence[Step]]:
    for _, alike in groupby(steps, key=_sort):
        found = tuple(alike)
        for first in range(0, len(found), MOST_TOGETHER):
            yield found[first : first + MOST_TOGETHER]


def _sort(step: Step) -> str:
    """`qos`, `account` or `user`; empty for what is no command of Slurm's."""
    return "" if step.kind is Kind.MAKE_USER else step.command[len(MANAGE) + 1]


def _line(words: Sequence[str]) -> str:
    """A command as sacctmgr reads it: separated by blanks, values with blanks in double quotes."""
    if any(letter in word for word in words for letter in "\"'\n"):
        raise UsageError(f"sacctmgr cannot read a word with a quotation mark or a line's end: {words!r}")
    pairs = (word.partition("=") for word in words)
    return " ".join(
        f'{name}{sign}"{value}"' if " " in value else name + sign + value for name, sign, value in pairs
    )


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
