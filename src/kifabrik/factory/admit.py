"""Admission: from a signed order to runs that wait for their turn: one, or all tasks of a sweep.

Nothing is decided here about grants: the keyholder does that, when a launcher asks for keys.

Invariants:
- an order is admitted once, whole; handing it in again answers as the first time;
- everything an order names is there and unharmed when it is admitted: inputs, code, lock, and the orders it needs;
- what its runs together can cost at most fits into what is left of the tenant's budget, set aside in the same
  transaction;
- `run.ordered` and `run.admitted` are in the log with the runs, once for each order, or nothing of it exists.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from kifabrik.datasets.manifest import Stated, verify_manifest
from kifabrik.errors import CapacityError, ConflictError, IntegrityError, NotFoundError, UsageError
from kifabrik.factory.budget import month_of
from kifabrik.factory.capacity import Demand, Node
from kifabrik.factory.delivery import Delivery, deliver
from kifabrik.factory.followers import HELD, WAITS, awaits
from kifabrik.factory.log import Log
from kifabrik.factory.members import Members
from kifabrik.factory.plan import check_duration, enabled_nodes
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.pricing import Pricing, Quote
from kifabrik.factory.records import SealedDetail, Version
from kifabrik.factory.run_book import RunBook
from kifabrik.factory.run_records import Hold, Run
from kifabrik.factory.statements import Statements
from kifabrik.factory.sweep_records import Admitted
from kifabrik.factory.versions import Versions, kept_manifest
from kifabrik.ledger.entry import EntryKind, RefValue
from kifabrik.orders.order import Input, Order, check_deadline, order_subjects, verify_order
from kifabrik.orders.tasks import is_awaited, runs_of, shape_fault
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import VerifyKey
from kifabrik.signatures.statements import Statement, time_named
from kifabrik.values import Kind, Money, format_time, is_id, parse_time, sha256_hex

MOST_ATTEMPTS: Final = 20
MOST_INPUTS: Final = 50
MOST_OUTPUTS: Final = 50
_CLOCK_TOLERANCE: Final = timedelta(minutes=10)
_NONCE: Final = re.compile(r"[0-9a-f]{32}")
_PURPOSE: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")


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
    ) -> Admitted:
        """Admit an order, or return how it was admitted before.

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
            NotFoundError: An input is not registered, or erased; or an order it needs was never admitted.
            ConflictError: The run id is taken, objects are missing, or a run it needs has not ended well.
            CapacityError: No node could ever run it, or limit or budget of the tenant do not suffice.
        """
        with self._store.write(tenant) as transaction:
            device = self._members.device(transaction, tenant, member)
            statement = verify_order(order, device.key, tenant, member)
            known = transaction.runs.order(tenant, order.digest)
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
            if transaction.runs.order_of(tenant, said.run) is not None:
                raise ConflictError(f"there is a run {said.run} already", hint="Apply the job again.")
            waits = _check_needs(transaction, said)
            inputs = [
                found for item in said.inputs if (found := _find_input(transaction, tenant, item)) is not None
            ]
            manifest = _code_of(transaction, said, code, device.key)
            demand = Demand(said.resources, said.place, said.python, manifest.predicate.sealed_size)
            nodes = enabled_nodes(transaction.runs.nodes())
            delivery = deliver(demand, sum(version.size for version in inputs), nodes)
            priced = self._check_means(transaction, said, delivery, nodes)
            if not said.again:
                self._versions.enter(transaction, manifest)
                transaction.statements.add(tenant, code)
            transaction.runs.add_lock(tenant, said.lock, lock)
            admitted = _admitted(statement, self._book.now())
            one = _run_of(statement, delivery, priced, self._book.now())
            self._record(transaction, order, one, said, detail)
            needed = [need.run for need in said.needs]
            self._book.enter(transaction, admitted, needed, _runs_of(said, one, waits=waits))
            self._book.look_at_new(transaction)
        return admitted

    def _check_means(
        self, transaction: Transaction, order: Order, delivery: Delivery, nodes: Sequence[Node]
    ) -> Quote:
        if delivery.lacks:
            hint = "Ask for less, or for another place; see: kifabrik apply --dry-run"
            raise CapacityError(delivery.lacks, hint=hint)
        tasks, budget = len(runs_of(order)), Money(order.budget_micro_eur)
        priced = self._pricing.quote_each(delivery.demand, nodes, order.max_duration_s, budget, tasks)
        most = Money(priced.most.micro_eur * tasks)
        limits = transaction.runs.limits(order.tenant)
        unfinished = transaction.runs.count_unfinished(order.tenant) if limits.most_runs else 0
        if limits.most_runs and unfinished + tasks > limits.most_runs:
            more = f" and this sweep has {tasks} tasks" if order.tasks else ""
            raise CapacityError(
                f"{unfinished} runs have not ended{more}; your limit is {limits.most_runs}",
                hint="Wait, or stop some.",
            )
        if limits.month_micro_eur:
            month = month_of(self._log.clock())
            (used,) = [
                one.month_micro_eur for one in transaction.runs.usage([order.tenant]) if one.month == month
            ] or [0]
            left = Money(limits.month_micro_eur - used - transaction.runs.set_aside_of(order.tenant))
            if left < most:
                raise CapacityError(
                    f"the {'sweep' if order.tasks else 'run'} may cost up to {most}; "
                    f"{left} are left of this month's budget",
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
            "inputs": tuple(item.manifest for item in said.inputs if item.manifest),
        }
        tasks = len(runs_of(said)) if said.tasks else 0
        ordered |= {"tasks": tasks} if tasks else {}
        ordered |= {"needs": tuple(need.run for need in said.needs)} if said.needs else {}
        ordered |= {"again": said.again} if said.again else {}
        self._statements.put_on_record(
            transaction, run.tenant, order, EntryKind.RUN_ORDERED, ordered, detail=detail
        )
        admitted: dict[str, RefValue] = {
            "order": order.digest,
            "run": run.run,
            "cap_s": run.cap_s,
            "rate_micro_eur": run.rate_micro_eur,
            "most_micro_eur": run.most_micro_eur * (tasks or 1),
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
    fault = shape_fault(order)
    if fault:
        raise UsageError(f"the order makes no sense: {fault}")


def _check_needs(transaction: Transaction, order: Order) -> tuple[str, ...]:
    """Check what an order needs; return the run ids of the orders it has to wait for still."""
    waits = []
    for need in order.needs:
        known = transaction.runs.order_of(order.tenant, need.run)
        if known is None or known.order != need.order:
            raise NotFoundError(
                f"there is no run {need.run} of the order it names", hint="Order what it needs first."
            )
        unfinished, badly = transaction.runs.unfinished_of(order.tenant, need.run)
        if badly:
            raise ConflictError(
                f"{need.run}, which it needs, has not succeeded",
                hint=f"See: kifabrik why {need.run}. Order it again.",
            )
        waits += [need.run] if unfinished else []
    return tuple(waits)


def _find_input(transaction: Transaction, tenant: str, item: Input) -> Version | None:
    """Return the version an input is; None for what a run has still to put out."""
    if is_awaited(item):
        return _find_output(transaction, tenant, item)
    version = transaction.datasets.by_manifest(tenant, item.manifest)
    if version is None or (version.owner, version.version) != (item.owner, item.version):
        raise NotFoundError(f"there is no version {item.version} of {item.owner} with this manifest")
    if version.erased or transaction.datasets.erasure(tenant, item.owner) is not None:
        raise NotFoundError(f"{item.owner} is erased", hint="Apply the job without it.")
    return version


def _find_output(transaction: Transaction, tenant: str, item: Input) -> Version | None:
    name, _, number = item.owner.partition("/")
    run = transaction.runs.run(tenant, name)
    if run is None or not number.isdecimal() or not 1 <= int(number) <= run.outputs or item.version != 1:
        raise NotFoundError(
            f"no run puts out {item.owner}", hint="An output is RUN/NUMBER, as its job declares it."
        )
    return transaction.datasets.newest(tenant, item.owner)


def _code_of(transaction: Transaction, order: Order, code: Envelope, device: VerifyKey) -> Stated:
    """Return the verified manifest of an order's code: its own, or that of the earlier order it runs again."""
    owner = order.run
    if order.again:
        earlier = transaction.runs.runs_of_order(order.tenant, order.again, 1)
        kept = transaction.statements.get(order.tenant, order.code)
        if not earlier or kept is None or (earlier[0].member, earlier[0].code) != (order.member, order.code):
            raise NotFoundError("the member has ordered no such code before", hint="Apply the job file again.")
        manifest: Stated = kept_manifest(kept)
        owner = earlier[0].sweep or earlier[0].run
    else:
        manifest = verify_manifest(code, [device])
    said = manifest.predicate
    if (said.tenant, said.owner, said.version) != (order.tenant, f"{owner}/code", 1):
        raise IntegrityError("the code bundle's manifest belongs to something else than this order")
    if manifest.digest != order.code:
        raise IntegrityError("the code bundle is not the one the order names")
    return manifest


def _admitted(statement: Statement[Order], now: str) -> Admitted:
    order = statement.predicate
    return Admitted(
        tenant=order.tenant,
        order=statement.digest,
        run=order.run,
        nonce=order.nonce,
        tasks=len(runs_of(order)) if order.tasks else 0,
        max_parallel=order.max_parallel,
        budget_micro_eur=order.budget_micro_eur,
        created=now,
    )


def _runs_of(order: Order, one: Run, *, waits: Sequence[str]) -> Iterator[Run]:
    """Make the runs an order covers after the pattern of one; held back where they may not start yet."""
    if waits:
        one = replace(one, hold=Hold.NEEDS, reason=awaits(waits))
    if not order.tasks:
        yield one
        return
    held = replace(one, hold=Hold.TURN, reason=HELD.format(most=order.max_parallel))
    for place, name in enumerate(runs_of(order)):
        free = bool(waits) or not order.max_parallel or place < order.max_parallel
        yield replace(one if free else held, run=name, sweep=order.run)


def _run_of(statement: Statement[Order], delivery: Delivery, priced: Quote, now: str) -> Run:
    order = statement.predicate
    return Run(
        tenant=order.tenant,
        run=order.run,
        member=order.member,
        purpose=order.purpose,
        order=statement.digest,
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
        budget_micro_eur=priced.most.micro_eur
        if order.tasks and order.budget_micro_eur
        else order.budget_micro_eur,
        most_micro_eur=priced.most.micro_eur,
        created=now,
        deadline=order.deadline,
        reason=f"{WAITS} {delivery.sentence}".strip(),
        slurm=order.slurm,
        flexible_until=format_time(time_named(order.flexible_until)) if order.flexible_until else "",
    )
