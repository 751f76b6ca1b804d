"""A folder, or what is made in memory, becomes the next version of a dataset: sealed, uploaded, registered."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kifabrik.customer.catalogue import Catalogue
from kifabrik.customer.profile import member_folder
from kifabrik.customer.session import Session
from kifabrik.datasets.index import Index, IndexWriter, ShardRecord
from kifabrik.datasets.manifest import sign_manifest
from kifabrik.datasets.names import check_name
from kifabrik.datasets.packing import plan_shards
from kifabrik.errors import ConflictError, IntegrityError, NotFoundError, RefusedError
from kifabrik.ledger.file_lock import FileLock
from kifabrik.seals.recipients import Recipient
from kifabrik.signatures.dsse import Envelope
from kifabrik.transfer.details import Names, make_detail
from kifabrik.transfer.objects import Progress
from kifabrik.transfer.sealing import Sealer, SealPlan, VersionHead, waits_whole
from kifabrik.wire.body import Detail
from kifabrik.wire.tenants import Logged

_TRIES: Final = 5
Bar = Callable[[str, int], AbstractContextManager[Progress]]
"""Makes a progress bar from a label and a total in bytes."""


@dataclass(frozen=True)
class SealedDataset:
    """What was sealed.

    Args:
        name: Dataset name.
        dataset: Dataset id.
        version: Its new version.
        manifest: Digest of the manifest statement.
        files: Number of files.
        size: Bytes of the files.
        shards: Number of shards.
        reused: Of these, taken over from the version before.
        log_index: Of its entry in the ledger.
    """

    name: str
    dataset: str
    version: int
    manifest: str
    files: int
    size: int
    shards: int
    reused: int
    log_index: int


@dataclass(frozen=True)
class _Target:
    dataset: str
    recipient: Recipient
    version: int
    previous: str


@dataclass(frozen=True)
class Earlier:
    """What this machine knows of earlier sealings of a dataset, for whoever decides what the next version holds.

    Args:
        dataset: Dataset id.
        version: The one to be made.
        folder: Private to this machine and this dataset; plaintext has no business in it.
        indexes: Of the version before, if this machine sealed it, and of interrupted sealings of this one.
        last: The version before, if this machine sealed it.
    """

    dataset: str
    version: int
    folder: Path
    indexes: tuple[Index, ...]
    last: Index | None
    _lacking: Callable[[Iterable[str]], set[str]]

    def usable(self) -> dict[str, ShardRecord]:
        """Return, by digest of its body, every earlier shard that the factory has or this machine still has whole.

        Raises:
            UnavailableError: The factory cannot be reached.
        """
        records = {record.stored.body.sha256: record for index in self.indexes for record in index.records}
        spool = self.folder / "spool"
        for digest in self._lacking(records) if records else ():
            if not waits_whole(spool, records[digest].stored.body):
                del records[digest]
        return records


Packing = Callable[[Earlier], AbstractContextManager[SealPlan]]
"""Decides what the next version holds; the context lasts while it is sealed and registered."""


def seal_dataset(session: Session, name: str, source: Path, *, bar: Bar, description: str = "") -> SealedDataset:
    """Seal a folder or file as the next version of the dataset `name`, which is made if it is new.

    An interrupted sealing goes on where it stopped when it is repeated.

    Raises:
        UsageError: The name is not one, or there is something in the folder that cannot be sealed.
        ConflictError: Files changed meanwhile, or somebody else sealed a version at the same time.
        RefusedError: The member is an auditor, or the keyholder has published no recipient for a new dataset.
    """
    return seal_version(
        session,
        name,
        lambda earlier: plan_shards(source, previous=earlier.indexes),
        bar=bar,
        description=description,
    )


def seal_version(
    session: Session, name: str, packing: Packing, *, bar: Bar, description: str = ""
) -> SealedDataset:
    """Seal whatever `packing` decides on as the next version of the dataset `name`, which is made if it is new.

    Raises:
        KifabrikError: As for `seal_dataset`, and what making the members raised.
    """
    session.check_may_change("seal datasets")
    check_name(name)
    for left in reversed(range(_TRIES)):
        with _claimed(session, session.catalogue(), name) as target:
            try:
                return _seal(session, target, name, packing, bar, description)
            except _TakenError:
                # Two people may take the same unused id for a new dataset; whoever is second takes the next.
                if not left:
                    raise
    raise AssertionError


class _TakenError(ConflictError):
    """Somebody else has begun another dataset under the id that was to be this one's."""


@contextmanager
def _claimed(session: Session, catalogue: Catalogue, name: str) -> Iterator[_Target]:
    """Decide what is sealed, and keep other commands on this machine out of its folder.

    Raises:
        ConflictError: Another command is sealing it.
    """
    for target in _targets(session, catalogue, name):
        folder = _folder(session, target.dataset)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            lock = FileLock(folder / "lock", f"the dataset {name!r}")
        except ConflictError:
            if target.version == 1 and _noted(folder) != name:
                continue  # it is becoming another dataset
            raise ConflictError(
                f"another command on this machine is sealing {name!r}",
                hint="Let it finish; then seal again if your files are others.",
            ) from None
        try:
            yield target
        finally:
            lock.close()
        return
    raise RefusedError(
        "the keyholder has no unused dataset recipient",
        hint="Start the keyholder (kifabrik keyholder run): it publishes new ones by itself.",
    )


def _targets(session: Session, catalogue: Catalogue, name: str) -> Iterator[_Target]:
    """What a folder can become the next version of; of a new dataset there is a choice."""
    listed = session.recipients.datasets
    try:
        known = catalogue.dataset(name)
    except NotFoundError:
        free = set(listed) - {one.dataset for one in catalogue.datasets()}
        # An interrupted first sealing under this name had chosen one: it goes on.
        for dataset in sorted(free, key=lambda one: (_noted(_folder(session, one)) != name, one)):
            yield _Target(dataset, Recipient.from_text(listed[dataset]), 1, "")
        return
    if known.dataset not in listed:
        raise RefusedError(f"the keyholder no longer lists a recipient for {name!r}", hint="Was it erased?")
    recipient = Recipient.from_text(listed[known.dataset])
    catalogue.version(known, len(known.manifests))
    yield _Target(known.dataset, recipient, len(known.manifests) + 1, known.manifests[-1])


def _noted(folder: Path) -> str:
    """The name a dataset's folder was last used under."""
    try:
        return (folder / "name").read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return ""


def _folder(session: Session, dataset: str) -> Path:
    return member_folder(session.home, "datasets") / dataset


def _seal(
    session: Session, target: _Target, name: str, packing: Packing, bar: Bar, description: str
) -> SealedDataset:
    folder = _folder(session, target.dataset)
    (folder / "name").write_text(name, encoding="utf-8")
    earlier = _earlier(session, folder, target)
    head = VersionHead(
        tenant=session.tenant,
        owner=target.dataset,
        version=target.version,
        previous=target.previous,
        recipient=target.recipient,
        also=_recovery(session),
        name=name,
        description=description,
    )
    unfinished = folder / f"{target.version}.{len(list(folder.glob('*.unfinished')))}.unfinished"
    with (
        packing(earlier) as plan,
        IndexWriter(unfinished, owner=target.dataset, recipient=target.recipient.text) as index,
        bar(f"sealing {name}", plan.plain_size) as progress,
    ):
        sealed = Sealer(head, session.store, folder / "spool", on_sealed=progress).seal(plan, index)
        contents = sealed.contents
        envelope = sign_manifest(sealed.manifest, session.profile.device)
        names = Names(
            envelope.digest,
            target.dataset,
            {"name": name, "files": contents.file_count, "size": contents.files_size},
        )
        detail = make_detail(names, session.catalogue_recipient, session.profile.device)
        logged = _register(session, target, name, envelope, detail)
        index.finish(envelope.digest)
        reused = len(plan.reused)
    _keep(folder, unfinished, target.version)
    return SealedDataset(
        name=name,
        dataset=target.dataset,
        version=target.version,
        manifest=envelope.digest,
        files=contents.file_count,
        size=contents.files_size,
        shards=len(contents.shards),
        reused=reused,
        log_index=logged.log_index,
    )


def _register(session: Session, target: _Target, name: str, envelope: Envelope, detail: Detail) -> Logged:
    """Enter a version, unless somebody was first."""
    if target.version == 1 and any(one.name == name and not one.erased for one in session.catalogue().datasets()):
        raise _second(name)
    try:
        return session.datasets.register(envelope, detail)
    except ConflictError as error:
        catalogue = session.catalogue()
        found = [one for one in catalogue.datasets() if one.dataset == target.dataset]
        if not found:
            raise
        if target.version == 1 and found[0].name != name:
            raise _TakenError(error.message, hint=error.hint) from None
        raise _second(name) from None


def _second(name: str) -> ConflictError:
    return ConflictError(
        f"somebody else sealed a version of {name!r} meanwhile",
        hint="Look at it with kifabrik dataset ls; seal again, and yours becomes the version after it.",
    )


def _recovery(session: Session) -> list[Recipient]:
    text = session.keyholder.recovery_recipient
    return [Recipient.from_text(text)] if text else []


def _earlier(session: Session, folder: Path, target: _Target) -> Earlier:
    indexes = _indexes(folder, target)
    last = next((one for one in indexes if one.manifest and one.manifest == target.previous), None)
    return Earlier(target.dataset, target.version, folder, tuple(indexes), last, session.store.missing)


def _indexes(folder: Path, target: _Target) -> list[Index]:
    """Return what earlier sealings left: of the last version, and of interrupted ones."""
    found = []
    for path in [folder / f"{target.version - 1}.index", *sorted(folder.glob("*.unfinished"))]:
        try:
            index = Index.load(path)
        except (NotFoundError, IntegrityError):
            continue
        if (index.owner, index.recipient) == (target.dataset, target.recipient.text):
            found.append(index)
    return found


def _keep(folder: Path, unfinished: Path, version: int) -> None:
    unfinished.replace(folder / f"{version}.index")
    for leftover in [*folder.glob("*.unfinished"), *(folder / "spool").glob("*")]:
        leftover.unlink(missing_ok=True)
