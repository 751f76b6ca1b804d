"""What the nodes of a run have shown of themselves, verified again on the customer's machine.

The keyholder has verified it before it released keys. Here the same pure functions look at the same evidence: the
request that stands in the log, the policy the tenant key has signed, the tree head the witness had cosigned.
"""

from dataclasses import dataclass
from typing import Final

from kifabrik.attestation.evidence import EvidenceError
from kifabrik.attestation.policy import AttestationPolicy
from kifabrik.attestation.verify import AttestedState, Moment, verify_node
from kifabrik.customer.catalogue import Catalogue
from kifabrik.customer.session import Session
from kifabrik.errors import IntegrityError
from kifabrik.leases.attested import binding_of
from kifabrik.leases.statements import AttemptRequest, AttestedNode, Lease, RequestingNode
from kifabrik.ledger.checkpoint import witness_verifier
from kifabrik.ledger.entry import EntryKind
from kifabrik.ledger.notes import NoteVerifier
from kifabrik.signatures.keys import VerifyKey
from kifabrik.signatures.statements import Statement, time_named, verify_statement
from kifabrik.tenants.trust import verify_keyholder

_KEYHOLDERS: Final = (EntryKind.KEYHOLDER_ENROLLED, EntryKind.KEYHOLDER_RESTORED)


@dataclass(frozen=True)
class ProvenNode:
    """A node whose evidence verifies.

    Args:
        node_key: Of the node, in hex.
        types: Kinds of evidence.
        state: The policy's name of what it booted into.
        policy: Digest of the policy.
        policy_index: Of the policy's entry in the log.
        key: What identifies the hardware, in hex.
        quoted: When the tree head it was made over was cosigned.
    """

    node_key: str
    types: tuple[str, ...]
    state: str
    policy: str
    policy_index: int
    key: str
    quoted: str


def prove_nodes(
    session: Session,
    catalogue: Catalogue,
    request: Statement[AttemptRequest],
    lease: Lease,
    *,
    ordered: int,
    requested: int,
) -> list[ProvenNode]:
    """Verify the evidence of every node a lease calls attested; an empty list where it calls none so.

    Args:
        session: Connected; statements are fetched by digest.
        catalogue: Over this member's own mirror of the log.
        request: Verified.
        lease: Verified.
        ordered: Index of the order's entry.
        requested: Index of the request's entry.

    Raises:
        IntegrityError: Evidence does not verify, or proves something else than the lease says.
    """
    if not lease.attested:
        return []
    moment = Moment(
        log=session.policy.logs[0],
        witness=_witness_at(session, catalogue, requested),
        after=ordered,
        before=requested,
        seen=None,
    )
    said = {key: [one for one in lease.attested if one.node_key == key] for key in request.predicate.node_keys}
    if sum(map(len, said.values())) != len(lease.attested) or not all(said.values()):
        raise IntegrityError("the lease calls other nodes attested than those that asked")
    policies = _policies(session, catalogue, {one.policy for one in lease.attested}, lease.log_size)
    return [
        _proven(request.predicate, node, said[node.node_key], policies, moment, lease)
        for node in request.predicate.nodes
    ]


def _proven(
    request: AttemptRequest,
    node: RequestingNode,
    said: list[AttestedNode],
    policies: dict[str, tuple[AttestationPolicy, int]],
    moment: Moment,
    lease: Lease,
) -> ProvenNode:
    policy, index = policies[said[0].policy]
    try:
        found = verify_node(node.evidence, binding_of(request, node), policy, moment)
    except EvidenceError as error:
        raise IntegrityError(f"a node is called attested, but: {error.message}") from None
    _compare(found, said, lease)
    return ProvenNode(
        node_key=node.node_key,
        types=tuple(fact.type for fact in found.facts),
        state=found.facts[0].state,
        policy=said[0].policy,
        policy_index=index,
        key=found.facts[0].key,
        quoted=said[0].quoted,
    )


def _compare(found: AttestedState, said: list[AttestedNode], lease: Lease) -> None:
    facts = [(fact.type, fact.key, fact.state) for fact in found.facts]
    if facts != [(one.type, one.key, one.state) for one in said] or len({one.policy for one in said}) != 1:
        raise IntegrityError("the evidence of a node proves something else than the lease says")
    age = time_named(lease.created).timestamp() - found.cosigned
    if any(time_named(one.quoted).timestamp() != found.cosigned for one in said) or age < 0:
        raise IntegrityError("the lease dates the evidence of a node otherwise than the log's witness")


def _policies(
    session: Session, catalogue: Catalogue, digests: set[str], until: int
) -> dict[str, tuple[AttestationPolicy, int]]:
    """Return the policies of these digests, verified, with the index of the entry that names each.

    What a keyholder relies on when it decides may stand later in the log than the request, never after the lease.
    """
    found: dict[str, tuple[AttestationPolicy, int]] = {}
    for index, entry in enumerate(catalogue.entries[:until]):
        digest = str(entry.refs.get("statement", ""))
        if entry.kind is EntryKind.ATTESTATION_SET and digest in digests and digest not in found:
            envelope = session.datasets.statement(digest)
            policy = verify_statement(envelope, AttestationPolicy, [session.tenant_key]).predicate
            found[digest] = policy, index
    if set(found) != digests or any(policy.tenant != session.tenant for policy, _ in found.values()):
        raise IntegrityError("the lease names an attestation policy that does not stand in the log")
    return found


def _witness_at(session: Session, catalogue: Catalogue, index: int) -> NoteVerifier:
    """Return the key the keyholder cosigned with when entry `index` was written."""
    named = [entry for entry in catalogue.entries[:index] if entry.kind in _KEYHOLDERS]
    newest = max(named, key=lambda entry: int(str(entry.refs.get("sequence", 0))), default=None)
    if newest is None:
        raise IntegrityError("the log names no keyholder")
    envelope = session.datasets.statement(str(newest.refs.get("statement", "")))
    shown = verify_keyholder(session.tenant_key, envelope)
    return witness_verifier(session.tenant, VerifyKey.from_hex(shown.witness_key))
