"""Scheduling policies and ways to place jobs, by name."""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Policy(Enum):
    """In which order waiting jobs start."""

    FIFO = "fifo"
    SJF = "sjf"
    BACKFILL = "backfill"
    FAIR_SHARE = "fair-share"
    HEAT_AWARE = "heat-aware"


class Sharing(Enum):
    """What of a node a job takes."""

    SHARED = "shared"
    WHOLE = "whole"
    POOLED = "pooled"


@dataclass(frozen=True)
class Traits:
    """What a policy does.

    Attributes:
        says: In words.
        shortest: The shortest estimate goes first, not the earliest submission.
        backfill: Later jobs may overtake one that does not fit, if they do not delay it.
        fair: The tenant with the least decayed use for its share goes first.
        signals: Follows the plant: permitted power holds, work that may be put off waits for heat demand.
    """

    says: str
    shortest: bool = False
    backfill: bool = False
    fair: bool = False
    signals: bool = False


TRAITS: Final = {
    Policy.FIFO: Traits("first come, first served; nobody overtakes"),
    Policy.SJF: Traits("shortest estimate first; nobody overtakes", shortest=True),
    Policy.BACKFILL: Traits("first come; later jobs fill gaps that delay no reservation (EASY)", backfill=True),
    Policy.FAIR_SHARE: Traits("least used tenant first, with backfill", backfill=True, fair=True),
    Policy.HEAT_AWARE: Traits(
        "backfill under the permitted power; deferrable jobs wait for heat demand", backfill=True, signals=True
    ),
}
HALF_LIFE: Final = 7 * 86400.0
"""Seconds after which a tenant's use counts half: Slurm's `PriorityDecayHalfLife` is 7 days by default."""
