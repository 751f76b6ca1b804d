"""Who used which data for what: the record of a tenant as a data protection officer asks for it.

Invariants:
- only what stands in the verified log counts; a name counts only if a member has signed it (`Catalogue`);
- every release of a key in the period is in exactly one place of the record, also one for results;
- times are the factory's, as the log has them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

from kifabrik.errors import UsageError
from kifabrik.grants.statements import Grant
from kifabrik.ledger.entry import Entry, EntryKind
from kifabrik.values import sweep_of

_DAY: Final = len("2026-11-23")


@dataclass(frozen=True)
class Period:
    """Days, both of it, in UTC; empty texts where there is no bound.

    Args:
        first: Such as `2026-01-01`.
        last: Such as `2026-12-31`.

    Raises:
        UsageError: One is no day, or they are the wrong way round.
    """

    first: str = ""
    last: str = ""

    def __post_init__(self) -> None:
        for day in filter(None, (self.first, self.last)):
            try:
                date.fromisoformat(day)
            except ValueError:
                raise UsageError(f"not a day: {day!r}", hint="Write it like 2026-11-23.") from None
            if len(day) != _DAY:
                raise UsageError(f"not a day: {day!r}", hint="Write it like 2026-11-23.")
        if self.first and self.last and self.last < self.first:
            raise UsageError(f"{self.last} is before {self.first}")

    def holds(self, time: str) -> bool:
        """Whether a time of the log lies in it."""
        day = time[:_DAY]
        return self.first <= day and (not self.last or day <= self.last)


@dataclass(frozen=True)
class Release:
    """Keys that were released.

    Args:
        index: Of the entry.
        time: Of the entry.
        datasets: Ids of the datasets whose keys were among them; empty if they were of results or logs only.
        run: Run id.
        purpose: Of the run's order.
        member: Who ordered the run.
        receiver: The attempt or the member that got them.
    """

    index: int
    time: str
    datasets: tuple[str, ...]
    run: str
    purpose: str
    member: str
    receiver: str

    @property
    def is_run(self) -> bool:
        """Whether a run got them, and not a person."""
        return self.receiver.startswith("a-")


@dataclass(frozen=True)
class Refused:
    """A request that was refused.

    Args:
        index: Of the entry.
        time: Of the entry.
        run: Run id.
        purpose: Of the run's order.
        member: Who asked, or ordered the run that asked.
        reason: Such as `no-grant`.
    """

    index: int
    time: str
    run: str
    purpose: str
    member: str
    reason: str


@dataclass(frozen=True)
class Permission:
    """A grant.

    Args:
        grant: Its id.
        dataset: Dataset id.
        given: When it entered the log.
        terms: What it says, or None where its statement could not be had.
        revoked: When it was ended; empty if it was not.
    """

    grant: str
    dataset: str
    given: str
    terms: Grant | None
    revoked: str = ""


@dataclass(frozen=True)
class Kept:
    """A dataset.

    Args:
        dataset: Its id.
        versions: Time and member of each version.
        decided: When its erasure was decided; empty if it was not.
        erased: When the keyholder destroyed its key; empty if it has not.
    """

    dataset: str
    versions: tuple[tuple[str, str], ...]
    decided: str = ""
    erased: str = ""


@dataclass(frozen=True)
class Usage:
    """The record.

    Args:
        tenant: Tenant id.
        period: Of the releases and refusals.
        releases: In order.
        refused: In order.
        permissions: All that were ever given, in order; of some datasets only, where these were asked for.
        datasets: All, in order of their first version; the same.
        names: Of datasets, runs and members, by id.
        entries: How many entries of the log were verified.
        root: Root of the verified log in hex.
        is_witnessed: Whether the keyholder's witness has cosigned it.
        newer: Entries that are not cosigned yet; they are in the record, too.
    """

    tenant: str
    period: Period
    releases: tuple[Release, ...]
    refused: tuple[Refused, ...]
    permissions: tuple[Permission, ...]
    datasets: tuple[Kept, ...]
    names: Mapping[str, str]
    entries: int = 0
    root: str = ""
    is_witnessed: bool = False
    newer: int = 0

    def named(self, identifier: str) -> str:
        """The name of something, or its id where there is none; of a task that of its sweep."""
        return self.names.get(identifier) or self.names.get(sweep_of(identifier), identifier)

    def of(self, dataset: str) -> tuple[Release, ...]:
        """Releases of a dataset's keys."""
        return tuple(one for one in self.releases if dataset in one.datasets)


@dataclass
class _Read:
    orders: dict[str, tuple[str, str]] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    kept: dict[str, Kept] = field(default_factory=dict)
    grants: dict[str, Permission] = field(default_factory=dict)
    releases: list[Release] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def usage_of(
    tenant: str,
    entries: Sequence[Entry],
    names: Mapping[str, str],
    terms: Callable[[Entry], Grant | None],
    period: Period,
    dataset: str = "",
) -> Usage:
    """Make the record of a log.

    Args:
        tenant: Tenant id.
        entries: All of the log, in order.
        names: Of datasets, runs and members, by id.
        terms: Fetches what a `grant.given` entry's statement says; None if it cannot be had.
        period: Of the releases and refusals.
        dataset: Id of the only dataset to tell of; empty for all.
    """
    read = _Read()
    for index, entry in enumerate(entries):
        _take(read, index, entry, terms)
    wanted = [one for one in read.releases if period.holds(one.time)]
    if dataset:
        wanted = [one for one in wanted if dataset in one.datasets]
    return Usage(
        tenant=tenant,
        period=period,
        releases=tuple(wanted),
        refused=() if dataset else tuple(one for one in read.refused if period.holds(one.time)),
        permissions=tuple(one for one in read.grants.values() if dataset in ("", one.dataset)),
        datasets=tuple(one for one in read.kept.values() if dataset in ("", one.dataset)),
        names=names,
    )


def _take(read: _Read, index: int, entry: Entry, terms: Callable[[Entry], Grant | None]) -> None:
    match entry.kind:
        case EntryKind.RUN_ORDERED:
            read.orders.setdefault(_ref(entry, "run"), (_ref(entry, "purpose"), _ref(entry, "member")))
        case EntryKind.DATASET_SEALED | EntryKind.ERASURE_DECIDED | EntryKind.DATASET_ERASED:
            _keep(read, entry)
        case EntryKind.GRANT_GIVEN:
            grant = _ref(entry, "grant")
            read.grants.setdefault(grant, Permission(grant, _ref(entry, "dataset"), entry.time, terms(entry)))
        case EntryKind.GRANT_REVOKED if _ref(entry, "grant") in read.grants:
            given = read.grants[_ref(entry, "grant")]
            read.grants[given.grant] = replace(given, revoked=given.revoked or entry.time)
        case EntryKind.LEASE_REQUESTED:
            read.asked[_ref(entry, "request")] = _ref(entry, "member")
        case EntryKind.LEASE_RELEASED | EntryKind.LEASE_REFUSED:
            _answer(read, index, entry)
        case _:
            pass


def _keep(read: _Read, entry: Entry) -> None:
    dataset = _ref(entry, "dataset")
    kept = read.kept.get(dataset, Kept(dataset, ()))
    if entry.kind is EntryKind.DATASET_SEALED:
        kept = replace(kept, versions=(*kept.versions, (entry.time, _ref(entry, "member"))))
    elif entry.kind is EntryKind.ERASURE_DECIDED:
        kept = replace(kept, decided=kept.decided or entry.time)
    else:
        kept = replace(kept, erased=kept.erased or entry.time)
    read.kept[dataset] = kept


def _answer(read: _Read, index: int, entry: Entry) -> None:
    run = _ref(entry, "run")
    purpose, member = read.orders.get(run) or read.orders.get(sweep_of(run), ("", ""))
    if entry.kind is EntryKind.LEASE_RELEASED:
        datasets = entry.refs.get("datasets", ())
        of = datasets if isinstance(datasets, tuple) else (str(datasets),)
        read.releases.append(Release(index, entry.time, of, run, purpose, member, _ref(entry, "receiver")))
    else:
        asker = read.asked.get(_ref(entry, "request")) or member
        read.refused.append(Refused(index, entry.time, run, purpose, asker, _ref(entry, "reason")))


def _ref(entry: Entry, key: str) -> str:
    return str(entry.refs.get(key, ""))
