"""Energy where no counter exists: from time and stated coefficients, always marked as estimated.

Processors and memory follow the Cloud Carbon Footprint methodology (cloudcarbonfootprint.org/docs/methodology,
sections Compute and Memory): a CPU draws a least power while reserved and rises linearly to a most power
while busy. Its AWS averages over SPECpower_ssj2008 results are used. As those include some memory already,
the sum errs on the high side. GPUs count with the board power of NVIDIA's data sheets, an upper bound.
"""

from typing import Final

from kifabrik.errors import UsageError

CPU_LEAST_MW: Final = 740
"""Power of one idle CPU thread: 0.74 W."""

CPU_MOST_MW: Final = 3_500
"""Power of one busy CPU thread: 3.5 W."""

MEMORY_MW_PER_GB: Final = 392
"""Power of memory: 0.392 W for each GB."""

GPU_BOARD_MW: Final = {
    "T4": 70_000,
    "L4": 72_000,
    "A10": 150_000,
    "A30": 165_000,
    "A40": 300_000,
    "L40S": 350_000,
    "A100": 400_000,
    "H100": 700_000,
    "H200": 700_000,
    "B200": 1_000_000,
}
"""Largest board power of the form sold for servers (SXM where there is one), from the data sheets."""

_GB: Final = 10**9
_MS_PER_S: Final = 1000


def estimate_cpu(cpus: int, wall_ms: int, cpu_ms: int) -> int:
    """Energy of reserved CPUs in millijoules: the least power all the time, the rest while computing."""
    return (cpus * wall_ms * CPU_LEAST_MW + cpu_ms * (CPU_MOST_MW - CPU_LEAST_MW)) // _MS_PER_S


def estimate_memory(memory_bytes: int, wall_ms: int) -> int:
    """Energy of reserved memory in millijoules."""
    return memory_bytes * wall_ms * MEMORY_MW_PER_GB // (_GB * _MS_PER_S)


def estimate_gpus(model: str, gpu_ms: int) -> int:
    """Energy of held GPUs in millijoules; an unknown model counts like the strongest one known.

    Args:
        model: Such as `H100`, or as NVML names it: `NVIDIA H100 80GB HBM3`.
        gpu_ms: Time held, summed over the GPUs.

    Raises:
        UsageError: The time is negative.
    """
    if gpu_ms < 0:
        raise UsageError(f"gpu_ms cannot be negative: {gpu_ms}")
    words = model.upper().replace("-", " ").split()
    known = (GPU_BOARD_MW[word] for word in words if word in GPU_BOARD_MW)
    return next(known, max(GPU_BOARD_MW.values())) * gpu_ms // _MS_PER_S
