"""The factory's loop and the governor's permit: changes are passed on once, and again after a failure."""

import logging
from dataclasses import replace

import pytest

from kifabrik.errors import UnavailableError
from kifabrik.factory import power
from kifabrik.factory.power import PowerWatch
from kifabrik.plant.governor.rules import Permit

HALF = Permit(watts=7.8e6, full_watts=13e6, idle_watts=2.6e6, since=0.0, until=0.0, reason="The river is warm.")


class Scheduler:
    """Takes limits, or does not answer."""

    def __init__(self):
        self.limits, self.away = [], False

    def limit_power(self, share, reason):
        if self.away:
            raise UnavailableError("Slurm does not answer")
        self.limits.append((share, reason))


class Plant:
    """Permits what it is told to."""

    permit = None

    def __call__(self, now):
        return self.permit


def test_a_change_is_told_once_and_a_permit_that_lapses_ends_the_limit(caplog):
    plant, cluster = Plant(), Scheduler()
    watch = PowerWatch(plant, cluster)
    with caplog.at_level(logging.INFO):
        assert watch(0.0) is None
        plant.permit = HALF
        assert watch(1.0) is HALF
        watch(2.0)
        plant.permit = None
        watch(3.0)
        watch(4.0)
    assert cluster.limits == [(0.5, "The river is warm."), (1.0, "")]
    assert [record.message for record in caplog.records] == [
        "power: The river is warm.",
        "power: no permit stands any more; nothing is held back",
    ]


def test_where_there_never_was_a_permit_a_limit_of_the_operator_stays():
    cluster = Scheduler()
    watch = PowerWatch(Plant(), cluster)
    watch(0.0)
    assert cluster.limits == []


def test_a_limit_whose_permit_ended_while_no_service_ran_is_lifted_once():
    cluster = Scheduler()
    watch = PowerWatch(Plant(), cluster, governed=True)
    assert watch(0.0) is watch(1.0) is None
    assert cluster.limits == [(1.0, "")]


def test_a_scheduler_that_does_not_answer_is_told_again_but_not_at_once(monkeypatch: pytest.MonkeyPatch, caplog):
    plant, cluster = Plant(), Scheduler()
    clock = [1000.0]
    monkeypatch.setattr(power.time, "monotonic", lambda: clock[0])
    watch = PowerWatch(plant, cluster)
    plant.permit, cluster.away = HALF, True
    watch(0.0)
    cluster.away = False
    watch(1.0)
    assert cluster.limits == []
    clock[0] += 61
    watch(2.0)
    assert cluster.limits == [(0.5, "The river is warm.")]
    plant.permit = replace(HALF, watts=13e6)
    watch(3.0)
    assert cluster.limits[-1][0] == 1.0
    assert "the cluster was not told: Slurm does not answer" in caplog.text
