"""A backup: one file under a passphrase of its own, with everything but the witness key.

Invariants:
- the witness key is never in it: who restores makes a new one, and the log shows it;
- a backup is registered here before it is written, with the day it lapses, because an erasure is not
  complete while a backup still holds the key.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from kifabrik.errors import ConflictError, IntegrityError, KifabrikError, RefusedError, UsageError
from kifabrik.grants.statements import Backup
from kifabrik.keyholder.erasures import Erasures
from kifabrik.keyholder.files import write_private
from kifabrik.keyholder.schema import BACKED_UP
from kifabrik.keyholder.settings import Setting
from kifabrik.keyholder.state import TENANT_KEY_FILE, State
from kifabrik.keyholder.vault import WITNESS
from kifabrik.seals.passphrase import WORK_FACTOR, open_with_passphrase, seal_with_passphrase
from kifabrik.values import Kind, format_time, new_id

BACKUP_DAYS: Final = 30
_FORMAT: Final = "kifabrik-keyholder-backup/v1"
_KEPT_SETTINGS: Final = (
    Setting.TENANT_KEY,
    Setting.FACTORY,
    Setting.CA_PEM,
    Setting.STATEMENT,
    Setting.LOG_VKEY,
    Setting.LATEST_TIME,
    Setting.RECIPIENTS_SEQUENCE,
    Setting.RESTORED_TIMES,
    Setting.MIRROR_HEAD,
)


@dataclass(frozen=True)
class BackedUpSecret:
    """One private key."""

    name: str
    public: str
    created: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True)
class BackupContent:
    """What a backup file holds.

    Args:
        backup: Its id and times.
        settings: By name.
        secrets: All but the witness key.
        tables: Rows by table; bytes as `{"b": base64}`.
        tenant_key_file: The sealed tenant key as it lay beside; empty if it had been taken away.
    """

    backup: Backup
    settings: Mapping[str, str]
    secrets: tuple[BackedUpSecret, ...]
    tables: Mapping[str, list[dict[str, Any]]]
    tenant_key_file: bytes = field(repr=False)


def write_backup(
    state: State, path: Path, passphrase: str, *, days: int = BACKUP_DAYS, work_factor: int = WORK_FACTOR
) -> Backup:
    """Write a backup and register it.

    Args:
        state: What is backed up.
        path: A file that does not exist yet.
        passphrase: Of the backup; keep it elsewhere than the keyholder's.
        days: After which it lapses: destroy it by then.
        work_factor: Of scrypt.

    Raises:
        ConflictError: The file exists.
        UsageError: The passphrase is empty, or no days were given.
    """
    if days < 1 or not passphrase:
        raise UsageError("a backup needs a passphrase and at least one day until it lapses")
    if path.exists():
        raise ConflictError(f"{path} exists", hint="Choose another name; a backup replaces none.")
    now = state.clock.now()
    backup = Backup(f"b{new_id(Kind.LEASE)[1:]}", format_time(now), format_time(now + timedelta(days=days)))
    with state.db.transaction():
        Erasures(state.db).add_backup(backup)
        body = _body(state, backup)
    sealed = seal_with_passphrase(json.dumps(body).encode(), passphrase, work_factor=work_factor)
    try:
        write_private(path, sealed)
    except KifabrikError:
        # Nothing lies there: no erasure need wait for it. A kill leaves it registered, which errs on the safe side.
        path.unlink(missing_ok=True)
        Erasures(state.db).drop_backup(backup)
        raise
    return backup


def read_backup(path: Path, passphrase: str) -> BackupContent:
    """Open a backup file.

    Raises:
        RefusedError: The passphrase is wrong.
        IntegrityError: The file is not a backup.
        NotFoundError: There is no such file.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from None
    try:
        plain = open_with_passphrase(data, passphrase)
    except IntegrityError:
        raise RefusedError(f"this passphrase does not open {path}", hint="Try again.") from None
    try:
        body = json.loads(plain)
        if body["format"] != _FORMAT:
            raise IntegrityError(f"{path} was written by another version of kifabrik")
        return BackupContent(
            Backup(**body["backup"]),
            {str(name): str(value) for name, value in body["settings"].items()},
            tuple(
                BackedUpSecret(one["name"], one["public"], one["created"], base64.b64decode(one["secret"]))
                for one in body["secrets"]
            ),
            {table: body["tables"][table] for table in BACKED_UP},
            base64.b64decode(body["tenant_key_file"]),
        )
    except (ValueError, KeyError, TypeError):
        raise IntegrityError(f"{path} is not a backup of a keyholder") from None


def _body(state: State, backup: Backup) -> dict[str, Any]:
    tenant_key = state.home / TENANT_KEY_FILE
    return {
        "format": _FORMAT,
        "backup": {"backup": backup.backup, "created": backup.created, "expires": backup.expires},
        "settings": {name.value: state.settings.find(name) or "" for name in _KEPT_SETTINGS},
        "secrets": [
            {
                "name": one.name,
                "public": one.public,
                "created": one.created,
                "secret": base64.b64encode(state.vault.get(one.name)).decode(),
            }
            for one in state.vault.listed()
            if one.name != WITNESS
        ],
        "tables": {table: _rows(state, table) for table in BACKED_UP},
        "tenant_key_file": base64.b64encode(tenant_key.read_bytes() if tenant_key.exists() else b"").decode(),
    }


def _rows(state: State, table: str) -> list[dict[str, Any]]:
    rows = state.db.rows(f"SELECT * FROM {table}")  # noqa: S608 - from `BACKED_UP`
    return [{key: pack(row[key]) for key in row.keys()} for row in rows]  # noqa: SIM118 - not a dict


def pack(value: Any) -> Any:
    """Return a column as JSON can hold it."""
    return {"b": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def unpack(value: Any) -> Any:
    """Return what `pack` was given."""
    return base64.b64decode(value["b"]) if isinstance(value, dict) else value
