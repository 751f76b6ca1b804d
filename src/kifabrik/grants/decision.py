"""Whether a request is covered, and if not, why: pure functions over signed facts.

Invariants:
- no explicit permit, any diagnostic of the policy engine, a missing attribute: all mean deny;
- the grant that permits is named, so that its limit is charged;
- the reason is found with the very expressions the decision was made with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import cedarpy

from kifabrik.errors import IntegrityError
from kifabrik.grants.policy import RULES, Condition, conditions, parsed, permit, policy_of, schema
from kifabrik.grants.statements import Grant
from kifabrik.tenants.statements import Role
from kifabrik.values import Place, sha256_hex

POLICY_ERROR: Final = "policy-error"
NO_GRANT: Final = Condition.PURPOSE.value
ERASED: Final = "erased"
FROZEN: Final = "frozen"
REMOVED: Final = "removed-member"
_FORBIDS: Final = (ERASED, FROZEN, REMOVED)

_SENTENCES: Final = {
    POLICY_ERROR: "The policy could not be evaluated for dataset {dataset}.",
    ERASED: "Dataset {dataset} was erased.",
    FROZEN: "Dataset {dataset} is frozen.",
    REMOVED: "The member who ordered was removed.",
    Condition.PURPOSE: "There is no grant for purpose {purpose} on dataset {dataset}.",
    Condition.REVOKED: "The grant for purpose {purpose} on dataset {dataset} was revoked.",
    Condition.EXPIRED: "The grant on dataset {dataset} expired.",
    Condition.ROLE: "The role of the member who ordered does not allow runs.",
    Condition.MEMBER: "The grant on dataset {dataset} names other members.",
    Condition.PLACE: "The grant on dataset {dataset} does not allow the place {place}.",
    Condition.CODE: "The grant on dataset {dataset} is for other code or other packages.",
    Condition.ATTESTED: "The grant on dataset {dataset} asks for attested nodes.",
    Condition.LIMIT: "The limit of {limit} runs per day on dataset {dataset} is reached.",
    Condition.ASK: "A person at the keyholder must decide about dataset {dataset}.",
}


@dataclass(frozen=True)
class GrantFacts:
    """What the keyholder's own records say about a grant.

    Args:
        grant: The verified statement.
        revoked: Whether it was revoked, locally or in the log.
        runs_last_day: Runs that were given keys under it within 24 hours; the present one not counted.
    """

    grant: Grant
    revoked: bool
    runs_last_day: int


@dataclass(frozen=True)
class Use:
    """One dataset, wanted for one run.

    Args:
        member: Who signed the order.
        role: From the member's membership.
        removed: Whether the member was removed.
        dataset: Dataset id.
        erased: Whether its erasure was decided.
        frozen: Whether a person froze it.
        purpose: From the order.
        place: What the request states.
        code: Code and packages, from `bound_code`; None where they are not known.
        attested: Whether hardware attestation was verified.
        approved: Whether a person has approved this request.
        now: The keyholder's time, which never goes back.
    """

    member: str
    role: Role
    removed: bool
    dataset: str
    erased: bool
    frozen: bool
    purpose: str
    place: Place
    code: str | None
    attested: bool
    approved: bool
    now: datetime


@dataclass(frozen=True)
class Answer:
    """The decision about one use.

    Args:
        grant: The grant that permits it; empty if none does.
        reason: One stable word; empty if it is permitted.
        message: A sentence without names; empty if it is permitted.
    """

    grant: str
    reason: str = ""
    message: str = ""

    @property
    def permitted(self) -> bool:
        """Whether a grant permits it."""
        return bool(self.grant) and not self.reason


def bound_code(contents: str, lock: str) -> str:
    """Return what a grant can be bound to: what runs, and the packages it imports.

    Args:
        contents: Digest of the tree the code bundle unpacks to, in hex.
        lock: Digest of the environment's lock, in hex.
    """
    return sha256_hex((contents + lock).encode())


def salted_code(salt: str, code: str) -> str:
    """Return what a `CodeDigest` holds: SHA-256 over salt and `bound_code`, both as hex text."""
    return sha256_hex((salt + code).encode())


def decide_use(use: Use, known: Sequence[GrantFacts]) -> Answer:
    """Decide whether grants permit a use.

    Args:
        use: The facts of the request.
        known: Every grant on the dataset, live or not; grants on other datasets are ignored.
    """
    facts = sorted((f for f in known if f.grant.dataset == use.dataset), key=_preference)
    try:
        entities = _entities(use, facts)
        texts = [policy_of(fact.grant) for fact in facts]
        permitting = _evaluate(_use_request(use), RULES + "".join(texts), entities)
        for fact in facts:
            if fact.grant.grant in permitting:
                return Answer(fact.grant.grant)
        reason, blamed = _diagnose(use, facts, entities)
    except IntegrityError:
        reason, blamed = POLICY_ERROR, None
    return Answer("", reason, _sentence(reason, use, blamed))


def decide_pull(member: str, role: Role, *, removed: bool, orderer: str, erased: bool, frozen: bool) -> Answer:
    """Decide whether a member may have the results of a run.

    Args:
        member: Who asks.
        role: From the membership.
        removed: Whether the member was removed.
        orderer: The member who ordered the run.
        erased: Whether the results were erased.
        frozen: Whether a person froze something the run used.
    """
    entities = [
        _entity("Member", member, role=str(role), removed=removed),
        _entity("Run", "run", member=_uid("Member", orderer), erased=erased, frozen=frozen),
    ]
    request = {
        "principal": {"type": "Member", "id": member},
        "action": {"type": "Action", "id": "pull"},
        "resource": {"type": "Run", "id": "run"},
        "context": {},
    }
    try:
        if permitting := _evaluate(request, RULES, entities):
            return Answer(min(permitting))
    except IntegrityError:
        return Answer("", POLICY_ERROR, "The policy could not be evaluated for this run.")
    if removed:
        return Answer("", REMOVED, "The member who asks was removed.")
    if erased:
        return Answer("", ERASED, "The results of this run were erased.")
    if frozen:
        return Answer("", FROZEN, "Something this run used is frozen.")
    return Answer("", "role", "Results are for the member who ordered, for stewards and owners.")


def _preference(fact: GrantFacts) -> tuple[bool, str, str]:
    """Grants that need no person come first, then older ones."""
    return fact.grant.ask, fact.grant.created, fact.grant.grant


def _evaluate(request: Mapping[str, Any], policies: str, entities: list[dict[str, Any]]) -> frozenset[str]:
    """Return the ids of the policies that permit; empty if it is denied.

    Raises:
        IntegrityError: The engine reported anything but a clean decision.
    """
    result = cedarpy.is_authorized(dict(request), parsed(policies), entities, schema())
    if result.diagnostics.errors or result.decision is cedarpy.Decision.NoDecision:
        raise IntegrityError("the policy engine reported an error")
    if result.decision is not cedarpy.Decision.Allow:
        return frozenset()
    return frozenset(result.diagnostics.id_annotations_by_reason.values())


def _diagnose(use: Use, facts: Sequence[GrantFacts], entities: list[dict[str, Any]]) -> tuple[str, Grant | None]:
    """Return the reason of a denial and the grant that came nearest."""
    for forbidden, holds in zip(_FORBIDS, (use.erased, use.frozen, use.removed), strict=True):
        if holds:
            return forbidden, None
    nearest: tuple[int, str, Grant | None] = (len(Condition) + 1, NO_GRANT, None)
    for fact in facts:
        asked = conditions(fact.grant)
        text = "".join(permit(name.value, use.dataset, expression) for name, expression in asked.items())
        held = _evaluate(_use_request(use), text, entities)
        failed = [name for name in asked if name.value not in held]
        if failed == [Condition.ASK]:
            return Condition.ASK.value, fact.grant  # a person can still permit it
        if Condition.PURPOSE not in failed and failed and len(failed) < nearest[0]:
            nearest = (len(failed), failed[0].value, fact.grant)
    return nearest[1], nearest[2]


def _sentence(reason: str, use: Use, grant: Grant | None) -> str:
    return _SENTENCES[reason].format(
        dataset=use.dataset,
        purpose=use.purpose,
        place=use.place,
        limit=grant.runs_per_day if grant else 0,
    )


def _use_request(use: Use) -> dict[str, Any]:
    return {
        "principal": {"type": "Member", "id": use.member},
        "action": {"type": "Action", "id": "use"},
        "resource": {"type": "Dataset", "id": use.dataset},
        "context": {
            "purpose": use.purpose,
            "now": int(use.now.timestamp()),
            "country": use.place.country,
            "site": use.place.site,
            "node_class": use.place.node_class,
            "attested": use.attested,
            "approved": use.approved,
        },
    }


def _entities(use: Use, facts: Sequence[GrantFacts]) -> list[dict[str, Any]]:
    found = [
        _entity("Member", use.member, role=str(use.role), removed=use.removed),
        _entity("Dataset", use.dataset, erased=use.erased, frozen=use.frozen),
    ]
    for fact in facts:
        attributes: dict[str, Any] = {"revoked": fact.revoked, "runs_last_day": fact.runs_last_day}
        if fact.grant.code is not None and use.code is not None:
            attributes["code"] = salted_code(fact.grant.code.salt, use.code)
        found.append(_entity("Grant", fact.grant.grant, **attributes))
    return found


def _entity(kind: str, name: str, **attributes: Any) -> dict[str, Any]:
    return {"uid": {"type": kind, "id": name}, "attrs": attributes, "parents": []}


def _uid(kind: str, name: str) -> dict[str, Any]:
    return {"__entity": {"type": kind, "id": name}}
