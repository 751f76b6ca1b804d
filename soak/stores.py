"""Where a play's rows and objects lie, if not in the factory's folder: real servers of its own, which can fail.

PostgreSQL keeps its data on this machine's disk and syncs what it commits; the object store is Ceph's gateway over
an OSD in memory, of which only the gateway may be killed.
"""

import shutil
import sys
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import mkdtemp

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "services")]

import ceph  # noqa: E402

from postgres import PROGRAMS, PostgresServer  # noqa: E402

MISSING = "a soak on {what} needs {missing}; install what it needs as root: scripts/install-services stores"
PREFIX = "factory"


class Database:
    """A PostgreSQL server of this play's own.

    Args:
        closing: Ends it with the play.
    """

    name = "database"

    def __init__(self, closing):
        if not PROGRAMS:
            raise SystemExit(MISSING.format(what="postgres", missing="PostgreSQL"))
        folder = Path(mkdtemp(prefix="kifabrik-soak-pg-"))
        folder.chmod(0o711)
        closing.callback(shutil.rmtree, folder, ignore_errors=True)
        self._server = PostgresServer(PROGRAMS[-1], folder)
        closing.callback(self._server.close)
        self._url = self._server.fresh("kifabrik")
        self.turn = threading.Lock()
        """Held by whoever makes it fail."""
        self.kill, self.revive = self._server.kill, self._server.start
        self.freeze, self.thaw = self._server.freeze, self._server.thaw
        self.hurt = self._server.kill_backend
        self.restore = self._server.restore

    def settings(self):
        """Its line in factory.toml."""
        return f'database = "{self._url}"\n', ""


class Bucket:
    """A bucket in a Ceph of this play's own.

    Args:
        closing: Ends it with the play.
    """

    name = "object store"

    def __init__(self, closing):
        if ceph.missing_programs():
            raise SystemExit(MISSING.format(what="s3", missing=", ".join(ceph.missing_programs())))
        self._ceph = closing.enter_context(ceph.running())
        self._bucket = self._ceph.bucket()
        self.turn = threading.Lock()
        self.kill, self.revive = self._ceph.kill_gateway, self._ceph.start_gateway
        self.freeze, self.thaw = self._ceph.freeze_gateway, self._ceph.thaw_gateway
        self.hurt = None

    def settings(self):
        """Its section in factory.toml."""
        said = f'url = "s3://{self._bucket}/{PREFIX}"\nendpoint = "{self._ceph.endpoint}"\n'
        return "", f'\n[objects]\n{said}credentials = "{self._ceph.credentials_file()}"\n'


DATABASES = {"sqlite": None, "postgres": Database}
OBJECTS = {"folder": None, "s3": Bucket}


class Stores:
    """What a play's factory stands on.

    Args:
        database: One of `DATABASES`.
        objects: One of `OBJECTS`.
    """

    def __init__(self, database="sqlite", objects="folder"):
        self.named = f"{database}, {objects}"
        with ExitStack() as closing:
            self.database = DATABASES[database] and DATABASES[database](closing)
            self.bucket = OBJECTS[objects] and OBJECTS[objects](closing)
            self._closing = closing.pop_all()

    @property
    def servers(self):
        """Those that can fail."""
        return [one for one in (self.database, self.bucket) if one is not None]

    def settle_in(self, home):
        """Write into a factory's settings where it keeps its rows and objects."""
        file = home / "factory.toml"
        for before, after in (one.settings() for one in self.servers):
            file.write_text(before + file.read_text() + after)

    def restore(self, copy):
        """Make a backup into a factory that can be opened: rows from the dump, objects from its own folder."""
        file, rows = copy / "factory.toml", copy / "factory.dump"
        lines = file.read_text().partition("\n[objects]\n")[0].splitlines(keepends=True)
        if rows.exists():
            url = self.database.restore(rows, copy.parent.name.replace("-", "_"))
            lines = [f'database = "{url}"\n' if line.startswith("database = ") else line for line in lines]
        file.write_text("".join(lines))

    def close(self):
        """End all servers and remove what they kept."""
        self._closing.close()


@contextmanager
def away(server, journal):
    """Kill a server; it comes back when the block is over, whatever happens in it."""
    with server.turn:
        journal.harm(server.name, "KILL", 0)
        server.kill()
        journal.count(f"harm {server.name}")
        try:
            yield
        finally:
            server.revive()
