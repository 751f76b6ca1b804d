"""What a soak asks at its end, asked of a real factory that something was done to."""

import sqlite3
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from soak import afterwards
from soak.journal import Journal
from soak.parties import Commands, Party

from parties import FactoryProcess


@pytest.fixture
def asked(own_factory: FactoryProcess, tmp_path):
    """A factory with a tenant that has uploaded something, and the soak's question to it."""
    tenant = own_factory.sign_up()
    tenant.enrol()
    journal = Journal(tmp_path / "journal.jsonl")
    party = Party(own_factory.home.parent, Commands(journal), "factory")

    def ask():
        journal.mistakes.clear()
        afterwards.check_factory(party, journal, "afterwards")
        return journal.mistakes

    yield ask
    journal.close()


def test_a_sound_factory_passes(asked):
    assert asked() == []


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ("DELETE FROM log_entries WHERE kind = 'member.enrolled'", "its log does not verify"),
        ("DELETE FROM members", "has no row like it in the database"),
        ("INSERT INTO objects SELECT tenant, '{digest}', 5, created, '' FROM tenants", "is missing"),
    ],
)
def test_what_was_done_to_it_is_a_mistake(asked, own_factory: FactoryProcess, harm, words):
    with sqlite3.connect(own_factory.home / "factory.db") as database:
        database.execute(harm.format(digest="ab" * 32))
    database.close()
    assert any(words in mistake for mistake in asked())


def test_a_file_nobody_asked_for_is_a_mistake(asked, own_factory: FactoryProcess):
    stray = own_factory.home / "objects" / "t-stray" / "ab" / ("ab" * 32)
    stray.parent.mkdir(parents=True)
    stray.write_text("from nowhere")
    assert any("belongs to nothing" in mistake for mistake in asked())
