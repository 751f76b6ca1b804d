"""What Slurm's commands complain about, as errors of this house.

Source: slurm_errno.h and the commands' own words, the same from 22.05 to 25.11.
"""

import re
from typing import Final

from kifabrik.errors import (
    CapacityError,
    ConflictError,
    KifabrikError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    UsageError,
)

_KNOWN: Final[tuple[tuple[str, type[KifabrikError], str, str], ...]] = (
    (
        (
            r"Unable to contact slurm controller|Connection refused|Socket timed out|Unable to connect to database"
            r"|slurm_persist_conn_open|Zero Bytes were transmitted|Connection timed out|Transport endpoint"
            r"|Unexpected message received"
        ),
        UnavailableError,
        "Slurm does not answer",
        "Running jobs go on. Look at slurmctld and slurmdbd; what was asked for is tried again.",
    ),
    (
        r"establish a configuration source|Unable to process configuration file|unable to status file",
        UnavailableError,
        "Slurm's configuration is not found on this machine",
        'Name the cluster\'s slurm.conf: conf = "FILE" below [slurm] in factory.toml, or $SLURM_CONF.',
    ),
    (
        r"[Mm]unge|Protocol authentication error|Invalid authentication credential",
        UnavailableError,
        "Slurm's authentication does not work here",
        "Is munged running, with the cluster's key and the right time?",
    ),
    (
        r"Invalid account or account/partition combination|Invalid user id",
        RefusedError,
        "Slurm does not know this tenant's account and user",
        "Create them with: kifabrik admin slurm sync",
    ),
    (
        r"submit limit|MaxSubmit|SubmitJobsLimit|Job violates accounting/QOS policy",
        CapacityError,
        "a limit of the account or QOS does not allow this job",
        "Wait until other runs have ended, ask for less, or see: kifabrik admin limits",
    ),
    (
        r"Invalid qos|invalid qos",
        UsageError,
        "there is no such QOS, or this account may not use it",
        "See: sacctmgr show associations format=Account,QOS",
    ),
    (
        r"invalid partition specified|[Ii]nvalid partition name",
        UsageError,
        "there is no such partition",
        "See the partitions with: sinfo",
    ),
    (
        (
            r"Requested node configuration is not available|Node count specification invalid"
            r"|More processors requested than permitted|Requested partition configuration not available"
            r"|Memory specification can not be satisfied|Requested GRES option unsupported|Invalid generic resource"
        ),
        CapacityError,
        "no node of this cluster can ever hold this job",
        "Ask for fewer GPUs, cores or less memory per node, or another partition.",
    ),
    (
        r"Requested time limit is invalid|Requested time limit exceeds",
        CapacityError,
        "the partition does not allow jobs this long",
        "Lower max_duration, or name another partition.",
    ),
    (r"Invalid feature specification", UsageError, "no node has this feature", "See: sinfo -o '%n %f'"),
    (
        r"Requested reservation is invalid|Reservation name.* is invalid|Access denied to requested reservation",
        RefusedError,
        "there is no such reservation for this tenant",
        "See: scontrol show reservation",
    ),
    (r"Invalid license specification", UsageError, "there is no such licence", "See: scontrol show licenses"),
    (
        r"Job dependency problem",
        UsageError,
        "the job it depends on does not exist",
        "Order the other run first, or leave the dependency out.",
    ),
    (r"Invalid job id specified", NotFoundError, "Slurm does not know this job (any more)", ""),
    (
        r"Access/permission denied|Access denied",
        RefusedError,
        "Slurm does not allow this to the user who asked",
        "Changing accounts needs a Slurm administrator, usually root or the SlurmUser.",
    ),
    (r"Job/step already completing or completed|already completed", ConflictError, "the job has ended already", ""),
)


def failure(program: str, status: int, said: str) -> KifabrikError:
    """Return the error for a Slurm command that failed.

    Args:
        program: Its name.
        status: Its exit status.
        said: What it wrote on stderr (or stdout, for sacctmgr).
    """
    line = " ".join(said.split())
    detail = _last_complaint(said) or f"exit status {status}"
    for pattern, error, message, hint in _KNOWN:
        if re.search(pattern, line):
            return error(f"{message} ({program}: {detail})", hint=hint)
    return KifabrikError(f"{program} failed: {detail}", hint="Try the same command by hand; its log tells more.")


def _last_complaint(said: str) -> str:
    """The last line, which names the cause, without the program's name in front."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if not lines:
        return ""
    return re.sub(r"^(?:s[a-z]+: )?(?:error: |fatal: )?", "", lines[-1])[:300]
