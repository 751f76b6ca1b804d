"""Lists and checks ask the database as often for many runs as for few."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from databases import sqlite_only
from kifabrik.factory.check_entries import EntryCheck
from kifabrik.factory.check_runs import RunCheck
from kifabrik.factory.factory import Factory
from kifabrik.factory.log_records import Segment
from kifabrik.factory.records import KeyRequest, RequestState, Version
from kifabrik.factory.show import RunPicture, SweepPicture
from kifabrik.runs.states import Outcome, RunState
from kifabrik.values import sha256_hex
from rows_of_runs import CREATED, attempt, enter
from signing_up import sign_up


@contextmanager
def asked(factory: Factory) -> Iterator[list[str]]:
    """What the database is asked within the block."""
    queries: list[str] = []

    def heard(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if threading.current_thread() is threading.main_thread():  # another one tells other processes
            queries.append(statement)

    engine = factory.store.engine  # type: ignore[attr-defined]
    event.listen(engine, "before_cursor_execute", heard)
    try:
        yield queries
    finally:
        event.remove(engine, "before_cursor_execute", heard)


def _ended(factory: Factory, tenant: str, number: int) -> str:
    """A run that has ended with an output, a request and a piece of log; its statements are missing."""
    run = enter(factory, tenant, state=RunState.SUCCEEDED, finished=CREATED, outputs=1, most_micro_eur=0)
    manifest, request = sha256_hex(f"output {number}".encode()), sha256_hex(f"request {number}".encode())
    name = attempt(
        factory,
        tenant,
        run,
        state=RunState.SUCCEEDED,
        outcome=Outcome.SUCCEEDED,
        finished=CREATED,
        outputs=(manifest,),
        segments=1,
        log_bytes=3,
    )
    with factory.store.write(tenant) as transaction:
        transaction.datasets.add_version(Version(tenant, f"{run}/1", 1, manifest, 0, number, CREATED), [manifest])
        transaction.leases.add(KeyRequest(tenant, request, run, "", name, RequestState.PENDING, CREATED))
        transaction.runs.add_segment(Segment(tenant, name, 0, 0, "{}", "11" * 32, 3, b"abc"))
    return run


def _grows(factory: Factory, look: Callable[[], object], more: Callable[[], object]) -> int:
    """By how many queries a look grows when there is more to look at."""
    with asked(factory) as before:
        look()
    more()
    with asked(factory) as after:
        look()
    assert before
    return len(after) - len(before)


def test_a_page_of_runs_and_sweeps_takes_as_many_queries_as_one(opened: Factory) -> None:
    tenant = sign_up(opened)

    def more() -> None:
        for number in range(5):
            _ended(opened, tenant, number + len(found))
            enter(opened, tenant, tasks=2, created=CREATED)

    found: list[RunPicture | SweepPicture] = []
    more()

    def page() -> None:
        found[:] = opened.runs.shows.page(tenant, "", 50)

    assert _grows(opened, page, more) == 0
    singles = [one for one in found if isinstance(one, RunPicture)]
    sweeps = [one for one in found if isinstance(one, SweepPicture)]
    assert (len(singles), len(sweeps)) == (10, 10)
    assert all(one.outputs[0].owner == f"{one.run.run}/1" for one in singles)
    assert all(one.one.run == f"{one.order.run}-1" and one.tasks == {RunState.QUEUED: 2} for one in sweeps)


@pytest.mark.parametrize("check", [RunCheck, EntryCheck])
def test_a_check_of_many_runs_takes_as_many_queries_as_one_of_few(opened: Factory, check: type) -> None:
    tenant = sign_up(opened)
    _ended(opened, tenant, 0)

    def more() -> None:
        for number in range(1, 6):
            _ended(opened, tenant, number)

    assert _grows(opened, lambda: list(check(opened.store).run()), more) == 0


@sqlite_only
def test_the_check_names_a_log_that_is_short_and_a_statement_that_is_missing(opened: Factory) -> None:
    tenant = sign_up(opened)
    run = _ended(opened, tenant, 0)
    _ended(opened, tenant, 1)
    with opened.store.write(tenant) as transaction:
        (found,) = transaction.runs.attempts_of(tenant, [run])
    with opened.store.engine.begin() as connection:  # type: ignore[attr-defined]
        connection.exec_driver_sql("DELETE FROM log_segments WHERE attempt = ?", (found.attempt,))
    said = [finding.what for finding in RunCheck(opened.store).run()]
    assert [what for what in said if "log segments" in what] == [
        f"attempt {found.attempt} has 0 log segments of 0 bytes; it should have 1 of 3"
    ]
    assert sum("which is missing" in what for what in said) == 2
