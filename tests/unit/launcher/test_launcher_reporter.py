"""Telling the factory how far a run has come, without making the run wait for it."""

import threading

from kifabrik.errors import ConflictError, UnavailableError
from kifabrik.launcher.reporter import Reporter
from kifabrik.runs.states import RunState


class Factory:
    """Takes steps, once it is let go; refuses the second one."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.told: list[tuple[RunState, str]] = []

    def progress(self, state: RunState, reason: str = "") -> None:
        self.free.wait(30)
        self.told.append((state, reason))
        if state is RunState.RUNNING:
            raise ConflictError("a run that is stopped cannot become running")
        if state is RunState.STAGING:
            raise UnavailableError("away")


def test_steps_are_told_in_order_and_nobody_waits_for_them() -> None:
    factory = Factory()
    reporter = Reporter(factory)
    reporter.tell(RunState.BUILDING)
    reporter.tell(RunState.WAITING_FOR_KEY, "No answer yet.")
    assert factory.told == []
    factory.free.set()
    reporter.close()
    assert factory.told == [(RunState.BUILDING, ""), (RunState.WAITING_FOR_KEY, "No answer yet.")]
    reporter.close()


def test_a_step_the_factory_does_not_take_keeps_none_from_being_told() -> None:
    factory = Factory()
    factory.free.set()
    reporter = Reporter(factory)
    for state in (RunState.STAGING, RunState.RUNNING, RunState.SEALING):
        reporter.tell(state)
    reporter.close()
    assert [state for state, _ in factory.told] == [RunState.STAGING, RunState.RUNNING, RunState.SEALING]
