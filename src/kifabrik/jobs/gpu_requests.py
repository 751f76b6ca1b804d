"""How people ask for GPUs, in the shape users of dstack and SkyPilot know."""

import re
from typing import Final

from kifabrik.errors import UsageError
from kifabrik.values import parse_size

_GPU: Final = re.compile(
    r"(?P<model>[A-Za-z][A-Za-z0-9 _-]*?)(?::(?P<of_model>[1-9]\d{0,5}))?"
    r"|(?P<any>\d{1,6})"
    r"|(?P<memory>\d{1,9}\s*[GT]i?B)\.\.(?::(?P<of_memory>[1-9]\d{0,5}))?"
)


def parse_gpu(text: str) -> tuple[str, int, int]:
    """Read `0`, `2`, `H200`, `H200:4`, `24GB..` or `24GB..:2`.

    Returns:
        Model (empty for any), count, least memory in bytes (0 for any).

    Raises:
        UsageError: The text is none of these.
    """
    match = _GPU.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"not a GPU request: {text!r}", hint="Write it like H200:4, 2 or 24GB..")
    if match["any"]:
        return "", int(match["any"]), 0
    if match["memory"]:
        return "", int(match["of_memory"] or 1), parse_size(match["memory"])
    return match["model"], int(match["of_model"] or 1), 0
