"""Does to processes what a data centre does: kills, ends and stalls one every few seconds, at random."""

import signal
import threading

from soak.pace import in_time
from soak.processes import every_process

STALL_S = (0.5, 6.0)
LONG_STALL_S = (16.0, 22.0)
"""Longer than a service's turn at driving lasts."""
ONE_IN_LONG = 12

WEIGHTS = {
    "service": 3,
    "keyholder": 4,
    "template": 2,
    "launcher": 4,
    "room": 4,
    "guard": 2,
    "command": 5,
}
WAYS = {
    # A guard ends what is built around a run; a job sees SIGTERM only from its own node.
    "service": ("KILL", "KILL", "TERM", "INT", "STOP"),
    "keyholder": ("KILL", "KILL", "TERM", "INT", "STOP"),
    "template": ("KILL", "TERM"),
    "launcher": ("KILL", "KILL", "TERM", "STOP", "STOP"),
    "room": ("KILL", "KILL", "TERM", "STOP"),
    "guard": ("KILL",),
    "command": ("KILL", "KILL", "TERM", "INT", "STOP"),
}


class Killer:
    """Harms one process after the other until it is told to end.

    Args:
        dice: Random numbers of its own.
        journal: Where each harm is written down before it is done.
        factory: Its processes.
        tenants: With their keyholders.
        processes: Of the node.
        commands: Of the customers.
        every_s: Mean time between two harms.
    """

    def __init__(self, dice, journal, factory, tenants, processes, commands, every_s):
        self._dice = dice
        self._journal = journal
        self._factory = factory
        self._tenants = tenants
        self._processes = processes
        self._commands = commands
        self._every_s = every_s
        self._over = threading.Event()
        self._stalled = []
        self._thread = threading.Thread(target=self._work, name="killer", daemon=True)

    def start(self):
        """Begin."""
        self._thread.start()

    def stop(self):
        """End, and let everything go on that was stalled."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(60)
        for timer in self._stalled:
            timer.join(60)

    def _work(self):
        while not self._over.wait(in_time(self._dice.expovariate(1 / self._every_s))):
            for target in self._in_some_order():
                found = self._find(target)
                if found:
                    attempt, process = self._dice.choice(found)
                    self._harm(target, process, attempt, self._dice.choice(WAYS[target]))
                    break

    def _in_some_order(self):
        """All kinds of processes by weighted lot: the first that lives is hit."""
        return sorted(WEIGHTS, key=lambda target: self._dice.random() ** (1 / WEIGHTS[target]), reverse=True)

    def _find(self, target):
        """Living processes of a kind, each with the attempt it belongs to."""
        if target in {"room", "guard"}:
            wanted = {"room": lambda one: one.in_a_room, "guard": lambda one: not one.in_a_room}[target]
            return [(attempt, one) for attempt, one in self._processes.rooms() if wanted(one)]
        if target == "launcher":
            return list(self._processes.launchers().items())
        if target == "template":
            found = [self._processes.template(one.pid) for one in self._factory.drives if one.pid]
            return [("", one) for one in found if one]
        everyone = every_process()
        pids = {
            "service": lambda: [one.pid for one in self._factory.processes],
            "keyholder": lambda: [tenant.keyholder.pid for tenant in self._tenants],
            "command": self._commands.running,
        }[target]()
        return [("", everyone[pid]) for pid in pids if pid in everyone]

    def _harm(self, target, process, attempt, way):
        self._journal.harm(
            f"{target}:{process.name}" if target in {"room", "guard"} else target, way, process.pid, attempt
        )
        if process.send(getattr(signal, f"SIG{way}")):
            self._journal.count(f"harm {target}")
            if way == "STOP":
                long = self._dice.randrange(ONE_IN_LONG) == 0
                timer = threading.Timer(
                    self._dice.uniform(*(LONG_STALL_S if long else STALL_S)), process.send, (signal.SIGCONT,)
                )
                timer.start()
                self._stalled.append(timer)
