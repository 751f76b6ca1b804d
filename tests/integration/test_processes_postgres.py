"""Several processes of one factory on PostgreSQL: who answers, who drives the runs, who is killed meanwhile."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from runs_room import RunFactory

from kifabrik.client.connection import Connection
from kifabrik.client.runs import Runs
from kifabrik.runs.states import RunState
from members import Member
from parties import Person
from players import keyholder, order, wait_for
from ports import free_port
from postgres import PostgresServer, postgres

__all__ = ["postgres"]


class House:
    """A factory that two processes answer for, and one more drives."""

    def __init__(self, home: Path) -> None:
        self._connections: list[Connection] = []
        ports = free_port(), free_port()
        self.factory = RunFactory(home, cpus=4)
        config = home / "factory.toml"
        config.write_text(f'public_url = "http://127.0.0.1:{ports[0]}"\n' + config.read_text())
        assert self.factory.stop() == 0
        self.answering = [Member(home, port) for port in ports]
        self.driving = [Member(home, does="drives")]
        for member in (*self.answering, *self.driving):
            member.ready()
        self.factory.url = self.answering[0].url

    def runs(self, person: Person, at: int) -> Runs:
        """What a member asks of runs, at one of the processes that answer."""
        self._connections.append(Connection(self.answering[at].url, person.token, patience_s=60))
        return Runs(self._connections[-1])

    def leader(self) -> str:
        with self.factory.inside.store.read() as transaction:
            found = transaction.runs.leader("runs")
        return found.holder if found else ""

    def close(self) -> None:
        for one in self._connections:
            one.close()
        for member in (*self.driving, *self.answering):
            member.close()
        self.factory.close()


@pytest.fixture(scope="module")
def house(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KIFABRIK_TEST_POSTGRES", postgres.url)
        running = House(tmp_path_factory.mktemp("processes") / "factory")
    yield running
    running.close()


def test_what_is_ordered_at_one_process_is_driven_by_another_and_heard_at_a_third(house: House) -> None:
    party = house.factory.sign_up()
    person = party.enrol()
    with keyholder(party):
        view = order(person)
        ended = wait_for(house.runs(person, at=1), view.run, "succeeded", "failed")
    assert ended.state is RunState.SUCCEEDED
    assert house.factory.inside.check.run(deep=True) == []


def test_a_process_that_only_answers_never_leads(house: House) -> None:
    leader = house.leader()
    assert leader
    house.driving[0].close()
    time.sleep(3)
    assert house.leader() == ""
    house.driving = [Member(house.factory.home, does="drives").ready()]
    _until(lambda: house.leader() not in ("", leader))


def test_runs_go_on_while_who_drives_them_is_killed_again_and_again(house: House) -> None:
    party = house.factory.sign_up()
    person = party.enrol()
    person.connection.patience_s = 60
    there, seen, over = house.runs(person, at=1), [], threading.Event()
    house.driving.append(Member(house.factory.home, does="drives").ready())

    def kill_leaders() -> None:
        while not over.wait(1.5):
            before = house.leader()
            pid = int(before.partition("/")[0] or 0)
            victim = next((one for one in house.driving if one.process.pid == pid), None)
            if victim is None:
                continue
            victim.kill()
            began = time.monotonic()
            _until(lambda old=before: house.leader() not in ("", old))
            seen.append(time.monotonic() - began)
            house.driving.append(Member(house.factory.home, does="drives").ready())

    killer = threading.Thread(target=kill_leaders)
    with keyholder(party):
        killer.start()
        views = [order(person) for _ in range(12)]
        while not seen and killer.is_alive():  # however slow the one who kills is
            views.append(order(person))
        ended = [wait_for(there, view.run, "succeeded", "failed") for view in views]
        over.set()
        killer.join()
    assert seen
    assert {view.state for view in ended} == {RunState.SUCCEEDED}
    assert {len(view.attempts) for view in ended} == {1}
    assert house.factory.inside.check.run(deep=True) == []


def _until(true, within_s: float = 90.0) -> None:
    until = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < until
        time.sleep(0.1)
