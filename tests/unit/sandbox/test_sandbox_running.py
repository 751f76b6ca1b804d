"""A room's processes, here ordinary ones in no namespace: what may still be asked of it once it has ended."""

import os
import signal
import subprocess
import time

import pytest

from kifabrik.sandbox.limits import RunGroup
from kifabrik.sandbox.running import RunningRoom


class KilledGroup(RunGroup):
    """A group that tells how often it was killed: another run may have one of the same name by now."""

    killed = 0

    def kill(self) -> None:
        type(self).killed += 1


@pytest.fixture
def start():
    rooms = []

    def start(*command):
        process = subprocess.Popen(command, process_group=0)
        guard = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        near = [os.open(os.devnull, os.O_RDONLY) for _ in range(2)]
        first = (process.pid, os.pidfd_open(process.pid))
        rooms.append(RunningRoom(process, guard, first, (near[0], near[1]), KilledGroup((), ()), None))
        return rooms[-1]

    KilledGroup.killed = 0
    yield start
    for room in rooms:
        room.close()


def test_a_signal_that_comes_after_the_end_reaches_nobody_and_fails_nothing(start):
    """A cluster signals a launcher whenever it likes, also while it seals what the job has left."""
    room = start("true")
    assert room.wait().status == 0
    room.send(signal.SIGUSR1)
    room.close()
    for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGKILL):
        room.send(number)
    room.ask_to_stop()
    assert room.terminate(0).status == 0
    room.close()


def test_a_room_that_has_ended_kills_no_group_that_another_run_has_made_since(start):
    room = start("true")
    room.wait()
    before = KilledGroup.killed
    room.kill()
    room.close()
    room.kill()
    assert KilledGroup.killed == before


def test_a_room_that_runs_is_stopped_and_killed(start, tmp_path):
    room = start("sleep", "60")
    assert (room.wait(0), room.exit) == (None, None)
    room.ask_to_stop()
    report = room.wait(20)
    assert (report.status, report.signal) == (128 + signal.SIGTERM, signal.SIGTERM)
    deaf = tmp_path / "deaf"
    stubborn = start("sh", "-c", f"trap '' TERM; : >'{deaf}'; while :; do sleep 60; done")
    until = time.monotonic() + 60
    while not deaf.exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    assert stubborn.terminate(0.2).signal == signal.SIGKILL
