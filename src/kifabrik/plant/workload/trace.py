"""Jobs as arrays: what was submitted when, by whom, how large and how long.

Invariants of a `Trace`:
    - jobs are ordered by submission; times are whole seconds, so that sums over a year stay exact in 64-bit floats;
    - no duration is 0 or less, no job asks for less than one GPU, no estimate is below its duration.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from kifabrik.errors import UsageError
from kifabrik.plant.load import Floats

Ints = np.ndarray[Any, np.dtype[np.int64]]
NEVER: Final = np.inf
"""Deadline of a job that cannot be put off."""


@dataclass(frozen=True)
class Trace:
    """Jobs in order of submission.

    Attributes:
        name: Of the trace, for tables.
        submit: Seconds since the start of the span; shape (jobs,), not falling.
        seconds: How long each runs; shape (jobs,).
        estimate: How long each says it will run at most; shape (jobs,).
        gpus: GPUs each works on; shape (jobs,).
        tenant: Number of the tenant in `tenants`; shape (jobs,).
        tenants: Their names.
        until: Seconds by which a job that may be put off must have ended, `NEVER` for others; shape (jobs,).
        intensity: Share of a working GPU's power that each job draws; shape (jobs,).
    """

    name: str
    submit: Floats
    seconds: Floats
    estimate: Floats
    gpus: Ints
    tenant: Ints
    tenants: tuple[str, ...]
    until: Floats
    intensity: Floats

    @property
    def jobs(self) -> int:
        """How many."""
        return len(self.submit)

    @property
    def gpu_seconds(self) -> float:
        """Of all jobs."""
        return float(np.dot(self.gpus, self.seconds))

    def pick(self, which: Any) -> "Trace":
        """Some of the jobs, in the order they have here.

        Args:
            which: Mask or rising numbers of jobs; shape (jobs,) or (picked,).

        Raises:
            UsageError: None is picked.
        """
        columns = {name: getattr(self, name)[which] for name in _COLUMNS}
        if not len(columns["submit"]):
            raise UsageError(f"No job of {self.name} is left.", hint="Take a longer part of the trace.")
        return Trace(name=self.name, tenants=self.tenants, **columns)


_COLUMNS: Final = ("submit", "seconds", "estimate", "gpus", "tenant", "until", "intensity")


def make_trace(
    name: str,
    submit: Any,
    seconds: Any,
    gpus: Any,
    *,
    tenant: Any = None,
    tenants: tuple[str, ...] = ("all",),
    estimate: Any = None,
    until: Any = None,
) -> Trace:
    """Order jobs by submission and bring times to whole seconds (durations are rounded up).

    Args:
        name: Of the trace.
        submit: Seconds; any start, the first submission becomes 0 unless all are 0 or more already.
        seconds: Durations.
        gpus: GPUs of each job.
        tenant: Number of each job's tenant; all the first by default.
        tenants: Names of tenants.
        estimate: What each job says it takes at most; its duration by default, and never less.
        until: When a job that may be put off must have ended; `NEVER` by default.

    Raises:
        UsageError: There is no job.
    """
    count = len(submit)
    if not count:
        raise UsageError(f"{name} has no job.", hint="A trace needs at least one line besides its header.")
    order = np.argsort(np.asarray(submit, dtype=np.float64), kind="stable")

    def column(values: Any, fallback: float, kind: Any = np.float64) -> Any:
        return np.full(count, fallback, dtype=kind) if values is None else np.asarray(values, dtype=kind)[order]

    begins = np.floor(column(submit, 0.0))
    lasting = np.maximum(np.ceil(column(seconds, 1.0)), 1.0)
    said = lasting if estimate is None else np.maximum(np.ceil(column(estimate, 1.0)), lasting)
    return Trace(
        name=name,
        submit=begins - min(begins[0], 0.0),
        seconds=lasting,
        estimate=said,
        gpus=column(gpus, 1, np.int64),
        tenant=column(tenant, 0, np.int64),
        tenants=tenants,
        until=column(until, NEVER),
        intensity=np.ones(count),
    )
