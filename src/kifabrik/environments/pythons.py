"""The machine's Python: which one an environment is built for, and whether it is the one that was locked."""

import json
import os
import re
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kifabrik.environments.workers import Worker
from kifabrik.errors import UsageError

_SYSTEM_FOLDERS: Final = (Path("/usr/bin"), Path("/usr/local/bin"))
_PROBE: Final = (
    "import json, platform, sys; json.dump([platform.python_version(), sys.implementation.name, "
    "platform.machine(), sys.platform], sys.stdout)"
)


@dataclass(frozen=True)
class Interpreter:
    """A Python on this machine: its path and its full version, such as `3.11.2`."""

    path: Path
    version: str


def find_python(version: str) -> Path:
    """Return the interpreter for a minor version: the system's, else the one kifabrik itself runs on.

    Args:
        version: Such as `3.11`.

    Raises:
        UsageError: There is none; the message names those there are.
    """
    for folder in _folders():
        candidate = folder / f"python{version}"
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
    present = ", ".join(sorted(_present(), key=lambda name: int(name.partition(".")[2])))
    raise UsageError(
        f"Python {version} is not on this machine; there is {present or 'none'}",
        hint="Lock the environment for a version that is there, or install the other one for all users.",
    )


def inspect(path: Path, wanted: str, worker: Worker) -> Interpreter:
    """Ask an interpreter what it is, as the user that will build with it.

    Raises:
        UsageError: It cannot be started, or is not CPython `wanted` for Linux x86_64.
    """
    version, implementation, machine, system = _facts(path, worker)
    if (implementation, machine, system) != ("cpython", "x86_64", "linux"):
        raise UsageError(f"{path} is {implementation} for {system} on {machine}, not CPython for Linux on x86_64")
    if not version.startswith(f"{wanted}."):
        raise UsageError(
            f"the environment is locked for Python {wanted}, but {path} is Python {version}",
            hint=f"Lock it for Python {'.'.join(version.split('.')[:2])}, or install Python {wanted}.",
        )
    return Interpreter(path, version)


def _facts(path: Path, worker: Worker) -> list[str]:
    """Version, implementation, machine and system; noted beside the environments until the file changes.

    A start costs 30 ms, and every launcher is a new process.
    """
    if not path.is_file():
        raise UsageError(f"there is no interpreter {path}")
    note, key = worker.home / f".{path.name}.json", _key(path, worker)
    known = _read(note)
    if known.get("key") != key:
        ended = worker.run([str(path), "-I", "-S", "-c", _PROBE])
        try:
            known = {"key": key, "facts": json.loads(ended.output)}
        except ValueError:
            raise UsageError(
                f"the interpreter {path} cannot be started{worker.as_whom}",
                hint="Install Python where every user can reach it, for example /usr/bin.",
            ) from None
        _write(note, known)
    return [str(fact) for fact in known["facts"]]


def _key(path: Path, worker: Worker) -> list[Any]:
    """What changes when another interpreter is put in place; users that build may all do the same."""
    status = path.stat()
    return [str(path), status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, worker.uid is None]


def _read(note: Path) -> dict[str, Any]:
    try:
        found = json.loads(note.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(note: Path, known: dict[str, Any]) -> None:
    partial = note.with_name(f"{note.name}.{os.getpid()}-{threading.get_ident()}")
    partial.write_text(json.dumps(known))
    partial.replace(note)


def _folders() -> tuple[Path, ...]:
    return (*_SYSTEM_FOLDERS, Path(sys.base_prefix) / "bin")


def _present() -> Iterator[str]:
    names = {path.name for folder in _folders() if folder.is_dir() for path in folder.iterdir()}
    return (name.removeprefix("python") for name in names if re.fullmatch(r"python3\.\d+", name))
