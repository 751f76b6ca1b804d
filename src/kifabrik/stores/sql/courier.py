"""Passes hints between the processes of a factory on PostgreSQL, by LISTEN and NOTIFY; and says which of them live.

Invariants:
- a hint is told after the commit it is about, in a transaction of its own: a NOTIFY within the commit would make
  the commits of all tenants wait for each other (PostgreSQL holds one lock for all that notify, over the sync);
- one process has one such transaction under way at a time, with all hints that have come meanwhile;
- a hint may be lost, where a process dies after its commit or a connection breaks: so `missed` grows when a
  connection is made anew, and every `SWEEP_S` if the database has changed, and whoever waits looks again;
- a process that hears holds an advisory lock that PostgreSQL frees when its connection ends. That says who is gone,
  and nothing else: who may drive the runs is decided by the fencing token alone.
"""

import hashlib
import logging
import os
import secrets
import select
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from kifabrik.factory.hints import EVERYTHING, Hints
from kifabrik.stores.sql.failures import first_line

SWEEP_S: Final = 10.0
CHANNEL: Final = "kifabrik"
_MOST_TOPICS: Final = 1000
_PAYLOAD: Final = 7900
"""Characters of one notification; PostgreSQL takes less than 8000 bytes, and topics are ASCII."""
_PAUSE_S: Final = 0.005
_AGAIN_S: Final = 1.0
_READY_S: Final = 5.0
_STAMP: Final = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
_logger = logging.getLogger(__name__)


def lock_number(name: str) -> int:
    """The advisory lock that the process of this name holds: a bigint, the same everywhere."""
    digest = hashlib.sha256(f"kifabrik/process/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


class Courier:
    """Tells other processes, and hears of them.

    Args:
        engine: Opens connections to PostgreSQL.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sender = secrets.token_hex(4)
        self._hints: Hints | None = None
        self._lock = threading.Lock()
        self._topics: dict[str, None] = {}
        self._wake = threading.Event()
        self._mouth: threading.Thread | None = None
        self._ear: threading.Thread | None = None
        self._ready = threading.Event()
        self._closing = False
        self.missed = 0
        """Grows whenever something of another process may have been missed."""

    def tell(self, hints: Hints) -> None:
        """Pass on what is hinted at from now on."""
        self._hints = hints
        hints.listen(self._take)

    @contextmanager
    def hearing(self, name: str) -> Iterator[None]:
        """Hint here at what other processes hint at, and be known as alive under a name, while the block runs."""
        ended, (reader, writer) = threading.Event(), os.pipe()

        def stay() -> None:
            while not ended.is_set():
                try:
                    self._hear(name, ended, reader)
                except Exception as error:  # noqa: BLE001 - whatever it was: others are to be heard again
                    _logger.warning("other processes are not heard: %s", first_line(error))
                    ended.wait(_AGAIN_S)

        self._ear = threading.Thread(target=stay, name="courier-ear", daemon=True)
        self._ear.start()
        self._ready.wait(_READY_S)
        try:
            yield
        finally:
            ended.set()
            os.write(writer, b".")
            self._ear.join()
            os.close(reader)
            os.close(writer)

    def close(self) -> None:
        """Tell what is left to tell, and end."""
        if self._hints is not None:
            self._hints.leave(self._take)
        with self._lock:
            self._closing = True
            mouth = self._mouth
        self._wake.set()
        if mouth is not None:
            mouth.join()

    def _take(self, topic: str) -> None:
        """Remember a hint of this process; what it has heard itself is not passed on."""
        if threading.current_thread() is self._ear:
            return
        with self._lock:
            self._topics[topic] = None
            if self._mouth is None and not self._closing:
                self._mouth = threading.Thread(target=self._speak, name="courier-mouth", daemon=True)
                self._mouth.start()
        self._wake.set()

    def _speak(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            with self._lock:
                topics, self._topics = list(self._topics), {}
                closing_ = self._closing
            if topics and not self._send(topics) and not closing_:
                with self._lock:
                    self._topics[EVERYTHING] = None
                self._wake.set()
                time.sleep(_AGAIN_S)
            if closing_:
                return
            time.sleep(_PAUSE_S)

    def _send(self, topics: list[str]) -> bool:
        """Tell others; whether that was possible."""
        if EVERYTHING in topics or len(topics) > _MOST_TOPICS:
            topics = [EVERYTHING]
        try:
            with self._engine.connect() as connection, connection.begin():
                # Nothing is lost with it but a hint.
                connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
                for payload in payloads(self._sender, topics):
                    connection.exec_driver_sql("SELECT pg_notify(%s, %s)", (CHANNEL, payload))
        except SQLAlchemyError as error:
            _logger.warning("other processes are not told: %s", first_line(error))
            return False
        return True

    def _hear(self, name: str, ended: threading.Event, wake: int) -> None:
        borrowed = self._engine.raw_connection()
        driver: Any = borrowed.driver_connection
        borrowed.detach()  # the pool neither counts it nor gets it back
        with closing(driver):
            driver.autocommit = True
            driver.execute(f"LISTEN {CHANNEL}")
            driver.execute("SELECT pg_advisory_lock(%s)", (lock_number(name),))
            self.missed += 1
            self._ready.set()
            stamp, look_at = None, time.monotonic()
            while not ended.is_set():
                if time.monotonic() >= look_at:  # also finds out that the connection is dead
                    now = driver.execute(_STAMP).fetchone()[0]
                    self.missed += now != stamp
                    stamp, look_at = now, time.monotonic() + SWEEP_S
                select.select([driver.fileno(), wake], [], [], max(0.0, look_at - time.monotonic()))
                for said in driver.notifies(timeout=0):
                    self._pass_on(said.payload)

    def _pass_on(self, payload: str) -> None:
        sender, *topics = payload.split("\n")
        if sender != self._sender and self._hints is not None:
            for topic in topics:
                self._hints.notify(topic)


def payloads(sender: str, topics: Iterable[str]) -> Iterator[str]:
    """Yield texts short enough for a notification: who says it, and topics, each on a line."""
    lines, length = [sender], len(sender)
    for topic in topics:
        if length + 1 + len(topic) > _PAYLOAD and len(lines) > 1:
            yield "\n".join(lines)
            lines, length = [sender], len(sender)
        lines.append(topic)
        length += 1 + len(topic)
    yield "\n".join(lines)
