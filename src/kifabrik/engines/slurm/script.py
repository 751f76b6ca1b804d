"""A run's resources and wishes as the arguments of `sbatch`. Pure.

Invariants:
- each argument is one option with its value behind `=`; values come from types that checked them, so no value can
  begin a second option or a second line;
- the same run gives the same arguments;
- nothing of the service's or the caller's environment reaches the job (`--export=NIL`);
- Slurm neither starts it again nor mails by itself unless that is asked for.

Source: sbatch(1) of 22.05 to 25.11.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from kifabrik.errors import UsageError
from kifabrik.orders.slurm_options import SlurmOptions
from kifabrik.values import Resources

_MIB: Final = 2**20
_SIGNAL_S: Final = 60
_LATEST_SIGNAL_S: Final = 65535
"""How long before the end Slurm signals where nothing is said, and at the earliest (sbatch(1), --signal)."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
_COMMENT: Final = re.compile(r"[A-Za-z0-9 ._:/@-]{0,200}")
_ACCOUNT: Final = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]{0,63})?")
_GPU_MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_PATH: Final = re.compile(r"/[A-Za-z0-9_./%-]{0,300}")


@dataclass(frozen=True)
class Submission:
    """Everything `sbatch` is told about one run.

    Args:
        name: Its deterministic name, such as `kf-a-k3v6…`; a job of that name is this run and no other.
        resources: On each of its nodes.
        limit_s: Time limit in seconds; Slurm rounds up to minutes.
        options: Wishes for Slurm.
        account: Account, where the options name none; empty for the user's default.
        folder: Where it starts.
        output: File of what it writes; a pattern of sbatch(1), such as `/var/log/kifabrik/%j.log`.
        comment: For whoever looks at the queue.
    """

    name: str
    resources: Resources
    limit_s: int
    options: SlurmOptions = field(default_factory=SlurmOptions)
    account: str = ""
    folder: str = "/"
    output: str = "/dev/null"
    comment: str = ""

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise UsageError(f"not a name for a job: {self.name[:80]!r}")
        if _COMMENT.fullmatch(self.comment) is None:
            raise UsageError(f"not a comment for a job: {self.comment[:80]!r}")
        if _ACCOUNT.fullmatch(self.account) is None:
            raise UsageError(f"not a name of an account: {self.account[:80]!r}")
        if self.limit_s < 1:
            raise UsageError("a job needs a time limit of at least a second")
        for path in (self.folder, self.output):
            if _PATH.fullmatch(path) is None or ".." in PurePosixPath(path).parts:
                raise UsageError(f"not a plain absolute path: {path[:80]!r}")
        if self.resources.gpu_model and _GPU_MODEL.fullmatch(slurm_model(self.resources.gpu_model)) is None:
            raise UsageError(f"not a GPU model: {self.resources.gpu_model[:80]!r}")


def slurm_model(model: str) -> str:
    """How a GPU model such as `H200` or `RTX 6000 Ada` is written in gres.conf: lower case, `_` for blanks."""
    return model.lower().replace(" ", "_")


def arguments(submission: Submission) -> tuple[str, ...]:
    """Return the arguments of `sbatch`, without its own name and without the script, which it reads from stdin."""
    resources, options = submission.resources, submission.options
    words = [
        "--parsable",
        "--export=NIL",
        f"--job-name={submission.name}",
        f"--chdir={submission.folder}",
        f"--output={submission.output}",
        "--open-mode=append",
        f"--nodes={resources.nodes}",
        f"--ntasks={resources.nodes}",
        "--ntasks-per-node=1",
        f"--cpus-per-task={resources.cpus}",
        f"--mem={-(-resources.memory_bytes // _MIB)}M",
        f"--time={-(-submission.limit_s // 60)}",
        "--requeue" if options.requeue else "--no-requeue",
        *gpu_arguments(resources),
        *_texts(submission),
    ]
    if options.exclusive:
        words.append("--exclusive")
    if options.nice:
        words.append(f"--nice={options.nice}")
    if submission.comment:
        words.append(f"--comment={submission.comment}")
    return tuple(words)


def gpu_arguments(resources: Resources) -> list[str]:
    """The GPUs of each node as arguments of `sbatch` and `srun`; none where none are asked for."""
    if not resources.gpu_count:
        return []
    model = slurm_model(resources.gpu_model)
    return [f"--gpus-per-node={model}:{resources.gpu_count}" if model else f"--gpus-per-node={resources.gpu_count}"]


def _texts(submission: Submission) -> list[str]:
    options = submission.options
    values = {
        "partition": options.partition,
        "qos": options.qos,
        "account": options.account or submission.account,
        "constraint": options.constraint,
        "reservation": options.reservation,
        "switches": options.switches,
        "array": options.array,
        "dependency": options.dependency,
        "signal": options.signal,
        "licenses": options.licenses,
        "begin": options.begin,
    }
    return [f"--{name}={value}" for name, value in values.items() if value]


def with_feature(constraint: str, feature: str) -> str:
    """Ask for a feature besides what a constraint asks for.

    One that counts nodes or lets Slurm choose among features (`[rack1|rack2]`, `a*2`) is left as it is: sbatch(1)
    has no way to say it, and whoever writes that knows the cluster.

    Args:
        constraint: What the order asks for; empty for nothing.
        feature: Of every node besides; empty for none.
    """
    if not feature or not constraint or "[" in constraint or "*" in constraint:
        return constraint or feature
    return f"({constraint})&{feature}" if "|" in constraint else f"{constraint}&{feature}"


def spans(numbers: Sequence[int]) -> str:
    """Write task numbers, ascending, as `sbatch --array` reads them: `1-5,8`; empty for none."""
    pieces: list[list[int]] = []
    for number in numbers:
        if pieces and number == pieces[-1][-1] + 1:
            pieces[-1][1:] = [number]
        else:
            pieces.append([number])
    return ",".join("-".join(map(str, piece)) for piece in pieces)


def earlier(signal: str, spare_s: int) -> str:
    """A signal before the end of a run as one before the end of its job, which has so much more time.

    Slurm counts back from the job's limit, which leaves time for keys, data and outputs: what is asked for so many
    seconds before the run's own end comes then, or earlier by what its preparation has not used.

    Args:
        signal: Such as `USR1@120`; empty for none.
        spare_s: What the job has beyond the run, before and behind it.
    """
    if not signal:
        return ""
    name, _, seconds = signal.partition("@")
    return f"{name}@{min(_LATEST_SIGNAL_S, int(seconds or _SIGNAL_S) + spare_s)}"
