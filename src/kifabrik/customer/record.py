"""The ledger on this machine: its own mirror, exported and verified without a server."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from kifabrik.customer.profile import Profile, member_folder
from kifabrik.customer.session import COSIGNED, Session
from kifabrik.errors import IntegrityError, NotFoundError
from kifabrik.ledger.checkpoint import log_origin
from kifabrik.ledger.folder import export
from kifabrik.ledger.mirror import Mirror
from kifabrik.ledger.mirror_files import MirrorFiles
from kifabrik.ledger.policy import Policy
from kifabrik.ledger.verify import Report, verify_folder


@dataclass(frozen=True)
class OfflineReport:
    """What verifying this machine's copy found.

    Args:
        report: Of the cosigned part of the log.
        held: Entries this machine holds.
    """

    report: Report
    held: int


def keep_cosigned_head(session: Session) -> None:
    """Bring the mirror up to date, and remember the newest head the keyholder's witness has cosigned."""
    mirror = session.mirror()
    try:
        text = session.log.cosigned()
    except NotFoundError:
        return
    accepted = session.accept(text)
    if accepted.head.size <= mirror.size:
        (member_folder(session.home, "ledger") / COSIGNED).write_text(text, encoding="utf-8")


def verify_offline(home: Path) -> OfflineReport:
    """Verify this machine's copy against the newest cosigned head it knows. Asks no server.

    Raises:
        NotFoundError: This machine holds no cosigned head yet.
        IntegrityError: The copy is damaged.
    """
    profile = Profile.load(home)
    with TemporaryDirectory(prefix="kifabrik-ledger-") as folder:
        held = export_log(home, Path(folder))
        report = verify_folder(Path(folder), Policy.parse(profile.policy))
    return OfflineReport(report, held)


def export_log(home: Path, target: Path) -> int:
    """Write the log up to its newest cosigned head as a c2sp.org/tlog-tiles folder; return entries held.

    Raises:
        NotFoundError: There is no cosigned head yet.
    """
    profile = Profile.load(home)
    folder = member_folder(home, "ledger")
    try:
        text = (folder / COSIGNED).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFoundError(
            "no cosigned tree head is known here yet",
            hint="Run 'kifabrik ledger show' once, with the keyholder on.",
        ) from None
    policy = Policy.parse(profile.policy)
    head = policy.accept(text).head
    with MirrorFiles(folder, read_only=True) as files:
        mirror = Mirror(log_origin(profile.tenant), files)
        if mirror.size < head.size:
            raise IntegrityError("this machine's copy of the log is shorter than a head it has accepted")
        cosigned = Mirror(log_origin(profile.tenant))
        cosigned.extend(mirror.entries(0, head.size), head)
        cosigned.keep(text)
        export(cosigned, target, policy)
        return mirror.size
