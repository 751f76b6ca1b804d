"""How far a pull has come, and where the next one begins: kept on this machine, sealed to its device.

Links of a service may hold keys of rows, so what is kept of a pull is sealed like everything else.

Invariants:
- what is written is an age file for this device, written whole or not at all;
- a state that is damaged or another device's is as good as none: the pull begins anew, and nothing is lost.
"""

import json
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from kifabrik.connectors.sap.keys import Numbers
from kifabrik.durable import write_whole
from kifabrik.errors import FULL_DISK, CapacityError, IntegrityError
from kifabrik.seals.identities import Identity
from kifabrik.seals.opening import open_file
from kifabrik.seals.sealing import seal_file

_FORMAT: Final = 2
_STATE: Final = "state.age"


@dataclass
class SetProgress:
    """Of one entity set.

    Args:
        schema: Tables with their columns, to see whether they changed.
        question: What was asked; another question begins anew.
        link: The next page, or ''.
        done: Whether all of it is sealed.
        changes: Whether this pull took changes only.
        count: Rows the service announced; -1 if it did not.
        rows: Rows so far by table.
        parts: Path, SHA-256 in hex and rows of each sealed member.
        delta: Link to what changes from now on, or ''.
        keys: Names of the files with the hashes of the keys so far.
        kept: Rows there are in all, with those of earlier versions.
    """

    schema: list[Any]
    question: str
    link: str = ""
    done: bool = False
    changes: bool = False
    count: int = -1
    rows: dict[str, int] = field(default_factory=dict)
    parts: list[tuple[str, str, int]] = field(default_factory=list)
    delta: str = ""
    keys: list[str] = field(default_factory=list)
    kept: int = 0


@dataclass
class State:
    """Of one dataset.

    Args:
        version: The version that is being made, or was made last.
        service: URL of the service.
        salt: For hashes of keys.
        sets: By the name of the entity set, for this version.
        base: The same for the version before.
    """

    version: int
    service: str
    salt: str = field(default_factory=lambda: secrets.token_hex(16))
    sets: dict[str, SetProgress] = field(default_factory=dict)
    base: dict[str, SetProgress] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every set is done."""
        return bool(self.sets) and all(one.done for one in self.sets.values())


class ProgressFiles:
    """The files of one dataset.

    Args:
        folder: Private to this dataset and machine.
        identity: Of this device.
    """

    def __init__(self, folder: Path, identity: Identity) -> None:
        self._folder = folder
        self._identity = identity
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def load(self) -> State | None:
        """Return the state, or None if there is none that can be read."""
        try:
            body = json.loads(open_file((self._folder / _STATE).read_bytes(), [self._identity]))
            if body.pop("format") != _FORMAT:
                return None
            sets = {name: _set(one) for name, one in body.pop("sets").items()}
            base = {name: _set(one) for name, one in body.pop("base").items()}
            return State(**body, sets=sets, base=base)
        except (FileNotFoundError, IntegrityError, ValueError, KeyError, TypeError):
            return None

    def save(self, state: State) -> None:
        """Write the state; it lasts when this returns."""
        self._write(_STATE, json.dumps({"format": _FORMAT, **asdict(state)}).encode())

    def save_keys(self, numbers: Numbers) -> str:
        """Write hashes of keys; return the name of the file."""
        name = f"{secrets.token_hex(8)}.keys"
        self._write(name, numbers.tobytes())
        return name

    def load_keys(self, names: Iterable[str]) -> Numbers:
        """Return the hashes in these files.

        Raises:
            IntegrityError: One is missing or damaged.
        """
        found = [np.empty(0, np.uint64)]
        for name in names:
            try:
                data = open_file((self._folder / name).read_bytes(), [self._identity])
                found.append(np.frombuffer(data, np.uint64))
            except (FileNotFoundError, ValueError):
                raise IntegrityError("the hashes of the keys of an earlier pull are gone") from None
        return np.concatenate(found)

    def tidy(self, state: State) -> None:
        """Remove files of keys nobody names any more."""
        named = {name for one in (*state.sets.values(), *state.base.values()) for name in one.keys}
        for path in self._folder.glob("*.keys"):
            if path.name not in named:
                path.unlink(missing_ok=True)

    def _write(self, name: str, data: bytes) -> None:
        try:
            write_whole(self._folder / name, seal_file(data, [self._identity.recipient]))
        except OSError as error:
            if error.errno not in FULL_DISK:
                raise
            raise CapacityError(
                f"the disk of {self._folder} is full, so how far the pull has come cannot be kept",
                hint="Make room and repeat the command; it goes on where it stopped.",
            ) from None


def _set(body: dict[str, Any]) -> SetProgress:
    body["parts"] = [(str(path), str(digest), int(rows)) for path, digest, rows in body["parts"]]
    return SetProgress(**body)
