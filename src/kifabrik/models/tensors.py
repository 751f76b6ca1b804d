"""safetensors, read strictly: a format that holds numbers and runs nothing, if it is what it says.

    file   = length of the header (8 bytes, little-endian) || header (JSON) || bytes of the tensors
    header = {"name": {"dtype", "shape", "data_offsets": [begin, end]}, …, "__metadata__": {"text": "text"}}

Invariants:
- the header is an object, 100 MB at most, with every key once and nothing behind it but spaces;
- the tensors cover the rest of the file exactly: no gap, no overlap, nothing outside;
- a tensor's bytes are as many as its shape and type need.

Nothing but the header is read, so a file of any size is checked at once.

Source: github.com/huggingface/safetensors, README, section "Format".
"""

import json
import math
import os
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from kifabrik.errors import IntegrityError

LENGTH_BYTES: Final = 8
MOST_HEADER_BYTES: Final = 100_000_000
"""The format's own limit."""
_LARGEST: Final = 2**63 - 1
_MOST_DIMENSIONS: Final = 64
_METADATA: Final = "__metadata__"
_FIELDS: Final = frozenset({"dtype", "shape", "data_offsets"})
_BITS: Final = {
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}
"""Bits of one element by type (safetensors 0.8, `Dtype`)."""


@dataclass(frozen=True)
class Tensor:
    """One tensor of a file.

    Args:
        name: As the file has it.
        dtype: Type of its elements, such as `F32`.
        shape: Elements in each dimension; empty for a single number.
        begin: First byte, counted from the end of the header.
        end: Byte behind the last.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_tensors(file: BinaryIO) -> tuple[Tensor, ...]:
    """Read the header of a safetensors file and check the whole against it.

    Args:
        file: Seekable, at any position.

    Returns:
        The tensors in the order of their bytes.

    Raises:
        IntegrityError: The file breaks one of the rules above; the message says which.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    length = int.from_bytes(file.read(LENGTH_BYTES), "little")
    if size < LENGTH_BYTES or length > min(size - LENGTH_BYTES, MOST_HEADER_BYTES):
        raise IntegrityError(f"its header cannot have {length} bytes in a file of {size}")
    body = _object(file.read(length))
    _check_metadata(body.pop(_METADATA, {}))
    tensors = sorted((_tensor(name, said) for name, said in body.items()), key=lambda one: (one.begin, one.end))
    _check_cover(tensors, size - LENGTH_BYTES - length)
    return tuple(tensors)


def _object(header: bytes) -> dict[str, Any]:
    if not header.startswith(b"{"):
        raise IntegrityError("its header does not begin with '{'")
    if not header.rstrip(b" ").endswith(b"}"):
        raise IntegrityError("its header is not JSON, or something else than spaces stands behind it")
    try:
        text = header.rstrip(b" ").decode()
        body: dict[str, Any] = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse, parse_int=_whole)
        json.dumps(body, ensure_ascii=False).encode()  # lone surrogates, which other readers refuse
    except (ValueError, RecursionError):
        raise IntegrityError("its header is not JSON with every key once") from None
    return body


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    body = dict(pairs)
    if len(body) != len(pairs):
        raise ValueError("duplicate key")
    return body


def _whole(text: str) -> int | float:
    """Read a whole number; `-0` is a fraction to the readers in Rust."""
    return -0.0 if text == "-0" else int(text)


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _check_metadata(body: Any) -> None:
    if not isinstance(body, dict) or not all(isinstance(value, str) for value in body.values()):
        raise IntegrityError("its metadata are not texts by name")


def _tensor(name: str, said: Any) -> Tensor:
    if not isinstance(said, dict) or said.keys() != _FIELDS:
        raise IntegrityError(f"tensor {name[:100]!r} does not have dtype, shape and data_offsets")
    dtype, shape, offsets = said["dtype"], said["shape"], said["data_offsets"]
    bits = _BITS.get(dtype) if isinstance(dtype, str) else None
    if bits is None:
        raise IntegrityError(f"tensor {name[:100]!r} is of unknown type {str(dtype)[:40]!r}")
    if not _are_sizes(shape, _MOST_DIMENSIONS) or not _are_sizes(offsets, 2) or len(offsets) != 2:  # noqa: PLR2004
        raise IntegrityError(f"tensor {name[:100]!r} has no proper shape or offsets")
    begin, end = offsets
    if (end - begin) * 8 != math.prod(shape) * bits:
        raise IntegrityError(f"tensor {name[:100]!r} has {end - begin} bytes; its shape and type need others")
    return Tensor(name, dtype, tuple(shape), begin, end)


def _are_sizes(value: Any, most: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= most
        and all(type(number) is int and 0 <= number <= _LARGEST for number in value)
    )


def _check_cover(tensors: list[Tensor], size: int) -> None:
    covered = 0
    for tensor in tensors:
        if tensor.begin != covered:
            fault = "overlaps what stands before it" if tensor.begin < covered else "leaves a gap before it"
            raise IntegrityError(f"tensor {tensor.name[:100]!r} {fault}")
        covered = tensor.end
    if covered != size:
        raise IntegrityError(f"its tensors take {covered} bytes and the file has {size} for them")
