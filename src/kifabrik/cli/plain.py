"""Text of others on this terminal: whatever the factory wrote, it is letters here and never a command."""

import re
from typing import Final

_CONTROL: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
    r"\xad\u200b\u2028\u2029\u2060-\u2064\u206a-\u206f\ufeff\U000e0000-\U000e007f]"
)
"""C0 without tab and newline, DEL and C1 (ECMA-48), what turns the direction of writing (UAX #9), and what is
not seen at all (Default_Ignorable_Code_Point, UAX #44), but for the joiners that some scripts are written with."""


def plain(text: str) -> str:
    """Replace characters that move the cursor, clear lines, reorder what is read or are not seen.

    With them a factory could paint a verified chain, wipe a refusal off the screen, or show two names as one.
    """
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
