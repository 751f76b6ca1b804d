"""Statements this keyholder has verified once and kept: parsed again without being verified again."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeVar

from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.statements import read_unverified

P = TypeVar("P")

_KEPT: Final = 512
_MOST_CHARACTERS: Final = 64 * 1024
"""Longer statements (manifests of many shards) are parsed each time instead of filling the memory."""


def read_kept(text: str, cls: type[P]) -> tuple[P, Mapping[str, str]]:
    """Return predicate and subjects of a statement that was verified before it was kept."""
    found: tuple[P, Mapping[str, str]] = _cached(text, cls) if len(text) < _MOST_CHARACTERS else _parse(text, cls)
    return found


def _parse(text: str, cls: Any) -> Any:
    return read_unverified(Envelope.from_json(text), cls)


_cached: Callable[[str, Any], Any] = lru_cache(maxsize=_KEPT)(_parse)
