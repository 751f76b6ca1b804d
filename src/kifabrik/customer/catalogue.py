"""Names to ids: read from the log, whose entries carry names sealed to the tenant's members.

The factory knows datasets and runs by random ids only. Whoever seals or orders puts the name into the
entry's sealed detail: `{"name": …}` for a dataset, `{"name": …, "outputs": […]}` for a run.

Invariants:
- the factory writes the entries, so none is believed by itself: a name counts only if a device or the
  tenant key has signed it for the very statement the entry records, and only where that came first;
- a name is one that people could have given: nothing invisible, nothing that looks like another, and no id;
- which statements there are is taken from the entries and must be verified before use (`version`).

A log of many runs has hundreds of thousands of entries, and hardly any command needs most of them: entries are
picked by their bytes, which are canonical JSON, and only those picked are parsed.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from kifabrik.client.logs import Log
from kifabrik.customer.devices import Devices, write_whole
from kifabrik.customer.named import DatasetName, ModelVersion, RunName, SweepName, are_names, model_output
from kifabrik.datasets.manifest import Manifest, verify_manifest
from kifabrik.errors import IntegrityError, NotFoundError, UsageError
from kifabrik.grants.statements import Erasure
from kifabrik.jobs.matrix import Matrix
from kifabrik.ledger.entry import Entry, EntryKind
from kifabrik.ledger.mirror import Mirror
from kifabrik.models.promotion import Promotion
from kifabrik.seals.identities import Identity
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import VerifyKey
from kifabrik.signatures.statements import read_unverified, verify_statement
from kifabrik.tenants.statements import Role
from kifabrik.tenants.trust import verify_removal
from kifabrik.transfer.details import Names, open_detail
from kifabrik.values import sweep_of, task_number, task_run

_AT_ONCE: Final = 512
"""Entries looked at together, from the newest back."""
_OUTPUTS: Final = b'"outputs":'
"""In entries of ends with outputs and of promotions, and in no other kinds."""
_NAMED: Final[Mapping[EntryKind | str, tuple[str, str]]] = {
    EntryKind.DATASET_SEALED: ("manifest", "dataset"),
    EntryKind.RUN_ORDERED: ("order", "run"),
    EntryKind.GRANT_GIVEN: ("statement", "grant"),
    EntryKind.MODEL_ACCEPTED: ("statement", "member"),
}
"""Kinds with names: under which references stand the statement they go with, and the id that is named."""


class Catalogue:
    """Names of one tenant, from this member's mirror of the log.

    Args:
        mirror: Up to date.
        log: To fetch sealed details that are not cached yet.
        identity: The tenant's catalogue identity.
        cache: Folder for sealed details.
        tenant_key: All trust starts with it.
        statement: Fetches a statement by digest.
    """

    def __init__(
        self,
        mirror: Mirror,
        log: Log,
        identity: Identity,
        cache: Path,
        *,
        tenant_key: VerifyKey,
        statement: Callable[[str], Envelope],
    ) -> None:
        self._log = log
        self._identity = identity
        self._cache = cache
        self._tenant_key = tenant_key
        self._statement = statement
        self._mirror = mirror
        self._picked: dict[EntryKind, tuple[Entry, ...]] = {}
        self.devices = Devices(tenant_key, lambda: self._of(EntryKind.MEMBER_ENROLLED), statement, cache)

    @cached_property
    def entries(self) -> list[Entry]:
        """Every entry of the log, parsed: for what looks at all of them."""
        return [Entry.from_bytes(data) for data in self._mirror.entries(0, self._mirror.size)]

    def detail(self, entry: Entry) -> Mapping[str, Any]:
        """Return the names that belong to an entry; empty where there are none that can be believed."""
        if not entry.detail or entry.kind not in _NAMED:
            return {}
        path = self._cache / entry.detail
        try:
            if not path.exists():
                write_whole(path, self._log.detail(entry.detail))
            signed = open_detail(path.read_bytes(), entry.detail, self._identity)
            names = verify_statement(signed, Names, self._namers).predicate
        except NotFoundError:
            return {}
        except (IntegrityError, UsageError):
            path.unlink(missing_ok=True)
            return {}
        named = tuple(entry.refs.get(key) for key in _NAMED[entry.kind])
        return names.said if (names.of, names.about) == named and are_names(names.said) else {}

    @cached_property
    def _namers(self) -> tuple[VerifyKey, ...]:
        return (*(one.key for one in self.devices.enrolled if one.role != Role.AUDITOR), self._tenant_key)

    def version(self, dataset: DatasetName, number: int) -> Manifest:
        """Return the manifest of a dataset's version, as a device of the tenant has signed it.

        Raises:
            NotFoundError: There is no such version.
            IntegrityError: What the log names there is not that version, or nobody of the tenant signed it.
        """
        if not 1 <= number <= len(dataset.manifests):
            raise NotFoundError(
                f"the dataset {dataset.name!r} has no version {number}",
                hint=f"It has versions 1 to {len(dataset.manifests)}.",
            )
        envelope = self._statement(dataset.manifests[number - 1])
        manifest = verify_manifest(envelope, self.devices.keys).predicate
        if (manifest.tenant, manifest.owner, manifest.version) != (
            self._tenant_key.tenant_id,
            dataset.dataset,
            number,
        ):
            raise IntegrityError(
                f"the log names something else as version {number} of {dataset.name!r}",
                hint="The factory writes the log. Keep it as evidence and ask the factory's operator.",
            )
        return manifest

    def datasets(self) -> list[DatasetName]:
        """All datasets, in the order of their first version.

        Members can sign any name. So a dataset is called what its first version was, and only the first one called
        so has the name until it is erased; others are called by their ids.
        """
        erased = self._erased()
        names: dict[str, str] = {}
        manifests: dict[str, list[str]] = {}
        for entry in self._of(EntryKind.DATASET_SEALED):
            dataset, manifest = str(entry.refs.get("dataset")), str(entry.refs.get("manifest"))
            known = manifests.setdefault(dataset, [])
            if manifest in known:
                continue
            known.append(manifest)
            if dataset not in names and (name := self.detail(entry).get("name")):
                names[dataset] = str(name)
        owners: dict[str, str] = {}
        for dataset in manifests:
            if dataset in names and dataset not in erased and owners.setdefault(names[dataset], dataset) != dataset:
                del names[dataset]
        return [
            DatasetName(names.get(one, one), one, tuple(all_), one in erased) for one, all_ in manifests.items()
        ]

    def _erased(self) -> set[str]:
        """Datasets whose erasure the tenant key has signed.

        An entry alone could make a dataset vanish, and the next sealing begin another one under its name.
        Where a true statement is withheld, the keyholder lists no recipient and releases no key all the same.
        """
        found = set()
        for entry in self._of(EntryKind.ERASURE_DECIDED):
            digest = str(entry.refs.get("statement", ""))
            try:
                said = verify_statement(self._statement(digest), Erasure, [self._tenant_key]).predicate
            except (IntegrityError, NotFoundError, UsageError):
                continue
            if said.tenant == self._tenant_key.tenant_id:
                found.add(said.dataset)
        return found

    def dataset(self, name: str) -> DatasetName:
        """Return the dataset of this name that is not erased, or of this id.

        Raises:
            NotFoundError: There is none; says so if it was erased.
        """
        named = [one for one in self.datasets() if name in (one.name, one.dataset)]
        live = [one for one in named if not one.erased]
        if live:
            return live[-1]
        if named:
            raise NotFoundError(f"the dataset {name!r} was erased", hint="See: kifabrik ledger show")
        raise NotFoundError(f"there is no dataset {name!r}", hint="See: kifabrik dataset ls")

    def job_names(self, runs: Collection[str]) -> dict[str, str]:
        """Return the job names of these runs, as far as the log names them; quick for the newest ones."""
        ordered: dict[str, Entry] = {}
        wanted = set(runs)
        for end in range(self._mirror.size, 0, -_AT_ONCE):
            if not wanted:
                break
            for data in reversed(self._mirror.entries(max(0, end - _AT_ONCE), end)):
                entry = _of_kind(data, EntryKind.RUN_ORDERED)
                if entry is not None and str(entry.refs.get("run")) in runs:
                    # Should the log name it again further back: the same name is signed, or none is believed.
                    ordered[str(entry.refs.get("run"))] = entry
                    wanted.discard(str(entry.refs.get("run")))
        return {run: str(self.detail(entry).get("name", run)) for run, entry in ordered.items()}

    def orders(self) -> dict[str, str]:
        """Digest of the first order of each run id of an order, unverified."""
        found: dict[str, str] = {}
        for entry in self._of(EntryKind.RUN_ORDERED):
            found.setdefault(str(entry.refs.get("run")), str(entry.refs.get("order", "")))
        return found

    @property
    def head(self) -> tuple[int, str]:
        """Size of the log these names are from, and its root in hex."""
        head = self._mirror.head
        return (head.size, head.root.hex()) if head else (0, "")

    def ended(self) -> tuple[Entry, ...]:
        """Every entry of an attempt that has ended, in the order of the log."""
        return self._of(EntryKind.RUN_FINISHED)

    def runs(self) -> list[RunName]:
        """All runs, in the order they were ordered; each order of a sweep is one."""
        return list(self._runs.values())

    @cached_property
    def _runs(self) -> dict[str, RunName]:
        found: dict[str, RunName] = {}
        for entry in self._of(EntryKind.RUN_ORDERED):
            run = str(entry.refs.get("run"))
            if run in found:
                continue
            detail = self.detail(entry)
            found[run] = RunName(
                name=str(detail.get("name", run)),
                run=run,
                outputs=tuple(str(name) for name in detail.get("outputs", ())),
                finished=self._finished(run),
                time=entry.time,
                order=str(entry.refs.get("order", "")),
                matrix=_matrix(detail),
                only=tuple(one for one in detail.get("only", ()) if isinstance(one, int)),
                again=str(detail.get("again", "")),
            )
        return found

    def _finished(self, run: str) -> tuple[str, ...]:
        ended = self._ended_well.get(run)
        return _texts(ended.refs.get("outputs", ())) if ended else ()

    @cached_property
    def _ended_well(self) -> dict[str, Entry]:
        """The first entry that names outputs of each run, in the order of the log: later ones change nothing."""
        found: dict[str, Entry] = {}
        for entry in self._of(EntryKind.RUN_FINISHED):
            if entry.refs.get("outputs"):
                found.setdefault(str(entry.refs.get("run")), entry)
        return found

    def run(self, name: str) -> RunName:
        """Return a run by its id, by the beginning of its id, or the newest of a job name.

        A task of a sweep is `NAME/17` or `r-…-17`.

        Raises:
            NotFoundError: There is none.
        """
        sweep, slash, number = name.partition("/")
        if slash and number.isdecimal():
            return self._task(self.sweep(sweep).order_of(int(number)), int(number))
        if task_number(name) and sweep_of(name) in self._runs:
            return self._task(self._runs[sweep_of(name)], task_number(name))
        found = [one for one in self.runs() if name in {one.run, one.name}]
        if not found:
            found = [one for one in self.runs() if one.run.startswith(name) and len(name) > len("r-")]
        if not found:
            raise NotFoundError(f"there is no run {name!r}", hint="See: kifabrik ps")
        return found[-1]

    def _task(self, order: RunName, number: int) -> RunName:
        if not order.has_task(number):
            raise NotFoundError(f"{order.run} has no task {number}", hint=f"See: kifabrik ps {order.run}")
        run = task_run(order.run, number)
        return replace(order, run=run, finished=self._finished(run), matrix=None, only=())

    def sweep(self, name: str) -> SweepName:
        """Return a sweep by its run id, the beginning of it, that of an order of some tasks again, or its job name.

        Raises:
            NotFoundError: There is none.
        """
        found = self.run(name)
        if found.matrix is None:
            raise NotFoundError(f"{found.name} ({found.run}) is no sweep", hint="A sweep's job file has a matrix.")
        first = next((one for one in self.runs() if one.order == found.again), found) if found.again else found
        again = (one for one in self.runs() if one.again == first.order and one.matrix == first.matrix)
        return SweepName((first, *again))

    def models(self) -> list[ModelVersion]:
        """All outputs called `model` (or the only output) of finished runs, and those of promoted tasks."""
        versions: dict[str, int] = {}
        models: dict[str, ModelVersion] = {}
        for run in self._made():
            output = model_output(run.outputs)
            if run.run in models or output is None or output > len(run.finished):
                continue
            versions[run.name] = versions.get(run.name, 0) + 1
            models[run.run] = ModelVersion(run.name, versions[run.name], run, output)
        return list(models.values())

    def _made(self) -> Iterator[RunName]:
        """Yield runs in the order in which their outputs came to count, as the log has it."""
        for data in self._mirror.holding(_OUTPUTS):
            entry = Entry.from_bytes(data)
            run = str(entry.refs.get("run"))
            if entry.kind is EntryKind.RUN_FINISHED and run in self._runs:
                yield self._runs[run]
            elif entry.kind is EntryKind.MODEL_PROMOTED and self._is_promoted(entry, run):
                yield self._task(self._runs[sweep_of(run)], task_number(run))

    def _is_promoted(self, entry: Entry, run: str) -> bool:
        """Whether a member who may has signed what an entry says about a task: the factory cannot promote one."""
        order = self._runs.get(sweep_of(run))
        try:
            envelope = self._statement(str(entry.refs.get("statement", "")))
            member = read_unverified(envelope, Promotion)[0].member
            device = self.devices.signer(envelope, member)
            said = verify_statement(envelope, Promotion, [device.key]).predicate
        except (IntegrityError, NotFoundError, UsageError):
            return False
        if order is None or device.role == Role.AUDITOR or not order.has_task(task_number(run)):
            return False
        if member in self._left and (self._mirror.index_of(entry.leaf) or 0) > self._left[member]:
            return False
        output, finished = model_output(order.outputs), self._finished(run)
        return output is not None and (said.tenant, said.run, said.order, said.owner, said.manifest) == (
            self._tenant_key.tenant_id,
            run,
            order.order,
            f"{run}/{output}",
            finished[output - 1] if output <= len(finished) else "",
        )

    @cached_property
    def _left(self) -> dict[str, int]:
        """Where the log shows the first true removal of each member."""
        found: dict[str, int] = {}
        for entry in self._of(EntryKind.MEMBER_REMOVED):
            try:
                removal = verify_removal(self._tenant_key, self._statement(str(entry.refs.get("statement", ""))))
            except (IntegrityError, NotFoundError, UsageError):
                continue
            found.setdefault(removal.member, self._mirror.index_of(entry.leaf) or 0)
        return found

    def model(self, name: str, version: int = 0) -> ModelVersion:
        """Return a model by name and version; 0 for the newest.

        Raises:
            NotFoundError: There is none.
        """
        found = [one for one in self.models() if one.name == name and version in (0, one.version)]
        if not found:
            which = f"{name}@{version}" if version else name
            raise NotFoundError(f"there is no model {which!r}", hint="See: kifabrik model ls")
        return found[-1]

    def _of(self, kind: EntryKind) -> tuple[Entry, ...]:
        if kind not in self._picked:
            found = (_of_kind(data, kind) for data in self._mirror.holding(_mark(kind)))
            self._picked[kind] = tuple(entry for entry in found if entry is not None)
        return self._picked[kind]


def _mark(kind: EntryKind) -> bytes:
    """What the canonical JSON of every entry of a kind holds; a few others may hold it too."""
    return b'"kind":"%s"' % kind.value.encode()


def _of_kind(data: bytes, kind: EntryKind) -> Entry | None:
    """Parse an entry if it is of this kind."""
    if _mark(kind) not in data:
        return None
    entry = Entry.from_bytes(data)
    return entry if entry.kind is kind else None


def _matrix(detail: Mapping[str, Any]) -> Matrix | None:
    """The points of a sweep in the names of its order; a colleague's device may have signed nonsense."""
    try:
        return Matrix.from_body(detail["matrix"]) if "matrix" in detail else None
    except IntegrityError:
        return None


def _texts(value: Any) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else (str(value),)
