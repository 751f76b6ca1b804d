"""Looking at the machine with other eyes than `kifabrik admin check`: what of this play is still there?

Taken once before the play and again after it; only what was not there before counts, and what belongs to
user ids that others on this machine hold is theirs. What goes within a while is not left: it was just ending, or
is of somebody else whose run began between two looks at who holds what.
"""

import os
import re
import time
from contextlib import suppress
from pathlib import Path

from kifabrik.sandbox.remains import held_uids
from kifabrik.sandbox.uids import DEFAULT_RANGE

GROUP = re.compile(r"kifabrik-(\d+)")
PUBLIC = (
    Path("/dev/shm"),
    Path("/tmp"),
    Path("/var/tmp"),
    Path("/run/kifabrik/stage"),
    Path("/run/kifabrik/environments"),
)


PATIENCE_S = 30.0


def left_for_good(folder, before, patience_s=PATIENCE_S):
    """Sentences about what was not there before a play in `folder`, and does not go."""
    until = time.monotonic() + patience_s
    left = leftovers(folder) - before
    while left and time.monotonic() < until:
        time.sleep(0.5)
        left &= leftovers(folder)
    return left


def leftovers(folder):
    """Sentences about everything on this machine that belongs to a play in `folder`, or to runs nobody holds."""
    held = held_uids()
    return {*_processes(str(folder), held), *_mounts(str(folder)), *_groups(held), *_files(held), *_locks(held)}


def _processes(folder, held):
    me = {os.getpid(), os.getppid()}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in me:
            continue
        with suppress(OSError, ValueError, IndexError):
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            variables = (entry / "environ").read_bytes().decode(errors="replace").split("\0")
            status = (entry / "status").read_text(errors="replace")
            uid = int(status.partition("Uid:")[2].split()[0])
            ours = any(word.startswith(f"{folder}/") for word in words) or any(
                f"={folder}/" in one for one in variables if one.startswith("KIFABRIK")
            )
            if "State:\tZ" not in status and (ours or (_of_a_run(uid) and uid not in held)):
                yield f"process {entry.name} lives: {' '.join(words)[:120]} (user {uid})"


def _mounts(folder):
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                for line in (entry / "mountinfo").read_text(errors="replace").splitlines():
                    if folder in line:
                        yield f"mounted: {line.split()[4]}"


def _groups(held):
    for where, names, _ in os.walk("/sys/fs/cgroup"):
        for name in names:
            found = GROUP.match(name)
            if found and _of_a_run(int(found[1])) and int(found[1]) not in held:
                yield f"control group: {where}/{name}"


def _files(held):
    for place in PUBLIC:
        with suppress(OSError):
            for file in place.iterdir():
                uid = file.lstat().st_uid
                if _of_a_run(uid) and uid not in held:
                    yield f"file: {file} of user {uid}"


def _locks(held):
    """User ids held by nobody who could be a launcher: there are none if `held_uids` sees only the living."""
    for uid in held:
        lock = DEFAULT_RANGE.locks / f"{uid}.lock"
        if not lock.exists():
            yield f"user id {uid} is held without a lock"


def _of_a_run(uid):
    return DEFAULT_RANGE.first <= uid < DEFAULT_RANGE.first + DEFAULT_RANGE.count
