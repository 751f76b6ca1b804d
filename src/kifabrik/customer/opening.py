"""Opening what was sealed into a folder of this machine."""

from pathlib import Path

from kifabrik.customer.seal import Bar
from kifabrik.customer.session import Session
from kifabrik.customer.unfinished import unfinished_folder
from kifabrik.transfer.opening import OpenedVersion, unpack


def open_whole(session: Session, version: OpenedVersion, target: Path, bar: Bar, what: str) -> None:
    """Open all of a version into a folder, which appears whole or not at all.

    Args:
        session: Connected.
        version: What to open.
        target: Folder to make; there may be an empty one.
        bar: Makes a progress bar.
        what: Name to show beside it.

    Raises:
        IntegrityError: The bytes do not verify.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        unfinished_folder(session.home, target.name, parent=target.parent) as unfinished,
        bar(f"opening {what}", version.plain_size) as progress,
    ):
        folder = unfinished / "opened"
        folder.mkdir()
        unpack(version, folder, session.store, verify=True, progress=progress)
        if target.exists():
            target.rmdir()
        folder.replace(target)
