"""What the keyholder tells the person or log that watches it; never a secret, never a name."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class EventKind(StrEnum):
    """What an event is about; ALARM wants a person at once."""

    CONNECTED = "connected"
    OFFLINE = "offline"
    RELEASED = "released"
    REFUSED = "refused"
    ASKED = "asked"
    ERASED = "erased"
    LEARNT = "learnt"
    WARNING = "warning"
    ALARM = "alarm"


@dataclass(frozen=True)
class Event:
    """One line.

    Args:
        kind: What it is about.
        text: A sentence.
    """

    kind: EventKind
    text: str


OnEvent: TypeAlias = Callable[[Event], None]


def unheard(_event: Event) -> None:
    """Listen to nothing."""
