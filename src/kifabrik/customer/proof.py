"""The chain of a result: order -> lease -> run key -> output, each link in the verified log.

Everything is checked here, offline apart from fetching the statements by digest: what the factory says
about itself counts for nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kifabrik.customer.attested import ProvenNode, prove_nodes
from kifabrik.customer.catalogue import Catalogue
from kifabrik.customer.named import ModelVersion
from kifabrik.customer.session import Session
from kifabrik.datasets.manifest import Manifest, verify_manifest
from kifabrik.errors import IntegrityError, NotFoundError
from kifabrik.leases.statements import AttemptRequest, Lease
from kifabrik.leases.verify import verify_attempt_request
from kifabrik.ledger.entry import Entry, EntryKind
from kifabrik.ledger.merkle import root_of
from kifabrik.orders.order import Order, verify_order
from kifabrik.orders.tasks import covers, is_awaited, order_run
from kifabrik.runs.statements import Finish, LogStream
from kifabrik.runs.states import Outcome
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import VerifyKey
from kifabrik.signatures.statements import Statement, read_unverified, verify_statement


@dataclass(frozen=True)
class Link:
    """One checked link of a chain.

    Args:
        what: Such as `order`.
        digest: Of the statement.
        signer: Id of the key that signed it, or empty.
        log_index: Of the entry that names it, or -1 where none does.
        says: One sentence for people.
    """

    what: str
    digest: str
    signer: str
    log_index: int
    says: str


@dataclass(frozen=True)
class ProvenRun:
    """A run whose whole chain has been verified."""

    order: Statement[Order]
    request: Statement[AttemptRequest]
    lease: Statement[Lease]
    finish: Statement[Finish]
    outputs: tuple[Statement[Manifest], ...]
    links: tuple[Link, ...]


def prove_run(session: Session, catalogue: Catalogue, run: str) -> ProvenRun:
    """Verify the chain of a finished run.

    Args:
        session: Connected; statements are fetched by digest.
        catalogue: Over this member's own mirror of the log, whose root was recomputed from its entries.
        run: Run id.

    Raises:
        NotFoundError: The run has not finished.
        IntegrityError: A link is missing or does not fit; the message names it.
    """
    log = _LogView(catalogue, run)
    fetch = session.datasets.statement
    ordered = log.ordered()
    order = _order(session, catalogue, fetch(ordered.digest("order")))
    finished = log.end()
    finish_envelope = fetch(finished.digest("finish"))
    said, _ = read_unverified(finish_envelope, Finish)
    released = log.find(EntryKind.LEASE_RELEASED, "statement", said.lease)
    lease = verify_statement(fetch(said.lease), Lease, [session.keyholder_key])
    request = verify_attempt_request(fetch(lease.predicate.request))
    requested = log.find(EntryKind.LEASE_REQUESTED, "request", request.digest)
    _check(requested.index == lease.predicate.log_index, "the lease names another log entry than its request's")
    if len(request.predicate.nodes) > 1:
        named = requested.entry.refs.get("nodes")
        _check(named == request.predicate.node_names, "the log names other nodes than the request")
    _check(ordered.index < requested.index < released.index, "order, request and lease do not follow each other")
    _check_bindings(run, order, request.predicate, lease.predicate)
    _check_awaited(session, catalogue, order.predicate, request.predicate)
    _check_tree(catalogue, lease.predicate)
    nodes = prove_nodes(
        session, catalogue, request, lease.predicate, ordered=ordered.index, requested=requested.index
    )
    run_key = VerifyKey.from_hex(lease.predicate.run_key)
    finish = verify_statement(finish_envelope, Finish, [run_key])
    _check_finish(finish.predicate, order, lease)
    outputs = tuple(verify_manifest(fetch(digest), [run_key]) for digest in finish.predicate.outputs)
    for number, output in enumerate(outputs, 1):
        _check(output.predicate.owner == f"{run}/{number}", f"output {number} belongs to another run")
        _check(
            output.predicate.recipient == lease.predicate.output_recipient,
            f"output {number} is sealed to another recipient than the lease names",
        )
    links = (
        _link("order", order, ordered.index, "signed by a member's device"),
        _link("request", request, requested.index, "logged before any key"),
        _link("lease", lease, released.index, "signed by the keyholder"),
        *(_node_link(number, node) for number, node in enumerate(nodes, 1)),
        _link("finish", finish, finished.index, "signed by the lease's run key"),
        *(
            _link(f"output {number}", output, finished.index, "signed by that run key")
            for number, output in enumerate(outputs, 1)
        ),
    )
    return ProvenRun(order, request, lease, finish, outputs, links)


def prove_output(session: Session, catalogue: Catalogue, model: ModelVersion) -> Statement[Manifest]:
    """Verify that the log names an output of a run whose chain holds, before it is used as an input.

    Raises:
        IntegrityError: The chain is broken, or leads to another output than the log names.
    """
    proven = prove_run(session, catalogue, model.run.run)
    named = [output for output in proven.outputs if output.digest == model.manifest]
    _check(len(named) == 1 and named[0].predicate.owner == model.owner, "the log names another output")
    return named[0]


def verify_stream(session: Session, stream: Envelope) -> tuple[Statement[LogStream], VerifyKey]:
    """Verify that a log was opened by the run key of a lease; return it with that key.

    Raises:
        IntegrityError: It was not.
    """
    said, _ = read_unverified(stream, LogStream)
    lease = verify_statement(session.datasets.statement(said.lease), Lease, [session.keyholder_key]).predicate
    run_key = VerifyKey.from_hex(lease.run_key)
    _check((lease.run, lease.receiver) == (said.run, said.attempt), "the log belongs to another attempt")
    return verify_statement(stream, LogStream, [run_key]), run_key


def _link(what: str, statement: Statement[Any], index: int, says: str) -> Link:
    return Link(what, statement.digest, statement.signer.keyid, index, says)


def _node_link(number: int, node: ProvenNode) -> Link:
    shown = ", ".join(node.types)
    says = f"{shown}: booted into {node.state}, quoted over the tree head of {node.quoted}"
    return Link(f"node {number}", node.policy, node.key[4:], node.policy_index, says)


def _order(session: Session, catalogue: Catalogue, envelope: Envelope) -> Statement[Order]:
    said, _ = read_unverified(envelope, Order)
    device = catalogue.devices.signer(envelope, said.member)
    return verify_order(envelope, device.key, session.tenant, said.member)


def _check_bindings(run: str, order: Statement[Order], request: AttemptRequest, lease: Lease) -> None:
    asked = (run, order.digest)
    _check(covers(order.predicate, run), "the order is for another run")
    _check((request.run, request.order) == asked, "the request is for another order")
    _check((lease.run, lease.order) == asked, "the lease is for another order")
    bound = (lease.receiver, lease.run_key, lease.recipient, lease.node_keys)
    wanted = (request.attempt, request.run_key, request.recipient, request.node_keys)
    _check(bound == wanted, "the lease was given to somebody else than who asked")
    named = {order.predicate.code, *(item.manifest for item in order.predicate.inputs if not is_awaited(item))}
    _check(named <= set(request.items), "the attempt did not use everything that was ordered")


def _check_awaited(session: Session, catalogue: Catalogue, order: Order, request: AttemptRequest) -> None:
    """Check that inputs that did not exist yet are what the needed orders' runs put out, each chain verified."""
    needed = {need.run: need.order for need in order.needs}
    for position, item in enumerate(order.inputs, 1):
        if not is_awaited(item):
            continue
        run, _, number = item.owner.partition("/")
        behind = prove_run(session, catalogue, run)
        _check(
            behind.order.digest == needed.get(order_run(run)), "an input comes from another order than was needed"
        )
        made = [output.digest for output in behind.outputs if output.predicate.owner == f"{run}/{number}"]
        _check([*request.items[position : position + 1]] == made, "the attempt used another input than was needed")


def _check_tree(catalogue: Catalogue, lease: Lease) -> None:
    """Check that the keyholder decided upon the same log as this machine holds.

    The factory could show each of them a log of its own, and nobody else compares the two.
    """
    leaves = [entry.leaf for entry in catalogue.entries[: lease.log_size]]
    whole = lease.log_index < lease.log_size == len(leaves)
    _check(
        whole and root_of(leaves).hex() == lease.log_root,
        "the keyholder saw another log than this machine; keep both as evidence",
    )


def _check_finish(finish: Finish, order: Statement[Order], lease: Statement[Lease]) -> None:
    said = lease.predicate
    ended = (finish.tenant, finish.run, finish.attempt, finish.lease)
    _check(ended == (said.tenant, said.run, said.receiver, lease.digest), "another run or attempt finished")
    _check(finish.order == order.digest, "the run finished another order")
    _check(finish.environment == said.environment, "another environment was used")
    declared = order.predicate.outputs if finish.outcome is Outcome.SUCCEEDED else 0
    _check(len(finish.outputs) == declared, "other outputs came out than were ordered")


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise IntegrityError(f"the chain of this result is broken: {otherwise}")


@dataclass(frozen=True)
class _Found:
    index: int
    entry: Entry

    def digest(self, key: str) -> str:
        return str(self.entry.refs.get(key, ""))


class _LogView:
    """Entries about one run, and of any kind."""

    def __init__(self, catalogue: Catalogue, run: str) -> None:
        self._entries = [_Found(index, entry) for index, entry in enumerate(catalogue.entries)]
        self._run = run

    def all(self, kind: EntryKind) -> Sequence[_Found]:
        return [found for found in self._entries if found.entry.kind == kind]

    def ordered(self) -> _Found:
        """The first order of the run; of a sweep's task, that of the sweep."""
        return self._about(EntryKind.RUN_ORDERED, order_run(self._run))[0]

    def end(self) -> _Found:
        """How the run ended: the first entry with outputs, as nothing later can change it, or else the last."""
        found = self._own(EntryKind.RUN_FINISHED)
        return next((one for one in found if one.entry.refs.get("outputs")), found[-1])

    def _own(self, kind: EntryKind) -> Sequence[_Found]:
        return self._about(kind, self._run)

    def _about(self, kind: EntryKind, run: str) -> Sequence[_Found]:
        found = [one for one in self.all(kind) if one.entry.refs.get("run") == run]
        if not found:
            raise NotFoundError(f"the log has no {kind.value} entry for {run}", hint="Has the run ended?")
        return found

    def find(self, kind: EntryKind, key: str, value: str) -> _Found:
        matches: Callable[[_Found], bool] = lambda one: one.entry.refs.get(key) == value  # noqa: E731
        found = next(filter(matches, self.all(kind)), None)
        if found is None:
            raise IntegrityError(f"the chain of this result is broken: the log has no {kind.value} for it")
        return found
