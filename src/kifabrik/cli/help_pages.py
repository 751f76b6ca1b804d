"""Help on a terminal: an example that is too long for it goes on in the next line, as a shell takes it."""

import re
from typing import Final

import click

_EXAMPLE: Final = re.compile(r"(?P<indent> *)(?P<command>kifabrik \S.*?)(?: {3,}(?P<remark>\S.*))?")
_BEFORE_OPTION: Final = re.compile(r" (?=--?[a-z])")
_GOES_ON: Final = " \\"
_DEEPER: Final = "    "


class HelpPages(click.HelpFormatter):
    """Help whose examples are broken before an option, and before the remark behind them."""

    def write_text(self, text: str) -> None:
        """Write a text."""
        begun = len(self.buffer)
        super().write_text(text)
        lines = "".join(self.buffer[begun:]).split("\n")
        self.buffer[begun:] = ["\n".join(part for line in lines for part in example_lines(line, self.width))]


class Context(click.Context):
    """Where commands get their help pages from."""

    formatter_class = HelpPages


def example_lines(line: str, width: int) -> list[str]:
    """A line of a help page; several, with a backslash between them, if it is an example that is too long."""
    found = _EXAMPLE.fullmatch(line)
    if len(line) <= width or not found:
        return [line]
    first, *options = _BEFORE_OPTION.split(found["command"])
    lines = [found["indent"] + first]
    for option in options:
        if len(lines[-1]) + 1 + len(option) + len(_GOES_ON) <= width:
            lines[-1] += f" {option}"
        else:
            lines[-1] += _GOES_ON
            lines.append(found["indent"] + _DEEPER + option)
    return [*lines, found["indent"] + _DEEPER + found["remark"]] if found["remark"] else lines
