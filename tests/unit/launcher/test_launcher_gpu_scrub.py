"""Scrubbing GPUs between runs, against a driver of ordinary memory: see `tests/plain_gpu.py`."""

import os
import subprocess
import sys

import pytest

import plain_gpu
from kifabrik.errors import UnavailableError
from kifabrik.launcher.gpu_scrub import GpuScrubber
from kifabrik.launcher.gpus import held_gpus, scrub_gpus, unscrubbed
from plain_gpu import PAGE, PlainGpu

needs_gcc = pytest.mark.skipif(bool(plain_gpu.missing()), reason=plain_gpu.missing())

_SCRUB = """
import sys
from pathlib import Path
from kifabrik.errors import UnavailableError
from kifabrik.launcher.gpu_scrub import GpuScrubber
scrubber = GpuScrubber(Path(sys.argv[1]), patience_s=float(sys.argv[2]), wait=lambda _: None)
try:
    print(scrubber.scrub(tuple(map(int, sys.argv[3].split(",")))))
except UnavailableError as error:
    print(error.message)
"""


@pytest.fixture
def gpu(tmp_path):
    return PlainGpu(tmp_path / "gpu", minors=(0, 3)).build()


def scrub(gpu, minors, patience_s=60):
    """In a process of its own, as the loader reads LD_LIBRARY_PATH when one starts."""
    done = subprocess.run(
        [sys.executable, "-c", _SCRUB, str(gpu.driver), str(patience_s), minors],
        env=os.environ | {"LD_LIBRARY_PATH": str(gpu.folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@needs_gcc
def test_the_gpus_of_a_job_are_overwritten_and_no_others(gpu):
    assert scrub(gpu, "3") == str(64 * PAGE)
    assert (gpu.holds(3), gpu.holds(0)) == ([], list(range(64)))


@needs_gcc
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("memset", "GPU 3 is not scrubbed: memory at "),
        ("init", "GPU 3 is not scrubbed: cuInit: CUDA_ERROR_UNKNOWN"),
        ("mig", "GPU 3 is partitioned (MIG), which scrubbing does not support"),
        ("busy=4711", "GPU 3 cannot be scrubbed: process 4711 computes on it"),
        ("rows", "GPU 3: a row of its memory is damaged and could not be replaced"),
        ("deaf", "GPUs cannot be scrubbed: NVML does not answer"),
    ],
)
def test_a_gpu_that_is_not_overwritten_is_refused_with_the_reason(gpu, fault, said):
    gpu.fail(fault)
    assert scrub(gpu, "3").startswith(said)


@needs_gcc
def test_a_gpu_somebody_computes_on_is_not_touched(gpu):
    gpu.fail("busy=4711")
    scrub(gpu, "3")
    assert gpu.holds(3) == list(range(64))


@needs_gcc
def test_what_the_driver_itself_prints_is_no_answer(gpu):
    gpu.fail("chatty")
    assert scrub(gpu, "3") == str(64 * PAGE)
    gpu.use(3)
    gpu.fail("chatty", "memset")
    assert scrub(gpu, "3").startswith("GPU 3 is not scrubbed: memory at ")


@needs_gcc
def test_a_driver_that_hangs_is_given_up(gpu):
    gpu.fail("hang")
    assert scrub(gpu, "0,3", patience_s=1) == "GPU 0 is not scrubbed: the driver did not answer within 1 s"


@needs_gcc
def test_a_gpu_the_driver_does_not_list_is_refused(gpu):
    assert scrub(gpu, "0,7") == "the driver knows no GPU 7"
    assert gpu.holds(0) == list(range(64))


def test_without_a_driver_there_is_nothing_to_scrub(tmp_path):
    assert GpuScrubber(tmp_path / "none").scrub((0, 1)) == 0


class Scrubs:
    """Notes what it is to overwrite, and fails where told to."""

    def __init__(self):
        self.done = []
        self.fails = False

    def __call__(self, gpus):
        if self.fails:
            raise UnavailableError("the driver hangs")
        self.done.append(gpus)


def test_a_gpu_is_scrubbed_when_its_run_ends(tmp_path):
    scrubs = Scrubs()
    with held_gpus((2, 5), tmp_path, scrub=scrubs):
        assert scrubs.done == []
        assert unscrubbed((2, 5, 6), tmp_path) == (2, 5)
    assert (scrubs.done, unscrubbed((2, 5), tmp_path)) == ([(2, 5)], ())


def test_a_gpu_whose_run_was_killed_is_scrubbed_before_the_next(tmp_path):
    """A killed launcher cleans nothing, but the mark it has made stays."""
    scrubs, killed = Scrubs(), os.fork()
    if killed == 0:
        with held_gpus((2,), tmp_path, scrub=scrubs):
            os._exit(9)
    os.waitpid(killed, 0)
    with held_gpus((1, 2), tmp_path, scrub=scrubs):
        assert scrubs.done == [(2,)]


def test_a_gpu_that_could_not_be_scrubbed_is_given_to_nobody(tmp_path, caplog):
    scrubs = Scrubs()
    with held_gpus((2,), tmp_path, scrub=scrubs):
        scrubs.fails = True
    assert "the driver hangs; it is given to no other run" in caplog.text
    with pytest.raises(UnavailableError, match="the driver hangs"), held_gpus((2,), tmp_path, scrub=scrubs):
        pytest.fail("it was given to a run")
    scrubs.fails = False
    with held_gpus((2,), tmp_path, scrub=scrubs):
        assert scrubs.done == [(2,)]


def test_what_a_run_raises_is_not_replaced_by_what_its_scrub_raises(tmp_path, caplog):
    scrubs = Scrubs()
    scrubs.fails = True
    with pytest.raises(KeyError), held_gpus((2,), tmp_path, scrub=scrubs):
        raise KeyError
    assert caplog.records


def test_in_a_slurm_job_the_epilog_scrubs(tmp_path):
    scrubs = Scrubs()
    with (
        held_gpus((2,), tmp_path, scrub=scrubs, scrub_after=False),
        pytest.raises(UnavailableError, match="held by another run"),
    ):
        scrub_gpus((2,), tmp_path, scrubs)
    assert unscrubbed((2,), tmp_path) == (2,)
    scrub_gpus((2,), tmp_path, scrubs)
    assert (scrubs.done, unscrubbed((2,), tmp_path)) == ([(2,)], ())
