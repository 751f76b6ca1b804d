"""How the nodes of one attempt come to one request for keys that all of them have signed.

Invariants:
- a node joins by a statement of its own key; the request names it with exactly the recipient it gave there;
- a node signs a request only if it is the one it would have made itself, with its own entry unaltered and a
  node of its own for every rank of the order;
- what the nodes share is believed only if its keys are the ones the signed request names.
"""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kifabrik.errors import IntegrityError
from kifabrik.leases.statements import AttemptRequest, RequestingNode
from kifabrik.signatures.dsse import Envelope, Signature
from kifabrik.signatures.keys import VerifyKey
from kifabrik.signatures.statements import key_named, predicate, read_unverified, verify_statement


@predicate("node-joined/v1")
@dataclass(frozen=True)
class NodeJoined:
    """A launcher on one of an attempt's nodes is ready to ask for keys; signed by the node key.

    Args:
        tenant: Tenant id.
        run: Run id.
        attempt: Attempt id.
        order: Digest of the order statement.
        rank: Number of the node in the run, from 0.
        node_key: Ed25519 key in hex.
        recipient: age recipient of this launcher, alive only in its memory.
        evidence: As in `RequestingNode`.
        environment: Tree digest of the environment this node has built.
        underlay: IP address at which the other nodes reach this one.
        mtu: Bytes in the largest packet its network carries.
        created: Time.
    """

    tenant: str
    run: str
    attempt: str
    order: str
    rank: int
    node_key: str
    recipient: str
    evidence: str
    environment: str
    underlay: str
    mtu: int
    created: str

    @property
    def entry(self) -> RequestingNode:
        """What the request for keys says of this node."""
        return RequestingNode(self.node_key, self.recipient, self.evidence)


def verify_joined(envelope: Envelope) -> NodeJoined:
    """Verify that a node has joined by its own key; whose key that is, is for others to say.

    Raises:
        IntegrityError: It is not signed by the key it names.
    """
    said, _ = read_unverified(envelope, NodeJoined)
    return verify_statement(envelope, NodeJoined, [key_named(said.node_key)]).predicate


def entries_of(joined: Mapping[int, NodeJoined], own: NodeJoined, nodes: int) -> tuple[RequestingNode, ...]:
    """Return the nodes of a request, by rank, from what each has signed.

    Args:
        joined: Verified statements by rank.
        own: That of the lead node.
        nodes: Number of nodes in the order.

    Raises:
        IntegrityError: A node is missing, or joined something else than the lead.
    """
    if sorted(joined) != list(range(nodes)):
        raise IntegrityError(f"{len(joined)} of {nodes} nodes have joined")
    wanted = _about(own)
    for rank, said in joined.items():
        if said.rank != rank or _about(said) != wanted:
            what = "built another environment" if said.environment != own.environment else "joined another attempt"
            raise IntegrityError(f"node {rank} {what}")
    entries = tuple(joined[rank].entry for rank in range(nodes))
    _check_distinct(entries)
    return entries


def check_composed(envelope: Envelope, expected: AttemptRequest, own: NodeJoined, nodes: int) -> AttemptRequest:
    """Check a request that the lead node has composed, before another node signs it.

    Args:
        envelope: Signed by the run key it names and by the key of its first node.
        expected: What this node would ask for; its nodes, keys and time are set aside.
        own: How this node joined.
        nodes: Number of nodes in the order.

    Raises:
        IntegrityError: It asks for something else, or names this node otherwise than it joined.
    """
    said, _ = read_unverified(envelope, AttemptRequest)
    aside = replace(said, nodes=expected.nodes, run_key=expected.run_key, recipient=expected.recipient)
    if replace(aside, created=expected.created) != expected:
        raise IntegrityError("the lead node asks for other keys than the order names")
    if len(said.nodes) != nodes:
        raise IntegrityError(f"the lead node asks for {len(said.nodes)} nodes; the order names {nodes}")
    if said.nodes[own.rank] != own.entry:
        raise IntegrityError("the lead node names this node otherwise than it joined")
    _check_distinct(said.nodes)
    envelope.verify_every([key_named(said.run_key), key_named(said.nodes[0].node_key)])
    return said


def merge_signatures(request: Envelope, signed: Mapping[int, str]) -> Envelope:
    """Return the request with the signatures of all its nodes; whether they hold is for who verifies it.

    Args:
        request: Signed by the run key and the first node.
        signed: The others' signatures by rank, from `Envelope.signature_by`, in base64.

    Raises:
        IntegrityError: One of them is not base64, or of a rank the request does not name.
    """
    said, _ = read_unverified(request, AttemptRequest)
    found = list(request.signatures)
    for rank, text in sorted(signed.items()):
        if not 0 < rank < len(said.nodes):
            raise IntegrityError(f"the request for keys names no node {rank}")
        try:
            found.append(Signature(key_named(said.nodes[rank].node_key).keyid, b64decode(text, validate=True)))
        except ValueError:
            raise IntegrityError(f"node {rank} has signed nothing") from None
    return Envelope(request.payload, tuple(found))


def check_shared(request: AttemptRequest, run_key: VerifyKey, recipient: str) -> None:
    """Check that keys a node was handed are those of the request it has signed.

    Args:
        request: That request.
        run_key: Public half of the run key that came.
        recipient: age recipient of the attempt identity that came.

    Raises:
        IntegrityError: They are others.
    """
    if (run_key.hex, recipient) != (request.run_key, request.recipient):
        raise IntegrityError("the lead node handed over keys of another request")


def _about(said: NodeJoined) -> tuple[str, ...]:
    return said.tenant, said.run, said.attempt, said.order, said.environment


def _check_distinct(nodes: Sequence[RequestingNode]) -> None:
    keys, recipients = {node.node_key for node in nodes}, {node.recipient for node in nodes}
    if not len(keys) == len(recipients) == len(nodes):
        raise IntegrityError("a node stands twice in the request for keys")
