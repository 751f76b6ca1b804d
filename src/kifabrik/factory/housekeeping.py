"""What is done at start and then every so often: finishing what a crash or an absent caller left over."""

import logging
from collections.abc import Callable
from typing import Final

from kifabrik.errors import KifabrikError
from kifabrik.factory.deletions import Deletions
from kifabrik.factory.erasures import Erasures
from kifabrik.factory.objects import Objects
from kifabrik.factory.returned import Returned
from kifabrik.factory.unregistered import Unregistered

EVERY_S: Final = 60.0
_logger = logging.getLogger(__name__)


class Housekeeping:
    """Finishes deletions, settles erasures, gives up what nobody goes on with; several may do so at once.

    Args:
        deletions: Written down and not yet done.
        erasures: Certified and not yet settled.
        objects: Uploads nobody goes on with.
        unregistered: Objects nobody has registered.
        returned: Objects that came again after they were deleted.
        give_up_parts: Gives up what was stored in part.
    """

    def __init__(
        self,
        deletions: Deletions,
        erasures: Erasures,
        objects: Objects,
        unregistered: Unregistered,
        returned: Returned,
        give_up_parts: Callable[[], None] = lambda: None,
    ) -> None:
        rows = (
            deletions.carry_out,
            erasures.settle,
            objects.give_up_abandoned,
            unregistered.remove,
            returned.remove,
        )
        self._tasks: tuple[Callable[[], object], ...] = (*rows, give_up_parts)

    def tidy(self) -> None:
        """Do all of it once; what cannot be done now is tried again next time."""
        for task in self._tasks:
            try:
                task()
            except KifabrikError as error:
                _logger.warning("housekeeping: %s", error.message)
            except Exception:  # one that ended the thread would end all housekeeping until the next start
                _logger.exception("housekeeping: %s failed", getattr(task, "__qualname__", task))
