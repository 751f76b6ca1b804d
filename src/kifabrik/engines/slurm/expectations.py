"""What a cluster must be set to for the promises to hold, and what to write where it is not. Pure.

Sources: slurm.conf(5), cgroup.conf(5), slurmdbd.conf(5), Slurm's Prolog and Epilog Guide, pam_slurm_adopt.

Invariants:
- what is `needed` breaks a promise or stops runs where it is missing; the rest is advice;
- every finding that is not met says what to write, and what happens without.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kifabrik.engines.slurm.configuration import Configuration, File
from kifabrik.engines.slurm.node_view import Partition, SlurmNode
from kifabrik.factory.capacity import Node

GRACE_S: Final = 30
"""What a run has to write its last checkpoint: `launcher.execution.GRACE_S`."""
_LARGE: Final = 500
_GB: Final = 10**9
_HOOK_S: Final = 300
"""What an epilog may take: waiting for its turn, for what does not die, and for the driver of a GPU."""
_NO_LIMIT: Final = frozenset({"", "unlimited", "infinite"})


class Standing(StrEnum):
    """How a setting stands."""

    OK = "ok"
    MISSING = "missing"
    ADVICE = "advice"
    REMARK = "remark"


@dataclass(frozen=True)
class Finding:
    """What was found of one setting.

    Args:
        setting: Its name.
        file: Where it is written; empty for what is no setting.
        value: What it is.
        standing: How that is.
        write: What to write or do; empty if nothing.
        why: What happens otherwise.
    """

    setting: str
    file: str
    value: str
    standing: Standing
    write: str = ""
    why: str = ""


@dataclass(frozen=True)
class _Expectation:
    file: File
    setting: str
    holds: Callable[[str], bool]
    write: str
    why: str
    needed: bool = True


def _is(*values: str) -> Callable[[str], bool]:
    return lambda value: value.lower() in values


def _lists(*words: str) -> Callable[[str], bool]:
    """Whether a list has all of these words, or says `all`."""

    def holds(value: str) -> bool:
        found = {part.strip().partition("=")[0] for part in value.lower().split(",")}
        return found >= set(words) or "all" in found

    return holds


def _at_least(least: int) -> Callable[[str], bool]:
    """Whether a time in seconds is that long, or without limit."""

    def holds(value: str) -> bool:
        match = re.match(r"\d+", value)
        return value.lower() in _NO_LIMIT or (match is not None and int(match[0]) >= least)

    return holds


_EXPECTED: Final = (
    _Expectation(File.SLURM, "ProctrackType", _is("proctrack/cgroup"), "ProctrackType=proctrack/cgroup",
                 "the node agent believes a caller's control groups; a process could leave its job otherwise"),
    _Expectation(File.SLURM, "TaskPlugin", _lists("task/cgroup"), "TaskPlugin=task/cgroup,task/affinity",
                 "memory and GPUs of a job are not bounded"),
    _Expectation(File.CGROUP, "ConstrainDevices", _is("yes"), "ConstrainDevices=yes",
                 "a job can open GPUs it was not given"),
    _Expectation(File.CGROUP, "ConstrainRAMSpace", _is("yes"), "ConstrainRAMSpace=yes",
                 "a job can take the memory of others"),
    _Expectation(File.CGROUP, "ConstrainSwapSpace", _is("yes"), "ConstrainSwapSpace=yes and AllowedSwapSpace=0",
                 "a job's memory can reach a disk of the node"),
    _Expectation(File.CGROUP, "ConstrainCores", _is("yes"), "ConstrainCores=yes",
                 "a job can slow down others on its node", needed=False),
    _Expectation(File.SLURM, "AccountingStorageType", _is("accounting_storage/slurmdbd"),
                 "AccountingStorageType=accounting_storage/slurmdbd", "tenants have no accounts"),
    _Expectation(File.SLURM, "AccountingStorageEnforce", _lists("associations", "limits", "qos"),
                 "AccountingStorageEnforce=associations,limits,qos", "limits of tenants do not hold"),
    _Expectation(File.SLURM, "AccountingStorageTRES", _lists("gres/gpu"), "AccountingStorageTRES=gres/gpu",
                 "limits on GPUs do not hold"),
    _Expectation(File.SLURM, "PrivateData", _lists("jobs", "usage", "users", "accounts"),
                 "PrivateData=jobs,usage,users,accounts", "tenants see each other's jobs and names in squeue"),
    _Expectation(File.ACCOUNTING, "PrivateData", _lists("jobs", "usage", "users", "accounts"),
                 "PrivateData=jobs,usage,users,accounts", "tenants see each other's jobs and names in sacct"),
    _Expectation(File.SLURM, "Prolog", bool, "Prolog=FILE; kifabrik node prolog --print-script",
                 "a job can begin on a node that is not fit for it"),
    _Expectation(File.SLURM, "Epilog", bool, "Epilog=FILE; kifabrik node epilog --print-script",
                 "what runs leave on nodes and in GPUs stays there"),
    _Expectation(File.SLURM, "PrologFlags", _lists("alloc"), "PrologFlags=Alloc,Contain",
                 "the prolog runs only where the first step does, after the job has begun"),
    _Expectation(File.SLURM, "SchedulerParameters", _lists("nohold_on_prolog_fail"),
                 "SchedulerParameters=…,nohold_on_prolog_fail",
                 "a run whose node was not fit is held until somebody releases it"),
    _Expectation(File.SLURM, "PrologEpilogTimeout", lambda value: _at_least(_HOOK_S)(value) or value == "65534",
                 f"PrologEpilogTimeout={_HOOK_S}", "an epilog that waits is cut short, and its node drained"),
    _Expectation(File.SLURM, "KillWait", _at_least(GRACE_S), f"KillWait={GRACE_S}",
                 "runs at their time limit are killed before they have written their last checkpoint"),
    _Expectation(File.SLURM, "BatchStartTimeout", _at_least(60), "BatchStartTimeout=60",
                 "jobs count as lost while the prolog clears up", needed=False),
    _Expectation(File.SLURM, "SelectType", _is("select/cons_tres"), "SelectType=select/cons_tres",
                 "GPUs cannot be given out one by one", needed=False),
    _Expectation(File.SLURM, "EnforcePartLimits", _is("all", "any", "yes"), "EnforcePartLimits=ALL",
                 "orders no node can hold wait for ever; `kifabrik why` says so", needed=False),
    _Expectation(File.SLURM, "JobAcctGatherType", _is("jobacct_gather/cgroup", "jobacct_gather/linux"),
                 "JobAcctGatherType=jobacct_gather/cgroup", "sacct knows no memory and no CPU time of jobs",
                 needed=False),
    _Expectation(File.SLURM, "LaunchParameters", _lists("enable_nss_slurm"), "LaunchParameters=enable_nss_slurm",
                 "tenants' users must exist on every node, from your directory", needed=False),
)  # fmt: skip


def check_settings(configuration: Configuration, nodes: int) -> Iterator[Finding]:
    """Compare settings with what is expected.

    Args:
        configuration: What the cluster says.
        nodes: How many it has.
    """
    for one in _EXPECTED:
        value = configuration.value(one.file, one.setting)
        if one.holds(value):
            yield Finding(one.setting, one.file, value, Standing.OK)
        else:
            standing = Standing.MISSING if one.needed else Standing.ADVICE
            yield Finding(one.setting, one.file, value, standing, one.write, one.why)
    timeout = configuration.value(File.SLURM, "MessageTimeout")
    least = 60 if nodes > _LARGE else 10
    if not _at_least(least)(timeout):
        why = f"with {nodes} nodes, commands give up before slurmctld has answered"
        yield Finding("MessageTimeout", File.SLURM, timeout, Standing.ADVICE, f"MessageTimeout={least}", why)
    flags = configuration.value(File.SLURM, "PrologFlags").lower()
    if "x11" in flags:
        yield Finding("PrologFlags", File.SLURM, flags, Standing.REMARK, "Leave X11 out if nobody needs it",
                      "jobs can reach back to login machines; those of tenants show no windows")  # fmt: skip
    if "contain" not in flags and "alloc" in flags:
        yield Finding("PrologFlags", File.SLURM, flags, Standing.REMARK, "PrologFlags=Alloc,Contain",
                      "pam_slurm_adopt cannot keep people without a job off the nodes")  # fmt: skip


def check_partitions(partitions: Sequence[Partition]) -> Iterator[Finding]:
    """See that a run has time for a checkpoint wherever it can be preempted."""
    for partition in partitions:
        if partition.preemptible and partition.grace_s < GRACE_S:
            yield Finding(
                f"GraceTime of partition {partition.name}",
                File.SLURM,
                f"{partition.grace_s} s",
                Standing.ADVICE,
                f"GraceTime={GRACE_S}",
                "a run that has to give way loses what it did since its last checkpoint",
            )


def check_nodes(nodes: Sequence[SlurmNode], enrolled: Collection[str]) -> Iterator[Finding]:
    """Compare the cluster's nodes with those the factory knows.

    Args:
        nodes: The cluster's.
        enrolled: Names of the factory's.
    """
    names = [node.name for node in nodes]
    unknown = [name for name in names if name not in enrolled]
    if unknown:
        yield Finding("nodes", "", f"{len(unknown)} not enrolled: {_some(unknown)}", Standing.MISSING,
                      "kifabrik node init there, kifabrik admin nodes --enrol here",
                      "a run that Slurm puts there is refused by the factory")  # fmt: skip
    else:
        yield Finding("nodes", "", f"all {len(names)} are enrolled", Standing.OK)
    gone = sorted(set(enrolled) - set(names))
    if gone:
        yield Finding("nodes", "", f"enrolled and unknown to Slurm: {_some(gone)}", Standing.REMARK,
                      "Name them as Slurm does: `name` in node.toml", "runs never get there")  # fmt: skip
    for node in nodes:
        if node.reason.startswith("kifabrik: "):
            yield Finding(f"node {node.name}", "", node.reason, Standing.REMARK,
                          f"Mend it, then: scontrol update NodeName={node.name} State=RESUME",
                          "it takes no more jobs")  # fmt: skip


def check_offers(nodes: Sequence[SlurmNode], enrolled: Collection[Node]) -> Iterator[Finding]:
    """Compare what Slurm gives away of each node with what the factory was told of it.

    Args:
        nodes: The cluster's.
        enrolled: The factory's.
    """
    known = {node.name: node for node in enrolled}
    for node in nodes:
        ours = known.get(node.name)
        if ours is None:
            continue
        pairs = (
            ("cores", node.cpus, ours.cpus),
            ("GPUs", sum(node.gpus.values()), len(ours.gpus)),
            ("GB of memory", node.memory_bytes // _GB, -(-ours.memory_bytes // _GB)),
        )
        beyond = [f"{theirs} {what}, not {mine}" for what, theirs, mine in pairs if theirs > mine]
        if beyond:
            yield Finding(f"node {node.name}", "", f"Slurm gives {', '.join(beyond)}", Standing.ADVICE,
                          "the same in slurm.conf and node.toml, and enrol it again",
                          "runs that Slurm puts there beyond that are refused")  # fmt: skip


def check_attested(nodes: Sequence[SlurmNode], feature: str) -> Iterator[Finding]:
    """See that nodes have the feature that runs are put on whose grants ask for attested nodes.

    Args:
        nodes: The cluster's.
        feature: As factory.toml names it; empty if it names none.
    """
    if not feature:
        return
    having = [node.name for node in nodes if feature in node.features]
    if having:
        yield Finding("attested", "factory.toml", f"{len(having)} nodes have the feature {feature}", Standing.OK)
    else:
        yield Finding("attested", "factory.toml", f"no node has the feature {feature}", Standing.MISSING,
                      f"Features=…,{feature} of the nodes with a TPM, in slurm.conf",
                      "Slurm refuses runs whose grants ask for attested nodes")  # fmt: skip


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:8])
    return shown if len(names) <= 8 else f"{shown} and {len(names) - 8} more"  # noqa: PLR2004 - a line's worth
