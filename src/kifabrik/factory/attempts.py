"""What a launcher asks of the factory and tells it while its attempt goes on.

Invariants:
- a launcher sees and changes its own attempt only, and nothing after that has ended;
- the launcher that asks for keys first is the attempt's: another run key is told so. An attempt on several
  nodes has a launcher on each, all with that one run key;
- a run moves along the table, forward only.
"""

import json
from dataclasses import dataclass, replace
from datetime import datetime

from kifabrik.errors import ConflictError, IntegrityError
from kifabrik.factory.accounts import find_tenant
from kifabrik.factory.followers import inputs_of
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.run_book import RunBook, find_attempt, find_run
from kifabrik.factory.run_records import Attempt, Run, StopCause
from kifabrik.grants.statements import Grant
from kifabrik.leases.statements import AttemptRequest
from kifabrik.orders.order import Order
from kifabrik.runs.gathering import Fault, Stage
from kifabrik.runs.states import TRANSITIONS, RunState, is_end
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.statements import read_unverified
from kifabrik.values import Place, parse_time

_SENTENCES = {
    RunState.BUILDING: "Building the environment.",
    RunState.WAITING_FOR_KEY: "Waiting for the keyholder to release the keys.",
    RunState.STAGING: "Opening the data into memory.",
    RunState.RUNNING: "The job is running.",
    RunState.SEALING: "Sealing what the job put out.",
}
_STREAMED = {RunState.STAGING: "Opening the code into memory; the data is opened while it is read."}
"""What is said instead of a run whose data is streamed."""


@dataclass(frozen=True)
class WorkView:
    """All a launcher needs to begin; it believes only what verifies."""

    tenant_key: str
    keyholder: Envelope
    membership: Envelope
    device: Envelope
    order: Envelope
    code: Envelope
    inputs: tuple[Envelope, ...]
    checkpoint: Envelope | None
    lock: str
    run: str
    number: int
    cap_s: int
    place: Place
    streamed: bool
    attested: bool


@dataclass(frozen=True)
class Asked:
    """What is asked of an attempt's launchers.

    Args:
        stop: Why they are to stop; None if nobody asks for it.
        fault: Why the attempt cannot go on at one of several nodes, and so not at the others.
    """

    stop: StopCause | None = None
    fault: Fault | None = None


class Attempts:
    """Serves launchers.

    Args:
        store: Opens transactions.
        book: Moves runs.
    """

    def __init__(self, store: Store, book: RunBook) -> None:
        self._store = store
        self._book = book

    def work(self, tenant: str, attempt: str) -> WorkView:
        """Return all a launcher needs to begin, and note that it has come.

        Raises:
            NotFoundError: There is no such attempt.
            ConflictError: It has ended.
        """
        with self._store.read() as transaction:
            found, run = self.going_on(transaction, tenant, attempt)
            view = _work(transaction, run, found)
        if not found.taken:
            with self._store.write(tenant) as transaction:
                found, _ = self.going_on(transaction, tenant, attempt)
                transaction.runs.save_attempt(replace(found, taken=found.taken or self._book.now()))
        return view

    def progress(self, tenant: str, attempt: str, state: RunState, reason: str) -> None:
        """Move an attempt and its run forward; the same step again changes only the reason.

        Raises:
            ConflictError: The attempt has ended, or the table does not allow the step.
        """
        if is_end(state) or state in (RunState.QUEUED, RunState.STARTING):
            raise ConflictError(f"a launcher cannot make a run {state.value}", hint="It ends with `finish`.")
        with self._store.write(tenant) as transaction:
            found, run = self.going_on(transaction, tenant, attempt)
            self._step(transaction, found, run, state, reason or _sentence(run, state))

    def control(self, tenant: str, attempt: str) -> Asked:
        """Return why a launcher is to stop, if it is; one whose attempt has ended is.

        Raises:
            NotFoundError: There is no such attempt.
        """
        with self._store.read() as transaction:
            found = find_attempt(transaction, tenant, attempt)
            run = find_run(transaction, tenant, found.run)
            fault = fault_of(transaction, tenant, attempt) if run.resources.nodes > 1 else None
        if found.finished:
            return Asked(StopCause.STOP)
        return Asked(run.stop, fault)

    def check_request(self, transaction: Transaction, request: AttemptRequest) -> None:
        """Check a verified request for keys against its attempt, and tie the attempt to its run key.

        Whoever asks for keys waits for them from now on: that needs no further call.

        Raises:
            ConflictError: The attempt has ended, or belongs to another launcher.
            IntegrityError: The request says otherwise than order, place or nodes of the attempt.
        """
        found, run = self.going_on(transaction, request.tenant, request.attempt)
        if found.run_key not in ("", request.run_key):
            raise ConflictError(
                f"another launcher works on attempt {found.attempt}; this one must end",
                hint="One attempt has one launcher, known by its run key.",
            )
        asked = (request.run, request.number, request.order, request.place)
        if asked != (run.run, found.number, run.order, found.place):
            raise IntegrityError("the request for keys is not about this attempt")
        if list(request.node_keys) != node_keys_of(transaction, found):
            raise IntegrityError("the request for keys is not by the nodes the attempt was given")
        if request.items != _items(transaction, run):
            raise IntegrityError("the request asks for other keys than the order's code, inputs and checkpoint")
        if not found.run_key:
            self.reach(transaction, replace(found, run_key=request.run_key), run, RunState.WAITING_FOR_KEY)

    def reach(self, transaction: Transaction, attempt: Attempt, run: Run, state: RunState) -> None:
        """Save an attempt that has come at least as far as `state`, as what it does shows."""
        if state in TRANSITIONS[run.state]:
            self._step(transaction, attempt, run, state, _sentence(run, state))
        else:
            transaction.runs.save_attempt(attempt)
            self._book.change(transaction, run, reason=run.reason)

    def going_on(self, transaction: Transaction, tenant: str, attempt: str) -> tuple[Attempt, Run]:
        """Return an attempt that has not ended, and its run.

        Raises:
            NotFoundError: There is no such attempt.
            ConflictError: It has ended.
        """
        found = find_attempt(transaction, tenant, attempt)
        if found.finished:
            raise ConflictError(
                f"attempt {attempt} ended at {found.finished}",
                hint="Its launcher must end; nothing more is taken.",
            )
        return found, find_run(transaction, tenant, found.run)

    def _step(self, transaction: Transaction, attempt: Attempt, run: Run, state: RunState, reason: str) -> None:
        if (run.state, run.reason) == (state, reason):
            return
        changed = self._book.change(transaction, run, state=state, reason=reason)
        begins = state is RunState.RUNNING and not attempt.running
        running = self._book.now() if begins else attempt.running
        transaction.runs.save_attempt(replace(attempt, state=changed.state, running=running))


def _sentence(run: Run, state: RunState) -> str:
    special = _STREAMED if run.streamed_bytes else {}
    return special.get(state) or _SENTENCES[state]


def _work(transaction: Transaction, run: Run, attempt: Attempt) -> WorkView:
    tenant = find_tenant(transaction, run.tenant)
    member = transaction.accounts.member(run.tenant, run.member)
    if member is None:
        raise IntegrityError(f"the member {run.member} of run {run.run} is missing")
    order = _kept(transaction, run.tenant, run.order)
    said, _ = read_unverified(order, Order)
    checkpoint = newest_checkpoint(transaction, run)
    return WorkView(
        tenant_key=tenant.tenant_key,
        keyholder=_kept(transaction, run.tenant, tenant.keyholder),
        membership=_kept(transaction, run.tenant, member.membership),
        device=_kept(transaction, run.tenant, member.device),
        order=order,
        code=_kept(transaction, run.tenant, run.code),
        inputs=tuple(_kept(transaction, run.tenant, one) for one in inputs_of(transaction, run.tenant, said)),
        checkpoint=_kept(transaction, run.tenant, checkpoint) if checkpoint else None,
        lock=transaction.runs.lock(run.tenant, run.lock) or "",
        run=run.run,
        number=attempt.number,
        cap_s=attempt.cap_s,
        place=attempt.place,
        streamed=run.streamed_bytes > 0,
        attested=_asks_attested(transaction, run.tenant, said),
    )


def asks_attested(transaction: Transaction, run: Run, now: datetime) -> bool:
    """Whether all live grants that a run could use of some input ask for attested nodes, so that it needs one.

    The keyholder decides; this lets a cluster choose nodes.

    Raises:
        IntegrityError: A statement of its order or grants is missing.
    """
    order, _ = read_unverified(_kept(transaction, run.tenant, run.order), Order)
    for item in order.inputs:
        grants = [
            read_unverified(_kept(transaction, run.tenant, record.statement), Grant)[0]
            for record in transaction.datasets.grants(run.tenant, item.owner)
            if not record.revoked
        ]
        live = [one for one in grants if one.purpose == order.purpose and parse_time(one.expires) > now]
        if live and all(one.attested for one in live):
            return True
    return False


def _asks_attested(transaction: Transaction, tenant: str, order: Order) -> bool:
    """Whether a grant on an input asks for attested nodes; the keyholder decides, this saves a refusal."""
    for item in order.inputs:
        for grant in transaction.datasets.grants(tenant, item.owner):
            if (
                not grant.revoked
                and read_unverified(_kept(transaction, tenant, grant.statement), Grant)[0].attested
            ):
                return True
    return False


def newest_checkpoint(transaction: Transaction, run: Run) -> str:
    """Digest of the manifest of a run's last checkpoint, or empty."""
    newest = transaction.datasets.newest(run.tenant, f"{run.run}/checkpoint")
    return newest.manifest if newest is not None and not newest.erased else ""


def node_keys_of(transaction: Transaction, attempt: Attempt) -> list[str]:
    """Keys of an attempt's nodes in hex, by rank, which is the order of its placement."""
    keys = transaction.runs.node_keys([share.node for share in attempt.placement])
    return [keys.get(share.node, "") for share in attempt.placement]


def node_key(transaction: Transaction, attempt: Attempt, rank: int) -> str:
    """Key in hex of the node that an attempt was given for a rank.

    Raises:
        ConflictError: It has none, or none any more that is enrolled.
    """
    placed = attempt.placement[rank : rank + 1]
    keys = transaction.runs.node_keys([share.node for share in placed])
    if not keys:
        raise ConflictError(
            f"attempt {attempt.attempt} was given no enrolled node for rank {rank}",
            hint="Its launcher must end; nothing is taken from it.",
        )
    return keys[placed[0].node]


def fault_of(transaction: Transaction, tenant: str, attempt: str) -> Fault | None:
    """Why an attempt on several nodes cannot go on, if it cannot."""
    text = transaction.runs.note(tenant, attempt, Stage.FAULT, 0)
    return Fault(**json.loads(text)) if text is not None else None


def _items(transaction: Transaction, run: Run) -> tuple[str, ...]:
    order, _ = read_unverified(_kept(transaction, run.tenant, run.order), Order)
    checkpoint = newest_checkpoint(transaction, run)
    return (run.code, *inputs_of(transaction, run.tenant, order), *((checkpoint,) if checkpoint else ()))


def _kept(transaction: Transaction, tenant: str, digest: str) -> Envelope:
    envelope = transaction.statements.get(tenant, digest)
    if envelope is None:
        raise IntegrityError(f"the statement {digest[:16]} is missing")
    return envelope
