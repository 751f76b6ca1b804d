"""A site: what stands there, as read from its file; every quantity is SI inside and has its unit in the file."""

from datetime import date
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from kifabrik.plant.load import Fleet, NodeType
from kifabrik.plant.quantities import (
    Area,
    Carbon,
    CarbonWorth,
    Celsius,
    Energy,
    Flow,
    Kelvin,
    Leak,
    Power,
    Price,
    Share,
    Volume,
)

_CALENDAR_YEAR: Final = 2024
"""A leap year, so that any day of a calendar can be written."""


def _day(value: Any) -> tuple[int, int]:
    """A day of any year, `10-17`: month and day."""
    try:
        month, day = (int(part) for part in str(value).split("-"))
        date(_CALENDAR_YEAR, month, day)
    except ValueError:
        message = f"{value!r} is not a day of the year, such as 10-17"
        raise ValueError(message) from None
    return month, day


def _stated(value: Any) -> str:
    """What is stated to a register: words, or a number with its unit."""
    if not isinstance(value, str) or not value.strip():
        message = f'{value!r} is not text in quotes, with its unit if it has one, such as "3000 m²"'
        raise ValueError(message)
    return value.strip()


Stated = Annotated[str, BeforeValidator(_stated)]
Day = Annotated[tuple[int, int], BeforeValidator(_day)]
Month = Annotated[int, Field(ge=1, le=12)]


class Part(BaseModel):
    """Any part of a site file: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Losses(Part):
    """Losses of something electric: rating x (standing + linear u + square u²) at u = load / rating.

    The form with a standing, a linear and a square part is that of a double-conversion supply's efficiency curve
    (IEC 62040-3 gives efficiencies at quarter loads, to which it is fitted), of a transformer (IEC 60076-1) and of
    a node's power supplies (80 PLUS and Open Compute publish efficiencies at 10, 20, 50 and 100 % load).
    """

    rating: Power = Field(gt=0)
    standing: Share
    linear: Share = 0.0
    square: Share

    def at(self, power: float) -> float:
        """Loss while passing a power on, W."""
        share = power / self.rating
        return self.rating * (self.standing + self.linear * share + self.square * share * share)


class Supplies(Losses):
    """The power supplies of a node, which share its load evenly; `rating` is that of one."""

    units: int = Field(ge=1)

    def at(self, power: float) -> float:
        """Loss of all of them, W."""
        return self.units * super().at(power / self.units)


class Nodes(Part):
    """So many equal nodes; power at the plug, or behind their power supplies where `supplies` are given."""

    name: str = Field(min_length=1)
    count: int = Field(ge=0)
    gpus: int = Field(ge=0)
    idle: Power
    full: Power
    shared: Power = 0.0
    supplies: Supplies | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.idle + self.shared > self.full:
            message = f"{self.name} takes more idle ({self.idle:g} W) and shared ({self.shared:g} W) than in full"
            raise ValueError(message)
        if self.supplies is not None and self.full > self.supplies.units * self.supplies.rating:
            most = self.supplies.units * self.supplies.rating
            message = f"the supplies of {self.name} give {most:g} W; it takes {self.full:g} W in full"
            raise ValueError(message)
        return self

    def of(self, count: int) -> NodeType:
        """So many of these nodes, at the plug.

        Supplies are taken at three loads by their curve: nothing at work, all at work, and what a node at work adds
        once; in between the power at the plug is linear in the GPUs at work. A curve's square part lies below that
        line by at most a quarter of square x (full - idle)² / rating.
        """
        idle, first, full = (self._at_plug(power) for power in (self.idle, self.idle + self.shared, self.full))
        each = (full - first) / self.gpus if self.gpus else 0.0
        return NodeType(self.name, count, self.gpus, idle, each, first - idle)

    def _at_plug(self, power: float) -> float:
        return power + (self.supplies.at(power) if self.supplies else 0.0)


class It(Part):
    """The nodes; `gpus` scales their counts in proportion, for what-ifs."""

    nodes: tuple[Nodes, ...] = Field(min_length=1)
    gpus: int | None = Field(default=None, ge=1)


class TariffTable(Part):
    """Prices or carbon by the hour or quarter-hour; `plus` is what a price has beyond the table (grid, levies)."""

    file: str = Field(min_length=1)
    year: int | None = None
    plus: Price = 0.0


class Electricity(Part):
    """What comes in, how it is passed on, what it costs and emits.

    Where a table is named and found, its hours stand in place of the one number.
    """

    connection: Power = Field(gt=0)
    transformer: Losses
    ups: Losses
    auxiliary: Power
    price: Price
    carbon_location: Carbon
    carbon_market: Carbon
    price_table: TariffTable | None = None
    carbon_location_table: TariffTable | None = None
    carbon_market_table: TariffTable | None = None
    carbon_worth: CarbonWorth = 0.0
    renewable: Share = Field(le=1)
    own_generation: Energy = 0.0

    @model_validator(mode="after")
    def _no_price_of_carbon(self) -> Self:
        if any(
            table is not None and table.plus for table in (self.carbon_location_table, self.carbon_market_table)
        ):
            message = "plus belongs to price_table only"
            raise ValueError(message)
        return self


class Pump(Part):
    """A pump or fan with variable speed: power falls with the cube of its flow, down to a least speed."""

    rating: Power
    least: Share = Field(le=1)


class Loop(Part):
    """The water that takes heat from the nodes; supply to the nodes, and how much warmer it comes back."""

    supply: Celsius
    rise: Kelvin = Field(gt=0)
    design_heat: Power = Field(gt=0)
    pump: Pump
    air_fans: Pump
    captured: Share = Field(le=1)
    losses_captured: Share = Field(le=1)


class Exchanger(Part):
    """A counterflow exchanger between loop and river, by its design point."""

    heat: Power = Field(gt=0)
    hot_in: Celsius
    hot_out: Celsius
    cold_in: Celsius
    cold_out: Celsius

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not (self.hot_in > self.hot_out > self.cold_in and self.hot_in > self.cold_out > self.cold_in):
            message = (
                "the exchanger's temperatures cross: hot_in > hot_out > cold_in and hot_in > cold_out > cold_in"
            )
            raise ValueError(message)
        return self


class RiverCooling(Part):
    """From the intake to the outlet."""

    exchanger: Exchanger
    pump: Pump
    most_flow: Flow = Field(gt=0)
    rise: Kelvin = Field(gt=0)


class Spray(Part):
    """Water sprayed into the air of a dry cooler on warm days."""

    above: Celsius
    effectiveness: Share = Field(le=1)


class DryCooler(Part):
    """Loop water against outdoor air: its heat at so many kelvins between water coming in and air."""

    heat: Power
    difference: Kelvin = Field(gt=0)
    fans: Pump
    air_rise: Kelvin = Field(default=10.0, gt=0)
    spray: Spray | None = None


class Chiller(Part):
    """A compression chiller that gives its heat to outdoor air; a share of Carnot's efficiency."""

    heat: Power
    carnot: Share = Field(gt=0, le=1)
    cold_approach: Kelvin
    hot_approach: Kelvin


class Cooling(Part):
    """All that takes heat from the nodes, in the order it is used: river, dry cooler, chiller."""

    loop: Loop
    river: RiverCooling
    dry_cooler: DryCooler
    chiller: Chiller


class Course(Part):
    """A year's course where there is no table: a cosine over the year, one over the day."""

    mean: Celsius
    swing: Kelvin
    warmest: Day
    daily: Kelvin = 0.0


class Table(Part):
    """Measured days of a river, or hours of a reference year; without a file, the course stands in for it."""

    file: str = ""
    year: int | None = None
    otherwise: Course


class Limit(Part):
    """In these months the mixed river must not be warmer than so much, nor be warmed by more."""

    months: tuple[Month, ...] = Field(min_length=1)
    temperature: Celsius
    rise: Kelvin


class Cleaning(Part):
    """Days of a year (the last counts) on which the river carries less."""

    begin: Day
    end: Day
    flow: Flow


class River(Part):
    """The river: how much, how warm, and what the permit allows."""

    name: str
    flow: Flow = Field(gt=0)
    year: int | None = None
    temperature: Table
    cleaning: tuple[Cleaning, ...] = ()
    mixing: Share = Field(default=1.0, gt=0, le=1)
    withdrawable: Share = Field(default=1.0, gt=0, le=1)
    limits: tuple[Limit, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _all_months(self) -> Self:
        months = sorted(month for limit in self.limits for month in limit.months)
        if months != list(range(1, 13)):
            message = "each month must have exactly one limit"
            raise ValueError(message)
        return self


class HeatPump(Part):
    """Equal machines after the shipped map; `drive` is what motor and inverter pass on."""

    heat: Power
    machines: int = Field(ge=1)
    drive: Share = Field(gt=0, le=1)


class Network(Part):
    """The heat network: flow temperature by outdoor temperature, losses to the ground, its pump."""

    cold_day: Celsius
    flow_on_cold_day: Celsius
    mild_day: Celsius
    flow_on_mild_day: Celsius
    back: Celsius
    ground: Celsius
    leak: Leak
    pump: Pump

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.cold_day >= self.mild_day:
            message = "cold_day must be colder than mild_day"
            raise ValueError(message)
        if min(self.flow_on_cold_day, self.flow_on_mild_day) <= self.back:
            message = "the network's flow must be warmer than what comes back"
            raise ValueError(message)
        return self


class Store(Part):
    """A tank of hot water between heat pump and network; filled over so many hours."""

    volume: Volume
    leak: Leak
    hours: float = Field(gt=0)


class Customer(Part):
    """Customers by a standard profile (BDEW) and what they need in a year of the weather used."""

    name: str
    profile: Literal[
        "EFH", "MFH", "GMK", "GPD", "GHA", "GBD", "GKO", "GBH", "GWA", "GGA", "GBA", "GGB", "GMF", "GHD"
    ]
    building_class: int = Field(default=0, ge=0, le=11)
    annual: Energy


class Heat(Part):
    """What becomes of the heat."""

    pump: HeatPump
    network: Network
    store: Store
    customers: tuple[Customer, ...] = ()
    price: Price
    backup_carbon: Carbon


class Operator(Part):
    """Who and where, for the registers; what is not known stays out and is listed as a gap."""

    site_name: str = ""
    owner: str = ""
    operator: str = ""
    postcode: str = ""
    in_operation_since: date | None = None
    floor_area: Area | None = None
    stated: dict[str, Stated] = Field(default_factory=dict)
    """Further fields of the registers by their id, in words or with their unit."""


class Site(Part):
    """A whole site."""

    name: str
    year: int = Field(ge=1990, le=2100)
    holidays: tuple[date, ...] = ()
    operator: Operator = Operator()
    it: It
    electricity: Electricity
    cooling: Cooling
    river: River
    weather: Table
    heat: Heat

    def fleet(self) -> Fleet:
        """The nodes; with `it.gpus` their counts are scaled in proportion, rounded so that their sum is kept."""
        kinds = self.it.nodes
        now = sum(kind.count * kind.gpus for kind in kinds)
        factor = self.it.gpus / now if self.it.gpus and now else 1.0
        ends = [round(factor * sum(kind.count for kind in kinds[: number + 1])) for number in range(len(kinds))]
        counts = [end - start for start, end in zip([0, *ends], ends, strict=False)]
        return Fleet(tuple(kind.of(count) for kind, count in zip(kinds, counts, strict=True)))
