"""What a service says of itself in `$metadata`, in one shape for OData V2 and V4.

Invariants:
- every name is an OData identifier: letters, digits and underscores, so none can reach out of a folder or a query;
- the keys of an entity are among its fields.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from kifabrik.errors import IntegrityError, UsageError

_IDENTIFIER: Final = re.compile(r"[^\W\d]\w{0,127}")
"""SimpleIdentifier of OData CSDL 4.01, section 15.2."""


class Version(IntEnum):
    """Of the protocol."""

    V2 = 2
    V4 = 4


@dataclass(frozen=True)
class Field:
    """A property with a primitive type.

    Args:
        name: Its name.
        type: Name of the type, such as `Edm.Decimal`; type definitions are resolved.
        nullable: Whether it may be null.
        precision: Digits of a decimal, or of the fraction of a second; None if not said.
        scale: Digits behind the point; None if it varies or is not said.
        date_only: Whether V2 shows an `Edm.DateTime` as a date.
    """

    name: str
    type: str
    nullable: bool = True
    precision: int | None = None
    scale: int | None = None
    date_only: bool = False

    def __post_init__(self) -> None:
        check_identifier(self.name, "field")


@dataclass(frozen=True)
class Navigation:
    """A property that leads to other entities.

    Args:
        name: Its name.
        target: Name of their type.
        many: Whether there may be several.
    """

    name: str
    target: str
    many: bool

    def __post_init__(self) -> None:
        check_identifier(self.name, "navigation property")


@dataclass(frozen=True)
class EntityType:
    """What the entities of a set look like.

    Args:
        name: With its namespace.
        keys: Names of the fields that tell entities apart, in order.
        fields: By name.
        navigations: By name.
    """

    name: str
    keys: tuple[str, ...]
    fields: Mapping[str, Field]
    navigations: Mapping[str, Navigation]

    def __post_init__(self) -> None:
        missing = [key for key in self.keys if key not in self.fields]
        if missing:
            raise IntegrityError(f"$metadata: {self.name} has the key {missing[0]!r}, which is none of its fields")

    def field(self, name: str, where: str) -> Field:
        """Return a field.

        Raises:
            UsageError: There is none of the name; says which are near.
        """
        found = self.fields.get(name)
        if found is None:
            raise _unknown(name, "field", where, list(self.fields))
        return found


@dataclass(frozen=True)
class Service:
    """A service.

    Args:
        version: Of the protocol.
        types: Entity types by full name.
        sets: Names of entity sets, and of the type of their entities.
    """

    version: Version
    types: Mapping[str, EntityType]
    sets: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.sets:
            check_identifier(name, "entity set")

    def entity_type(self, name: str) -> EntityType:
        """Return the type of the entities of a set.

        Raises:
            UsageError: There is no such set; says which are near.
        """
        if name not in self.sets:
            raise _unknown(name, "entity set", "the service", list(self.sets))
        return self.type(self.sets[name])

    def type(self, name: str) -> EntityType:
        """Return a type by its full name.

        Raises:
            IntegrityError: The metadata names a type it does not describe.
        """
        found = self.types.get(name)
        if found is None:
            raise IntegrityError(f"$metadata names the type {name!r} and does not describe it")
        return found


def check_identifier(name: str, what: str) -> str:
    """Return the name if it is an OData identifier.

    Raises:
        IntegrityError: It is not.
    """
    if _IDENTIFIER.fullmatch(name) is None:
        raise IntegrityError(
            f"the service has a {what} named {name[:80]!r}, which is no OData identifier",
            hint="Ask whoever runs the service to name it with letters, digits and underscores.",
        )
    return name


def _unknown(name: str, what: str, where: str, known: list[str]) -> UsageError:
    import difflib  # noqa: PLC0415 - only needed on failure

    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(sorted(known)[:20])}."
    return UsageError(f"{where} has no {what} {name!r}", hint=hint)
