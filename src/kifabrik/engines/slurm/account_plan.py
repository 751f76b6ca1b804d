"""What has to change in Slurm's accounting so that it says what the factory says. Pure.

The rule, for a tenant `t-p6n5ttka3uva4rbk…`:

    account   its tenant id, below the parent account; fair share 100 times its weight
    QOS       its tenant id; GrpTRES and GrpSubmitJobs from its limits; the account's default QOS
    user      `kf-` and the first 16 letters of the id behind `t-`; the only member of the account

Invariants:
- the same state twice gives no step the second time;
- nothing without our mark is changed: a name that is taken is a conflict, and stops the plan;
- nothing is removed unless that is asked for: the account of a tenant that is gone is closed to new jobs;
- what an operator added (another QOS, a limit we do not set, another member) stays;
- what another cluster of the same slurmdbd has, with a factory of its own perhaps, stays: of a tenant that is gone
  here and there still, only what it has here is closed or removed;
- steps of a sort stand together, each sort behind what it needs: QOS, accounts, Unix users, members. So they can
  be taken many at a time.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kifabrik.engines.slurm.accounts import DESCRIPTION, NO_LIMIT, ORGANIZATION, Account, Book, Qos
from kifabrik.errors import ConflictError

PARENT: Final = "kifabrik"
"""Account above those of all tenants, so that the factory's share beside others' is one number."""
SHARE_OF_WEIGHT_1: Final = 100
_CPU: Final = "cpu"
_GPU: Final = "gres/gpu"
_NAMES: Final = {_CPU: "cores", _GPU: "GPUs"}
MANAGE: Final = ("sacctmgr", "--immediate", "--quiet")
"""What all steps begin with that change Slurm's accounting; then come the action and the sort of thing."""
_LETTERS_OF_ID: Final = 16
"""80 bits of the tenant's fingerprint; Linux allows 32 letters in a user's name."""


@dataclass(frozen=True)
class TenantShare:
    """What a tenant may use; 0 means no limit.

    Args:
        tenant: Tenant id.
        weight: Its share beside other tenants.
        most_cpus: Cores held at once.
        most_gpus: GPUs held at once.
        most_runs: Runs that have not ended.
    """

    tenant: str
    weight: float = 1.0
    most_cpus: int = 0
    most_gpus: int = 0
    most_runs: int = 0


class Kind(StrEnum):
    """What a step does."""

    CREATE = "create"
    CHANGE = "change"
    """Slurm says otherwise than the factory: one of the two was changed."""
    CLOSE = "close"
    REMOVE = "remove"
    MAKE_USER = "make-user"


@dataclass(frozen=True)
class Step:
    """One step.

    Args:
        kind: What it does.
        what: For people: what changes from what to what.
        command: Program and arguments.
    """

    kind: Kind
    what: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """All steps in order, and the Unix users that have to be made by somebody else first."""

    steps: tuple[Step, ...]
    missing_users: tuple[str, ...] = ()

    @property
    def in_step(self) -> bool:
        """Whether nothing is left to do for anybody."""
        return not self.steps and not self.missing_users


def unix_user(tenant: str) -> str:
    """The Unix user a tenant's jobs run as: `kf-` and the first 16 letters behind `t-`."""
    return f"kf-{tenant.removeprefix('t-')[:_LETTERS_OF_ID]}"


def plan_accounts(
    tenants: Sequence[TenantShare],
    book: Book,
    unix_users: Collection[str],
    *,
    make_users: bool = False,
    remove_gone: bool = False,
) -> Plan:
    """Compare the factory's tenants with the cluster's accounting.

    Args:
        tenants: All tenants of the factory.
        book: What the cluster has.
        unix_users: Those of the tenants' users that exist on this machine.
        make_users: Whether to make the missing ones here.
        remove_gone: Whether to remove accounts of tenants that are gone, instead of closing them.

    Raises:
        ConflictError: A name is taken by something of others.
    """
    _refuse_taken_names(tenants, book)
    steps = [step for share in tenants for step in _qos_steps(share, book.qos.get(share.tenant))]
    if not _is_here(book.accounts.get(PARENT)):
        steps.append(_create_parent(book))
    steps += [step for share in tenants for step in _account_steps(share, book, book.accounts.get(share.tenant))]
    absent = {share.tenant: unix_user(share.tenant) for share in tenants}
    absent = {tenant: user for tenant, user in absent.items() if user not in unix_users}
    if make_users:
        steps += [_make_user(tenant, user) for tenant, user in absent.items()]
    for share in tenants:
        account, user = book.accounts.get(share.tenant), unix_user(share.tenant)
        is_member = account is not None and user in account.members
        if not is_member and (make_users or share.tenant not in absent):
            steps.append(_add_member(book, share.tenant, user))
    steps += _gone_steps({share.tenant for share in tenants}, book, remove=remove_gone)
    return Plan(tuple(steps), () if make_users else tuple(absent.values()))


def _refuse_taken_names(tenants: Sequence[TenantShare], book: Book) -> None:
    users = [unix_user(share.tenant) for share in tenants]
    if len(set(users)) != len(users):
        raise ConflictError("two tenants' ids begin with the same 16 letters, so they would share a Unix user")
    parent = book.accounts.get(PARENT)
    if parent is not None and parent.organization != ORGANIZATION:
        raise ConflictError(
            f"the cluster has an account {PARENT} that kifabrik did not make",
            hint=f"If it is meant for kifabrik: sacctmgr modify account {PARENT} set Organization={ORGANIZATION}",
        )
    for share in tenants:
        account, qos = book.accounts.get(share.tenant), book.qos.get(share.tenant)
        if account is not None and account.tenant != share.tenant:
            raise ConflictError(f"the cluster has an account {share.tenant} that kifabrik did not make")
        if qos is not None and not qos.is_of(share.tenant):
            raise ConflictError(f"the cluster has a QOS {share.tenant} that kifabrik did not make")


def _create_parent(book: Book) -> Step:
    words = (PARENT, f"Cluster={book.cluster}", f"Organization={ORGANIZATION}", f"Description={ORGANIZATION}")
    return Step(Kind.CREATE, f"account {PARENT}: above those of all tenants", _manage("add", "account", *words))


def _qos_steps(share: TenantShare, found: Qos | None) -> Iterator[Step]:
    wanted = {_CPU: share.most_cpus or NO_LIMIT, _GPU: share.most_gpus or NO_LIMIT}
    submit = share.most_runs or NO_LIMIT
    if found is None:
        limits = ",".join(f"{name}={count}" for name, count in wanted.items() if count != NO_LIMIT)
        words = [f"GrpTRES={limits}"] if limits else []
        words += [f"GrpSubmitJobs={submit}"] if submit != NO_LIMIT else []
        said = f"GPUs {_said(wanted[_GPU])}, cores {_said(wanted[_CPU])}, runs {_said(submit)}"
        yield Step(
            Kind.CREATE,
            f"QOS {share.tenant}: {said}",
            _manage("add", "qos", share.tenant, f"Description={DESCRIPTION.rstrip()}", *words),
        )
        return
    changed = {name: count for name, count in wanted.items() if found.grp_tres.get(name, NO_LIMIT) != count}
    words = ["GrpTRES=" + ",".join(f"{name}={count}" for name, count in changed.items())] if changed else []
    before = {name: found.grp_tres.get(name, NO_LIMIT) for name in changed}
    said_of = [f"{_NAMES[name]} {_said(before[name])} → {_said(count)}" for name, count in changed.items()]
    if found.grp_submit != submit:
        words.append(f"GrpSubmitJobs={submit}")
        said_of.append(f"runs {_said(found.grp_submit)} → {_said(submit)}")
    if words:
        yield Step(
            Kind.CHANGE,
            f"QOS {share.tenant}: {', '.join(said_of)}",
            _manage("modify", "qos", "where", f"Name={share.tenant}", "set", *words),
        )


def _account_steps(share: TenantShare, book: Book, found: Account | None) -> Iterator[Step]:
    fair = max(1, round(SHARE_OF_WEIGHT_1 * share.weight))
    name = share.tenant
    if found is None or not _is_here(found):
        words = (name, f"Cluster={book.cluster}", f"Parent={PARENT}", f"Fairshare={fair}", f"QOS={name}")
        mark = (f"Organization={ORGANIZATION}", f"Description={DESCRIPTION}{name}", f"DefaultQOS={name}")
        yield Step(Kind.CREATE, f"account {name}: share {fair}", _manage("add", "account", *words, *mark))
        return
    changes: list[tuple[str, str]] = []
    if found.share != fair:
        changes.append((f"share {found.share} → {fair}", f"Fairshare={fair}"))
    if found.parent != PARENT:
        changes.append((f"parent {found.parent or 'none'} → {PARENT}", f"Parent={PARENT}"))
    if found.grp_submit != NO_LIMIT:
        changes.append((f"most jobs {found.grp_submit} → none", f"GrpSubmitJobs={NO_LIMIT}"))
    if name not in found.qos:
        changes.append((f"may use QOS {name}", f"QOS+={name}"))
    if found.default_qos != name:
        changes.append((f"default QOS {found.default_qos or 'none'} → {name}", f"DefaultQOS={name}"))
    where = ("where", f"Name={name}", f"Cluster={book.cluster}", "set")
    for said, word in changes:
        yield Step(Kind.CHANGE, f"account {name}: {said}", _manage("modify", "account", *where, word))


def _make_user(tenant: str, user: str) -> Step:
    nobody = ("--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin")
    command = ("useradd", *nobody, "--comment", DESCRIPTION + tenant, user)
    return Step(Kind.MAKE_USER, f"Unix user {user} on this machine, for {tenant}", command)


def _add_member(book: Book, tenant: str, user: str) -> Step:
    command = _manage(
        "add", "user", user, f"Cluster={book.cluster}", f"Account={tenant}", f"DefaultAccount={tenant}"
    )
    return Step(Kind.CREATE, f"user {user} in account {tenant}", command)


def _is_here(account: Account | None) -> bool:
    """Whether an account is in this cluster, not only in another one of the same slurmdbd."""
    return account is not None and bool(account.parent)


def _gone_steps(tenants: Collection[str], book: Book, *, remove: bool) -> Iterator[Step]:
    gone = [
        account
        for account in book.accounts.values()
        if account.tenant and account.tenant not in tenants and account.parent == PARENT
    ]
    theirs = [book.qos[account.name] for account in gone if not account.elsewhere and _has_own_qos(account, book)]
    yield from _remove_steps(gone, theirs, book) if remove else _close_steps(gone, theirs, book)


def _has_own_qos(account: Account, book: Book) -> bool:
    found = book.qos.get(account.name)
    return found is not None and found.is_of(account.tenant)


def _remove_steps(gone: Sequence[Account], theirs: Sequence[Qos], book: Book) -> Iterator[Step]:
    for account in gone:
        user = unix_user(account.tenant)
        if user in account.members:
            command = _manage("remove", "user", "where", f"Name={user}", *_only_here(account, book))
            yield Step(Kind.REMOVE, f"user {user}", command)
    for account in gone:
        command = _manage("remove", "account", "where", f"Name={account.name}", *_only_here(account, book))
        yield Step(Kind.REMOVE, f"account {account.name}", command)
    for qos in theirs:
        yield Step(Kind.REMOVE, f"QOS {qos.name}", _manage("remove", "qos", "where", f"Name={qos.name}"))


def _only_here(account: Account, book: Book) -> tuple[str, ...]:
    return (f"Cluster={book.cluster}",) if account.elsewhere else ()


def _close_steps(gone: Sequence[Account], theirs: Sequence[Qos], book: Book) -> Iterator[Step]:
    """Close account and QOS: where a QOS has a limit, Slurm does not look at the account's.

    The QOS of an account that another cluster has too is that one's as well; here the account loses its member.
    """
    for account in gone:
        if account.grp_submit != 0:
            where = ("where", f"Name={account.name}", f"Cluster={book.cluster}", "set", "GrpSubmitJobs=0")
            what = f"account {account.name}: no new jobs, its tenant is gone"
            yield Step(Kind.CLOSE, what, _manage("modify", "account", *where))
    for account in gone:
        user = unix_user(account.tenant)
        if account.elsewhere and user in account.members:
            what = f"user {user}: not in account {account.name} any more, its tenant is gone"
            here = ("where", f"Name={user}", f"Cluster={book.cluster}")
            yield Step(Kind.CLOSE, what, _manage("remove", "user", *here))
    for qos in theirs:
        if qos.grp_submit != 0:
            what = f"QOS {qos.name}: no new jobs, its tenant is gone"
            command = _manage("modify", "qos", "where", f"Name={qos.name}", "set", "GrpSubmitJobs=0")
            yield Step(Kind.CLOSE, what, command)


def _said(count: int) -> str:
    return "unlimited" if count == NO_LIMIT else str(count)


def _manage(*words: str) -> tuple[str, ...]:
    return (*MANAGE, *words)
