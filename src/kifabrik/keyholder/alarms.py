"""When the log or the factory contradicts what the keyholder knows: everything stops, loudly.

Invariants:
- after an alarm no key is released until a person has looked and thawed;
- what was seen is kept as evidence, so that it can be shown to others.
"""

from dataclasses import dataclass

from kifabrik.errors import IntegrityError
from kifabrik.keyholder.blocks import EVERYTHING, Cause
from kifabrik.keyholder.events import Event, EventKind, OnEvent
from kifabrik.keyholder.state import State

_MOST_EVIDENCE_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Evidence:
    """What was kept of an alarm.

    Args:
        number: From 1.
        created: Time.
        reason: A sentence.
        data: The signed head, entries or statement in question.
    """

    number: int
    created: str
    reason: str
    data: bytes


def alarm(state: State, reason: str, data: bytes, say: OnEvent) -> IntegrityError:
    """Freeze everything, keep evidence, say so; return the error for the caller to raise."""
    created = state.clock.text()
    with state.db.transaction():
        known = any(block.cause is Cause.ALARM for block in state.blocks.on(EVERYTHING))
        state.blocks.add(EVERYTHING, Cause.ALARM, created, reason)
        if not known:
            row = (created, reason, data[:_MOST_EVIDENCE_BYTES])
            state.db.execute("INSERT INTO evidence (created, reason, data) VALUES (?, ?, ?)", row)
    say(Event(EventKind.ALARM, f"{reason}. Nothing is released any more; the evidence is kept."))
    return IntegrityError(
        reason,
        hint="Ask the factory's operator; look at: kifabrik keyholder status. Then: kifabrik keyholder thaw",
    )


def evidence(state: State) -> list[Evidence]:
    """Return everything that was kept, oldest first."""
    rows = state.db.rows("SELECT id, created, reason, data FROM evidence ORDER BY id")
    return [Evidence(*row) for row in rows]
