"""kifabrik for scripts, shaped like `concurrent.futures`.

from kifabrik.customer.sdk import connect

with connect() as factory:
future = factory.submit("job.yaml")
print(future.result().pull("model", "./model"))
for done in factory.map("job.yaml", [{"LR": "0.1"}, {"LR": "0.01"}]):
print(done.published)
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kifabrik.customer.apply import lock_environment, prepare, submit
from kifabrik.customer.follow import read_log
from kifabrik.customer.log_lines import LogLine
from kifabrik.customer.profile import home_folder
from kifabrik.customer.results import PulledOutput, pull_output
from kifabrik.customer.session import Session, open_session
from kifabrik.errors import CapacityError, KifabrikError, NotFoundError, RefusedError, RunFailedError
from kifabrik.jobs.jobfile import JobFile
from kifabrik.jobs.reading import read_job_or_script
from kifabrik.runs.states import RunState, is_end
from kifabrik.transfer.objects import silent
from kifabrik.wire.runs import RunView

_WAIT_S: Final = 20.0
_AT_ONCE: Final = 8


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


class Factory:
    """Orders runs; made by `connect`."""

    def __init__(self, session: Session) -> None:
        self.session = session

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
        parsed = job if isinstance(job, JobFile) else read_job_or_script(Path(job)).job
        folder = Path() if isinstance(job, JobFile) else Path(job).resolve().parent
        parsed = parsed.changed(variables=variables or {}, **changes)
        prepared = prepare(self.session, parsed, folder)
        if not prepared.plan.feasible:
            raise CapacityError(f"this cannot run here: {prepared.plan.reason}")
        view = submit(self.session, prepared, lock_environment(prepared))
        return RunFuture(self.session, view, tuple(parsed.outputs))

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
