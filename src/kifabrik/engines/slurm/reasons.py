"""Why a job waits or ended, in words a customer can act on.

Slurm names one of about 240 codes. Most are made of parts ("AssocGrpGRESRunMinutes": the account, all its jobs
together, GPUs, minutes still to run), so limits are read part by part and the rest is one table.

Invariants:
- every documented code of 22.05 to 25.11 has a sentence (tests/vectors/slurm_reasons.txt);
- an unknown code is named as it is and not explained away;
- a sentence never repeats what somebody wrote into the cluster, but node names and the operator's own words.

Source: slurm.schedmd.com/job_reason_codes.html and resource_limits.html.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final


class Advice(StrEnum):
    """What helps."""

    WAIT = "wait"
    """It starts by itself."""
    CHANGE = "change"
    """It never starts as it is: the order has to ask for something else."""
    OPERATOR = "operator"
    """Somebody at the factory has to do something."""
    ENDED = "ended"
    """It does not wait: this is how it ended."""


@dataclass(frozen=True)
class Explanation:
    """What a code means.

    Args:
        sentence: For the customer, in plain English.
        advice: Who has to do what.
        code: Slurm's own word, for the operator.
    """

    sentence: str
    advice: Advice
    code: str


_W, _C, _O, _E = Advice.WAIT, Advice.CHANGE, Advice.OPERATOR, Advice.ENDED
_BURST: Final = "the cluster's burst buffer (fast storage)"
_TABLE: Final[dict[str, tuple[str, Advice]]] = {
    "None": ("Slurm has not looked at it yet; it will within seconds.", _W),
    "Prolog": ("Its nodes are being prepared.", _W),
    "Priority": ("Others with a higher priority are before it in the queue.", _W),
    "Dependency": ("It waits for another run it depends on to end.", _W),
    "Resources": ("It is first in line; enough GPUs, cores or memory are not free yet.", _W),
    "PartitionNodeLimit": (
        "It asks for more or fewer nodes than this partition allows. Change `nodes`, or take another partition.",
        _C,
    ),
    "PartitionTimeLimit": (
        "It may run longer than this partition allows. Lower max_duration, or take another partition.",
        _C,
    ),
    "PartitionDown": ("The operator has closed this partition. Take another one, or wait until it opens.", _O),
    "PartitionInactive": ("The operator has switched this partition off. Take another one.", _O),
    "PartitionConfig": (
        "The partition does not allow this request. Ask for what it offers, or take another one.",
        _C,
    ),
    "JobHeldAdmin": ("The operator has put it on hold. Ask the operator why.", _O),
    "JobHeldUser": ("It is on hold since it was ordered or stopped. It starts when it is released.", _O),
    "BeginTime": (
        "It is not to start before a time that has not come: as ordered, or a pause after a restart.",
        _W,
    ),
    "Licenses": ("It needs a licence that others are using now.", _W),
    "AssociationJobLimit": ("As many of your runs as your account allows are running.", _W),
    "AssociationResourceLimit": ("Your account holds all it may use now. It starts when other runs end.", _W),
    "AssociationTimeLimit": ("Your account has used up its time. Ask the operator for more.", _O),
    "Reservation": ("It waits for its reservation to begin.", _W),
    "ReservationDeleted": ("Its reservation was removed. Order it without, or with another one.", _C),
    "ReservationInvalid": ("Its reservation does not fit this run. Order it without, or with another one.", _C),
    "ReqNodeNotAvail": (
        "Nodes it needs are out of service or reserved for others. It starts when they are back.",
        _W,
    ),
    "NvidiaImexChannels": ("Its nodes' channels between GPUs (NVIDIA IMEX) are all in use by others now.", _W),
    "FrontEndDown": ("The machine that starts jobs is out of service. The operator has to bring it back.", _O),
    "SchedDefer": (
        "It was to start at once or not at all, and the scheduler was told to wait. Order it again.",
        _C,
    ),
    "NodeDown": ("A node it ran on has failed.", _E),
    "BadConstraints": ("No nodes have all it asks for together. Change `resources` or the constraint.", _C),
    "Constraints": ("No nodes have all it asks for together. Change `resources` or the constraint.", _C),
    "SystemFailure": ("Slurm itself had a failure. The operator has to look.", _O),
    "JobLaunchFailure": ("Its program could not be started, or a signal ended it.", _E),
    "NonZeroExitCode": ("Its program ended with an error.", _E),
    "RaisedSignal": ("A signal ended its program.", _E),
    "TimeLimit": ("It reached its time limit.", _E),
    "InactiveLimit": ("It did nothing for longer than the cluster allows.", _E),
    "OutOfMemory": ("It needed more memory than it asked for. Raise `memory`.", _E),
    "DeadLine": ("It could no longer end before its deadline.", _E),
    "InvalidAccount": ("The cluster has no account for you. The operator has to create it.", _O),
    "InvalidQOS": ("Your account may not use this QOS any more. Take another one, or ask the operator.", _C),
    "QOSUsageThreshold": ("Your account has used more than its QOS allows lately. It starts as that fades.", _W),
    "QOSJobLimit": ("As many runs as the QOS allows are running. It starts when one ends.", _W),
    "QOSResourceLimit": ("All that the QOS may use is in use. It starts when other runs in it end.", _W),
    "QOSTimeLimit": ("The QOS has used up its time. Ask the operator for more.", _O),
    "QOSNotAllowed": ("This QOS may not be used in this partition. Change one of the two.", _C),
    "AccountNotAllowed": ("Your account may not use this partition. Take another one, or ask the operator.", _C),
    "AccountingPolicy": ("A limit of your account or QOS is in the way. The operator can say which.", _O),
    "Cleaning": ("It is to run again; what is left of the attempt before is being cleared away.", _W),
    "DependencyNeverSatisfied": (
        "The run it depends on ended in a way it was not to end. It never starts: stop it, and order it anew.",
        _C,
    ),
    "JobHoldMaxRequeue": ("It was started again too often and is on hold. The operator has to look.", _O),
    "JobArrayTaskLimit": ("As many tasks of this sweep as its throttle allows are running.", _W),
    "BurstBufferResources": (f"Not enough of {_BURST} is free.", _W),
    "BurstBufferStageIn": (f"Its files are being brought into {_BURST}.", _W),
    "BurstBufferOperation": (f"Something failed in {_BURST}. The operator has to look.", _O),
    "PowerNotAvail": ("The cluster may not draw more power now. It starts when others end.", _W),
    "PowerReserved": ("Power is reserved for others. It starts when that ends.", _W),
    "MaxPoweredUpNodes": ("As many nodes as the operator allows are switched on. It starts when others end.", _W),
    "MpiPortsBusy": ("The network ports its ranks need on a node are in use. It starts when others end.", _W),
    "FedJobLock": ("It waits for another cluster of the federation.", _W),
    "MaxMemPerLimit": ("It asks for more memory per core or node than the cluster allows. Lower `memory`.", _C),
    "BlockMaxError": ("Too many errors on its nodes. The operator has to look.", _O),
    "BlockFreeAction": ("Its nodes are being freed.", _W),
    "QOSMinCpuNotSatisfied": (
        "It asks for fewer cores than this QOS is for. Ask for more, or take another QOS.",
        _C,
    ),
}
_WORDS: Final = (
    (
        r"Nodes required for job are DOWN",
        "Nodes it needs are out of service, or kept for runs of a higher priority.",
        _W,
    ),
    (
        r"job requeued in held state|requeued held",
        "It was put back into the queue, on hold. The operator has to release it.",
        _O,
    ),
    (r"launch failed requeued", "A node could not start it; it is on hold until the operator has looked.", _O),
    (
        r"Job's account not permitted",
        "Your account may not use this partition. Take another one, or ask the operator.",
        _C,
    ),
    (r"Job's QOS not permitted", "This QOS may not be used in this partition. Change one of the two.", _C),
)
"""Sentences of Slurm's own, which take the place of a code."""
_UNITS: Final = {
    "Cpu": "cores", "CPU": "cores", "Mem": "memory", "Memory": "memory", "Node": "nodes", "GRES": "GPUs",
    "License": "licences", "Energy": "energy", "BB": "burst buffer space", "Billing": "billing units",
    "Unknown": "of a resource", "Jobs": "runs", "Job": "runs", "SubmitJobs": "runs that have not ended",
    "SubmitJob": "runs that have not ended", "Wall": "time", "WallDuration": "time",
}  # fmt: skip
_UNIT: Final = "|".join(sorted(_UNITS, key=len, reverse=True))
_LIMIT: Final = re.compile(
    rf"(?P<whose>Assoc|QOS)?(?P<how>Grp|Max|Min)(?P<unit>{_UNIT})(?P<minutes>RunMinutes|Minutes|RunMins)?"
    r"(?:Per(?P<per>Job|Node|User|Account))?(?:Limit)?"
)


@lru_cache(maxsize=1024)
def explain(reason: str) -> Explanation:
    """Say what a reason means.

    Args:
        reason: A code such as `AssocGrpGRES`, a code with nodes such as `ReqNodeNotAvail, UnavailableNodes:n4`, or
            Slurm's own words; empty for none.
    """
    text = reason.replace("_", " ").strip().strip("()") or "None"
    code, _, rest = text.partition(",")
    if code in _TABLE:
        sentence, advice = _TABLE[code]
        nodes = re.fullmatch(r"\s*UnavailableNodes:([\w\[\],.-]+)", rest)
        return Explanation(f"{sentence} Out of service: {nodes[1]}." if nodes else sentence, advice, code)
    limit = _LIMIT.fullmatch(text)
    if limit is not None:
        return Explanation(*_limit_sentence(limit), text)
    for pattern, sentence, advice in _WORDS:
        if re.search(pattern, text):
            return Explanation(sentence, advice, text)
    return Explanation(
        f"Slurm gives the reason {_harmless(text)!r}, which kifabrik does not know. The operator can look it up.",
        Advice.OPERATOR,
        _harmless(text),
    )


def _limit_sentence(limit: "re.Match[str]") -> tuple[str, Advice]:
    owner = "your account" if limit["whose"] == "Assoc" else "the QOS"
    allowed = {"User": "the QOS allows one user", "Account": "the QOS allows one account"}
    whose = allowed.get(limit["per"] or "", f"{owner} allows")
    unit, minutes = _UNITS[limit["unit"]], limit["minutes"]
    measure = f"minutes of {unit}" if minutes else unit
    if limit["how"] == "Min":
        return f"It asks for less {measure} than the QOS is for. Ask for more, or take another QOS.", Advice.CHANGE
    if limit["per"] in ("Job", "Node"):
        of_one = "run" if limit["per"] == "Job" else "node"
        return f"It asks for more {measure} than {whose} for one {of_one}. Ask for less.", Advice.CHANGE
    if minutes == "Minutes" or unit == "time":
        return f"All {measure} that {whose} are used up. Ask the operator for more.", Advice.OPERATOR
    if minutes:
        sentence = f"Runs under way have taken all {measure} that {whose} at once. It starts as they go on."
    elif unit.startswith("runs"):
        sentence = f"As many {measure} as {whose} are there. It starts when one ends."
    else:
        sentence = f"All {measure} that {whose} at once are in use. It starts when other runs end."
    return sentence, Advice.WAIT


def _harmless(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:120]
