"""Makes the servers a factory stands on fail at random: they crash, lose a process, or hang for some seconds."""

import threading
import time

from soak.pace import in_time

DOWN_S = (0.5, 10.0)
HUNG_S = (1.0, 12.0)
LONG_S = (32.0, 40.0)
"""Longer than the factory waits for an answer of its object store."""
ONE_IN_LONG = 8
EVERY_S = 25.0
WAYS = ("KILL", "KILL", "HURT", "STOP", "STOP")


class Outages:
    """Makes one server after the other fail until it is told to end; then all of them work.

    Args:
        dice: Random numbers of its own.
        journal: Where each outage is written down before it begins.
        servers: Of `soak.stores`; may be none.
        every_s: Mean time from the end of one to the beginning of the next.
    """

    def __init__(self, dice, journal, servers, every_s=EVERY_S):
        self._dice = dice
        self._journal = journal
        self._servers = servers
        self._every_s = every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="outages", daemon=True)

    def start(self):
        """Begin, where there is a server."""
        if self._servers:
            self._thread.start()

    def stop(self):
        """End; a server that is away comes back first."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(120)

    def _work(self):
        while not self._over.wait(in_time(self._dice.expovariate(1 / self._every_s))):
            server = self._dice.choice(self._servers)
            way = self._dice.choice(WAYS)
            with server.turn:
                try:
                    self._fail(server, way if server.hurt or way != "HURT" else "KILL")
                except Exception as error:  # noqa: BLE001 - a server that does not come back must be told of
                    self._journal.mistake(f"the {server.name} did not come back: {type(error).__name__}: {error}")
                    return

    def _fail(self, server, way):
        self._journal.harm(server.name, way, 0)
        self._journal.count(f"harm {server.name}")
        long = self._dice.randrange(ONE_IN_LONG) == 0
        seconds = self._dice.uniform(*(LONG_S if long else {"STOP": HUNG_S}.get(way, DOWN_S)))
        if way == "HURT":
            server.hurt(self._dice.randrange(1000))
            return
        begin, end = {"KILL": (server.kill, server.revive), "STOP": (server.freeze, server.thaw)}[way]
        began = time.monotonic()
        begin()
        self._over.wait(seconds)
        end()
        self._journal.note(f"the {server.name} was away for {time.monotonic() - began:.1f} s", way=way)
