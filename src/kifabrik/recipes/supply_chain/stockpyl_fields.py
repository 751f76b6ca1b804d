"""Attributes of stockpyl's nodes, read one by one; what is not as it must be is refused in one sentence.

Invariants:
    - Every refusal names the node, the attribute, and what was found there.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kifabrik.errors import UsageError

_MOST_SHOWN: Final = 40
_KEY: Final = "dict_type"
"""A mark that stockpyl puts among the entries of a dictionary."""
_MOST_PERIODS: Final = 4096


@dataclass(frozen=True, slots=True)
class Fields:
    """A dictionary of attributes, and whose they are.

    Attributes:
        owner: For messages, as `Node 3`.
        values: The attributes.
        fallback: Attributes of the node's product; they count where the node's own are None, as in stockpyl.
        product: Index of the node's product; an attribute may be a dictionary by product.
    """

    owner: str
    values: Mapping[str, Any]
    fallback: Mapping[str, Any]
    product: int | None = None

    def get(self, name: str) -> Any:
        """The attribute, of the node or else of its product; None if neither has it."""
        own = self.values.get(name)
        if isinstance(own, Mapping) and own.get(_KEY) != "singleton_attribute":
            own = next((value for key, value in own.items() if str(key) == str(self.product)), None)
        return self.fallback.get(name) if own is None else own

    def part(self, name: str, sign: str = "type") -> "Fields":
        """A dictionary among the attributes, empty if there is none or its `sign` is None."""
        own = self.values.get(name)
        keyed = isinstance(own, Mapping) and own.get(_KEY) != "singleton_attribute" and sign not in own
        found = self.get(name) if keyed or own is None else own
        if isinstance(found, Mapping) and found.get(sign) is None and self.fallback.get(name):
            found = self.fallback[name]
        if found is None:
            found = {}
        if not isinstance(found, Mapping):
            raise self.wrong(name, "is not a dictionary")
        return Fields(self.owner, found, {})

    def wrong(self, name: str, says: str, hint: str = "") -> UsageError:
        """What to raise when this attribute cannot be read."""
        found = self.get(name)
        written = "" if found is None else f" {found!r:.{_MOST_SHOWN}}"
        label = name.lstrip("_").replace("_", " ")
        return UsageError(f"{self.owner}: the {label}{written} {says}.", hint=hint)

    def number(self, name: str, default: float | None = 0.0) -> float:
        """A finite number.

        Raises:
            UsageError: If it is none, or is not there and has no default.
        """
        found = self.get(name)
        if found is None:
            if default is None:
                raise self.wrong(name, "is missing")
            return default
        number = as_number(found)
        if number is None:
            raise self.wrong(name, "is not a number")
        return number

    def amount(self, name: str, default: float | None = 0.0) -> float:
        """A number, zero or more.

        Raises:
            UsageError: If it is not.
        """
        number = self.number(name, default)
        if number < 0:
            raise self.wrong(name, "is below zero")
        return number

    def maybe(self, name: str) -> float | None:
        """An amount, or None where there is none."""
        return None if self.get(name) is None else self.amount(name)

    def periods(self, name: str) -> int:
        """A whole number of periods, zero or more.

        Raises:
            UsageError: If it is not.
        """
        number = self.amount(name)
        if not number.is_integer():
            raise self.wrong(name, "is not a whole number of periods")
        if number > _MOST_PERIODS:
            raise self.wrong(name, f"is more than {_MOST_PERIODS} periods")
        return int(number)

    def chance(self, name: str) -> float:
        """A probability.

        Raises:
            UsageError: If it is missing or not between 0 and 1.
        """
        number = self.number(name, None)
        if not 0 <= number <= 1:
            raise self.wrong(name, "is not between 0 and 1")
        return number

    def listed(self, name: str) -> list[float]:
        """Amounts, at least one.

        Raises:
            UsageError: If it is no list, empty, or has something else in it.
        """
        found = self.get(name)
        if not isinstance(found, list | tuple):
            raise self.wrong(name, "is missing" if found is None else "is not a list")
        if not found:
            raise self.wrong(name, "is empty")
        numbers = [as_number(value) for value in found]
        for place, number in enumerate(numbers):
            if number is None or number < 0:
                raise UsageError(
                    f"{self.owner}: entry {place + 1} of the {name.replace('_', ' ')} is {found[place]!r:.20}, "
                    "not a number from zero up."
                )
        return [number for number in numbers if number is not None]

    def indices(self, name: str) -> list[int]:
        """Indices of other nodes; those that stand for the outside (None) are left out.

        Raises:
            UsageError: If there is something else among them.
        """
        found = self.values.get(name)
        if not isinstance(found, list | tuple | None):
            raise self.wrong(name, "is not a list")
        indices = [as_index(value) for value in found or () if value is not None]
        if None in indices:
            raise self.wrong(name, "has something other than indices of nodes")
        return [index for index in indices if index is not None]


def as_number(value: Any) -> float | None:
    """A finite number; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def as_index(value: Any) -> int | None:
    """A whole number, also as text (keys in JSON are texts); None if it is none."""
    if isinstance(value, str) and value.strip().lstrip("-").isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
