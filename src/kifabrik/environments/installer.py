"""uv, the installer: where it is, which settings of this machine it follows, and what its errors mean."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import uv

from kifabrik.environments.lockfile import PLATFORM
from kifabrik.errors import CapacityError, IntegrityError, KifabrikError, UnavailableError, UsageError

LOCAL_SETTINGS: Final = (
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_NO_INDEX",
    "UV_OFFLINE",
    "UV_HTTP_TIMEOUT",
    "UV_HTTP_RETRIES",
    "UV_INSECURE_HOST",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "https_proxy",
    "http_proxy",
    "all_proxy",
    "no_proxy",
)
"""Variables of a machine that say how it reaches wheels; they hold there and never enter a lock."""


def binary() -> Path:
    """Return the path of the uv that was installed with kifabrik.

    Raises:
        UnavailableError: It is missing.
    """
    try:
        return Path(uv.find_uv_bin())
    except FileNotFoundError:
        raise UnavailableError("uv is not installed", hint="Install kifabrik again: pip install kifabrik") from None


def local_settings(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return this machine's settings for reaching wheels, pip's own folded into uv's.

    uv does not read `PIP_FIND_LINKS`, `PIP_INDEX_URL` and `PIP_EXTRA_INDEX_URL`; a machine that has
    them set means them for every installer. Folders that do not exist are left out, as pip does.
    """
    found = {name: environment[name] for name in LOCAL_SETTINGS if environment.get(name)}
    found.setdefault("UV_SYSTEM_CERTS", "1")  # the company's own CA counts, as for every other connection
    links = [link for link in environment.get("PIP_FIND_LINKS", "").split() if "://" in link or Path(link).is_dir()]
    if links:
        found["UV_FIND_LINKS"] = ",".join(filter(None, (found.get("UV_FIND_LINKS", ""), *links)))
    if environment.get("PIP_INDEX_URL") and not {"UV_DEFAULT_INDEX", "UV_INDEX_URL"} & found.keys():
        found["UV_DEFAULT_INDEX"] = environment["PIP_INDEX_URL"]
    if environment.get("PIP_EXTRA_INDEX_URL") and not {"UV_INDEX", "UV_EXTRA_INDEX_URL"} & found.keys():
        found["UV_EXTRA_INDEX_URL"] = environment["PIP_EXTRA_INDEX_URL"]
    return found


class _Meaning(NamedTuple):
    shape: re.Pattern[str]
    error: Callable[..., KifabrikError]
    message: str
    hint: str


def _meaning(shape: str, error: Callable[..., KifabrikError], message: str, hint: str) -> _Meaning:
    return _Meaning(re.compile(shape, re.DOTALL), error, message, hint)


_BUILD_ONE: Final = "Build one (`pip wheel {0}`) and name its folder with find-links."
_MEANINGS: Final = (
    _meaning(
        r"No space left on device|Disk quota exceeded",
        CapacityError,
        "the disk is full while {doing}",
        "Free some space and try again.",
    ),
    _meaning(
        r"Hash mismatch for `([^`]+)`",
        IntegrityError,
        "the wheel offered for {0} is not the one that was locked",
        "Somebody changed it, or the node looks elsewhere. Check the index, or lock again.",
    ),
    _meaning(
        r"none were provided for: (\S+)",
        IntegrityError,
        "the lock has no hash for {0}",
        "Lock the environment again.",
    ),
    _meaning(
        r"(?:Because |\band )([A-Za-z0-9._-]+[^ ]*) (?:has|have) no (?:usable )?wheels",
        UsageError,
        "there is no wheel for {0} that fits Python {python} on " + PLATFORM,
        _BUILD_ONE,
    ),
    _meaning(
        r"have no (?:usable )?wheels.*?only the following versions of ([A-Za-z0-9._-]+) ",
        UsageError,
        "there is no wheel for the wanted versions of {0} that fits Python {python} on " + PLATFORM,
        _BUILD_ONE,
    ),
    _meaning(
        r"([A-Za-z0-9._-]+) was not found in the (?:package registry|provided package locations)",
        UsageError,
        "there is no package {0} where this machine looks for wheels",
        "Check the spelling, or name another index or wheel folder (index, find-links).",
    ),
    _meaning(
        r"there (?:is|are) no versions? of ([^ ]+)",
        UsageError,
        "there is no {0} where this machine looks for wheels",
        "Ask for another version, or name its index or wheel folder (index, find-links).",
    ),
    _meaning(
        r"Couldn't parse requirement.*?cause: ([^\n]+)\n\s*([^\n]+)",
        UsageError,
        "not a requirement: {1}",
        "Write it like `numpy>=2,<3`. {0}.",
    ),
    _meaning(
        r"Failed to read `--find-links` (?:directory|URL): ([^\n]+)",
        UsageError,
        "the wheel folder {0} cannot be read",
        "Check the find-links setting.",
    ),
    _meaning(
        r"HTTP status client error \((40[13])[^)]*\) for url \(([^)]+)\)",
        UnavailableError,
        "the index refuses access to {1} ({0})",
        "Check the credentials for this index on this machine.",
    ),
    _meaning(
        r"(?:Failed to fetch|error sending request for url|Failed to download|operation timed out)[^\n]*?"
        r"(https?://[^`)\s]+)",
        UnavailableError,
        "{0} cannot be reached while {doing}",
        "Check the network, HTTPS_PROXY and SSL_CERT_FILE, then try again.",
    ),
)


def explain(errors: str, *, doing: str, python: str) -> KifabrikError:
    """Turn what uv printed into an error a person can act on.

    Args:
        errors: uv's standard error.
        doing: What was going on, such as `locking the environment`.
        python: The Python minor version asked for.
    """
    flat = re.sub(r"[ \t]+", " ", errors)
    for meaning in _MEANINGS:
        match = meaning.shape.search(flat)
        if match is not None:
            groups = [group.rstrip(".,") for group in match.groups()]
            message = meaning.message.format(*groups, doing=doing, python=python)
            return meaning.error(message, hint=meaning.hint.format(*groups))
    first = next((line for line in flat.splitlines() if line.startswith("error:")), flat.strip()[-200:])
    details = [line.strip().removeprefix("cause: ") for line in flat.splitlines() if "cause:" in line]
    return UsageError(f"uv failed while {doing}: {': '.join([first.removeprefix('error: '), *details[:2]])}")
