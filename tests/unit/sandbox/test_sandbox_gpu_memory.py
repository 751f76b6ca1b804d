"""Overwriting a GPU's memory, against a driver of ordinary memory: see `tests/plain_gpu.py`."""

import json
import subprocess
import sys

import pytest

import plain_gpu
from kifabrik.sandbox import gpu_memory
from plain_gpu import PAGE, PlainGpu

pytestmark = pytest.mark.skipif(bool(plain_gpu.missing()), reason=plain_gpu.missing())


@pytest.fixture
def gpu(tmp_path):
    return PlainGpu(tmp_path / "gpu", minors=(0, 1)).build()


def overwrite(gpu, *minors):
    """As the scrubber calls it: a process of its own, the library found by the loader."""
    done = subprocess.run(
        [sys.executable, "-I", "-m", "kifabrik.sandbox.gpu_memory", *(gpu.bus(minor) for minor in minors)],
        env={"LD_LIBRARY_PATH": str(gpu.folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    return done.returncode, {answer["bus"]: answer for answer in map(json.loads, done.stdout.splitlines())}


def test_nothing_is_left_of_what_stood_in_the_memory(gpu):
    assert gpu.holds(0) == list(range(64))
    status, answers = overwrite(gpu, 0)
    assert (status, gpu.holds(0)) == (0, [])
    assert answers[gpu.bus(0)] == {
        "bus": gpu.bus(0), "total_bytes": 64 * PAGE, "overwritten_bytes": 64 * PAGE, "left_bytes": 0, "fault": "",
    }  # fmt: skip
    assert gpu.holds(1) == list(range(64))  # another GPU


def test_several_gpus_are_overwritten_by_one_process(gpu):
    assert overwrite(gpu, 0, 1)[0] == 0
    assert gpu.holds(0) == gpu.holds(1) == []


def test_memory_in_pieces_is_taken_piece_by_piece(gpu):
    """What the driver holds itself, in the middle, stays; every other page is overwritten."""
    gpu.fail("reserve=3", "reserve=17", "reserve=18", "reserve=40")
    status, answers = overwrite(gpu, 0)
    assert (status, gpu.holds(0)) == (0, [3, 17, 18, 40])
    assert answers[gpu.bus(0)]["overwritten_bytes"] == 60 * PAGE


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("init", "cuInit: CUDA_ERROR_UNKNOWN"),
        ("alloc", "128 MiB of 128 MiB could not be taken"),
        ("memset", "does not read as zeros"),
    ],
)
def test_whatever_was_not_overwritten_is_said(gpu, fault, said):
    gpu.fail(fault)
    status, answers = overwrite(gpu, 0)
    assert status == 1
    assert said in answers[gpu.bus(0)]["fault"]
    assert gpu.holds(0)


def test_a_gpu_the_driver_does_not_know_is_said(gpu):
    status, answers = overwrite(gpu, 0, 5)
    assert status == 1
    assert answers[gpu.bus(5)]["fault"] == "cuDeviceGetByPCIBusId: CUDA_ERROR_INVALID"
    assert (answers[gpu.bus(0)]["fault"], gpu.holds(0)) == ("", [])


def test_a_library_that_is_not_the_drivers_is_said(tmp_path):
    with pytest.raises(gpu_memory.CudaError, match=r"nothing\.so cannot be used"):
        gpu_memory.Cuda(str(tmp_path / "nothing.so"))
    with pytest.raises(gpu_memory.CudaError, match="cuInit"):
        gpu_memory.Cuda("libc.so.6")
