"""Which paths may stand inside a dataset, and which of them a folder's owner wants left out.

A path is relative, in UTF-8, its components divided by `/`. Refused everywhere: empty, `.` and `..`
components, control characters, backslashes (a divider on Windows), lone surrogates, more than 255
bytes in a component, 2,048 in a path, or 100 components. Windows refuses some more when unpacking.
"""

import fnmatch
import re
from collections.abc import Iterable
from typing import Final

from kifabrik.errors import UsageError

LONGEST_PATH: Final = 2048
LONGEST_COMPONENT: Final = 255
MOST_COMPONENTS: Final = 100
IGNORE_FILE: Final = ".kifabrikignore"
_MOST_PATTERNS: Final = 1000

# Nearly every real path: accepted in one step, and too short to break a limit.
_ORDINARY: Final = re.compile(r"(?:[\w-][\w.-]{0,99}/){0,15}[\w-][\w.-]{0,99}", re.ASCII)
_FORBIDDEN: Final = re.compile(r"[\x00-\x1f\x7f\\]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_WINDOWS_FORBIDDEN: Final = re.compile(r'[<>:"|?*]|[. ](?:/|$)')
_WINDOWS_DEVICE: Final = re.compile(
    r"(?:^|/)(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(?:[.][^/]*)?(?:/|$)",
    re.IGNORECASE,
)


def is_unicode(text: str) -> bool:
    """Whether a text can be written: JSON may bring in lone surrogates, which no encoding has."""
    return _SURROGATE.search(text) is None


def fault_of(path: str) -> str:
    """Say what is wrong with a path, or return an empty text."""
    if _ORDINARY.fullmatch(path):
        return ""
    encoded = path.encode(errors="surrogatepass")
    components = encoded.split(b"/")
    rules = (
        (_FORBIDDEN.search(path), "has a control character or a backslash in it"),
        (not is_unicode(path), "is not valid Unicode"),
        (not all(components) or {b".", b".."} & set(components), "is not a plain relative path"),
        (len(encoded) > LONGEST_PATH, f"is longer than {LONGEST_PATH} bytes"),
        (len(components) > MOST_COMPONENTS, f"is deeper than {MOST_COMPONENTS} folders"),
        (
            max(map(len, components)) > LONGEST_COMPONENT,
            f"has a component longer than {LONGEST_COMPONENT} bytes",
        ),
    )
    return next((fault for broken, fault in rules if broken), "")


def windows_fault_of(path: str) -> str:
    """Say why Windows would read this path as something else, or return an empty text.

    Source: learn.microsoft.com/windows/win32/fileio/naming-a-file (reserved characters and names).
    """
    if _WINDOWS_FORBIDDEN.search(path):
        return "has a character or an ending that Windows reserves"
    return "is the name of a device on Windows" if _WINDOWS_DEVICE.search(path) else ""


class Ignores:
    """Patterns of files and folders to leave out.

    A pattern without `/` matches a name at any depth, one with `/` matches the whole path from the
    top; a trailing `/` matches folders only. `*`, `?` and `[...]` are those of Python's `fnmatch`, so
    `*` also crosses `/`. Empty lines and lines starting with `#` say nothing; there is no negation.

    Raises:
        UsageError: A line is a negation, or there are too many lines.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        patterns = [line.strip() for line in lines]
        patterns = [line for line in patterns if line and not line.startswith("#")]
        if len(patterns) > _MOST_PATTERNS:
            raise UsageError(f"more than {_MOST_PATTERNS} patterns in {IGNORE_FILE}")
        for line in patterns:
            if line.startswith("!"):
                raise UsageError(f"{IGNORE_FILE}: negation is not supported: {line!r}")
        self._folders = _compile(patterns)
        self._files = _compile([line for line in patterns if not line.endswith("/")])

    def skips_folder(self, path: str) -> bool:
        """Whether the folder at this path, and all in it, is left out."""
        return self._folders is not None and self._folders.match(path) is not None

    def skips_file(self, path: str) -> bool:
        """Whether the file at this path is left out."""
        return self._files is not None and self._files.match(path) is not None


def _compile(patterns: list[str]) -> re.Pattern[str] | None:
    parts = []
    for pattern in patterns:
        plain = pattern.rstrip("/")
        anywhere = "" if "/" in plain else r"(?:.*/)?"
        parts.append(anywhere + fnmatch.translate(plain.lstrip("/")))
    return re.compile("|".join(f"(?:{part})" for part in parts)) if parts else None
