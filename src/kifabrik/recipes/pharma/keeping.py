"""Folders of results: JSON documents that are written whole, and where their data came from."""

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from kifabrik.durable import make_folder, write_whole
from kifabrik.errors import UsageError

FORMAT: Final = 1
_PACKAGES: Final = ("kifabrik", "rdkit", "catboost", "scikit-learn", "numpy")
_CHUNK: Final = 1 << 20


def versions(further: Sequence[str] = ()) -> dict[str, str]:
    """Versions of the packages that results depend on, and of further ones."""
    found = {}
    for name in (*_PACKAGES, *further):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def digest(path: Path) -> str:
    """SHA-256 of a file, as hex."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


def fresh_folder(folder: Path) -> None:
    """Make a folder for results.

    Raises:
        UsageError: If it cannot be made or is a file.
    """
    try:
        make_folder(folder, mode=0o700)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UsageError(f"{folder} cannot be made: {reason}.", hint="Name another folder with --out.") from error


def write_document(path: Path, kind: str, content: dict[str, Any]) -> None:
    """Write a JSON document that says what it is."""
    document = {"format": FORMAT, "kind": kind, **content}
    text = json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False)
    write_whole(path, f"{text}\n".encode(), mode=0o644)


def read_document(path: Path, kind: str, command: str) -> dict[str, Any]:
    """Read a document that `write_document` wrote.

    Args:
        path: The file.
        kind: What it should be.
        command: What makes such a folder, for the hint.

    Raises:
        UsageError: If it is not there or is something else.
    """
    hint = f"Name a folder that `kifabrik pharma {command}` made."
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"There is no {path.name} in {path.parent}.", hint=hint) from None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read.", hint=hint) from error
    if not isinstance(document, dict) or document.get("kind") != kind:
        raise UsageError(f"{path} is not the {kind} of a folder of results.", hint=hint)
    if document.get("format") != FORMAT:
        raise UsageError(f"{path} is not of the format {FORMAT}.", hint="It is of another version of kifabrik.")
    return document
