"""Runs commands as other Unix users, one after the other, for whoever holds the other end of its standard input.

    python3 -I -S deputy.py

A request is one line of JSON, and so is its answer; it ends with the one who asks. It has one thread and imports
little, and nothing of kifabrik.

While a command begins and runs, the user is this process's own real and effective one, and root only the saved one,
to come back to. A program that is started then has no way back: execve(2) sets the saved user to the effective one,
and leaves no capability to who is not root (capabilities(7)). So no fork is needed that copies this process, and no
program in between that changes the user. The kernel lets nobody but root look into a process that has changed its
user (prctl(2), PR_SET_DUMPABLE); the user may end it meanwhile, as it may end its own command.
"""

import json
import os
import pwd
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

LATE = "late"
NO_SUCH_USER = "no such user"
ROOT = "root"
_NOT_STARTED = 126
"""What a shell says of a command that it may not start."""


def main() -> None:
    """Answer until nobody asks any more."""
    with socket.socket(fileno=0) as line, line.makefile("rb") as asked, suppress(ConnectionError):
        for request in asked:
            line.sendall(json.dumps(answer(**json.loads(request))).encode() + b"\n")


def answer(
    *, user: str, words: list[str], environment: dict[str, str], stdin: str, patience_s: float
) -> dict[str, Any]:
    """Run one command; how it ended and what it wrote, or why it was not run to its end."""
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        return {"refused": NO_SUCH_USER}
    if entry.pw_uid == 0:
        return {"refused": ROOT}
    try:
        with _being(entry):
            status, said, complained = run_program(words, environment, stdin, patience_s)
    except subprocess.TimeoutExpired:
        return {"refused": LATE}
    except OSError as error:
        return {"status": _NOT_STARTED, "said": "", "complained": f"{words[0]}: {error.strerror}"}
    return {"status": status, "said": said, "complained": complained}


def run_program(
    words: Sequence[str], environment: Mapping[str, str], stdin: str, patience_s: float
) -> tuple[int, str, str]:
    """Run a program with this environment and nothing else of the caller's: not its folder, terminal or session.

    Returns:
        Its exit status, what it said on standard output, what on standard error.

    Raises:
        OSError: It cannot be started.
        subprocess.TimeoutExpired: It took longer than `patience_s` seconds, and was killed.
    """
    done = subprocess.run(
        words,
        env=environment,
        cwd="/",
        input=stdin.encode(),
        capture_output=True,
        timeout=patience_s,
        start_new_session=True,
        check=False,
    )
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


@contextmanager
def _being(entry: pwd.struct_passwd) -> Iterator[None]:
    """Be this user, with its groups, and come back."""
    os.setgroups(os.getgrouplist(entry.pw_name, entry.pw_gid))
    os.setresgid(entry.pw_gid, entry.pw_gid, 0)
    os.setresuid(entry.pw_uid, entry.pw_uid, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
        os.setgroups([])


if __name__ == "__main__":
    main()
