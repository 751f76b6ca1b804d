"""Whether the node agent, which starts this node's launchers, is there and answers."""

import socket
from pathlib import Path
from typing import Final

SOCKET: Final = "agent.sock"
"""In the node's home."""
QUESTION: Final = b'{"ask": "alive"}\n'
"""Answered with one line, whatever it says; see docs/slurm.md."""
PATIENCE_S: Final = 5.0


def agent_fault(home: Path, patience_s: float = PATIENCE_S) -> str:
    """Say why the agent cannot start a run; empty if it answers.

    Args:
        home: The node's.
        patience_s: Seconds it may take.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(patience_s)
        try:
            line.connect(str(home / SOCKET))
            line.sendall(QUESTION)
            if line.recv(1):
                return ""
        except TimeoutError:
            return f"the node agent does not answer within {patience_s:g} s"
        except OSError as error:
            return f"the node agent does not run ({home / SOCKET}: {error.strerror or error})"
    return "the node agent hung up without an answer"
