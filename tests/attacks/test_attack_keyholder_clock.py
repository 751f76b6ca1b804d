"""The clock of the keyholder's machine is set back while nothing is decided."""

from datetime import timedelta

import pytest

from keyhouse import House
from kifabrik.values import format_time


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
def test_a_time_at_which_nothing_was_decided_is_not_left_again_either(house: House, *, restarted: bool) -> None:
    """The grant expires while nobody asks for anything; only a head is cosigned."""
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data, days=1)
    run = anna.order(data, deadline=format_time(house.clock() + timedelta(days=3)))
    house.clock.ahead = timedelta(hours=25)
    house.round.work()
    house.clock.ahead = timedelta()
    if restarted:
        house.restart()
    assert house.refused(run.attempt().ask()) == "expired"
