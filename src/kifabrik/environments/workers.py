"""Who does the building: programs under a user of their own, with an empty environment and an early death.

Invariants:
- no program sees the builder's environment: only `HOME`, a path, a language and how to reach wheels;
- as root, programs run under the given user and group with no further groups and cannot gain rights;
- when the builder dies, by whatever signal, its programs are killed by the kernel.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kifabrik.environments.programs import Ended, Log, run
from kifabrik.errors import CapacityError, UnavailableError
from kifabrik.values import format_duration, format_size

_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Limits:
    """What a build may take.

    Args:
        seconds: How long one program may run.
        keep_free_bytes: How much space stays free on the disk, whatever the wheels unpack to.
    """

    seconds: int = 3600
    keep_free_bytes: int = 1_000_000_000


@dataclass(frozen=True)
class Worker:
    """Runs programs for one build.

    Args:
        home: Their `HOME`, working directory and place for temporary files; on the disk they fill.
        uid: User and group to run as when this process is root; `None` keeps this process's user.
        environment: Further variables.
        limits: What they may take.
        log: Receives what they print to standard error, a line at a time.
    """

    home: Path
    uid: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    log: Log = lambda _: None

    @property
    def as_whom(self) -> str:
        """The user as part of a sentence, empty if it is this process's own."""
        return "" if self.uid is None else f" by the user {self.uid} that builds environments"

    def run(self, command: Sequence[str], *, text: str = "", by_handle: bool = False) -> Ended:
        """Run a program to its end.

        Args:
            command: The program's absolute path and its arguments.
            text: What it reads from standard input.
            by_handle: Open the program as this process's user, so that it also starts from a folder
                that the building user cannot reach.

        Raises:
            CapacityError: It took too long, or the disk filled up.
            UnavailableError: `setpriv` is missing.
        """
        with ExitStack() as opened:
            program, handles = command[0], []
            if by_handle:
                handles = [os.open(program, os.O_RDONLY)]
                opened.callback(os.close, handles[0])
                program = f"/proc/self/fd/{handles[0]}"
            self._watch(0)
            ended = run(
                [*self._drop_rights(), program, *command[1:]],
                text=text,
                environment={"HOME": str(self.home), "TMPDIR": str(self.home), "PATH": _PATH, "LANG": "C.UTF-8"}
                | dict(self.environment),
                folder=self.home,
                log=self.log,
                keep_open=handles,
                watch=self._watch,
            )
            self._watch(0)
            return ended

    def own(self, path: Path) -> None:
        """Give a file or folder to the user the programs run as."""
        if self.uid is not None:
            os.chown(path, self.uid, self.uid, follow_symlinks=False)

    def _drop_rights(self) -> list[str]:
        setpriv = shutil.which("setpriv", path=_PATH)
        if setpriv is None:
            raise UnavailableError("setpriv is not installed", hint="Install util-linux 2.33 or later.")
        user = [] if self.uid is None else [f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups"]
        return [setpriv, *user, "--no-new-privs", "--pdeathsig=KILL", "--"]

    def _watch(self, seconds: float) -> None:
        if seconds > self.limits.seconds:
            raise CapacityError(f"building took longer than {format_duration(self.limits.seconds)}")
        free = shutil.disk_usage(self.home).free
        if free < self.limits.keep_free_bytes:
            raise CapacityError(
                f"the disk is too full to build an environment: {format_size(free)} left on {self.home}, "
                f"{format_size(self.limits.keep_free_bytes)} stay free",
                hint="Free some space, or ask for fewer packages.",
            )
