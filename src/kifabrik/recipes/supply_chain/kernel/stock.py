"""What a node has on hand, and what it loses of stock and capacity."""

from typing import Any

import numpy as np

from kifabrik.recipes.supply_chain.kernel import layout as lay
from kifabrik.recipes.supply_chain.kernel.jit import called, larger, smaller

SINCE_NOW = 2
"""State of a trouble in its first period."""


@called
def write_on_hand(plan: Any, st: Any, i: int, row: int, zero: Any) -> None:
    """Write into a row of scratch what node i has on hand; between periods, or after it has served.

    A node that something can keep from shipping may have stock and owe; the level of others is one or the other.
    """
    width = st.level.shape[1]
    if not plan.node_ints[i, lay.BLOCKED]:
        for s in range(width):
            st.scratch[row, s] = larger(st.level[i, s], zero)
        return
    for s in range(width):
        st.scratch[row, s] = st.level[i, s] + st.owed_out[i, s]
    for place in range(plan.out_start[i], plan.out_start[i + 1]):
        e = plan.out_lane[place]
        for s in range(width):
            st.scratch[row, s] += st.owed[e, s]
    for s in range(width):
        st.scratch[row, s] = larger(st.scratch[row, s], zero)


@called
def lose_stock(plan: Any, st: Any, i: int, zero: Any) -> None:
    """Take off what is gone of node i's stock at the start of a period, one loss after the other."""
    width = st.level.shape[1]
    for place in range(plan.stock_loss_start[i], plan.stock_loss_start[i + 1]):
        d = plan.stock_loss[place]
        share = plan.trouble_reals[d, 3]
        write_on_hand(plan, st, i, lay.LEFT, zero)
        for s in range(width):
            lost = st.scratch[lay.LEFT, s] * share if st.trouble[d, s] == SINCE_NOW else zero
            st.level[i, s] -= lost
            st.position[i, s] -= lost


@called
def write_capacity_left(plan: Any, st: Any, i: int, zero: Any) -> None:
    """Write into scratch what share of node i's capacity is left: less the largest loss that is there."""
    width = st.level.shape[1]
    one = zero + np.float32(1)
    for s in range(width):
        st.scratch[lay.CAPACITY_LEFT, s] = one
    for place in range(plan.capacity_loss_start[i], plan.capacity_loss_start[i + 1]):
        d = plan.capacity_loss[place]
        left = one - plan.trouble_reals[d, 3]
        for s in range(width):
            here = left if st.trouble[d, s] > 0 else one
            st.scratch[lay.CAPACITY_LEFT, s] = smaller(st.scratch[lay.CAPACITY_LEFT, s], here)
