"""Users of this machine for the tests' tenants: each session has its own, for two may run at once."""

import os
import pwd
import subprocess
from contextlib import suppress
from typing import Final

from waiting import eventually

MINE: Final = "".join(chr(ord("a") + int(digit)) for digit in f"{os.getpid():09d}")
"""Letters of this session alone."""


def add_user(name: str) -> None:
    """Make a user, if there is none of the name."""
    if not _exists(name):
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name]
        subprocess.run(command, check=True, capture_output=True)


def remove_user(name: str) -> None:
    """Remove a user; `userdel` does not while a process of theirs still ends.

    One that cannot be removed is left: that must not hide how the tests have ended.
    """
    with suppress(AssertionError):
        eventually(lambda: _is_removed(name))


def _is_removed(name: str) -> bool:
    subprocess.run(["userdel", name], check=False, capture_output=True)
    return not _exists(name)


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
