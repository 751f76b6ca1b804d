import threading

from kifabrik.meters.attribution import Share, energy_of_attempt
from kifabrik.meters.reading import EnergyReading, EnergySource
from kifabrik.sensors.counters import CounterLostError
from kifabrik.sensors.meter import Meter
from kifabrik.sensors.node import node_cpu_ms


class Counter:
    """A counter whose value a test sets; `None` is a counter that is lost."""

    source = EnergySource.RAPL

    def __init__(self, device, value):
        self.device = device
        self.value = value
        self.asked = threading.Event()

    def total_mj(self):
        self.asked.set()
        if self.value is None:
            raise CounterLostError
        return self.value


def test_a_meter_counts_from_its_start():
    counter, now, cpu = Counter("package-0", 700), [5.0], [100]
    meter = Meter([counter], clock=lambda: now[0], cpu_ms=lambda: cpu[0])
    now[0], cpu[0], counter.value = 10.0, 1_000, 1_000
    meter.start()
    now[0], cpu[0], counter.value = 12.5, 4_000, 1_600
    counted = meter.read()
    assert counted.wall_ms == 2_500
    assert counted.node_cpu_ms == 3_000
    assert counted.energy == (EnergyReading(EnergySource.RAPL, "package-0", 600),)
    meter.stop()


def test_a_stopped_meter_keeps_its_result():
    counter = Counter("package-0", 0)
    meter = Meter([counter])
    meter.start()
    counter.value = 5
    stopped = meter.stop()
    counter.value = 50
    assert meter.read() == meter.stop() == stopped
    assert stopped.energy[0].millijoules == 5


def test_counters_are_read_in_between_so_that_none_wraps_unseen():
    counter = Counter("package-0", 0)
    with Meter([counter], every_s=0.001):
        counter.asked.clear()
        assert counter.asked.wait(60)


def test_a_counter_lost_on_the_way_is_not_passed_off_as_complete():
    kept, lost = Counter("package-0", 0), Counter("package-1", 0)
    meter = Meter([kept, lost])
    meter.start()
    kept.value, lost.value = 10, 10
    assert len(meter.read().energy) == 2
    lost.value = None
    meter.read()
    lost.value = 20
    assert [reading.device for reading in meter.stop().energy] == ["package-0"]


def test_a_counter_that_never_answers_is_left_out():
    meter = Meter([Counter("package-0", None)])
    meter.start()
    assert meter.stop().energy == ()


def test_stopping_without_a_start_is_harmless():
    assert [reading.millijoules for reading in Meter([Counter("package-0", 7)]).stop().energy] == [0]


def test_this_machine_is_metered_and_what_it_cannot_count_is_estimated():
    with Meter.for_node() as meter:
        sum(range(300_000))
        counted = meter.stop()
    assert counted.wall_ms >= 0
    share = Share(counted.wall_ms, 20, max(20, counted.node_cpu_ms), 1, 2, 10**9, 10**10)
    energy = energy_of_attempt(counted.energy, share)
    sources = {reading.source for reading in energy}
    assert sources == {EnergySource.ESTIMATED} if not counted.energy else EnergySource.RAPL in sources
    assert sum(reading.millijoules for reading in energy) > 0


def test_the_nodes_cpu_time_is_read_as_proc_stat_documents_it(tmp_path):
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 20 30 9999 888 4 5 6 50 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
    assert node_cpu_ms(stat) == (100 + 20 + 30 + 4 + 5 + 6) * 10
    assert node_cpu_ms(tmp_path / "none") == 0
    assert node_cpu_ms() > 0
