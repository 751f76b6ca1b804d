"""Reading people's files: whatever goes wrong with a file itself is said in a sentence that names it."""

import csv
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kifabrik.errors import UsageError

_HINT: Final = "It has to be a text file in UTF-8, or one packed by gzip where that is said."


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Translate failures to open, unpack, decode or split a file.

    Args:
        path: Of the file, to be named.

    Raises:
        UsageError: One of these happened inside.
    """
    try:
        yield
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.", hint=_HINT) from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not text in UTF-8 (byte {error.start}).", hint=_HINT) from None
    except (EOFError, zlib.error, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {error}.", hint=_HINT) from None
