"""Text of others on this terminal: whatever the factory wrote, it is letters here and never a command."""

import re
from typing import Final

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""C0 without tab and newline, DEL and C1 (ECMA-48), and what turns the direction of writing (UAX #9)."""


def plain(text: str) -> str:
    """Replace characters that move the cursor, clear lines or reorder what is read.

    With them a factory could paint a verified chain, or wipe a refusal off the screen.
    """
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
