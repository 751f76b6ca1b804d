"""The permit of the plant's governor, as the factory's loop follows it.

Invariants:
- every change is told once to the operator's log and, where there is a cluster, to its scheduler;
- a scheduler that does not answer is told again, not every time the loop turns;
- where there never was a permit, nothing is told to the scheduler: a limit that stands there is the operator's own;
- a permit that ended while no service ran leaves no limit behind.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

from kifabrik.errors import KifabrikError
from kifabrik.factory.engine import Cluster
from kifabrik.plant.governor.rules import Permit

_AGAIN_S: Final = 60.0
_logger = logging.getLogger(__name__)


class PowerWatch:
    """Says what may be drawn, and passes changes on.

    Args:
        read: The permit that stands at a time (seconds since the epoch), if there is one.
        cluster: Whose scheduler limits what runs, if there is one.
        governed: Whether there has been a permit before.
    """

    def __init__(
        self, read: Callable[[float], Permit | None], cluster: Cluster | None = None, *, governed: bool = False
    ) -> None:
        self._read = read
        self._cluster = cluster
        self._governed = governed
        self._logged: float | None = None
        self._told: tuple[float, str] | None = None
        self._tried = -_AGAIN_S

    def __call__(self, now: float) -> Permit | None:
        """The permit that stands now."""
        permit = self._read(now)
        watts = permit.watts if permit else None
        if watts != self._logged:
            self._logged = watts
            _logger.info(
                "power: %s", permit.reason if permit else "no permit stands any more; nothing is held back"
            )
        if self._cluster is not None:
            self._tell(self._cluster, permit)
        return permit

    def _tell(self, cluster: Cluster, permit: Permit | None) -> None:
        if permit is None and self._told is None and not self._governed:
            return
        wanted = (permit.share, permit.reason) if permit else (1.0, "")
        if wanted == self._told or time.monotonic() - self._tried < _AGAIN_S:
            return
        try:
            cluster.limit_power(*wanted)
        except KifabrikError as error:
            self._tried = time.monotonic()
            _logger.warning("power: the cluster was not told: %s", error.message)
        else:
            self._told = wanted
