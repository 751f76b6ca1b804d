"""How hints are put into notifications; `test_courier_postgres.py` sends them."""

from hypothesis import given
from hypothesis import strategies as some

from kifabrik.stores.sql.courier import lock_number, payloads

TOPICS = some.lists(some.text(some.characters(codec="ascii", exclude_characters="\n"), min_size=1, max_size=200))


@given(TOPICS)
def test_every_topic_is_in_one_notification_that_postgresql_takes(topics: list[str]) -> None:
    made = list(payloads("sender", topics))
    assert [topic for one in made for topic in one.split("\n")[1:]] == topics
    assert all(one.startswith("sender") and len(one) < 8000 for one in made)


def test_the_lock_of_a_process_is_a_number_postgresql_takes_and_of_no_other_name() -> None:
    found = {lock_number(f"{number}/5/boot") for number in range(1000)}
    assert len(found) == 1000
    assert all(-(2**63) <= number < 2**63 for number in found)
