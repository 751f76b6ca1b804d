"""Opening a factory's database file: never a new one beside the rest of an old factory, and never a riddle.

Nothing is made or changed here. What else belongs to a factory is looked at by `kifabrik.factory.check_home`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kifabrik.errors import CapacityError, IntegrityError, UnavailableError

_BACK: Final = "Is its disk mounted? Else put it back from your backup; for a new factory choose an empty folder."
_DAMAGED: Final = "Keep a copy of it, then restore database, keys and objects from your backup: docs/operations.md."
_DAMAGES: Final = ("not a database", "malformed", "corrupt", "not an error")
"""What SQLite says of a file that is none of its own, or is torn."""


def check_database_file(database: Path, *others: Path) -> None:
    """Check that a database file is there where the folders beside it say that there was one.

    Args:
        database: SQLite's file.
        others: Folders that are empty as long as the factory is new.

    Raises:
        IntegrityError: It is missing or empty, and the factory is not new.
    """
    there = database.exists() and database.stat().st_size > 0
    if not there and any(folder.is_dir() and any(folder.iterdir()) for folder in others):
        raise IntegrityError(f"the database {database} of this factory is missing", hint=_BACK)


@contextmanager
def opening(database: Path) -> Iterator[None]:
    """Name the file, and what is wrong with it, where SQLite cannot open it."""
    try:
        yield
    except CapacityError:
        raise
    except UnavailableError as error:
        said = str(getattr(error.__cause__, "orig", "")) or error.message
        if any(words in said for words in _DAMAGES):
            raise IntegrityError(f"the database {database} is damaged: {said}", hint=_DAMAGED) from error
        if error.__cause__ is None:
            raise
        hint = "Does another program hold it? May this user write to it and to its folder? Then try again."
        raise UnavailableError(f"the database {database} cannot be opened: {said}", hint=hint) from error
