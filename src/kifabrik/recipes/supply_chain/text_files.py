"""Text files as Excel and German programs save them."""

from pathlib import Path
from typing import Final

from kifabrik.errors import UsageError

_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
"""How texts begin that Excel calls Unicode."""


def read_text(path: Path) -> str:
    """Read a file in UTF-8, with or without a mark, UTF-16 with one, or else Windows-1252.

    Raises:
        UsageError: It is not text.
    """
    content = path.read_bytes()
    try:
        text = content.decode("utf-16" if content[:2] in _UTF_16 else "utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    if "\0" in text:
        raise UsageError(f"{path.name} is not a text file.", hint="Save it as CSV or as a workbook (.xlsx).")
    return text
