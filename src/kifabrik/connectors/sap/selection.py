"""What a plan wants of one entity set, checked against `$metadata`: tables, columns, and the question to ask.

Invariants:
- keys are always among the columns, for they tell rows apart;
- a table is named after the set, a table of children after set and navigation property; both are identifiers.
"""

from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from kifabrik.connectors.sap.columns import Column
from kifabrik.connectors.sap.model import EntityType, Field, Service, Version
from kifabrik.connectors.sap.pages import query
from kifabrik.connectors.sap.plan import Expand, Wanted
from kifabrik.errors import UsageError


@dataclass(frozen=True)
class Table:
    """A table to be.

    Args:
        name: Also that of its folder in the dataset.
        columns: Of the entity itself.
        keys: Names of the columns that tell its rows apart.
        parents: For children: the parent's keys, as columns that stand before their own.
    """

    name: str
    columns: tuple[Column, ...]
    keys: tuple[str, ...]
    parents: tuple[Column, ...] = ()

    def schema(self, notes: dict[str, str]) -> pa.Schema:
        """Return the Arrow schema, with what a reader needs to know."""
        fields = [*(column.arrow for column in self.parents), *(column.arrow for column in self.columns)]
        return pa.schema(fields, {"kifabrik.keys": " ".join(self.keys), **notes})

    def description(self) -> list[list[Any]]:
        """Return names and types, to see whether they are still the same."""
        return [[column.name, column.field.type, str(column.type)] for column in (*self.parents, *self.columns)]


@dataclass(frozen=True)
class Selection:
    """An entity set to pull.

    Args:
        wanted: As the plan has it.
        version: Of the protocol.
        table: Of the set itself.
        children: Their tables by navigation property.
    """

    wanted: Wanted
    version: Version
    table: Table
    children: dict[str, Table]

    @property
    def name(self) -> str:
        """Of the entity set."""
        return self.wanted.entity_set

    @property
    def tables(self) -> tuple[Table, ...]:
        """All of them, the set's own first."""
        return (self.table, *self.children.values())

    def link(self, *, top: int = 0, skip: int = 0) -> str:
        """Return the question for the first page: the fields wanted, in the order of the keys, counted."""
        v4 = self.version is Version.V4
        return query(
            self.name,
            {
                "$select": ",".join(self._selected()),
                "$expand": ",".join(self._expanded()),
                "$filter": self.wanted.filter,
                "$orderby": ",".join(self.table.keys) if self.wanted.ordered else "",
                "$count" if v4 else "$inlinecount": "true" if v4 else "allpages",
                "$top": str(top) if top else "",
                "$skip": str(skip) if skip else "",
                "$format": "" if v4 else "json",
            },
        )

    @property
    def count_link(self) -> str:
        """Returns the number of rows, and no row."""
        return query(f"{self.name}/$count", {"$filter": self.wanted.filter})

    def _selected(self) -> list[str]:
        names = [column.name for column in self.table.columns]
        if self.version is Version.V2:
            for navigation, table in self.children.items():
                names += [f"{navigation}/{column.name}" for column in table.columns]
        return names

    def _expanded(self) -> list[str]:
        if self.version is Version.V2:
            return list(self.children)
        return [
            f"{navigation}($select={','.join(column.name for column in table.columns)})"
            for navigation, table in self.children.items()
        ]


def select(service: Service, wanted: Wanted) -> Selection:
    """Check what a plan wants of a set against what the service has.

    Raises:
        UsageError: It has no such set, field or navigation property, or a type that makes no column.
    """
    entity = service.entity_type(wanted.entity_set)
    if not entity.keys:
        raise UsageError(f"{wanted.entity_set} has no key, so its rows cannot be told apart")
    table = Table(
        wanted.entity_set,
        _columns(entity, wanted.fields, wanted.as_text, wanted.entity_set, service.version),
        entity.keys,
    )
    children = {
        name: _children(service, entity, wanted.entity_set, name, expand) for name, expand in wanted.expand.items()
    }
    names = [table.name, *(child.name for child in children.values())]
    if len(set(names)) != len(names):
        raise UsageError(f"{wanted.entity_set}: two tables would have the same name")
    return Selection(wanted, service.version, table, children)


def _children(service: Service, entity: EntityType, set_name: str, name: str, expand: Expand) -> Table:
    navigation = entity.navigations.get(name)
    if navigation is None:
        known = ", ".join(sorted(entity.navigations)) or "none"
        raise UsageError(f"{set_name} has no navigation property {name!r}", hint=f"It has: {known}.")
    target = service.type(navigation.target)
    where = f"{set_name}/{name}"
    columns = _columns(target, expand.fields, expand.as_text, where, service.version)
    parents = tuple(
        Column(replace(entity.fields[key], name=f"{set_name}_{key}"), service.version) for key in entity.keys
    )
    clash = {one.name for one in parents} & {one.name for one in columns}
    if clash:
        raise UsageError(f"{where}: the field {min(clash)!r} has the name of a parent's key; leave it out")
    own = [key for key in target.keys if key in {column.name for column in columns}]
    return Table(f"{set_name}_{name}", columns, (*(one.name for one in parents), *own), parents)


def _columns(
    entity: EntityType, names: tuple[str, ...], as_text: tuple[str, ...], where: str, version: Version
) -> tuple[Column, ...]:
    for name in as_text:
        if name not in names:
            raise UsageError(f"{where}: {name!r} stands under as_text and not under fields")
    fields: list[Field] = [entity.field(name, where) for name in dict.fromkeys((*entity.keys, *names))]
    return tuple(Column(field, version, as_text=field.name in as_text) for field in fields)
