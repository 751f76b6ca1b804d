"""What Slurm's accounting holds of tenants: read with `sacctmgr`.

Invariants:
- nothing is ours but what carries our mark (an account's organization, a QOS's description), so what others made
  is seen and never changed;
- one slurmdbd may keep the books of several clusters: accounts and QOS are of all of them, and what an account is
  in this cluster is said by its association here.

Source: sacctmgr(1) of 22.05 to 25.11, whose `--parsable2` columns asked for by name are the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from kifabrik.engines.slurm.commands import SlurmCommands
from kifabrik.errors import IntegrityError, UnavailableError

ORGANIZATION: Final = "kifabrik"
"""An account of this organization is ours."""
DESCRIPTION: Final = "kifabrik tenant "
"""An account whose description begins so is that of the tenant named behind it; of a QOS, its name says whose."""
NO_LIMIT: Final = -1


@dataclass(frozen=True)
class Account:
    """One account, as it stands in this cluster.

    Args:
        name: Its name.
        organization: Who made it.
        description: What for.
        parent: Account above it; empty if it is not in this cluster, or the topmost.
        share: Fair-share weight beside its siblings.
        grp_submit: Most jobs queued and running; -1 for no limit.
        qos: QOS its jobs may use.
        default_qos: Of these, the one taken if a job names none.
        members: Its users.
        elsewhere: Other clusters it is in too.
    """

    name: str
    organization: str
    description: str
    parent: str = ""
    share: int = 1
    grp_submit: int = NO_LIMIT
    qos: frozenset[str] = frozenset()
    default_qos: str = ""
    members: frozenset[str] = frozenset()
    elsewhere: frozenset[str] = frozenset()

    @property
    def tenant(self) -> str:
        """The tenant it is for; empty if it is not ours."""
        ours = self.organization == ORGANIZATION and self.description.startswith(DESCRIPTION)
        return self.description.removeprefix(DESCRIPTION) if ours else ""


@dataclass(frozen=True)
class Qos:
    """One QOS: most trackable resources of all its jobs together, and most jobs (-1 for no limit)."""

    name: str
    description: str
    grp_tres: Mapping[str, int] = field(default_factory=dict)
    grp_submit: int = NO_LIMIT

    def is_of(self, tenant: str) -> bool:
        """Whether it was made for a tenant; its description may name that, too."""
        return self.name == tenant and f"{self.description} ".startswith(DESCRIPTION)


@dataclass(frozen=True)
class Book:
    """Everything that was read, by name."""

    cluster: str
    accounts: Mapping[str, Account]
    qos: Mapping[str, Qos]


def read_book(commands: SlurmCommands) -> Book:
    """Read accounts, associations and QOS of the cluster these commands speak to.

    Raises:
        UnavailableError: slurmctld or slurmdbd does not answer, or accounting is off.
        IntegrityError: What they say makes no sense.
    """
    cluster = _cluster_name(commands)
    listed = _rows(commands, 3, "account", "format=Account,Organization,Description")
    accounts = {row[0]: Account(row[0], row[1], row[2]) for row in listed}
    fields = "format=Cluster,Account,User,ParentName,Share,GrpSubmit,DefaultQOS,QOS"
    members: dict[str, set[str]] = {}
    elsewhere: dict[str, set[str]] = {}
    for of, account, user, parent, share, grp_submit, default, qos in _rows(commands, 8, "associations", fields):
        if of != cluster:
            elsewhere.setdefault(account, set()).add(of)
        elif user:
            members.setdefault(account, set()).add(user)
        elif account in accounts:
            old = accounts[account]
            accounts[account] = Account(
                account, old.organization, old.description, parent, _count(share) if share != "parent" else 0,
                _count(grp_submit), frozenset(filter(None, qos.split(","))), default,
            )  # fmt: skip
    return Book(
        cluster,
        {
            name: replace(
                account,
                members=frozenset(members.get(name, ())),
                elsewhere=frozenset(elsewhere.get(name, ())),
            )
            for name, account in accounts.items()
        },
        {
            name: Qos(name, description, _tres(tres), _count(submit))
            for name, tres, submit, description in _rows(
                commands, 4, "qos", "format=Name,GrpTRES,GrpSubmit,Description"
            )
        },
    )


def _cluster_name(commands: SlurmCommands) -> str:
    for line in commands.run("scontrol", "show", "config").splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "ClusterName":
            return value.strip()
    raise UnavailableError("Slurm does not say what its cluster is called")


def _rows(commands: SlurmCommands, columns: int, *what: str) -> list[list[str]]:
    """Rows of `sacctmgr show`; the last column may hold a `|`."""
    text = commands.run("sacctmgr", "--noheader", "--parsable2", "--readonly", "show", *what)
    rows = [line.split("|", columns - 1) for line in text.splitlines() if line]
    if any(len(row) != columns for row in rows):
        raise IntegrityError(f"sacctmgr describes its {what[0]} in a way kifabrik does not understand")
    return rows


def _count(text: str) -> int:
    return int(text) if text.isdigit() else NO_LIMIT


def _tres(text: str) -> dict[str, int]:
    """Read `cpu=64,gres/gpu=8`."""
    parts = (part.rpartition("=") for part in text.split(",") if part)
    return {name: int(count) for name, _, count in parts if count.isdigit()}
