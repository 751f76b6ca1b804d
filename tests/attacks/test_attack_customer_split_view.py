"""The factory shows an auditor another log than the keyholder of the same tenant, both signed by its log key."""

from types import SimpleNamespace

import pytest
from test_attack_customer_recipients import session

from keyhouse import House
from kifabrik.customer.record import keep_cosigned_head, verify_offline
from kifabrik.customer.session import Session
from kifabrik.errors import IntegrityError
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
