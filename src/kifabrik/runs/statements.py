"""What a launcher signs with its run key; a lease has bound that key to one attempt."""

from dataclasses import dataclass

from kifabrik.meters.reading import Reading
from kifabrik.runs.states import Outcome
from kifabrik.signatures.statements import predicate


@predicate("log-stream/v1")
@dataclass(frozen=True)
class LogStream:
    """Opens the log of an attempt: one age header, which all its segments share.

    Args:
        tenant: Tenant id.
        run: Run id.
        attempt: Attempt id.
        lease: Digest of the lease statement.
        header: SHA-256 of the age header; its recipient is the lease's output recipient.
        created: Time.
        rank: Number of the node whose log it is, from 0.
    """

    tenant: str
    run: str
    attempt: str
    lease: str
    header: str
    created: str
    rank: int = 0


@predicate("log-segment/v1")
@dataclass(frozen=True)
class LogSegment:
    """One sealed piece of an attempt's log, chained to the piece before.

    The plaintext is JSON lines `{"at": seconds, "kind": "out"|"err"|"metric"|"note", "text": …}`; for
    `metric` the text is replaced by `"name", "value", "step"`.

    Args:
        run: Run id.
        attempt: Attempt id.
        number: 0 for the first segment.
        previous: Digest of the segment statement before; empty for the first.
        body: SHA-256 of the sealed body.
        size: Its size in bytes.
        created: Time.
        rank: Number of the node whose log it is, from 0.
    """

    run: str
    attempt: str
    number: int
    previous: str
    body: str
    size: int
    created: str
    rank: int = 0


@dataclass(frozen=True)
class PublishedMetric:
    """A metric the order allows the factory to see; the last value the job reported."""

    name: str
    value: float


@predicate("node-ended/v1")
@dataclass(frozen=True)
class NodeEnded:
    """How an attempt ended on one of its nodes but the first; signed by the node key, and the run key if it came.

    Args:
        tenant: Tenant id.
        run: Run id.
        attempt: Attempt id.
        rank: Number of the node, from 1.
        node_key: Ed25519 key in hex.
        outcome: Exit class on this node.
        exit_status: Of the customer's program there, as in `Finish`.
        segments: Number of segments of this node's log.
        log_tail: Digest of its last segment statement, or empty.
        reading: What the attempt used on this node.
        started: Time.
        finished: Time.
    """

    tenant: str
    run: str
    attempt: str
    rank: int
    node_key: str
    outcome: Outcome
    exit_status: int | None
    segments: int
    log_tail: str
    reading: Reading
    started: str
    finished: str


@dataclass(frozen=True)
class OtherNode:
    """What the end of an attempt says of a node but the first.

    Args:
        rank: Number of the node, from 1.
        node_key: Ed25519 key in hex.
        ended: Digest of its `NodeEnded` statement; empty where it went without a word.
        segments: Number of segments of its log.
        log_tail: Digest of the last one, or empty.
    """

    rank: int
    node_key: str
    ended: str
    segments: int
    log_tail: str


@predicate("run-finished/v1")
@dataclass(frozen=True)
class Finish:
    """Closes an attempt; signed by the run key and by the key of its first node.

    Args:
        tenant: Tenant id.
        run: Run id.
        attempt: Attempt id.
        order: Digest of the order statement.
        lease: Digest of the lease statement; empty if no key was released.
        outcome: Exit class.
        exit_status: Of the customer's program; -N for signal N; None where it did not start.
        outputs: Digests of the output manifest statements, in the order the job declares them.
        checkpoint: Digest of the last checkpoint's manifest statement, or empty.
        segments: Number of log segments.
        log_tail: Digest of the last segment statement, or empty.
        environment: Tree digest of the environment.
        reading: What the attempt used.
        published: Metrics the order allows the factory to see.
        started: Time.
        finished: Time.
        others: The other nodes of the attempt, by rank.
    """

    tenant: str
    run: str
    attempt: str
    order: str
    lease: str
    outcome: Outcome
    exit_status: int | None
    outputs: tuple[str, ...]
    checkpoint: str
    segments: int
    log_tail: str
    environment: str
    reading: Reading
    published: tuple[PublishedMetric, ...]
    started: str
    finished: str
    others: tuple[OtherNode, ...] = ()
