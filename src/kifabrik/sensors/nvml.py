"""NVML: NVIDIA's GPUs, what they are and what they draw.

A GPU's own counter is used (`nvmlDeviceGetTotalEnergyConsumption`, millijoules since the driver was
loaded, Volta and later); where it is missing, its power is sampled and summed up. A MIG slice has
neither and is estimated.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from kifabrik.meters.reading import EnergySource
from kifabrik.sensors.counters import CounterLostError, EnergyCounter


@dataclass(frozen=True)
class Gpu:
    """A GPU of this node.

    Args:
        uuid: Its name for ever, such as `GPU-5f3b…`.
        model: Such as `NVIDIA H100 80GB HBM3`.
        memory_bytes: Its memory.
        minor: The N of its device file `/dev/nvidiaN`.
    """

    uuid: str
    model: str
    memory_bytes: int
    minor: int


class NvmlEnergy:
    """A GPU's own energy counter."""

    source: Final = EnergySource.NVML

    def __init__(self, library: Any, uuid: str) -> None:
        self.device: Final = uuid
        self._library = library
        self._handle = _ask(library, "nvmlDeviceGetHandleByUUID", uuid)
        self._first_mj = self._count()

    def total_mj(self) -> int:
        """Energy in millijoules since this object was made.

        Raises:
            CounterLostError: The GPU does not answer any more, or its driver was loaded again.
        """
        gone = self._count() - self._first_mj
        if gone < 0:
            raise CounterLostError(self.device)
        return gone

    def _count(self) -> int:
        return int(_ask(self._library, "nvmlDeviceGetTotalEnergyConsumption", self._handle))


class NvmlPower:
    """Energy of a GPU without a counter: its power, sampled whenever asked and summed by trapezoids."""

    source: Final = EnergySource.NVML

    def __init__(self, library: Any, uuid: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.device: Final = uuid
        self._library = library
        self._clock = clock
        self._handle = _ask(library, "nvmlDeviceGetHandleByUUID", uuid)
        self._last_mw, self._last_s = self._power_mw(), clock()
        self._total_mj = 0.0

    def total_mj(self) -> int:
        """Energy in millijoules since this object was made.

        Raises:
            CounterLostError: The GPU does not answer any more.
        """
        now_mw, now_s = self._power_mw(), self._clock()
        self._total_mj += (self._last_mw + now_mw) / 2 * (now_s - self._last_s)
        self._last_mw, self._last_s = now_mw, now_s
        return int(self._total_mj)

    def _power_mw(self) -> int:
        return int(_ask(self._library, "nvmlDeviceGetPowerUsage", self._handle))


def open_nvml(uuids: Iterable[str], library: Any = None) -> tuple[EnergyCounter, ...]:
    """Return a counter for each GPU that has one; none where there is no driver.

    Args:
        uuids: The GPUs held.
        library: What answers in place of `pynvml`.
    """
    library = library or load()
    found: list[EnergyCounter] = []
    for uuid in uuids if library is not None else ():
        for kind in (NvmlEnergy, NvmlPower):
            try:
                found.append(kind(library, uuid))
            except CounterLostError:
                continue
            break
    return tuple(found)


def gpus(library: Any = None) -> tuple[Gpu, ...]:
    """List the GPUs of this node in the driver's order; none where there is no driver."""
    library = library or load()
    if library is None:
        return ()
    try:
        handles = [
            _ask(library, "nvmlDeviceGetHandleByIndex", index)
            for index in range(_ask(library, "nvmlDeviceGetCount"))
        ]
        return tuple(
            Gpu(
                str(_ask(library, "nvmlDeviceGetUUID", handle)),
                str(_ask(library, "nvmlDeviceGetName", handle)),
                int(_ask(library, "nvmlDeviceGetMemoryInfo", handle).total),
                int(_ask(library, "nvmlDeviceGetMinorNumber", handle)),
            )
            for handle in handles
        )
    except CounterLostError:
        return ()


def computing(minors: frozenset[int], library: Any = None) -> tuple[int, ...]:
    """Return which of these GPUs a process computes on; none where there is no driver to ask.

    Args:
        minors: Minor numbers of the GPUs.
        library: What answers in place of `pynvml`.
    """
    library = library or load()
    busy = []
    try:
        for index in range(_ask(library, "nvmlDeviceGetCount") if library is not None else 0):
            handle = _ask(library, "nvmlDeviceGetHandleByIndex", index)
            minor = int(_ask(library, "nvmlDeviceGetMinorNumber", handle))
            if minor in minors and _ask(library, "nvmlDeviceGetComputeRunningProcesses", handle):
                busy.append(minor)
    except CounterLostError:
        return ()
    return tuple(busy)


@dataclass(frozen=True)
class GpuState:
    """Whether a GPU can be used for something else.

    Args:
        processes: Those that compute on it.
        partitioned: Whether it is divided into MIG slices.
        fault: Why it should not be used before it is reset; empty if nothing is known.
    """

    processes: tuple[int, ...]
    partitioned: bool
    fault: str


def state(bus: str, library: Any) -> GpuState:
    """Ask for the state of a GPU.

    Args:
        bus: Its PCI address.
        library: `pynvml`, started.

    Raises:
        CounterLostError: It does not answer.
    """
    handle = _ask(library, "nvmlDeviceGetHandleByPciBusId", bus)
    computing_there = _ask(library, "nvmlDeviceGetComputeRunningProcesses", handle)
    mode = _ask_if_supported(library, "nvmlDeviceGetMigMode", handle)
    rows = _ask_if_supported(library, "nvmlDeviceGetRemappedRows", handle)
    fault = ""
    if rows and rows[3]:
        fault = "a row of its memory is damaged and could not be replaced"
    elif rows and rows[2]:
        fault = "a row of its memory is damaged; it must be reset before it is used"
    return GpuState(tuple(int(one.pid) for one in computing_there), bool(mode and mode[0]), fault)


def load() -> Any:
    """Return `pynvml`, started, or `None` where the package, the library or the driver is missing."""
    try:
        import pynvml  # noqa: PLC0415 - only nodes have it, and it costs 20 ms
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


def _ask(library: Any, function: str, *arguments: Any) -> Any:
    try:
        return getattr(library, function)(*arguments)
    except library.NVMLError as error:
        raise CounterLostError(f"{function}: {error}") from None


def _ask_if_supported(library: Any, function: str, *arguments: Any) -> Any:
    """Ask what not every GPU can say; None if this one cannot."""
    try:
        return getattr(library, function)(*arguments)
    except library.NVMLError as error:
        if getattr(error, "value", None) in (
            library.NVML_ERROR_NOT_SUPPORTED,
            library.NVML_ERROR_FUNCTION_NOT_FOUND,
        ):
            return None
        raise CounterLostError(f"{function}: {error}") from None
