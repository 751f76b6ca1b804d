"""The stub a cluster's job runs on each of its nodes: it asks the node's agent for the launcher, and waits.

    python3 -I -S enter.py SOCKET ATTEMPT|ARRAY

`%n` in SOCKET stands for the node's name. It runs as the tenant's own Unix user and knows nothing. What signal
its job gets it passes on; when it ends, however that is, the agent ends the launcher. It imports only what starts
in a few milliseconds, and nothing of kifabrik.

Exit status: the launcher's (0 if the run's program succeeded), or one of sysexits.h: 69 where there is no agent,
77 where the agent or the factory refuses, 75 where trying again may help.
"""

import os
import select
import signal
import socket
import sys

_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_UNAVAILABLE = 69
_MOST = 65536


def main(words: list[str]) -> int:
    """Ask for the launcher, pass signals on, and return its exit status."""
    if len(words) != 2:  # noqa: PLR2004
        return _say("usage: enter.py SOCKET ATTEMPT", 64)
    path, attempt = words[0].replace("%n", os.environ.get("SLURMD_NODENAME", "")), words[1]
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in _PASSED_ON:
        signal.signal(number, lambda *_: None)
    agent = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        agent.connect(path)
        agent.send(f"enter {attempt}".encode())
    except OSError as error:
        return _say(f"the agent of this node does not answer at {path}: {error.strerror}", _UNAVAILABLE)
    while True:
        ready = select.select([agent.fileno(), reading], [], [])[0]
        if reading in ready:
            for got in os.read(reading, 64):
                agent.send(f"signal {got}".encode())
        if agent.fileno() in ready:
            answer = agent.recv(_MOST).decode(errors="replace")
            status, _, message = answer.partition(" ")
            if not status.isdigit():
                return _say("the agent of this node has ended", _UNAVAILABLE)
            return _say(message, int(status))


def _say(message: str, status: int) -> int:
    if message:
        print(f"kifabrik: {message}", file=sys.stderr)  # noqa: T201
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
