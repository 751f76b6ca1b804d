"""Energy of a run, shared out period by period."""

import time
from dataclasses import dataclass, field

import pytest

from kifabrik.errors import UsageError
from kifabrik.launcher.metering import RunMeter
from kifabrik.launcher.node import idle_power
from kifabrik.meters.reading import EnergySource
from kifabrik.sandbox.running import ExitReport
from kifabrik.sensors.meter import Meter
from kifabrik.values import Resources


@dataclass
class Node:
    """A node whose package a test drives: counters and clocks that stand still unless it moves them."""

    now_s: float = 0.0
    drawn_mj: int = 0
    busy_ms: int = 0
    cpu_ms: dict[str, int] = field(default_factory=dict)
    device: str = "package-0"
    source: EnergySource = EnergySource.RAPL
    lost: bool = False
    reads: int = 0

    def total_mj(self):
        self.reads += 1
        if self.lost:
            from kifabrik.sensors.counters import CounterLostError

            raise CounterLostError
        return self.drawn_mj

    def meter(self, _gpus):
        return Meter([self], every_s=3600, clock=lambda: self.now_s, cpu_ms=lambda: self.busy_ms)

    def begin(self, run, every_s=3600, **options):
        self.cpu_ms[run] = 0
        meter = RunMeter(meter_of=self.meter, every_s=every_s, **options)
        meter.start(Resources(memory_bytes=10**6), (), lambda: self.cpu_ms[run] * 1_000_000)
        return meter

    def compute(self, run, seconds, joules):
        """One run computes on a core, the others wait."""
        self.now_s += seconds
        self.drawn_mj += joules * 1000
        self.busy_ms += seconds * 1000
        self.cpu_ms[run] += seconds * 1000

    def end(self, meter, run):
        meter.stop(ExitReport(0, 0, oom=False, cpu_seconds=self.cpu_ms[run] / 1000, peak_memory_bytes=7))
        reading = meter.reading(log_bytes=0)
        return sum(one.millijoules for one in reading.energy if one.source is EnergySource.RAPL), reading


def test_a_run_that_waits_while_another_computes_is_not_given_what_that_one_drew():
    node = Node()
    long, short = node.begin("long"), node.begin("short")
    node.compute("short", 5, 100)
    long.end_period()
    of_short, _ = node.end(short, "short")
    node.compute("long", 5, 10)
    long.end_period()
    of_long, reading = node.end(long, "long")
    assert (of_short, of_long) == (100_000, 10_000)
    assert of_short + of_long <= node.drawn_mj
    assert (reading.wall_ms, reading.cpu_ms, reading.memory_peak_bytes) == (10_000, 5_000, 7)


def test_where_nothing_counts_a_rooms_time_while_it_runs_all_of_it_is_one_period():
    node = Node()
    meter = RunMeter(meter_of=node.meter, every_s=3600)
    node.cpu_ms["run"] = 0
    meter.start(Resources(memory_bytes=10**6), (), lambda: None)
    node.compute("run", 5, 60)
    meter.end_period()
    node.compute("run", 5, 40)
    assert node.end(meter, "run")[0] == 100_000


def test_a_counter_that_is_lost_on_the_way_counts_up_to_there_and_the_rest_is_estimated():
    node = Node()
    meter = node.begin("run")
    node.compute("run", 5, 100)
    meter.end_period()
    node.lost = True
    node.compute("run", 5, 100)
    measured, reading = node.end(meter, "run")
    assert measured == 100_000
    (cpu,) = [one.millijoules for one in reading.energy if one.device == "cpu"]
    assert cpu == 5 * 3500


def test_periods_end_by_themselves():
    node = Node()
    meter = node.begin("run", every_s=0.01)
    node.compute("run", 5, 100)
    begun, until = node.reads, time.monotonic() + 60
    while node.reads < begun + 2:  # the first may have begun before
        assert time.monotonic() < until
        time.sleep(0.01)
    assert node.end(meter, "run")[0] == 100_000


def test_what_the_operator_says_of_the_idle_node_is_shared_by_reservation(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    node = Node()
    meter = node.begin("run", idle_mw={"package-0": 8000})
    node.cpu_ms["other"] = 0
    node.compute("other", 10, 100)
    assert node.end(meter, "run")[0] == 8 * 10 * 1000 // 4


@pytest.mark.parametrize(
    "body", [5, {"package-0": "48"}, {"package-0": -1}, {"package-0": True}, {"package-0": 1e9}]
)
def test_idle_power_that_is_none_is_refused(body):
    with pytest.raises(UsageError, match="idle_watts"):
        idle_power(body)


def test_idle_power_is_read_in_watts():
    assert idle_power({"package-0": 48, "package-0/dram": 6.5}) == {"package-0": 48_000, "package-0/dram": 6_500}
