"""Slurm's short way to write many node names: `n[1-3,7],gpu[001-016]b,login`.

Source: hostlist expressions as in `scontrol show hostnames` (scontrol(1)).
"""

import re
from collections.abc import Iterator
from itertools import product
from typing import Final

from kifabrik.errors import IntegrityError

MOST_NAMES: Final = 200_000
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+")
_RANGE: Final = re.compile(r"(\d+)(?:-(\d+))?")
_NOBODY: Final = ("", "(null)", "None", "None assigned", "N/A", "n/a")


def expand(text: str) -> tuple[str, ...]:
    """Return the names a hostlist stands for, in its order; nothing for the ways Slurm writes "none".

    Raises:
        IntegrityError: It is not a hostlist, or stands for more than 200,000 names.
    """
    if text.strip() in _NOBODY:
        return ()
    names: list[str] = []
    for part in _split(text.strip()):
        for name in _expand_one(part, text):
            names.append(name)
            if len(names) > MOST_NAMES:
                raise IntegrityError(f"more than {MOST_NAMES} nodes in {text[:60]!r}")
    return tuple(names)


def _split(text: str) -> Iterator[str]:
    """Split at the commas that stand outside brackets."""
    depth, start = 0, 0
    for position, letter in enumerate(text):
        depth += (letter == "[") - (letter == "]")
        if letter == "," and depth == 0:
            yield text[start:position]
            start = position + 1
    yield text[start:]


def _expand_one(part: str, whole: str) -> Iterator[str]:
    pieces: list[list[str]] = []
    for literal, ranges in re.findall(r"([^\[\]]+)|\[([^\[\]]*)\]", part):
        pieces.append([literal] if literal else list(_numbers(ranges, whole)))
    if "".join(f"{p[0]}" for p in pieces) == "" or part.count("[") != part.count("]"):
        raise IntegrityError(f"not a list of nodes: {whole[:60]!r}")
    for chosen in product(*pieces):
        name = "".join(chosen)
        if _NAME.fullmatch(name) is None:
            raise IntegrityError(f"not a list of nodes: {whole[:60]!r}")
        yield name


def _numbers(ranges: str, whole: str) -> Iterator[str]:
    for piece in ranges.split(","):
        match = _RANGE.fullmatch(piece)
        if match is None:
            raise IntegrityError(f"not a list of nodes: {whole[:60]!r}")
        first, last = int(match[1]), int(match[2] or match[1])
        if last - first > MOST_NAMES:
            raise IntegrityError(f"more than {MOST_NAMES} nodes in {whole[:60]!r}")
        for number in range(first, last + 1):
            yield f"{number:0{len(match[1])}d}"
