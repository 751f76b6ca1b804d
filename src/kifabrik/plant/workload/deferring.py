"""Work that may be put off: at which hour each such job enters its queue, so that its heat is wanted."""

from typing import Any, Final

import numpy as np

from kifabrik.plant.load import Fleet, Floats, Signals
from kifabrik.plant.workload.nodes import jit
from kifabrik.plant.workload.trace import Trace

_HOUR: Final = 3600.0
_KEPT_FREE: Final = 0.5
"""Share of the fleet that deferred work may book of one hour; the rest is for those who cannot wait (assumed)."""


def put_off(trace: Trace, fleet: Fleet, signals: Signals) -> Floats:
    """When each job enters its queue: at its submission, or at the best hour that lets it end by its deadline.

    The best hour is where most heat is wanted over the job's estimated time and the permitted power suffices for
    the work already booked; of equally good ones the earliest. Jobs choose in order of submission, and what one
    booked the next finds taken.

    Returns:
        Seconds; shape (jobs,).
    """
    ready = trace.submit.copy()
    which = np.flatnonzero(np.isfinite(trace.until) & (trace.until > trace.submit + trace.estimate))
    if len(which):
        most = float(trace.until[which].max())
        hours = int(most // _HOUR) + 2
        span = len(signals.heat_wanted)
        heat = signals.heat_wanted[np.arange(hours) % span]
        room = np.clip(signals.permitted_watts / fleet.full_watts, 0.0, 1.0)[np.arange(hours) % span]
        _choose(
            which,
            trace.submit,
            trace.estimate,
            trace.until,
            trace.gpus,
            heat,
            room * fleet.gpus * _KEPT_FREE,
            ready,
        )
    return ready


@jit
def _choose(
    which: Any, submit: Any, estimate: Any, until: Any, gpus: Any, heat: Any, room: Any, ready: Any
) -> None:
    booked = np.zeros(len(heat))
    for job in which:
        first = int(submit[job] // _HOUR)
        last = int((until[job] - estimate[job]) // _HOUR)
        lasting = max(1, int(np.ceil(estimate[job] / _HOUR)))
        best, best_score = -1, -np.inf
        for hour in range(first, last + 1):
            score = 0.0
            for at in range(hour, min(hour + lasting, len(heat))):
                left = room[at] - booked[at]
                score += heat[at] * min(1.0, max(0.0, left) / gpus[job]) - (1.0 if left < gpus[job] else 0.0)
            if score > best_score + 1e-9:
                best, best_score = hour, score
        for at in range(best, min(best + lasting, len(heat))):
            booked[at] += gpus[job]
        ready[job] = max(submit[job], best * _HOUR)
