"""Readings of a meter as they are told, and what is odd about them: gaps, resets, clocks, units.

Nothing is filled in. A counter that was reset or changed counts anew from its new value; what it may have counted
between is unknown, and that time is not covered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import numpy as np

from kifabrik.plant.load import Floats
from kifabrik.plant.metering.kinds import Kind, Meter

Ints = np.ndarray[Any, np.dtype[np.int64]]
_LONGER: Final = 1.5
"""Times the usual step; longer is a gap."""
_NEAR: Final = 0.03
_CONFUSED: Final = (1000.0, 1e6, 3.6, 3600.0)
"""Ratios of units that are taken for one another: k and M, MJ and kWh, kJ and kWh."""
_AT_LEAST: Final = 6
"""Readings on each side of a jump that must agree before it counts as a change of unit."""
_SMALLEST_ROUND: Final = 4
_THOUSANDS: Final = (1000.0, 1e6)
_BUSY: Final = 10
"""Times what it usually counts: as much may be consumption."""
_FAR_RISE: Final = 100
"""Times the value before: smaller rises of a counter are taken for consumption."""


class Oddity(Enum):
    """What can be odd."""

    GAP = "gap"
    RESET = "reset"
    ROLLOVER = "rollover"
    CLOCK = "clock"
    UNIT = "unit"
    NEGATIVE = "negative"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something odd.

    Attributes:
        oddity: What.
        at: Number of the reading, from 0.
        says: In words.
    """

    oddity: Oddity
    at: int
    says: str


@dataclass(frozen=True)
class Readings:
    """Readings of one meter in order of time.

    Attributes:
        meter: Whose.
        time: Seconds since 1970, UTC, rising; shape (readings,).
        value: As told, in SI; shape (readings,).
    """

    meter: Meter
    time: Ints
    value: Floats

    def findings(self) -> list[Finding]:
        """All that is odd, in order."""
        if len(self.time) < 2:  # noqa: PLR2004 - nothing to compare
            return []
        found = [*self._gaps(), *self._signs()]
        found += self._falls() if self.meter.counter else []
        found += [] if self.meter.counter else self._jumps()
        return sorted(found, key=lambda one: one.at)

    def changes_of_unit(self) -> list[tuple[int, str]]:
        """When the meter's unit seems to change, as (seconds since 1970, in words)."""
        return [(int(self.time[one.at]), one.says) for one in self.findings() if one.oddity is Oddity.UNIT]

    def used(self, begin: int, end: int) -> tuple[float, float]:
        """What went through the meter between two times, and how much of that time it covers.

        A counter's difference counts wherever it has no reset and its unit did not change; a gauge of power or flow
        is integrated over steps that are no gaps; of a temperature the mean over time is taken.

        Args:
            begin: Seconds since 1970.
            end: The same, later.

        Returns:
            J, m³ or °C, and a share.
        """
        if len(self.time) < 2:  # noqa: PLR2004
            return 0.0, 0.0
        time = np.clip(self.time.astype(np.float64), begin, end)
        steps = np.diff(time)
        whole = np.diff(self.time).astype(np.float64)
        if self.meter.counter:
            risen, known = self._increments()
            part = np.where(known, risen * steps / whole, 0.0)
            return float(part.sum()), float(steps[known].sum() / (end - begin))
        known = whole <= _LONGER * self._usual()
        mean = 0.5 * (self.value[:-1] + self.value[1:])
        covered = float(steps[known].sum())
        total = float((mean * steps)[known].sum())
        if self.meter.kind is Kind.TEMPERATURE:
            return (total / covered if covered else 0.0), covered / (end - begin)
        return total, covered / (end - begin)

    def _usual(self) -> float:
        return float(np.median(np.diff(self.time)))

    def _gaps(self) -> list[Finding]:
        steps, usual = np.diff(self.time), self._usual()
        return [
            Finding(
                Oddity.GAP, int(at) + 1, f"no reading for {steps[at] / 3600:,.1f} h (usually every {usual:g} s)"
            )
            for at in np.flatnonzero(steps > _LONGER * usual)
        ]

    def _signs(self) -> list[Finding]:
        if self.meter.kind is Kind.TEMPERATURE:
            return []
        return [
            Finding(
                Oddity.NEGATIVE, int(at), f"{self.value[at] / self.meter.factor:g} {self.meter.unit} is negative"
            )
            for at in np.flatnonzero(self.value < 0)
        ]

    def _falls(self) -> list[Finding]:
        found = []
        for at in np.flatnonzero(np.diff(self.value) < 0):
            before, after = (self.value[at + k] / self.meter.factor for k in (0, 1))
            ratio = confused(before, after)
            if ratio:
                words = f"falls from {before:g} to {after:g}: the unit changed by a factor of {ratio:g}"
                found.append(Finding(Oddity.UNIT, int(at) + 1, words))
            elif rolled_over(before, after):
                found.append(Finding(Oddity.ROLLOVER, int(at) + 1, f"rolls over from {before:g} to {after:g}"))
            else:
                found.append(
                    Finding(Oddity.RESET, int(at) + 1, f"falls from {before:g} to {after:g}: reset or changed")
                )
        for step, ratio in self._multiplied().items():
            before, after = (self.value[step + k] / self.meter.factor for k in (0, 1))
            words = f"rises from {before:g} to {after:g}: the unit changed by a factor of {ratio:g}"
            found.append(Finding(Oddity.UNIT, step + 1, words))
        return found

    def _multiplied(self) -> dict[int, float]:
        """Steps in which a counter rises because its unit changed, and by what factor."""
        before, after = self.value[:-1], self.value[1:]
        far = (before > 0) & (after > _FAR_RISE * before)
        if not far.any():
            return {}
        steps = np.diff(self.time)
        rates = np.where(far, 0.0, np.diff(self.value) / steps)
        found = {}
        for at in map(int, np.flatnonzero(far)):
            earlier = rates[:at][rates[:at] > 0]
            usual = float(np.median(earlier)) * float(steps[at]) if len(earlier) else 0.0
            ratio = multiplied(float(before[at]), float(after[at]), usual)
            if ratio:
                found[at] = ratio
        return found

    def _jumps(self) -> list[Finding]:
        """Lasting jumps of a gauge by a factor between units."""
        if self.meter.kind is Kind.TEMPERATURE:
            return []
        found = []
        level = np.abs(self.value)
        for at in range(_AT_LEAST, len(level) - _AT_LEAST + 1):
            before, after = np.median(level[at - _AT_LEAST : at]), np.median(level[at : at + _AT_LEAST])
            jump = level[at] > _JUMP * level[at - 1] or level[at] < level[at - 1] / _JUMP
            ratio = confused(float(before), float(after), _LOOSE) or confused(float(after), float(before), _LOOSE)
            if jump and ratio in {1000.0, 1e6}:
                found.append(Finding(Oddity.UNIT, at, f"from here on values differ by a factor of about {ratio:g}"))
        return found

    def _increments(self) -> tuple[Floats, Any]:
        """What was counted in each step, SI, and whether that is known."""
        risen = np.diff(self.value)
        known = risen >= 0
        known[list(self._multiplied())] = False
        for at in np.flatnonzero(risen < 0):
            before, after = (self.value[at + k] / self.meter.factor for k in (0, 1))
            top = rolled_over(before, after)
            if top:
                risen[at] += top * self.meter.factor
                known[at] = True
        return np.asarray(risen, dtype=np.float64), known


_JUMP: Final = 50.0
_LOOSE: Final = 0.5
"""A gauge's power may well halve beside a change of its unit."""


def confused(large: float, small: float, near: float = _NEAR) -> float:
    """The factor between units by which two values differ, or 0.

    Args:
        large: The larger value.
        small: The smaller.
        near: How far off, as a share.
    """
    if small <= 0:
        return 0.0
    ratio = large / small
    return next((factor for factor in _CONFUSED if abs(ratio / factor - 1) <= near), 0.0)


def multiplied(before: float, after: float, usual: float) -> float:
    """The factor by which the unit of a counter that rises from one value to another changed, or 0.

    Args:
        before: Value before, above 0.
        after: Value after.
        usual: What it counts in such a time going by what it did before; 0 if that is not known.
    """
    if not usual:
        return confused(after, before)
    most = _BUSY * usual
    if after - before <= most:
        return 0.0
    grown = (factor for factor in _THOUSANDS if before <= after / factor <= before + most)
    return confused(after, before) or next(grown, 0.0)


def rolled_over(before: float, after: float) -> float:
    """Where a counter of so many digits rolled over, in its unit; 0 if it did not."""
    if before <= 0:
        return 0.0
    top = 10.0 ** np.ceil(np.log10(before))
    whole = top >= 10.0**_SMALLEST_ROUND
    return float(top) if whole and before >= 0.98 * top and after <= 0.02 * top else 0.0


def merged(first: Readings, second: Readings) -> Readings:
    """Readings of both in order, one for each time; where both have a time, the second's value stands."""
    time = np.concatenate([second.time, first.time])
    value = np.concatenate([second.value, first.value])
    unique, where = np.unique(time, return_index=True)
    return Readings(second.meter, unique.astype(np.int64), value[where])


def readings_of(meter: Meter, pairs: Sequence[tuple[int, float]]) -> Readings:
    """Readings from pairs of time (UTC seconds) and value in the meter's unit."""
    return Readings(
        meter,
        np.array([time for time, _ in pairs], dtype=np.int64),
        np.array([value for _, value in pairs], dtype=np.float64) * meter.factor,
    )
