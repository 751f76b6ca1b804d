"""What a room contains and what bounds it: a value, checked before anything is started.

Invariants:
- only what a `RoomSpec` names is in the room, beside the machine's programs and an empty home;
- no mount hides or reaches into what the room makes itself, and none lies inside a read-only one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from kifabrik.errors import UsageError
from kifabrik.jobs.variables import fault_of_variables, is_plain
from kifabrik.sandbox.limits import Limits
from kifabrik.sandbox.network import RunNetwork

HOME: Final = "/home/job"
ENVIRONMENT_AT: Final = "/env"
WORKDIR_AT: Final = "/work"
ROOM_AT: Final = "/run/room"
"""Where the room keeps its first process and the job's command."""

_MADE_BY_THE_ROOM: Final = tuple(
    PurePosixPath(path)
    for path in (
        *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/proc", "/sys", "/dev"),
        *("/tmp", HOME, ROOM_AT),  # noqa: S108 - the room's own /tmp
    )
)
_MAY_CONTAIN_MOUNTS: Final = (PurePosixPath("/tmp"), PurePosixPath(HOME))  # noqa: S108
SYSTEM_PATH: Final = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True)
class Fitting:
    """One folder or file shown in the room."""

    outside: Path
    inside: PurePosixPath
    writable: bool


@dataclass(frozen=True, kw_only=True)
class RoomSpec:
    """Everything a room needs.

    Args:
        command: Words of a program, or one line for the shell.
        limits: Bounds of the run.
        environment: Variables for the job, over the room's defaults; nothing is inherited.
        read_only: Path in the room to path outside, such as data.
        writable: The same for `/out` and `/checkpoint`; folders on the run's memory filesystem, which bounds
            their size. They are given to the run's user.
        workdir: Folder shown as `/work`, where the job starts: the launcher's own copy of the code.
        workdir_writable: Whether the job may write there; scripts that run unchanged often do.
        env_tree: A built environment, shown as `/env` with `/env/bin` first in `PATH`.
        python_prefix: Where the environment's interpreter is installed; shown at the same path. Not needed
            for one beneath `/usr`.
        gpu_devices: Device files such as `/dev/nvidia0` and `/dev/nvidiactl`.
        hostname: What the job sees as its machine's name.
        network: Through which it reaches the other ranks of its run; None for no network at all.

    Raises:
        UsageError: A part makes no sense; the message names it.
    """

    command: tuple[str, ...] | str
    limits: Limits
    environment: Mapping[str, str] = field(default_factory=dict)
    read_only: Mapping[str, Path] = field(default_factory=dict)
    writable: Mapping[str, Path] = field(default_factory=dict)
    workdir: Path | None = None
    workdir_writable: bool = True
    env_tree: Path | None = None
    python_prefix: Path | None = None
    gpu_devices: tuple[Path, ...] = ()
    hostname: str = "job"
    network: RunNetwork | None = None

    def __post_init__(self) -> None:
        _check_command(self.command)
        _check_environment(self.environment)
        _check_fittings(self.fittings())
        for device in self.gpu_devices:
            if device.parts[:2] != ("/", "dev") or ".." in device.parts:
                raise UsageError(f"{device} is not a device file", hint="GPU devices lie beneath /dev.")

    def fittings(self) -> tuple[Fitting, ...]:
        """Everything that is shown, outermost first."""
        return tuple(sorted(self._fittings(), key=lambda one: len(one.inside.parts)))

    @property
    def hosts(self) -> str:
        """What /etc/hosts says."""
        if self.network is None:
            return f"127.0.0.1 localhost {self.hostname}\n::1 localhost ip6-localhost\n"
        return f"127.0.0.1 localhost\n::1 localhost ip6-localhost\n{self.network.hosts}"

    def variables(self) -> dict[str, str]:
        """Return the job's whole environment.

        `PYTHONUNBUFFERED` lets log lines appear as they are written; `OMP_NUM_THREADS` keeps numeric
        libraries from starting a thread for every processor of the machine when the run has a share of it.
        """
        defaults = {
            "HOME": HOME,
            "USER": "job",
            "LOGNAME": "job",
            "SHELL": "/bin/sh",
            "LANG": "C.UTF-8",
            "TMPDIR": "/tmp",  # noqa: S108 - the room's own
            "PATH": f"{ENVIRONMENT_AT}/bin:{SYSTEM_PATH}" if self.env_tree else SYSTEM_PATH,
            "PYTHONUNBUFFERED": "1",
            "OMP_NUM_THREADS": str(max(1, round(self.limits.cpus))),
        }
        if self.env_tree:
            defaults["VIRTUAL_ENV"] = ENVIRONMENT_AT
        return defaults | dict(self.environment)

    def _fittings(self) -> Iterator[Fitting]:
        for inside, outside in self.read_only.items():
            yield Fitting(outside, _inside(inside), writable=False)
        for inside, outside in self.writable.items():
            yield Fitting(outside, _inside(inside), writable=True)
        if self.workdir:
            yield Fitting(self.workdir, PurePosixPath(WORKDIR_AT), writable=self.workdir_writable)
        if self.env_tree:
            yield Fitting(self.env_tree, PurePosixPath(ENVIRONMENT_AT), writable=False)
        if self.python_prefix and not self.python_prefix.is_relative_to("/usr"):
            yield Fitting(self.python_prefix, _inside(str(self.python_prefix)), writable=False)


def _inside(text: str) -> PurePosixPath:
    path = PurePosixPath(text)
    if not path.is_absolute() or ".." in path.parts or path == PurePosixPath("/") or not is_plain(text):
        raise UsageError(f"not a path in the room: {text!r}", hint="Write it like /data/press.")
    return path


def _check_command(command: tuple[str, ...] | str) -> None:
    if not command or not (command if isinstance(command, str) else command[0]).strip():
        raise UsageError("the command is empty", hint="Name what to run, for example `python train.py`.")
    if not is_plain("".join(command)):
        raise UsageError("the command contains a character that no command line can carry")


def _check_environment(environment: Mapping[str, str]) -> None:
    fault = fault_of_variables(environment)
    if fault:
        raise UsageError(fault)


def _check_fittings(fittings: tuple[Fitting, ...]) -> None:
    for place, one in enumerate(fittings):
        for made in _MADE_BY_THE_ROOM:
            beneath = one.inside.is_relative_to(made) and not (made in _MAY_CONTAIN_MOUNTS and one.inside != made)
            if beneath or made.is_relative_to(one.inside):
                raise UsageError(f"{one.inside} cannot be a mount: the room makes {made} itself")
        for outer in fittings[:place]:
            if one.inside == outer.inside:
                raise UsageError(f"two mounts at {one.inside}")
            if one.inside.is_relative_to(outer.inside) and not outer.writable:
                raise UsageError(f"{one.inside} lies inside {outer.inside}, which is read-only")
