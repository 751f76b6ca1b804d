"""Which wheel of a release fits best, after PEP 425 and PEP 600.

An index offers several wheels of one version. The lock names one, so that every builder installs the
same bytes; the order of preference is that of pip: the newest Python tag, then the strictest ABI, then
the newest platform.
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import Final
from urllib.parse import unquote, urlsplit

_NEWEST_GLIBC: Final = 28
_OLDEST_GLIBC: Final = 5
_LEGACY_NAMES: Final = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_OLDEST_STABLE_ABI: Final = 2
_WHEEL: Final = re.compile(
    r"(?P<name>[^-]+)-(?P<version>[^-]+)(?:-(?P<build>\d[^-]*))?"
    r"-(?P<python>[^-]+)-(?P<abi>[^-]+)-(?P<platform>[^-]+)\.whl"
)

Rank = tuple[int, int, str]


def _platforms() -> list[str]:
    """Platform tags of Linux x86_64 with glibc 2.28, best first (PEP 600, with the older aliases)."""
    tags = []
    for minor in range(_NEWEST_GLIBC, _OLDEST_GLIBC - 1, -1):
        tags.append(f"manylinux_2_{minor}_x86_64")
        if minor in _LEGACY_NAMES:
            tags.append(f"{_LEGACY_NAMES[minor]}_x86_64")
    return [*tags, "linux_x86_64"]


@cache
def _ranks(python: str) -> dict[str, int]:
    """Every tag that CPython `python` accepts, with its rank: 0 is the best."""
    minor = int(python.removeprefix("3."))
    own = f"cp3{minor}"
    platforms = _platforms()
    tags = [f"{own}-{abi}-{platform}" for abi in (own, "abi3", "none") for platform in platforms]
    older = range(minor - 1, _OLDEST_STABLE_ABI - 1, -1)
    tags += [f"cp3{n}-abi3-{platform}" for n in older for platform in platforms]
    generic = [f"py3{minor}", "py3", *(f"py3{n}" for n in range(minor - 1, -1, -1))]
    tags += [f"{tag}-none-{platform}" for tag in generic for platform in platforms]
    tags += [f"{tag}-none-any" for tag in (own, *generic)]
    return {tag: rank for rank, tag in enumerate(tags)}


def file_name(location: str) -> str:
    """The file name at the end of a URL or path."""
    path = urlsplit(location).path if "://" in location else location
    return unquote(path.replace("\\", "/").rpartition("/")[2])


def rank(name: str, python: str) -> Rank | None:
    """How well a wheel fits CPython `python`: smaller is better, `None` if it does not fit.

    Args:
        name: The file name of the wheel.
        python: The Python minor version, such as `3.11`.
    """
    match = _WHEEL.fullmatch(name)
    if match is None:
        return None
    ranks = _ranks(python)
    fits = [
        ranks[tag]
        for interpreter in match["python"].split(".")
        for abi in match["abi"].split(".")
        for platform in match["platform"].split(".")
        if (tag := f"{interpreter}-{abi}-{platform}") in ranks
    ]
    build = int(re.match(r"\d+", match["build"])[0]) if match["build"] else 0  # type: ignore[index]
    return (min(fits), -build, name) if fits else None


def best(names: Iterable[str], python: str) -> str | None:
    """The file name that fits CPython `python` best, or `None` if none fits."""
    ranked = [(found, name) for name in names if (found := rank(name, python)) is not None]
    return min(ranked)[1] if ranked else None
