"""How a node is kept fit for the next run: the settings, read without the node's key.

Slurm's prolog and epilog read them at every job, so nothing is imported here that takes long.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from kifabrik.errors import UsageError
from kifabrik.sandbox.uids import DEFAULT_RANGE, UidRange
from kifabrik.values import parse_size

AGENT_SOCKET: Final = "/run/kifabrik/node.sock"
"""Where a node's agent listens for the stubs of jobs."""
MACHINES_LOCKS: Final = Path("/run/kifabrik")
LEAST_DISK: Final = 10**9
LEAST_MEMORY: Final = 5 * 10**8


class Scrub(StrEnum):
    """Of which jobs the GPUs are overwritten afterwards."""

    OURS = "ours"
    ALL = "all"
    NONE = "none"


@dataclass(frozen=True)
class NodeCare:
    """What `node.toml` says of it.

    Args:
        runs: Folder of attempts on this node.
        uids: User ids that runs may have, with the folder of their locks.
        locks: Folder of locks, of user ids and of GPUs.
        scrub: Of which jobs GPUs are overwritten.
        least_disk: Bytes that must be free where runs write, for the node to take another.
        least_memory: The same of memory.
        socket: Where the node's agent listens.
    """

    runs: Path
    uids: UidRange = DEFAULT_RANGE
    locks: Path = MACHINES_LOCKS
    scrub: Scrub = Scrub.OURS
    least_disk: int = LEAST_DISK
    least_memory: int = LEAST_MEMORY
    socket: Path = Path(AGENT_SOCKET)

    @property
    def gpu_locks(self) -> Path:
        """Folder of the locks of GPUs."""
        return self.locks / "gpus"

    @classmethod
    def load(cls, home: Path) -> "NodeCare":
        """Read a node home.

        Raises:
            UsageError: It is not one, or a setting is wrong; the message names the file.
        """
        file = home / "node.toml"
        try:
            body = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"{file}: {error.strerror}", hint="Name the node's home with --home.") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{file} is not TOML: {error}") from None
        try:
            return cls.from_body(body, home)
        except (ValueError, TypeError, AttributeError, UsageError) as error:
            raise UsageError(f"{file}: {error}", hint="docs/operations.md lists all settings.") from None

    @classmethod
    def from_body(cls, body: Mapping[str, Any], home: Path) -> "NodeCare":
        """Take it from what was read; an ordinary user's locks lie in the node's home."""
        locks = Path(body.get("locks") or (MACHINES_LOCKS if os.geteuid() == 0 else home))
        uids = body.get("run_uids") or {}
        return cls(
            runs=Path(body.get("runs") or home / "runs").resolve(),
            uids=UidRange(
                int(uids.get("first", DEFAULT_RANGE.first)),
                int(uids.get("count", DEFAULT_RANGE.count)),
                locks / "uids",
            ),
            locks=locks,
            scrub=Scrub(body.get("scrub", Scrub.OURS)),
            least_disk=parse_size(body.get("least_disk", LEAST_DISK)),
            least_memory=parse_size(body.get("least_memory", LEAST_MEMORY)),
            socket=Path(str(body.get("socket") or AGENT_SOCKET).replace("%n", str(body.get("name", "")))),
        )
