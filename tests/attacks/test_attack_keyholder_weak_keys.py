"""Keys that bind nobody: a point anybody can sign for, and one key or recipient spelled as if it were two."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from keyhouse import House, Person
from kifabrik.leases.statements import RequestingNode
from kifabrik.ledger.entry import EntryKind
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import sign_statement
from kifabrik.tenants.statements import Device, Role
from kifabrik.values import Resources, sha256_hex

NEUTRAL = (1).to_bytes(32, "little")
"""The neutral point of the curve, a public key of which nobody has or needs the other half."""
BASE = bytes.fromhex("58" + "66" * 31)
"""The base point (RFC 8032, section 5.1)."""


@dataclass(frozen=True)
class NobodysKey:
    """What signs under the neutral point: R is the base point and S is 1, whatever the message."""

    @property
    def public(self) -> SimpleNamespace:
        return SimpleNamespace(hex=NEUTRAL.hex(), keyid=sha256_hex(NEUTRAL))

    def sign(self, _message: bytes) -> bytes:
        return BASE + NEUTRAL


def _enrol(house: House) -> Person:
    """A member who names the neutral point as the key of the device."""
    invitation = house.steward.invite(Role.ENGINEER, "Mallory")
    _, member, key = invitation.verified()
    person = Person(house, invitation, member.member, NobodysKey())  # type: ignore[arg-type]
    membership = Envelope.from_json(invitation.membership)
    recipient = person.identity.recipient.text
    said = Device(house.factory.tenant, member.member, membership.digest, NEUTRAL.hex(), recipient, house.now())
    device = sign_statement(said, {}, key, person.key)
    house.factory.statements[membership.digest] = membership
    refs = {"member": member.member, "membership": membership.digest, "device": device.digest}
    house.factory.put(EntryKind.MEMBER_ENROLLED, device, **refs)
    house.round.work()
    return person


def test_a_key_anybody_can_sign_for_enrols_nobody_so_no_order_under_it_counts(house: House) -> None:
    data = house.enrol().seal({"a": b"x"})
    house.grant(data)
    anybody = _enrol(house)
    assert anybody.member not in [line.member for line in house.keyholder.status().members if line.enrolled]
    assert house.refused(anybody.order(data).attempt().ask()) == "unknown-order"


def test_a_request_under_a_run_key_anybody_can_sign_for_gets_nothing(house: House) -> None:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data)
    attempt = anna.order(data).attempt()
    attempt.run_key = NobodysKey()  # type: ignore[assignment]
    assert house.refused(attempt.ask()) == "bad-request"


@pytest.mark.parametrize("spell", [str.upper, lambda text: f" {text}"], ids=["large letters", "a space"])
def test_one_node_spelled_in_two_ways_is_not_two(house: House, spell) -> None:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data)
    attempt = anna.order(data, resources=Resources(nodes=2)).attempt()
    key = attempt.node_key.public.hex
    other = house.enrol(name="Otto").identity.recipient.text
    nodes = (RequestingNode(key, attempt.identity.recipient.text), RequestingNode(spell(key), other))
    assert house.refused(attempt.ask(nodes=nodes)) == "bad-request"


@pytest.mark.parametrize("spell", ["{}\n", " {}"])
def test_one_recipient_spelled_in_two_ways_is_not_two(house: House, spell: str) -> None:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data)
    attempt = anna.order(data, resources=Resources(nodes=2)).attempt()
    own, second = attempt.identity.recipient.text, SigningKey.generate()
    nodes = (
        RequestingNode(attempt.node_key.public.hex, own),
        RequestingNode(second.public.hex, spell.format(own)),
    )
    envelope = sign_statement(attempt.said(nodes=nodes), {}, attempt.run_key, attempt.node_key, second)
    assert house.refused(house.request(envelope, ())) == "bad-request"
