"""A soak that cannot fail proves nothing: each of its judges is shown what it must not let pass."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))

from soak import afterwards, programs
from soak.journal import Harm, Journal
from soak.leftovers import left_for_good, leftovers
from soak.pace import in_time
from soak.parties import Commands, Party
from soak.plan import deal
from soak.processes import every_process
from soak.scenes import SCENES
from soak.services import Service
from soak.truth import Ordered, wrong

from kifabrik.ledger.entry import EntryKind
from kifabrik.runs.retry import _SENTENCES
from kifabrik.runs.states import Outcome, RunState
from kifabrik.values import Place, Resources
from kifabrik.wire.runs import AttemptView, FootprintView, RunView

RUN = "r-aaaaaaaaaaaaaaaa"


@pytest.fixture
def journal(tmp_path):
    kept = Journal(tmp_path / "journal.jsonl")
    yield kept
    kept.close()


def ordered(**more):
    return Ordered("tenant-1", "job-1", RUN, "short", frozenset({Outcome.SUCCEEDED}), **more)


def view(state, *outcomes, reason=None):
    attempts = [
        AttemptView(attempt=f"a-{n}", number=n, state=state, outcome=one, finished="2026-11-23T10:00:00Z")
        for n, one in enumerate(outcomes, 1)
    ]
    return RunView(
        run=RUN,
        member="m-aaaaaaaaaaaaaaaa",
        purpose="upkeep",
        state=state,
        revision=3,
        reason=_SENTENCES[outcomes[-1]] if reason is None else reason,
        order="ab" * 32,
        resources=Resources(),
        place=Place(),
        attempts=attempts,
        outputs=[],
        published={},
        footprint=FootprintView(),
        cap_s=60,
        created="2026-11-23T10:00:00Z",
    )


def harmed_by(*harms):
    """Harms to the first attempt."""
    return lambda attempt: [Harm(target, name, 1, attempt) for target, name in harms if attempt == "a-1"]


def test_a_run_that_did_what_it_should_is_right():
    assert wrong(ordered(), view(RunState.SUCCEEDED, Outcome.SUCCEEDED), harmed_by()) == []


@pytest.mark.parametrize(
    ("harms", "excused"),
    [
        ([], False),
        ([("launcher", "STOP")], False),
        ([("launcher", "KILL")], True),
        ([("launcher", "TERM")], True),
        ([("room:python", "STOP")], False),
    ],
)
def test_only_who_was_killed_may_fail(harms, excused):
    found = wrong(ordered(), view(RunState.FAILED, Outcome.NODE_FAILURE), harmed_by(*harms))
    assert (found == []) is excused


def test_a_wrong_reason_is_named():
    (found,) = wrong(ordered(), view(RunState.SUCCEEDED, Outcome.SUCCEEDED, reason="It was Tuesday."), harmed_by())
    assert "says 'It was Tuesday.', not 'The job finished.'" in found


def test_a_state_that_does_not_follow_from_the_last_attempt_is_named():
    found = wrong(ordered(), view(RunState.STOPPED, Outcome.SUCCEEDED), harmed_by())
    assert any("succeeded of attempt 1 makes it succeeded" in one for one in found)


def test_another_attempt_that_nobody_asked_for_is_named():
    outcomes = (Outcome.NODE_FAILURE, Outcome.SUCCEEDED)
    asked = ordered(attempts=2, retry_on=("node-failure",))
    harms = harmed_by(("launcher", "KILL"))
    assert wrong(asked, view(RunState.SUCCEEDED, *outcomes), harms) == []
    (found,) = wrong(ordered(), view(RunState.SUCCEEDED, *outcomes), harms)
    assert "was tried again after node-failure" in found


def test_a_run_that_was_not_tried_again_as_ordered_is_named():
    asked = ordered(attempts=2, retry_on=("node-failure",))
    found = wrong(asked, view(RunState.FAILED, Outcome.NODE_FAILURE), harmed_by(("launcher", "KILL")))
    assert any("makes it queued" in one for one in found)


def test_an_acknowledgement_without_an_entry_is_named(journal):
    journal.ack("tenant-1", EntryKind.GRANT_REVOKED, grant="g-1")
    journal.ack("tenant-2", EntryKind.GRANT_REVOKED, grant="g-2")
    entry = {"kind": "grant.revoked", "refs": {"grant": "g-1", "statement": "ff"}}
    afterwards.check_acks("tenant-1", [entry], journal)
    assert journal.mistakes == []
    afterwards.check_acks("tenant-1", [{**entry, "kind": "grant.given"}], journal)
    (found,) = journal.mistakes
    assert found.startswith("tenant-1: grant.revoked of {'grant': 'g-1'} was acknowledged")


def test_a_result_with_one_other_byte_is_named(journal, tmp_path):
    source, pulled = tmp_path / "source", tmp_path / "pulled"
    source.mkdir()
    pulled.mkdir()
    (source / "part.bin").write_bytes(b"measurements")
    files = programs.expected_files(source, "salt")
    for name, body in files.items():
        (pulled / name).write_bytes(body)
    one = ordered(expected=files, pulled=pulled)
    seen = view(RunState.SUCCEEDED, Outcome.SUCCEEDED)
    watch = type("Watch", (), {"views": lambda _self: {RUN: seen}})()
    afterwards.check_runs([one], [watch], journal)
    assert journal.mistakes == []
    assert journal.counts["results right"] == 1
    (pulled / "weights.bin").write_bytes(files["weights.bin"][:-1] + b"\0")
    afterwards.check_runs([one], [watch], journal)
    assert "is not what the program must have left" in journal.mistakes[0]


def test_a_run_that_vanished_from_the_list_is_named(journal):
    afterwards.check_runs([ordered()], [], journal)
    assert "is not in the list of runs" in journal.mistakes[0]


def test_a_process_of_the_play_that_still_lives_is_named(tmp_path):
    assert not any("lives" in one for one in leftovers(tmp_path))
    process = subprocess.Popen(["sleep", "100"], env={**os.environ, "KIFABRIK_HOME": f"{tmp_path}/factory"})
    try:
        while not Path(f"/proc/{process.pid}/environ").read_bytes():
            continue  # the kernel sets a new program's environment a moment after it has started
        assert any(f"process {process.pid} lives: sleep 100" in one for one in leftovers(tmp_path))
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")
def test_a_mount_of_the_play_is_named(tmp_path):
    command = f"mount -t tmpfs kifabrik {tmp_path} && echo up && exec sleep 100"
    process = subprocess.Popen(["unshare", "--mount", "sh", "-c", command], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "up\n"
        assert f"mounted: {tmp_path}" in leftovers(tmp_path)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_what_is_just_ending_is_not_left_and_what_stays_is(tmp_path, monkeypatch):
    before = leftovers(tmp_path)
    variables = {**os.environ, "KIFABRIK_HOME": f"{tmp_path}/x"}
    ending, staying = (subprocess.Popen(["sleep", "100"], env=variables) for _ in range(2))
    now = [0.0]

    def pause(seconds):
        now[0] += seconds
        if ending.returncode is None:
            assert any(f"process {ending.pid} lives" in one for one in leftovers(tmp_path))
            ending.kill()
            ending.wait()

    try:
        for process in (ending, staying):
            while not Path(f"/proc/{process.pid}/environ").read_bytes():
                continue
        with monkeypatch.context() as patch:
            patch.setattr("soak.leftovers.time", SimpleNamespace(monotonic=lambda: now[0], sleep=pause))
            left = left_for_good(tmp_path, before, patience_s=3)
        assert [one for one in left if f"process {staying.pid} lives" in one]
        assert not [one for one in left if f"process {ending.pid} lives" in one]
    finally:
        for process in (ending, staying):
            process.kill()
            process.wait()
    assert not [one for one in left_for_good(tmp_path, before) if " lives: sleep" in one]


def test_a_seed_gives_one_plan_and_another_seed_another():
    first, again, other = (deal(seed, 100, 1200, 3) for seed in ("1", "1", "2"))
    assert first == again
    assert first != other
    assert sum(SCENES[act.scene][1] for act in first) >= 100
    assert {act.scene for act in first} == set(SCENES)
    assert all(0 <= act.at_s <= 1200 for act in first)


def wait_until(holds):
    until = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_killed_service_comes_back_and_a_stopped_one_does_not(tmp_path):
    service = Service("sleeper", ["sleep", "100"], dict(os.environ), tmp_path)
    service.start()
    wait_until(lambda: service.pid)
    first = service.pid
    every_process()[first].send(signal.SIGKILL)
    wait_until(lambda: service.pid not in (None, first))
    assert service.stop()
    wait_until(lambda: service.pid is None)
    time.sleep(1.5)
    assert service.pid is None


def test_a_service_that_is_cut_off_stays_away_until_it_is_started_again(tmp_path):
    service = Service("sleeper", ["sleep", "100"], dict(os.environ), tmp_path)
    service.start()
    wait_until(lambda: service.pid)
    service.cut_off()
    time.sleep(1.5)
    assert service.pid is None
    service.start()
    wait_until(lambda: service.pid)
    assert service.stop()


def test_a_signal_never_reaches_another_process_of_the_same_number(tmp_path):
    process = subprocess.Popen(["sleep", "100"])
    seen = every_process()[process.pid]
    process.kill()
    process.wait()
    assert not seen.send(signal.SIGKILL)


def test_a_command_that_breaks_is_a_mistake(journal, tmp_path, monkeypatch):
    party = Party(tmp_path, Commands(journal), "somebody")
    assert party.kifabrik("--version").status == 0
    assert journal.mistakes == []
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'Traceback (most recent call last)' >&2; exit 1\n")
    broken.chmod(0o700)
    monkeypatch.setattr("soak.parties.KIFABRIK", broken)
    party.kifabrik("ps")
    assert "kifabrik ps broke: Traceback" in journal.mistakes[0]


def test_a_busy_machine_is_given_more_time_and_a_free_one_exactly_what_is_said(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(os, "getloadavg", lambda: (7.9, 0.0, 0.0))
    assert in_time(300.0) == 300.0
    monkeypatch.setattr(os, "getloadavg", lambda: (40.0, 0.0, 0.0))
    assert in_time(300.0) == 1500.0
