"""Runs under faults, with real processes: services and launchers killed, two services at once."""

import os
import re
import signal
from pathlib import Path

from runs_room import RunFactory

from kifabrik.client.runs import Runs
from kifabrik.engines.local.processes import ProcessId
from kifabrik.runs.states import Outcome, RunState
from parties import FactoryProcess
from players import DONE, RETRY_NODE, eventually, keyholder, order, wait_for


def test_a_run_outlives_the_service_and_is_settled_after_its_restart(
    own_run_factory: RunFactory, tmp_path: Path
) -> None:
    factory = own_run_factory
    party = factory.sign_up()
    person = party.enrol()
    gate = tmp_path / "gate"
    factory.script(["building", "keys", "running", f"wait_for {gate}", "log after", "finish succeeded"])
    with keyholder(party):
        view = order(person)
        running = wait_for(Runs(person.connection), view.run, "running")
        launcher = ProcessId.of(factory.launcher_pid(running.attempts[0].attempt))
        factory.kill()
        gate.touch()
        assert launcher is not None
        assert launcher.alive()
        factory.start()
        ended = wait_for(Runs(person.connection), view.run, "succeeded", "failed")
    assert ended.state is RunState.SUCCEEDED
    assert len(ended.attempts) == 1
    assert ended.footprint.cost_micro_eur > 0
    log = Runs(person.connection).log(ended.attempts[0].attempt)
    assert [segment.body for segment in log.segments] == [b"after"]
    eventually(lambda: not launcher.alive())


def test_a_launcher_that_died_while_the_service_was_away_is_found_lost(own_run_factory: RunFactory) -> None:
    factory = own_run_factory
    party = factory.sign_up()
    person = party.enrol()
    factory.script(["building", "keys", "running", "until_told"])
    with keyholder(party):
        view = order(person, attempts=2, retry_on=RETRY_NODE)
        running = wait_for(Runs(person.connection), view.run, "running")
        pid = factory.launcher_pid(running.attempts[0].attempt)
        factory.kill()
        os.kill(pid, signal.SIGKILL)
        factory.script(DONE)
        factory.start()
        ended = wait_for(Runs(person.connection), view.run, "succeeded", "failed")
    outcomes = [attempt.outcome for attempt in ended.attempts]
    assert outcomes == [Outcome.NODE_FAILURE, Outcome.SUCCEEDED]


def test_a_killed_launcher_is_noticed_and_its_run_continues_from_the_checkpoint(
    run_factory: RunFactory,
) -> None:
    party = run_factory.sign_up()
    person = party.enrol()
    run_factory.script(["building", "keys", "running", "checkpoint", "die"])
    with keyholder(party):
        view = order(person, attempts=2, retry_on=RETRY_NODE, checkpoint=True)
        run_factory.script(["building", "keys", "running", "checkpoint", "finish succeeded"], view.run, 2)
        ended = wait_for(Runs(person.connection), view.run, "succeeded", "failed")
    assert ended.state is RunState.SUCCEEDED
    with party.factory.inside.store.read() as transaction:
        chain = transaction.datasets.versions(party.tenant, f"{view.run}/checkpoint")
    assert [one.version for one in chain] == [1, 2]


def test_a_running_run_is_stopped_through_its_launcher(run_factory: RunFactory) -> None:
    party = run_factory.sign_up()
    person = party.enrol()
    run_factory.script(["building", "keys", "running", "until_told"])
    with keyholder(party):
        view = order(person)
        wait_for(Runs(person.connection), view.run, "running")
        Runs(person.connection).stop(view.run)
        ended = wait_for(Runs(person.connection), view.run, "stopped", "failed")
    assert ended.attempts[0].outcome is Outcome.STOPPED


def test_two_services_on_one_database_start_every_run_once_and_one_says_that_it_stands_by(
    own_run_factory: RunFactory,
) -> None:
    factory = own_run_factory
    config = factory.home / "factory.toml"
    config.write_text(config.read_text().replace("port = ", "port = 0 # "))
    other = FactoryProcess(factory.home)
    party = factory.sign_up()
    person = party.enrol()
    there = Runs(other.connect(person.token))
    with keyholder(party):
        first = [wait_for(there, order(person).run, "succeeded", "failed") for _ in range(2)]
    said = (factory.home / "service.log").read_text()
    assert said.count("runs: this service drives them") == 1
    assert re.search(r"runs: another service, \S+, drives them; this one answers", said)
    assert factory.stop() == 0
    person.connection, party.factory = other.connect(person.token), other
    with keyholder(party):
        then = [wait_for(there, order(person).run, "succeeded", "failed")]
    assert [view.state for view in first + then] == [RunState.SUCCEEDED] * 3
    assert [len(view.attempts) for view in first + then] == [1] * 3
    with other.inside.store.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT free_cpus FROM nodes").scalar_one() == 2
    assert (factory.home / "service.log").read_text().count("runs: this service drives them") == 2
    other.close()
