"""Whether the node agent, which starts this node's launchers, is there and answers."""

import socket
from pathlib import Path
from typing import Final

QUESTION: Final = b"alive"
"""`nodes.agent.ALIVE`; written again, because the prolog runs at every job and the agent's module starts slowly."""
PATIENCE_S: Final = 20.0
"""Seconds an agent may take: a busy machine may stall for some, and a drained node stays so until looked at."""
_MOST_BYTES: Final = 4096


def agent_fault(path: Path, patience_s: float = PATIENCE_S) -> str:
    """Say why the agent cannot start a run; empty if it answers.

    Args:
        path: Its socket.
        patience_s: Seconds it may take.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
        line.settimeout(patience_s)
        try:
            line.connect(str(path))
            line.send(QUESTION)
            answer = line.recv(_MOST_BYTES).decode(errors="replace").strip()
        except TimeoutError:
            return f"the node agent does not answer within {patience_s:g} s"
        except OSError as error:
            return f"the node agent does not run ({path}: {error.strerror or error})"
    return "" if answer == "0" else f"the node agent answers {answer[:80]!r}"
