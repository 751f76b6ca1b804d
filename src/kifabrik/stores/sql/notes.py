"""Rows of what the launchers of an attempt leave for each other."""

from sqlalchemy import ColumnElement, Connection, delete, func, select

from kifabrik.runs.gathering import Stage
from kifabrik.stores.sql.rows import add_missing
from kifabrik.stores.sql.schema.runs import notes


class SqlNoteTable:
    """Implements `kifabrik.factory.run_rows.NoteTable`."""

    def __init__(self, connection: Connection) -> None:
        self._sql = connection

    def put_note(self, tenant: str, attempt: str, stage: Stage, rank: int, text: str) -> bool:
        """Leave a note unless there is one of this stage and rank; whether there was none."""
        return add_missing(self._sql, notes, tenant=tenant, attempt=attempt, stage=str(stage), rank=rank, text=text)

    def note(self, tenant: str, attempt: str, stage: Stage, rank: int) -> str | None:
        """Find a note."""
        where = (*_of(tenant, attempt), notes.c.stage == str(stage), notes.c.rank == rank)
        return self._sql.execute(select(notes.c.text).where(*where)).scalar_one_or_none()

    def notes(self, tenant: str, attempt: str, stage: Stage) -> dict[int, str]:
        """All notes of a stage, by rank."""
        query = select(notes.c.rank, notes.c.text).where(*_of(tenant, attempt), notes.c.stage == str(stage))
        return {row.rank: row.text for row in self._sql.execute(query.order_by(notes.c.rank))}

    def count_notes(self, tenant: str, attempt: str, stage: Stage) -> int:
        """Number of notes of a stage."""
        query = select(func.count()).where(*_of(tenant, attempt), notes.c.stage == str(stage))
        return int(self._sql.execute(query).scalar_one())

    def drop_notes(self, tenant: str, attempt: str) -> None:
        """Drop all notes of an attempt."""
        self._sql.execute(delete(notes).where(*_of(tenant, attempt)))


def _of(tenant: str, attempt: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return notes.c.tenant == tenant, notes.c.attempt == attempt
