"""A backup is a whole factory, follows deletions, and is never written where it does harm."""

import shutil
import sqlite3

import pytest

from kifabrik.errors import CapacityError, UnavailableError, UsageError
from kifabrik.factory.factory import Factory
from kifabrik.wiring import backup
from kifabrik.wiring.backup import back_up
from kifabrik.wiring.factory import init_home, open_factory


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "factory"
    init_home(home)
    (home / "prices.toml").write_text("cpu_core_hour_eur = 1\nmemory_gb_hour_eur = 0\nstorage_gb_month_eur = 0\n")
    code(home)
    for name in ("aa", "bb"):
        (home / "objects" / "t-1").mkdir(parents=True, exist_ok=True)
        (home / "objects" / "t-1" / name).write_bytes(name.encode() * 1000)
    return home


def code(home) -> None:
    factory: Factory = open_factory(home)
    try:
        factory.accounts.make_code("Muster GmbH")
    finally:
        factory.store.close()


def test_what_is_restored_from_a_backup_is_the_factory(home, tmp_path):
    done = back_up(home, tmp_path / "backup")
    assert (done.objects, done.size, done.copied, done.removed) == (2, 4000, 2, 0)
    shutil.copytree(tmp_path / "backup", tmp_path / "restored")
    factory = open_factory(tmp_path / "restored")
    assert [one.note for one in factory.accounts.codes()] == ["Muster GmbH"]
    factory.store.close()
    assert (tmp_path / "restored" / "objects" / "t-1" / "aa").read_bytes() == b"aa" * 1000
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o700


def test_a_second_backup_copies_what_is_new_and_deletes_what_was_deleted(home, tmp_path):
    back_up(home, tmp_path / "backup")
    kept = (tmp_path / "backup" / "objects" / "t-1" / "bb").stat()
    (home / "objects" / "t-1" / "aa").unlink()
    (home / "objects" / "t-1" / "cc").write_bytes(b"c")
    (tmp_path / "backup" / "objects" / "t-1" / "dd.new").write_bytes(b"left by a kill")
    seen = []
    done = back_up(home, tmp_path / "backup", seen.append)
    assert (done.objects, done.copied, done.removed) == (2, 1, 1)
    assert sum(seen) == done.size == 2001
    names = {path.name for path in (tmp_path / "backup" / "objects" / "t-1").iterdir()}
    assert {"bb", "cc"} <= names
    assert "aa" not in names
    assert (tmp_path / "backup" / "objects" / "t-1" / "bb").stat().st_mtime_ns == kept.st_mtime_ns


def test_a_torn_copy_of_an_object_is_copied_again(home, tmp_path):
    back_up(home, tmp_path / "backup")
    (tmp_path / "backup" / "objects" / "t-1" / "aa").write_bytes(b"half")
    assert back_up(home, tmp_path / "backup").copied == 1
    assert (tmp_path / "backup" / "objects" / "t-1" / "aa").read_bytes() == b"aa" * 1000


def test_a_database_that_is_being_written_is_copied_in_one_state(home, tmp_path):
    writing = sqlite3.connect(home / "factory.db")
    before = writing.execute("SELECT count(*) FROM codes").fetchone()
    writing.execute("BEGIN IMMEDIATE")
    writing.execute("DELETE FROM codes")
    try:
        back_up(home, tmp_path / "backup")
    finally:
        writing.rollback()
        writing.close()
    copy = sqlite3.connect(tmp_path / "backup" / "factory.db")
    assert copy.execute("SELECT count(*) FROM codes").fetchone() == before == (1,)
    copy.close()


def test_a_backup_is_not_written_into_the_factory_nor_over_something_else(home, tmp_path):
    for target in (home, home / "backup", tmp_path):
        with pytest.raises(UsageError, match="lie in each other"):
            back_up(home, target)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("x")
    with pytest.raises(UsageError, match="holds something that is no backup"):
        back_up(home, mine)
    assert [path.name for path in mine.iterdir()] == ["thesis.txt"]


def test_a_database_that_cannot_be_dumped_is_said_before_anything_is_copied(home, tmp_path, monkeypatch):
    pytest.importorskip("psycopg")
    with (home / "factory.toml").open("a") as file:
        file.write(f'database = "postgresql://k@/kifabrik?host={tmp_path}"\n')
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="no pg_dump here"):
        back_up(home, tmp_path / "backup")
    program = tmp_path / "pg_dump"
    program.write_text("#!/bin/sh\necho pg_dump: error: it is not there >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(UnavailableError, match="it is not there"):
        back_up(home, tmp_path / "backup")
    assert not list((tmp_path / "backup").iterdir())


def test_a_file_elsewhere_is_not_left_out_of_a_backup(home, tmp_path):
    config = home / "factory.toml"
    settings = config.read_text()
    config.write_text(f'database = "sqlite:///{tmp_path}/elsewhere.db"\n{settings}')
    with pytest.raises(UsageError, match="is not in its folder"):
        back_up(home, tmp_path / "backup")
    (home / "factory.db").rename(home / "moved.db")
    config.write_text(f'database = "sqlite:///{home}/moved.db"\n{settings}')
    back_up(home, tmp_path / "other")
    assert (tmp_path / "other" / "moved.db").is_file()


def test_a_full_disk_is_said_and_the_backup_before_stays(home, tmp_path, monkeypatch):
    back_up(home, tmp_path / "backup")
    (home / "objects" / "t-1" / "cc").write_bytes(b"c")

    def full(*_words):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup.shutil, "copy2", full)
    with pytest.raises(CapacityError, match=r"the disk of .* is full"):
        back_up(home, tmp_path / "backup")
    assert (tmp_path / "backup" / "objects" / "t-1" / "aa").is_file()
    assert (tmp_path / "backup" / "factory.db").is_file()
