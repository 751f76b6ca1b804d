"""The factory shows an auditor another log than the keyholder of the same tenant, both signed by its log key."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from test_attack_customer_recipients import session

from keyhouse import House
from kifabrik.customer.record import keep_cosigned_head, verify_offline
from kifabrik.customer.session import Session
from kifabrik.errors import IntegrityError, NotFoundError
from kifabrik.ledger.checkpoint import cosign, witness_name
from kifabrik.ledger.entry import EntryKind
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import sign_statement
from simulated_factory import SimulatedFactory

__all__ = ["session"]


def shown(house: House, entries: list[bytes]) -> SimpleNamespace:
    """A log for the auditor's eyes, with the newest head the keyholder has cosigned."""
    other = SimulatedFactory(house.factory.tenant)
    other.log_key = house.factory.log_key
    other.entries = entries
    return SimpleNamespace(
        since=other.since, tile=other.tile, cosigned=lambda: house.factory.cosigned[-1], other=other
    )


def test_the_log_the_keyholder_has_cosigned_verifies(house: House, session: Session) -> None:
    house.round.work()
    session.log = shown(house, list(house.factory.entries))
    keep_cosigned_head(session)
    assert verify_offline(session.home).report.ok


@pytest.mark.parametrize("after", [0, 3], ids=["of the same size", "longer"])
def test_an_auditor_who_is_shown_another_tree_finds_out(house: House, session: Session, after: int) -> None:
    house.round.work()
    session.log = shown(house, list(house.factory.entries))
    session.log.other.forge(2, extra="x")
    for _ in range(after):
        session.log.other.append("deadline.missed", run="r-x")
    keep_cosigned_head(session)
    with pytest.raises(IntegrityError, match="does not follow from the entries") as found:
        verify_offline(session.home)
    assert "Keep this head as evidence" in found.value.hint


def test_an_auditor_who_has_seen_the_log_is_not_shown_a_shorter_or_another_one(
    house: House, session: Session
) -> None:
    session.log = shown(house, list(house.factory.entries))
    session.mirror()
    session.log.other.entries.pop()
    with pytest.raises(IntegrityError, match="rolled back"):
        session.mirror()
    session.log = shown(house, list(house.factory.entries))
    session.log.other.forge(2, extra="x")
    with pytest.raises(IntegrityError, match="is a fork of"):
        session.mirror()


def restored(house: House) -> SigningKey:
    """The steward has restored the keyholder from its backup: another witness from now on."""
    witness, said = SigningKey.generate(), house.state.statement
    newer = replace(said, sequence=said.sequence + 1, witness_key=witness.public.hex)
    house.factory.keyholder_statement = sign_statement(newer, {}, house.tenant_key)
    house.factory.append(EntryKind.KEYHOLDER_RESTORED, statement="ab" * 32, sequence=newer.sequence)
    return witness


def test_a_keyholder_restored_during_a_command_is_believed_by_it(house: House, session: Session) -> None:
    house.round.work()
    session.log = shown(house, house.factory.entries)
    keep_cosigned_head(session)
    witness = restored(house)
    session.log.other.log_key = house.factory.log_key
    head = session.log.since(0, statements=False).checkpoint
    text = cosign(head, witness_name(session.tenant), witness, 1_800_000_000)
    assert session.accept(text).head.size == len(house.factory.entries)


def test_a_head_that_no_keyholder_has_cosigned_is_refused_after_asking_for_a_newer_one(
    house: House, session: Session
) -> None:
    session.log = shown(house, house.factory.entries)
    stranger = SigningKey.generate()
    head = session.log.since(0, statements=False).checkpoint
    with pytest.raises(IntegrityError, match="lacks cosignatures"):
        session.accept(cosign(head, witness_name(session.tenant), stranger, 1_800_000_000))


def test_a_head_cosigned_before_a_restore_is_not_held_against_the_copy(house: House, session: Session) -> None:
    house.round.work()
    session.log = shown(house, house.factory.entries)
    keep_cosigned_head(session)
    restored(house)
    del session.keyholder
    assert session.policy
    with pytest.raises(NotFoundError, match="no cosigned tree head is known here yet"):
        verify_offline(session.home)
