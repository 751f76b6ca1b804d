"""Numbers as people write them: `<10`, `1,5`, `1.234,5`, `yes`."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Relation(Enum):
    """Whether a number was measured, or bounds what was."""

    EQUAL = "="
    BELOW = "<"
    ABOVE = ">"


class Decimal(Enum):
    """What stands before the decimals."""

    POINT = "point"
    COMMA = "comma"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Number:
    """A number and its relation.

    Attributes:
        value: Finite.
        relation: To what would have been measured.
    """

    value: float
    relation: Relation = Relation.EQUAL


MISSING: Final = frozenset(
    {"", "na", "n/a", "nan", "null", "none", "n.d.", "nd", "n.b.", "k.a.", "-", "--", "?", "missing", "#n/a", "#nv"}
)
"""Cells that say there is no value, in small letters; also as Excel writes them, in English and German."""
_YES: Final = frozenset({"true", "yes", "ja", "wahr", "active", "aktiv", "positive", "positiv", "pos", "toxic"})
_NO: Final = frozenset(
    {"false", "no", "nein", "falsch", "inactive", "inaktiv", "negative", "negativ", "neg", "nontoxic"}
)
_RELATIONS: Final = {
    "<": Relation.BELOW, "<=": Relation.BELOW, "≤": Relation.BELOW, "<<": Relation.BELOW,
    ">": Relation.ABOVE, ">=": Relation.ABOVE, "≥": Relation.ABOVE, ">>": Relation.ABOVE,
    "=": Relation.EQUAL, "==": Relation.EQUAL, "~": Relation.EQUAL, "≈": Relation.EQUAL, "": Relation.EQUAL,
}  # fmt: skip
_RELATION: Final = re.compile(r"^(<<|>>|<=|>=|==|[<>≤≥=~≈])?\s*(.*)$", re.DOTALL)
_POINT: Final = re.compile(r"[+-]?(\d+(,\d{3})+(\.\d*)?|\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_COMMA: Final = re.compile(r"[+-]?(\d+(\.\d{3})+(,\d*)?|\d+,?\d*|,\d+)([eE][+-]?\d+)?")
_EITHER: Final = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")
"""1,234 is a thousand or a bit more than one; 1.234 too where commas are decimal."""


def is_missing(text: str) -> bool:
    """Whether a cell says that there is no value."""
    return text.strip().lower() in MISSING


def relation_of(text: str) -> Relation | None:
    """The relation a cell names; None if it is none."""
    return _RELATIONS.get(text.strip())


def decimal_of(cells: Iterable[str]) -> Decimal:
    """How the numbers of a column are written, as far as they show it."""
    point = comma = False
    for cell in cells:
        text = _bare(cell)
        if _EITHER.fullmatch(text):
            continue
        point = point or ("." in text and _POINT.fullmatch(text) is not None and _COMMA.fullmatch(text) is None)
        comma = comma or ("," in text and _COMMA.fullmatch(text) is not None and _POINT.fullmatch(text) is None)
    if point == comma:
        return Decimal.UNKNOWN
    return Decimal.POINT if point else Decimal.COMMA


def number_of(text: str, decimal: Decimal) -> Number | str:
    """Read a number.

    Args:
        text: A cell that is not missing.
        decimal: How its column is written.

    Returns:
        The number, or why it is none.
    """
    match = _RELATION.match(text.strip())
    sign, rest = (match.group(1) or "", match.group(2)) if match else ("", text)
    relation = _RELATIONS[sign]
    word = rest.strip().lower()
    if word in _YES or word in _NO:
        return Number(float(word in _YES), relation)
    bare = rest.strip().replace("\N{MINUS SIGN}", "-").replace("\N{NO-BREAK SPACE}", "")
    if "," in bare and decimal is Decimal.UNKNOWN and _EITHER.fullmatch(bare):
        return f"{bare}: thousands or decimals? say --decimal point or --decimal comma"
    shapes = ((_COMMA, True), (_POINT, False)) if decimal is Decimal.COMMA else ((_POINT, False), (_COMMA, True))
    for shape, is_comma in shapes:
        if shape.fullmatch(bare):
            plain = bare.replace(".", "").replace(",", ".") if is_comma else bare.replace(",", "")
            value = float(plain)
            return Number(value, relation) if math.isfinite(value) else f"{bare} is too large"
    return f"{text.strip()[:40]!r}"


def _bare(cell: str) -> str:
    match = _RELATION.match(cell.strip())
    return match.group(2).strip() if match else cell
