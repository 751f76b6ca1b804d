"""A factory moves from SQLite to PostgreSQL and back, and goes on there with everything it had."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from kifabrik.wiring.factory import init_home
from parties import FactoryProcess
from ports import free_port
from postgres import PostgresServer, postgres

__all__ = ["postgres"]


def _copy(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return _admin(home, "database", "copy", *words)


def _admin(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    called = [sys.executable, "-m", "kifabrik.cli.main", "admin", *words, "--home", str(home)]
    return subprocess.run(called, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "80"})


def _restored(postgres: PostgresServer, tmp_path: Path, backup: subprocess.CompletedProcess[str]) -> None:
    """Restore a backup that was made beside the running service, as operations.md says."""
    assert backup.returncode == 0, backup.stderr
    address = _fresh(postgres, "restored")
    dump = tmp_path / "backup" / "factory.dump"
    assert dump.stat().st_mode & 0o077 == 0
    subprocess.run(["pg_restore", "--exit-on-error", f"--dbname={address}", dump], check=True)
    shutil.copytree(tmp_path / "backup", tmp_path / "restored" / "factory")
    _name(tmp_path / "restored", f'database = "{address}"')
    checked = _admin(tmp_path / "restored", "check", "--deep")
    assert checked.returncode == 0, checked.stderr


def _fresh(postgres: PostgresServer, name: str) -> str:
    """Make a database; return its address as libpq writes it."""
    engine = create_engine(postgres.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return postgres.url.replace("/postgres?", f"/{name}?").replace("postgresql+psycopg", "postgresql")


def _name(home: Path, printed: str) -> None:
    """Do as the command says."""
    config = home / "factory" / "factory.toml"
    rest = [line for line in config.read_text().splitlines() if not line.startswith("database")]
    config.write_text("\n".join([*printed.splitlines(), *rest, ""]))


def test_a_factory_moves_to_postgresql_and_back(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KIFABRIK_TEST_POSTGRES", raising=False)
    address = _fresh(postgres, "moved")
    init_home(tmp_path / "factory", port=free_port())  # it is found there again
    factory = FactoryProcess(tmp_path / "factory")
    party = factory.sign_up()
    person = party.enrol()
    manifests = [person.seal().digest]
    refused = _copy(tmp_path, address)
    assert refused.returncode == 5, refused.stderr
    assert "Stop the service first" in refused.stderr

    factory.stop()
    factory.inside.store.close()
    del factory.inside
    done = _copy(tmp_path, address)
    assert done.returncode == 0, done.stderr
    assert "compared one by one" in done.stderr
    assert done.stdout == f'database = "{address}"\n'
    _name(tmp_path, done.stdout)
    factory.start()
    manifests.append(person.seal().digest)
    assert _sealed(party) == manifests
    assert factory.inside.check.run(deep=True) == []

    _restored(postgres, tmp_path, _admin(tmp_path, "backup", str(tmp_path / "backup")))

    factory.stop()
    factory.inside.store.close()
    del factory.inside
    back = _copy(tmp_path, f"sqlite:///{tmp_path}/factory/back.db", "--json")
    assert back.returncode == 0, back.stderr
    assert {one["table"]: one["rows"] for one in json.loads(back.stdout)["tables"]}["versions"] == 2
    _name(tmp_path, f'database = "sqlite:///{tmp_path}/factory/back.db"')
    factory.start()
    manifests.append(person.seal().digest)
    assert _sealed(party) == manifests
    factory.close()


def _sealed(party) -> list[str]:
    return [entry["refs"]["manifest"] for entry in party.entries() if entry["kind"] == "dataset.sealed"]
