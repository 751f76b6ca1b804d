"""Which environment variables a program can be given: looked at when a job is written, and again on the node."""

import re
from collections.abc import Mapping
from typing import Final

MOST_VARIABLES: Final = 1000
LONGEST_VARIABLE: Final = 1 << 17
"""Bytes of a name and its value that a program can be given (MAX_ARG_STRLEN in `include/uapi/linux/binfmts.h`)."""
MOST_VARIABLE_BYTES: Final = 1 << 20
"""A program takes arguments and variables up to a quarter of its stack, which often is 8 MiB: execve(2)."""
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BETWEEN: Final = 2
"""The sign between name and value, and the end."""
_SHOWN: Final = 100


def fault_of_variables(variables: Mapping[str, str]) -> str:
    """Say what no program could be given, or return an empty text."""
    if len(variables) > MOST_VARIABLES:
        return f"{len(variables)} environment variables; at most {MOST_VARIABLES} are passed on"
    total = 0
    for name, value in variables.items():
        if not _NAME.fullmatch(name):
            return f"not a name for an environment variable: {name[:_SHOWN]!r}"
        if not is_plain(value):
            return f"the variable {name[:_SHOWN]} contains a character that no environment can carry"
        size = len(name) + len(value.encode()) + _BETWEEN
        total += size
        if size > LONGEST_VARIABLE or total > MOST_VARIABLE_BYTES:
            return (
                f"the variable {name[:_SHOWN]} makes the environment too large for any program; put it into a file"
            )
    return ""


def is_plain(text: str) -> bool:
    """Whether the text has neither NUL nor the stand-ins Python uses for bytes that are not UTF-8."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
