"""A factory with a node of its own whose launchers play scripts; used by the tests of runs."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import players
from databases import use_postgres
from kifabrik.client.runs import Runs
from kifabrik.errors import UnavailableError
from kifabrik.factory.deadlines import Deadlines
from kifabrik.factory.engine import Life, Task
from kifabrik.factory.leader import Leadership
from kifabrik.factory.node_records import NodeRecord
from kifabrik.factory.queue import Queue
from kifabrik.factory.reconcile import Reconciler
from kifabrik.factory.run_records import Run
from kifabrik.factory.supervise import Supervisor
from kifabrik.signatures.keys import SigningKey
from kifabrik.values import Kind, Place, format_time, new_id, now_utc
from kifabrik.wiring.factory import init_home, open_factory
from kifabrik.wiring.node import init_node, read_key
from parties import FactoryProcess, Party, Person
from ports import free_port

PYTHON = "3.11"
NODE = """
node = "{node}"
name = "box"
cpus = {cpus}
memory = 1000000000
pythons = ["3.11"]
launcher = {launcher}
objects = ""
[place]
country = "DE"
"""


class RunFactory(FactoryProcess):
    """A factory process with a node."""

    def __init__(self, home: Path, cpus: int = 2) -> None:
        init_home(home, port=free_port())  # launchers find the service there again after a restart
        use_postgres(home / "factory.toml")
        self.node_home = home / "node"
        config = init_node(self.node_home, place=Place())
        launcher = [players.__file__, str(self.node_home)]
        text = NODE.format(node=config.node, cpus=cpus, launcher=json.dumps(launcher))
        (self.node_home / "node.toml").write_text(text)
        (self.node_home / "scripts").mkdir()
        self.script(players.DONE)
        super().__init__(home)

    @property
    def node_key(self):
        """The node's key."""
        return read_key(self.node_home)

    def script(self, steps: list[str], run: str = "default", attempt: int | None = None) -> None:
        """Tell launchers what to play: all of them, or that of one attempt."""
        name = run if attempt is None else f"{run}-{attempt}"
        (self.node_home / "scripts" / f"{name}.json").write_text(json.dumps(steps))

    def launcher_pid(self, attempt: str) -> int:
        """The process of an attempt's launcher."""
        note = self.node_home / "launchers" / f"{attempt}.json"
        return int(json.loads(note.read_text())["pid"])


class EnginePlayer:
    """An engine without processes: what it was told to start lives until a test says otherwise."""

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}
        self.lives: dict[str, Life] = {}
        self.submits: list[str] = []
        self.broken = False

    def serves(self, node: str) -> bool:
        return True

    def submit(self, task: Task) -> None:
        if self.broken:
            raise UnavailableError("no launcher can be started")
        self.submits.append(task.attempt)
        self.tasks[task.attempt] = task
        self.lives[task.attempt] = Life.ALIVE

    def poll(self) -> dict[str, Life]:
        return dict(self.lives)

    def kill(self, attempt: str) -> None:
        self.lives[attempt] = Life.GONE

    def forget(self, attempt: str) -> None:
        self.lives.pop(attempt, None)


class Desk(FactoryProcess):
    """A factory whose service answers in a process of its own while the test drives its runs, by its own clock."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.ahead = timedelta()
        self.node_key = SigningKey.generate()
        self.node = new_id(Kind.NODE)
        self.driven = open_factory(home, clock=self.now)
        self.loop = None
        self.begin()

    def begin(self, cpus: int = 64) -> None:
        """Begin anew: an empty node of this size, an engine that knows nothing, the true time."""
        if self.loop is not None:
            self.clear()
        self.ahead = timedelta()
        self.engine = EnginePlayer()
        self.loop = self.another_loop()
        record = NodeRecord(
            node=self.node,
            name="box",
            key=self.node_key.public.hex,
            place=Place("DE"),
            cpus=cpus,
            memory_bytes=10**9,
            gpus=(),
            pythons=(PYTHON,),
            created=format_time(now_utc()),
        )
        self.driven.runs.fleet.enrol(record)

    def last_seen(self, party: Party) -> str:
        """When the factory last heard of a tenant's keyholder."""
        return next(one.keyholder_seen for one in self.driven.accounts.tenants() if one.tenant == party.tenant)

    def clear(self) -> None:
        """End every run that has not ended, and forget who leads."""
        self.ahead = timedelta()
        self.forget_leader()
        self.engine.lives = {}
        for run in self._unfinished():
            self.driven.runs.stopping.stop(run.tenant, run.member, run.sweep or run.run)
        self.loop = self.another_loop()
        self.drive()
        self.forget_leader()

    def _unfinished(self) -> list[Run]:
        """Every run that has not ended, those included that wait for others."""
        with self.driven.store.read() as transaction:
            return [
                run
                for tenant in transaction.accounts.tenants()
                for order in transaction.runs.orders_page(tenant.tenant, "", 500)
                for run in transaction.runs.going_on(tenant.tenant, order.run)
            ]

    def another_loop(self) -> Reconciler:
        """A loop like that of another service on the same database."""
        runs, store, log = self.driven.runs, self.driven.store, self.driven.log
        return Reconciler(
            self.driven.hints,
            Leadership(store, log.clock),
            Supervisor(store, log, self.driven.accounts, runs.book, runs.endings, self.engine),
            Queue(store, self.driven.accounts, runs.book, self.engine),
            Deadlines(store, log, runs.book),
        )

    def forget_leader(self) -> None:
        """Let whoever asks first lead."""
        with self.driven.store.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM leaders")

    def now(self) -> datetime:
        """The time by which runs are driven."""
        return now_utc() + self.ahead

    def drive(self) -> bool:
        """Make one pass of the loop that drives runs."""
        return self.loop.once()

    def close(self) -> None:
        """End everything."""
        self.driven.store.close()
        super().close()

    def hire(self, person: Person, **wishes) -> players.LauncherPlayer:
        """Order a run, have it started, and be its launcher."""
        view = players.order(person, **wishes)
        self.drive()
        return self.launcher(person, view.run)

    def launcher(self, person: Person, run: str) -> players.LauncherPlayer:
        """Be the launcher of a run's newest attempt, its work taken."""
        view = Runs(person.connection).show(run)
        task = self.engine.tasks[view.attempts[-1].attempt]
        assignment = {
            "factory": self.url,
            "token": task.token,
            "attempt": task.attempt,
            "tenant": task.tenant,
        }
        player = players.LauncherPlayer(assignment, self.node_key)
        self._connections.append(player.connection)
        player.take_work()
        player.run = run
        return player


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A factory whose runs the tests of a module drive."""
    running = Desk(tmp_path_factory.mktemp("desk") / "factory")
    yield running
    running.close()


@pytest.fixture
def small_desk(desk: Desk) -> Desk:
    """A factory with an empty node of two cores whose runs the test drives."""
    desk.begin(cpus=2)
    return desk


@pytest.fixture
def party(small_desk: Desk) -> Iterator[Party]:
    """A tenant of that factory, whose keyholder is there."""
    signed_up = small_desk.sign_up()
    with players.keyholder(signed_up):
        players.eventually(lambda: small_desk.last_seen(signed_up))
        yield signed_up


@pytest.fixture
def person(party: Party) -> Person:
    """A member of that tenant."""
    return party.enrol()


@pytest.fixture(scope="module")
def run_factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunFactory]:
    """A factory that runs for all tests of a module."""
    running = RunFactory(tmp_path_factory.mktemp("runs") / "factory")
    yield running
    running.close()


@pytest.fixture
def own_run_factory(tmp_path: Path) -> Iterator[RunFactory]:
    """A factory of the test's own, to be killed and started again."""
    running = RunFactory(tmp_path / "factory")
    yield running
    running.close()
