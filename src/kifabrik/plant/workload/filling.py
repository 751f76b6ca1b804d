"""Scale a trace to a fleet: so many jobs over so long a span that they ask for a given share of its GPU time.

Jobs are drawn from the trace with replacement. Each keeps its tenant and its place in the week, so days and
nights and weekends stay; the week is drawn. Where fewer, larger jobs are wanted than the trace has, the size of
each is multiplied by a power of two that is drawn, and all durations are stretched by what is left: their ratios
stay.
"""

import math
from dataclasses import replace
from typing import Any, Final

import numpy as np

from kifabrik.errors import UsageError
from kifabrik.plant.workload.trace import Trace

WEEK: Final = 7 * 86400.0
YEAR: Final = 365 * 86400.0
_STRETCH: Final = 2.0
"""Durations are stretched by about this at most; sizes are multiplied by the rest, on average."""


def fill(
    trace: Trace,
    gpus: int,
    *,
    span: float = YEAR,
    share: float = 0.8,
    jobs: int | None = None,
    seed: int = 1,
) -> Trace:
    """Draw jobs that ask for a share of the GPU time of a fleet.

    None asks for more than a quarter of the fleet: larger ones are cut to that and run longer instead.

    Args:
        trace: To draw from.
        gpus: Of the fleet.
        span: Seconds over which jobs are submitted.
        share: Of `gpus * span` that all jobs together ask for.
        jobs: How many; by default as many as the trace's own jobs need at their own size.
        seed: Of the draw.

    Raises:
        UsageError: Nothing is left to draw, or the share or span is not above 0.
    """
    if not (share > 0 and span > 0 and gpus > 0):
        raise UsageError("Span, share and GPUs must be above 0.", hint="For example --load 0.8 --days 365")
    wanted = gpus * span * share
    count = jobs or max(1, round(wanted * trace.jobs / trace.gpu_seconds))
    luck = np.random.default_rng(seed)
    drawn = np.sort(luck.integers(0, trace.jobs, count))
    factor = wanted / float(np.dot(trace.gpus[drawn], trace.seconds[drawn]))
    doublings = 0
    while _STRETCH * (2.0 ** (doublings + 1) - 1) / (doublings + 1) < factor:
        doublings += 1
    most = max(1, gpus // 4)
    asked = trace.gpus[drawn] << luck.integers(0, doublings + 1, count)
    taken = np.minimum(asked, most)
    seconds = trace.seconds[drawn] * (asked / taken)
    seconds = _stretched(seconds, taken, wanted, span)
    weeks = math.ceil(span / WEEK)
    submit = trace.submit[drawn] % WEEK + WEEK * luck.integers(0, weeks, count)
    late = submit >= span
    submit[late] = luck.uniform(0, span, int(late.sum()))
    order = np.argsort(submit, kind="stable")
    drawn = drawn[order]
    lasting = np.maximum(np.ceil(seconds[order]), 1.0)
    ratio = trace.estimate[drawn] / trace.seconds[drawn]
    return replace(
        trace,
        name=f"{trace.name}, scaled",
        submit=np.floor(submit[order]),
        seconds=lasting,
        estimate=np.ceil(lasting * ratio),
        gpus=taken[order],
        tenant=trace.tenant[drawn],
        until=np.floor(submit[order]) + (trace.until - trace.submit)[drawn],
        intensity=trace.intensity[drawn],
    )


def _stretched(seconds: Any, gpus: Any, wanted: float, span: float) -> Any:
    """Durations multiplied by one factor, none above the span, so that they ask for `wanted` GPU seconds."""
    for _ in range(20):
        cut = seconds >= span
        asked = float(np.dot(gpus[~cut], seconds[~cut]))
        fixed = float(gpus[cut].sum()) * span
        if asked <= 0 or wanted <= fixed:
            break
        seconds = np.minimum(seconds * ((wanted - fixed) / asked), span)
    return seconds
