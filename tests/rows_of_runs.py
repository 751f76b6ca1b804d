"""Rows of orders, runs and attempts as the factory leaves them, without members, keys and launchers."""

from dataclasses import replace
from typing import Any

from kifabrik.factory.factory import Factory
from kifabrik.factory.run_records import Attempt, Run
from kifabrik.factory.sweep_records import Admitted
from kifabrik.values import Kind, Place, Resources, new_id, sha256_hex, task_run

CREATED = "2026-11-23T08:00:00Z"
DEADLINE = "2026-11-24T08:00:00Z"


def enter(factory: Factory, tenant: str, *, needs: tuple[str, ...] = (), tasks: int = 0, **changes: Any) -> str:
    """Enter an order, of one run or of a sweep; return its run id."""
    name = new_id(Kind.RUN)
    order = sha256_hex(name.encode())
    one = a_run(tenant, name, order, attempts=2, rate_micro_eur=1000, most_micro_eur=17, reason="It waits.")
    one = replace(one, **changes)
    runs = [replace(one, run=task_run(name, number), sweep=name) for number in range(1, tasks + 1)] or [one]
    admitted = Admitted(tenant, order, name, order[:32], tasks, 0, 0, CREATED)
    with factory.store.write(tenant) as transaction:
        factory.runs.book.enter(transaction, admitted, needs, runs)
    return name


def a_run(tenant: str, run: str, order: str, **others: Any) -> Run:
    """A run that asks for little."""
    told = {
        "resources": Resources(),
        "place": Place("DE"),
        "attempts": 1,
        "rate_micro_eur": 0,
        "most_micro_eur": 0,
        **others,
    }
    return Run(
        tenant=tenant,
        run=run,
        member="m-1",
        purpose="test",
        order=order,
        code="33" * 32,
        lock="44" * 32,
        python="3.11",
        staged_bytes=0,
        streamed_bytes=0,
        priority=0,
        outputs=0,
        retry_on=(),
        max_duration_s=60,
        cap_s=60,
        budget_micro_eur=0,
        created=CREATED,
        deadline=DEADLINE,
        **told,
    )


def attempt(factory: Factory, tenant: str, run: str, **changes: Any) -> str:
    """Enter an attempt at a run; return its id."""
    made = Attempt(tenant, run, new_id(Kind.ATTEMPT), 1, (), Place("DE"), 60, CREATED)
    with factory.store.write(tenant) as transaction:
        transaction.runs.add_attempt(replace(made, **changes))
    return made.attempt
