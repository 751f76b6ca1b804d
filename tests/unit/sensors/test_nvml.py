"""NVML through a library object that answers like pynvml: handles, numbers, `NVMLError`."""

from types import SimpleNamespace

import pytest

from kifabrik.meters.reading import EnergySource
from kifabrik.sensors.counters import CounterLostError
from kifabrik.sensors.nvml import Gpu, NvmlPower, gpus, open_nvml


class Library:
    """Two GPUs: the first counts energy, the second only knows its power."""

    class NVMLError(Exception):
        pass

    def __init__(self):
        self.energy_mj = {"GPU-1": 5_000}
        self.power_mw = {"GPU-1": 300_000, "GPU-2": 100_000}

    def nvmlDeviceGetCount(self):  # noqa: N802
        return len(self.power_mw)

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
        return SimpleNamespace(uuid=sorted(self.power_mw)[index], index=index)

    def nvmlDeviceGetHandleByUUID(self, uuid):  # noqa: N802
        if uuid not in self.power_mw:
            raise self.NVMLError("Not Found")
        return self.nvmlDeviceGetHandleByIndex(sorted(self.power_mw).index(uuid))

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):  # noqa: N802
        if handle.uuid not in self.energy_mj:
            raise self.NVMLError("Not Supported")
        return self.energy_mj[handle.uuid]

    def nvmlDeviceGetPowerUsage(self, handle):  # noqa: N802
        if handle.uuid not in self.power_mw:
            raise self.NVMLError("GPU is lost")
        return self.power_mw[handle.uuid]

    def nvmlDeviceGetUUID(self, handle):  # noqa: N802
        return handle.uuid

    def nvmlDeviceGetName(self, handle):  # noqa: N802
        return "NVIDIA H100 80GB HBM3"

    def nvmlDeviceGetMemoryInfo(self, handle):  # noqa: N802
        return SimpleNamespace(total=85_899_345_920)

    def nvmlDeviceGetMinorNumber(self, handle):  # noqa: N802
        return handle.index


def test_a_gpus_own_counter_is_read_from_the_opening():
    library = Library()
    (counter,) = open_nvml(["GPU-1"], library)
    library.energy_mj["GPU-1"] = 12_345
    assert (counter.source, counter.device, counter.total_mj()) == (EnergySource.NVML, "GPU-1", 7_345)


def test_the_power_of_a_gpu_without_a_counter_is_summed_up():
    library, now = Library(), [0.0]
    counter = NvmlPower(library, "GPU-2", lambda: now[0])
    now[0], library.power_mw["GPU-2"] = 2.0, 300_000
    assert counter.total_mj() == 400_000
    now[0] = 3.0
    assert counter.total_mj() == 700_000


def test_each_gpu_is_counted_as_well_as_it_can_be():
    found = open_nvml(["GPU-1", "GPU-2", "MIG-3"], Library())
    assert [(type(counter).__name__, counter.device) for counter in found] == [
        ("NvmlEnergy", "GPU-1"),
        ("NvmlPower", "GPU-2"),
    ]


def test_a_gpu_that_is_lost_or_counts_backwards_is_said_to_be_lost():
    library = Library()
    first, second = open_nvml(["GPU-1", "GPU-2"], library)
    library.energy_mj["GPU-1"] = 0
    del library.power_mw["GPU-2"]
    for counter in (first, second):
        with pytest.raises(CounterLostError):
            counter.total_mj()


def test_the_gpus_of_a_node_are_listed():
    assert gpus(Library())[1] == Gpu("GPU-2", "NVIDIA H100 80GB HBM3", 85_899_345_920, 1)


def test_a_node_where_nvml_fails_lists_none():
    library = Library()
    library.power_mw.clear()
    assert gpus(library) == ()
    library.nvmlDeviceGetCount = lambda: (_ for _ in ()).throw(Library.NVMLError("Unknown"))
    assert gpus(library) == ()


def test_this_machine_answers_with_what_it_has_and_never_raises():
    here = gpus()
    assert len(open_nvml([gpu.uuid for gpu in here])) == len(here)
    assert open_nvml(["GPU-that-is-not-there"]) == ()
