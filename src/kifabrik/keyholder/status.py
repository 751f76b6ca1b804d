"""How things stand with a keyholder, for people."""

from dataclasses import dataclass

from kifabrik.errors import ConflictError
from kifabrik.grants.statements import Backup, Grant
from kifabrik.keyholder.blocks import Block, Cause
from kifabrik.keyholder.cases import Books
from kifabrik.keyholder.outbox import Outbox
from kifabrik.keyholder.settings import Setting
from kifabrik.keyholder.state import SERVING_LOCK, TENANT_KEY_FILE, State
from kifabrik.ledger.checkpoint import TreeHead
from kifabrik.ledger.file_lock import FileLock
from kifabrik.values import parse_time


@dataclass(frozen=True)
class MemberLine:
    """A member.

    Args:
        member: Member id.
        name: Of the person; empty where this keyholder did not invite them.
        role: What they may do.
        enrolled: Whether a device is enrolled.
        removed: Whether they were removed.
    """

    member: str
    name: str
    role: str
    enrolled: bool
    removed: bool


@dataclass(frozen=True)
class GrantLine:
    """A grant and what has become of it: `live`, `revoked`, `expired`, `erased` or `suspended`."""

    grant: Grant
    state: str


@dataclass(frozen=True)
class Status:
    """How things stand.

    Args:
        tenant: Tenant id.
        factory: URL of the service.
        serving: Whether a process serves this folder.
        tenant_key_here: Whether the tenant key lies in the folder.
        log_size: Entries the mirror holds.
        log_root: Root over them, hex.
        synced: When the log was last agreed with; empty before.
        blocks: Everything that is blocked, alarms included.
        members: All members.
        grants: All grants.
        asked: Requests that wait for a person.
        undelivered: Statements the factory has not confirmed.
        missing_lease: Request of a lease the log does not show; nothing is released until it does.
        unresolved: Entries of the log whose statements are missing or do not verify.
        evidence: Alarms with evidence.
        backups: Registered backups.
        runs_since_backup: Runs given keys since the last backup; beyond 32, their results depend on a new one.
        clock_behind_s: Seconds by which the machine's clock was set back.
    """

    tenant: str
    factory: str
    serving: bool
    tenant_key_here: bool
    log_size: int
    log_root: str
    synced: str
    blocks: tuple[Block, ...]
    members: tuple[MemberLine, ...]
    grants: tuple[GrantLine, ...]
    asked: int
    undelivered: int
    missing_lease: str
    unresolved: int
    evidence: int
    backups: tuple[Backup, ...]
    runs_since_backup: int
    clock_behind_s: float

    @property
    def healthy(self) -> bool:
        """Whether nothing needs a person."""
        stopped = any(block.cause in (Cause.ALARM, Cause.DOUBLED, Cause.SUPERSEDED) for block in self.blocks)
        return not (stopped or self.missing_lease or self.unresolved or self.clock_behind_s)


def read_status(state: State, books: Books) -> Status:
    """Return how things stand, from this folder alone."""
    head_text = state.settings.find(Setting.MIRROR_HEAD)
    head = TreeHead.parse(head_text) if head_text else None
    backups = books.erasures.backups()
    return Status(
        tenant=state.tenant,
        factory=state.settings.get(Setting.FACTORY),
        serving=_is_serving(state),
        tenant_key_here=(state.home / TENANT_KEY_FILE).exists(),
        log_size=head.size if head else 0,
        log_root=head.root.hex() if head else "",
        synced=state.settings.find(Setting.SYNCED) or "",
        blocks=tuple(books.blocks.all()),
        members=_members(state, books),
        grants=tuple(GrantLine(grant, _grant_state(grant, state)) for grant in books.holdings.grants()),
        asked=len(books.records.asked()),
        undelivered=len(Outbox(state.db).waiting()),
        missing_lease=books.records.missing_lease(),
        unresolved=_count(state, "SELECT COUNT(*) FROM unresolved"),
        evidence=_count(state, "SELECT COUNT(*) FROM evidence"),
        backups=tuple(backups),
        runs_since_backup=_runs_since(state, backups[-1].created if backups else ""),
        clock_behind_s=state.clock.set_back_s(),
    )


def _members(state: State, books: Books) -> tuple[MemberLine, ...]:
    invited = {row["id"]: row for row in state.db.rows("SELECT id, name, role FROM names")}
    enrolled = {device.member: str(device.role) for device in books.people.all()}
    return tuple(
        MemberLine(
            member,
            invited[member]["name"] if member in invited else "",
            enrolled.get(member) or invited[member]["role"],
            member in enrolled,
            books.blocks.holds(member, Cause.REMOVED),
        )
        for member in dict.fromkeys([*enrolled, *invited])
    )


def _grant_state(grant: Grant, state: State) -> str:
    if state.blocks.holds(grant.dataset, Cause.ERASED):
        return "erased"
    if state.blocks.holds(grant.grant, Cause.REVOKED):
        return "revoked"
    if state.blocks.holds(grant.grant, Cause.ALARM):
        return "suspended"
    return "expired" if parse_time(grant.expires) <= state.clock.now() else "live"


def _runs_since(state: State, when: str) -> int:
    row = state.db.row("SELECT COUNT(DISTINCT run) AS n FROM leases WHERE number > 0 AND created > ?", (when,))
    return int(row["n"]) if row else 0


def _count(state: State, query: str) -> int:
    row = state.db.row(query)
    return int(row[0]) if row else 0


def _is_serving(state: State) -> bool:
    try:
        FileLock(state.home / SERVING_LOCK, "the keyholder").close()
    except ConflictError:
        return True
    return False
