"""What an engine tells a launcher: one line of JSON on its standard input, never argv or environment."""

import json
from dataclasses import dataclass, field

from kifabrik.errors import UsageError


@dataclass(frozen=True)
class Assignment:
    """One attempt on one of its nodes.

    Args:
        factory: The service's URL.
        attempt: Attempt id.
        token: The attempt's bearer token.
        tenant: Tenant id, which the work must belong to.
        ca_pem: Certificate authority of the factory, if it has its own.
        gpus: Numbers of the GPUs the attempt may use on this node.
        rank: Number of this node in the attempt, from 0.
        verdict: File to write the exit status to, for whoever is not the launcher's parent; empty for none.
    """

    factory: str
    attempt: str
    token: str = field(repr=False)
    tenant: str
    ca_pem: str = ""
    gpus: tuple[int, ...] = ()
    rank: int = 0
    verdict: str = ""

    def __post_init__(self) -> None:
        if self.rank < 0:
            raise UsageError(f"there is no rank {self.rank}")

    @classmethod
    def from_json(cls, line: str) -> "Assignment":
        """Read an assignment; fields this version does not know are left alone.

        Raises:
            UsageError: The line is not an assignment.
        """
        try:
            body = json.loads(line)
            return cls(
                factory=str(body["factory"]),
                attempt=str(body["attempt"]),
                token=str(body["token"]),
                tenant=str(body["tenant"]),
                ca_pem=str(body.get("ca_pem", "")),
                gpus=tuple(int(number) for number in body.get("gpus", ())),
                rank=int(body.get("rank", 0)),
                verdict=str(body.get("verdict", "")),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UsageError("the launcher did not get an assignment") from None
