"""The flow diagram: boxes, pipes whose width is their power, and bars with the limit as a mark."""

import math
from dataclasses import dataclass
from typing import Final

from kifabrik.plant.live.state import Now
from kifabrik.plant.live.words import LiveSpeaker
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


def boxes(site: Site, now: dict[str, Now], say: LiveSpeaker) -> list[Box]:
    """All boxes."""

    def power(name: str, key: str = "") -> tuple[str, bool]:
        words = f"{say(key)} " if key else ""
        return f"{words}{say.number(now[name].value / 1e6, 2)} MW", now[name].measured

    def celsius(name: str, key: str = "") -> tuple[str, bool]:
        words = f"{say(key)} " if key else ""
        return f"{words}{say.number(now[name].value, 1)} °C", now[name].measured

    supply = say.number(site.cooling.loop.supply, 1)
    water, flow = now["river_water"], now["flow"]
    return [
        Box(20, 150, say("grid"), [power("electricity")]),
        Box(220, 150, f"{say.number(site.fleet().gpus, 0)} GPUs", [power("it")]),
        Box(440, 150, say("loop"), [celsius("loop_back", "back"), (f"{say('supply')} {supply} °C", True)]),
        Box(660, 30, say("heat_pump"), [power("heat_pump", "takes"), power("pump_heat", "gives")]),
        Box(880, 30, say("customers"), [power("demand", "want"), power("to_customers", "get")]),
        Box(660, 150, site.river.name, [celsius("river", "before"), celsius("river_mixed", "behind")]),
        Box(880, 150, say("river_water"), [(f"{say.number(water.value, 2)} m³/s", water.measured),
                                           (f"{say('of')} {say.number(flow.value, 1)} m³/s", flow.measured)]),
        Box(660, 270, say("fallback"), [power("dry_heat", "dry"), power("chiller_heat", "chiller")]),
        Box(880, 270, say("air"), [celsius("air")]),
    ]  # fmt: skip


def pipes(site: Site, now: dict[str, Now], say: LiveSpeaker) -> list[Pipe]:
    """All pipes; none is drawn where nothing flows."""
    most = max(site.electricity.connection, 1.0)
    routes = (
        ("electricity", "M160,190 H220", _ELECTRIC, "electricity"),
        ("it", "M360,190 H440", _WARM, "nodes_heat"),
        ("source_heat", "M580,180 C620,180 620,70 660,70", _WARM, "to_pump"),
        ("pump_heat", "M800,70 H880", _WARM, "to_network"),
        ("to_river", "M580,190 H660", _COLD, "to_river"),
        ("dry_heat", "M580,200 C620,200 620,300 660,300", _COLD, "to_dry"),
        ("chiller_heat", "M580,205 C610,205 610,320 660,320", _COLD, "to_chiller"),
        ("to_river", "M800,190 H880", _COLD, "in_river"),
        ("to_air", "M800,310 H880", _COLD, "to_air"),
    )
    return [
        Pipe(
            path,
            _width(now[name].value / most),
            colour,
            f"{say(title)}: {say.number(now[name].value / 1e6, 2)} MW",
        )
        for name, path, colour, title in routes
        if now[name].value > 1.0
    ]


def _width(share: float) -> float:
    """Of a pipe: its area grows with its power, so that small ones are still seen."""
    return max(2.0, _WIDEST * math.sqrt(share))


def bars(site: Site, now: dict[str, Now], say: LiveSpeaker) -> list[Bar]:
    """Values against their limits."""
    full = max(site.fleet().full_watts, 1.0) / 1e6
    limit, river = now["limit"].value, now["river_mixed"]
    rise = river.value - now["river"].value
    allowed = next(
        (one.rise for one in site.river.limits if math.isclose(one.temperature, limit)), site.river.limits[0].rise
    )
    it, permitted = now["it"], now["permitted"].value / 1e6
    connection, total = site.electricity.connection / 1e6, now["electricity"]

    def bar(key: str, value: float, bound: float, scale: float, unit: str, *, measured: bool) -> Bar:
        share, mark = (min(max(each / scale, 0.0), 1.0) for each in (value, bound))
        text = f"{say.number(value, 2)} {say('of')} {say.number(bound, 2)} {unit}"
        return Bar(say(key), share, mark, text, measured, value > bound * (1 + 1e-6))

    both = river.measured and now["river"].measured
    return [
        bar("river_behind", river.value, limit, 30.0, "°C", measured=river.measured),
        bar("warming", rise, allowed, 3.0, "K", measured=both),
        bar("nodes_power", it.value / 1e6, permitted, 1.1 * full, "MW", measured=it.measured),
        bar("connection", total.value / 1e6, connection, 1.1 * connection, "MW", measured=total.measured),
    ]
