"""A keyholder from its backup: it first relearns the log, then says in the log that it was restored.

Invariants:
- the log must contain everything the backup knew, and the backup's own last decision: a forked or
  rolled-back log is refused before anything is signed;
- what the log says was erased, revoked or removed since the backup takes effect before the first answer;
- the new keyholder has a new witness key and a higher sequence; the tenant key has signed it.
"""

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from kifabrik.durable import put_in_place
from kifabrik.errors import ConflictError, IntegrityError, NotFoundError, RefusedError
from kifabrik.keyholder.backup import BackupContent, read_backup, unpack
from kifabrik.keyholder.cases import Books
from kifabrik.keyholder.connecting import Factory, connect
from kifabrik.keyholder.database import Database
from kifabrik.keyholder.erasing import Eraser
from kifabrik.keyholder.events import OnEvent, unheard
from kifabrik.keyholder.files import make_private_folder, write_private
from kifabrik.keyholder.learning import Learner
from kifabrik.keyholder.library import Library
from kifabrik.keyholder.log_watch import LogWatch
from kifabrik.keyholder.outbox import Outbox
from kifabrik.keyholder.recipients import publish_recipients
from kifabrik.keyholder.restored import add_restored_time
from kifabrik.keyholder.results import fill_results
from kifabrik.keyholder.settings import Setting
from kifabrik.keyholder.state import DATABASE, TENANT_KEY_FILE, State
from kifabrik.keyholder.tenant_key import load_tenant_key
from kifabrik.keyholder.unlocking import STATE_KEY_BYTES, protect
from kifabrik.keyholder.vault import WITNESS
from kifabrik.ledger.checkpoint import TreeHead, verify_tree_head
from kifabrik.ledger.merkle import leaf_hash, root_of
from kifabrik.seals.passphrase import WORK_FACTOR
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import sign_statement
from kifabrik.tenants.trust import check_tenant_key, verify_keyholder, verify_recipients
from kifabrik.values import now_utc, parse_time

_PATIENCE_S: Final = 10.0


def restore(
    home: Path,
    file: Path,
    backup_passphrase: str,
    passphrase: str,
    *,
    tenant_key: Path | None = None,
    tenant_passphrase: str = "",
    known_heads: Sequence[str] = (),
    work_factor: int = WORK_FACTOR,
    say: OnEvent = unheard,
    wall: Callable[[], datetime] = now_utc,
    dial: Callable[[State], Factory] | None = None,
) -> None:
    """Make a keyholder from a backup in a new folder.

    Args:
        home: A folder without a keyholder.
        file: The backup.
        backup_passphrase: Of the backup.
        passphrase: For the new folder.
        tenant_key: The tenant key file; the one in the backup if None.
        tenant_passphrase: Of the tenant key; the new folder's passphrase if empty.
        known_heads: Tree heads (signed notes) that members have seen since: the log must contain them too.
        work_factor: Of scrypt.
        say: Told what is done.
        wall: The machine's clock.
        dial: Connects to the factory; over HTTP if None.

    Raises:
        ConflictError: There is a keyholder in the folder.
        RefusedError: A passphrase is wrong, or the backup has lapsed.
        IntegrityError: The log was forked or rolled back since the backup.
        UnavailableError: The factory cannot be reached.
    """
    if (home / DATABASE).exists():
        raise ConflictError(f"there is a keyholder in {home} already", hint="Choose an empty folder.")
    content = read_backup(file, backup_passphrase)
    if parse_time(content.backup.expires) <= max(wall(), parse_time(content.settings[Setting.LATEST_TIME])):
        raise RefusedError(
            f"this backup lapsed at {content.backup.expires}", hint="Erasures rely on that: use a newer one."
        )
    make_private_folder(home)
    if content.tenant_key_file:
        write_private(home / TENANT_KEY_FILE, content.tenant_key_file)
    key = load_tenant_key(tenant_key or home, tenant_passphrase or passphrase)
    state_key = secrets.token_bytes(STATE_KEY_BYTES)
    protect(home, state_key, passphrase, work_factor=work_factor)
    unfinished = home / f"{DATABASE}.unfinished"
    for suffix in ("", "-wal", "-shm"):
        unfinished.with_name(unfinished.name + suffix).unlink(missing_ok=True)
    with Database(unfinished) as db:
        state = State.over(home, db, state_key, wall)
        _fill(state, content)
        check_tenant_key(state.tenant, key.public)
        factory = dial(state) if dial else connect(state, patience_s=_PATIENCE_S)
        try:
            _Restoring(state, factory, say).run(content, key, known_heads)
        finally:
            factory.close()
    put_in_place(unfinished, home / DATABASE)


def _fill(state: State, content: BackupContent) -> None:
    """Write what the backup holds."""
    with state.db.transaction():
        for name, value in content.settings.items():
            if name not in (Setting.MIRROR_HEAD, Setting.LOG_VKEY) or value:
                state.settings.set(Setting(name), value)
        # The mirror is fetched anew; the backup's head is only compared with.
        state.db.execute("DELETE FROM settings WHERE name = ?", (Setting.MIRROR_HEAD.value,))
        for one in content.secrets:
            state.vault.put(one.name, one.secret, public=one.public, created=one.created)
        for table, rows in content.tables.items():
            for row in rows:
                columns = ", ".join(row)
                marks = ", ".join("?" * len(row))
                statement = f"INSERT INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608 - checked below
                if not all(column.isidentifier() for column in row):
                    raise IntegrityError("the backup has a column that is not one")
                state.db.execute(statement, [unpack(value) for value in row.values()])


class _Restoring:
    def __init__(self, state: State, factory: Factory, say: OnEvent) -> None:
        self._state = state
        self._factory = factory
        self._say = say
        self._books = Books.of(state)
        library = Library(factory)
        self._watch = LogWatch(state, factory, library, say)
        self._learner = Learner(state, self._books, library, self._watch, say)

    def run(self, content: BackupContent, key: SigningKey, known_heads: Iterable[str]) -> None:
        head = self._watch.follow()
        heads = [verify_tree_head(text, self._state.log_key) for text in known_heads]
        if content.settings[Setting.MIRROR_HEAD]:
            heads.append(TreeHead.parse(content.settings[Setting.MIRROR_HEAD]))
        for known in heads:
            self._check(known)
        self._relearn(head.size)
        self._check_decisions()
        add_restored_time(self._state.settings, content.backup.created, self._state.clock.text())
        Eraser(self._state, self._books).carry_out()
        index = self._replace(key)
        self._watch.follow()
        self._relearn(index + 1)
        Eraser(self._state, self._books).carry_out()
        self._publish()
        self._watch.follow()
        self._learner.learn()
        self._watch.cosign()

    def _check(self, known: TreeHead) -> None:
        """Check that the log still begins with what was known of it.

        Raises:
            IntegrityError: It does not.
        """
        leaves = [leaf_hash(data) for data in self._watch.entries_from(0)[: known.size]]
        if len(leaves) < known.size or root_of(leaves) != known.root:
            what = "was rolled back" if len(leaves) < known.size else "was forked"
            raise IntegrityError(
                f"the log {what}: it does not contain the first {known.size} entries that were known before",
                hint="Restore nothing; keep the backup as evidence and ask the factory's operator.",
            )

    def _relearn(self, size: int) -> None:
        self._state.settings.set(Setting.RESTORED_SIZE, size)
        self._learner.learn()

    def _check_decisions(self) -> None:
        """Check that every decision that stood in the log at the time of the backup still does.

        Raises:
            IntegrityError: One does not.
        """
        size = self._watch.size
        for row in self._state.db.rows("SELECT request, log_index FROM decisions WHERE log_index IS NOT NULL"):
            if int(row["log_index"]) >= size:
                raise IntegrityError(f"the log has lost the decision on request {row['request'][:12]}")

    def _replace(self, key: SigningKey) -> int:
        """Name this keyholder in place of the one that was lost; return the index of its entry."""
        own = self._state.statement
        present = verify_keyholder(self._state.tenant_key, self._factory.tenants.keyholder())
        witness, created = SigningKey.generate(), self._state.clock.text()
        said = replace(
            own,
            sequence=max(own.sequence, present.sequence) + 1,
            witness_key=witness.public.hex,
            created=created,
        )
        envelope = sign_statement(said, {}, key)
        with self._state.db.transaction():
            self._state.vault.put_signing_key(WITNESS, witness, created=created)
            self._state.settings.set(Setting.STATEMENT, envelope.to_json())
        return self._factory.tenants.replace_keyholder(envelope).log_index

    def _publish(self) -> None:
        """Fill the pools and publish recipients, with a sequence above every earlier list's."""
        settings = self._state.settings
        try:
            last = verify_recipients(self._state.statement, self._factory.tenants.recipients()).sequence
        except NotFoundError:
            last = 0
        settings.set(Setting.RECIPIENTS_SEQUENCE, max(last, settings.number(Setting.RECIPIENTS_SEQUENCE)))
        fill_results(self._state.vault, self._books.lineage, self._state.clock.text())
        publish_recipients(self._state, self._books)
        Outbox(self._state.db).deliver(self._factory, self._say)
