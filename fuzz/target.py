"""What a target is, and the oracle.

The oracle: whatever the bytes, only the errors a parser documents may come out of it (`refuses`), within the
time and memory libFuzzer allows one input. Where an independent implementation exists a target compares
with it and raises `Disagreement`: what we accept, the other must accept with the same meaning.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kifabrik.errors import KifabrikError


class Disagreement(AssertionError):  # noqa: N818 - it is a finding, not an error of the program
    """Two readers see different things in the same bytes, or one sees what is not there."""


def agree(ours: object, theirs: object, what: str) -> None:
    """Compare two readings."""
    if ours != theirs:
        raise Disagreement(f"{what}: {str(ours)[:300]!r} here, {str(theirs)[:300]!r} there")


@dataclass(frozen=True)
class Target:
    """One parser under attack.

    Args:
        what: What is read, in a few words.
        one: Reads one input.
        refuses: The errors it documents.
        seeds: Well-formed inputs to start from.
        words: Pieces worth putting in.
        longest: Most bytes of an input.
        json: Whether inputs are JSON, so that values are exchanged as well as bytes.
    """

    what: str
    one: Callable[[bytes], None]
    refuses: tuple[type[KifabrikError], ...]
    seeds: Callable[[], Iterable[bytes]]
    words: tuple[bytes, ...] = ()
    longest: int = 4096
    json: bool = False

    def judge(self, data: bytes) -> None:
        """Read one input; whatever comes out of this is a finding."""
        try:
            self.one(data)
        except self.refuses:
            return
