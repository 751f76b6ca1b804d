"""Plans, runs, their logs and their evidence."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from kifabrik.client.connection import Connection
from kifabrik.runs.states import RunState
from kifabrik.signatures.dsse import Envelope
from kifabrik.wire.body import Detail
from kifabrik.wire.runs import Evidence, Plan, PlanRequest, RunEvent, RunOrder, RunView, StreamView
from kifabrik.wire.tenants import Logged, Signed

_TASKS_A_PAGE: Final = 500


@dataclass(frozen=True)
class RunLine:
    """What a list shows of a run: a `RunView` checks ten times as much, and has to be built first.

    Args:
        run: Run id.
        state: Where it stands.
        wall_s: Seconds its attempts took.
        cost_micro_eur: Its price so far.
        created: When it was ordered.
        finished: When it ended; empty before.
        tasks: How many tasks of a sweep are in which state; empty for a run.
        used: What it used, as a `FootprintView` is in JSON.
    """

    run: str
    state: RunState
    wall_s: float
    cost_micro_eur: int
    created: str
    finished: str
    tasks: Mapping[RunState, int]
    used: Mapping[str, Any]

    @classmethod
    def from_json(cls, body: Any) -> Self:
        """Read it from what a `RunView` is in JSON.

        Raises:
            KeyError: A field is missing.
            TypeError: It is something else.
            ValueError: There is no such state.
        """
        used = body["footprint"]
        texts = [body["run"], body["created"], body["finished"]]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError
        run, created, finished = texts
        return cls(
            run=run,
            state=RunState(body["state"]),
            wall_s=float(used["wall_s"]),
            cost_micro_eur=int(used["cost_micro_eur"]),
            created=created,
            finished=finished,
            tasks={RunState(state): int(count) for state, count in dict(body["tasks"]).items()},
            used=dict(used),
        )


class Runs:
    """Runs of this tenant."""

    def __init__(self, connection: Connection) -> None:
        self._http = connection

    def plan(self, request: PlanRequest) -> Plan:
        """Ask what an order would cost and where it could run."""
        return self._http.post("/v1/plans", request, Plan)

    def order(self, order: Envelope, code: Envelope, lock: str, detail: Detail | None) -> RunView:
        """Hand in an order; its code bundle's objects are uploaded before."""
        body = RunOrder(order=order.to_json(), code=code.to_json(), lock=lock, detail=detail)
        return self._http.post("/v1/runs", body, RunView)

    def all(self, *, limit: int = 50, before: str = "", states: Sequence[RunState] = ()) -> list[RunView]:
        """Runs, newest first, each sweep as one.

        Args:
            limit: How many at most.
            before: Run id to go on after.
            states: Only runs in these, and sweeps with a task in one of them; all if empty.
        """
        return self._http.get_list("/v1/runs", RunView, limit=limit, before=before, state=states)

    def lines(self, *, limit: int, states: Sequence[RunState] = ()) -> list[RunLine]:
        """Runs as `all` has them, only what a list shows of each."""

        def read(body: Any) -> list[RunLine]:
            return [RunLine.from_json(one) for one in body]

        return self._http.get_json("/v1/runs", read, limit=limit, state=states)

    def show(self, run: str, *, revision: int = 0, wait_s: float = 0) -> RunView:
        """One run; with `wait_s`, as soon as its revision is higher than `revision`."""
        return self._http.get(f"/v1/runs/{run}", RunView, wait_s=wait_s, revision=revision)

    def tasks(self, sweep: str, *, after: str = "") -> list[RunView]:
        """Tasks of a sweep in their order; `after` is the run id of the task to go on after."""
        return self._http.get_list(f"/v1/runs/{sweep}/tasks", RunView, limit=_TASKS_A_PAGE, after=after)

    def all_tasks(self, sweep: str) -> Iterator[RunView]:
        """Every task of a sweep, in pages."""
        after = ""
        while page := self.tasks(sweep, after=after):
            yield from page
            after = page[-1].run

    def history(self, run: str) -> list[RunEvent]:
        """What happened to a run, and why."""
        return self._http.get_list(f"/v1/runs/{run}/events", RunEvent)

    def evidence(self, run: str) -> Evidence:
        """Digests of every statement about a run."""
        return self._http.get(f"/v1/runs/{run}/evidence", Evidence)

    def stop(self, run: str) -> RunView:
        """Stop a run, with a checkpoint if its job keeps them."""
        return self._http.post(f"/v1/runs/{run}/stop", None, RunView)

    def log(self, attempt: str, *, after: int = -1, rank: int = 0, wait_s: float = 0) -> StreamView:
        """Segments of the log of an attempt's node above number `after`; waits for one at most `wait_s`."""
        return self._http.get(f"/v1/attempts/{attempt}/log", StreamView, wait_s=wait_s, after=after, rank=rank)

    def accept(self, signature: Envelope, detail: Detail | None) -> Logged:
        """Put on record that a model was accepted."""
        return self._http.post(
            "/v1/models/acceptances", Signed(statement=signature.to_json(), detail=detail), Logged
        )

    def promote(self, promotion: Envelope) -> Logged:
        """Put on record that the output of a sweep's task is a version of the job's model."""
        return self._http.post("/v1/models/promotions", Signed(statement=promotion.to_json()), Logged)
