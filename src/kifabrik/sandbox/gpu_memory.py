"""Overwrites what is left in a GPU's memory, through the CUDA driver's own interface.

    python -I -m kifabrik.sandbox.gpu_memory 00000000:3B:00.0 …     one line of JSON for each, then the end

A process of its own, because a driver that hangs cannot be interrupted, only given up.

Invariants:
- it takes all memory the driver gives, in pieces that get smaller, fills each with zeros, and reads the ends of
  each back; what it could not take is said, and more than `SLACK_BYTES` of it counts as failed;
- it takes nothing else of the GPU: who computes there, and whether it is partitioned, was asked before.

What it does not reach: what the driver keeps for the context it computes in (some hundred megabytes), registers,
caches and shared memory.

Source: CUDA Driver API reference, version 12 (symbols with `_v2` are what `cuda.h` has named so since 3.2).
"""

import argparse
import ctypes
import json
import sys
import threading
from collections.abc import Iterator
from ctypes import byref, c_char_p, c_int, c_size_t, c_ubyte, c_uint, c_uint64, c_void_p
from dataclasses import asdict, dataclass
from typing import Final

LIBRARY: Final = "libcuda.so.1"
SLACK_BYTES: Final = 64 << 20
"""Free memory that may stay untaken. Chosen, not measured: on no GPU has this been run so far."""
_LEAST_BYTES: Final = 2 << 20
"""The driver gives memory in pages of 2 MiB."""
_PROBE_BYTES: Final = 4096
_OUT_OF_MEMORY: Final = 2
"""CUDA_ERROR_OUT_OF_MEMORY."""

_FUNCTIONS: Final = {
    "cuInit": (c_uint,),
    "cuGetErrorName": (c_int, c_void_p),
    "cuDeviceGetByPCIBusId": (c_void_p, c_char_p),
    "cuDevicePrimaryCtxRetain": (c_void_p, c_int),
    "cuDevicePrimaryCtxRelease_v2": (c_int,),
    "cuCtxSetCurrent": (c_void_p,),
    "cuCtxSynchronize": (),
    "cuMemGetInfo_v2": (c_void_p, c_void_p),
    "cuMemAlloc_v2": (c_void_p, c_size_t),
    "cuMemFree_v2": (c_uint64,),
    "cuMemsetD8_v2": (c_uint64, c_ubyte, c_size_t),
    "cuMemcpyDtoH_v2": (c_void_p, c_uint64, c_size_t),
}


class CudaError(Exception):
    """The driver said no."""


@dataclass(frozen=True)
class Overwritten:
    """What became of one GPU.

    Args:
        bus: Its PCI address.
        total_bytes: Its memory.
        overwritten_bytes: How much was filled with zeros.
        left_bytes: How much was free and could not be taken.
        fault: Why it is not overwritten; empty if it is.
    """

    bus: str
    total_bytes: int = 0
    overwritten_bytes: int = 0
    left_bytes: int = 0
    fault: str = ""


class Cuda:
    """The driver.

    Args:
        library: Its shared library.

    Raises:
        CudaError: It cannot be loaded, or lacks a function.
    """

    def __init__(self, library: str = LIBRARY) -> None:
        try:
            self._library = ctypes.CDLL(library)
            for name, arguments in _FUNCTIONS.items():
                function = getattr(self._library, name)
                function.argtypes, function.restype = arguments, c_int
        except (OSError, AttributeError) as error:
            raise CudaError(f"{library} cannot be used: {error}") from None
        self.call("cuInit", 0)

    def call(self, function: str, *arguments: object) -> None:
        """Call a function of the driver.

        Raises:
            CudaError: It failed.
        """
        status = self.status(function, *arguments)
        if status:
            raise CudaError(f"{function}: {self.name(status)}")

    def status(self, function: str, *arguments: object) -> int:
        """Call a function of the driver and return what it returns; 0 is success."""
        return int(getattr(self._library, function)(*arguments))

    def name(self, status: int) -> str:
        """What the driver calls a status."""
        name = c_char_p()
        if self._library.cuGetErrorName(status, byref(name)) or not name.value:
            return f"error {status}"
        return name.value.decode(errors="replace")


def overwrite(cuda: Cuda, bus: str) -> Overwritten:
    """Fill all free memory of a GPU with zeros; what goes wrong stands in the answer.

    Args:
        cuda: The driver.
        bus: The GPU's PCI address, such as `0000:3b:00.0`.
    """
    try:
        device, context = c_int(), c_void_p()
        cuda.call("cuDeviceGetByPCIBusId", byref(device), bus.encode())
        cuda.call("cuDevicePrimaryCtxRetain", byref(context), device)
        try:
            cuda.call("cuCtxSetCurrent", context)
            return _overwrite_current(cuda, bus)
        finally:
            cuda.call("cuDevicePrimaryCtxRelease_v2", device)
    except CudaError as error:
        return Overwritten(bus, fault=str(error))


def _overwrite_current(cuda: Cuda, bus: str) -> Overwritten:
    total = _memory(cuda)[1]
    taken: list[tuple[int, int]] = []
    try:
        taken.extend(_take(cuda))
        left = _memory(cuda)[0]
        for address, size in taken:
            cuda.call("cuMemsetD8_v2", address, 0, size)
        cuda.call("cuCtxSynchronize")
        unwritten = next((f"{address:#x}" for address, size in taken if not _is_zero(cuda, address, size)), "")
    finally:
        for address, _ in taken:
            cuda.call("cuMemFree_v2", address)
    overwritten = sum(size for _, size in taken)
    fault = ""
    if unwritten:
        fault = f"memory at {unwritten} was filled with zeros and does not read as zeros"
    elif left > SLACK_BYTES:
        fault = f"{left >> 20} MiB of {total >> 20} MiB could not be taken"
    return Overwritten(bus, total, overwritten, left, fault)


def _take(cuda: Cuda) -> Iterator[tuple[int, int]]:
    """Allocate until nothing is left; yields address and size of each piece as soon as it is ours."""
    size = _memory(cuda)[0] // _LEAST_BYTES * _LEAST_BYTES
    while size >= _LEAST_BYTES:
        address = c_uint64()
        status = cuda.status("cuMemAlloc_v2", byref(address), size)
        if status == 0:
            yield address.value, size
            size = min(size, _memory(cuda)[0] // _LEAST_BYTES * _LEAST_BYTES)
        elif status == _OUT_OF_MEMORY:
            size = size // 2 // _LEAST_BYTES * _LEAST_BYTES
        else:
            raise CudaError(f"cuMemAlloc_v2: {cuda.name(status)}")


def _memory(cuda: Cuda) -> tuple[int, int]:
    """Free and whole memory of the current GPU, in bytes."""
    free, total = c_size_t(), c_size_t()
    cuda.call("cuMemGetInfo_v2", byref(free), byref(total))
    return free.value, total.value


def _is_zero(cuda: Cuda, address: int, size: int) -> bool:
    probe = ctypes.create_string_buffer(_PROBE_BYTES)
    for start in (address, address + size - _PROBE_BYTES):
        ctypes.memset(probe, 0xFF, _PROBE_BYTES)
        cuda.call("cuMemcpyDtoH_v2", probe, start, _PROBE_BYTES)
        if any(probe.raw):
            return False
    return True


def main() -> int:
    """Overwrite the GPUs named in the argument list, side by side; 1 if one of them is not."""
    parser = argparse.ArgumentParser(prog="kifabrik-gpu-memory", description=__doc__)
    parser.add_argument("bus", nargs="+", help="PCI address of a GPU")
    parser.add_argument("--library", default=LIBRARY)
    given = parser.parse_args()
    faults: list[str] = []
    try:
        cuda = Cuda(given.library)
    except CudaError as error:
        for bus in given.bus:
            _say(Overwritten(bus, fault=str(error)))
        return 1

    def work(bus: str) -> None:
        done = overwrite(cuda, bus)
        _say(done)
        if done.fault:
            faults.append(done.fault)

    threads = [threading.Thread(target=work, args=(bus,)) for bus in given.bus]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 1 if faults else 0


def _say(done: Overwritten) -> None:
    sys.stdout.write(json.dumps(asdict(done)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
