"""sbatch scripts, by hand or from elsewhere: read as jobs."""

from collections.abc import Iterator

from fuzz.material import text_of
from fuzz.target import Disagreement, Target
from kifabrik.errors import UsageError
from kifabrik.jobs.batch_script import parse_batch

_WHOLE = b"""#!/bin/bash
#SBATCH --job-name=press --nodes=2 --ntasks-per-node=4
#SBATCH -c 8 --mem=16G -t 1-12:30:00 --array=1-8%2
#SBATCH --gpus-per-node=h200:4 --partition=gpu --qos=high --exclusive --requeue --nice=5
#SBATCH --signal=USR1@60 --begin=now+1hour --licenses=solver:2 --dependency=afterok:1 --comment="a b"
#KIFABRIK purpose predictive-maintenance
#KIFABRIK data /data/press=press-line-7@2
#KIFABRIK output model=/out/model
srun python train.py
"""


def one(data: bytes) -> None:
    """Read the script; what is kept of it can be shown, and asks for no more than a job may."""
    found = parse_batch(text_of(data), "train.sbatch")
    for remark in found.remarks:
        remark.encode()
    resources = found.job.resources.parsed()
    if resources.nodes < 1 or resources.cpus < 1 or found.job.max_duration < 1 or resources.gpu_count < 0:
        raise Disagreement("a job that asks for less than nothing")
    if found.job.run != "bash train.sbatch":
        raise Disagreement(f"the job runs something else: {found.job.run!r}")


def seeds() -> Iterator[bytes]:
    """One with everything, one with the other ways to say it, one with nothing."""
    yield _WHOLE
    yield _WHOLE.replace(b"--gpus-per-node=h200:4", b"--gres gpu:2").replace(b"--mem=16G", b"--mem-per-cpu 512")
    yield b"#!/bin/sh\n#KIFABRIK purpose a\n#SBATCH --time 90\ntrue\n"


TARGET = Target(
    "sbatch scripts",
    one,
    (UsageError,),
    seeds,
    (
        *(
            b"#SBATCH ",
            b"#KIFABRIK data ",
            b"--gres=gpu:",
            b"--array=",
            b"--time=",
            b"-t",
            b"--mem=0",
            b"'",
            b'"',
            b"\\\n",
        ),
        *(b"99999999", b"--export=ALL", b"=/data/..", b"\x1b[2J", b"--wrap=", b"--ntasks=3", b"\r\n", b"# comment"),
    ),
)
