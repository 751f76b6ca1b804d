"""The tasks of a sweep side by side: parameters, metrics, states and costs, opened on this machine.

Invariants:
- which run a task is, and with which parameters, is what members have signed, not what the factory says;
- a sealed metric counts only from a log that a lease's run key has opened and that is whole;
- keys are asked for in few requests, each for many logs of one order; every one of them stands in the ledger.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

from kifabrik.customer.catalogue import Catalogue
from kifabrik.customer.follow import AttemptLog, leased_stream, verified_stream
from kifabrik.customer.leasing import lease_results
from kifabrik.customer.named import ModelVersion, SweepName, model_output
from kifabrik.customer.proof import prove_output
from kifabrik.customer.session import Session
from kifabrik.errors import NotFoundError, UsageError
from kifabrik.jobs.matrix import Point
from kifabrik.models.promotion import Promotion
from kifabrik.runs.states import RunState, is_end
from kifabrik.signatures.statements import sign_statement
from kifabrik.values import format_time, now_utc, sweep_of, task_number
from kifabrik.wire.runs import AttemptView, RunView

LOGS_AT_ONCE: Final = 500
"""Logs in one request for keys: its log entry names each by 64 digits, and has at most 65,535 bytes."""

_AT_ONCE: Final = 8
"""Logs opened at one time: most of the time goes by waiting for the factory."""

Told = Callable[[int], None]


@dataclass(frozen=True)
class TaskResult:
    """One task of a sweep.

    Args:
        number: From 1.
        run: Its run id, as it was ordered last.
        point: Its parameters.
        state: Where it stands.
        reason: Why.
        metrics: Last value of each metric, as far as they were opened or published.
        cost_micro_eur: What it has cost.
        wall_s: How long it took, all attempts together.
    """

    number: int
    run: str
    point: Point
    state: RunState
    reason: str
    metrics: Mapping[str, float]
    cost_micro_eur: int
    wall_s: float


def sweep_results(
    session: Session, sweep: SweepName, *, sealed: bool = True, told: Told = lambda _count: None
) -> list[TaskResult]:
    """Return every task of a sweep with its metrics, by number.

    Args:
        session: Connected.
        sweep: From the catalogue.
        sealed: Whether to open the sealed metrics; else only those the job publishes are there.
        told: Told how many more tasks' metrics were opened.

    Raises:
        RefusedError: The keyholder does not release the logs to this member.
        IntegrityError: A log does not verify.
    """
    views = task_views(session, sweep)
    metrics = _sealed_metrics(session, views.values(), told) if sealed else {}
    return [
        TaskResult(
            number=number,
            run=view.run,
            point=point,
            state=view.state,
            reason=view.reason,
            metrics={**view.published, **metrics.get(view.run, {})},
            cost_micro_eur=view.footprint.cost_micro_eur,
            wall_s=view.footprint.wall_s,
        )
        for number, point in enumerate(sweep.matrix.points(), 1)
        if (view := views.get(number)) is not None
    ]


_NO_METRIC: Final = (
    "No task has reported any: a job appends lines such as "
    '{"name": "auc", "value": 0.9} to the file KIFABRIK_METRICS.'
)


def ranked(results: Iterable[TaskResult], metric: str, *, lowest: bool = False) -> list[TaskResult]:
    """Sort by a metric, the best first; tasks without it come last, by number.

    Raises:
        NotFoundError: No task has this metric.
    """
    found = list(results)
    having = [one for one in found if metric in one.metrics]
    if not having:
        there = sorted({name for one in found for name in one.metrics})
        hint = f"There are: {', '.join(there)}." if there else _NO_METRIC
        raise NotFoundError(f"no task has a metric {metric!r}", hint=hint)
    having.sort(key=lambda one: (one.metrics[metric] if lowest else -one.metrics[metric], one.number))
    return having + [one for one in found if metric not in one.metrics]


def best(results: Iterable[TaskResult], metric: str, *, lowest: bool = False) -> TaskResult:
    """Return the task that succeeded with the best metric.

    Raises:
        NotFoundError: None has succeeded, or none of them has this metric.
    """
    well = [one for one in results if one.state is RunState.SUCCEEDED]
    if not well:
        raise NotFoundError("no task of the sweep has succeeded yet", hint="See: kifabrik why SWEEP")
    return ranked(well, metric, lowest=lowest)[0]


def promote(session: Session, catalogue: Catalogue, sweep: SweepName, number: int) -> tuple[ModelVersion, int]:
    """Make the model of a task the next version of the job's model; return it and its ledger entry.

    Its chain is verified first, from the order to the output.

    Raises:
        NotFoundError: The task has put out no model.
        UsageError: The job declares no output that is a model.
        IntegrityError: Its chain does not hold.
    """
    task = catalogue.run(sweep.run_of(number))
    output = model_output(task.outputs)
    if output is None:
        raise UsageError(f"{sweep.name} declares no output called 'model'", hint="Call one of its outputs 'model'.")
    if output > len(task.finished):
        raise NotFoundError(
            f"task {number} of {sweep.name} has put out no model", hint=f"See: kifabrik why {task.run}"
        )
    candidate = ModelVersion(sweep.name, 0, task, output)
    prove_output(session, catalogue, candidate)
    said = Promotion(
        tenant=session.tenant,
        member=session.profile.member,
        order=task.order,
        run=task.run,
        owner=candidate.owner,
        manifest=candidate.manifest,
        created=format_time(now_utc()),
    )
    logged = session.runs.promote(sign_statement(said, {said.owner: said.manifest}, session.profile.device))
    made = (one for one in session.catalogue().models() if one.owner == candidate.owner)
    return next(made, replace(candidate, version=0)), logged.log_index


def task_views(session: Session, sweep: SweepName) -> dict[int, RunView]:
    """The run of each task as it was ordered last, by number; what nobody has ordered is left out."""
    found: dict[int, RunView] = {}
    for order in sweep.orders:
        for view in session.runs.all_tasks(order.run):
            number = task_number(view.run)
            if sweep_of(view.run) == order.run and order.has_task(number):
                found[number] = view
    return found


def _sealed_metrics(session: Session, views: Iterable[RunView], told: Told) -> dict[str, dict[str, float]]:
    """Open the metrics of every task that has ended and has a log, by run id."""
    logs = [(view.run, view.attempts[-1]) for view in views if is_end(view.state) and _has_log(view)]
    found: dict[str, dict[str, float]] = {}
    by_order: dict[str, list[tuple[str, AttemptView]]] = {}
    for run, attempt in logs:
        by_order.setdefault(sweep_of(run), []).append((run, attempt))
    with ThreadPoolExecutor(_AT_ONCE, "metrics") as pool:
        for order, of_order in by_order.items():
            for start in range(0, len(of_order), LOGS_AT_ONCE):
                for run, metrics in _of_logs(session, pool, order, of_order[start : start + LOGS_AT_ONCE]):
                    found[run] = metrics
                    told(1)
    return found


def _of_logs(
    session: Session, pool: ThreadPoolExecutor, order: str, logs: Sequence[tuple[str, AttemptView]]
) -> Iterator[tuple[str, dict[str, float]]]:
    lease = lease_results(session, order, [attempt.stream for _, attempt in logs])

    def read(one: tuple[str, AttemptView]) -> tuple[str, dict[str, float]]:
        run, attempt = one
        run_key = verified_stream(session, run, attempt, 0)
        stream = leased_stream(session, 0, run_key, lease.headers[attempt.stream])
        return run, _last_values(AttemptLog(session, run, attempt, stream))

    yield from pool.map(read, logs)


def _last_values(log: AttemptLog) -> dict[str, float]:
    found: dict[str, float] = {}
    while True:
        lines = log.lines(wait_s=0)
        found |= {line.metric: line.value for line in lines if line.metric}
        if log.ended:
            list(log.close())
            return found
        if not lines:
            return found


def _has_log(view: RunView) -> bool:
    return bool(view.attempts and view.attempts[-1].stream)
