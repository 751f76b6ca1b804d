"""What a certificate of erasure says: all that cannot be undone, up to a head of the log that it names.

Invariants:
- nothing is certified before the log, looked at to its end and cosigned, shows the decision: from there on the
  factory takes no lease of the dataset, so nothing that had keys can be missing;
- nothing is certified before the database was rewritten without the identity;
- the certificate names every earlier release of the dataset's keys and of keys of what was made from it, every run
  that had such keys and whether it has ended, every result, every backup that was made before, lapsed or not, every
  time from which backups are not known, and the recovery recipient;
- it is complete only when no unexpired backup holds the key and no run that had keys goes on;
- when one of these changes, a new certificate is made.
"""

from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Final

from kifabrik.errors import IntegrityError
from kifabrik.grants.statements import Derived, Erasure, ErasureCertificate, KeyedRun, Release
from kifabrik.keyholder.cases import Books
from kifabrik.keyholder.database import Database
from kifabrik.keyholder.erasures import KeptErasure
from kifabrik.keyholder.log_watch import LogWatch
from kifabrik.keyholder.outbox import Errand, Outbox
from kifabrik.keyholder.records import GivenLease
from kifabrik.keyholder.references import text_in
from kifabrik.keyholder.restored import restored_times
from kifabrik.keyholder.state import State
from kifabrik.keyholder.vault import result_secret
from kifabrik.ledger.checkpoint import TreeHead
from kifabrik.ledger.entry import Entry, EntryKind
from kifabrik.signatures.canonical import to_canonical
from kifabrik.signatures.statements import read_unverified, sign_statement
from kifabrik.values import sha256_hex

_CHUNK: Final = 4096
_ENDED: Final = f'"{EntryKind.RUN_FINISHED}"'.encode()


class AttemptsEnded:
    """Which attempts the log shows to have ended; reads each entry once, and only where somebody asks.

    Args:
        db: Knows whose end does not verify: what such an attempt has put out is not known.
        watch: The mirror.
    """

    def __init__(self, db: Database, watch: LogWatch) -> None:
        self._db = db
        self._watch = watch
        self._ends: dict[str, int] = {}
        self._read = 0

    def look(self) -> set[str]:
        """Return the attempts whose end stands in the mirror and was understood."""
        while self._read < self._watch.size:
            end = min(self._read + _CHUNK, self._watch.size)
            for index, data in enumerate(self._watch.entries_between(self._read, end), self._read):
                if _ENDED in data:
                    self._note(index, data)
            self._read = end
        doubtful = {int(row["log_index"]) for row in self._db.rows("SELECT log_index FROM unresolved")}
        return {attempt for attempt, index in self._ends.items() if index not in doubtful}

    def _note(self, index: int, data: bytes) -> None:
        try:
            entry = Entry.from_bytes(data)
        except IntegrityError:
            return
        if entry.kind is EntryKind.RUN_FINISHED and (attempt := text_in(entry, "attempt")):
            self._ends.setdefault(attempt, index)


class Certifier:
    """Certifies erasures that were carried out.

    Args:
        state: Keys and clock.
        books: Records.
        watch: The mirror: what is certified is what it shows.
    """

    def __init__(self, state: State, books: Books, watch: LogWatch) -> None:
        self._state = state
        self._books = books
        self._watch = watch
        self._outbox = Outbox(state.db)
        self._ended = AttemptsEnded(state.db, watch)

    def is_due(self) -> bool:
        """Whether there is something new to certify."""
        return any(self._content(one) != one.certified for one in self._ready())

    def certify(self, head: TreeHead) -> int:
        """Make the certificates that are due; return how many.

        Args:
            head: Of the log to its end, all of it learnt, and cosigned.
        """
        with self._state.db.transaction():  # another process may be erasing
            due = [(one, content) for one in self._ready() if (content := self._content(one)) != one.certified]
            for erasure, content in due:
                said = replace(self.certificate(erasure), log_size=head.size, log_root=head.root.hex())
                envelope = sign_statement(said, {"erasure": erasure.digest}, self._state.keyholder_key)
                self._outbox.put(Errand.CERTIFICATE, envelope, None, self._state.clock.text())
                self._books.erasures.set_certified(erasure.dataset, content)
        return len(due)

    def _ready(self) -> list[KeptErasure]:
        """Return the erasures that were carried out and whose decision the mirror shows."""
        if self._state.vault.owes_shred:
            return []
        sent = (*self._outbox.waiting(), *self._outbox.promised())
        unseen = {read_unverified(one.envelope, Erasure)[0].dataset for one in sent if one.kind is Errand.ERASURE}
        return [one for one in self._books.erasures.all() if one.destroyed and one.dataset not in unseen]

    def _content(self, erasure: KeptErasure) -> str:
        """Return the digest of what a certificate would say; when and of how long a log is not what it says."""
        said = asdict(replace(self.certificate(erasure), destroyed=""))
        return sha256_hex(to_canonical(said))

    def certificate(self, erasure: KeptErasure) -> ErasureCertificate:
        """Return what can be certified now, but for the head."""
        now = self._state.clock.now()
        backups = self._books.erasures.backups_holding(erasure, now)
        manifests = self._books.holdings.manifests_of(erasure.dataset)
        descendants = self._books.lineage.descendants(erasure.dataset)
        keyed = self._runs(descendants)
        records = self._books.records
        return ErasureCertificate(
            tenant=self._state.tenant,
            dataset=erasure.dataset,
            erasure=erasure.digest,
            manifests=manifests,
            releases=_named(records.releases_of(erasure.dataset)),
            derived=self._derived(descendants),
            backups=backups,
            # Named from the first statement to the last: members seal every version to it as well.
            recovery=self._state.statement.recovery_recipient if manifests else "",
            complete=not backups and all(one.ended for one in keyed),
            destroyed=erasure.destroyed,
            runs=keyed,
            results_released=_named(records.result_releases_of(erasure.dataset)),
            restored=restored_times(self._state.settings),
            lapsed=self._books.erasures.backups_lapsed(erasure, now),
        )

    def _runs(self, descendants: Iterable[str]) -> tuple[KeyedRun, ...]:
        """Return the runs that were given keys; one whose lease was taken back never was."""
        leases = {run: self._books.records.attempts(run) for run in descendants}
        if not any(leases.values()):
            return ()
        ended = self._ended.look()
        return tuple(
            KeyedRun(run, all(one.receiver in ended for one in given), self._result_gone(run))
            for run, given in leases.items()
            if given
        )

    def _derived(self, descendants: Iterable[str]) -> tuple[Derived, ...]:
        lineage = self._books.lineage
        return tuple(
            Derived(output.owner, output.manifest, self._result_gone(output.run))
            for run in descendants
            for output in lineage.outputs(run)
        )

    def _result_gone(self, run: str) -> bool:
        recipient = self._books.lineage.result_recipient(run)
        return bool(recipient) and self._state.vault.find(result_secret(recipient)) is None


def _named(leases: Iterable[GivenLease]) -> tuple[Release, ...]:
    return tuple(Release(one.lease, one.run, one.receiver, one.created) for one in leases)
