"""Statements that recur: insert unless there, look up many, turn a row into its record."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import fields
from enum import StrEnum
from itertools import islice
from typing import Any, Final, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, Row, Table, and_
from sqlalchemy.dialects import sqlite

R = TypeVar("R")
V = TypeVar("V")
_MOST_VARIABLES: Final = 10_000
"""Values in one IN list; SQLite takes 32,766 variables in a statement, PostgreSQL 65,535."""


def add_missing(connection: Connection, table: Table, **values: Any) -> bool:
    """Insert a row unless its primary key is there; whether it was inserted."""
    added = _insert(connection, table).values(**values).on_conflict_do_nothing()
    # Of an INSERT, SQLAlchemy keeps no count by itself: on PostgreSQL it would be -1.
    return connection.execute(added, execution_options={"preserve_rowcount": True}).rowcount == 1


def put(connection: Connection, table: Table, **values: Any) -> None:
    """Insert a row, or replace all other columns of the one with its primary key."""
    keys = [column.name for column in table.primary_key]
    others = {name: value for name, value in values.items() if name not in keys}
    connection.execute(
        _insert(connection, table).values(**values).on_conflict_do_update(index_elements=keys, set_=others)
    )


def chunks(values: Iterable[V]) -> Iterator[list[V]]:
    """Yield values in lists short enough for one statement."""
    rest = iter(values)
    while chunk := list(islice(rest, _MOST_VARIABLES)):
        yield chunk


def any_of(keys: Collection[tuple[str, str]], first: Column[str], second: Column[str]) -> ColumnElement[bool]:
    """A condition on two columns that holds for all of these pairs, and perhaps for others made of their parts.

    SQLite finds no pair of values by its index, but each value of two lists.
    """
    return and_(first.in_({key[0] for key in keys}), second.in_({key[1] for key in keys}))


def record(cls: type[R], row: Row[Any], **parsed: Any) -> R:
    """Build a record from a row of equally named columns; `parsed` replaces some of them."""
    return cls(**{**row._asdict(), **parsed})


def plain(value: Any) -> dict[str, Any]:
    """Return the fields of a record as column values; enums as the text they stand for."""
    columns = {field.name: getattr(value, field.name) for field in fields(value)}
    return {name: str(one) if isinstance(one, StrEnum) else one for name, one in columns.items()}


def _insert(connection: Connection, table: Table) -> Any:
    """The dialect's own INSERT, which knows ON CONFLICT."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - a fifth of a second, for those who use it

    return postgresql.insert(table)
