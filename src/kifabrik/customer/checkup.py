"""What can stop a member from working, checked one after the other."""

import platform
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from kifabrik.customer.session import Session, open_session
from kifabrik.environments.installer import binary
from kifabrik.errors import IntegrityError, KifabrikError, SignInError
from kifabrik.values import format_duration

_OLDEST: Final = (3, 11)
_FEW_RECIPIENTS: Final = 2
_TOLERATED_S: Final = 120


class Verdict(Enum):
    """How a check came out."""

    GOOD = "good"
    NOTICE = "notice"
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """One check: a sentence, and what to do if it is not good."""

    what: str
    verdict: Verdict
    hint: str = ""


def check_member(home: Path) -> list[Finding]:
    """Check this machine as a member's; never raises for what it finds."""
    findings = [_python(), _locking()]
    try:
        with open_session(home) as session:
            profile = session.profile
            findings.append(Finding(f"enrolled as {profile.role} {profile.member}", Verdict.GOOD))
            findings += _connected(session)
    except SignInError as error:
        findings.append(Finding(error.message, Verdict.NOTICE, error.hint))
    return findings


def _python() -> Finding:
    name = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info < _OLDEST:
        return Finding(name, Verdict.BAD, "kifabrik needs Python 3.11 or newer.")
    return Finding(name, Verdict.GOOD)


def _locking() -> Finding:
    try:
        binary()
    except KifabrikError as error:
        return Finding("environments cannot be locked: uv is missing", Verdict.BAD, error.hint)
    return Finding("environments can be locked (uv is there)", Verdict.GOOD)


def _connected(session: Session) -> list[Finding]:
    try:
        session.tenants.me()
    except KifabrikError as error:
        return [Finding(error.message, Verdict.BAD, error.hint)]
    findings = [Finding(f"the factory answers at {session.profile.factory}", Verdict.GOOD)]
    ahead = session.tenants.clock_ahead_s()
    if ahead is not None:
        findings.append(_clock(ahead))
    try:
        mirror = session.mirror()
        findings.append(
            Finding(f"the ledger is consistent with this machine's copy ({mirror.size} entries)", Verdict.GOOD)
        )
        listed = session.recipients.datasets
        free = set(listed) - {one.dataset for one in session.catalogue().datasets()}
        findings.append(_recipients(len(free)))
    except IntegrityError as error:
        findings.append(
            Finding(error.message, Verdict.BAD, error.hint or "Tell your steward; keep it as evidence.")
        )
    except KifabrikError as error:
        findings.append(Finding(error.message, Verdict.NOTICE, error.hint))
    return findings


def _clock(ahead_s: float) -> Finding:
    if abs(ahead_s) <= _TOLERATED_S:
        return Finding("this machine's clock agrees with the factory's", Verdict.GOOD)
    side = "ahead of" if ahead_s > 0 else "behind"
    what = f"this machine's clock is {format_duration(abs(round(ahead_s)))} {side} the factory's"
    return Finding(what, Verdict.BAD, "Set the wrong one right: orders and leases rest on the time.")


def _recipients(free: int) -> Finding:
    what = f"the keyholder has published {free} unused dataset recipients"
    if free < _FEW_RECIPIENTS:
        return Finding(what, Verdict.NOTICE, "Start the keyholder: it publishes more by itself.")
    return Finding(what, Verdict.GOOD)
