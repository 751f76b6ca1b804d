"""The counterflow exchanger between loop and river: effectiveness and number of transfer units, compiled.

Sources: VDI Heat Atlas, section C1; F. P. Incropera et al., "Fundamentals of Heat and Mass Transfer", chapter 11.
How the transfer falls with the flows: each side's coefficient goes with its flow to the power of 0.8, as
Dittus and Boelter have it.
"""

import math
from typing import Final

import numba

from kifabrik.plant.site import Exchanger

_jit = numba.njit(cache=True, nogil=True, error_model="numpy")
_EVEN: Final = 1e-9
_HALVINGS: Final = 40


@_jit
def effectiveness(units: float, ratio: float) -> float:
    """Effectiveness of a counterflow exchanger.

    Args:
        units: Number of transfer units, UA / smaller heat capacity rate.
        ratio: Smaller by larger heat capacity rate, 0 to 1.
    """
    if 1.0 - ratio < _EVEN:
        return units / (1.0 + units)
    falling = math.exp(-units * (1.0 - ratio))
    return (1.0 - falling) / (1.0 - ratio * falling)


@_jit
def resistance(share: float) -> float:
    """What a side adds to the resistance to heat at a share of its design's flow; 1 at the design."""
    return float(share**-0.8)


@_jit
def transferred(
    rated_ua: float, hot: float, cold: float, hot_resistance: float, cold_share: float, pinch: float
) -> float:
    """Heat an exchanger passes on, W.

    Args:
        rated_ua: Transfer at the design's flows, W/K.
        hot: Heat capacity rate of the hot side, W/K.
        cold: Of the cold side, W/K.
        hot_resistance: Of the hot side, by `resistance`.
        cold_share: Flow of the cold side as a share of the design's.
        pinch: Between the two waters coming in, K.
    """
    if pinch <= 0.0 or hot <= 0.0 or cold <= 0.0:
        return 0.0
    ua = rated_ua * 2.0 / (hot_resistance + resistance(cold_share))
    least, most = min(hot, cold), max(hot, cold)
    return effectiveness(ua / least, least / most) * least * pinch


@_jit
def river_flow(
    heat: float, rated_ua: float, hot: float, hot_resistance: float, pinch: float, capacity: float, rated: float,
    least: float, most: float,
) -> tuple[float, float]:  # fmt: skip
    """Least river water that takes a heat, between `least` and `most`.

    Args:
        heat: To take, W.
        rated_ua: As for `transferred`.
        hot: As for `transferred`.
        hot_resistance: As for `transferred`.
        pinch: As for `transferred`.
        capacity: Heat capacity of river water, J/(m³ K).
        rated: River water at the design, m³/s.
        least: Flow that is not gone below, m³/s.
        most: Flow that is not gone above, m³/s.

    Returns:
        Water, m³/s, and the heat it takes, W: all of it, or what `most` takes.
    """
    if transferred(rated_ua, hot, least * capacity, hot_resistance, least / rated, pinch) >= heat:
        return least, heat
    able = transferred(rated_ua, hot, most * capacity, hot_resistance, most / rated, pinch)
    if able <= heat:
        return most, able
    for _ in range(_HALVINGS):
        middle = 0.5 * (least + most)
        if transferred(rated_ua, hot, middle * capacity, hot_resistance, middle / rated, pinch) >= heat:
            most = middle
        else:
            least = middle
    return most, heat


def design_transfer(exchanger: Exchanger) -> float:
    """UA of a counterflow exchanger at its design point, W/K, by the logarithmic mean temperature difference.

    Args:
        exchanger: By its four temperatures and its heat.
    """
    one = exchanger.hot_in - exchanger.cold_out
    other = exchanger.hot_out - exchanger.cold_in
    mean = one if math.isclose(one, other) else (one - other) / math.log(one / other)
    return exchanger.heat / mean
