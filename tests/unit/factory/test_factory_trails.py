"""Reading logs and bills a page at a time."""

import pytest

from kifabrik.errors import NotFoundError
from kifabrik.factory.factory import Factory
from kifabrik.ledger.entry import EntryKind
from kifabrik.runs.states import RunState
from rows_of_runs import enter
from signing_up import sign_up


def _fill(factory: Factory, tenant: str, count: int) -> None:
    with factory.store.write(tenant) as transaction:
        for number in range(count):
            factory.log.append(transaction, tenant, EntryKind.DEADLINE_MISSED, {"run": f"r-{number}"})


def test_pages_of_a_log_come_newest_first_and_meet_without_gap_or_overlap(opened: Factory) -> None:
    tenant = sign_up(opened)
    _fill(opened, tenant, 23)
    first = opened.trails.page(tenant, None, 10)
    seen = [one.index for one in first.entries]
    while seen[-1] > 0:
        seen += [one.index for one in opened.trails.page(tenant, seen[-1], 10).entries]
    assert seen == list(range(first.size - 1, -1, -1))
    assert opened.trails.page(tenant, 0, 10).entries == ()
    assert opened.trails.page(tenant, 10**9, 1).entries == first.entries[:1]


def test_a_log_that_is_not_there_has_no_page(opened: Factory) -> None:
    with pytest.raises(NotFoundError):
        opened.trails.page("t-nobody", None, 10)


@pytest.mark.parametrize(
    ("month", "ends"),
    [
        ("2026-11", ["2026-11-30T23:59:59Z", "2026-11-01T00:00:00Z"]),
        ("2026-12", ["2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z"]),
        ("2027-01", ["2027-01-01T00:00:00Z"]),
        ("2026-10", []),
    ],
)
def test_a_run_is_in_the_month_it_ended_in(opened: Factory, month: str, ends: list[str]) -> None:
    tenant, other = sign_up(opened), sign_up(opened)
    for finished in (
        *("2026-11-01T00:00:00Z", "2026-11-30T23:59:59Z", "2026-12-01T00:00:00Z", "2026-12-31T23:59:59Z"),
        "2027-01-01T00:00:00Z",
    ):
        for whose in (tenant, other):
            enter(opened, whose, state=RunState.SUCCEEDED, finished=finished)
    enter(opened, tenant)
    with opened.store.read() as transaction:
        assert [one.finished for one in transaction.runs.ended_in(tenant, month, 10)] == ends
        assert transaction.runs.count_ended_in(tenant, month, 10) == len(ends)
        assert transaction.runs.count_ended_in(tenant, month, 1) == min(len(ends), 1)
