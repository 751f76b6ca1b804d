"""What pages need to know of a factory beside its use cases."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kifabrik.plant.governor.rules import Permit
from kifabrik.prices.pricelist import PriceList


@dataclass(frozen=True)
class Premises:
    """The factory as its operator has set it up.

    Args:
        prices: In force.
        secure: Whether visitors come by HTTPS.
        examples: Whether these are the examples that come with kifabrik.
        address: Where visitors reach it, such as `https://factory.example`; empty: as they say themselves.
        quota: Most bytes of sealed objects of a tenant.
        home: Its folder, for how much room its disk has; None: not shown.
        meters: Folder of the plant's meters (`kifabrik plant meters watch`); None where there are none.
        permit: What the plant's governor permits at a time (seconds since the epoch), if there is one.
    """

    prices: PriceList
    secure: bool = False
    examples: bool = False
    address: str = ""
    quota: int = 0
    home: Path | None = None
    meters: Path | None = None
    permit: Callable[[float], Permit | None] = field(default=lambda _now: None)
