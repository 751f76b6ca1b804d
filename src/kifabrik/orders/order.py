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
        manifest: SHA-256 digest of the manifest statement.
    """

    owner: str
    version: int
    manifest: str


@predicate("order/v1")
@dataclass(frozen=True)
class Order:
    """A member's request for a run; everything the factory may know of it.

    Names, code, command line and mount points are in the sealed code bundle, not here.

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


def order_subjects(order: Order) -> dict[str, str]:
    """What an order's statement is about: its inputs, its code and its lock, by digest."""
    subjects = {f"{item.owner}@{item.version}": item.manifest for item in order.inputs}
    return subjects | {"code": order.code, "lock": order.lock}


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
