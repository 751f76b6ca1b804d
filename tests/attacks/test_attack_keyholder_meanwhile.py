"""A steward ends something while the serving keyholder, another process, wraps the keys for a request."""

from collections.abc import Callable

import pytest

from keyhouse import House
from kifabrik.grants.statements import Grant
from kifabrik.keyholder import desk

CODE_AND_DATA = 2

End = Callable[[House, Grant, str], None]
ENDS: dict[str, End] = {
    "revoked": lambda house, grant, _member: house.steward.revoke(grant.grant),
    "erased": lambda house, grant, _member: house.steward.erase(grant.dataset),
    "removed-member": lambda house, _grant, member: house.steward.remove_member(member),
    "frozen": lambda house, _grant, _member: house.keyholder.freeze(),
}


@pytest.mark.parametrize("reason", ENDS)
def test_what_is_ended_while_keys_are_wrapped_has_its_way(
    house: House, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    grant = house.grant(data)
    request = anna.order(data).attempt().ask()
    serving, wrap, wrapped = house.round, desk.rewrap_all, []
    house.open()  # the steward's command, which has its own connection to the database

    def slowly(*arguments, **named) -> bytes:
        """Wrap, and let the steward be quicker than what comes next."""
        wrapped.append(wrap(*arguments, **named))
        if len(wrapped) == CODE_AND_DATA:
            ENDS[reason](house, grant, anna.member)
        return wrapped[-1]

    monkeypatch.setattr(desk, "rewrap_all", slowly)
    serving.work()
    assert len(wrapped) == CODE_AND_DATA
    assert house.refusal(request).reason == reason


def test_a_request_nothing_comes_between_is_answered(house: House) -> None:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data)
    assert anna.order(data).attempt().obtain().lease
