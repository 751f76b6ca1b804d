"""Drawings written as SVG by hand: small, sharp in print, and no text that is not escaped.

Invariants:
    - Whatever comes from a customer passes `clean` and is escaped; it can be read, and nothing else.
    - Numbers are finite; a caller with none draws nothing.
"""

import html
import math
import re
from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

_UNREADABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""Control characters (ECMA-48), what turns the direction of writing (UAX #9), and what XML cannot hold."""
_CHARACTER: Final = 0.56  # mean width of a letter, in ems, of the page's typefaces


def clean(text: str) -> str:
    """Text without characters that cannot be read or that reorder what is read."""
    return _UNREADABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def shortened(text: str, room: float, size: float) -> str:
    """Text cut to fit `room` at a letter size, in one unit; its middle goes, as names differ at the ends."""
    text, most = clean(text), max(3, int(room / (size * _CHARACTER)))
    if len(text) <= most:
        return text
    tail = (most - 1) // 2
    return f"{text[: most - 1 - tail]}…{text[-tail:]}"


def element(tag: str, *inside: str, **attributes: str | float) -> Markup:
    """An element; what is inside and not `Markup` is escaped, `stroke_width` is written with a hyphen."""
    written = "".join(
        f' {name.strip("_").replace("_", "-")}="{_value(value)}"' for name, value in attributes.items()
    )
    body = "".join(part if isinstance(part, Markup) else html.escape(clean(part)) for part in inside)
    return Markup(f"<{tag}{written}>{body}</{tag}>")  # noqa: S704 - every part is escaped above


def text(x: float, y: float, words: str, **attributes: str | float) -> Markup:
    """A line of text at a point."""
    return element("text", words, x=x, y=y, **attributes)


def line(start: tuple[float, float], end: tuple[float, float], **attributes: str | float) -> Markup:
    """A straight line."""
    return element("line", x1=start[0], y1=start[1], x2=end[0], y2=end[1], **attributes)


def path(points: Sequence[tuple[float, float]], *, closed: bool = False, **attributes: str | float) -> Markup:
    """Straight lines from point to point."""
    steps = "L".join(f"{_value(x)},{_value(y)}" for x, y in points)
    return element("path", d=f"M{steps}{'Z' if closed else ''}", **attributes)


def drawing(width: float, height: float, label: str, *inside: Markup) -> Markup:
    """A whole drawing, as wide as its place on the page; `label` is read aloud to who cannot see it."""
    return element(
        "svg",
        *inside,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_value(width)} {_value(height)}",
        role="img",
        aria_label=label,
    )


def _value(value: str | float) -> str:
    if isinstance(value, str):
        return html.escape(clean(value))
    if not math.isfinite(value):
        raise ValueError(f"a drawing cannot have a coordinate {value}")
    return f"{value:.2f}".rstrip("0").rstrip(".")
