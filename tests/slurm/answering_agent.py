"""Stands for the node agent where only its answer matters: `python answering_agent.py HOME`."""

import socket
import sys
from pathlib import Path


def main() -> None:
    """Answer every question with one line."""
    path = Path(sys.argv[1]) / "agent.sock"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as line:
        line.bind(str(path))
        line.listen()
        while True:
            heard, _ = line.accept()
            with heard:
                if heard.recv(100):
                    heard.sendall(b"{}\n")


main()
