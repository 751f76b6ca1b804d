"""Column types that recur, and the metadata all tables belong to."""

from typing import Any

from sqlalchemy import BigInteger, Column, MetaData, String

metadata = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"})


def ident(name: str, **options: Any) -> Column[str]:
    """An id such as `t-…`."""
    return Column(name, String(64), nullable=False, **options)


def digest(name: str, **options: Any) -> Column[str]:
    """A SHA-256 digest in hex, or empty."""
    return Column(name, String(64), nullable=False, **options)


def word(name: str, **options: Any) -> Column[str]:
    """A value of an enum, or a short text."""
    return Column(name, String(128), nullable=False, **options)


def moment(name: str, **options: Any) -> Column[str]:
    """A time, or empty."""
    return Column(name, String(20), nullable=False, **options)


def number(name: str, **options: Any) -> Column[int]:
    """A whole number of up to 63 bits."""
    return Column(name, BigInteger, nullable=False, **options)
