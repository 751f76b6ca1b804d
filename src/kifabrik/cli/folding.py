"""Long sentences on a terminal: broken between words, where a terminal would break within one.

Invariants:
    - What a program reads is never broken: only a terminal gets lines folded.
    - What is to be copied stays in one piece: a command from `kifabrik` on, and lines that begin with a space.
"""

import re
import shutil
import sys
import textwrap
from typing import Final, TextIO

_COMMAND: Final = re.compile(r"(?:^|(?<=[\s:(]))kifabrik [a-z-]+ .*$")
_DEFAULT: Final = (80, 24)


def folded(text: str, stream: TextIO | None = None) -> str:
    """A text for a stream (stderr if none is given); as it is where that is no terminal."""
    stream = stream or sys.stderr
    if not stream.isatty():
        return text
    width = shutil.get_terminal_size(_DEFAULT).columns
    return "\n".join(_folded(line, width) for line in text.split("\n"))


def _folded(line: str, width: int) -> str:
    if len(line) <= width or line.startswith(" "):
        return line
    found = _COMMAND.search(line)
    prose, command = (line[: found.start()].rstrip(), found[0]) if found else (line, "")
    lines = textwrap.wrap(prose, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    if command and (not lines or len(lines[-1]) + 1 + len(command) > width):
        lines.append(f"  {command}")
    elif command:
        lines[-1] += f" {command}"
    return "\n".join(lines)
