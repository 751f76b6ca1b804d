"""A plan becomes a sealed version of a dataset: no row touches the disk before it is sealed.

Invariants:
- what is pulled is what the plan names, from a service whose `$metadata` still has it;
- a pull that was interrupted goes on where it stopped, if plan and columns are the same;
- only changes are taken where the service gave a link to them the last time, and this machine sealed the version
  before; the rows of earlier versions are taken over sealed as they are.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from kifabrik.connectors.sap.asking import Caller, caller_of
from kifabrik.connectors.sap.changes import GONE, take_changes
from kifabrik.connectors.sap.first_pages import FirstPages
from kifabrik.connectors.sap.gathering import Work, describe, first_link, gather, in_memory, page_headers
from kifabrik.connectors.sap.metadata import LARGEST_BYTES, read_metadata
from kifabrik.connectors.sap.model import Service
from kifabrik.connectors.sap.pages import read_page
from kifabrik.connectors.sap.plan import Plan
from kifabrik.connectors.sap.progress import ProgressFiles, SetProgress, State
from kifabrik.connectors.sap.secrets import SecretStore
from kifabrik.connectors.sap.selection import Selection, select
from kifabrik.customer.seal import Earlier, SealedDataset, seal_version
from kifabrik.customer.session import Session
from kifabrik.datasets.index import ShardRecord
from kifabrik.datasets.made import Made, MadeShard
from kifabrik.errors import IntegrityError, NotFoundError, UsageError
from kifabrik.seals.identities import Identity
from kifabrik.transfer.objects import silent
from kifabrik.values import format_time, now_utc

ACCOUNT: Final = "pull.json"
"""Name of the member that says what was pulled, when, by whose word."""
OnRows = Callable[[str, int, int], None]
Derive = Callable[[Mapping[str, pa.Table]], Mapping[str, bytes]]
"""Makes further members, by path, of all tables that were pulled."""


@dataclass(frozen=True)
class PulledSet:
    """What came of one entity set.

    Args:
        name: Of the set.
        changes: Whether only changes were taken.
        rows: Rows taken now, by table.
        removed: Keys that are gone since the version before.
        total: Rows of the set there are in all.
    """

    name: str
    changes: bool
    rows: dict[str, int]
    removed: int
    total: int


@dataclass(frozen=True)
class Pulled:
    """A version that was sealed.

    Args:
        sealed: The version.
        sets: What it holds.
        resumed: Whether an interrupted pull was taken up.
        warnings: What a person should know.
    """

    sealed: SealedDataset
    sets: tuple[PulledSet, ...]
    resumed: bool
    warnings: tuple[str, ...] = field(default=())


def fetch_service(caller: Caller) -> Service:
    """Read what a service says of itself.

    Raises:
        IntegrityError: It is no description of an OData service.
    """
    answer = caller.get("$metadata", {"accept": "application/xml"})
    if len(answer.body) > LARGEST_BYTES:
        raise IntegrityError(f"$metadata is larger than {LARGEST_BYTES // 2**20} MiB")
    return read_metadata(answer.body)


def pull(
    session: Session,
    plan: Plan,
    *,
    again: bool = False,
    derive: Derive | None = None,
    store: SecretStore | None = None,
    on_rows: OnRows | None = None,
    part_rows: int = 0,
) -> Pulled:
    """Pull what a plan names and seal it as the next version of its dataset.

    Args:
        session: Of the member.
        plan: What a person confirmed.
        again: Whether to take all of it, and forget what an interrupted pull got done.
        derive: Makes further members of what was pulled; all of it is taken then.
        store: The keyholder's secrets, for a plan that names one.
        on_rows: Told set, rows so far, and how many there will be (-1: unknown).
        part_rows: Rows of a Parquet file; 0 for the usual number.

    Raises:
        KifabrikError: The service, the factory or the plan stand in the way; the command can be repeated.
    """
    with caller_of(plan, store) as caller:
        puller = Puller(
            plan, caller, session.profile.opener, again=again, derive=derive, on_rows=on_rows, part_rows=part_rows
        )
        sealed = seal_version(
            session,
            plan.dataset,
            puller.packing,
            bar=lambda _label, _total: nullcontext(silent),
            description=puller.title,
        )
    return puller.pulled(sealed)


class Puller:
    """Decides what the next version of a dataset holds, and makes it.

    Args:
        plan: What a person confirmed.
        caller: Its service, signed in.
        device: Progress is sealed to it.
        again: Whether to take all of it.
        derive: Makes further members of what was pulled; all of it is taken then.
        on_rows: Told set, rows so far, and how many there will be (-1: unknown).
        part_rows: Rows of a Parquet file; 0 for the usual number.

    Raises:
        UsageError: The service lacks something the plan wants.
        KifabrikError: It cannot be reached.
    """

    def __init__(
        self,
        plan: Plan,
        caller: Caller,
        device: Identity,
        *,
        again: bool = False,
        derive: Derive | None = None,
        on_rows: OnRows | None = None,
        part_rows: int = 0,
    ) -> None:
        service = fetch_service(caller)
        self._plan, self._caller, self._device = plan, caller, device
        self._selections = [select(service, wanted) for wanted in plan.pull]
        self._again, self._derive = again or derive is not None, derive
        self._on_rows, self._part_rows = on_rows, part_rows
        self._resumed = False
        self.work: Work

    @property
    def title(self) -> str:
        """What the sealed contents say of the version."""
        return f"{len(self._selections)} entity sets of {self._plan.service}, for {self._plan.purpose}"[:4000]

    @contextmanager
    def packing(self, earlier: Earlier) -> Iterator[Made]:
        """Decide what is taken over and what is asked for; see `kifabrik.customer.seal.Packing`."""
        files = ProgressFiles(earlier.folder / "sap", self._device)
        state, base = self._state(files.load(), earlier)
        self.work = Work(self._caller, files, state)
        if self._on_rows is not None:
            self.work.on_rows = self._on_rows
        if self._part_rows:
            self.work.part_rows = self._part_rows
        usable = {
            (record.shard.files[0].path, record.shard.files[0].sha256): record
            for record in earlier.usable().values()
            if len(record.shard.files) == 1
        }
        if self._derive is not None:
            self.work.copies = {}
        kept: list[ShardRecord] = []
        made: list[MadeShard] = []
        for selection in self._selections:
            kept += self._taken_up(selection, usable)
            if selection.name not in state.sets:
                old, new = self._changes(selection, base, usable)
                kept += old
                made += new
        files.save(state)
        yield Made(tuple(kept), self._making(made))

    def _state(self, known: State | None, earlier: Earlier) -> tuple[State, dict[str, SetProgress]]:
        """Return the state to go on with, and what is known of the version before."""
        fresh = State(earlier.version, self._plan.service)
        if known is None or known.service != self._plan.service or self._again:
            return fresh, {}
        fresh.salt = known.salt
        if known.version == earlier.version:
            self._resumed = bool(known.sets)
            return known, known.base
        if known.version == earlier.version - 1 and known.complete and earlier.last is not None:
            fresh.base = known.sets
            return fresh, known.sets
        return fresh, {}

    def _taken_up(self, selection: Selection, usable: dict[tuple[str, str], ShardRecord]) -> list[ShardRecord]:
        """Return what an interrupted pull has sealed of a set, or forget it."""
        progress = self.work.state.sets.get(selection.name)
        if progress is None:
            return []
        if not progress.parts:
            del self.work.state.sets[selection.name]
            return []
        records = [usable.get((path, digest)) for path, digest, _ in progress.parts]
        found = [record for record in records if record is not None]
        same = progress.question == first_link(selection) and progress.schema == describe(selection)
        if len(found) == len(records) and same and (progress.done or self._still_good(selection, progress)):
            return found
        self.work.warnings.append(
            f"{selection.name}: what an interrupted pull got of it no longer fits; begun anew"
        )
        del self.work.state.sets[selection.name]
        return []

    def _still_good(self, selection: Selection, progress: SetProgress) -> bool:
        try:
            self.work.files.load_keys(progress.keys)
            answer = self._caller.get(progress.link, page_headers(selection))
            self.work.first[selection.name] = read_page(answer, selection.version, selection.name)
        except (NotFoundError, UsageError, IntegrityError):
            return False
        return True

    def _changes(
        self, selection: Selection, base: dict[str, SetProgress], usable: dict[tuple[str, str], ShardRecord]
    ) -> tuple[list[ShardRecord], list[MadeShard]]:
        """Take what changed since the version before, or get ready to take all of it."""
        state = self.work.state
        before = base.get(selection.name)
        fresh = SetProgress(describe(selection), first_link(selection), link=first_link(selection))
        if before is not None:
            self._say_what_changed(selection, before, fresh)
        if (
            before is not None
            and before.delta
            and before.schema == fresh.schema
            and before.question == fresh.question
        ):
            records = [usable.get((path, digest)) for path, digest, _ in before.parts]
            found = [record for record in records if record is not None]
            if len(found) == len(records):
                taken = take_changes(self.work, selection, before)
                if taken is not None:
                    return found, taken
        state.sets[selection.name] = fresh
        return [], []

    def _say_what_changed(self, selection: Selection, before: SetProgress, now: SetProgress) -> None:
        if before.schema != now.schema:
            self.work.warnings.append(
                f"{selection.name}: its columns are not those of the version before "
                f"({_difference(before, now)}), so all of it is taken"
            )
        elif before.question != now.question and before.delta:
            self.work.warnings.append(f"{selection.name}: the plan asks for something else, so all of it is taken")

    def _making(self, made: list[MadeShard]) -> Iterator[MadeShard]:
        yield from made
        if made:
            self.work.files.save(self.work.state)
        ahead = FirstPages(self._caller, self._selections) if self._plan.limits.batch else None
        for selection in self._selections:
            if not self.work.state.sets[selection.name].done:
                if ahead is not None:
                    ahead.prepare(self.work, selection)
                yield from gather(self.work, selection)
        if self._derive is not None:
            yield from (in_memory(path, data) for path, data in self._derive(self._tables()).items())
        yield in_memory(ACCOUNT, json.dumps(self._account(), indent=1, ensure_ascii=False).encode())

    def _tables(self) -> dict[str, pa.Table]:
        """All tables that were pulled, from the members as they are sealed."""
        copies = self.work.copies or {}
        names = dict.fromkeys(path.partition("/")[0] for path in copies)
        return {
            name: pa.concat_tables(
                pq.read_table(pa.BufferReader(data)) for path, data in copies.items() if path.startswith(f"{name}/")
            )
            for name in names
        }

    def _account(self) -> dict[str, object]:
        plan = self._plan
        return {
            "service": plan.service,
            "purpose": plan.purpose,
            "confirmed": plan.confirmed.model_dump(mode="json"),
            "pulled": format_time(now_utc()),
            "sets": {
                name: {"changes": one.changes, "question": one.question, "total": one.kept, "tables": one.schema}
                for name, one in self.work.state.sets.items()
            },
        }

    def pulled(self, sealed: SealedDataset) -> Pulled:
        """Return what came of it, once the version is registered."""
        self.work.files.tidy(self.work.state)
        sets = tuple(
            PulledSet(
                name,
                one.changes,
                {table: rows for table, rows in one.rows.items() if not table.endswith(GONE)},
                sum(rows for table, rows in one.rows.items() if table.endswith(GONE)),
                one.kept,
            )
            for name, one in self.work.state.sets.items()
        )
        return Pulled(sealed, sets, self._resumed, tuple(self.work.warnings))


def _difference(before: SetProgress, now: SetProgress) -> str:
    old = {(table, column[0]): column[1:] for table, columns in before.schema for column in columns}
    new = {(table, column[0]): column[1:] for table, columns in now.schema for column in columns}
    words = [f"{name} is gone" for (_, name) in old.keys() - new.keys()]
    words += [f"{name} is new" for (_, name) in new.keys() - old.keys()]
    words += [
        f"{key[1]} was {old[key][0]} and is {new[key][0]}"
        for key in old.keys() & new.keys()
        if old[key] != new[key]
    ]
    return ", ".join(sorted(words)[:5])
