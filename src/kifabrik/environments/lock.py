"""Locking on the customer's side: from requirements to one wheel per package, with its hash.

Runs on Linux, macOS and Windows and resolves for Linux on x86_64. No package code runs: wheels only.
"""

import hashlib
import os
import re
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from kifabrik.environments.installer import binary, explain, local_settings
from kifabrik.environments.lockfile import PLATFORM, Lock, Option, Pin, require_address
from kifabrik.environments.programs import Log, run
from kifabrik.environments.requirements import Requirements
from kifabrik.environments.wheels import best, file_name
from kifabrik.errors import UsageError

__all__ = ["Lock", "lock"]

_DOING: Final = "locking the environment"
_UV_OPTION: Final = {
    Option.INDEX: "--default-index",
    Option.EXTRA_INDEX: "--index",
    Option.FIND_LINKS: "--find-links",
}


def lock(
    requirements: str,
    *,
    python: str = "3.11",
    index: str | None = None,
    find_links: Sequence[str] = (),
    folder: Path | None = None,
    log: Log = lambda _: None,
) -> Lock:
    """Resolve a requirements text to a lock.

    Addresses given here or in the text become part of the lock, because the factory has to look there
    too. Wheel folders of this machine do not, nor do its own settings (`UV_DEFAULT_INDEX`,
    `UV_FIND_LINKS`, `PIP_FIND_LINKS`, …): the wheel's hash is what counts, wherever a node has it from.

    Args:
        requirements: The content of a requirements file; empty means the standard library only.
        python: The Python minor version of the run.
        index: Address or folder of the package index to use in place of PyPI.
        find_links: Folders or pages with wheels.
        folder: What relative folders start from; the working directory by default.
        log: Receives progress, a line at a time.

    Raises:
        UsageError: The requirements cannot be met with wheels; the message names the package.
        UnavailableError: The index cannot be reached.
    """
    asked = Requirements.from_text(requirements)
    options = [*asked.addresses, *((Option.FIND_LINKS, link) for link in find_links)]
    if index is not None:
        options.insert(0, (Option.INDEX, index))
    if sum(option is Option.INDEX for option, _ in options) > 1:
        raise UsageError("two indexes are named", hint="Keep one, and name the other as --extra-index-url.")
    places = [_place(option, where, folder or Path()) for option, where in options]
    addresses = tuple((option, where) for option, where, shared in places if shared)
    frame = Lock(python, (), addresses)
    if not asked.packages:
        return frame
    arguments = [part for option, where, _ in places for part in (_UV_OPTION[option], where)]
    resolved = _resolve("\n".join(asked.packages) + "\n", python, arguments, log)
    return Lock(python, tuple(sorted(_pin(package, python) for package in resolved)), addresses)


def _place(option: Option, where: str, folder: Path) -> tuple[Option, str, bool]:
    """Say where uv has to look, and whether the address belongs into the lock."""
    if "://" in where and not where.startswith("file://"):
        require_address(option, where)
        return option, where, True
    if where.startswith("file://"):
        return option, where, False
    path = (folder / Path(where).expanduser()).resolve()
    if not path.is_dir():
        raise UsageError(f"{option} {where!r} is neither a folder nor an https address")
    return option, path.as_uri() if option is not Option.FIND_LINKS else str(path), False


def _resolve(packages: str, python: str, arguments: Sequence[str], log: Log) -> list[Mapping[str, Any]]:
    """Let uv choose versions; return the packages of its `pylock.toml` (PEP 751)."""
    command = [
        *(str(binary()), "pip", "compile", "-", "--format", "pylock.toml", "--generate-hashes"),
        *("--only-binary", ":all:", "--python-platform", PLATFORM, "--python-version", python),
        *("--python", sys.executable, "--no-python-downloads", "--no-header", "--no-annotate"),
        *("--color", "never"),
        *arguments,
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UV_PIP")}
    with tempfile.TemporaryDirectory(prefix="kifabrik-lock-") as empty:  # no project settings from around
        ended = run(command, text=packages, environment=environment | local_settings(), folder=Path(empty), log=log)
    if ended.status != 0:
        raise explain(ended.errors, doing=_DOING, python=python)
    return list(tomllib.loads(ended.output).get("packages", []))


def _pin(package: Mapping[str, Any], python: str) -> Pin:
    """Choose the one wheel of a resolved package."""
    name, version = str(package["name"]), str(package.get("version", ""))
    offered: dict[str, Mapping[str, Any]] = {}
    for wheel in package.get("wheels", ()):
        offered.setdefault(file_name(wheel.get("url") or wheel.get("path") or wheel["name"]), wheel)
    chosen = best(offered, python)
    if chosen is None:
        raise UsageError(
            f"there is no wheel for {name} {version} that fits Python {python} on {PLATFORM}",
            hint=f"Build one (`pip wheel {name}=={version}`) and name its folder with find-links.",
        )
    return Pin(re.sub(r"[-_.]+", "-", name).lower(), version, _sha256(chosen, offered[chosen]))


def _sha256(name: str, wheel: Mapping[str, Any]) -> str:
    stated = wheel.get("hashes", {}).get("sha256")
    if stated is not None:
        return str(stated)
    where = str(wheel.get("url") or wheel.get("path") or "")
    path = Path(url2pathname(urlsplit(where).path)) if where.startswith("file://") else Path(where)
    if not path.is_absolute() or not path.is_file():
        raise UsageError(
            f"the index states no SHA-256 for {name}",
            hint="Download the wheel into a folder and name the folder with find-links.",
        )
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
