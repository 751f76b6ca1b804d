"""Whether all nodes of an attempt are attested, by this keyholder's policies and its own tree heads."""

from dataclasses import dataclass
from datetime import UTC, datetime

from kifabrik.attestation.evidence import Doubt, Evidence, EvidenceError
from kifabrik.attestation.verify import AttestedState, Moment, verify_node
from kifabrik.keyholder.attestation import Attestations, KeptPolicy
from kifabrik.keyholder.state import State
from kifabrik.leases.attested import binding_of
from kifabrik.leases.statements import AttemptRequest, AttestedNode, RequestingNode
from kifabrik.ledger.checkpoint import witness_verifier
from kifabrik.signatures.keys import VerifyKey
from kifabrik.signatures.statements import Statement
from kifabrik.values import format_time


@dataclass(frozen=True)
class Attested:
    """Every node has proven what the policies in force ask for."""

    nodes: tuple[AttestedNode, ...]


@dataclass(frozen=True)
class Unattested:
    """Not every node has.

    Args:
        reason: A stable word.
        message: A sentence without names.
    """

    reason: str
    message: str


def attest(
    request: Statement[AttemptRequest], state: State, attestations: Attestations, *, after: int, before: int
) -> Attested | Unattested:
    """Verify what every node of a request shows, and note when it was first seen.

    Args:
        request: All its signatures verified.
        state: Keys and clock.
        attestations: Policies in force, quotes seen.
        after: Index of the order's entry in the log.
        before: Index of the request's entry.
    """
    policies = attestations.in_force()
    if not policies:
        sentence = "The tenant has not said, where it can be read, which nodes count as attested."
        return Unattested(Doubt.NOT_ATTESTED.value, sentence)
    witness = VerifyKey.from_hex(state.statement.witness_key)
    found: list[AttestedNode] = []
    try:
        for node in request.predicate.nodes:
            moment = Moment(
                log=state.log_key,
                witness=witness_verifier(state.tenant, witness),
                after=after,
                before=before,
                seen=_seen(request, node, attestations, state.clock.now()),
            )
            found += _verified(request.predicate, node, policies, moment)
    except EvidenceError as error:
        return Unattested(error.doubt.value, error.message)
    return Attested(tuple(found))


def _seen(
    request: Statement[AttemptRequest], node: RequestingNode, attestations: Attestations, now: datetime
) -> datetime:
    """Return when a node's quote was first seen here.

    Raises:
        EvidenceError: There is none, or it came with another request before.
    """
    head = Evidence.from_text(node.evidence).head
    binding = binding_of(request.predicate, node).digest(head).hex()
    seen = attestations.first_seen(binding, request.digest, now)
    if seen is None:
        raise EvidenceError(Doubt.STALE, "The node's quote came with another request before.")
    return seen


def _verified(
    request: AttemptRequest, node: RequestingNode, policies: list[KeptPolicy], moment: Moment
) -> list[AttestedNode]:
    """Return what a node proves under the log's policy; all others in force must accept it too."""
    binding = binding_of(request, node)
    states: list[AttestedState] = [verify_node(node.evidence, binding, kept.policy, moment) for kept in policies]
    return [
        AttestedNode(
            node_key=node.node_key,
            type=fact.type,
            key=fact.key,
            state=fact.state,
            quoted=format_time(datetime.fromtimestamp(states[0].cosigned, UTC)),
            policy=policies[0].digest,
        )
        for fact in states[0].facts
    ]
