"""kifabrik for scripts, shaped like `concurrent.futures`.

from kifabrik.customer.sdk import connect

with connect() as factory:
future = factory.submit("job.yaml")
print(future.result().pull("model", "./model"))
for done in factory.map("job.yaml", [{"LR": "0.1"}, {"LR": "0.01"}]):
print(done.published)
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kifabrik.customer.apply import OTHERWISE, lock_environment, prepare_all, submit
from kifabrik.customer.follow import read_log
from kifabrik.customer.log_lines import LogLine
from kifabrik.customer.named import ModelVersion
from kifabrik.customer.profile import home_folder
from kifabrik.customer.resolving import in_order
from kifabrik.customer.results import PulledOutput, pull_output
from kifabrik.customer.retry import FAILED, retry_tasks
from kifabrik.customer.session import Session, open_session
from kifabrik.customer.sweeps import TaskResult, promote, sweep_results, task_views
from kifabrik.errors import CapacityError, KifabrikError, NotFoundError, RefusedError, RunFailedError, UsageError
from kifabrik.jobs.jobfile import JobFile
from kifabrik.jobs.reading import read_job_or_script
from kifabrik.runs.states import RunState, is_end
from kifabrik.transfer.objects import silent
from kifabrik.wire.runs import Plan, PlanRequest, RunView

_WAIT_S: Final = 20.0
_AT_ONCE: Final = 8
_PLAN_LASTS_S: Final = 10.0


@dataclass(frozen=True)
class RunResult:
    """A run that succeeded.

    Args:
        run: Run id.
        outputs: Names of its declared outputs.
        published: Metrics the factory could see.
        view: All else the factory knows of it.
    """

    run: str
    outputs: tuple[str, ...]
    published: Mapping[str, float]
    view: RunView
    _session: Session

    def pull(self, output: str, target: str | Path) -> PulledOutput:
        """Verify the chain, lease the key and open one output into a new folder.

        Raises:
            NotFoundError: The run declares no such output.
            KifabrikError: As `kifabrik.customer.results.pull_output`.
        """
        if output not in self.outputs:
            raise NotFoundError(f"{self.run} has no output {output!r}", hint=f"It has: {', '.join(self.outputs)}")
        number = self.outputs.index(output) + 1
        return pull_output(
            self._session, self.run, number, Path(target), bar=lambda _label, _total: nullcontext(silent)
        )

    def log(self) -> Iterator[LogLine]:
        """Yield the whole log, opened here."""
        return read_log(self._session, self.run, follow=False)


class RunFuture:
    """A run that was ordered; the methods mean what they mean in `concurrent.futures.Future`."""

    def __init__(self, session: Session, view: RunView, outputs: tuple[str, ...]) -> None:
        self.run = view.run
        self._session = session
        self._view = view
        self._outputs = outputs

    def view(self) -> RunView:
        """The run as the factory knows it now."""
        if not is_end(self._view.state):
            self._view = self._session.runs.show(self.run)
        return self._view

    def running(self) -> bool:
        """Whether it works on the run now."""
        return not self.done() and self.view().state is not RunState.QUEUED

    def done(self) -> bool:
        """Whether it has ended, in whichever way."""
        return is_end(self.view().state)

    def cancelled(self) -> bool:
        """Whether it was stopped."""
        return self.view().state is RunState.STOPPED

    def cancel(self) -> bool:
        """Stop the run; a running one is asked to and may take a while to end."""
        if self.done():
            return False
        self._view = self._session.runs.stop(self.run)
        return True

    def result(self, timeout: float | None = None) -> RunResult:
        """Wait for the run to succeed.

        Raises:
            TimeoutError: It has not ended after `timeout` seconds.
            CancelledError: It was stopped.
            RefusedError: The keyholder refused.
            RunFailedError: It failed.
        """
        error = self.exception(timeout)
        if error is not None:
            raise error
        return RunResult(self.run, self._outputs, self._view.published, self._view, self._session)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the end and return what `result` would raise; None if it succeeded.

        Raises:
            TimeoutError: It has not ended after `timeout` seconds.
        """
        view = self._wait(timeout)
        if view.state is RunState.SUCCEEDED:
            return None
        if view.state is RunState.STOPPED:
            return CancelledError(f"{self.run} was stopped: {view.reason}")
        refused = view.state is RunState.REFUSED
        return (RefusedError if refused else RunFailedError)(f"{self.run} ended as {view.state}: {view.reason}")

    def _wait(self, timeout: float | None) -> RunView:
        until = None if timeout is None else time.monotonic() + timeout
        while not is_end(self._view.state):
            left = _WAIT_S if until is None else until - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{self.run} is {self._view.state}: {self._view.reason}")
            self._view = self._session.runs.show(self.run, revision=self._view.revision, wait_s=min(left, _WAIT_S))
        return self._view


class SweepFuture:
    """A sweep that was ordered: as a `RunFuture`, but with one result for each task."""

    def __init__(self, session: Session, view: RunView) -> None:
        self._session = session
        self._whole = RunFuture(session, view, ())
        self.run = view.run

    def view(self) -> RunView:
        """The sweep as the factory knows it now; `tasks` says how many tasks are in which state."""
        return self._whole.view()

    def done(self) -> bool:
        """Whether all tasks have ended, in whichever way."""
        return self._whole.done()

    def cancel(self) -> bool:
        """Stop all tasks; those that run are asked to and may take a while to end."""
        return self._whole.cancel()

    def results(self, timeout: float | None = None, *, sealed: bool = True) -> list[TaskResult]:
        """Wait for all tasks to end and return them by number, those that failed included.

        Args:
            timeout: Seconds to wait at most.
            sealed: Whether to open the sealed metrics; else only those the job publishes are there.

        Raises:
            TimeoutError: Not all have ended after `timeout` seconds.
            RefusedError: The keyholder does not release the logs to this member.
        """
        self._whole.exception(timeout)
        return sweep_results(self._session, self._session.catalogue().sweep(self.run), sealed=sealed)

    def retry(self) -> "SweepFuture":
        """Order again what failed or was refused, and only that; `results` of either shows all tasks."""
        catalogue = self._session.catalogue()
        sweep = catalogue.sweep(self.run)
        views = task_views(self._session, sweep)
        failed = [number for number, view in views.items() if view.state in FAILED]
        return SweepFuture(self._session, retry_tasks(self._session, catalogue, sweep, failed))

    def promote(self, number: int) -> ModelVersion:
        """Make the model of a task the next version of the job's model."""
        catalogue = self._session.catalogue()
        return promote(self._session, catalogue, catalogue.sweep(self.run), number)[0]


class Factory:
    """Orders runs; made by `connect`."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._planned: tuple[float, PlanRequest, Plan] | None = None

    def submit(
        self, job: str | Path | JobFile, *, variables: Mapping[str, str] | None = None, **changes: Any
    ) -> RunFuture:
        """Seal the code, sign an order and hand it in.

        Args:
            job: A job file, or its path.
            variables: Environment variables for the job, besides those of the file.
            changes: Fields of the job file to replace, such as `name` or `run`.

        Raises:
            CapacityError: This cannot run here.
            KifabrikError: As `kifabrik apply`.
        """
        parsed, folder = _read(job)
        parsed = parsed.changed(variables=variables or {}, **changes)
        if parsed.matrix is not None:
            raise UsageError(f"{parsed.name} has a matrix", hint="Order it with factory.sweep(job).")
        (view,) = self._order([(parsed, folder)])
        return RunFuture(self.session, view, tuple(parsed.outputs))

    def sweep(self, job: str | Path | JobFile, matrix: Any = None, **changes: Any) -> SweepFuture:
        """Order a sweep: one order, one task for each point of its matrix.

        Args:
            job: A job file, or its path.
            matrix: A grid or a list, instead of the file's.
            changes: Fields of the job file to replace, such as `max_parallel`.

        Raises:
            UsageError: It has no matrix.
            CapacityError: This cannot run here.
            KifabrikError: As `kifabrik apply`.
        """
        parsed, folder = _read(job)
        wanted = parsed.matrix if matrix is None else matrix
        parsed = parsed.changed(variables={}, **{**changes, "matrix": wanted})
        if parsed.matrix is None:
            raise UsageError(f"{parsed.name} has no matrix", hint="Give one, such as {'lr': [0.1, 0.01]}.")
        (view,) = self._order([(parsed, folder)])
        return SweepFuture(self.session, view)

    def pipeline(self, *jobs: str | Path | JobFile) -> list[RunFuture]:
        """Order jobs that need each other, each behind those it needs; return them in that order.

        Raises:
            UsageError: They need each other in a circle.
            KifabrikError: As `submit`.
        """
        read = [_read(job) for job in jobs]
        outputs = {job.name: tuple(job.outputs) for job, _ in read}
        names = [job.name for job, _ in in_order(read)]
        views = self._order(read)
        return [RunFuture(self.session, view, outputs[name]) for name, view in zip(names, views, strict=True)]

    def _order(self, jobs: Sequence[tuple[JobFile, Path]]) -> list[RunView]:
        prepared = prepare_all(self.session, jobs, self._plan)
        for one in prepared:
            if not one.plan.feasible:
                raise CapacityError(f"this cannot run here: {one.plan.reason}", hint=OTHERWISE)
        views: list[RunView] = []
        for one in prepared:
            ordered = {view.run: view.order for view in views}
            views.append(submit(self.session, one, lock_environment(one), ordered))
        return views

    def _plan(self, request: PlanRequest) -> Plan:
        """Whether this can run here; asked once by who orders many alike, as each order is checked itself."""
        known, now = self._planned, time.monotonic()
        if known is not None and known[1] == request and now - known[0] < _PLAN_LASTS_S:
            return known[2]
        plan = self.session.runs.plan(request)
        self._planned = (now, request, plan) if plan.feasible else None
        return plan

    def map(
        self,
        job: str | Path | JobFile,
        variables: Iterable[Mapping[str, str]],
        *,
        timeout: float | None = None,
    ) -> Iterator[RunResult]:
        """Order one run for each set of environment variables; yield results in that order.

        Raises:
            TimeoutError: A result was not there `timeout` seconds after the call.
            KifabrikError: As `RunFuture.result`; the runs after it are stopped.
        """
        until = None if timeout is None else time.monotonic() + timeout
        with ThreadPoolExecutor(_AT_ONCE, "submit") as pool:
            futures = list(pool.map(lambda one: self.submit(job, variables=one), variables))
        return self._results(futures, until)

    def _results(self, futures: list[RunFuture], until: float | None) -> Iterator[RunResult]:
        waiting = list(futures)
        try:
            while waiting:
                left = None if until is None else max(0.0, until - time.monotonic())
                yield waiting[0].result(left)
                waiting.pop(0)
        finally:
            for future in waiting:
                _quietly(future.cancel)


def _read(job: str | Path | JobFile) -> tuple[JobFile, Path]:
    """Return a job and the folder its paths start from."""
    if isinstance(job, JobFile):
        return job, Path()
    return read_job_or_script(Path(job)).job, Path(job).resolve().parent


def _quietly(action: Callable[[], object]) -> None:
    try:
        action()
    except KifabrikError:
        return


@contextmanager
def connect(home: Path | None = None) -> Iterator[Factory]:
    """Connect as the member this machine is enrolled for.

    Args:
        home: Folder of keys and settings; `$KIFABRIK_HOME` or the usual place by default.

    Raises:
        SignInError: The machine is not enrolled.
    """
    with open_session(home or home_folder()) as session:
        yield Factory(session)
