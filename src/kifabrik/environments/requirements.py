"""Reading a requirements text before uv sees it: addresses apart, and nothing that cannot be locked.

What goes on to uv holds package names with version rules only. uv would also read other files, build
source trees and expand `${NAME}`; none of that can become wheels with hashes that another machine finds.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from kifabrik.environments.lockfile import Option
from kifabrik.errors import UsageError

_SPELLINGS: Final = {
    "-i": Option.INDEX,
    "--index-url": Option.INDEX,
    "--pypi-url": Option.INDEX,
    "--extra-index-url": Option.EXTRA_INDEX,
    "-f": Option.FIND_LINKS,
    "--find-links": Option.FIND_LINKS,
}
_ELSEWHERE: Final = {
    "-r": "Put all requirements into one file.",
    "--requirement": "Put all requirements into one file.",
    "-c": "Put the constraints into the requirements file.",
    "--constraint": "Put the constraints into the requirements file.",
    "-e": "Build a wheel of it (`pip wheel`) and name its folder with find-links.",
    "--editable": "Build a wheel of it (`pip wheel`) and name its folder with find-links.",
    "--pre": "Name the pre-release: `package>=2.0rc1`.",
    "--no-binary": "Wheels only: build one (`pip wheel`) and name its folder with find-links.",
}
_NO_EFFECT: Final = frozenset({"--only-binary", "--prefer-binary", "--require-hashes"})
_ADDRESS: Final = re.compile(r"://|@\s*(file:|git\+|\.|/)|^(\.{1,2}([/\\]|$)|/|~|[A-Za-z]:[\\/])|\.whl\b")


@dataclass(frozen=True)
class Requirements:
    """What a person asked for.

    Args:
        packages: One requirement (PEP 508) a line.
        addresses: Indexes, link pages and wheel folders, in the order given.
    """

    packages: tuple[str, ...]
    addresses: tuple[tuple[Option, str], ...]

    @classmethod
    def from_text(cls, text: str) -> "Requirements":
        """Read a requirements file.

        Raises:
            UsageError: A line cannot be locked; the message names it.
        """
        packages: list[str] = []
        addresses: list[tuple[Option, str]] = []
        for number, line in _logical_lines(text):
            if not line.startswith("-"):
                packages.append(_require_package(number, line))
                continue
            option, value = _split_option(line)
            if option in _SPELLINGS and value:
                addresses.append((_SPELLINGS[option], value))
            elif option not in _NO_EFFECT:
                raise UsageError(
                    f"requirements line {number}: {option} cannot be locked",
                    hint=_ELSEWHERE.get(option, "Remove the line."),
                )
        return cls(tuple(packages), tuple(addresses))


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield line number and content without comments, with continued lines joined."""
    start, joined = 0, ""
    for number, raw in enumerate([*text.removeprefix("\ufeff").splitlines(), ""], start=1):
        if not joined:
            start = number
        line = re.sub(r"(^|\s)#.*", "", raw).rstrip()
        if line.endswith("\\"):
            joined += line[:-1].strip() + " "
            continue
        whole = (joined + line.strip()).strip()
        joined = ""
        if whole:
            yield start, whole


def _split_option(line: str) -> tuple[str, str]:
    match = re.match(r"(--[a-z-]+|-[a-zA-Z])[\s=]*(.*)", line)
    return (match[1], match[2].strip()) if match else (line.split(maxsplit=1)[0], "")


def _require_package(number: int, line: str) -> str:
    if _ADDRESS.search(line):
        raise UsageError(
            f"requirements line {number}: an address or path cannot be locked: {line}",
            hint="Name the package and its version, and the folder of its wheel with find-links.",
        )
    return line
