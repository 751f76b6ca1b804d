"""Ports for servers of tests: never one the kernel gives to a connection, and each for one process alone.

What binding to port 0 finds is such a one. By the time a server wants it, or wants it again after it was killed, a
connection may have it; and who knocks at it while nobody listens can even be connected to himself, and take that
for the answer of the server.
"""

import random
import socket
import sys

_BELOW_THOSE_OF_CONNECTIONS = range(10_000, 16_000)
"""Linux gives connections 32768 and above; clusters of Slurm take theirs from 17000 on."""
_DRAWN = random.SystemRandom()
"""Tests set the seed of the other."""


def free_port() -> int:
    """Return a port nobody listens on, and that no other process gets from here while this one lives."""
    for port in _DRAWN.sample(_BELOW_THOSE_OF_CONNECTIONS, len(_BELOW_THOSE_OF_CONNECTIONS)):
        if _is_free(port) and _claimed(port):
            return port
    raise RuntimeError(f"no port is free among {_BELOW_THOSE_OF_CONNECTIONS}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _claimed(port: int) -> bool:
    """Hold the port's name until this process ends: a name without a file, which goes with who has it."""
    if sys.platform != "linux":
        return True
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0kifabrik-test-port-{port}")
    except OSError:
        claim.close()
        return False
    claim.detach()  # the descriptor stays open
    return True
