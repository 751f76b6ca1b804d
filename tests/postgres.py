"""A PostgreSQL server of a test's own, where Debian's `postgresql-15` is installed. Fixture `postgres`."""

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import pytest

_ROOM: Final = 2 * 10**9
PROGRAMS: Final = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


class PostgresServer:
    """A server on a socket of its own; it refuses to run as root, so root runs it as `postgres` or `nobody`.

    Args:
        programs: Folder of `initdb` and `postgres`.
        folder: For its data and its socket; everybody may enter it.
    """

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs, self._folder = programs, folder
        self._user = _other_user()
        if self._user is not None:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        self._call("initdb", "--auth=trust", "--username=kifabrik", "--no-sync", "-D", "data")
        self.url = f"postgresql+psycopg://kifabrik@/postgres?host={folder}"
        self.start()

    def start(self) -> None:
        """Start it; it answers when this returns."""
        options = f"-c listen_addresses='' -c unix_socket_directories={self._folder} -c max_connections=200"
        self._call("pg_ctl", "-D", "data", "-l", "log", "-o", options, "-w", "start")

    def kill(self) -> None:
        """Kill it and all its processes at once, as a power cut would."""
        os.kill(self._pid(), signal.SIGSTOP)  # it would make new children in place of the dead ones
        family = self._family()
        _send(family, signal.SIGKILL)
        while any(_lives(one) for one in family):
            time.sleep(0.02)
        for name in ("data/postmaster.pid", ".s.PGSQL.5432.lock", ".s.PGSQL.5432"):
            (self._folder / name).unlink()  # after a power cut the number in them means nobody

    def kill_backend(self, number: int) -> None:
        """Kill one of the processes that speak to clients: the server cuts off all others and recovers."""
        backends = [one for one in self._family()[1:] if b" kifabrik " in Path(f"/proc/{one}/cmdline").read_bytes()]
        _send(backends[number % len(backends) :][:1] if backends else [], signal.SIGKILL)

    def freeze(self) -> None:
        """Let it hang: connections stay, nothing is answered."""
        os.kill(self._pid(), signal.SIGSTOP)
        _send(self._family(), signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        _send(reversed(self._family()), signal.SIGCONT)

    def fresh(self, name: str) -> str:
        """Make an empty database; return its address."""
        self._call("createdb", "--host", str(self._folder), "--username=kifabrik", name)
        return f"postgresql+psycopg://kifabrik@/{name}?host={self._folder}"

    def restore(self, dump: Path, name: str) -> str:
        """Make a database from what `pg_dump` left; return its address."""
        url = self.fresh(name)
        copy = self._folder / f"{name}.dump"  # where this server's user may read it
        shutil.copyfile(dump, copy)
        copy.chmod(0o644)
        words = ("--exit-on-error", "--no-owner", "--host", str(self._folder), "--username=kifabrik")
        self._call("pg_restore", *words, "--dbname", name, str(copy))
        copy.unlink()
        return url

    def close(self) -> None:
        """Stop it and remove its data."""
        self._call("pg_ctl", "-D", "data", "-m", "immediate", "-w", "stop", check=False)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _pid(self) -> int:
        return int((self._folder / "data" / "postmaster.pid").read_text().split()[0])

    def _family(self) -> list[int]:
        """The server's process, then those it has made."""
        pid = self._pid()
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]

    def _call(self, program: str, *words: str, check: bool = True) -> None:
        ids = {} if self._user is None else {"user": self._user.pw_uid, "group": self._user.pw_gid}
        with (self._folder / "calls").open("ab") as log:
            subprocess.run(
                [self._programs / program, *words],
                cwd=self._folder,
                check=check,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                extra_groups=[] if ids else None,
                env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]},
                **ids,
            )


def _send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _other_user() -> pwd.struct_passwd | None:
    if os.getuid():
        return None
    names = {one.pw_name: one for one in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


def folder_of_a_server() -> Path:
    """Make a folder for a server, in memory where there is room: what is synced there costs no time."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _ROOM
    folder = Path(mkdtemp(prefix="kifabrik-postgres-", dir=memory if roomy else None))
    folder.chmod(0o711)
    return folder


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A server for the tests of a module."""
    pytest.importorskip("psycopg")
    if not PROGRAMS:
        pytest.skip("needs PostgreSQL: apt-get install postgresql-15")
    server = PostgresServer(PROGRAMS[-1], folder_of_a_server())
    yield server
    server.close()
