"""Checking an environment the factory built: the customer builds it again and compares.

A digest that agrees says: this tree holds these wheels and nothing else. Compiled files are compared
too; where two machines have different releases of one Python (3.11.2 and 3.11.7), a compiler fix between
them can show in a few of those, and only there.
"""

import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from kifabrik.environments.build import BuiltEnvironment, build
from kifabrik.environments.lockfile import Lock
from kifabrik.environments.skeleton import remove
from kifabrik.environments.tree import Difference, Listing, tree_listing
from kifabrik.errors import IntegrityError

SYSTEM_PYTHON: Final = "/usr/bin/python{python}"
"""Where a node's sandbox shows the interpreter, unless the node said otherwise."""


class Agreement(StrEnum):
    """How the factory's tree compares with the customer's."""

    SAME = "same"
    COMPILED_FILES_DIFFER = "compiled-files-differ"
    DIFFERENT = "different"


@dataclass(frozen=True)
class Verification:
    """What came out.

    Args:
        agreement: The result.
        expected: The tree digest the factory stated.
        rebuilt: The environment as built here (its folder is gone again).
        first: The first path that differs, if the factory's listing was given and differs.
    """

    agreement: Agreement
    expected: str
    rebuilt: BuiltEnvironment
    first: Difference | None = None


def env_verify(
    lock: Lock,
    expected_tree_digest: str,
    *,
    listing: Listing | None = None,
) -> Verification:
    """Build a lock again and compare.

    Args:
        lock: What the factory was asked to build.
        expected_tree_digest: What it says it has built.
        listing: Its listing of the tree; names the first difference.

    Raises:
        IntegrityError: The listing is not the one of the stated digest.
        KifabrikError: As `build` raises.
    """
    if listing is not None and listing.digest != expected_tree_digest:
        raise IntegrityError("the listing is not the one of the stated tree digest")
    shown = Path(SYSTEM_PYTHON.format(python=lock.python))
    cache = Path(tempfile.mkdtemp(prefix="kifabrik-verify-"))
    try:
        rebuilt = build(lock, cache, "verify", mounted_python=shown)
        if rebuilt.tree_digest == expected_tree_digest:
            return Verification(Agreement.SAME, expected_tree_digest, rebuilt)
        if listing is None:
            return Verification(Agreement.DIFFERENT, expected_tree_digest, rebuilt)
        found = list(tree_listing(rebuilt.path).differences(listing))
        return Verification(_judge(found), expected_tree_digest, rebuilt, _first(found))
    finally:
        remove(cache)


def _is_compiled(difference: Difference) -> bool:
    """Whether both trees hold a compiled file here: one that only one of them has is more than a fix."""
    both = difference.here is not None and difference.there is not None
    return both and "/__pycache__/" in difference.path and difference.path.endswith(".pyc")


def _judge(found: list[Difference]) -> Agreement:
    return Agreement.COMPILED_FILES_DIFFER if all(map(_is_compiled, found)) else Agreement.DIFFERENT


def _first(found: list[Difference]) -> Difference:
    """The difference to show: one in what the wheels hold comes before one in a compiled file."""
    return min(found, key=lambda difference: (_is_compiled(difference), difference.path))
