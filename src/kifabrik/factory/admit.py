"""Admission: from a signed order to a run that waits for its turn.

Nothing is decided here about grants: the keyholder does that, when a launcher asks for keys.

Invariants:
- an order is admitted once; handing it in again answers with its run;
- everything an order names is there and unharmed when it is admitted: inputs, code, lock;
- what a run can cost at most fits into what is left of the tenant's budget, set aside in the same transaction;
- `run.ordered` and `run.admitted` are in the log with the run, or none of the three exists.
"""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from kifabrik.datasets.manifest import Manifest, verify_manifest
from kifabrik.errors import CapacityError, ConflictError, IntegrityError, NotFoundError, UsageError
from kifabrik.factory.budget import month_of
from kifabrik.factory.capacity import Demand, Node
from kifabrik.factory.delivery import Delivery, deliver
from kifabrik.factory.log import Log
from kifabrik.factory.members import Members
from kifabrik.factory.plan import check_duration, enabled_nodes
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.pricing import Pricing, Quote
from kifabrik.factory.queue import MOST_OF_A_TENANT
from kifabrik.factory.records import SealedDetail, Version
from kifabrik.factory.run_book import RunBook
from kifabrik.factory.run_records import Run
from kifabrik.factory.statements import Statements
from kifabrik.factory.versions import Versions
from kifabrik.ledger.entry import EntryKind, RefValue
from kifabrik.orders.order import Input, Order, check_deadline, order_subjects, verify_order
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.statements import Statement
from kifabrik.values import Kind, Money, format_time, is_id, parse_time, sha256_hex

MOST_ATTEMPTS: Final = 20
MOST_INPUTS: Final = 50
MOST_OUTPUTS: Final = 50
_CLOCK_TOLERANCE: Final = timedelta(minutes=10)
_NONCE: Final = re.compile(r"[0-9a-f]{32}")
_PURPOSE: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_WAITS: Final = "Ordered and admitted; waits for its turn."


class Admission:
    """Admits orders.

    Args:
        store: Opens transactions.
        log: Where admissions are recorded.
        statements: Keeps orders.
        members: Knows the device that must have signed.
        versions: Checks the code bundle's objects.
        book: Enters the run.
        pricing: The price list.
    """

    def __init__(
        self,
        store: Store,
        log: Log,
        statements: Statements,
        members: Members,
        versions: Versions,
        book: RunBook,
        pricing: Pricing,
    ) -> None:
        self._store = store
        self._log = log
        self._statements = statements
        self._members = members
        self._versions = versions
        self._book = book
        self._pricing = pricing

    def admit(
        self,
        tenant: str,
        member: str,
        order: Envelope,
        code: Envelope,
        lock: str,
        detail: SealedDetail | None,
    ) -> Run:
        """Admit an order, or return the run it was admitted as.

        Args:
            tenant: Of the caller.
            member: The caller, whose device must have signed.
            order: The signed order.
            code: Manifest of the code bundle, signed by the same device.
            lock: Text of the environment's lock.
            detail: Sealed names for the log entry.

        Raises:
            IntegrityError: A signature or a digest does not fit.
            RefusedError: The deadline has passed.
            UsageError: The order asks for something that makes no sense.
            NotFoundError: An input is not registered, or erased.
            ConflictError: The run id is taken, or objects are missing.
            CapacityError: No node could ever run it, or limit or budget of the tenant do not suffice.
        """
        with self._store.write(tenant) as transaction:
            device = self._members.device(transaction, tenant, member)
            statement = verify_order(order, device.key, tenant, member)
            known = transaction.runs.run_by_order(tenant, order.digest)
            if known is not None:
                return known
            said = statement.predicate
            _check_form(statement)
            check_deadline(said, self._log.clock())
            if parse_time(said.created) > self._log.clock() + _CLOCK_TOLERANCE:
                raise IntegrityError(
                    f"the order was made at {said.created}; "
                    f"the factory's clock says {format_time(self._log.clock())}",
                    hint="One of the two is wrong: kifabrik doctor compares them. Mend it, then apply again.",
                )
            if sha256_hex(lock.encode()) != said.lock:
                raise IntegrityError("the lock is not the one the order names")
            if transaction.runs.run(tenant, said.run) is not None:
                raise ConflictError(f"there is a run {said.run} already", hint="Apply the job again.")
            inputs = [_find_input(transaction, tenant, item) for item in said.inputs]
            manifest = verify_manifest(code, [device.key])
            _check_code(said, manifest)
            demand = Demand(said.resources, said.place, said.python, manifest.predicate.sealed_size)
            nodes = enabled_nodes(transaction.runs.nodes())
            delivery = deliver(demand, sum(version.size for version in inputs), nodes)
            priced = self._check_means(transaction, said, delivery, nodes)
            self._versions.enter(transaction, manifest)
            transaction.statements.add(tenant, code)
            transaction.runs.add_lock(tenant, said.lock, lock)
            run = _run_of(statement, delivery, priced, self._book.now())
            self._record(transaction, order, run, said, detail)
            self._book.enter(transaction, run)
            # A pass looks at a tenant's next runs only: one far behind them changes nothing.
            if transaction.runs.count_waiting_before(run) < MOST_OF_A_TENANT:
                self._book.look(transaction)
        return run

    def _check_means(
        self, transaction: Transaction, order: Order, delivery: Delivery, nodes: Sequence[Node]
    ) -> Quote:
        if delivery.lacks:
            hint = "Ask for less, or for another place; see: kifabrik apply --dry-run"
            raise CapacityError(delivery.lacks, hint=hint)
        priced = self._pricing.quote(delivery.demand, nodes, order.max_duration_s, Money(order.budget_micro_eur))
        limits = transaction.runs.limits(order.tenant)
        unfinished, aside = transaction.runs.count_unfinished(order.tenant)
        if limits.most_runs and unfinished >= limits.most_runs:
            raise CapacityError(
                f"{unfinished} runs have not ended; your limit is {limits.most_runs}",
                hint="Wait, or stop some.",
            )
        if limits.month_micro_eur:
            month = month_of(self._log.clock())
            (used,) = [
                one.month_micro_eur for one in transaction.runs.usage([order.tenant]) if one.month == month
            ] or [0]
            left = Money(limits.month_micro_eur - used - aside)
            if left < priced.most:
                raise CapacityError(
                    f"the run may cost up to {priced.most}; {left} are left of this month's budget",
                    hint="Give the job a shorter max_duration or a smaller budget.",
                )
        return priced

    def _record(
        self, transaction: Transaction, order: Envelope, run: Run, said: Order, detail: SealedDetail | None
    ) -> None:
        ordered: dict[str, RefValue] = {
            "order": order.digest,
            "run": run.run,
            "member": run.member,
            "purpose": run.purpose,
            "code": run.code,
            "lock": run.lock,
            "inputs": tuple(item.manifest for item in said.inputs),
        }
        self._statements.put_on_record(
            transaction, run.tenant, order, EntryKind.RUN_ORDERED, ordered, detail=detail
        )
        admitted: dict[str, RefValue] = {
            "order": order.digest,
            "run": run.run,
            "cap_s": run.cap_s,
            "rate_micro_eur": run.rate_micro_eur,
            "most_micro_eur": run.most_micro_eur,
        }
        self._log.append(transaction, run.tenant, EntryKind.RUN_ADMITTED, admitted)


def _check_form(statement: Statement[Order]) -> None:
    order = statement.predicate
    check_duration(order.max_duration_s)
    if dict(statement.subjects) != order_subjects(order):
        raise IntegrityError("the order's statement is about something else than its predicate")
    for fault, wrong in (
        ("its run id is malformed", not is_id(order.run, Kind.RUN)),
        ("its nonce is not 32 hex digits", _NONCE.fullmatch(order.nonce) is None),
        ("its purpose is not an id", _PURPOSE.fullmatch(order.purpose) is None),
        (f"attempts must be 1 to {MOST_ATTEMPTS}", not 1 <= order.attempts <= MOST_ATTEMPTS),
        (f"it has more than {MOST_INPUTS} inputs", len(order.inputs) > MOST_INPUTS),
        (f"it declares more than {MOST_OUTPUTS} outputs", not 0 <= order.outputs <= MOST_OUTPUTS),
        ("its budget is negative", order.budget_micro_eur < 0),
    ):
        if wrong:
            raise UsageError(f"the order makes no sense: {fault}")


def _find_input(transaction: Transaction, tenant: str, item: Input) -> Version:
    version = transaction.datasets.by_manifest(tenant, item.manifest)
    if version is None or (version.owner, version.version) != (item.owner, item.version):
        raise NotFoundError(f"there is no version {item.version} of {item.owner} with this manifest")
    if version.erased or transaction.datasets.erasure(tenant, item.owner) is not None:
        raise NotFoundError(f"{item.owner} is erased", hint="Apply the job without it.")
    return version


def _check_code(order: Order, manifest: Statement[Manifest]) -> None:
    said = manifest.predicate
    if (said.tenant, said.owner, said.version) != (order.tenant, f"{order.run}/code", 1):
        raise IntegrityError("the code bundle's manifest belongs to something else than this order")
    if manifest.digest != order.code:
        raise IntegrityError("the code bundle is not the one the order names")


def _run_of(statement: Statement[Order], delivery: Delivery, priced: Quote, now: str) -> Run:
    order = statement.predicate
    return Run(
        tenant=order.tenant,
        run=order.run,
        member=order.member,
        purpose=order.purpose,
        order=statement.digest,
        nonce=order.nonce,
        code=order.code,
        lock=order.lock,
        resources=order.resources,
        place=order.place,
        python=order.python,
        staged_bytes=delivery.demand.staged_bytes,
        streamed_bytes=delivery.demand.streamed_bytes,
        priority=max(-100, min(order.priority, 100)),
        outputs=order.outputs,
        attempts=order.attempts,
        retry_on=tuple(str(cause) for cause in order.retry_on),
        max_duration_s=order.max_duration_s,
        cap_s=priced.cap_s,
        rate_micro_eur=priced.rate.micro_eur,
        budget_micro_eur=order.budget_micro_eur,
        most_micro_eur=priced.most.micro_eur,
        created=now,
        deadline=order.deadline,
        reason=f"{_WAITS} {delivery.sentence}".strip(),
    )
