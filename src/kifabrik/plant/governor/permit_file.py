"""The permit as a file that a factory follows, and the operator's log beside it."""

import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from kifabrik.errors import UsageError
from kifabrik.plant.governor.rules import Permit

PERMIT: Final = "power-permit.json"
LOG: Final = "power-permit.log"
STALE_S: Final = 6 * 3600.0
"""A permit nobody has renewed for so long counts no more (seconds since the file was written)."""


def write_permit(folder: Path, permit: Permit) -> bool:
    """Let a factory follow a permit from now on; a change of its power is written to the operator's log.

    Args:
        folder: The factory's home.
        permit: What may be drawn.

    Returns:
        Whether the power changed.

    Raises:
        UsageError: There is no such folder, or it cannot be written.
    """
    before = read_permit(folder)
    beside = folder / f".{PERMIT}.{os.getpid()}"
    try:
        beside.write_text(json.dumps(asdict(permit)) + "\n", encoding="utf-8")
        beside.replace(folder / PERMIT)
        changed = before is None or before.watts != permit.watts
        if changed:
            with (folder / LOG).open("a", encoding="utf-8") as log:
                at = datetime.fromtimestamp(permit.since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                log.write(f"{at} {permit.watts / 1e6:.3f} MW. {permit.reason}\n")
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}.", hint="Name a factory's home.") from None
    return changed


def read_permit(folder: Path) -> Permit | None:
    """The permit in a factory's home; None where there is none, or what stands there makes no sense."""
    try:
        said = json.loads((folder / PERMIT).read_text(encoding="utf-8"))
        return Permit(**{**said, "outlook": tuple((float(at), float(value)) for at, value in said["outlook"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def standing_permit(folder: Path, now: float) -> Permit | None:
    """The permit that holds now: None where there is none, or nobody has renewed it for hours."""
    try:
        written = (folder / PERMIT).stat().st_mtime
    except OSError:
        return None
    return read_permit(folder) if now - written < STALE_S else None
