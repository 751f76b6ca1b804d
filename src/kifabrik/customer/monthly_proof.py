"""Each footprint of a month, held against what the launchers signed, in a log the keyholder has cosigned.

Invariants:
- statements are fetched by the digests the log fixes, so the factory cannot show others than it has recorded;
- an end counts with the signature of its lease's run key; one without a lease has used nothing, whoever signed it;
- what another node used counts with its signature, for this attempt and in its own place;
- all attempts of an order, whenever they ended, cost no more than the budget its member has signed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from kifabrik.customer.catalogue import Catalogue
from kifabrik.customer.results import await_cosigned
from kifabrik.customer.session import Session
from kifabrik.errors import IntegrityError
from kifabrik.leases.statements import Lease
from kifabrik.ledger.entry import Entry
from kifabrik.ledger.merkle import leaf_hash, root_of
from kifabrik.ledger.mirror import Mirror
from kifabrik.ledger.policy import AcceptedHead
from kifabrik.meters.reading import Reading
from kifabrik.meters.recorded import FOOTPRINT, recorded
from kifabrik.orders.order import Order, verify_order
from kifabrik.orders.tasks import order_run
from kifabrik.runs.statements import Finish, NodeEnded, OtherNode
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import VerifyKey
from kifabrik.signatures.statements import key_named, read_unverified, verify_statement
from kifabrik.values import Money

_HINT = "The factory writes the log. Keep it as evidence and ask the factory's operator."


def require_cosigned(session: Session, ended: Sequence[Entry]) -> None:
    """Check that the keyholder has cosigned a tree with these ends in it, as this machine was shown them.

    Args:
        session: Connected.
        ended: `run.finished` entries of its mirror.

    Raises:
        IntegrityError: It has cosigned another log.
        UnavailableError: It has not cosigned the newest of them yet.
    """
    mirror = session.mirror()
    indexes = [mirror.index_of(entry.leaf) or 0 for entry in ended if FOOTPRINT in entry.refs]
    if indexes:
        hint = "Try again once the keyholder is on: kifabrik keyholder run"
        text = await_cosigned(session.log.cosigned, session.accept, max(indexes), hint=hint)
        # The copy is brought up to date after the head came, so that it is never the shorter one.
        prove_cosigned(ended, session.mirror(), session.accept(text))


def prove_cosigned(ended: Sequence[Entry], mirror: Mirror, accepted: AcceptedHead) -> None:
    """Check that the keyholder has cosigned a tree that holds these entries, as far as they state a footprint.

    Args:
        ended: Entries of the mirror.
        mirror: This machine's copy of the log.
        accepted: The newest cosigned head.

    Raises:
        IntegrityError: The head is of another log than the copy, or older than one of the entries.
    """
    size = accepted.head.size
    leaves = [leaf_hash(data) for data in mirror.entries(0, min(size, mirror.size))]
    if len(leaves) < size or root_of(leaves) != accepted.head.root:
        raise IntegrityError("the keyholder has cosigned another log than this machine was shown", hint=_HINT)
    missing = {entry.leaf for entry in ended if FOOTPRINT in entry.refs} - set(leaves)
    if missing:
        raise IntegrityError(f"the keyholder has cosigned a log without {len(missing)} of these ends", hint=_HINT)


def prove_footprints(
    ended: Sequence[Entry], fetch: Callable[[str], Envelope], keyholder: VerifyKey, told: Callable[[], None]
) -> int:
    """Check that the footprints of these entries are those of the readings that were signed; return how many.

    Args:
        ended: `run.finished` entries of a verified log.
        fetch: Gives a statement by its digest.
        keyholder: Signs leases.
        told: Called after each entry.

    Raises:
        IntegrityError: One is not; the message names its attempt.
    """
    proven = 0
    for entry in ended:
        used = recorded(entry.refs)
        if used is not None:
            if not used.is_of(_signed(entry, fetch, keyholder)):
                attempt = entry.refs.get("attempt")
                raise IntegrityError(
                    f"attempt {attempt}: the log says another footprint than its launchers signed", hint=_HINT
                )
            proven += 1
        told()
    return proven


def check_budgets(ended: Iterable[Entry], within: Sequence[Entry], order_of: Callable[[str], Order]) -> int:
    """Check that no order has cost more than its signed budget; return how many have one.

    Prices are the factory's word, but not how much a run may cost in all: that is in the order.

    Args:
        ended: `run.finished` entries of the whole log.
        within: Those whose orders are to be looked at.
        order_of: Gives the verified order of the run id of an order.

    Raises:
        IntegrityError: One has; the message names it.
    """
    spent = dict.fromkeys((order_run(str(entry.refs.get("run"))) for entry in within), 0)
    for entry in ended:
        run, used = order_run(str(entry.refs.get("run"))), recorded(entry.refs)
        if run in spent and used is not None:
            spent[run] += used.cost_micro_eur
    bounded = 0
    for run, micro_eur in spent.items():
        budget = order_of(run).budget_micro_eur if micro_eur else 0
        if 0 < budget < micro_eur:
            raise IntegrityError(
                f"{run} has cost {Money(micro_eur)}, and its order allows {Money(budget)} at most", hint=_HINT
            )
        bounded += budget > 0
    return bounded


def signed_order(session: Session, catalogue: Catalogue, orders: Mapping[str, str], run: str) -> Order:
    """Return the order of a run as a device of the member it names has signed it.

    Args:
        session: Connected.
        catalogue: With the tenant's devices.
        orders: Digest of each order by its run id, from `Catalogue.orders`.
        run: Run id of the order.

    Raises:
        IntegrityError: There is none, or it is signed by nobody of the tenant, or is another run's.
    """
    envelope = session.datasets.statement(orders.get(run, ""))
    member = read_unverified(envelope, Order)[0].member
    key = catalogue.devices.signer(envelope, member).key
    said = verify_order(envelope, key, session.tenant, member).predicate
    if said.run != run:
        raise IntegrityError(f"the log names the order of {said.run} as that of {run}", hint=_HINT)
    return said


def _signed(entry: Entry, fetch: Callable[[str], Envelope], keyholder: VerifyKey) -> list[Reading]:
    attempt = entry.refs.get("attempt")
    about = (entry.refs.get("run"), attempt)
    envelope = fetch(str(entry.refs.get("finish", "")))
    said, _ = read_unverified(envelope, Finish)
    if (said.run, said.attempt) != about:
        raise IntegrityError(f"attempt {attempt}: the log names the end of another one")
    if not said.lease:
        return []  # nothing was opened, so nothing ran
    lease = verify_statement(fetch(said.lease), Lease, [keyholder]).predicate
    if (lease.run, lease.receiver) != about:
        raise IntegrityError(f"attempt {attempt}: its end names the lease of another one")
    said = verify_statement(envelope, Finish, [key_named(lease.run_key)]).predicate
    if tuple(one.node_key for one in said.others) != lease.node_keys[1:]:
        raise IntegrityError(f"attempt {attempt}: its end names other nodes than its lease")
    there = [_there(fetch(other.ended), said, other) for other in said.others if other.ended]
    return [said.reading, *there]


def _there(envelope: Envelope, finish: Finish, other: OtherNode) -> Reading:
    said = verify_statement(envelope, NodeEnded, [key_named(other.node_key)]).predicate
    if (said.tenant, said.run, said.attempt, said.rank) != (
        finish.tenant,
        finish.run,
        finish.attempt,
        other.rank,
    ):
        raise IntegrityError(f"attempt {finish.attempt}: what node {other.rank} used is of another attempt or node")
    return said.reading
