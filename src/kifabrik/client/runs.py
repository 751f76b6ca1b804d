"""Plans, runs, their logs and their evidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from kifabrik.client.connection import Connection
from kifabrik.runs.states import RunState
from kifabrik.signatures.dsse import Envelope
from kifabrik.wire.body import Detail
from kifabrik.wire.runs import Evidence, Plan, PlanRequest, RunEvent, RunOrder, RunView, StreamView
from kifabrik.wire.tenants import Logged, Signed


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
    """

    run: str
    state: RunState
    wall_s: float
    cost_micro_eur: int
    created: str
    finished: str

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
            run, RunState(body["state"]), float(used["wall_s"]), int(used["cost_micro_eur"]), created, finished
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
        """Runs, newest first; `before` is the run id to go on after, `states` only these if any."""
        return self._http.get_list("/v1/runs", RunView, limit=limit, before=before, state=states)

    def lines(self, *, limit: int, states: Sequence[RunState] = ()) -> list[RunLine]:
        """The same, only what a list shows."""

        def read(body: Any) -> list[RunLine]:
            return [RunLine.from_json(one) for one in body]

        return self._http.get_json("/v1/runs", read, limit=limit, state=states)

    def show(self, run: str, *, revision: int = 0, wait_s: float = 0) -> RunView:
        """One run; with `wait_s`, as soon as its revision is higher than `revision`."""
        return self._http.get(f"/v1/runs/{run}", RunView, wait_s=wait_s, revision=revision)

    def history(self, run: str) -> list[RunEvent]:
        """What happened to a run, and why."""
        return self._http.get_list(f"/v1/runs/{run}/events", RunEvent)

    def evidence(self, run: str) -> Evidence:
        """Digests of every statement about a run."""
        return self._http.get(f"/v1/runs/{run}/evidence", Evidence)

    def stop(self, run: str) -> RunView:
        """Stop a run, with a checkpoint if its job keeps them."""
        return self._http.post(f"/v1/runs/{run}/stop", None, RunView)

    def log(self, attempt: str, *, after: int = -1, wait_s: float = 0) -> StreamView:
        """Segments of an attempt's log with numbers above `after`; waits for one at most `wait_s`."""
        return self._http.get(f"/v1/attempts/{attempt}/log", StreamView, wait_s=wait_s, after=after)

    def accept(self, signature: Envelope, detail: Detail | None) -> Logged:
        """Put on record that a model was accepted."""
        return self._http.post(
            "/v1/models/acceptances", Signed(statement=signature.to_json(), detail=detail), Logged
        )
