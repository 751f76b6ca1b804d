"""The plans of uploads: files of one's own, or tables another party shares by Delta Sharing."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from kifabrik.connectors.sap import model
from kifabrik.connectors.sap.plan import (
    MOST_ROWS,
    Confirmed,
    DatasetName,
    Identifier,
    Part,
    Purpose,
    parse,
    plan_text,
)
from kifabrik.connectors.sap.secrets import Secret

_DECIMAL: Final = re.compile(r"decimal\((\d{1,2}), ?(\d{1,2})\)")
_TYPES: Final = {
    "text": "Edm.String",
    "integer": "Edm.Int64",
    "float": "Edm.Double",
    "boolean": "Edm.Boolean",
    "date": "Edm.Date",
    "timestamp": "Edm.DateTimeOffset",
    "time": "Edm.TimeOfDay",
}
_MOST_DIGITS: Final = 38
ColumnName = Annotated[str, Field(min_length=1, max_length=200)]


def field_of(name: str, kind: str, *, nullable: bool) -> model.Field:
    """Return the field of a column by the word for its type.

    Raises:
        ValueError: There is no such type.
    """
    found = _DECIMAL.fullmatch(kind)
    if found:
        precision, scale = int(found[1]), int(found[2])
        if not 0 <= scale <= precision <= _MOST_DIGITS or not precision:
            raise ValueError(
                f"{kind}: a decimal has 1 to {_MOST_DIGITS} digits, and no more of them behind the point"
            )
        return model.Field(name, "Edm.Decimal", nullable, precision, scale)
    if kind not in _TYPES:
        raise ValueError(f"{kind!r} is no type; there are: {', '.join(_TYPES)}, decimal(15,2)")
    return model.Field(name, _TYPES[kind], nullable)


class FileTable(Part):
    """A table in files of one's own.

    Args:
        files: CSV or Parquet, relative to the plan; several are put together.
        columns: Column to its type: text, integer, float, boolean, date, timestamp, time, decimal(15,2).
        rows: The most rows.
        keys: Columns that tell rows apart.
        headings: Column to its heading in the files, where that is another word.
        delimiter: Between cells of CSV.
        decimal: The decimal sign of CSV.
        thousands: What parts thousands; if it is not said, a point where the decimal sign is a comma, else nothing.
        dates: How CSV writes them: `iso` 2026-12-31, `german` 31.12.2026, `sap` 20261231 (00000000: none).
        encoding: Of CSV; `windows-1252` and `iso-8859-1` are what older systems write, `utf-16` what SAP GUI may.
    """

    files: Annotated[tuple[Path, ...], Field(min_length=1, max_length=10_000)]
    columns: Annotated[Mapping[Identifier, str], Field(min_length=1, max_length=2000)]
    rows: Annotated[int, Field(ge=1, le=MOST_ROWS)]
    keys: tuple[Identifier, ...] = ()
    headings: Mapping[Identifier, ColumnName] = {}
    delimiter: Literal[",", ";", "\t", "|"] = ","
    decimal: Literal[".", ","] = "."
    thousands: Literal[".", ",", " ", "'"] | None = None
    dates: Literal["iso", "german", "sap"] = "iso"
    encoding: Literal["utf-8", "utf-16", "windows-1252", "iso-8859-1", "iso-8859-15"] = "utf-8"

    @property
    def grouping(self) -> str:
        """What parts thousands; '' for nothing."""
        return self.thousands or ("." if self.decimal == "," else "")

    @model_validator(mode="after")
    def _check(self) -> "FileTable":
        for name, kind in self.columns.items():
            field_of(name, kind, nullable=True)
        if self.grouping == self.decimal:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}")
        missing = [key for key in (*self.keys, *self.headings) if key not in self.columns]
        if missing:
            raise ValueError(f"{missing[0]!r} is none of the columns")
        return self


class SharedTable(Part):
    """A table another party shares.

    Args:
        table: `share.schema.table`.
        columns: Which columns; their types are those of the share.
        rows: The most rows.
        keys: Columns that tell rows apart.
    """

    table: Annotated[str, Field(pattern=r"^[^.#\s]+\.[^.#\s]+\.[^.#\s]+$")]
    columns: Annotated[tuple[ColumnName, ...], Field(min_length=1, max_length=2000)]
    rows: Annotated[int, Field(ge=1, le=MOST_ROWS)]
    keys: tuple[ColumnName, ...] = ()


class _TablesPlan(Part):
    """What both have.

    Args:
        dataset: Name of the dataset to seal a version of.
        purpose: What for, as in grants.
        confirmed: Who says that it may be used.
    """

    dataset: DatasetName
    purpose: Purpose
    confirmed: Confirmed


class UploadPlan(_TablesPlan):
    """Files to seal with types: `tables` by name."""

    tables: Annotated[Mapping[Identifier, FileTable], Field(min_length=1)]


class SharePlan(_TablesPlan):
    """Shared tables to seal.

    Args:
        profile: Where the profile of the share is: the JSON file the provider gave, as one environment variable.
        tables: By the name they get here.
    """

    profile: Secret
    tables: Annotated[Mapping[Identifier, SharedTable], Field(min_length=1)]


def read_upload_plan(path: Path) -> UploadPlan:
    """Read a plan; names of files become relative to it.

    Raises:
        NotFoundError: There is no such file.
        UsageError: It is no such plan; names the key.
    """
    plan = parse(UploadPlan, plan_text(path), str(path))
    tables = {
        name: one.model_copy(update={"files": tuple(path.parent / file for file in one.files)})
        for name, one in plan.tables.items()
    }
    return plan.model_copy(update={"tables": tables})


def read_share_plan(path: Path) -> SharePlan:
    """Read a plan.

    Raises:
        NotFoundError: There is no such file.
        UsageError: It is no such plan; names the key.
    """
    return parse(SharePlan, plan_text(path), str(path))
