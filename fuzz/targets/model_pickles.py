"""Pickles: no name may be looked up by an unpickler that was not reported by only reading.

The unpickler here is Python's own, with a stand-in for every name, so nothing is imported or called.
"""

import collections
import io
import os
import pickle
import pickletools
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Self

from fuzz.target import Disagreement, Target
from kifabrik.errors import IntegrityError
from kifabrik.models.globals import HARMLESS
from kifabrik.models.pickles import Imports, read_pickle


class _StandIn:
    """Takes any arguments and any state, and does nothing."""

    def __new__(cls, *_arguments: Any, **_named: Any) -> Self:
        return super().__new__(cls)

    def __init__(self, *arguments: Any, **named: Any) -> None:
        pass

    def __setstate__(self, _state: Any) -> None:
        pass


class _Watched(pickle._Unpickler):  # noqa: SLF001 - the one in Python
    """Notes each name it is asked for."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), buffers=[b""] * 9)
        self.asked: set[tuple[str, str]] = set()

    def find_class(self, module: str, name: str) -> Any:
        self.asked.add((module, name))
        return type("StandIn", (_StandIn,), {})

    def persistent_load(self, _number: Any) -> Any:
        return _StandIn()


def one(data: bytes) -> None:
    """Read, then unpickle with stand-ins, and compare the names."""
    imports = Imports()
    read_pickle(io.BytesIO(data), imports)
    watched = _Watched(data)
    with suppress(Exception):  # it may stumble over its stand-ins; what it asked for counts
        watched.load()
    reported = imports.harmless | imports.others
    hidden = {pair for pair in watched.asked if ".".join(pair) not in reported}
    computed = any("computed" in name for name in imports.others)
    if hidden and not (computed or any(len(name) > 1000 for name in imports.others)):  # noqa: PLR2004 - cut names
        raise Disagreement(f"looked up, and not reported: {sorted(hidden)[:5]}")
    if not imports.others and watched.asked - HARMLESS:
        raise Disagreement(f"called harmless: {sorted(watched.asked - HARMLESS)[:5]}")


class _Evil:
    def __reduce__(self) -> Any:
        return os.system, ("true",)


def seeds() -> Iterator[bytes]:
    """Data and code in every protocol, and the ways to a name that no pickler takes."""
    data = {"a": [1, 2.5, "x", b"y", None, 2**70], "o": collections.OrderedDict(b=(1, {2}, frozenset([3]), 1j))}
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        yield pickle.dumps(data, protocol)
        yield pickle.dumps([_Evil()], protocol)
    yield b"(S'true'\nios\nsystem\n."
    yield b"\x80\x04\x8c\x02os\x94\x8c\x06system\x940h\x00h\x01\x93\x8c\x04true\x85R."
    yield b"\x80\x04S'os'\nU\x06system\x93)R."
    yield b"\x80\x04Vos\np5\n0g5\n2\x93)R."
    yield b"\x80\x02\x82\x01."


TARGET = Target(
    "pickles",
    one,
    (IntegrityError,),
    seeds,
    (
        *(opcode.code.encode("latin-1") for opcode in pickletools.opcodes),
        *(b"cos\nsystem\n", b"\x8c\x02os\x8c\x06system\x93", b"ccollections\nOrderedDict\n", b"S'os'\n"),
    ),
)
