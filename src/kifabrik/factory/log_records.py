"""What the store keeps about the sealed logs of attempts, as frozen values."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RankLog:
    """The log of one node of an attempt, as far as it has come.

    Args:
        tenant: Tenant id.
        attempt: Attempt id.
        rank: Number of the node in the attempt, from 0.
        stream: Digest of the log stream statement; empty before it is open.
        segments: Number of segments.
        tail: Digest of the last segment statement.
        log_bytes: Size of all sealed segments.
        header: The age header all segments share; empty where only the others are asked for.
    """

    tenant: str
    attempt: str
    rank: int
    stream: str = ""
    segments: int = 0
    tail: str = ""
    log_bytes: int = 0
    header: bytes = b""


@dataclass(frozen=True)
class Segment:
    """One log segment; `body` is None where it is kept as an object of digest `sha256`."""

    tenant: str
    attempt: str
    rank: int
    number: int
    statement: str
    sha256: str
    size: int
    body: bytes | None
