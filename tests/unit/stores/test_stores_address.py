"""An address of a database that a factory cannot use is said so, and no password is to be seen anywhere."""

from pathlib import Path

import pytest

from kifabrik.errors import UnavailableError, UsageError
from kifabrik.stores.sql.address import Address
from kifabrik.stores.sql.store import SqlStore
from kifabrik.wiring.factory import init_home, open_factory

SECRET = "correct-horse"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("factory.db", "the address of the database is none"),
        (f"postgresql:/{SECRET}", "the address of the database is none"),
        ("mysql://db/kifabrik", "SQLite or PostgreSQL, not in mysql"),
        ("postgresql+psycopg2://db/kifabrik", "not in postgresql\\+psycopg2"),
        (f"postgresql://k:{SECRET}@db/kifabrik", "contains a password"),
        (f"postgresql://k@db/kifabrik?password={SECRET}", "contains a password"),
    ],
)
def test_what_is_no_address_is_refused_without_repeating_a_password(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as told:
        Address.from_text(text)
    assert SECRET not in told.value.message + told.value.hint


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_means_psycopg_3_and_is_shown_as_libpq_has_it(scheme: str) -> None:
    address = Address.from_text(f"{scheme}://k@/kifabrik?host=/run/postgresql&sslmode=verify-full")
    assert address.url.drivername == "postgresql+psycopg"
    assert str(address) == "postgresql://k@/kifabrik?host=/run/postgresql&sslmode=verify-full"
    assert Address.from_text(str(address)) == address
    assert not address.lite


def test_the_password_is_the_first_line_of_its_file_read_anew_each_time(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("first\n")
    file.chmod(0o600)
    address = Address.from_text("postgresql://k@db/kifabrik", file)
    assert address.password() == "first"
    file.write_text("second\nand more\n")
    assert address.password() == "second"
    assert "second" not in repr(address) + str(address)


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [("x\n", 0o644, "everybody here can read"), ("\n", 0o600, "is empty"), (None, 0, "cannot be read")],
)
def test_a_file_that_can_hold_no_password_is_refused(
    tmp_path: Path, text: str | None, mode: int, says: str
) -> None:
    file = tmp_path / "password"
    if text is not None:
        file.write_text(text)
        file.chmod(mode)
    with pytest.raises(UsageError, match=says):
        Address.from_text("postgresql://k@db/kifabrik", file).password()


def test_the_operator_is_told_what_a_database_says_that_cannot_be_reached(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    store = SqlStore(f"postgresql://k@/kifabrik?host={tmp_path}")
    with pytest.raises(UnavailableError, match=f"host={tmp_path} cannot be used: connection .*socket"):
        store.check()
    store.close()


def test_a_wrong_database_in_the_settings_is_said_when_the_factory_is_opened(tmp_path: Path) -> None:
    init_home(tmp_path / "factory")
    config = tmp_path / "factory" / "factory.toml"
    config.write_text(f'database = "postgresql://k:{SECRET}@db/kifabrik"\n' + config.read_text())
    with pytest.raises(UsageError, match="contains a password"):
        open_factory(tmp_path / "factory")
