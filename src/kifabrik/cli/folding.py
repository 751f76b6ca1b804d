"""Long sentences on a terminal: broken between words, where a terminal would break within one.

Invariants:
    - What a program reads is never broken: only a terminal gets lines folded.
    - What is to be copied stays in one piece: a command from `kifabrik` on.
"""

import re
import shutil
import sys
import textwrap
from typing import Final, TextIO

_COMMAND: Final = re.compile(r"(?:^|(?<=[\s(`']))kifabrik [a-z-]+( .*?)?(?=[.,;:)`'](?:\s|$)| and then |$)")
_HELD: Final = "\ue000"
"""Stands for a space that is not broken at: of the private use area, so in no text of ours."""
_TO_COPY: Final = ("kifabrik ", "export ", "mount ", "$ ", "# ")
"""What a line begins with that is a command as a whole."""
_DEEPER: Final = "  "
_DEFAULT: Final = (80, 24)


def folded(text: str, stream: TextIO | None = None) -> str:
    """A text for a stream (stderr if none is given); as it is where that is no terminal."""
    stream = stream or sys.stderr
    if not stream.isatty():
        return text
    width = shutil.get_terminal_size(_DEFAULT).columns
    return "\n".join(_folded(line, width) for line in text.split("\n"))


def _folded(line: str, width: int) -> str:
    prose = line.lstrip(" ")
    if len(line) <= width or prose.startswith(_TO_COPY):
        return line
    indent = line[: len(line) - len(prose)]
    whole = _COMMAND.sub(lambda found: found[0].replace(" ", _HELD), prose)
    further = indent + _DEEPER
    lines = textwrap.wrap(
        whole,
        width,
        initial_indent=indent,
        subsequent_indent=further,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines).replace(_HELD, " ")
