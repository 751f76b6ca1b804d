"""What waits for a run that has ended: the next task of its sweep, and the orders that need it.

Called wherever a run ends, within the transaction that ends it: nothing waits for what has ended already,
whatever dies in between.

Invariants:
- a run starts only once every run of every order it needs has succeeded;
- as soon as one of them has ended otherwise, what waits for it ends too, with a reason that names it;
- of a sweep with `max_parallel`, so many tasks are free to start or on their way, never more.
"""

from collections.abc import Callable, Sequence
from typing import Final

from kifabrik.errors import IntegrityError
from kifabrik.factory.capacity import Demand
from kifabrik.factory.delivery import deliver
from kifabrik.factory.plan import enabled_nodes
from kifabrik.factory.ports import Transaction
from kifabrik.factory.run_records import Hold, Run
from kifabrik.factory.sweep_records import Admitted
from kifabrik.orders.order import Order
from kifabrik.orders.tasks import is_awaited, order_run
from kifabrik.runs.states import RunState
from kifabrik.signatures.statements import read_unverified
from kifabrik.values import MOST_TASKS

EndAll = Callable[[Transaction, Admitted, RunState, str], None]
"""Ends every waiting run of an order; what it is given is order, state and reason."""

WAITS: Final = "Ordered and admitted; waits for its turn."
HELD: Final = "Waits for its turn in the sweep: at most {most} of its tasks at once."


def awaits(needed: Sequence[str]) -> str:
    """Say what a run waits for, in ids."""
    return f"Waits for {', '.join(needed)}."


def follow(transaction: Transaction, ended: Run, end_all: EndAll) -> set[str]:
    """Let go on, or end, what waited for a run that has just ended; return the orders of which more may start now.

    Args:
        transaction: That ends the run.
        ended: The run, as it is now.
        end_all: Ends the runs of an order that cannot go on.
    """
    tenant, needed = ended.tenant, order_run(ended.run)
    waiting = transaction.runs.needed_by(tenant, needed)
    freed = {one for one in waiting if _look_at(transaction, tenant, one, ended, end_all)}
    if ended.sweep and ended.hold is Hold.NOTHING:
        freed |= {ended.sweep} if transaction.runs.let_go(tenant, ended.sweep, Hold.TURN, 1, WAITS) else set()
    return freed


def _look_at(transaction: Transaction, tenant: str, waiting: str, ended: Run, end_all: EndAll) -> bool:
    order = transaction.runs.order_of(tenant, waiting)
    if order is None:
        raise IntegrityError(f"the order of run {waiting} is missing")
    if ended.state is not RunState.SUCCEEDED:
        end_all(transaction, order, RunState.FAILED, f"Needed {ended.run}, which ended as {ended.state}.")
        return False
    return release(transaction, order, end_all)


def release(transaction: Transaction, order: Admitted, end_all: EndAll) -> bool:
    """Let an order's runs go on if all they need has succeeded; whether they do."""
    tenant, needed = order.tenant, transaction.runs.needs_of(order.tenant, order.run)
    left = [need for need in needed if transaction.runs.unfinished_of(tenant, need) != (0, 0)]
    if left:
        return False
    sizes, lacks = _sizes(transaction, order)
    if lacks:
        end_all(transaction, order, RunState.FAILED, f"What it needs is there now. {lacks}")
        return False
    first = order.max_parallel or MOST_TASKS
    let = transaction.runs.let_go(tenant, order.run, Hold.NEEDS, first, WAITS, **sizes)
    transaction.runs.hold_again(tenant, order.run, HELD.format(most=order.max_parallel), **sizes)
    return let > 0


def _sizes(transaction: Transaction, order: Admitted) -> tuple[dict[str, int], str]:
    """How much of an order's inputs is opened into memory and how much streamed, now that all are there.

    Returns:
        The columns of its runs, and what every node lacks for them, as a sentence; empty if nothing.
    """
    run = transaction.runs.tasks(order.tenant, order.run, 0, 1) if order.tasks else []
    one = run[0] if run else transaction.runs.run(order.tenant, order.run)
    envelope = transaction.statements.get(order.tenant, order.order)
    code = transaction.datasets.by_manifest(order.tenant, one.code) if one else None
    if one is None or envelope is None or code is None:
        raise IntegrityError(f"the order of run {order.run} is not whole")
    said, _ = read_unverified(envelope, Order)
    found = inputs_of(transaction, order.tenant, said)
    if "" in found:
        return {}, "One of its inputs was not put out."
    versions = transaction.datasets.by_manifests(order.tenant, found)
    demand = Demand(one.resources, one.place, one.python, code.size)
    delivery = deliver(
        demand,
        sum(versions[manifest].size for manifest in found if manifest in versions),
        enabled_nodes(transaction.runs.nodes()),
    )
    found_sizes = {
        "staged_bytes": delivery.demand.staged_bytes,
        "streamed_bytes": delivery.demand.streamed_bytes,
    }
    return found_sizes, delivery.lacks


def inputs_of(transaction: Transaction, tenant: str, order: Order) -> tuple[str, ...]:
    """Digests of the manifests of an order's inputs; empty for one that is not there yet."""
    found = []
    for item in order.inputs:
        newest = transaction.datasets.newest(tenant, item.owner) if is_awaited(item) else None
        found.append(item.manifest or (newest.manifest if newest else ""))
    return tuple(found)
