"""safetensors, against the library of that name: what is sound here, loads there as the same tensors."""

import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import safetensors
from safetensors.numpy import save

from fuzz.target import Target, agree
from kifabrik.errors import IntegrityError
from kifabrik.models.tensors import read_tensors

_MOST_BYTES = 1 << 16
_load: Any = safetensors.deserialize


def one(data: bytes) -> None:
    """Read a file, or a header with as many bytes behind it as its offsets ask for."""
    file = _with_bytes(data) if data[:1] == b"{" else data
    tensors = read_tensors(io.BytesIO(file))
    theirs = {name: (said["dtype"], tuple(said["shape"])) for name, said in _load(file)}
    agree({tensor.name: (tensor.dtype, tensor.shape) for tensor in tensors}, theirs, "the tensors of a file")


def _with_bytes(header: bytes) -> bytes:
    try:
        ends = [said["data_offsets"][1] for name, said in json.loads(header).items() if name != "__metadata__"]
        size = min(max(map(int, ends), default=0), _MOST_BYTES)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, OverflowError):
        size = 0
    return len(header).to_bytes(8, "little") + header + bytes(max(0, size))


def seeds() -> Iterator[bytes]:
    """Files as the library writes them, and their headers alone."""
    several: tuple[dict[str, Any], ...] = (
        {},
        {"a": np.zeros((2, 3), np.float32)},
        {"a": np.zeros(4, np.int8), "b": np.zeros((0, 7), np.float64), "c": np.zeros((), np.uint16)},
    )
    for arrays in several:
        file = save(arrays, {"made": "here"})
        yield file
        yield file[8 : 8 + int.from_bytes(file[:8], "little")]


TARGET = Target(
    "safetensors",
    one,
    (IntegrityError,),
    seeds,
    (
        b'"dtype":"F4"',
        b'"dtype":"BOOL"',
        b'"data_offsets":[0,0]',
        b'"shape":[]',
        b"__metadata__",
        b"-0",
        b"1e2",
        b"\\ud800",
    ),
    json=True,
)
