"""A factory whose database, keys or objects are not there starts nothing anew: it says what is missing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kifabrik.errors import IntegrityError, UnavailableError
from parties import FactoryProcess

KIFABRIK = Path(sys.executable).parent / "kifabrik"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A factory with a tenant and a sealed dataset, stopped."""
    folder = tmp_path / "factory"
    factory = FactoryProcess(folder)
    factory.sign_up().enrol().seal()
    factory.close()
    if not (folder / "factory.db").exists():
        pytest.skip("its database is a server's")
    return folder


def said_by(home: Path, *words: str) -> tuple[int, str]:
    ran = subprocess.run(
        [KIFABRIK, *words, "--home", home.parent],
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in ran.stderr
    return ran.returncode, ran.stderr


def gone(part: Path) -> None:
    part.rename(part.with_name(f"{part.name}.elsewhere"))


def emptied(part: Path) -> None:
    """As a mount point is whose disk is not mounted."""
    gone(part)
    part.mkdir() if part.with_name(f"{part.name}.elsewhere").is_dir() else part.touch()


def back(part: Path) -> None:
    shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)
    part.with_name(f"{part.name}.elsewhere").rename(part)


def test_what_is_missing_is_named_and_nothing_begins_anew(home: Path) -> None:
    for name, lost, words in (
        ("factory.db", gone, "the database"),
        ("factory.db", emptied, "the database"),
        ("keys", gone, "the folder keys/"),
        ("objects", emptied, "none is where they are kept"),
    ):
        part = home / name
        lost(part)
        status, said = said_by(home, "up")
        assert status == IntegrityError.exit_status
        error, hint = said.splitlines()[-2:]
        assert error.startswith("error: ")
        assert words in error
        assert "backup" in hint
        assert not part.is_file() or part.stat().st_size == 0
        back(part)
    factory = FactoryProcess(home)  # all is as it was
    assert factory.inside.check.run(deep=True) == []
    factory.close()


def test_a_database_that_is_none_any_more_is_named_as_damaged(home: Path) -> None:
    (home / "factory.db").write_bytes(os.urandom(20_000))
    status, said = said_by(home, "up")
    assert status == IntegrityError.exit_status
    assert f"error: the database {home / 'factory.db'} is damaged" in said
    assert "backup" in said.splitlines()[-1]


def test_a_database_that_cannot_be_opened_is_named_with_the_reason(home: Path) -> None:
    (home / "factory.db").unlink()
    (home / "factory.db").mkdir()
    (home / "factory.db" / "x").touch()
    status, said = said_by(home, "admin", "code")
    assert status == UnavailableError.exit_status
    assert f"error: the database {home / 'factory.db'} cannot be opened: unable to open" in said
    assert said.splitlines()[-1].startswith("hint: ")


def test_one_lost_key_stops_nobody_else_and_is_found(home: Path) -> None:
    factory = FactoryProcess(home)
    other = factory.sign_up()
    factory.close()
    (home / "keys" / f"{other.tenant}.key").unlink()
    factory = FactoryProcess(home)
    found = factory.inside.check.run()
    assert [(one.tenant, one.what) for one in found] == [(other.tenant, "the factory has lost the key of this log")]
    assert "keys/" in found[0].do
    factory.close()
