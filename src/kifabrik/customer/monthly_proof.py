"""Each footprint of a month, held against what the launchers signed.

Invariants:
- statements are fetched by the digests the log fixes, so the factory cannot show others than it has recorded;
- an end that names a lease counts only with the signature of that lease's run key.
"""

from collections.abc import Callable, Sequence

from kifabrik.errors import IntegrityError
from kifabrik.leases.statements import Lease
from kifabrik.ledger.entry import Entry
from kifabrik.meters.reading import Reading
from kifabrik.meters.recorded import recorded
from kifabrik.runs.statements import Finish, NodeEnded
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import VerifyKey
from kifabrik.signatures.statements import read_unverified, verify_statement


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
                    f"attempt {attempt}: the log says another footprint than its launchers signed",
                    hint="The factory writes the log. Keep it as evidence and ask the factory's operator.",
                )
            proven += 1
        told()
    return proven


def _signed(entry: Entry, fetch: Callable[[str], Envelope], keyholder: VerifyKey) -> list[Reading]:
    attempt = entry.refs.get("attempt")
    about = (entry.refs.get("run"), attempt)
    envelope = fetch(str(entry.refs.get("finish", "")))
    said, _ = read_unverified(envelope, Finish)
    if said.lease:
        lease = verify_statement(fetch(said.lease), Lease, [keyholder]).predicate
        if (lease.run, lease.receiver) != about:
            raise IntegrityError(f"attempt {attempt}: its end names the lease of another one")
        said = verify_statement(envelope, Finish, [VerifyKey.from_hex(lease.run_key)]).predicate
    if (said.run, said.attempt) != about:
        raise IntegrityError(f"attempt {attempt}: the log names the end of another one")
    return [said.reading, *(_there(fetch(one.ended), one.node_key) for one in said.others if one.ended)]


def _there(envelope: Envelope, node_key: str) -> Reading:
    return verify_statement(envelope, NodeEnded, [VerifyKey.from_hex(node_key)]).predicate.reading
