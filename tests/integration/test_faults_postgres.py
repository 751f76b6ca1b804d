"""A factory on a real PostgreSQL: rows, two services on one database, and the server killed in the middle."""

from pathlib import Path

import pytest
from runs_room import RunFactory

from kifabrik.client.runs import Runs
from kifabrik.runs.states import RunState
from kifabrik.stores.sql.store import SqlStore
from kifabrik.stores.sql.upgrade import newest_revision, present_revision, upgrade
from parties import FactoryProcess
from players import keyholder, order, wait_for
from postgres import PostgresServer, postgres

__all__ = ["postgres"]


@pytest.fixture(scope="module")
def factory_on_postgres(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory):
    """A factory with a node, its rows in a fresh database."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KIFABRIK_TEST_POSTGRES", postgres.url)
        running = RunFactory(tmp_path_factory.mktemp("postgres") / "factory")
    assert "postgresql" in (running.home / "factory.toml").read_text()
    yield running
    running.close()


def test_the_schema_is_made_whole(factory_on_postgres: RunFactory) -> None:
    store = factory_on_postgres.inside.store
    assert isinstance(store, SqlStore)
    assert present_revision(store) == newest_revision()
    assert not upgrade(store)


def test_what_was_acknowledged_outlives_the_database_server(
    factory_on_postgres: RunFactory, postgres: PostgresServer
) -> None:
    party = factory_on_postgres.sign_up()
    person = party.enrol()
    manifests = []
    for _ in range(2):
        manifests.append(person.seal().digest)
        postgres.kill()
        postgres.start()
    sealed = [entry["refs"]["manifest"] for entry in party.entries() if entry["kind"] == "dataset.sealed"]
    assert sealed == manifests
    assert factory_on_postgres.inside.check.run(deep=True) == []


def test_a_run_outlives_the_database_server(
    factory_on_postgres: RunFactory, postgres: PostgresServer, tmp_path: Path
) -> None:
    factory = factory_on_postgres
    party = factory.sign_up()
    person = party.enrol()
    person.connection.patience_s = 60
    gate = tmp_path / "gate"
    factory.script(["building", "keys", "running", f"wait_for {gate}", "log after", "finish succeeded"])
    with keyholder(party):
        view = order(person)
        wait_for(Runs(person.connection), view.run, "running")
        postgres.kill()
        postgres.start()
        gate.touch()
        ended = wait_for(Runs(person.connection), view.run, "succeeded", "failed")
    assert ended.state is RunState.SUCCEEDED
    assert len(ended.attempts) == 1
    assert factory.inside.check.run(deep=True) == []


def test_two_services_on_one_database_start_every_run_once(factory_on_postgres: RunFactory) -> None:
    factory = factory_on_postgres
    config = factory.home / "factory.toml"
    config.write_text(config.read_text().replace("port = ", "port = 0 # "))
    other = FactoryProcess(factory.home)
    party = factory.sign_up()
    person = party.enrol()
    there = Runs(other.connect(person.token))
    with keyholder(party):
        ended = [wait_for(there, order(person).run, "succeeded", "failed") for _ in range(3)]
    assert [view.state for view in ended] == [RunState.SUCCEEDED] * 3
    assert [len(view.attempts) for view in ended] == [1] * 3
    assert factory.inside.check.run(deep=True) == []
    other.close()
