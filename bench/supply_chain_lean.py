"""A chain of base stocks and nothing else: what the simulator would cost if it could do no more.

Written by hand for this one model, with the simulator's random numbers, layout and single precision: blocks of
scenarios side by side, sums of single precision flushed into double.
"""
# ruff: noqa: C901, PLR0912 - one function, as short as the model allows

import numba
import numpy as np

from kifabrik.recipes.supply_chain import luck
from kifabrik.recipes.supply_chain.kernel.drawing import _continuous


@numba.njit(nogil=True, error_model="numpy", _nrt=False)
def chain(
    keys, normal, mean, sd, target, lead, first, periods, level, position, order, owed, ring, dice, part, total
):
    """All periods of a block; arrays [stage, scenario], ring [stage * (lead + 1), scenario]."""
    size, width = level.shape
    zero = np.float32(0)
    for t in range(periods):
        for s in range(width):
            dice[0, s], _ = luck.threefry(keys[0], keys[1], np.uint32(first + s), np.uint32(t))
        for s in range(width):
            drawn = mean + sd * _continuous(normal, 0, dice[0, s])
            order[size, s] = max(zero, drawn)
        for back in range(size):
            i = size - 1 - back
            for s in range(width):
                here = position[i, s] - order[i + 1, s]
                order[i, s] = max(target - here, zero)
                position[i, s] = here + order[i, s]
        for i in range(size):
            came, gone = i * (lead + 1) + t % (lead + 1), i * (lead + 1) + (t + lead) % (lead + 1)
            if i == 0:
                for s in range(width):
                    ring[gone, s] = order[0, s]
            weight = np.float32(min(lead, periods - t)) if i < size - 1 else zero
            for s in range(width):
                here = max(level[i, s], zero) + ring[came, s]
                need = owed[i, s] + order[i + 1, s]
                out = min(here, need)
                owed[i, s] = need - out
                level[i, s] += ring[came, s] - order[i + 1, s]
                if i + 1 < size:
                    ring[gone + lead + 1, s] = out
                part[3 * i, s] += max(level[i, s], zero)
                part[3 * i + 1, s] += max(-level[i, s], zero)
                part[3 * i + 2, s] += out * weight
        if (t + 1) % 16 == 0 or t + 1 == periods:
            for row in range(3 * size):
                for s in range(width):
                    total[row, s] += part[row, s]
                    part[row, s] = 0


def state(size, lead, level, width):
    """Arrays of a block before the first period."""
    single = np.float32
    full = np.full((size, width), level, single)
    zeros = [np.zeros((rows, width), single) for rows in (size + 1, size, size * (lead + 1))]
    dice, part = np.zeros((1, width), np.uint32), np.zeros((3 * size, width), single)
    return full, full.copy(), *zeros, dice, part, np.zeros((3 * size, width))
