"""What a check has found: something that does not agree, and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Finding:
    """Something that does not agree.

    Args:
        tenant: Whose it is; empty where it is nobody's.
        what: What does not agree, as a sentence.
        do: What the operator can do about it, as a sentence.
    """

    tenant: str
    what: str
    do: str = ""

    def __str__(self) -> str:
        return f"{self.tenant or 'factory'}: {self.what}"


class FurtherCheck(Protocol):
    """Looks at something else."""

    def run(self) -> Iterable[Finding]:
        """Find everything that does not agree."""
        ...
