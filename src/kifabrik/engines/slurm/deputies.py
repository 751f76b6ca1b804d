"""Small processes that run commands as other Unix users, so that this one neither forks nor changes its user.

Invariants:
- a deputy runs one command at a time; there are as many as commands were ever under way at once;
- it holds nothing of the service's: no environment, no open files, no capabilities to hand on, no new privileges;
- it ends with this process, however that ends; one that does not answer is killed and not asked again.

Starting a command holds up every thread of a Python process until the command has begun, and a process of several
threads cannot change its user for a moment (see `deputy`): a fork, or one more program in between, would have to.
"""

import json
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kifabrik.engines.slurm import deputy
from kifabrik.errors import KifabrikError, NotFoundError, RefusedError, UnavailableError

_PROGRAM: Final = Path(deputy.__file__)
_MARGIN_S: Final = 10.0
"""What a deputy may take beside its command."""


@dataclass(frozen=True)
class Ran:
    """How a command ended.

    Args:
        status: Its exit status, negative for a signal.
        said: What it wrote on stdout.
        complained: What it wrote on stderr.
    """

    status: int
    said: str
    complained: str


class Deputies:
    """All deputies of a process; they are started when they are first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Deputy] = []
        weakref.finalize(self, _dismiss, self._idle)

    def run(
        self,
        user: str,
        words: Sequence[str],
        environment: Mapping[str, str],
        *,
        setpriv: str,
        stdin: str = "",
        patience_s: float,
    ) -> Ran:
        """Run a command as another user.

        Args:
            user: Its name.
            words: Program and arguments.
            environment: All variables it has.
            setpriv: The program that starts deputies.
            stdin: What it reads.
            patience_s: Seconds it may take.

        Raises:
            NotFoundError: There is no such user.
            RefusedError: It is another name of root.
            UnavailableError: It did not end in time, or nothing can be said of it.
        """
        with self._lock:
            chosen = self._idle.pop() if self._idle else None
        chosen = chosen or _Deputy(setpriv)
        request = {"user": user, "words": list(words), "environment": dict(environment), "stdin": stdin}
        try:
            answer = chosen.ask(request | {"patience_s": patience_s}, patience_s + _MARGIN_S)
        except BaseException:
            chosen.dismiss()
            raise
        with self._lock:
            self._idle.append(chosen)
        if "refused" in answer:
            raise _refusal(answer["refused"], user, Path(words[0]).name, patience_s)
        return Ran(**answer)


class _Deputy:
    def __init__(self, setpriv: str) -> None:
        self._line, theirs = socket.socketpair()
        words = [setpriv, "--inh-caps=-all", "--no-new-privs", "--", sys.executable, "-I", "-S", str(_PROGRAM)]
        nothing: Mapping[str, str] = {}
        with theirs:
            self._process = subprocess.Popen(
                words,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=nothing,
                cwd="/",
                start_new_session=True,
            )
        self._answers = self._line.makefile("rb")

    def ask(self, request: Mapping[str, Any], patience_s: float) -> dict[str, Any]:
        self._line.settimeout(patience_s)
        try:
            self._line.sendall(json.dumps(request).encode() + b"\n")
            answer = self._answers.readline()
        except OSError as error:
            raise UnavailableError(f"whoever runs commands as other users does not answer: {error}") from None
        if not answer:
            raise UnavailableError("whoever runs commands as other users has ended")
        found: dict[str, Any] = json.loads(answer)
        return found

    def dismiss(self) -> None:
        self._answers.close()
        self._line.close()
        self._process.kill()
        self._process.wait()


def _dismiss(deputies: list[_Deputy]) -> None:
    for one in deputies:
        one.dismiss()


def _refusal(why: str, user: str, program: str, patience_s: float) -> KifabrikError:
    if why == deputy.NO_SUCH_USER:
        return NotFoundError(
            f"there is no Unix user {user} on this machine",
            hint="Create the tenants' users: kifabrik admin slurm sync --make-users",
        )
    if why == deputy.ROOT:
        return RefusedError("jobs of tenants are never submitted as root")
    return late(program, patience_s)


def late(program: str, patience_s: float) -> UnavailableError:
    """What is said of a command that did not end in time."""
    return UnavailableError(
        f"{program} did not answer within {patience_s:g} s", hint="slurmctld or slurmdbd may be overloaded."
    )
