"""Work that may be put off: at which hour each such job enters its queue, so that its heat is wanted."""

from dataclasses import replace
from typing import Any, Final

import numpy as np

from kifabrik.plant.load import Fleet, Floats, Signals
from kifabrik.plant.workload.nodes import jit
from kifabrik.plant.workload.trace import NEVER, Trace

_HOUR: Final = 3600.0


def may_wait(trace: Trace, share: float, hours: float, *, seed: int = 1) -> Trace:
    """A trace of which a share of jobs, drawn at random, may end so many hours later than they could.

    Args:
        trace: Jobs.
        share: Of jobs that may be put off.
        hours: From the end of a job that starts at once by its estimate to its deadline.
        seed: Of the draw.
    """
    drawn = np.random.default_rng(seed).random(trace.jobs) < share
    until = np.where(drawn, trace.submit + trace.estimate + hours * _HOUR, NEVER)
    return replace(trace, until=np.minimum(trace.until, until))


def put_off(trace: Trace, fleet: Fleet, signals: Signals) -> Floats:
    """When each job enters its queue: at its submission, or at the best hour that lets it end by its deadline.

    An hour is good for a job as far as its power gives heat that is wanted beyond what all other work gives, and
    bad as far as the nodes' power would exceed what is permitted, or its electricity is dearer than the year's mean
    (in units of what the heat is sold for, so the three add up). Of equally good hours the earliest is taken, so
    nothing waits that need not. Jobs choose in order of submission and see what those before them chose; work that
    cannot wait counts from its submission.

    Returns:
        Seconds; shape (jobs,).
    """
    ready = trace.submit.copy()
    waits = np.isfinite(trace.until) & (trace.until > trace.submit + trace.estimate)
    which = np.flatnonzero(waits)
    if len(which):
        hours = np.arange(int(float(trace.until[which].max()) // _HOUR) + 2)
        watts = trace.gpus * trace.intensity * (fleet.full_watts - fleet.idle_watts) / fleet.gpus
        drawn = np.minimum(fleet.idle_watts + _hourly(trace, watts * ~waits, len(hours)), fleet.full_watts)
        wanted = (signals.heat_wanted * fleet.full_watts)[hours % len(signals.heat_wanted)]
        permitted = signals.permitted_watts[hours % len(signals.permitted_watts)]
        dear = np.zeros(len(hours)) if signals.dear is None else signals.dear[hours % len(signals.dear)]
        _choose(
            which,
            trace.submit,
            trace.estimate,
            trace.until,
            watts,
            wanted,
            permitted,
            dear,
            fleet.full_watts,
            drawn,
            ready,
        )
    return ready


def _hourly(trace: Trace, watts: Floats, hours: int) -> Floats:
    """Mean power of jobs in each hour if all ran from their submission on."""
    begins, ends = trace.submit / _HOUR, (trace.submit + trace.seconds) / _HOUR
    change = np.zeros(hours + 2)
    for moments, sign in ((begins, 1.0), (ends, -1.0)):
        hour = np.minimum(moments.astype(np.int64), hours)
        part = np.where(hour < hours, moments - hour, 0.0)
        np.add.at(change, hour, sign * watts * (1 - part))
        np.add.at(change, hour + 1, sign * watts * part)
    return np.asarray(np.cumsum(change)[:hours])


@jit
def _choose(
    which: Any,
    submit: Any,
    estimate: Any,
    until: Any,
    watts: Any,
    wanted: Any,
    permitted: Any,
    dear: Any,
    full: float,
    drawn: Any,
    ready: Any,
) -> None:
    for job in which:
        first = int(submit[job] // _HOUR)
        last = int((until[job] - estimate[job]) // _HOUR)
        lasting = max(1, int(np.ceil(estimate[job] / _HOUR)))
        best, best_score = first, -np.inf
        for hour in range(first, last + 1):
            score = 0.0
            for at in range(hour, min(hour + lasting, len(drawn))):
                score += min(max(wanted[at] - drawn[at], 0.0), watts[job])
                score -= min(max(min(drawn[at] + watts[job], full) - permitted[at], 0.0), watts[job])
                score -= dear[at] * watts[job]
            if score > best_score + 1e-6:
                best, best_score = hour, score
        for at in range(best, min(best + lasting, len(drawn))):
            drawn[at] += watts[job]
        ready[job] = max(submit[job], best * _HOUR)
