"""The first pages of several entity sets in one round trip, where the service takes that.

A plan of many small sets (plants, units, groups of materials) is mostly waiting: each set is one page, and each
page one round trip. Asked for together they are one. What does not come this way is asked for by itself.
"""

from collections.abc import Sequence
from typing import Final

from kifabrik.connectors.sap.asking import Caller
from kifabrik.connectors.sap.batch_bodies import Asking
from kifabrik.connectors.sap.batch_requests import Batches
from kifabrik.connectors.sap.gathering import Work, first_link, page_headers
from kifabrik.connectors.sap.pages import read_page
from kifabrik.connectors.sap.selection import Selection
from kifabrik.errors import IntegrityError

_LEAST: Final = 3
"""Sets; for fewer, finding out whether the service takes a batch costs as much as it saves."""
_MOST: Final = 8
"""Sets, whose first pages are held until their turn comes."""


class FirstPages:
    """Fetches first pages ahead, a few sets at a time.

    Args:
        caller: Signed in.
        selections: Sets to pull, in order.
    """

    def __init__(self, caller: Caller, selections: Sequence[Selection]) -> None:
        self._waiting = list(selections)
        self._caller = caller
        self._batches = Batches(caller, selections[0].version)

    def prepare(self, work: Work, selection: Selection) -> None:
        """Have the first page of a set at hand, with those of the sets behind it, if that saves anything."""
        if selection not in self._waiting:
            return
        self._waiting = self._waiting[self._waiting.index(selection) :]
        some = [one for one in self._waiting if _is_to_begin(work, one)][:_MOST]
        if selection not in some or len(some) < _LEAST:
            return
        self._waiting = self._waiting[self._waiting.index(some[-1]) + 1 :]
        asked = [Asking("GET", first_link(one), page_headers(one)) for one in some]
        for one, answer in zip(some, self._batches.read(asked), strict=True):
            if answer is None:
                continue
            try:
                page = read_page(answer, one.version, one.name)
                if not page.next or self._path(page.next) == self._path(first_link(one)):
                    work.first[one.name] = page
            except IntegrityError:
                continue  # asked for by itself, it may be in order

    def _path(self, link: str) -> str:
        """Where a link leads: within a batch, CAP takes the first letter off the set's name in a next link."""
        return self._caller.address(link).partition("?")[0]


def _is_to_begin(work: Work, selection: Selection) -> bool:
    progress = work.state.sets[selection.name]
    return not progress.done and progress.link == first_link(selection) and selection.name not in work.first
