"""Ordering again what failed, and only that: a new signed order for the same code."""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from kifabrik.customer.apply import QUEUE_TIME
from kifabrik.customer.catalogue import Catalogue
from kifabrik.customer.locks import kept_lock
from kifabrik.customer.named import RunName, SweepName
from kifabrik.customer.session import Session
from kifabrik.errors import ConflictError, RefusedError
from kifabrik.orders.order import Order, sign_order, verify_order
from kifabrik.runs.states import RunState
from kifabrik.signatures.statements import Statement, read_unverified
from kifabrik.transfer.details import Names, make_detail
from kifabrik.values import Kind, format_time, new_id, now_utc
from kifabrik.wire.runs import RunView

FAILED: Final = frozenset({RunState.FAILED, RunState.REFUSED})
"""What is ordered again if nobody says otherwise: who stopped a task did not want it."""


def retry_tasks(session: Session, catalogue: Catalogue, sweep: SweepName, numbers: Sequence[int]) -> RunView:
    """Order tasks of a sweep again, under their numbers and with their parameters, as one order.

    The code is the sealed bundle of the first order, whatever the workdir holds now.

    Args:
        session: Connected.
        catalogue: As of now.
        sweep: From it.
        numbers: Of the tasks.

    Raises:
        ConflictError: There is no task to order again.
        RefusedError: Another member ordered the sweep.
        NotFoundError: Another machine ordered it, so its lock is not here.
    """
    if not numbers:
        raise ConflictError("no task of the sweep has failed", hint=f"See: kifabrik ps {sweep.run}")
    first = sweep.orders[0]
    old = _own_order(session, catalogue, first)
    share = old.predicate.budget_micro_eur * len(numbers) // old.predicate.tasks
    said: dict[str, Any] = {"matrix": sweep.matrix.to_body(), "only": sorted(numbers)}
    return _order_again(session, old, first, said, only=tuple(sorted(numbers)), budget_micro_eur=share)


def retry_run(session: Session, catalogue: Catalogue, run: RunName) -> RunView:
    """Order a run again that has ended, with the code it was ordered with; raises what `retry_tasks` does."""
    first = next((one for one in catalogue.runs() if one.order == run.again), run) if run.again else run
    return _order_again(session, _own_order(session, catalogue, first), first, {})


def _own_order(session: Session, catalogue: Catalogue, run: RunName) -> Statement[Order]:
    """Return the order of a run if this member has signed it: its code is nobody else's to run again."""
    envelope = session.datasets.statement(run.order)
    member = read_unverified(envelope, Order)[0].member
    if member != session.profile.member:
        raise RefusedError(f"another member ordered {run.run}", hint="Ask them, or apply the job file yourself.")
    device = catalogue.devices.signer(envelope, member)
    return verify_order(envelope, device.key, session.tenant, member)


def _order_again(
    session: Session, old: Statement[Order], first: RunName, said: dict[str, Any], **changes: Any
) -> RunView:
    session.check_may_change("order runs")
    locked, now = kept_lock(session.home, old.predicate.lock), now_utc()
    attempts = timedelta(seconds=old.predicate.max_duration_s * old.predicate.attempts)
    order = replace(
        old.predicate,
        run=new_id(Kind.RUN),
        again=old.digest,
        created=format_time(now),
        deadline=format_time(now + QUEUE_TIME + attempts),
        nonce=secrets.token_hex(16),
        keyholder=session.keyholder.sequence,
        **changes,
    )
    envelope = sign_order(order, session.profile.device)
    names = {"name": first.name, "outputs": list(first.outputs), "again": old.digest, **said}
    detail = make_detail(
        Names(envelope.digest, order.run, names), session.catalogue_recipient, session.profile.device
    )
    code = session.datasets.statement(order.code)
    return session.runs.order(envelope, code, locked.text, detail)
