"""A removal that another machine of the steward's has made, whose statement the factory withholds."""

from keyhouse import House
from kifabrik.ledger.entry import EntryKind


def test_a_removal_whose_statement_is_withheld_blocks_all_the_same(house: House) -> None:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data)
    house.factory.append(EntryKind.MEMBER_REMOVED, member=anna.member, statement="ab" * 32)
    house.round.work()
    assert house.refused(anna.order(data).attempt().ask()) in {"removed-member", "unknown-order"}
