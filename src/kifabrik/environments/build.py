"""Building a locked environment on a node, once per tenant, and finding it again.

    CACHE/TENANT/NAME/tree          the environment, to be mounted read-only at /env
    CACHE/TENANT/NAME/lock.txt      what it was built from
    CACHE/TENANT/NAME/record.json   its tree digest and what it was built with
    CACHE/TENANT/wheels-UID         wheels already downloaded for this tenant

Invariants:
- a tenant's folder serves that tenant only: what another tenant has built or downloaded is never looked
  at, so nobody learns from the speed of a build what others use;
- `NAME` appears by one rename, complete, on disk and read-only; a killed builder leaves only a
  `.building-…` folder, which the next builder of the same environment removes;
- of several builders of one environment one builds, the others wait and take its tree;
- the tree is the same wherever it is built: absolute paths in it are those of the sandbox.
"""

import ctypes
import fcntl
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

from kifabrik.environments import bytecode
from kifabrik.environments.installer import binary, explain, local_settings
from kifabrik.environments.lockfile import PLATFORM, Lock, Option
from kifabrik.environments.programs import Log
from kifabrik.environments.pythons import Interpreter, find_python, inspect
from kifabrik.environments.skeleton import lay_out, remove, seal
from kifabrik.environments.tree import tree_digest
from kifabrik.environments.workers import Limits, Worker
from kifabrik.errors import FULL_DISK, CapacityError, IntegrityError, UsageError
from kifabrik.values import sha256_hex

MOUNTED_AT: Final = "/env"
"""Where the sandbox shows the tree; compiled files name their source by it."""

_FORMAT: Final = "1"
_DOING: Final = "building the environment"
_MOST_COMPILERS: Final = 8
_UV_OPTION: Final = {Option.INDEX: "--index", Option.EXTRA_INDEX: "--index", Option.FIND_LINKS: "--find-links"}


@dataclass(frozen=True)
class BuiltEnvironment:
    """A built environment.

    Args:
        path: The tree, to be mounted at `/env`; `/env/bin/python` starts it.
        tree_digest: What `tree.tree_digest` gives for it.
        lock_digest: The lock it was built from.
        python: The interpreter its `bin/python` points to, which the sandbox shows at the same path.
        python_version: Full version of that interpreter, such as `3.11.2`.
        uv_version: The uv that unpacked the wheels.
    """

    path: Path
    tree_digest: str
    lock_digest: str
    python: str
    python_version: str
    uv_version: str


def build(
    lock: Lock,
    cache: Path,
    tenant: str,
    *,
    python: Path | None = None,
    mounted_python: Path | None = None,
    as_uid: int | None = None,
    limits: Limits | None = None,
    on_build: Callable[[], None] = lambda: None,
    log: Log = lambda _: None,
) -> BuiltEnvironment:
    """Return the environment of a lock, building it if this tenant has not got it yet.

    Args:
        lock: What to install.
        cache: Folder of all built environments on this node.
        tenant: Whose environment this is.
        python: The node's interpreter; found by `find_python` if not given.
        mounted_python: Where that interpreter is inside the sandbox, if not at the same path.
        as_uid: User and group that unpacks and compiles, when this process is root.
        limits: Time and space a build may take.
        on_build: Called if it has to be built, before that begins.
        log: Receives progress, a line at a time.

    Raises:
        UsageError: The node has no such Python, or there is no such wheel.
        IntegrityError: A wheel is not the one that was locked.
        UnavailableError: An index cannot be reached.
        CapacityError: The disk is full, or the build took too long.
    """
    if re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", tenant) is None:
        raise UsageError(f"not a tenant id: {tenant!r}")
    home = _tenant_folder(cache, tenant)
    worker = Worker(home, as_uid, local_settings(), limits or Limits(), log)
    _require_reachable(home, worker)
    interpreter = inspect(python or find_python(lock.python), lock.python, worker)
    shown = mounted_python or interpreter.path
    name = _name(lock, interpreter, shown)
    found = _load(home / name)
    if found is not None:
        return found
    on_build()
    with _only_builder(home, name, log):
        found = _load(home / name)  # another builder may have finished while this one waited
        return found or _build(lock, home, name, interpreter=interpreter, shown=shown, worker=worker)


def discard(built: BuiltEnvironment) -> None:
    """Remove one environment, so that the next build makes it anew; for one whose digest no longer fits."""
    place = built.path.parent
    grave = place.with_name(f".building-{place.name}-{secrets.token_hex(4)}")
    try:
        place.rename(grave)  # out of sight at once; a death from here on leaves what any build sweeps up
    except FileNotFoundError:
        return
    remove(grave)


def _build(
    lock: Lock, home: Path, name: str, *, interpreter: Interpreter, shown: Path, worker: Worker
) -> BuiltEnvironment:
    for orphan in home.glob(f".building-{name}-*"):  # its builder is dead: this one holds the lock file
        remove(orphan)
    place = home / f".building-{name}-{secrets.token_hex(4)}"
    try:
        _make_folder(place)
        tree, desk = place / "tree", place / "desk"
        desk.mkdir()
        worker.own(desk)
        worker = replace(worker, home=desk)
        lay_out(tree, interpreter.path, lock.python, worker.own)
        if lock.pins:
            _install(lock, tree, home, worker)
            _compile(tree, interpreter, worker)
        remove(desk)
        seal(tree, shown, lock.python)
        built = BuiltEnvironment(
            home / name / "tree",
            tree_digest(tree),
            lock.digest,
            str(shown),
            interpreter.version,
            installer_version(),
        )
        (place / "lock.txt").write_text(lock.text)
        (place / "record.json").write_text(json.dumps(asdict(built) | {"path": "tree"}, indent=1))
        _write_through(place)
        place.rename(home / name)
    except OSError as error:
        remove(place)
        if error.errno in FULL_DISK:
            raise CapacityError(f"the disk is full while {_DOING}", hint="Free some space.") from None
        raise
    except BaseException:
        remove(place)
        raise
    return built


def _install(lock: Lock, tree: Path, home: Path, worker: Worker) -> None:
    wheels = home / f"wheels-{os.geteuid() if worker.uid is None else worker.uid}"
    wheels.mkdir(mode=0o700, exist_ok=True)
    worker.own(wheels)
    pins = worker.home / "pins.txt"
    pins.write_text("".join(f"{pin}\n" for pin in lock.pins))
    elsewhere = [part for option, address in lock.addresses for part in (_UV_OPTION[option], address)]
    command = [
        *(str(binary()), "pip", "sync", str(pins), "--python", str(tree / "bin/python")),
        *("--require-hashes", "--only-binary", ":all:", "--python-platform", PLATFORM),
        # The hash says which file it has to be, so every index may be asked for it.
        *("--index-strategy", "unsafe-best-match", "--link-mode", "copy", "--no-compile-bytecode"),
        *("--no-config", "--no-python-downloads", "--cache-dir", str(wheels), "--color", "never"),
        *elsewhere,
    ]
    try:
        ended = worker.run(command, by_handle=True)
        if ended.status != 0:
            raise explain(ended.errors, doing=_DOING, python=lock.python)
    except CapacityError:
        remove(wheels)  # what filled the disk may lie here
        raise


def _compile(tree: Path, interpreter: Interpreter, worker: Worker) -> None:
    workers = min(os.cpu_count() or 1, _MOST_COMPILERS)
    ended = worker.run(
        [str(interpreter.path), "-I", "-S", "-", str(tree), MOUNTED_AT, str(workers)],
        text=Path(bytecode.__file__).read_text(),
    )
    if ended.status != 0:
        raise IntegrityError(f"the environment's modules cannot be compiled: {ended.errors[-300:]}")


def _tenant_folder(cache: Path, tenant: str) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    home = cache.resolve() / tenant
    _make_folder(home, exist_ok=True)
    return home


def _make_folder(path: Path, *, exist_ok: bool = False) -> None:
    """Make a folder that others may pass through but not list: its names say what a tenant uses."""
    path.mkdir(exist_ok=exist_ok)
    path.chmod(0o711)


def _require_reachable(home: Path, worker: Worker) -> None:
    if worker.uid is None:
        return
    for folder in home.parents:
        if not folder.stat().st_mode & 0o001:
            raise UsageError(
                f"environments cannot be built in {home.parent}: the user {worker.uid} cannot reach {folder}",
                hint=f"Choose another folder, or let others pass through it: chmod o+x {folder}",
            )


@cache
def installer_version() -> str:
    """Version of the installer; looking for it takes two milliseconds."""
    return version("uv")


def _name(lock: Lock, interpreter: Interpreter, shown: Path) -> str:
    """Name the result by all it depends on: the lock, the interpreter, this format."""
    facts = "\n".join((_FORMAT, lock.digest, interpreter.version, str(shown), installer_version()))
    return f"{lock.digest[:16]}-{sha256_hex(facts.encode())[:16]}"


def _load(place: Path) -> BuiltEnvironment | None:
    try:
        record = json.loads((place / "record.json").read_text())
    except FileNotFoundError:
        return None
    return BuiltEnvironment(**record | {"path": place / "tree"})


@contextmanager
def _only_builder(home: Path, name: str, log: Log) -> Iterator[None]:
    """Hold the lock file of one environment; the kernel lets it go when its holder dies."""
    with (home / f".{name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log("Waiting for another build of the same environment")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write_through(place: Path) -> None:
    """Have the disk hold the tree before its name appears (syncfs(2): one call for all its files)."""
    handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(handle) != 0:
            raise OSError(ctypes.get_errno(), "syncfs failed", str(place))
    finally:
        os.close(handle)
