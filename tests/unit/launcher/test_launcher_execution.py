"""A job in its room and its output in the journal, here with an ordinary process for the room."""

import os
import subprocess
import threading
import time
from types import SimpleNamespace

import pytest

from kifabrik.launcher import execution
from kifabrik.sandbox.limits import RunGroup
from kifabrik.sandbox.running import RunningRoom


class SlowJournal:
    """Takes its time over each line, as one that waits for the factory does."""

    is_full = False

    def __init__(self):
        self.lines = []

    def line(self, kind, text):
        time.sleep(0.2)
        if kind != "note":
            self.lines.append((kind, text))


@pytest.fixture
def job(monkeypatch):
    """Let `execute` start this command, in no namespace."""

    def prepare(command):
        def start(*_):
            outputs = [os.pipe() for _ in range(2)]
            process = subprocess.Popen(
                ["sh", "-c", command], stdout=outputs[0][1], stderr=outputs[1][1], process_group=0
            )
            for _, far in outputs:
                os.close(far)
            guard = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            first = (process.pid, os.pidfd_open(process.pid))
            near = (outputs[0][0], outputs[1][0])
            return RunningRoom(process, guard, first, near, RunGroup((), ()), None)

        monkeypatch.setattr(execution, "start", start)

    return prepare


def run(journal, on_start=lambda _room: None):
    return execution.execute(
        None,
        None,
        None,
        journal=journal,
        control=SimpleNamespace(cause=None),
        cap_at=time.monotonic() + 60,
        on_start=on_start,
    )


def readers():
    return [thread.name for thread in threading.enumerate() if thread.name in {"out", "err"}]


def test_all_output_is_kept_before_the_end_is_told(job):
    job("echo one; echo two >&2; echo three; exit 3")
    journal = SlowJournal()
    assert run(journal).report.status == 3
    assert sorted(journal.lines) == [("err", "two"), ("out", "one"), ("out", "three")]
    assert readers() == []


def test_nobody_reads_from_a_room_that_was_closed_when_its_start_failed(job):
    """Numbers of descriptors are given again: a reader left behind would put another file into the log."""
    job("echo up; echo up >&2; exec sleep 60")
    journal = SlowJournal()
    began = time.monotonic()

    def torn(_room):
        time.sleep(0.1)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        run(journal, torn)
    assert readers() == []
    assert time.monotonic() - began < 30
    assert sorted(journal.lines) == [("err", "up"), ("out", "up")]
