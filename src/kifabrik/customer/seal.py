"""A folder becomes the next version of a dataset: packed, sealed, uploaded, registered."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kifabrik.customer.catalogue import Catalogue
from kifabrik.customer.profile import member_folder
from kifabrik.customer.session import Session
from kifabrik.datasets.index import Index, IndexWriter
from kifabrik.datasets.manifest import sign_manifest
from kifabrik.datasets.names import check_name
from kifabrik.datasets.packing import Plan, plan_shards
from kifabrik.errors import ConflictError, IntegrityError, NotFoundError, RefusedError
from kifabrik.seals.recipients import Recipient
from kifabrik.transfer.details import Names, make_detail
from kifabrik.transfer.objects import Progress
from kifabrik.transfer.sealing import Sealer, VersionHead

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


def seal_dataset(session: Session, name: str, source: Path, *, bar: Bar, description: str = "") -> SealedDataset:
    """Seal a folder or file as the next version of the dataset `name`, which is made if it is new.

    An interrupted sealing goes on where it stopped when it is repeated.

    Raises:
        UsageError: The name is not one, or there is something in the folder that cannot be sealed.
        ConflictError: Files changed meanwhile, or somebody else sealed a version at the same time.
        RefusedError: The keyholder has published no recipient for a new dataset.
    """
    check_name(name)
    for _ in range(_TRIES - 1):
        target = _target(session, session.catalogue(), name)
        try:
            return _seal(session, target, name, source, bar, description)
        except ConflictError:
            # Two people may take the same unused id for a new dataset; whoever is second takes the next.
            if target.version > 1 or _target(session, session.catalogue(), name) == target:
                raise
    return _seal(session, _target(session, session.catalogue(), name), name, source, bar, description)


def _target(session: Session, catalogue: Catalogue, name: str) -> _Target:
    listed = session.recipients.datasets
    try:
        known = catalogue.dataset(name)
    except NotFoundError:
        taken = {one.dataset for one in catalogue.datasets()}
        free = sorted(set(listed) - taken)
        if not free:
            raise RefusedError(
                "the keyholder has no unused dataset recipient",
                hint="Start the keyholder (kifabrik keyholder run): it publishes new ones by itself.",
            ) from None
        chosen = _pending(session, name, free) or free[0]
        return _Target(chosen, Recipient.from_text(listed[chosen]), 1, "")
    if known.dataset not in listed:
        raise RefusedError(f"the keyholder no longer lists a recipient for {name!r}", hint="Was it erased?")
    recipient = Recipient.from_text(listed[known.dataset])
    catalogue.version(known, len(known.manifests))
    return _Target(known.dataset, recipient, len(known.manifests) + 1, known.manifests[-1])


def _pending(session: Session, name: str, free: list[str]) -> str | None:
    """The dataset id an interrupted first sealing under this name had chosen."""
    for dataset in free:
        note = _folder(session, dataset) / "name"
        if note.exists() and note.read_text(encoding="utf-8") == name:
            return dataset
    return None


def _folder(session: Session, dataset: str) -> Path:
    return member_folder(session.home, "datasets") / dataset


def _seal(session: Session, target: _Target, name: str, source: Path, bar: Bar, description: str) -> SealedDataset:
    folder = _folder(session, target.dataset)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "name").write_text(name, encoding="utf-8")
    previous = _indexes(folder, target)
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
        plan_shards(source, previous=previous) as plan,
        IndexWriter(unfinished, owner=target.dataset, recipient=target.recipient.text) as index,
        bar(f"sealing {name}", _total(plan)) as progress,
    ):
        sealed = Sealer(head, session.store, folder / "spool", on_sealed=progress).seal(plan, index)
        envelope = sign_manifest(sealed.manifest, session.profile.device)
        names = Names(
            envelope.digest, target.dataset, {"name": name, "files": len(plan.files), "size": plan.files_size}
        )
        detail = make_detail(names, session.catalogue_recipient, session.profile.device)
        logged = session.datasets.register(envelope, detail)
        index.finish(envelope.digest)
        reused = sum(shard.reused is not None for shard in plan.shards)
    _keep(folder, unfinished, target.version)
    return SealedDataset(
        name=name,
        dataset=target.dataset,
        version=target.version,
        manifest=envelope.digest,
        files=len(plan.files),
        size=plan.files_size,
        shards=len(plan.shards),
        reused=reused,
        log_index=logged.log_index,
    )


def _total(plan: Plan) -> int:
    return sum(shard.plain_size for shard in plan.shards)


def _recovery(session: Session) -> list[Recipient]:
    text = session.keyholder.recovery_recipient
    return [Recipient.from_text(text)] if text else []


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
