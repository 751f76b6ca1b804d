"""Waiting for the certificate of an erasure, and saying for what.

A run that had keys before goes on: what was released cannot be recalled, and an erasure stops no job. Its results
are named once it has ended, in a further certificate. A job that has ended already, and whose results are being
sealed, is waited for: that takes moments, and a certificate without them would be out of date when it is read.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from kifabrik.customer.session import Session
from kifabrik.errors import IntegrityError, NotFoundError
from kifabrik.grants.statements import ErasureCertificate
from kifabrik.runs.states import RunState, is_end
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.statements import verify_statement

PATIENCE_S: Final = 60.0
"""For the keyholder's first word."""
SEALING_PATIENCE_S: Final = 600.0
"""For results that are being sealed and uploaded."""
_POLL_S: Final = 10.0
_WAITING: Final = "Waiting for the certificate …"


@dataclass(frozen=True)
class Awaited:
    """The newest certificate.

    Args:
        text: As the keyholder signed it, DSSE JSON; empty if there is none yet.
        said: What it says; None if there is none.
        going_on: Runs that had keys before and are at work still.
        sealing: Runs that have ended, and whose results had not arrived when patience was over.
    """

    text: str = ""
    said: ErasureCertificate | None = None
    going_on: tuple[str, ...] = ()
    sealing: tuple[str, ...] = ()


def await_certificate(
    session: Session, dataset: str, *, to_the_end: bool = False, say: Callable[[str], None] = lambda _text: None
) -> Awaited:
    """Wait until the keyholder has certified an erasure, and named the results of jobs that have ended.

    Args:
        session: A connected member.
        dataset: Dataset id.
        to_the_end: Whether to wait, however long, for the end of every run that had keys.
        say: Told what is waited for.

    Raises:
        IntegrityError: What the factory shows is not signed by the keyholder, or about another dataset.
    """
    say(_WAITING)
    found = _next(session, dataset, "", time.monotonic() + PATIENCE_S)
    until = time.monotonic() + SEALING_PATIENCE_S
    while found.said is not None and found.said.going_on:
        sealing, going_on = _stand(session, found.said.going_on)
        found = Awaited(found.text, found.said, going_on, sealing)
        wanted = (*sealing, *going_on) if to_the_end else sealing
        if not wanted or (not to_the_end and time.monotonic() >= until):
            return found
        say(_for_what(sealing, going_on if to_the_end else ()))
        known = Envelope.from_json(found.text).digest
        newer = _next(session, dataset, known, time.monotonic() + _POLL_S)
        found = newer if newer.said is not None else found
    return found


def _next(session: Session, dataset: str, known: str, until: float) -> Awaited:
    """Wait for another certificate than the known one."""
    while (left := until - time.monotonic()) > 0:
        view = session.datasets.erasure(dataset, after=known, wait_s=min(left, _POLL_S))
        if not view.certificate:
            continue
        envelope = Envelope.from_json(view.certificate)
        if envelope.digest == known:
            continue
        said = verify_statement(envelope, ErasureCertificate, [session.keyholder_key]).predicate
        if said.dataset != dataset:
            raise IntegrityError(f"the factory shows a certificate of {said.dataset} in place of {dataset}")
        return Awaited(view.certificate, said)
    return Awaited()


def _stand(session: Session, runs: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Tell which of these runs have ended or are sealing results, and which are at work."""
    states = {run: _state(session, run) for run in runs}
    ending = tuple(run for run, state in states.items() if state is RunState.SEALING or is_end(state))
    return ending, tuple(run for run in runs if run not in ending)


def _state(session: Session, run: str) -> RunState:
    try:
        return session.runs.show(run).state
    except NotFoundError:
        return RunState.RUNNING  # the keyholder knows of it, so it is named as going on


def _for_what(sealing: tuple[str, ...], going_on: tuple[str, ...]) -> str:
    texts = [f"results of {', '.join(sealing)}"] if sealing else []
    texts += [f"the end of {', '.join(going_on)}"] if going_on else []
    return f"Waiting for {' and '.join(texts)} …"
