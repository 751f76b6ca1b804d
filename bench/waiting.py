"""What callers who wait cost a service that others keep busy.

    python bench/waiting.py [--callers 400] [--seconds 10] [--json PATH]

Each run under way listens for what is asked of it, each keyholder for mail, each member who follows a run for its
next step: they wait in long polls. A service is kept busy by uploads, five commits a second, first alone, then
while many callers wait for a run that does not move; its CPU time is read in both cases. Where each commit woke
everybody to look again, the second would grow with the number of callers.
"""

import os
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

sys.path[:0] = [str(Path(__file__).parents[1] / "tests"), str(Path(__file__).parents[1] / "tests/integration")]

from report import Bar, Picture, at_most, hand_on, parser
from runs_room import RunFactory

from kifabrik.client.objects import Objects
from parties import Person
from players import order

PAUSE_S = 0.2
MOST = 1.25


def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--callers", type=int, default=400)
    made.add_argument("--seconds", type=float, default=10.0)
    wishes = made.parse_args()
    with tempfile.TemporaryDirectory(prefix="kifabrik-waiting-") as name:
        factory = RunFactory(Path(name) / "factory")
        try:
            person = factory.sign_up().enrol()
            run = order(person).run  # its keyholder never calls, so it waits
            busy(factory.process.pid, person, 2.0)
            alone = busy(factory.process.pid, person, wishes.seconds)
            callers = [waiting(factory.url, person.token, run) for _ in range(wishes.callers)]
            busy(factory.process.pid, person, 2.0)
            beside = busy(factory.process.pid, person, wishes.seconds)
            for one in callers:
                one.close()
        finally:
            factory.close()
    print(f"CPU of the service, five commits a second, nobody waiting     {alone:7.1f} ms/s")
    print(f"the same while {wishes.callers} callers wait                          {beside:7.1f} ms/s")
    print(f"ratio                                                         {beside / alone:7.2f}")
    hand_on(
        wishes.json,
        Picture(
            f"A busy service while {wishes.callers} callers wait",
            "ms of CPU a second",
            (Bar("nobody waits", alone, "peer"), Bar(f"{wishes.callers} wait", beside, "ours")),
            "Five commits a second; the callers wait for a run that does not move.",
            (at_most("callers who wait, to nobody waiting", beside / alone, MOST, "{:.2f}"),),
        ),
    )


def waiting(url: str, token: str, run: str) -> socket.socket:
    """Begin to wait for the next step of a run, as its member's command does."""
    parts = urlsplit(url)
    line = socket.create_connection((parts.hostname, parts.port))
    line.sendall(
        f"GET /v1/runs/{run}?revision=1000000&wait=60 HTTP/1.1\r\nhost: {parts.netloc}\r\n"
        f"authorization: Bearer {token}\r\n\r\n".encode()
    )
    return line


def busy(service: int, person: Person, seconds: float) -> float:
    """Upload small objects for a while; return milliseconds of CPU the service took for each second."""
    objects, over = Objects(person.connection), threading.Event()
    before, began = cpu_ms(service), time.perf_counter()
    while time.perf_counter() - began < seconds:
        objects.upload_small([os.urandom(32)])
        over.wait(PAUSE_S)
    return (cpu_ms(service) - before) / (time.perf_counter() - began)


def cpu_ms(pid: int) -> float:
    """CPU time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
