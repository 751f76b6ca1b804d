"""Reading the text of a file somebody named."""

from pathlib import Path

from kifabrik.errors import UsageError


def text_of(file: Path) -> str:
    """Return the text of a file.

    Raises:
        UsageError: It is something else than text.
    """
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not a text file", hint="Is it the right one?") from None
