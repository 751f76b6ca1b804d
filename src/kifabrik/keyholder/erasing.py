"""Erasure carried out: identities destroyed, and a certificate that says what cannot be undone.

Invariants:
- an identity is destroyed here as soon as the tenant key has decided so, with or without the factory, and with it
  the keys that were wrapped for others and have not left yet;
- nothing is certified before the database was rewritten without the identity;
- the certificate names every earlier release, every result made from the dataset, every backup that
  still holds the key, and the recovery recipient; it is complete only when no unexpired backup holds the key;
- when one of these changes, a new certificate is made.
"""

from collections.abc import Sequence
from dataclasses import replace

from kifabrik.grants.statements import Backup, Derived, ErasureCertificate, Release
from kifabrik.keyholder.blocks import Cause
from kifabrik.keyholder.cases import Books
from kifabrik.keyholder.erasures import KeptErasure
from kifabrik.keyholder.outbox import Errand, Outbox
from kifabrik.keyholder.state import State
from kifabrik.keyholder.vault import dataset_secret, result_secret
from kifabrik.signatures.canonical import to_canonical
from kifabrik.signatures.statements import sign_statement
from kifabrik.values import parse_time, sha256_hex


class Eraser:
    """Carries out erasures and certifies them.

    Args:
        state: Keys and clock.
        books: Records.
    """

    def __init__(self, state: State, books: Books) -> None:
        self._state = state
        self._books = books
        self._outbox = Outbox(state.db)

    def carry_out(self) -> list[str]:
        """Do whatever decided erasures still ask for; return the datasets whose identity was destroyed now.

        Raises:
            CapacityError: The disk has no room to rewrite the database; nothing is certified before that is done.
            UnavailableError: Another program is reading the database, likewise.
        """
        gone = [erasure.dataset for erasure in self._books.erasures.all() if self._destroy(erasure)]
        if self._state.vault.owes_shred:
            self._state.vault.shred()
        for erasure in self._books.erasures.all():
            self._certify(erasure)
        return gone

    def _destroy(self, erasure: KeptErasure) -> bool:
        """Destroy the identity of a dataset, and those of the results made from it if decided so."""
        with self._state.db.transaction():
            now = self._state.clock.text()
            self._books.blocks.add(erasure.dataset, Cause.ERASED, now)
            names = [dataset_secret(erasure.dataset)]
            if erasure.derived:
                names += self._result_names(erasure.dataset)
            # Runs that finish later, and a restored backup, may bring names back: look every time.
            gone = self._state.vault.destroy(names)
            self._books.records.drop_headers(erasure.dataset, results=erasure.derived)
            if not erasure.destroyed:
                self._books.erasures.set_destroyed(erasure.dataset, now)
            self._state.clock.keep()
            return gone > 0

    def _result_names(self, dataset: str) -> list[str]:
        lineage = self._books.lineage
        recipients = [lineage.result_recipient(run) for run in lineage.descendants(dataset)]
        return [result_secret(recipient) for recipient in recipients if recipient]

    def _certify(self, erasure: KeptErasure) -> None:
        """Make a certificate if there is something new to certify."""
        certificate = self.certificate(erasure)
        content = sha256_hex(to_canonical(_plain(replace(certificate, destroyed=""))))
        if content == erasure.certified:
            return
        envelope = sign_statement(certificate, {"erasure": erasure.digest}, self._state.keyholder_key)
        with self._state.db.transaction():
            self._outbox.put(Errand.CERTIFICATE, envelope, None, self._state.clock.text())
            self._books.erasures.set_certified(erasure.dataset, content)

    def certificate(self, erasure: KeptErasure) -> ErasureCertificate:
        """Return what can be certified now."""
        backups = self._backups_holding(erasure)
        manifests = self._books.holdings.manifests_of(erasure.dataset)
        return ErasureCertificate(
            tenant=self._state.tenant,
            dataset=erasure.dataset,
            erasure=erasure.digest,
            manifests=manifests,
            releases=tuple(
                Release(lease.lease, lease.run, lease.receiver, lease.created)
                for lease in self._books.records.releases_of(erasure.dataset)
            ),
            derived=self._derived(erasure),
            backups=backups,
            # Named from the first statement to the last: members seal every version to it as well.
            recovery=self._state.statement.recovery_recipient if manifests else "",
            complete=not backups,
            destroyed=erasure.destroyed,
        )

    def _derived(self, erasure: KeptErasure) -> tuple[Derived, ...]:
        lineage = self._books.lineage
        return tuple(
            Derived(output.owner, output.manifest, self._result_gone(output.run))
            for run in lineage.descendants(erasure.dataset)
            for output in lineage.outputs(run)
        )

    def _result_gone(self, run: str) -> bool:
        recipient = self._books.lineage.result_recipient(run)
        return self._state.vault.find(result_secret(recipient)) is None

    def _backups_holding(self, erasure: KeptErasure) -> tuple[Backup, ...]:
        """Return the unexpired backups made before the identity was destroyed."""
        now = self._state.clock.now()
        return tuple(
            backup
            for backup in self._books.erasures.backups()
            if backup.created <= erasure.destroyed and parse_time(backup.expires) > now
        )

    def next_lapse_s(self) -> float | None:
        """Return the seconds until a backup lapses that an erasure waits for; None if none does."""
        waiting: Sequence[Backup] = [
            backup for erasure in self._books.erasures.all() for backup in self._backups_holding(erasure)
        ]
        now = self._state.clock.now()
        return min((max((parse_time(one.expires) - now).total_seconds(), 0) for one in waiting), default=None)


def _plain(certificate: ErasureCertificate) -> dict[str, object]:
    return {
        "dataset": certificate.dataset,
        "erasure": certificate.erasure,
        "manifests": list(certificate.manifests),
        "releases": [release.lease for release in certificate.releases],
        "derived": [[one.owner, one.manifest, one.erased] for one in certificate.derived],
        "backups": [backup.backup for backup in certificate.backups],
        "recovery": certificate.recovery,
        "complete": certificate.complete,
    }
