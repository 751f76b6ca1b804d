"""What a schedule is worth: waiting, use of GPUs, energy."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from kifabrik.plant.workload.scheduling import Schedule

_LONG: Final = 60.0
"""Seconds below which a job's slowdown is that of a job of this length, so that tiny jobs do not rule the mean
("bounded slowdown", Feitelson et al., JSSPP 1997, with their threshold of the order of a minute)."""


@dataclass(frozen=True)
class Figures:
    """Of a schedule.

    Attributes:
        jobs: Submitted within the span.
        started: Of them.
        ended: Of them, by the end of the span.
        waiting_mean: Seconds from submission to start, of jobs that started.
        waiting_median: The same.
        waiting_p95: The same.
        waiting_gpu_mean: Mean weighed with GPUs.
        slowdown_mean: Mean of (waiting + duration) / duration, bounded for short jobs.
        gpu_use: Share of GPU time at work over the span.
        span: Seconds.
    """

    jobs: int
    started: int
    ended: int
    waiting_mean: float
    waiting_median: float
    waiting_p95: float
    waiting_gpu_mean: float
    slowdown_mean: float
    gpu_use: float
    span: float


def figures_of(schedule: Schedule) -> Figures:
    """Figures of a schedule; those of waiting are NaN where nothing started."""
    trace = schedule.trace
    here = schedule.started & (schedule.start < schedule.span)
    waiting = (schedule.start - trace.submit)[here]
    none = float("nan")
    if not len(waiting):
        waiting_figures = (none,) * 5
    else:
        seconds, gpus = trace.seconds[here], trace.gpus[here]
        slowdown = np.maximum(1.0, (waiting + seconds) / np.maximum(seconds, _LONG))
        median, p95 = np.percentile(waiting, [50, 95])
        mean = float(np.average(waiting, weights=gpus))
        waiting_figures = (float(waiting.mean()), float(median), float(p95), mean, float(slowdown.mean()))
    ran = np.minimum(schedule.end[here], schedule.span) - schedule.start[here]
    return Figures(
        int((trace.submit < schedule.span).sum()) if schedule.span else trace.jobs,
        int(here.sum()),
        int((schedule.end <= schedule.span).sum()),
        *waiting_figures,
        gpu_use=float(np.dot(trace.gpus[here], ran)) / (schedule.fleet.gpus * schedule.span),
        span=schedule.span,
    )
