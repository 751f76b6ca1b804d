"""How long the service waits for its callers, and how much it holds for them at one time."""

from dataclasses import dataclass
from typing import Final

KIB: Final = 2**10
MIB: Final = 2**20


@dataclass(frozen=True)
class Limits:
    """Times and amounts. None of them is felt by a caller who goes on; tests shorten them.

    Args:
        head_s: Seconds for a request's head to come whole, for the first byte of its body, for a small body as a
            whole, for what is left of a body that was refused, and for an answer to be read that has been given.
        slowest_bytes_per_s: A longer body, or answer, has a second more for each so many bytes that have gone.
        connections: Most connections at one time; as many fewer as the process may open fewer files.
        strangers: Most of them on which nobody has signed in; all nodes of a large run may come at once.
        bodies_bytes: Memory for bodies on their way in.
        bodies_each_bytes: Of one tenant: twelve pieces of uploads, or one answer of a keyholder with many headers.
        pieces_bytes: Memory for pieces of objects on their way out.
        pieces_each_bytes: Of one tenant.
        threads_each: In how many threads calls of one tenant are worked on at one time, of some forty.
        room_s: How long a request waits for one of these.
    """

    head_s: float = 20.0
    slowest_bytes_per_s: int = 16 * KIB
    connections: int = 10_000
    strangers: int = 2_048
    bodies_bytes: int = 256 * MIB
    bodies_each_bytes: int = 96 * MIB
    pieces_bytes: int = 1024 * MIB
    pieces_each_bytes: int = 384 * MIB
    threads_each: int = 16
    room_s: float = 30.0
