"""Requests for keys, and the two answers."""

from dataclasses import dataclass
from typing import Final

from kifabrik.signatures.statements import predicate
from kifabrik.values import Place

_NAME_DIGITS: Final = 16


@dataclass(frozen=True)
class RequestingNode:
    """One node of an attempt, as the request for its keys names it.

    Args:
        node_key: Ed25519 key of the node, in hex; it signs the request.
        recipient: age recipient of that node's launcher, alive only in its memory. What the attempt's nodes share
            is wrapped to it, where there are several.
        evidence: What the node shows for its hardware and software, as JSON; empty for none.
    """

    node_key: str
    recipient: str
    evidence: str = ""


@predicate("attempt-request/v1")
@dataclass(frozen=True)
class AttemptRequest:
    """A launcher asks for the keys of one attempt; signed by the run key and by the key of every node.

    Args:
        tenant: Tenant id.
        run: Run id.
        attempt: Attempt id.
        number: 1 for the first attempt of the run.
        order: Digest of the order statement.
        items: Digests of the manifest statements whose keys are asked for: code, inputs, checkpoint.
        nodes: The nodes that get the keys, by rank; no key and no recipient twice.
        place: What the factory says about where the nodes are.
        run_key: Ed25519 key in hex, alive only in the launchers' memory.
        recipient: age recipient of the attempt key, likewise.
        environment: Tree digest of the environment that was built from the order's lock.
        created: Time.
    """

    tenant: str
    run: str
    attempt: str
    number: int
    order: str
    items: tuple[str, ...]
    nodes: tuple[RequestingNode, ...]
    place: Place
    run_key: str
    recipient: str
    environment: str
    created: str

    @property
    def node_keys(self) -> tuple[str, ...]:
        """Keys of the nodes in hex, by rank."""
        return tuple(node.node_key for node in self.nodes)

    @property
    def node_names(self) -> tuple[str, ...]:
        """What the log entry of a request calls its nodes: 64 bits of each key, so that thousands fit into it."""
        return tuple(key[:_NAME_DIGITS] for key in self.node_keys)


@predicate("member-request/v1")
@dataclass(frozen=True)
class MemberRequest:
    """A member's device asks for the keys of results or streams of a run; signed by the device key.

    Args:
        tenant: Tenant id.
        member: Member id.
        device_key: Ed25519 key in hex.
        recipient: The device's age recipient.
        run: Run id.
        items: Digests of output manifest statements and log stream statements.
        created: Time.
        nonce: 32 hex digits.
    """

    tenant: str
    member: str
    device_key: str
    recipient: str
    run: str
    items: tuple[str, ...]
    created: str
    nonce: str


@dataclass(frozen=True)
class LeasedItem:
    """Keys for one item.

    Args:
        item: Digest of the manifest or log stream statement.
        headers: SHA-256 of the concatenated new age headers, in the order of the old ones.
    """

    item: str
    headers: str


@dataclass(frozen=True)
class AttestedNode:
    """What the keyholder has verified of a node's hardware, by one kind of evidence.

    Args:
        node_key: Of the node, in hex.
        type: Kind of evidence.
        key: What identifies the hardware: name of the TPM's attestation key or id of the chip, in hex.
        state: The policy's name of what was measured.
        quoted: When the keyholder cosigned the tree head the evidence was made over.
        policy: Digest of the attestation policy statement that accepts it.
    """

    node_key: str
    type: str
    key: str
    state: str
    quoted: str
    policy: str


@predicate("lease/v1")
@dataclass(frozen=True)
class Lease:
    """The keyholder releases keys; signed by the keyholder key.

    Args:
        lease: Lease id.
        tenant: Tenant id.
        request: Digest of the request statement.
        order: Digest of the order statement of the run.
        run: Run id.
        receiver: Attempt id or member id.
        run_key: Run key in hex, for attempts; empty for members.
        node_keys: Node keys in hex, for attempts.
        recipient: age recipient of the attempt or device.
        items: What is released.
        grants: Every grant that permits it, for attempts: those on the inputs and on what is behind them.
        output_recipient: age recipient of everything the attempt seals; empty for members.
        environment: Tree digest that was asked for.
        log_index: Leaf of the request in the tenant's log.
        log_size: Size of the tree the keyholder verified.
        log_root: Root of that tree, hex.
        created: Time.
        expires: Time after which the launcher must not go on.
        attested: What was verified of the nodes' hardware; empty where no grant asks for it.
    """

    lease: str
    tenant: str
    request: str
    order: str
    run: str
    receiver: str
    run_key: str
    node_keys: tuple[str, ...]
    recipient: str
    items: tuple[LeasedItem, ...]
    grants: tuple[str, ...]
    output_recipient: str
    environment: str
    log_index: int
    log_size: int
    log_root: str
    created: str
    expires: str
    attested: tuple[AttestedNode, ...] = ()


@predicate("refusal/v1")
@dataclass(frozen=True)
class Refusal:
    """The keyholder refuses; signed by the keyholder key.

    Args:
        tenant: Tenant id.
        request: Digest of the request statement.
        reason: One word or two, stable, such as `no-grant`.
        message: A sentence for people that contains no names.
        final: Whether asking again with the same order is pointless.
        created: Time.
    """

    tenant: str
    request: str
    reason: str
    message: str
    final: bool
    created: str
