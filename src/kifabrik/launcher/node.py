"""The node a launcher runs on: its key, its place, its folders."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kifabrik.errors import UsageError
from kifabrik.launcher.care import NodeCare
from kifabrik.signatures.keys import KEY_BYTES, SigningKey
from kifabrik.values import parse_size

BLOCK_CACHE: Final = 16 * 10**9
"""What `node.toml` means where it says nothing of `block_cache`."""
_MOST_IDLE_W: Final = 1000
"""More than any package draws, busy or not."""


@dataclass(frozen=True)
class Node:
    """What `node.toml` and `node.key` of a node home say.

    Args:
        home: The folder.
        name: The operator's name of the node.
        key: Makes the launcher's evidence attributable.
        environments: Folder of built environments.
        runs: Folder for what runs need on disk: ciphertext that waits for upload, mount points.
        objects: Folder of the factory's objects if this node can read them directly, or None.
        fabric: Address at which the other nodes of a run reach this one, or empty for the one from which it
            reaches the factory.
        block_cache: Most bytes of ciphertext kept on this node's disk for a run that streams over the network.
        tpm: The node's TPM as tpm2-tools name it, such as `device:/dev/tpmrm0`; empty for none.
        care: How it is kept fit.
        idle_mw: What each RAPL zone draws while the node is idle, in milliwatt, as measured by the operator; a zone
            that is not named counts as drawing nothing then.
    """

    home: Path
    name: str
    key: SigningKey = field(repr=False)
    environments: Path
    runs: Path
    objects: Path | None
    block_cache: int = BLOCK_CACHE
    tpm: str = ""
    fabric: str = ""
    care: NodeCare = field(default_factory=lambda: NodeCare(Path()))
    idle_mw: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, home: Path) -> "Node":
        """Read a node home.

        Raises:
            UsageError: It is not one; the message names the file.
        """
        try:
            body = tomllib.loads((home / "node.toml").read_text(encoding="utf-8"))
            seed = (home / "node.key").read_bytes()
        except FileNotFoundError as error:
            raise UsageError(f"{error.filename} is missing", hint="Set the node up with: kifabrik up") from None
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{home / 'node.toml'}: {error}") from None
        if len(seed) != KEY_BYTES:
            raise UsageError(f"{home / 'node.key'} is not a node key")
        objects = body.get("objects", "")
        return cls(
            home=home,
            name=str(body.get("name", "node")),
            key=SigningKey(seed),
            environments=Path(body.get("environments") or home / "environments"),
            runs=Path(body.get("runs") or home / "runs"),
            objects=Path(objects) if objects else None,
            block_cache=parse_size(body.get("block_cache", BLOCK_CACHE)),
            tpm=str(body.get("tpm", "")),
            fabric=str(body.get("fabric", "")),
            care=NodeCare.load(home),
            idle_mw=idle_power(body.get("idle_watts", {})),
        )


def idle_power(body: object) -> dict[str, int]:
    """Read `idle_watts` of `node.toml`: milliwatt by RAPL zone.

    Raises:
        UsageError: It is no table of zones and watts.
    """
    hint = 'Write the zones as docs/metering.md names them: idle_watts = {"package-0" = 48, "package-0/dram" = 6.5}'
    if not isinstance(body, Mapping):
        raise UsageError(f"idle_watts is no table of watts: {str(body)[:80]!r}", hint=hint)
    found = {}
    for zone, watts in body.items():
        if isinstance(watts, bool) or not isinstance(watts, int | float) or not 0 <= watts <= _MOST_IDLE_W:
            raise UsageError(f"idle_watts of {zone} is not between 0 and {_MOST_IDLE_W} W: {watts!r}", hint=hint)
        found[str(zone)] = round(watts * 1000)
    return found
