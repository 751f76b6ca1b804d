"""What a node signs about the end of an attempt: how the run ended, what it put out, and where that is from."""

from collections.abc import Mapping

from kifabrik import __version__
from kifabrik.launcher.course import Course
from kifabrik.launcher.work import VerifiedWork
from kifabrik.models.provenance import Ran, sign_provenance
from kifabrik.runs.statements import Finish, NodeEnded
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.statements import sign_statement
from kifabrik.values import format_time, now_utc
from kifabrik.wire.attempts import Finished


def sign_node_ended(course: Course, work: VerifiedWork) -> Envelope:
    """Sign how one node among several has ended; its log must be closed."""
    order, journal = work.order.predicate, course.journal
    said = NodeEnded(
        tenant=order.tenant,
        run=order.run,
        attempt=course.assignment.attempt,
        rank=course.assignment.rank,
        node_key=course.node.key.public.hex,
        outcome=course.ended.outcome,
        exit_status=course.ended.exit_status,
        segments=journal.segments if journal else 0,
        log_tail=journal.tail if journal else "",
        reading=course.meter.reading(log_bytes=journal.total_bytes if journal else 0),
        started=course.started,
        finished=format_time(now_utc()),
    )
    keys = (course.node.key, *((course.keys.run_key,) if course.lease else ()))
    return sign_statement(said, {"order": work.order.digest}, *keys)


def sign_end(course: Course, work: VerifiedWork, others: Mapping[int, Envelope]) -> Finished:
    """Sign the end of an attempt and the provenance of what it put out; its log must be closed.

    Args:
        course: At its end.
        work: Verified.
        others: How its other nodes have ended, by rank.
    """
    order, ended, journal = work.order.predicate, course.ended, course.journal
    outputs = ended.outputs if course.succeeded else []
    finished = format_time(now_utc())
    lease = course.lease.statement.digest if course.lease else ""
    nodes = () if course.gang is None else course.gang.other_nodes(others)
    said = Finish(
        tenant=order.tenant,
        run=work.run,
        attempt=course.assignment.attempt,
        order=work.order.digest,
        lease=lease,
        outcome=ended.outcome,
        exit_status=ended.exit_status,
        outputs=tuple(envelope.digest for envelope in outputs),
        checkpoint=ended.checkpoint,
        segments=journal.segments if journal else 0,
        log_tail=journal.tail if journal else "",
        environment=course.environment,
        reading=course.meter.reading(log_bytes=journal.total_bytes if journal else 0),
        published=ended.published,
        started=course.started,
        finished=finished,
        others=nodes,
    )
    ran = Ran(
        run=work.run,
        attempt=course.assignment.attempt,
        order=work.order.digest,
        purpose=order.purpose,
        lease=lease,
        materials={f"{one.manifest.owner}@{one.manifest.version}": one.digest for one in work.inputs}
        | {"code": order.code, "environment-lock": order.lock, "environment-tree": course.environment},
        nodes=(course.node.key.public.hex, *(node.node_key for node in nodes)),
        version=__version__,
        started=course.started,
        finished=finished,
    )
    named = {f"{work.run}/{number}": envelope.digest for number, envelope in enumerate(outputs, 1)}
    keys = (course.keys.run_key, course.node.key)
    return Finished(
        finish=sign_statement(said, {"order": work.order.digest}, *keys).to_json(),
        outputs=[envelope.to_json() for envelope in outputs],
        provenance=sign_provenance(ran, named, *keys).to_json(),
        message=ended.message,
    )
