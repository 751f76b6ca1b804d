"""The stage: everything the room will show, gathered where the run's user can reach it.

Bubblewrap runs as the run's user and finds what it mounts by path, but data lies in the launcher's memory
and interpreters may lie in a private home. So the launcher, while it is root, binds each into a small
memory filesystem that anybody may traverse and nobody may list, in mounts only its own children see.

Invariants:
- nothing of the stage outlives `close`, and nothing of it is ever visible outside the launcher's mounts;
- the room's first process is a shell the job's user may execute and not read: the kernel then marks the
  process as not dumpable, so the job cannot open its memory and make it forget to die with its launcher;
- nor can the job's variables: they are set by the job's own shell. The first process has none of them, since
  some (LD_PRELOAD, or BASH_ENV) name code that every program loads before its own.
"""

import os
import shlex
import shutil
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kifabrik.errors import RefusedError, UnavailableError, UsageError
from kifabrik.sandbox import kernel
from kifabrik.sandbox.kernel import Mount
from kifabrik.sandbox.memory import PrivateMounts
from kifabrik.sandbox.room import HOME, ROOM_AT, Fitting, RoomSpec
from kifabrik.sandbox.uids import RunUid

INSIDE_ID: Final = 1000
"""User and group id the job sees as its own."""

NO_FILE: Final = "no-file"
NO_FOLDER: Final = "no-folder"
"""An empty file and an empty folder, to be shown in place of others."""

_STAGE_BYTES: Final = 16 << 20
_ROOT_POINT: Final = Path("/run/kifabrik/stage")
STAGES: Final = (_ROOT_POINT, Path("/run/kifabrik/environments"))
"""Where launchers that are root mount what only their own children see: empty for everybody else."""
_TRAVERSE_ONLY: Final = 0o711
_EXECUTE_ONLY: Final = 0o111

_ETC: Final = {
    "passwd": f"root:x:0:0:root:/root:/usr/sbin/nologin\njob:x:{INSIDE_ID}:{INSIDE_ID}:job:{HOME}:/bin/sh\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "group": f"root:x:0:\njob:x:{INSIDE_ID}:\nnogroup:x:65534:\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "resolv.conf": "# there is no network here\n",
}


@dataclass
class Stage:
    """Where the parts of one room stand; `close` removes it.

    Args:
        path: Root of the stage.
        owner: The user that must be able to reach everything.
    """

    path: Path
    owner: RunUid
    _count: int = field(default=0, init=False)

    @classmethod
    def open(cls, mounts: PrivateMounts, owner: RunUid) -> "Stage":
        """Mount an empty stage.

        Raises:
            UnavailableError: There is no place for it.
        """
        point = _ROOT_POINT if mounts.as_root else _own_point()
        try:
            point.mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError as error:
            raise UnavailableError(f"no place for the stage at {point}: {error.strerror}") from None
        mounts.mount_memory(point, _STAGE_BYTES, huge="never", mode=_TRAVERSE_ONLY)
        return cls(point, owner)

    def close(self) -> None:
        """Take everything away; a room that is already built keeps what it shows."""
        kernel.unmount(self.path, detach=True)

    def show(self, fitting: Fitting) -> Fitting:
        """Give the fitting with a path outside that the run's user can reach.

        Raises:
            UsageError: There is nothing at its path.
        """
        source = fitting.outside.resolve()
        is_folder = _is_folder(source)
        if is_folder is None:
            raise UsageError(f"{fitting.outside}, to be shown as {fitting.inside}, does not exist")
        if fitting.writable:
            _hand_over(source, self.owner)
        if not self.owner.of_its_own:
            return Fitting(source, fitting.inside, fitting.writable)
        self._count += 1
        place = self.path / str(self._count)
        if is_folder:
            place.mkdir(mode=_TRAVERSE_ONLY)
        else:
            place.touch(mode=0)
        kernel.mount(source, place, "", Mount.BIND | Mount.RECURSIVE)
        return Fitting(place, fitting.inside, fitting.writable)

    def furnish(self, spec: RoomSpec) -> None:
        """Write the small files every room has: `etc`, and `room` with its first process and the job's scripts."""
        etc, room = self.path / "etc", self.path / "room"
        for folder in (etc, room):
            folder.mkdir(mode=0o755)
        for name, text in (_ETC | {"hosts": spec.hosts}).items():
            _write(etc / name, text, 0o444)
        _write(self.path / NO_FILE, "", 0o444)
        (self.path / NO_FOLDER).mkdir(mode=0o555)
        _write(room / "job", variables_script(spec.variables()), 0o444)
        _write(room / "command", job_script(spec.command), 0o444)
        shutil.copyfile("/bin/sh", room / "init")
        (room / "init").chmod(_EXECUTE_ONLY)


def _is_folder(path: Path) -> bool | None:
    """Whether there is a folder at this path; None if there is nothing."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except PermissionError:
        return True  # a streamed folder, into which only the run's user may look
    except OSError:
        return None


def variables_script(variables: Mapping[str, str]) -> str:
    """Return what the job's first shell reads: it sets the job's variables and becomes the shell of its command.

    What a shell keeps for itself (bash: UID) is left as it is, as it was if it came in its environment.
    """
    words = (f"command export {name}={shlex.quote(value)} 2>/dev/null\n" for name, value in variables.items())
    return f"{''.join(words)}exec /bin/sh {ROOM_AT}/command\n"


def job_script(command: tuple[str, ...] | str) -> str:
    """Return what the shell of the command reads: so it stands in no argument list of ours.

    The shell itself outlives signals that are meant for the job's programs: they get them too.
    """
    if isinstance(command, str):
        return f"trap : HUP INT USR1 USR2; {command}\n"
    return f"exec {shlex.join(command)}\n"


def _own_point() -> Path:
    """Return a folder of an ordinary user that nobody else can have prepared."""
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    home = base / f"kifabrik-{os.geteuid()}"
    try:
        home.mkdir(mode=0o700, exist_ok=True)
        status = home.lstat()
    except OSError as error:
        raise UnavailableError(f"no place for the stage at {home}: {error.strerror}") from None
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise RefusedError(f"{home} belongs to somebody else", hint="Remove it, or set XDG_RUNTIME_DIR.")
    return home / "stage"


def _hand_over(folder: Path, owner: RunUid) -> None:
    """Give a writable folder and what is in it, such as a restored checkpoint, to the run's user."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is to be written to in the room, but is not a folder")
    if owner.of_its_own:
        for _, _, files, parent in os.fwalk(folder, follow_symlinks=False):
            os.fchown(parent, owner.uid, owner.gid)
            for name in files:
                os.chown(name, owner.uid, owner.gid, dir_fd=parent, follow_symlinks=False)
    folder.chmod(0o700)


def _write(path: Path, text: str, mode: int) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
