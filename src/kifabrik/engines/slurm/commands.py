"""Runs Slurm's commands, as the service or as a tenant's Unix user.

Invariants:
- a command is a list of arguments, never text for a shell;
- it gets an environment made here, not the service's own; times are in UTC;
- it ends within its time limit, and its failure is one of this house's errors;
- as another user it holds that user's groups and nothing of the service's: a deputy starts it (`deputies`), so
  nothing of this process runs as the tenant, and none of its threads waits for the start of a submission.
"""

import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Final

from kifabrik.engines.slurm.deputies import Deputies, Ran, late
from kifabrik.engines.slurm.deputy import run_program
from kifabrik.engines.slurm.failures import failure
from kifabrik.engines.slurm.version import OLDEST, SlurmVersion
from kifabrik.errors import RefusedError, UnavailableError, UsageError

PATIENCE_S: Final = 30.0
"""How long a command may take: Slurm's own MessageTimeout is 10 s, and it tries more than once."""
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/slurm/bin"


@dataclass(frozen=True)
class SlurmCommands:
    """Slurm's programs on this machine.

    Args:
        conf: The cluster's slurm.conf; None for the system's own.
        patience_s: Seconds one command may take.
    """

    conf: Path | None = None
    patience_s: float = PATIENCE_S

    @cached_property
    def version(self) -> SlurmVersion:
        """Which release answers, asked once.

        Raises:
            UnavailableError: There is none, or it is older than what is supported.
        """
        found = SlurmVersion.from_text(self.run("squeue", "--version"))
        if found < OLDEST:
            raise UnavailableError(
                f"this is Slurm {found}, which is older than 22.05", hint="Slurm 22.05 to 25.11 are supported."
            )
        return found

    def run(self, program: str, *arguments: str, user: str = "", stdin: str = "", patience_s: float = 0) -> str:
        """Run one program and return what it wrote on stdout.

        Args:
            program: Such as `squeue`.
            arguments: Its arguments, one by one.
            user: Unix user to run as; empty for the service's own.
            stdin: What it reads.
            patience_s: Seconds it may take; 0 for this object's own.

        Raises:
            UnavailableError: It is not installed, did not end in time, or Slurm does not answer.
            NotFoundError: There is no such Unix user.
            RefusedError: This process may not act as another user, or Slurm refuses.
            KifabrikError: It failed in another way.
        """
        if any("\0" in argument for argument in arguments):
            raise UsageError(f"an argument of {program} holds a zero byte")
        found = shutil.which(program, path=_PATH)
        if found is None:
            raise UnavailableError(
                f"Slurm's program {program} is not on this machine",
                hint="Install the cluster's client programs (Debian: slurm-client) where the service runs.",
            )
        words, limit = [found, *arguments], patience_s or self.patience_s
        if user and user != _own_name():
            done = self._deputies.run(
                user, words, self._environment(), setpriv=_setpriv(user), stdin=stdin, patience_s=limit
            )
        else:
            done = _ran(words, self._environment(), stdin, limit)
        if done.status:
            raise failure(program, done.status, done.complained or done.said)
        return done.said

    @cached_property
    def _deputies(self) -> Deputies:
        return Deputies()

    def _environment(self) -> Mapping[str, str]:
        conf = {} if self.conf is None else {"SLURM_CONF": str(self.conf)}
        # Without SLURM_BITSTR_LEN=0 the list of an array's tasks is cut off after 64 letters (squeue(1)).
        return conf | {"PATH": _PATH, "LC_ALL": "C.UTF-8", "TZ": "UTC", "SLURM_BITSTR_LEN": "0", "HOME": "/"}


def _ran(words: Sequence[str], environment: Mapping[str, str], stdin: str, patience_s: float) -> Ran:
    try:
        return Ran(*run_program(words, environment, stdin, patience_s))
    except subprocess.TimeoutExpired:
        raise late(Path(words[0]).name, patience_s) from None


def _setpriv(user: str) -> str:
    """The program that a command is run with as another user."""
    if os.geteuid() != 0:
        raise RefusedError(
            f"this process may not act as the user {user}",
            hint="Run the service as root, as jobs belong to tenants.",
        )
    found = shutil.which("setpriv", path=_PATH)
    if found is None:
        raise UnavailableError("setpriv is not installed", hint="Install util-linux 2.33 or later.")
    return found


@cache
def _own_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return ""
