"""One study: learn what is usual, set the limit, watch the rest, judge the alarms.

The first part of the readings is learnt from, without faults and the time before them: two thirds of its rows say
what is usual, the last third sets the limit, so that the limit is not set by rows that were learnt by heart.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kifabrik.errors import NotFoundError, UsageError
from kifabrik.recipes.maintenance.alarms import Span, limit_for, smooth, spans_above
from kifabrik.recipes.maintenance.causes import Cause, causes
from kifabrik.recipes.maintenance.faults import Fault, faults_of_label, near
from kifabrik.recipes.maintenance.judging import Verdict, judge
from kifabrik.recipes.maintenance.model import Floats, Usual, distances, learn
from kifabrik.recipes.maintenance.reading import Readings

_LEAST: Final = 60
"""Good rows to learn from."""
_FITTED: Final = 2 / 3
_DAY, _HOUR = 86_400, 3600


@dataclass(frozen=True)
class Wishes:
    """What can be chosen.

    Attributes:
        learn: Share of the rows to learn from, the first ones.
        before: An alarm so long before a fault, or less, announces it.
        false_a_month: False alarms to put up with.
        rows: The median of so many rows must be above the limit.
        together: Exceedances no further apart are one alarm.
        given: Names of sensors that say what the machine was told to do, such as its load; never blamed.
    """

    learn: float = 0.6
    before: np.timedelta64 = field(default_factory=lambda: np.timedelta64(3 * _DAY, "s"))
    false_a_month: float = 1.0
    rows: int = 5
    together: np.timedelta64 = field(default_factory=lambda: np.timedelta64(_HOUR, "s"))
    given: tuple[str, ...] = ()


@dataclass(frozen=True)
class Watcher:
    """What was learnt, to be used again on new readings.

    Attributes:
        names: Of the sensors.
        usual: What is usual.
        limit: Smoothed distance above which there is an alarm.
        rows: The median of so many rows counts.
        together: Exceedances no further apart are one alarm.
        since: First time learnt from.
        until: Last.
        given: Numbers of the sensors that are never blamed.
    """

    names: tuple[str, ...]
    usual: Usual
    limit: float
    rows: int
    together: np.timedelta64
    since: np.datetime64
    until: np.datetime64
    given: tuple[int, ...] = ()


@dataclass(frozen=True)
class Alarm:
    """A time that does not fit.

    Attributes:
        span: Its rows.
        start: When it began.
        end: When it was over, or the readings ended.
        strength: Highest distance, in limits.
        causes: Sensors that make it one, the strongest first.
        lasts: Whether it went on when the readings ended.
    """

    span: Span
    start: np.datetime64
    end: np.datetime64
    strength: float
    causes: tuple[Cause, ...]
    lasts: bool


@dataclass(frozen=True)
class Study:
    """What came of it.

    Attributes:
        readings: Without the sensors that were silent while learning.
        wishes: What was chosen.
        learnt: Number of rows at the beginning that were for learning.
        good: How many of them were learnt from.
        watcher: What was learnt.
        strength: Smoothed distance of each row, in limits.
        alarms: In the time watched, in order.
        faults: All that are known, in order.
        verdict: Of the alarms.
        simple: The same, for a limit on each sensor alone that is set by the same rule.
        months: Months of good readings that set the limit.
    """

    readings: Readings
    wishes: Wishes
    learnt: int
    good: int
    watcher: Watcher
    strength: Floats
    alarms: tuple[Alarm, ...]
    faults: tuple[Fault, ...]
    verdict: Verdict
    simple: Verdict
    months: float


def watch(readings: Readings, faults: Sequence[Fault] = (), wishes: Wishes | None = None) -> Study:
    """Learn from the first rows, watch the others.

    Args:
        readings: In order of time.
        faults: That are known, beside those the readings' own label names.
        wishes: What is chosen; the defaults if left out.

    Raises:
        UsageError: Too few rows are left to learn from or to watch.
        NotFoundError: No sensor has a name that is given.
    """
    wishes = wishes or Wishes()
    faults = tuple(sorted((*faults, *faults_of_label(readings, wishes.together)), key=lambda one: one.start))
    times, learnt = readings.times, int(len(readings.times) * wishes.learn)
    good = np.flatnonzero(~near(times[:learnt], faults, wishes.before))
    if len(good) < _LEAST or learnt >= len(times):
        said = f"{len(good):,} good rows of {len(times):,} to learn from"
        hint = "Give more readings."
        if faults:
            bad = f"{learnt - len(good):,} of the first {learnt:,} rows are in one of {len(faults):,} faults"
            hint = f"{bad} or close before: give more readings, more --learn, a shorter --before or no --label."
        raise UsageError(f"{said}; at least {_LEAST} are needed, and some to watch", hint=hint)
    fitted, calibrated = np.split(good, [int(len(good) * _FITTED)])
    readings = readings.without(_silent(readings.values[fitted]))
    if not readings.names:
        raise UsageError(
            "no sensor varies in the rows to learn from", hint="Give more readings, or a larger --learn."
        )
    usual = learn(readings.values[fitted])
    far = smooth(distances(usual, readings.values), wishes.rows)
    limit, months = limit_for(far[calibrated], times[calibrated], wishes.false_a_month, wishes.together)
    watcher = Watcher(
        names=readings.names,
        usual=usual,
        limit=limit,
        rows=wishes.rows,
        together=wishes.together,
        since=times[good[0]],
        until=times[good[-1]],
        given=_numbers_of(wishes.given, readings),
    )
    alarms = find_alarms(watcher, readings, far, learnt, faults)
    alone = smooth(_alone(usual, readings.values), wishes.rows)
    limit_alone, _ = limit_for(alone[calibrated], times[calibrated], wishes.false_a_month, wishes.together)
    spans = spans_above(_from(alone, learnt), limit_alone, times, wishes.together)
    return Study(
        readings=readings,
        wishes=wishes,
        learnt=learnt,
        good=len(good),
        watcher=watcher,
        strength=far / limit,
        alarms=alarms,
        faults=faults,
        verdict=judge([alarm.span for alarm in alarms], faults, times, wishes.before, learnt),
        simple=judge(spans, faults, times, wishes.before, learnt),
        months=months,
    )


def find_alarms(
    watcher: Watcher, readings: Readings, far: Floats, first: int, faults: Sequence[Fault] = ()
) -> tuple[Alarm, ...]:
    """Alarms from the row `first` on, with the sensors that make them.

    Args:
        watcher: What was learnt.
        readings: Of the watcher's sensors.
        far: Smoothed distance of each row.
        first: Rows before it raise no alarm.
        faults: An alarm is explained by what showed before them, not by the fault itself.
    """
    times = readings.times
    during = near(times, faults, np.timedelta64(0, "s"))

    def alarm(span: Span) -> Alarm:
        begun = span.first + int(np.argmax(during[span.first : span.last + 1]))
        last = begun - 1 if during[begun] and begun > span.first else span.last
        peak = span.first + int(np.argmax(far[span.first : last + 1]))
        shown = readings.values[max(0, peak - watcher.rows + 1) : peak + 1]
        return Alarm(
            span=span,
            start=times[span.first],
            end=times[span.last],
            strength=float(far[span.peak] / watcher.limit),
            causes=causes(watcher.usual, shown, watcher.limit, watcher.given),
            lasts=bool(times[-1] - times[span.last] <= watcher.together),
        )

    spans = spans_above(_from(far, first), watcher.limit, times, watcher.together)
    return tuple(alarm(span) for span in spans)


def check(watcher: Watcher, readings: Readings) -> tuple[tuple[Alarm, ...], Floats]:
    """Alarms in new readings of the same sensors, and the strength of each row in limits.

    Raises:
        UsageError: There are fewer rows than an alarm takes.
    """
    if len(readings.times) < watcher.rows:
        raise UsageError(f"{len(readings.times)} rows are too few to check; an alarm takes {watcher.rows}")
    far = smooth(distances(watcher.usual, readings.values), watcher.rows)
    return find_alarms(watcher, readings, far, 0), far / watcher.limit


def _numbers_of(given: Sequence[str], readings: Readings) -> tuple[int, ...]:
    strange = [name for name in given if name not in readings.names]
    if strange:
        hint = f"The sensors are {', '.join(readings.names)}."
        raise NotFoundError(f"no sensor is called {strange[0]!r}", hint=hint)
    return tuple(readings.names.index(name) for name in given)


def _silent(values: Floats) -> NDArray[np.bool_]:
    """Sensors without a value, or with only one: nothing can be said of how they usually vary."""
    there = np.isfinite(values)
    low = np.where(there, values, np.inf).min(axis=0)
    return np.asarray(~there.any(axis=0) | (low == np.where(there, values, -np.inf).max(axis=0)))


def _alone(usual: Usual, values: Floats) -> Floats:
    """How far the farthest sensor of each row is from its own middle, in spreads."""
    return np.asarray(np.nan_to_num(np.abs(usual.scaled(values))).max(axis=1), dtype=float)


def _from(far: NDArray[np.float64], first: int) -> Floats:
    return np.where(np.arange(len(far)) < first, 0.0, far)
