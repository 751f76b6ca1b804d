"""Age files as text: the strict PEM form of RFC 7468, section 3, with one label.

    -----BEGIN AGE ENCRYPTED FILE-----
    YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+…        64 columns, the last line shorter or as long
    -----END AGE ENCRYPTED FILE-----

Read strictly, because armor is not authenticated: only white space may stand in lines before and after it,
never in its own lines, and lines may end in LF or CRLF.
"""

import base64
import binascii
from typing import Final

from kifabrik.errors import IntegrityError

_BEGIN: Final = b"-----BEGIN AGE ENCRYPTED FILE-----"
_END: Final = b"-----END AGE ENCRYPTED FILE-----"
_COLUMNS: Final = 64
_SPACE: Final = b" \t\r\n"


def is_armored(data: bytes) -> bool:
    """Whether the data is meant to be armored; whether it is well formed shows on removing it."""
    return data[:1024].lstrip(_SPACE).startswith(b"-----BEGIN ")


def add_armor(data: bytes) -> bytes:
    """Return an age file as text."""
    text = base64.b64encode(data)
    lines = [text[i : i + _COLUMNS] for i in range(0, len(text), _COLUMNS)]
    return b"\n".join((_BEGIN, *lines, _END, b""))


def remove_armor(data: bytes) -> bytes:
    """Return the age file in an armored text.

    Raises:
        IntegrityError: The armor is not in the strict form.
    """
    block = [line.removesuffix(b"\r") for line in data.split(b"\n")]
    first = next((n for n, line in enumerate(block) if line.strip(_SPACE)), 0)
    last = next((n for n in range(len(block) - 1, first, -1) if block[n].strip(_SPACE)), first)
    lines = block[first + 1 : last]
    if (block[first], block[last]) != (_BEGIN, _END):
        raise IntegrityError("age armor: not exactly one block from its BEGIN to its END line")
    if any(len(line) != _COLUMNS for line in lines[:-1]) or (lines and not 0 < len(lines[-1]) <= _COLUMNS):
        raise IntegrityError("age armor: lines are not of 64 columns")
    text = b"".join(lines)
    try:
        inner = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        inner = b""
    if base64.b64encode(inner) != text:
        raise IntegrityError("age armor: base64 is not canonical")
    return inner
