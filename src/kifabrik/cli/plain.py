"""Text of others on this terminal: whatever the factory wrote, it is letters here and never a command."""

import re
from typing import Final

_CONTROL: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
    r"\xad\u200b\u2028\u2029\u2060-\u2064\u206a-\u206f\ufeff\U000e0000-\U000e007f]"
)
"""C0 without tab and newline, DEL and C1 (ECMA-48), what turns the direction of writing (UAX #9), and what is
not seen at all (Default_Ignorable_Code_Point, UAX #44), but for the joiners that some scripts are written with."""

_LEFT_BY_JSON: Final = re.compile(r"[\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Those of them that JSON leaves as they are."""
_COLOUR_OR_CONTROL: Final = re.compile(rf"(\x1b\[[0-9;]{{0,32}}m)|{_CONTROL.pattern}")
_RESET: Final = "\x1b[0m"


def plain(text: str) -> str:
    """Replace characters that move the cursor, clear lines, reorder what is read or are not seen.

    With them a factory could paint a verified chain, wipe a refusal off the screen, or show two names as one.
    """
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def job_line(text: str) -> str:
    """Prepare a line of a job's output for a terminal: colours stay, everything else that moves or asks does not.

    Whatever a job imported can write to its log. A terminal obeys: it sets the clipboard (OSC 52), answers
    questions as if the answer were typed, paints over what kifabrik said before. Of a line that returns to its
    beginning, as progress bars do, the last state is shown; colours end with their line.

    Source: ECMA-48, section 8.3.117 (SGR, the sequence that sets colours).
    """
    text = text[text.rstrip("\r").rfind("\r") + 1 :].rstrip("\r")
    shown = _COLOUR_OR_CONTROL.sub(lambda found: found[1] or "\N{REPLACEMENT CHARACTER}", text)
    return shown + _RESET if "\x1b" in shown else shown


def json_text(text: str) -> str:
    """Write what a terminal would obey as JSON's escapes; `text` is a JSON document."""
    return _LEFT_BY_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
