"""Runs commands as other Unix users, one after the other, for whoever holds the other end of its standard input.

    python3 -I -S deputy.py

A request is one line of JSON, and so is its answer (`Request` and `Answer` of `kifabrik.engines.slurm.deputies`).
It ends with the one who asks. It imports little and nothing of kifabrik, so that it stays small: the system copies
it for each command that it starts, and changes the user of the copy, which then becomes the command. Nothing in it
is worth reading for the user the copy has for that moment.
"""

import json
import os
import pwd
import socket
import subprocess
from contextlib import suppress
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
        done = subprocess.run(
            words,
            user=entry.pw_uid,
            group=entry.pw_gid,
            extra_groups=os.getgrouplist(user, entry.pw_gid),
            env=environment,
            cwd="/",
            input=stdin.encode(),
            capture_output=True,
            timeout=patience_s,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"refused": LATE}
    except OSError as error:
        return {"status": _NOT_STARTED, "said": "", "complained": f"{words[0]}: {error.strerror}"}
    said, complained = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
    return {"status": done.returncode, "said": said, "complained": complained}


if __name__ == "__main__":
    main()
