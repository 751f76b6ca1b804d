"""Seconds from submitit's `submit` to the first line in the job's file; started by `submit.py`.

With the word `slurm`, through its Slurm executor: `slurm/latency.py`.
"""

import sys
import tempfile
import time
from pathlib import Path

import submitit


def say() -> None:
    """The job."""
    print("first line", flush=True)


def main() -> None:
    """Print the seconds."""
    with tempfile.TemporaryDirectory() as folder:
        executor = submitit.SlurmExecutor(folder) if "slurm" in sys.argv else submitit.LocalExecutor(folder)
        executor.update_parameters(**({"time": 1} if "slurm" in sys.argv else {"timeout_min": 1}))
        began = time.perf_counter()
        job = executor.submit(say)
        path = Path(folder) / f"{job.job_id}_0_log.out"
        while not (path.exists() and "first line" in path.read_text()):
            time.sleep(0.001)
        print(time.perf_counter() - began)
        job.result()


if __name__ == "__main__":
    main()
