"""Whoever waits is woken by a hint: no other look comes for what this process itself has changed."""

import threading
from queue import Queue
from types import SimpleNamespace

import pytest

from kifabrik.factory.factory import Factory
from kifabrik.factory.hints import EVERYTHING, mail_topic, run_topic
from kifabrik.factory.records import MailKind, TokenKind
from kifabrik.runs.states import RunState
from rows_of_runs import enter
from signing_up import sign_up


@pytest.fixture
def heard(opened: Factory) -> list[str]:
    topics: list[str] = []
    opened.hints.listen(topics.append)
    return topics


def test_who_watches_one_task_is_woken_when_its_sweep_is_stopped(opened: Factory, heard: list[str]) -> None:
    tenant = sign_up(opened)
    sweep = enter(opened, tenant, tasks=3)
    heard.clear()
    opened.runs.stopping.stop(tenant, "m-1", sweep)
    assert EVERYTHING in heard


def test_who_watches_a_run_is_woken_when_what_it_needs_has_ended_badly(opened: Factory, heard: list[str]) -> None:
    tenant = sign_up(opened)
    needed = enter(opened, tenant)
    waiting = enter(opened, tenant, needs=(needed,))
    heard.clear()
    opened.runs.stopping.stop(tenant, "m-1", needed)
    assert {run_topic(tenant, needed), run_topic(tenant, waiting)} <= set(heard)
    with opened.store.read() as transaction:
        assert transaction.runs.run(tenant, waiting).state is RunState.FAILED


def test_statements_wake_a_keyholder_together_and_requests_and_erasures_at_once(
    opened: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    due, put_off = threading.Event(), []

    class Timer(threading.Timer):
        """Goes off when the test says so."""

        def run(self) -> None:
            put_off.append(self.interval)
            if due.wait(60):
                self.function(*self.args, **self.kwargs)

    monkeypatch.setattr("kifabrik.factory.mailbox.threading", SimpleNamespace(Timer=Timer))
    monkeypatch.setattr("kifabrik.factory.mailbox.time", SimpleNamespace(monotonic=lambda: 5000.0))
    monkeypatch.setattr("kifabrik.factory.mailbox._STATEMENTS_EVERY_S", 3600)
    tenant, woken = sign_up(opened), Queue[str]()
    topic = mail_topic(tenant)
    opened.hints.listen(lambda heard: woken.put(heard) if heard == topic else None)

    def send(kind: MailKind, *digests: str) -> None:
        for digest in digests:
            with opened.store.write(tenant) as transaction:
                opened.mailbox.send(transaction, tenant, kind, digest)

    send(MailKind.STATEMENT, "1")
    assert woken.get(timeout=0) == topic
    send(MailKind.STATEMENT, "2", "3", "4")
    send(MailKind.REQUEST, "5")
    assert woken.get(timeout=0) == topic
    send(MailKind.ERASURE, "6")
    assert woken.get(timeout=0) == topic
    assert woken.empty()
    due.set()
    assert woken.get(timeout=60) == topic  # 2, 3 and 4
    assert put_off == [3600]
    assert [letter.digest for letter in opened.mailbox.letters(tenant, 0)][-6:] == ["1", "2", "3", "4", "5", "6"]
    assert woken.empty()


def test_a_launcher_that_signs_in_writes_nothing(opened: Factory) -> None:
    tenant = sign_up(opened)
    with opened.store.write(tenant) as transaction:
        token = opened.accounts.issue_attempt_token(transaction, tenant, "r-1", "a-1")
    assert opened.accounts.sign_in(token).kind is TokenKind.ATTEMPT
    with opened.store.read() as transaction:
        (kept,) = transaction.accounts.tokens_of(tenant, kind=TokenKind.ATTEMPT, attempt="a-1")
    assert not kept.used
