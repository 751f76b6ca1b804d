"""NumPy's files: numbers after a header that is Python text, or a pickle where the elements are objects.

Source: numpy.org, `numpy.lib.format` (versions 1.0 to 3.0).
"""

import ast
import re
from typing import Any, BinaryIO, Final

from kifabrik.errors import IntegrityError
from kifabrik.models.pickles import Imports, read_pickle

MAGIC: Final = b"\x93NUMPY"
_LENGTH_BYTES: Final = {1: 2, 2: 4, 3: 4}
_MOST_HEADER: Final = 10_000
"""NumPy's own limit for files it does not trust."""
_NUMBERS: Final = re.compile(r"[<>|=]?[?bBhHiIlLqQefdgFDGSUVmM]\d*(?:\[[\w/]+\])?|[<>|=]?[biufcSUVmM]\d+")
_DEEPEST: Final = 32


def read_array(file: BinaryIO, imports: Imports) -> bool:
    """Read an `.npy` file from the file's position on; follow the pickle in it, if there is one.

    Returns:
        True: there is nothing else in such a file.

    Raises:
        IntegrityError: It is not such a file, or its pickle cannot be followed.
    """
    start = file.read(len(MAGIC) + 2)
    length_bytes = _LENGTH_BYTES.get(start[-2]) if len(start) == len(MAGIC) + 2 else None
    if not start.startswith(MAGIC) or length_bytes is None:
        raise IntegrityError("it is not an array of a known version")
    length = int.from_bytes(file.read(length_bytes), "little")
    header = file.read(length) if length <= _MOST_HEADER else b""
    if not header or len(header) < length:
        raise IntegrityError("its header is cut off or too long")
    if not _is_numbers(_description(header), _DEEPEST):
        read_pickle(file, imports)
    return True


def _description(header: bytes) -> Any:
    try:
        body = ast.literal_eval(header.decode("latin-1").strip())
        if set(body) != {"descr", "fortran_order", "shape"}:
            raise IntegrityError("its header has other fields than descr, fortran_order and shape")
        return body["descr"]
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        raise IntegrityError("its header is not a literal") from None


def _is_numbers(description: Any, depth: int) -> bool:
    """Whether an element is plain numbers or text; whatever is not clearly so counts as objects."""
    if isinstance(description, str):
        return _NUMBERS.fullmatch(description) is not None
    if isinstance(description, tuple) and description:
        return depth > 0 and _is_numbers(description[0], depth - 1)
    return (
        isinstance(description, list)
        and depth > 0
        and all(isinstance(one, tuple) and len(one) > 1 and _is_numbers(one[1], depth - 1) for one in description)
    )
