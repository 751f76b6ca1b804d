"""What a tenant's runs used in a month, from its own verified copy of the log.

Invariants:
- only what stands in the log counts: entries are signed by the log's key; that the tenant's keyholder has cosigned
  them is checked where it is asked for (`kifabrik.customer.monthly_proof`);
- an attempt counts in the month in which its end was recorded, in UTC, and in no other; a log in which one ended
  twice is refused;
- an attempt without a footprint in the log is listed as such, never filled in;
- sums are of whole numbers: they are exact, and the lines add up to the total.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.ledger.entry import Entry
from kifabrik.meters.footprint import Site, uncertain_percent
from kifabrik.meters.recorded import Recorded, recorded
from kifabrik.orders.tasks import order_run

_MONTH: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True)
class Sums:
    """Whole amounts of a line or of a whole statement.

    Args:
        attempts: How many were counted.
        gpu_ms: GPU time.
        cpu_ms: CPU time.
        wall_ms: Time of all nodes.
        cost_micro_eur: Cost.
        measured_mj: Energy of the machines that counters counted.
        estimated_mj: Energy of the machines that was estimated.
        drawn_mj: Energy with the building's overhead.
        heat_mj: Heat handed on.
        withdrawn_ml: Water taken from the river and given back.
        consumed_ml: Water evaporated.
        carbon_mg: CO2 equivalents by the grid's mix.
        market_mg: CO2 equivalents by the operator's contracts.
        unstated: Attempts of which the operator stated no factors: they are in none of the last six.
        without_market: Attempts of which no intensity by contracts was stated: they are not in `market_mg`.
    """

    attempts: int = 0
    gpu_ms: int = 0
    cpu_ms: int = 0
    wall_ms: int = 0
    cost_micro_eur: int = 0
    measured_mj: int = 0
    estimated_mj: int = 0
    drawn_mj: int = 0
    heat_mj: int = 0
    withdrawn_ml: int = 0
    consumed_ml: int = 0
    carbon_mg: int = 0
    market_mg: int = 0
    unstated: int = 0
    without_market: int = 0

    @property
    def energy_mj(self) -> int:
        """Energy of the machines."""
        return self.measured_mj + self.estimated_mj

    @property
    def uncertain_percent(self) -> int:
        """Relative uncertainty of the energy, and of what follows from it."""
        return uncertain_percent(self.measured_mj, self.estimated_mj)

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*(mine + theirs for mine, theirs in zip(_values(self), _values(other), strict=True)))


@dataclass(frozen=True)
class Line:
    """What one order used in the month; all tasks of a sweep are one line.

    Args:
        run: Run id of the order.
        name: Its job's name.
        runs: How many runs (tasks of a sweep) ended an attempt in this month.
        sums: What they used.
    """

    run: str
    name: str
    runs: int
    sums: Sums


@dataclass(frozen=True)
class MonthlyStatement:
    """A month of a tenant.

    Args:
        tenant: Tenant id.
        month: `2026-11`.
        lines: One for each order, by cost, the dearest first.
        total: Of all lines.
        without: Ids of attempts that ended in this month without a footprint in the log.
        sites: Factors the operator stated, each set once, in the order they came.
        log_size: Entries of the log it was made from.
        log_root: Its root hash in hex.
    """

    tenant: str
    month: str
    lines: tuple[Line, ...]
    total: Sums
    without: tuple[str, ...]
    sites: tuple[Site, ...]
    log_size: int
    log_root: str


@dataclass
class _Gathered:
    """An order's line while its entries are read."""

    runs: set[str] = field(default_factory=set)
    sums: Sums = field(default_factory=Sums)


def check_month(month: str) -> str:
    """Return the month.

    Raises:
        UsageError: It is not a month.
    """
    if _MONTH.fullmatch(month) is None:
        raise UsageError(f"not a month: {month!r}", hint="Write year and month, such as 2026-11.")
    return month


def in_month(ended: Iterable[Entry], month: str) -> list[Entry]:
    """Entries of attempts that ended in a month (UTC).

    Args:
        ended: Every end in the log.
        month: `2026-11`.

    Raises:
        IntegrityError: The log says twice that one of them ended, in this month or in another one.
    """
    every = tuple(ended)
    times = Counter(entry.refs.get("attempt") for entry in every)
    found = [entry for entry in every if entry.time.startswith(f"{check_month(month)}-")]
    twice = next((entry.refs.get("attempt") for entry in found if times[entry.refs.get("attempt")] > 1), None)
    if twice is not None:
        raise IntegrityError(
            f"attempt {twice}: the log says {times[twice]} times that it ended",
            hint="The factory writes the log. Keep it as evidence and ask the factory's operator.",
        )
    return found


def monthly(
    tenant: str, month: str, ended: Sequence[Entry], names: Mapping[str, str], log: tuple[int, str]
) -> MonthlyStatement:
    """Sum up a month.

    Args:
        tenant: Tenant id.
        month: `2026-11`.
        ended: `run.finished` entries of that month.
        names: Job names by run id of the order.
        log: Size and root (hex) of the log they are from.

    Raises:
        IntegrityError: An entry's footprint contradicts itself.
    """
    gathered: dict[str, _Gathered] = {}
    without: list[str] = []
    sites: dict[Site, None] = {}
    for entry in ended:
        attempt, run = str(entry.refs.get("attempt")), str(entry.refs.get("run"))
        used = _footprint_of(entry, attempt)
        if used is None:
            without.append(attempt)
            continue
        line = gathered.setdefault(order_run(run), _Gathered())
        line.runs.add(run)
        line.sums += _sums(used)
        if used.site is not None:
            sites[used.site] = None
    lines = [Line(run, names.get(run, run), len(one.runs), one.sums) for run, one in gathered.items()]
    lines.sort(key=lambda line: (-line.sums.cost_micro_eur, line.run))
    total = sum((line.sums for line in lines), Sums())
    return MonthlyStatement(tenant, month, tuple(lines), total, tuple(without), tuple(sites), *log)


def _footprint_of(entry: Entry, attempt: str) -> Recorded | None:
    try:
        return recorded(entry.refs)
    except IntegrityError as error:
        raise IntegrityError(
            f"attempt {attempt}: {error.message}",
            hint="The factory writes the log. Keep it as evidence and ask the factory's operator.",
        ) from None


def _sums(used: Recorded) -> Sums:
    measured = sum(part.millijoules for part in used.energy if part.measured)
    around = used.surroundings
    market = around.market_mg if around else None
    return Sums(
        attempts=1,
        gpu_ms=used.gpu_ms,
        cpu_ms=used.cpu_ms,
        wall_ms=used.wall_ms,
        cost_micro_eur=used.cost_micro_eur,
        measured_mj=measured,
        estimated_mj=used.energy_mj - measured,
        drawn_mj=around.drawn_mj if around else 0,
        heat_mj=around.heat_mj if around else 0,
        withdrawn_ml=around.withdrawn_ml if around else 0,
        consumed_ml=around.consumed_ml if around else 0,
        carbon_mg=used.carbon_mg or 0,
        market_mg=market or 0,
        unstated=0 if around else 1,
        without_market=0 if market is not None else 1,
    )


def _values(sums: Sums) -> tuple[int, ...]:
    return tuple(getattr(sums, name) for name in Sums.__dataclass_fields__)
