"""Making a tenant: every key is made here, and only public halves leave.

Invariants:
- the folder is complete before the factory hears of it, so an interrupted sign-up is repeated with the
  same keys;
- the tenant key lies in a file of its own under its own passphrase, for the steward to take away.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kifabrik.client.connection import Connection
from kifabrik.client.tenants import Tenants
from kifabrik.durable import put_in_place
from kifabrik.errors import ConflictError, IntegrityError, UsageError
from kifabrik.keyholder.cases import Books
from kifabrik.keyholder.connecting import connect
from kifabrik.keyholder.database import Database
from kifabrik.keyholder.events import unheard
from kifabrik.keyholder.files import make_private_folder
from kifabrik.keyholder.outbox import Outbox
from kifabrik.keyholder.recipients import publish_recipients
from kifabrik.keyholder.results import fill_results
from kifabrik.keyholder.settings import Setting
from kifabrik.keyholder.state import DATABASE, State, open_state
from kifabrik.keyholder.tenant_key import save_tenant_key
from kifabrik.keyholder.unlocking import STATE_KEY_BYTES, Passphrase, protect
from kifabrik.keyholder.vault import CATALOGUE, KEYHOLDER, ORDER, TOKEN, WITNESS
from kifabrik.ledger.checkpoint import log_origin
from kifabrik.ledger.notes import NoteVerifier
from kifabrik.seals.identities import Identity
from kifabrik.seals.passphrase import WORK_FACTOR
from kifabrik.seals.recipients import Recipient
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import sign_statement
from kifabrik.tenants.statements import KeyholderStatement
from kifabrik.values import format_time, now_utc
from kifabrik.wire.tenants import TenantCreated

NEW_RECOVERY: Final = "new"
"""As `recovery`: make an identity for the safe and return it once."""

_PATIENCE_S: Final = 10.0


@dataclass(frozen=True)
class NewTenant:
    """A tenant that was just made.

    Args:
        tenant: Its id, the fingerprint of the tenant key.
        home: The keyholder's folder.
        recovery_identity: To be printed and put into the safe; kept nowhere. Empty unless asked for.
    """

    tenant: str
    home: Path
    recovery_identity: str = field(default="", repr=False)


def create_tenant(
    home: Path,
    factory_url: str,
    code: str,
    passphrase: str,
    *,
    tenant_passphrase: str = "",
    recovery: str = "",
    ca_pem: str = "",
    work_factor: int = WORK_FACTOR,
    show_recovery: Callable[[str], None] = lambda _identity: None,
) -> NewTenant:
    """Make a tenant, its keyholder and all their keys, and sign up with a factory.

    Called again after an interruption, with the same passphrase, it goes on with the same keys.

    Args:
        home: A folder that does not exist yet or is empty.
        factory_url: URL of the factory's service.
        code: Sign-up code from the factory's operator.
        passphrase: Protects the keyholder's state.
        tenant_passphrase: Protects the tenant key; the same passphrase if empty.
        recovery: age recipient that datasets are sealed to as well, `NEW_RECOVERY`, or empty for none.
        ca_pem: Certificate authority of the factory, if it has its own.
        work_factor: Of scrypt, see `kifabrik.seals.passphrase`.
        show_recovery: Told the new recovery identity before anything is made that counts on it.

    Raises:
        ConflictError: There is a tenant in the folder already; or a new recovery identity was asked for again,
            and the one of the interrupted sign-up cannot be shown a second time.
        SignInError: The code is wrong or used up.
        UnavailableError: The factory cannot be reached; call again.
    """
    recovery_identity = ""
    shown_before = recovery == NEW_RECOVERY and (home / DATABASE).exists()
    if recovery == NEW_RECOVERY and not shown_before:
        identity = Identity.generate()
        recovery, recovery_identity = identity.recipient.text, identity.text
        show_recovery(recovery_identity)
    state = make_folder(
        home,
        factory_url,
        passphrase,
        tenant_passphrase=tenant_passphrase,
        recovery=recovery,
        ca_pem=ca_pem,
        work_factor=work_factor,
    )
    try:
        if shown_before:
            raise ConflictError(
                f"the sign-up in {home} was interrupted after its recovery identity had been shown",
                hint="If you have it, repeat without --recovery. If not, remove the folder and begin anew.",
            )
        _sign_up(state, code)
        return NewTenant(state.tenant, home, recovery_identity)
    finally:
        state.close()


def make_folder(
    home: Path,
    factory_url: str,
    passphrase: str,
    *,
    tenant_passphrase: str = "",
    recovery: str = "",
    ca_pem: str = "",
    work_factor: int = WORK_FACTOR,
) -> State:
    """Make all keys and write the whole folder, or open one whose sign-up was interrupted.

    Args:
        home: See `create_tenant`, as for the others.
        factory_url: URL of the factory's service.
        passphrase: Protects the keyholder's state.
        tenant_passphrase: Protects the tenant key; the same passphrase if empty.
        recovery: age recipient for the safe, or empty.
        ca_pem: Certificate authority of the factory, if it has its own.
        work_factor: Of scrypt.

    Raises:
        ConflictError: There is a tenant in the folder that has signed up.
        UsageError: The passphrase is empty, or the recovery recipient is none.
    """
    if (home / DATABASE).exists():
        state = open_state(home, Passphrase(passphrase))
        if state.settings.find(Setting.LOG_VKEY):
            state.close()
            raise ConflictError(f"there is a keyholder in {home} already", hint="Choose another folder.")
        return state
    if not passphrase:
        raise UsageError("an empty passphrase protects nothing")
    recovery = Recipient.from_text(recovery).text if recovery else ""
    make_private_folder(home)
    tenant_key, state_key = SigningKey.generate(), secrets.token_bytes(STATE_KEY_BYTES)
    protect(home, state_key, passphrase, work_factor=work_factor)
    save_tenant_key(home, tenant_key, tenant_passphrase or passphrase, work_factor=work_factor)
    # The database is what makes the folder count, so it comes last, in one step.
    unfinished = home / f"{DATABASE}.unfinished"
    _remove(unfinished)
    with Database(unfinished) as db, db.transaction():
        state = State.over(home, db, state_key)
        now = format_time(now_utc())
        for name, value in (
            (Setting.LATEST_TIME, now),
            (Setting.TENANT_KEY, tenant_key.public.hex),
            (Setting.FACTORY, factory_url),
            (Setting.CA_PEM, ca_pem),
        ):
            state.settings.set(name, value)
        statement = _make_keys(state, tenant_key, recovery, now)
        state.settings.set(Setting.STATEMENT, statement.to_json())
        fill_results(state.vault, Books.of(state).lineage, now)
    put_in_place(unfinished, home / DATABASE)
    return open_state(home, Passphrase(passphrase))


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _make_keys(state: State, tenant_key: SigningKey, recovery: str, now: str) -> Envelope:
    keyholder, witness = SigningKey.generate(), SigningKey.generate()
    order, catalogue = Identity.generate(), Identity.generate()
    state.vault.put_signing_key(KEYHOLDER, keyholder, created=now)
    state.vault.put_signing_key(WITNESS, witness, created=now)
    state.vault.put_identity(ORDER, order, created=now)
    state.vault.put_identity(CATALOGUE, catalogue, created=now)
    said = KeyholderStatement(
        tenant=tenant_key.public.tenant_id,
        sequence=1,
        keyholder_key=keyholder.public.hex,
        witness_key=witness.public.hex,
        order_recipient=order.recipient.text,
        catalogue_recipient=catalogue.recipient.text,
        recovery_recipient=recovery,
        created=now,
    )
    return sign_statement(said, {}, tenant_key)


def _sign_up(state: State, code: str) -> None:
    settings = state.settings
    connection = Connection(
        settings.get(Setting.FACTORY), ca_pem=settings.get(Setting.CA_PEM), patience_s=_PATIENCE_S
    )
    try:
        statement = Envelope.from_json(settings.get(Setting.STATEMENT))
        created = Tenants(connection).create(code, state.tenant_key.hex, statement)
    finally:
        connection.close()
    accept_sign_up(state, created)
    factory = connect(state, patience_s=_PATIENCE_S)
    try:
        Outbox(state.db).deliver(factory, unheard)
    finally:
        factory.close()


def accept_sign_up(state: State, created: TenantCreated) -> None:
    """Pin the log's key, keep the token, and put the first recipients into the outbox.

    Raises:
        IntegrityError: The log key is not named after this tenant.
    """
    if NoteVerifier.from_vkey(created.log_vkey).name != log_origin(state.tenant):
        raise IntegrityError("the factory named a log key of another tenant", hint="Ask the factory's operator.")
    with state.db.transaction():
        state.vault.put(TOKEN, created.token.encode(), public="", created=state.clock.text())
        state.settings.set(Setting.LOG_VKEY, created.log_vkey)
    publish_recipients(state, Books.of(state))
