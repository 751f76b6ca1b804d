"""What-ifs: the same year under every combination of changed values and policies, side by side."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from kifabrik.errors import UsageError
from kifabrik.plant.conditions import conditions_of
from kifabrik.plant.courses import river_of
from kifabrik.plant.load import Load
from kifabrik.plant.loads import load_of
from kifabrik.plant.physics import simulate
from kifabrik.plant.signalling import signals_under
from kifabrik.plant.site_file import SiteFile, open_site
from kifabrik.plant.spans import Span
from kifabrik.plant.studies import Study, study_of
from kifabrik.plant.tariffs import tariff_of
from kifabrik.plant.workload.figures import Figures, figures_of
from kifabrik.plant.workload.filling import fill
from kifabrik.plant.workload.policies import Policy
from kifabrik.plant.workload.power import load_of as load_of_schedule
from kifabrik.plant.workload.scheduling import schedule
from kifabrik.plant.workload.trace import Trace

POLICY: Final = "policy"
_MOST_CASES: Final = 200


@dataclass(frozen=True)
class Jobs:
    """Jobs that every case runs.

    Attributes:
        trace: To draw from.
        share: Of all GPU time that they ask for.
        count: How many; None: as many as it takes.
        flexible: Share of jobs that may be put off.
        patience: Hours by which those may end later than at once.
        seed: Of the draws.
    """

    trace: Trace
    share: float
    count: int | None = None
    flexible: float = 0.0
    patience: float = 24.0
    seed: int = 1

    def scaled(self, gpus: int, span: Span) -> Trace:
        """Jobs for a fleet and a year; the same for every policy."""
        filled = fill(self.trace, gpus, span=span.seconds, share=self.share, jobs=self.count, seed=self.seed)
        if not self.flexible:
            return filled
        luck = np.random.default_rng([self.seed, 1])
        patient = luck.random(filled.jobs) < self.flexible
        latest = filled.submit + filled.estimate + self.patience * 3600.0
        return replace(filled, until=np.where(patient, latest, filled.until))


@dataclass(frozen=True)
class Case:
    """One combination.

    Attributes:
        values: What was varied, by path; `policy` among them.
        study: Its year.
        queue: What it meant for jobs; None without a trace.
    """

    values: Mapping[str, Any]
    study: Study
    queue: Figures | None

    @property
    def name(self) -> str:
        """Its values, in words."""
        return ", ".join(f"{key.rsplit('.', 1)[-1]} {value}" for key, value in self.values.items()) or "as it is"


def combinations(variations: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination of values.

    Raises:
        UsageError: There are too many.
    """
    count = math.prod(len(values) for values in variations.values())
    if count > _MOST_CASES:
        raise UsageError(f"These are {count} combinations.", hint=f"Vary less: {_MOST_CASES} at most.")
    return [dict(zip(variations, values, strict=True)) for values in itertools.product(*variations.values())]


def compare(
    site: str,
    variations: Mapping[str, Sequence[Any]],
    *,
    changes: Mapping[str, Any],
    load: str,
    jobs: Jobs | None = None,
    folder: Path | None = None,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> list[Case]:
    """Simulate every combination.

    Args:
        site: A file, or the name of a shipped site.
        variations: Values to vary, by path; `policy` names scheduling policies.
        changes: Values that are the same in every case.
        load: What runs, without jobs.
        jobs: What runs, under the policies.
        folder: Where tables are.
        workers: Threads; the compiled parts run side by side.
        progress: Called with 1 after each case.

    Raises:
        UsageError: A value is wrong, or policies are named without jobs.
    """
    if POLICY in variations and jobs is None:
        raise UsageError("Policies schedule jobs, and none are given.", hint="Name a trace: --trace philly.csv.gz")
    cases = combinations(variations)
    files = [open_site(site, {**changes, **_without_policy(values)}) for values in cases]  # errors before work
    for river, of in {(file.site.river, file.site.year) for file in files}:
        river_of(river.temperature, Span(of), folder, river.year)
    for power, of in {(file.site.electricity, file.site.year) for file in files}:
        tariff_of(power, Span(of), folder)
    for values in cases:
        _policy(values)

    def one(values: Mapping[str, Any], file: SiteFile) -> Case:
        case = _case(values, file, load, jobs, folder)
        if progress:
            progress(1)
        return case

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(one, cases, files))


def _case(values: Mapping[str, Any], file: SiteFile, load: str, jobs: Jobs | None, folder: Path | None) -> Case:
    site, span = file.site, Span(file.site.year)
    conditions = conditions_of(site, folder)
    queue = None
    if jobs is None:
        running = load_of(load, site.fleet(), span)
    else:
        policy = _policy(values)
        followed = signals_under(site, conditions) if policy is Policy.HEAT_AWARE else None
        trace = jobs.scaled(site.fleet().gpus, span)
        decided = schedule(trace, site.fleet(), policy, signals=followed, until=span.seconds)
        queue = figures_of(decided)
        running = _of_the_year(load_of_schedule(decided), span)
        load = f"{jobs.trace.name} x {jobs.share:g}, {policy.value}"
    return Case(values, study_of(simulate(site, running, conditions=conditions), file, load), queue)


def _policy(values: Mapping[str, Any]) -> Policy:
    name = str(values.get(POLICY, Policy.BACKFILL.value))
    try:
        return Policy(name)
    except ValueError:
        known = ", ".join(policy.value for policy in Policy)
        raise UsageError(f"There is no policy {name}.", hint=f"Policies: {known}.") from None


def _of_the_year(load: Load, span: Span) -> Load:
    """A load cut at the end of the year."""
    kept = load.edges[:-1] < span.seconds
    edges = np.append(load.edges[:-1][kept], min(float(load.edges[-1]), span.seconds))
    return Load(edges, load.watts[kept])


def _without_policy(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != POLICY}
