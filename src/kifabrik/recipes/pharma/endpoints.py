"""What is measured, and what is wished of its values."""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from kifabrik.errors import UsageError
from kifabrik.recipes.pharma.numbers import Relation


class Kind(Enum):
    """What a value of an endpoint is."""

    CLASS = "class"
    NUMBER = "number"


class Censored(Enum):
    """What `prepare` does with measurements that are bounds (`<10`)."""

    KEEP = "keep"
    DROP = "drop"


class Bounds(Enum):
    """How training takes measurements that are bounds (`<10`)."""

    LEARN = "learn"
    VALUE = "value"
    LEAVE_OUT = "leave-out"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Something that is measured.

    Attributes:
        name: Of the column.
        kind: Whether its values are classes 0 and 1 or numbers.
        unit: Of the numbers; empty if it is not known.
        says: What 1 means, for classes made by a limit; else empty.
    """

    name: str
    kind: Kind
    unit: str = ""
    says: str = ""

    def plain(self) -> dict[str, str]:
        """As JSON says it."""
        return {"name": self.name, "kind": self.kind.value, "unit": self.unit, "says": self.says}

    @classmethod
    def of(cls, plain: dict[str, Any]) -> "Endpoint":
        """Read what `plain` gave.

        Raises:
            KeyError: If something is missing.
            ValueError: If the kind is not known.
        """
        return cls(str(plain["name"]), Kind(plain["kind"]), str(plain["unit"]), str(plain["says"]))


@dataclass(frozen=True, slots=True)
class Limit:
    """Makes classes of numbers: 1 where the value is on this side of the limit.

    Attributes:
        endpoint: Its name.
        side: Below or above.
        value: The limit itself, in the endpoint's unit; on it a compound is of class 1.
    """

    endpoint: str
    side: Relation
    value: float

    def decide(self, value: float, relation: Relation) -> bool | None:
        """The class of a value; None where a bound leaves it open."""
        if relation is Relation.EQUAL or value == self.value:
            inside = value <= self.value if self.side is Relation.BELOW else value >= self.value
            return inside if relation is Relation.EQUAL else relation is self.side
        lower = relation is Relation.BELOW
        if lower and value < self.value:
            return self.side is Relation.BELOW
        if not lower and value > self.value:
            return self.side is Relation.ABOVE
        return None


_LIMIT: Final = re.compile(r"^(.+?)\s*([<>])=?\s*([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)$")


def limit_of(text: str) -> Limit:
    """Read `ENDPOINT<VALUE` or `ENDPOINT>VALUE`.

    Raises:
        UsageError: If it is not of this form.
    """
    match = _LIMIT.match(text.strip())
    if match is None:
        raise UsageError(
            f"--active {text} is not of the form ENDPOINT<VALUE.", hint="Such as --active 'IC50<1000'."
        )
    return Limit(match.group(1).strip(), Relation(match.group(2)), float(match.group(3)))
