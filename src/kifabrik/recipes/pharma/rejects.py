"""Why a row of a table does not become a measurement of a compound."""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Reason(Enum):
    """A reason to leave something out; its value is what `rejects.csv` says in the column `reason`."""

    NO_STRUCTURE = "no structure"
    UNREADABLE = "structure cannot be read"
    NO_CARBON = "no carbon"
    METAL = "metal"
    PLACEHOLDER = "open place"
    TOO_LARGE = "too large"
    CLEANING_FAILED = "clean-up failed"
    NO_VALUE = "no value"
    NOT_A_NUMBER = "value is not a number"
    WRONG_UNIT = "unit does not fit"
    NOT_POSITIVE = "not positive"
    CENSORED = "censored value"
    CONFLICT = "measurements conflict"
    TWIN = "twin in training data"
    BROKEN_ROW = "row is broken"


ADVICE: Final[dict[Reason, str]] = {
    Reason.NO_STRUCTURE: "The cell of the structure is empty.",
    Reason.UNREADABLE: "RDKit cannot parse it; look at valences, brackets and ring numbers.",
    Reason.NO_CARBON: "Inorganic; the models are for organic compounds.",
    Reason.METAL: "It holds a metal that is no mere counter-ion; fingerprints say little about such compounds.",
    Reason.PLACEHOLDER: "An atom * or R stands for something that is not said.",
    Reason.TOO_LARGE: "More heavy atoms than allowed (--most-atoms); peptides and polymers need other models.",
    Reason.CLEANING_FAILED: "RDKit's clean-up does not come to a structure that it can read again.",
    Reason.NO_VALUE: "No endpoint of this row has a value.",
    Reason.NOT_A_NUMBER: "Neither a number nor yes or no; where 1,234 could be two, --decimal comma or point says.",
    Reason.WRONG_UNIT: "It cannot be turned into the unit of the endpoint; name that with --unit ENDPOINT=UNIT.",
    Reason.NOT_POSITIVE: "The endpoint's logarithm is used, so its values must be above zero.",
    Reason.CENSORED: "A bound, not a value; --censored keep keeps it for models, --active decides by a limit.",
    Reason.CONFLICT: "Measurements of the same compound differ by more than the tolerance (--tolerance).",
    Reason.TWIN: "The same compound, or another stereoisomer or salt of it, is in the training data.",
    Reason.BROKEN_ROW: "A row has other columns than the first, or a record of an SDF has no M  END.",
}
"""What each reason means and what can be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """Something left out.

    Attributes:
        file: Name of the file it came from.
        row: Its line in the file, or number of its record; the first is 1.
        id: The compound's name in the file.
        structure: As given, shortened if it is very long.
        endpoint: Which value was left out; empty if the whole row was.
        reason: Why.
        detail: What exactly was seen.
    """

    file: str
    row: int
    id: str
    structure: str
    endpoint: str
    reason: Reason
    detail: str
