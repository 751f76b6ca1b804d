"""Which runs an order covers: its own, or the tasks of its sweep.

Invariants:
- the order decides by itself: nobody but the member who signed it can make one task more;
- a task keeps its number when it is ordered again, so a number means the same parameters for good;
- an order for a sweep covers no run of the sweep's own id.
"""

from collections.abc import Sequence
from typing import Final

from kifabrik.orders.order import Input, Order
from kifabrik.values import MOST_TASKS, Kind, is_id, sweep_of, task_number, task_run

MOST_NEEDS: Final = 50


def numbers_of(order: Order) -> Sequence[int]:
    """Return the numbers of the tasks an order covers; none for an order of one run."""
    return order.only or range(1, order.tasks + 1)


def runs_of(order: Order) -> tuple[str, ...]:
    """Return the ids of all runs an order covers."""
    if not order.tasks:
        return (order.run,)
    return tuple(task_run(order.run, number) for number in numbers_of(order))


def covers(order: Order, run: str) -> bool:
    """Whether an order is for this run."""
    if not order.tasks:
        return run == order.run
    return sweep_of(run) == order.run and task_number(run) in numbers_of(order)


def order_run(run: str) -> str:
    """Return the run id of the order that a run must be covered by."""
    return sweep_of(run) or run


def is_awaited(item: Input) -> bool:
    """Whether an input does not exist yet when the order is signed."""
    return not item.manifest


def run_of_output(owner: str) -> str:
    """Return the run whose output an owner is; empty for a dataset."""
    run, slash, _ = owner.partition("/")
    return run if slash else ""


def shape_fault(order: Order) -> str:
    """Say what is impossible about an order's tasks and needs; empty if nothing is.

    The factory says it to whoever made a mistake; the keyholder leaves such an order out.
    """
    only, needed = order.only, [need.run for need in order.needs]
    awaited = [run_of_output(item.owner) for item in order.inputs if is_awaited(item)]
    rules = (
        (0 <= order.tasks <= MOST_TASKS, f"a sweep has 1 to {MOST_TASKS} tasks"),
        (0 <= order.max_parallel <= MOST_TASKS, f"max_parallel is 0 to {MOST_TASKS}"),
        (order.tasks or not (only or order.max_parallel), "only a sweep has tasks to choose from"),
        (list(only) == sorted(set(only)), "the tasks it names are not in ascending order"),
        (not only or 1 <= only[0] <= only[-1] <= order.tasks, "it names tasks that its sweep does not have"),
        (len(needed) == len(set(needed)) <= MOST_NEEDS, f"it needs more than {MOST_NEEDS} orders, or one twice"),
        (all(is_id(run, Kind.RUN) for run in needed), "it needs what is not an order's run"),
        (order.run not in needed, "it needs itself"),
        (len({item.owner for item in order.inputs}) == len(order.inputs), "it names one input twice"),
        ({order_run(run) for run in awaited} <= set(needed), "an input without a digest is not of a run it needs"),
    )
    return next((fault for holds, fault in rules if not holds), "")
