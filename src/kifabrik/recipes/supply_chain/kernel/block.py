"""A block of scenarios, side by side, through all periods.

Orders go from the last nodes to the first, shipments from the first to the last. What a node does not use is
skipped outside the inner loops and costs nothing.

Invariants:
    - A scenario's numbers do not depend on the other scenarios of its block.
    - The order position of a `plain` node changes only by orders and demand; other nodes count by component.
"""
# ruff: noqa: C901, PLR0912 - what every node does in every period stands in one loop

from collections.abc import Callable
from typing import Any, Final

from kifabrik.recipes.supply_chain.kernel import layout as lay
from kifabrik.recipes.supply_chain.kernel.drawing import draw_demand, draw_shared_lucks, draw_troubles
from kifabrik.recipes.supply_chain.kernel.jit import called, kept, larger, smaller
from kifabrik.recipes.supply_chain.kernel.making import advance, make
from kifabrik.recipes.supply_chain.kernel.ordering import ask, count_position, order, place_orders
from kifabrik.recipes.supply_chain.kernel.serving import serve
from kifabrik.recipes.supply_chain.kernel.stock import lose_stock, write_on_hand
from kifabrik.recipes.supply_chain.kernel.text import SOURCES


@called
def _record_under_way(plan: Any, st: Any, t: int, rec: Any) -> None:
    """Note what is on each lane at the end of period t."""
    for e in range(plan.lane_ints.shape[0]):
        at, length = plan.lane_ints[e, lay.RING_AT], plan.lane_ints[e, lay.RING_LENGTH]
        emptied = plan.lane_ints[e, lay.ARRIVED] >= 0 or plan.lane_ints[e, lay.D_TRANSIT] >= 0
        travels = plan.lane_ints[e, lay.LEAD] - plan.lane_ints[e, lay.BEFORE_LEAVING]
        for slot in range(length):
            if emptied or 0 < (slot - t) % length <= travels:  # others have come, or have not left
                for s in range(st.ring.shape[1]):
                    rec.lanes[lay.E_UNDER_WAY, t, e, s] += st.ring[at + slot, s]


@called
def _trace(plan: Any, st: Any, t: int, courses: Any, watched: Any, prices: Any, zero: Any) -> None:
    """Note backlog, stock value and demand of the first scenarios, and the watched nodes' stock."""
    width = smaller(st.level.shape[1], courses.shape[2])
    for i in range(prices.shape[0]):
        price = prices[i]
        if plan.node_ints[i, lay.BLOCKED]:
            write_on_hand(plan, st, i, lay.STOCK, zero)
            for s in range(width):
                courses[1, t, s] += st.scratch[lay.STOCK, s] * price
        else:
            for s in range(width):
                courses[1, t, s] += larger(st.level[i, s], zero) * price
        if plan.node_ints[i, lay.DEMAND] != lay.NO_DEMAND:
            for s in range(width):
                courses[0, t, s] += st.owed_out[i, s]
                courses[2, t, s] += st.outside[i, s]
    for w in range(watched.shape[0]):
        write_on_hand(plan, st, watched[w], lay.STOCK, zero)
        for s in range(width):
            here = st.scratch[lay.STOCK, s]
            courses[3 + 2 * w, t, s] = here
            courses[4 + 2 * w, t, s] = larger(here - st.level[watched[w], s], zero)


@called
def _flush(part: Any, total: Any) -> None:
    """Add sums of some periods to those of all, in double precision, and begin anew."""
    for row in range(part.shape[0]):
        for s in range(part.shape[1]):
            total[row, s] += part[row, s]
            part[row, s] = 0


@kept
def add_groups(values: Any, group: int, sums: Any) -> None:
    """Add values [row, scenario] to sums [row, group of so many scenarios]."""
    for row in range(values.shape[0]):
        for g in range(sums.shape[1]):
            sum_ = 0.0
            for s in range(g * group, smaller((g + 1) * group, values.shape[1])):
                sum_ += values[row, s]
            sums[row, g] += sum_


def _block(sources: int) -> Callable[..., int]:
    """The kernel; `sources` is part of its key on disk."""

    @kept
    def simulate_block(
        plan: Any, st: Any, first: int, begin: int, end: int, span: Any, every: int, stockpyl: bool,
        any_transit: bool, zero: Any, replay: Any, replayed: Any, courses: Any, watched: Any, prices: Any, rec: Any,
    ) -> int:  # fmt: skip
        """Simulate periods `begin` to `end` of a block whose first scenario has the number `first`.

        Periods counted are `span[0]` to `span[1]`. Sums are flushed after `every` periods and at the end.
        """
        nodes = plan.out_start.shape[0] - 1
        keys = nodes + plan.lane_ints.shape[0]
        for t in range(begin, end):
            if plan.troubles.shape[0] > 0:
                draw_troubles(plan, st, t, first, keys, replayed)
            if st.shared.shape[0] > 0:
                draw_shared_lucks(plan, st, t, first, keys + plan.troubles.shape[0])
            if plan.stock_loss.shape[0] > 0:
                for i in range(nodes):
                    lose_stock(plan, st, i, zero)
            for back in range(nodes):
                i = nodes - 1 - back
                if plan.node_ints[i, lay.DEMAND] != lay.NO_DEMAND:
                    draw_demand(plan, st, i, t, first, replay, zero)
                ask(plan, st, i, t, zero)
                if not plan.node_ints[i, lay.PLAIN]:
                    count_position(plan, st, i)
                order(plan, st, i, t, zero, stockpyl)
                place_orders(plan, st, i, t, first, span, zero, rec)
            for i in range(nodes):
                make(plan, st, i, t, zero)
                serve(plan, st, i, t, first, span, zero, stockpyl, rec)
            if any_transit:
                advance(plan, st, t, span, zero)
            if rec is not None:
                _record_under_way(plan, st, t, rec)
            if (t + 1) % every == 0 or t + 1 == end:
                _flush(st.part, st.total)
                _flush(st.lane_part, st.lane_total)
            if courses.shape[2] > 0:
                _trace(plan, st, t, courses, watched, prices, zero)
        return sources

    return simulate_block


simulate_block: Final = _block(SOURCES)
