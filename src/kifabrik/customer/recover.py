"""Opening a dataset with the recovery identity from the safe, when the keyholder and its backups are gone."""

from dataclasses import dataclass
from pathlib import Path

from kifabrik.customer.opening import open_whole
from kifabrik.customer.seal import Bar
from kifabrik.customer.session import Session
from kifabrik.errors import ConflictError
from kifabrik.seals.identities import Identity
from kifabrik.transfer.opening import open_contents


@dataclass(frozen=True)
class Recovered:
    """A dataset version that lies opened on this machine."""

    name: str
    version: int
    folder: Path
    files: int
    size: int


def recover_dataset(
    session: Session, name: str, version: int, identity: Identity, target: Path, *, bar: Bar
) -> Recovered:
    """Open a version of a dataset without the keyholder. The folder appears whole or not at all.

    Args:
        session: Connected.
        name: Dataset name or id.
        version: From 1; 0 for the newest.
        identity: The recovery identity, or the dataset's own.
        target: Folder to make.
        bar: Makes a progress bar.

    Raises:
        NotFoundError: There is no such dataset or version.
        ConflictError: The folder exists.
        IntegrityError: The dataset was not sealed to this identity, or does not verify.
    """
    if target.exists():
        raise ConflictError(f"{target} exists", hint="Name a new folder with --to.")
    catalogue = session.catalogue()
    found = catalogue.dataset(name)
    number = version or len(found.manifests)
    manifest = catalogue.version(found, number)
    headers = session.store.fetch(manifest.headers, manifest.headers_size)
    opened = open_contents(manifest, headers, [identity], session.store)
    open_whole(session, opened, target, bar, found.name)
    return Recovered(found.name, number, target, opened.contents.file_count, opened.contents.files_size)
