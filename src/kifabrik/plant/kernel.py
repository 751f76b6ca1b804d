"""One minute of the plant, and a year of minutes: the balances of heat and electricity, compiled.

Invariants:
    - Energy is kept in each step: what comes in as electricity leaves as heat to river, air, ground, customers
      or tank.
    - Heat goes to customers first, then to the river as far as exchanger and permit allow, then to the dry cooler,
      then to the chiller; what none of them can take is not let in: the IT power falls to what they can.
    - A step reads nothing but its conditions and the heat in the tank.
"""

import math
from typing import Any, Final, NamedTuple

import numba
import numpy as np

from kifabrik.plant.exchange import resistance, river_flow

_jit = numba.njit(cache=True, nogil=True, error_model="numpy")
_HALVINGS: Final = 30
_EVAPORATION: Final = 2.45e6
"""Heat of evaporation of water at 20 °C, J/kg (IAPWS-95: 2,453 kJ/kg)."""
_KELVIN: Final = 273.15
_MOST_SPEED: Final = 1.2
"""Pumps and fans may run above their rating by so much."""

SERIES: Final = (
    "it", "losses", "air_fans", "loop_pump", "river_pump", "heat_pump", "network_pump", "dry_fans", "chiller",
    "auxiliary", "to_river", "to_air", "to_ground", "to_customers", "to_store", "backup", "source_heat",
    "pump_heat",
    "river_water", "river_mixed", "loop_back", "sprayed", "permitted", "store", "river_room", "cop", "chiller_heat",
    "dry_heat",
)  # fmt: skip
(
    IT, LOSSES, AIR_FANS, LOOP_PUMP, RIVER_PUMP, HEAT_PUMP, NETWORK_PUMP, DRY_FANS, CHILLER,
    AUXILIARY, TO_RIVER, TO_AIR, TO_GROUND, TO_CUSTOMERS, TO_STORE, BACKUP, SOURCE_HEAT, PUMP_HEAT,
    RIVER_WATER, RIVER_MIXED, LOOP_BACK, SPRAYED, PERMITTED, STORE, RIVER_ROOM, COP, CHILLER_HEAT,
    DRY_HEAT,
) = range(len(SERIES))  # fmt: skip


class Plant(NamedTuple):
    """A site as numbers, SI; temperatures in °C. `kifabrik.plant.physics` makes it from a site."""

    full_watts: float
    connection: float
    transformer: Any  # rating, standing, linear, square
    ups: Any
    auxiliary: float
    supply: float
    rise: float
    loop_heat: float
    loop_pump: float
    loop_least: float
    air_fans: float
    air_least: float
    captured: float
    losses_captured: float
    river_ua: float
    river_rated: float  # m³/s
    river_pump: float
    river_least: float
    river_most: float
    river_rise: float
    mixing: float
    withdrawable: float
    dry_heat: float
    dry_difference: float
    dry_fans: float
    dry_least: float
    dry_air_rise: float
    spray_above: float
    spray_effectiveness: float
    chiller_heat: float
    chiller_carnot: float
    chiller_cold: float
    chiller_hot: float
    machine_heat: float
    machines: float
    drive: float
    back: float
    ground: float
    leak: float
    network_pump: float
    network_least: float
    network_rated: float  # W at which the pump's rating is reached
    store_capacity: float  # J that the full tank holds above water that comes back
    store_leak: float
    store_hours: float
    cop_source: Any
    cop_flow: Any
    cop_load: Any
    cop: Any


class Outside(NamedTuple):
    """Conditions of a step."""

    river: float
    flow: float
    capacity: float
    limit: float
    rise_limit: float
    air: float
    wet_bulb: float
    demand: float
    network_flow: float


@_jit
def cube(share: float, rating: float, least: float) -> float:
    """Power of a pump or fan by the affinity law: the cube of its flow's share, not slower than `least`."""
    speed = min(max(share, least), _MOST_SPEED)
    return rating * speed * speed * speed


@_jit
def loss(power: float, parts: Any) -> float:
    """Loss of transformer or supply that passes `power` on, W."""
    share = power / parts[0]
    return float(parts[0] * (parts[1] + parts[2] * share + parts[3] * share * share))


@_jit
def _place(axis: Any, value: float) -> tuple[int, float]:
    """Where a value lies on an axis: the point below it, and how far on to the next."""
    last = len(axis) - 1
    if value <= axis[0]:
        return 0, 0.0
    if value >= axis[last]:
        return last - 1, 1.0
    below = int(np.searchsorted(axis, value)) - 1
    return below, (value - axis[below]) / (axis[below + 1] - axis[below])


@_jit
def cop_at(plant: Any, source: float, flow: float, load: float) -> float:
    """COP of a machine, linear between the points of the map."""
    i, x = _place(plant.cop_source, source)
    j, y = _place(plant.cop_flow, flow)
    k, z = _place(plant.cop_load, load)
    c = plant.cop
    low = (c[i, j, k] * (1 - x) + c[i + 1, j, k] * x) * (1 - y) + (
        c[i, j + 1, k] * (1 - x) + c[i + 1, j + 1, k] * x
    ) * y
    k += 1
    top = (c[i, j, k] * (1 - x) + c[i + 1, j, k] * x) * (1 - y) + (
        c[i, j + 1, k] * (1 - x) + c[i + 1, j + 1, k] * x
    ) * y
    return float(low * (1 - z) + top * z)


@_jit
def minute(  # noqa: PLR0915 - reads like the balances: one after the other
    plant: Any, outside: Any, it: float, stored: float, step: float, out: Any
) -> float:
    """Balances of one step.

    Args:
        plant: `Plant`.
        outside: `Outside`.
        it: IT power, W.
        stored: Heat in the tank, J.
        step: Seconds.
        out: Takes the step's values, in the order of `SERIES`.

    Returns:
        Heat that none of the coolers can take, W, or power above the connection's; at most 0 if all is well.
    """
    # electricity on its way to the nodes
    ups = loss(it, plant.ups)
    fans = cube(it / plant.full_watts if plant.full_watts > 0 else 0.0, plant.air_fans, plant.air_least)

    # heat into the loop; its pump's power ends up in the water too
    caught = plant.captured * it + plant.losses_captured * ups + fans
    share = min(max(caught / plant.loop_heat, plant.loop_least), _MOST_SPEED)
    loop_pump = cube(share, plant.loop_pump, plant.loop_least)
    loop = caught + loop_pump
    hot = share * plant.loop_heat / plant.rise  # W/K
    back = plant.supply + loop / hot

    # heat pump, tank and network
    network_loss = max(plant.leak * (0.5 * (outside.network_flow + plant.back) - plant.ground), 0.0)
    network_pump = cube(outside.demand / plant.network_rated, plant.network_pump, plant.network_least)
    network_pump = min(network_pump, outside.demand + network_loss)
    wanted = outside.demand + network_loss - network_pump
    tank = plant.store_capacity
    tank_loss = (
        plant.store_leak * max(outside.network_flow - plant.ground, 0.0) * (stored / tank if tank > 0 else 0.0)
    )
    tank_loss = min(tank_loss, stored / step)
    most = plant.machine_heat * plant.machines
    loading = min(tank / (plant.store_hours * 3600.0), max(tank - stored, 0.0) / step + tank_loss)
    machines = (
        min(max(math.ceil((wanted + loading) / plant.machine_heat), 1.0), plant.machines) if most > 0 else 1.0
    )
    load = min(wanted + loading, most) / (machines * plant.machine_heat) if most > 0 else 0.0
    cop = cop_at(plant, back, outside.network_flow, load) * plant.drive
    source_share = 1.0 - plant.drive / cop  # of the heat delivered, what comes from the loop
    heat = min(wanted + loading, most, loop / source_share)
    heat = max(heat, 0.0)
    electric = heat / cop
    source = heat * source_share
    drive_loss = electric * (1.0 - plant.drive)
    unload = min(max(wanted - heat, 0.0), max(stored / step - tank_loss, 0.0))
    backup = max(wanted - heat - unload, 0.0)
    to_store = heat - (wanted - backup) - tank_loss  # what the tank gains
    delivered = max(outside.demand - backup, 0.0)
    network_short = backup - (outside.demand - delivered)  # part of the losses that the backup covers

    # the river: what exchanger, water and permit allow
    rest = loop - source
    warm = plant.supply + rest / hot
    most_water = min(plant.river_most, plant.withdrawable * outside.flow)
    least_water = min(plant.river_least * plant.river_most, most_water)
    room_kelvin = min(outside.rise_limit, outside.limit - outside.river)
    room = max(room_kelvin, 0.0) * outside.capacity * outside.flow * plant.mixing
    pinch = warm - outside.river
    water = river_pump = to_river = 0.0
    if rest > 0.0 and pinch > 0.0 and room > 0.0 and most_water > 0.0:
        resisting = resistance(share)
        to_river = rest
        for _ in range(3):  # the pump's own heat counts against the permit
            wish = min(max(to_river / (outside.capacity * plant.river_rise), least_water), most_water)
            water, to_river = river_flow(
                to_river,
                plant.river_ua,
                hot,
                resisting,
                pinch,
                outside.capacity,
                plant.river_rated,
                wish,
                most_water,
            )
            river_pump = cube(water / plant.river_most, plant.river_pump, plant.river_least)
            if to_river + river_pump <= room:
                break
            to_river = max(room - river_pump, 0.0)
        if to_river <= 0.0:
            water = river_pump = to_river = 0.0
    mixed = outside.river + (to_river + river_pump) / (outside.capacity * outside.flow * plant.mixing)

    # dry cooler, sprayed on warm days
    rest -= to_river
    air, sprayed, cooling = outside.air, 0.0, 0.0
    if air > plant.spray_above:
        cooling = plant.spray_effectiveness * (air - outside.wet_bulb)
    able = plant.dry_heat * max(warm - air + cooling, 0.0) / plant.dry_difference
    dry = min(rest, able)
    dry_fans = 0.0
    if dry > 1.0:
        dry_fans = cube(dry / able, plant.dry_fans, plant.dry_least)
        if cooling > 0.0:
            sprayed = dry / plant.dry_air_rise * cooling / _EVAPORATION / 1000.0
    rest -= max(dry, 0.0)

    # chiller
    chilled = min(rest, plant.chiller_heat)
    chiller = 0.0
    if chilled > 1.0:
        cold = plant.supply - plant.chiller_cold + _KELVIN
        lift = max(outside.air + plant.chiller_hot + _KELVIN - cold, 5.0)
        chiller = chilled / (plant.chiller_carnot * cold / lift)
    rest -= max(chilled, 0.0)

    # what the transformer passes on, and what the connection must
    passed = (
        it + ups + fans + loop_pump + river_pump + electric + network_pump + dry_fans + chiller + plant.auxiliary
    )
    transformer = loss(passed, plant.transformer)

    out[IT], out[LOSSES], out[AIR_FANS], out[LOOP_PUMP] = it, ups + transformer, fans, loop_pump
    out[RIVER_PUMP], out[HEAT_PUMP], out[NETWORK_PUMP] = river_pump, electric, network_pump
    out[DRY_FANS], out[CHILLER], out[AUXILIARY] = dry_fans, chiller, plant.auxiliary
    out[TO_RIVER] = to_river + river_pump
    out[TO_AIR] = (
        (1.0 - plant.captured) * it + (1.0 - plant.losses_captured) * ups + transformer + plant.auxiliary
        + drive_loss + max(dry, 0.0) + dry_fans + max(chilled, 0.0) + chiller
    )  # fmt: skip
    out[TO_GROUND] = network_loss - network_short + tank_loss
    out[TO_CUSTOMERS], out[TO_STORE], out[BACKUP] = delivered, to_store, backup
    out[SOURCE_HEAT], out[PUMP_HEAT] = source, heat
    out[RIVER_WATER], out[RIVER_MIXED], out[LOOP_BACK], out[SPRAYED] = water, mixed, back, sprayed
    out[STORE], out[RIVER_ROOM] = stored + to_store * step, room
    out[COP] = heat / electric if electric > 0 else np.nan
    out[CHILLER_HEAT], out[DRY_HEAT] = max(chilled, 0.0), max(dry, 0.0)
    return float(max(rest, passed + transformer - plant.connection))


@_jit
def permitted(plant: Any, outside: Any, stored: float, step: float, scratch: Any) -> float:
    """Most IT power that the coolers can take away and the connection can bring, W."""
    top, bottom = plant.full_watts, 0.0
    if minute(plant, outside, top, stored, step, scratch) <= 0.0:
        return float(top)
    for _ in range(_HALVINGS):
        middle = 0.5 * (top + bottom)
        if minute(plant, outside, middle, stored, step, scratch) <= 0.0:
            bottom = middle
        else:
            top = middle
    return float(bottom)


@_jit
def run(
    plant: Any, wanted: Any, river: Any, flow: Any, capacity: Any, limit: Any, rise_limit: Any, air: Any,
    wet_bulb: Any, demand: Any, network_flow: Any, step: float, every: int, out: Any,
) -> None:  # fmt: skip
    """All steps of a span.

    Args:
        plant: `Plant`.
        wanted: IT power by the step, W; shape (steps,).
        river: °C; the same shape, as the others to `network_flow`: see `Outside`.
        flow: m³/s.
        capacity: J/(m³ K).
        limit: °C.
        rise_limit: K.
        air: °C.
        wet_bulb: °C.
        demand: W.
        network_flow: °C.
        step: Seconds.
        every: The power that is permitted is looked for anew after so many steps, and whenever it is too low.
        out: Takes the series; shape (len(SERIES), steps).
    """
    stored = allowed = 0.0
    row = np.empty(len(out))
    for now in range(len(wanted)):
        outside = Outside(
            river[now], flow[now], capacity[now], limit[now], rise_limit[now], air[now], wet_bulb[now], demand[now],
            network_flow[now],
        )  # fmt: skip
        if now % every == 0:
            allowed = permitted(plant, outside, stored, step, row)
        it = wanted[now]
        if minute(plant, outside, it, stored, step, row) > 0.0:
            allowed = permitted(plant, outside, stored, step, row)
            it = min(it, allowed)
            minute(plant, outside, it, stored, step, row)
        row[PERMITTED] = max(allowed, it)
        stored = row[STORE]
        for number in range(len(row)):
            out[number, now] = row[number]
