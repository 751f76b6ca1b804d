"""The order and its verification."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from kifabrik.errors import IntegrityError, RefusedError
from kifabrik.orders.slurm_options import SlurmOptions
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey, VerifyKey
from kifabrik.signatures.statements import Statement, predicate, sign_statement, time_named, verify_statement
from kifabrik.values import Place, Resources, format_time


class RetryCause(StrEnum):
    """What may be tried again without asking."""

    PREEMPTION = "preemption"
    NODE_FAILURE = "node-failure"
    ERROR = "error"


@dataclass(frozen=True)
class Input:
    """One sealed input of a run.

    Args:
        owner: Dataset id (`d-…`) or a run's output (`r-…/1`).
        version: Version of the dataset; 1 for outputs.
        manifest: SHA-256 digest of the manifest statement; empty for an output that does not exist yet, of a
            run the order needs.
    """

    owner: str
    version: int
    manifest: str


@dataclass(frozen=True)
class Need:
    """An earlier order whose runs must all succeed before.

    Args:
        run: Its run id; that of the sweep, if it is one.
        order: Digest of the order statement: no other order can take its place.
    """

    run: str
    order: str


@predicate("order/v1")
@dataclass(frozen=True)
class Order:
    """A member's request for a run, or for all runs of a sweep; everything the factory may know of it.

    Names, code, command line, mount points and a sweep's parameters are in the sealed code bundle, not here.

    Args:
        run: Run id, chosen by the member's machine.
        tenant: Tenant id.
        member: Member id.
        purpose: Purpose id, for which a grant must exist for every dataset among the inputs.
        inputs: Datasets and models.
        code: Digest of the code bundle's manifest statement (owner `r-…/code`).
        lock: Digest of the environment's lock.
        python: Python version, such as `3.11`.
        resources: Per node.
        place: Where it may run.
        outputs: Number of declared outputs.
        publish: Metrics the factory may see.
        checkpoint: Whether the job keeps checkpoints.
        attempts: Most attempts.
        retry_on: What another attempt may follow.
        max_duration_s: Longest time of one attempt, in seconds.
        budget_micro_eur: Most the run may cost; 0 for no limit of its own.
        priority: Among the tenant's own runs; higher is sooner.
        ask: Whether a person at the keyholder must decide.
        created: Time.
        deadline: Time after which no key may be released for it.
        nonce: 32 hex digits.
        keyholder: Sequence of the newest keyholder statement the member's machine has verified: whoever
            works on the order believes no older one.
        slurm: What it asks of a Slurm cluster beyond its resources; one machine sets it aside.
        tasks: Number of tasks of a sweep, each a run of its own (`orders.tasks`); 0 for one run.
        only: Numbers of the tasks that are ordered, ascending; empty for all of them.
        max_parallel: Most tasks at once; 0 for no limit.
        again: Digest of an earlier order of the same member whose code this one runs again; empty normally.
        needs: Earlier orders whose runs must succeed first.
        flexible_until: Time by which its runs are to have ended: until then they may wait for an hour in which heat
            is wanted or the river is cool; empty if they are not to wait.
    """

    run: str
    tenant: str
    member: str
    purpose: str
    inputs: tuple[Input, ...]
    code: str
    lock: str
    python: str
    resources: Resources
    place: Place
    outputs: int
    publish: tuple[str, ...]
    checkpoint: bool
    attempts: int
    retry_on: tuple[RetryCause, ...]
    max_duration_s: int
    budget_micro_eur: int
    priority: int
    ask: bool
    created: str
    deadline: str
    nonce: str
    keyholder: int
    slurm: SlurmOptions = field(default_factory=SlurmOptions)
    tasks: int = 0
    only: tuple[int, ...] = ()
    max_parallel: int = 0
    again: str = ""
    needs: tuple[Need, ...] = ()
    flexible_until: str = ""


def order_subjects(order: Order) -> dict[str, str]:
    """What an order's statement is about: inputs, code, lock, and the orders it needs or repeats, by digest."""
    subjects = {f"{item.owner}@{item.version}": item.manifest for item in order.inputs if item.manifest}
    subjects |= {need.run: need.order for need in order.needs}
    again = {"again": order.again} if order.again else {}
    return subjects | again | {"code": order.code, "lock": order.lock}


def sign_order(order: Order, device: SigningKey) -> Envelope:
    """Sign an order with the member's device key."""
    return sign_statement(order, order_subjects(order), device)


def verify_order(envelope: Envelope, device: VerifyKey, tenant: str, member: str) -> Statement[Order]:
    """Verify that this device's member of this tenant has signed the order.

    Raises:
        IntegrityError: Signed by another key, or in the name of another tenant or member.
    """
    statement = verify_statement(envelope, Order, [device])
    if (statement.predicate.tenant, statement.predicate.member) != (tenant, member):
        raise IntegrityError("the order is made out in the name of somebody else")
    return statement


def check_deadline(order: Order, now: datetime) -> None:
    """Check that an order may still be worked on.

    Raises:
        RefusedError: Its deadline has passed.
        IntegrityError: Its deadline is not a time.
    """
    if now > time_named(order.deadline):
        raise RefusedError(
            f"the order's deadline, {order.deadline}, has passed: it is {format_time(now)}",
            hint="Apply the job again. If it was just made, a clock is wrong: kifabrik doctor compares them.",
        )
