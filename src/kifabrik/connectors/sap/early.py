"""Ask for the next page while this one is being read: its link is found in the bytes before they are JSON.

Reading a large page takes a core as long as the service takes to send it, so the two go side by side. The link that
is found this way is a guess (a text in a row may look like one); the page is read with the link that reading gave,
and a guess that was wrong once is the last one.
"""

import json
import re
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import Final

from kifabrik.connectors.sap.asking import Answer
from kifabrik.connectors.sap.model import Version

_LEAST_BYTES: Final = 32 * 1024
"""Smaller pages are read before a thread has begun."""
_EDGE: Final = 8 * 1024
"""Services write the link before the rows or after them."""
_LINK: Final = {
    Version.V4: re.compile(rb'"@(?:odata\.)?nextLink"\s*:\s*("(?:[^"\\]|\\.)*")'),
    Version.V2: re.compile(rb'"__next"\s*:\s*("(?:[^"\\]|\\.)*")'),
}


def link_in(body: bytes, version: Version) -> str:
    """Return what looks like the link to the next page, or ''."""
    for edge in (body[:_EDGE], body[-_EDGE:]):
        found = _LINK[version].findall(edge)
        if found:
            try:
                return str(json.loads(found[-1]))
            except ValueError:
                return ""
    return ""


class _Asked:
    """A page that is on its way, in a thread that never holds the command up."""

    def __init__(self, link: str, get: Callable[[str], Answer]) -> None:
        self.link = link
        self._get = get
        self._answer: Future[Answer] = Future()
        Thread(target=self._run, name="kifabrik-page", daemon=True).start()

    def _run(self) -> None:
        try:
            self._answer.set_result(self._get(self.link))
        except BaseException as error:  # noqa: BLE001 - whoever wants the page gets it
            self._answer.set_exception(error)

    def result(self) -> Answer:
        return self._answer.result()


class EarlyPages:
    """Fetches pages, each while the one before it is being read.

    Args:
        get: Fetches what a link leads to; called from two threads at once if a guess was wrong.
        version: Of the protocol.
        otherwise: Returns the next link where the page names none, or ''.
    """

    def __init__(
        self, get: Callable[[str], Answer], version: Version, otherwise: Callable[[], str] = lambda: ""
    ) -> None:
        self._get, self._version, self._otherwise = get, version, otherwise
        self._asked: _Asked | None = None
        self._guesses = True

    def __call__(self, link: str) -> Answer:
        """Return what a link leads to, and ask for what seems to come after it.

        Raises:
            KifabrikError: As for `Caller.get`.
        """
        asked, self._asked = self._asked, None
        if asked is not None and asked.link == link:
            answer = asked.result()
        else:
            self._guesses = self._guesses and asked is None
            answer = self._get(link)
        if self._guesses and len(answer.body) >= _LEAST_BYTES:
            upcoming = link_in(answer.body, self._version) or self._otherwise()
            if upcoming and upcoming != link:
                self._asked = _Asked(upcoming, self._get)
        return answer
