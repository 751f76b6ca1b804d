"""The door to a keyholder's folder for commands and programs.

    with open_keyholder(home, Passphrase("…")) as keyholder:
        keyholder.serve(stop, print)

Invariants:
- everything here works without the factory, but serving and what has to be delivered;
- freezing needs neither the tenant key nor the factory.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from kifabrik.errors import NotFoundError, UsageError
from kifabrik.grants.statements import Backup
from kifabrik.keyholder.alarms import Evidence, evidence
from kifabrik.keyholder.attestation import Attestations
from kifabrik.keyholder.backup import BACKUP_DAYS, write_backup
from kifabrik.keyholder.blocks import EVERYTHING, Cause
from kifabrik.keyholder.cases import Books
from kifabrik.keyholder.connecting import connect
from kifabrik.keyholder.events import OnEvent, unheard
from kifabrik.keyholder.loop import Bell, Server
from kifabrik.keyholder.state import State, open_state
from kifabrik.keyholder.status import Status, read_status
from kifabrik.keyholder.steward import Steward
from kifabrik.keyholder.tenant_key import load_tenant_key
from kifabrik.keyholder.unlocking import Unlock, open_state_key, protect, write_key_file
from kifabrik.seals.passphrase import WORK_FACTOR
from kifabrik.values import Kind, is_id, now_utc, sweep_of

_PATIENCE_S: Final = 10.0


@dataclass(frozen=True)
class Asked:
    """A request that waits for a person.

    Args:
        request: Its digest, for `approve` and `deny`.
        run: Run id.
        member: Who ordered it: the name, or the id where the name is not known here.
        purpose: Purpose id.
        inputs: Datasets and models it uses.
        note: Why a person must decide.
        deadline: Time after which it is refused anyway.
    """

    request: str
    run: str
    member: str
    purpose: str
    inputs: tuple[str, ...]
    note: str
    deadline: str


class Keyholder:
    """An opened keyholder. Close it, or use it in a `with` statement.

    Args:
        state: The opened folder.
        unlock: What it was opened with.
    """

    def __init__(self, state: State, unlock: Unlock) -> None:
        self.state = state
        self._unlock = unlock
        self._bell = Bell()
        self._books = Books.of(state)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the folder."""
        self.state.close()

    @property
    def tenant(self) -> str:
        """Tenant id."""
        return self.state.tenant

    @property
    def attestation(self) -> Attestations:
        """What counts as attested here."""
        return self._books.attestations

    def serve(self, stop: threading.Event, on_event: OnEvent = unheard) -> None:
        """Answer requests until `stop` is set; call `wake` after setting it, to return at once.

        Raises:
            ConflictError: Another process serves this folder.
        """
        Server(self.state, on_event, self._bell).run(stop)

    def wake(self) -> None:
        """Make the serving thread of this process look around at once."""
        self._bell.ring()

    def steward(self, passphrase: str, tenant_key: Path | None = None) -> Steward:
        """Open the tenant key and return what it can do: invite, remove, grant, revoke, erase.

        Args:
            passphrase: Of the tenant key.
            tenant_key: Its file; the one in the keyholder's folder if None.

        Raises:
            NotFoundError: The tenant key is not here.
            RefusedError: The passphrase is wrong.
            IntegrityError: It is the key of another tenant.
        """
        key = load_tenant_key(tenant_key or self.state.home, passphrase)
        return Steward(self.state, key, connect(self.state, patience_s=_PATIENCE_S))

    def freeze(self, subject: str = EVERYTHING, note: str = "frozen by a person") -> None:
        """Release nothing any more: nothing at all, or nothing of one dataset.

        Raises:
            UsageError: The subject is not a dataset id.
        """
        if subject != EVERYTHING and not is_id(subject, Kind.DATASET):
            raise UsageError(f"only everything or one dataset can be frozen, not {subject!r}")
        self.state.blocks.add(subject, Cause.FROZEN, self.state.clock.text(), note)
        self.wake()

    def thaw(self, subject: str = EVERYTHING) -> None:
        """Lift a freeze or an alarm, on everything or on one dataset, grant or member.

        Raises:
            NotFoundError: Nothing is frozen there.
        """
        if not self.state.blocks.lift(subject):
            raise NotFoundError(f"{subject or 'the keyholder'} is not frozen")
        self.wake()

    def asked(self) -> list[Asked]:
        """Return the requests that wait for a person, oldest first; of a sweep, the first stands for all."""
        names = {row["id"]: row["name"] for row in self.state.db.rows("SELECT id, name FROM names")}
        found: dict[str, Asked] = {}
        for one in self._books.records.asked():
            kept = self._books.records.order_of(one.run)
            if kept is None:
                continue
            order = kept.statement.predicate
            found.setdefault(
                order.run if order.tasks else one.request,
                Asked(
                    request=one.request,
                    run=order.run if order.tasks else one.run,
                    member=names.get(order.member, order.member),
                    purpose=order.purpose,
                    inputs=tuple(item.owner for item in order.inputs),
                    note=one.note,
                    deadline=order.deadline,
                ),
            )
        return list(found.values())

    def approve(self, request: str) -> None:
        """Let a request that waits for a person go on; everything else about it is still checked.

        Args:
            request: Its digest, the beginning of it, or the run id. One word about a sweep, or about any request of
                it, is said about all its tasks, those to come included.

        Raises:
            NotFoundError: No such request waits.
        """
        self._speak(request, approved=True)

    def deny(self, request: str) -> None:
        """Refuse a request that waits for a person.

        Raises:
            NotFoundError: No such request waits.
        """
        self._speak(request, approved=False)

    def backup(
        self, path: Path, passphrase: str, *, days: int = BACKUP_DAYS, work_factor: int = WORK_FACTOR
    ) -> Backup:
        """Write a backup, see `kifabrik.keyholder.backup.write_backup`."""
        return write_backup(self.state, path, passphrase, days=days, work_factor=work_factor)

    def status(self) -> Status:
        """Return how things stand."""
        return read_status(self.state, self._books)

    def evidence(self) -> list[Evidence]:
        """Return what alarms have kept."""
        return evidence(self.state)

    def write_key_file(self, path: Path) -> None:
        """Make a key file for unattended start; an earlier one stops working."""
        write_key_file(self.state.home, open_state_key(self.state.home, self._unlock), path)

    def change_passphrase(self, passphrase: str, *, work_factor: int = WORK_FACTOR) -> None:
        """Protect the folder with another passphrase."""
        state_key = open_state_key(self.state.home, self._unlock)
        protect(self.state.home, state_key, passphrase, work_factor=work_factor)

    def _speak(self, text: str, *, approved: bool) -> None:
        records = self._books.records
        waiting = records.asked()
        found = [one for one in waiting if text and (one.request.startswith(text) or text in _names_of(one.run))]
        kept = {sweep_of(one.run): records.order_of(one.run) for one in found}
        if len(found) != 1 and (len(kept) != 1 or "" in kept):
            what = "more than one request waits" if found else "no request waits"
            raise NotFoundError(f"{what} under {text!r}", hint="See: kifabrik keyholder asked")
        created = self.state.clock.text()
        spoken = {one.request for one in found}
        for sweep, order in kept.items():
            if sweep and order is not None:
                spoken |= {order.statement.digest, *(one.request for one in waiting if sweep_of(one.run) == sweep)}
        with self.state.db.transaction():
            for digest in sorted(spoken):
                records.add_opinion(digest, approved=approved, created=created)
        self.wake()


def _names_of(run: str) -> tuple[str, ...]:
    """What a person may call a run that waits: its id, or that of its sweep."""
    return (run, sweep_of(run)) if sweep_of(run) else (run,)


def open_keyholder(home: Path, unlock: Unlock, *, wall: Callable[[], datetime] = now_utc) -> Keyholder:
    """Open a keyholder's folder; takes about a second with a passphrase.

    Args:
        home: The folder.
        unlock: `Passphrase(text)`, `KeyFile(path)`, or what `unlock_from_environment` found.
        wall: The machine's clock.

    Raises:
        NotFoundError: There is no keyholder in the folder.
        RefusedError: Passphrase or key file do not open it.
        IntegrityError: Its files are damaged.
    """
    return Keyholder(open_state(home, unlock, wall), unlock)
