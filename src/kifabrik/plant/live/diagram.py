"""The flow diagram: boxes, pipes whose width is their power, and bars with the limit as a mark."""

import math
from dataclasses import dataclass
from typing import Final

from kifabrik.plant.live.state import Now
from kifabrik.plant.site import Site

_WIDEST: Final = 26.0
_ELECTRIC, _WARM, _COLD = "#e69f00", "#d55e00", "#0072b2"


@dataclass(frozen=True, slots=True)
class Box:
    """A part of the plant with what is known of it.

    Attributes:
        x: Left.
        y: Top.
        name: In words.
        lines: Pairs of text and whether it is measured.
    """

    x: int
    y: int
    name: str
    lines: list[tuple[str, bool]]


@dataclass(frozen=True, slots=True)
class Pipe:
    """A flow from one box to another.

    Attributes:
        path: SVG path.
        width: In the drawing.
        colour: Of electricity, warm or cold water.
        title: In words.
    """

    path: str
    width: float
    colour: str
    title: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A value on a scale with its limit.

    Attributes:
        name: In words.
        share: Of the scale.
        mark: Where the limit is, as a share of the scale.
        text: Value and limit.
        measured: Whether a meter gave the value.
        over: Whether the value is beyond its limit.
    """

    name: str
    share: float
    mark: float
    text: str
    measured: bool
    over: bool


def boxes(site: Site, now: dict[str, Now]) -> list[Box]:
    """All boxes."""

    def power(name: str, words: str = "") -> tuple[str, bool]:
        return f"{words}{now[name].value / 1e6:.2f} MW", now[name].measured

    def celsius(name: str, words: str) -> tuple[str, bool]:
        return f"{words}{now[name].value:.1f} °C", now[name].measured

    supply = site.cooling.loop.supply
    return [
        Box(20, 150, "Grid", [power("electricity")]),
        Box(220, 150, f"{site.fleet().gpus:,} GPUs", [power("it")]),
        Box(440, 150, "Cooling loop", [celsius("loop_back", "back "), (f"supply {supply:.1f} °C", True)]),
        Box(660, 30, "Heat pump", [power("heat_pump", "takes "), power("pump_heat", "gives ")]),
        Box(880, 30, "Customers", [power("demand", "want "), power("to_customers", "get ")]),
        Box(660, 150, site.river.name, [celsius("river", "before "), celsius("river_mixed", "behind ")]),
        Box(880, 150, "River water", [(f"{now['river_water'].value:.2f} m³/s", now["river_water"].measured),
                                      (f"of {now['flow'].value:.1f} m³/s", now["flow"].measured)]),
        Box(660, 270, "Dry cooler, chiller", [power("dry_heat"), power("chiller_heat")]),
        Box(880, 270, "Air", [celsius("air", "")]),
    ]  # fmt: skip


def pipes(site: Site, now: dict[str, Now]) -> list[Pipe]:
    """All pipes; none is drawn where nothing flows."""
    most = max(site.electricity.connection, 1.0)
    routes = (
        ("electricity", "M160,190 H220", _ELECTRIC, "electricity"),
        ("it", "M360,190 H440", _WARM, "heat of the nodes"),
        ("source_heat", "M580,180 C620,180 620,70 660,70", _WARM, "heat to the heat pump"),
        ("pump_heat", "M800,70 H880", _WARM, "heat to the network"),
        ("to_river", "M580,190 H660", _COLD, "heat to the river"),
        ("dry_heat", "M580,200 C620,200 620,300 660,300", _COLD, "heat to the dry cooler"),
        ("chiller_heat", "M580,205 C610,205 610,320 660,320", _COLD, "heat to the chiller"),
        ("to_river", "M800,190 H880", _COLD, "heat in the river"),
        ("to_air", "M800,310 H880", _COLD, "heat to the air"),
    )
    return [
        Pipe(path, _width(now[name].value / most), colour, f"{title}: {now[name].value / 1e6:.2f} MW")
        for name, path, colour, title in routes
        if now[name].value > 1.0
    ]  # fmt: skip


def _width(share: float) -> float:
    """Of a pipe: its area grows with its power, so that small ones are still seen."""
    return max(2.0, _WIDEST * math.sqrt(share))


def bars(site: Site, now: dict[str, Now]) -> list[Bar]:
    """Values against their limits."""
    full = max(site.fleet().full_watts, 1.0)
    limit, river = now["limit"].value, now["river_mixed"]
    rise = river.value - now["river"].value
    allowed = next(
        (one.rise for one in site.river.limits if math.isclose(one.temperature, limit)), site.river.limits[0].rise
    )
    it, permitted = now["it"], now["permitted"].value
    connection, total = site.electricity.connection, now["electricity"]
    return [
        _bar("river behind the outlet", river.value, limit, 30.0, "°C", river.measured),
        _bar("warming of the river", rise, allowed, 3.0, "K", river.measured and now["river"].measured),
        _bar("power of the nodes", it.value / 1e6, permitted / 1e6, 1.1 * full / 1e6, "MW", it.measured),
        _bar("grid connection", total.value / 1e6, connection / 1e6, 1.1 * connection / 1e6, "MW", total.measured),
    ]


def _bar(name: str, value: float, limit: float, scale: float, unit: str, measured: bool) -> Bar:
    share, mark = (min(max(each / scale, 0.0), 1.0) for each in (value, limit))
    return Bar(name, share, mark, f"{value:.2f} of {limit:.2f} {unit}", measured, value > limit * (1 + 1e-6))
