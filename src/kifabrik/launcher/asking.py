"""Asking for the keys of an attempt, on the one node it has or together with its other nodes."""

from functools import partial

from kifabrik.client.leases import Leases
from kifabrik.launcher.attesting import Attester
from kifabrik.launcher.course import Course
from kifabrik.launcher.gang import Gang
from kifabrik.launcher.lease import GrantedLease, LeaseRefusedError, alone, obtain, said_of, sign_request
from kifabrik.launcher.reporter import Reporter
from kifabrik.launcher.work import VerifiedWork
from kifabrik.leases.statements import AttemptRequest
from kifabrik.runs.states import RunState
from kifabrik.wire.leases import LeaseView


def ask_for_keys(
    course: Course, work: VerifiedWork, leases: Leases, attester: Attester, environment: str
) -> GrantedLease | None:
    """Ask for what the order names, and wait for the answer.

    Args:
        course: Gets the keys and the network that several nodes agree on.
        work: Verified.
        leases: Client with the attempt's token.
        attester: Shows what the node is, where the keyholder asks for it.
        environment: Tree digest of what was built.

    Returns:
        The lease, or nothing if the run was stopped meanwhile.

    Raises:
        RefusedError: The keyholder refused.
        IntegrityError: The answer, or another node, does not verify.
        UnavailableError: Another node did not come in time.
    """
    asks = said_of(work, course.assignment.attempt, environment)
    if course.gang is None:
        return _ask_alone(course, work, leases, attester, asks)
    return _ask_together(course, work, course.gang, asks)


def _ask_together(course: Course, work: VerifiedWork, gang: Gang, asks: AttemptRequest) -> GrantedLease | None:
    shared = gang.obtain(work, asks, partial(_tell, course.reporter))
    if shared is None:
        return None
    course.keys, course.network = shared.keys, shared.network
    return shared.lease


def _ask_alone(
    course: Course, work: VerifiedWork, leases: Leases, attester: Attester, asks: AttemptRequest
) -> GrantedLease | None:
    keys, node = course.keys, course.node.key
    while True:
        request = sign_request(asks, alone(keys, node), keys, node, attester.show)
        try:
            return obtain(
                leases,
                request,
                work,
                given_up=lambda: course.control.cause is not None,
                waiting=partial(_tell, course.reporter),
            )
        except LeaseRefusedError as error:
            if not attester.asks_again(error.reason):
                raise


def _tell(reporter: Reporter, view: LeaseView) -> None:
    """Say what is waited for, as long as the answer is open."""
    seen = f"it was last seen at {view.keyholder_seen}" if view.keyholder_seen else "it was never seen"
    asked = "A person at the keyholder must decide" if view.state == "asked" else "No answer yet"
    reporter.tell(RunState.WAITING_FOR_KEY, f"{asked}; {seen}.")
