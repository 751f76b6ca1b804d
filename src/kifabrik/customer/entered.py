"""After an order was taken: whether the log shows it, and what stood in the log before that was not shown here.

A factory may show one member an old copy of the log, so that `press-line-7` or `model:press` means an old version.
Its log only grows, and the keyholder has seen all of it: the order itself can stand behind the newer version only.
So whoever looks once more sees both, or sees neither and misses the order.

Invariants:
- an order that the log does not show is an error, whatever the factory has answered;
- a newest version that is not the newest where the order stands is told by name.
"""

from collections.abc import Iterator

from kifabrik.customer.apply import PreparedRun
from kifabrik.customer.session import Session
from kifabrik.errors import IntegrityError
from kifabrik.jobs.references import InputReference
from kifabrik.ledger.entry import Entry, EntryKind
from kifabrik.orders.tasks import order_run
from kifabrik.wire.runs import RunView

_MADE = (EntryKind.RUN_FINISHED, EntryKind.MODEL_PROMOTED)


def newer_than_ordered(session: Session, prepared: PreparedRun, view: RunView) -> tuple[str, ...]:
    """Return a sentence for each input whose newest version was asked for, and was not what the order names.

    Args:
        session: Connected.
        prepared: What the order was made from.
        view: What the factory answered.

    Raises:
        IntegrityError: The log does not show the order.
    """
    before = list(_before(session, prepared, view))
    return tuple(
        f"{prepared.names[path]} is not the newest any more: the log showed a newer one only after you had signed"
        for path, reference in prepared.job.inputs().items()
        if not reference.version and not reference.output and _is_newer(session, prepared, path, reference, before)
    )


def _before(session: Session, prepared: PreparedRun, view: RunView) -> Iterator[Entry]:
    """Yield the entries between what was seen when the order was prepared, and the order."""
    mirror = session.mirror()
    for data in mirror.entries(min(prepared.seen, mirror.size), mirror.size):
        entry = Entry.from_bytes(data)
        if entry.kind is EntryKind.RUN_ORDERED and entry.refs.get("order") == view.order:
            return
        yield entry
    raise IntegrityError(
        f"the factory has taken the order of {view.run}, and the log it shows does not hold it",
        hint=f"It may show this machine an old log. Stop the run (kifabrik stop {view.run}) and ask your steward.",
    )


def _is_newer(
    session: Session, prepared: PreparedRun, path: str, reference: InputReference, before: list[Entry]
) -> bool:
    if not reference.model:
        owner = prepared.inputs[path].owner
        return any(one.kind is EntryKind.DATASET_SEALED and one.refs.get("dataset") == owner for one in before)
    made = {order_run(str(one.refs.get("run"))) for one in before if one.kind in _MADE and one.refs.get("outputs")}
    if not made:
        return False
    catalogue = session.catalogue()
    named = reference.name in catalogue.job_names(made).values()
    return named and catalogue.model(reference.name).manifest != prepared.inputs[path].manifest
