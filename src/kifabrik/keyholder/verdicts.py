"""The three answers to a request for keys, and the words of refusals."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

from kifabrik.grants.policy import Condition
from kifabrik.keyholder.records import UsedDataset
from kifabrik.leases.statements import AttestedNode


class Reason(StrEnum):
    """Reason words of refusals that no grant explains; those of grants are `grants.policy.Condition`."""

    FROZEN = "frozen"
    BAD_REQUEST = "bad-request"
    UNKNOWN_ORDER = "unknown-order"
    REMOVED = "removed-member"
    ROLE = "role"
    DEADLINE = "deadline"
    ATTEMPTS = "attempts"
    REPLAYED = "replayed"
    NODES = "nodes"
    PLACE = "place"
    ITEMS = "items"
    MANIFEST = "manifest"
    FOREIGN = "foreign-headers"
    LINEAGE = "lineage"
    ERASED = "erased"
    DENIED = "denied"
    AGAIN = "again"
    NEEDS = "needs"


SENTENCES: Final = {
    Reason.FROZEN: "The keyholder is frozen.",
    Reason.BAD_REQUEST: "The request is not signed as it must be.",
    Reason.UNKNOWN_ORDER: "No order in the log, signed by an enrolled member, covers this request.",
    Reason.REMOVED: "The member was removed.",
    Reason.ROLE: "The member's role does not allow this.",
    Reason.DEADLINE: "The order's deadline has passed.",
    Reason.ATTEMPTS: "The order allows no further attempt.",
    Reason.REPLAYED: "This attempt or nonce was used by another request.",
    Reason.NODES: "The request names more nodes than the order allows.",
    Reason.PLACE: "The order does not allow this place.",
    Reason.ITEMS: "The request asks for other things than the order names.",
    Reason.MANIFEST: "A manifest or its headers are missing, damaged, or not signed by whom they must be.",
    Reason.FOREIGN: "Sealed headers do not belong to the manifest that names them.",
    Reason.LINEAGE: "An input was made by a run this keyholder does not know.",
    Reason.ERASED: "The results of this run were erased.",
    Reason.DENIED: "A person at the keyholder has refused.",
    Reason.AGAIN: "The order runs code again that the same member has not ordered before.",
    Reason.NEEDS: "A run that the order needs has not succeeded, or an input is not what it has put out.",
}
MAY_CHANGE: Final = frozenset({Reason.FROZEN, Condition.LIMIT, Condition.ATTESTED})


@dataclass(frozen=True)
class Refused:
    """No.

    Args:
        reason: A stable word.
        message: A sentence.
        final: Whether the same order can never be answered otherwise.
    """

    reason: str
    message: str
    final: bool = True


@dataclass(frozen=True)
class Asked:
    """A person must decide; `message` says why."""

    message: str


@dataclass(frozen=True)
class Released:
    """Yes.

    Args:
        used: Every dataset the release makes use of, and under which grant.
        expires: When the receiver must stop.
        attested: What the hardware of the nodes has proven, where a grant asks for it.
    """

    used: tuple[UsedDataset, ...]
    expires: datetime
    attested: tuple[AttestedNode, ...] = ()


Verdict: TypeAlias = Refused | Asked | Released


def refuse(reason: Reason) -> Refused:
    """Refuse with the sentence that belongs to a reason."""
    return Refused(reason.value, SENTENCES[reason], final=reason not in MAY_CHANGE)
