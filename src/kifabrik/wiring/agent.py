"""Joins the agent of a cluster's node."""

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final

from kifabrik.client.connection import Connection
from kifabrik.client.nodes import Nodes
from kifabrik.engines.local.forge import Forge
from kifabrik.errors import NotFoundError, UsageError
from kifabrik.launcher.care import NodeCare
from kifabrik.nodes.agent import Agent, AgentSettings
from kifabrik.wiring.caretaker import taking_care
from kifabrik.wiring.node import FILE, LAUNCHERS, RUNS, launcher_command, read_key, read_node

_PATIENCE_S: Final = 5.0


def serve_node(home: Path, *, ready: Callable[[Path], None]) -> None:
    """Serve the jobs of a node until SIGINT or SIGTERM; launchers then end with the agent.

    Args:
        home: Of the node.
        ready: Called with the socket once jobs are served.

    Raises:
        UsageError: There is no node in this folder, or it names no factory.
        UnavailableError: Another agent serves here.
    """
    config = read_node(home)
    if not config.factory:
        raise UsageError(
            f"{home / FILE} names no factory", hint='Write where the service is: factory = "https://…"'
        )
    ca_pem = _pem(Path(config.ca)) if config.ca else ""
    folder = home / LAUNCHERS
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    socket = Path(config.socket.replace("%n", config.name))
    runs = Path(config.runs) if config.runs else home / RUNS
    forge = Forge(launcher_command(home, config), folder)
    connection = Connection(config.factory, ca_pem=ca_pem, patience_s=_PATIENCE_S)
    with taking_care(runs, lambda: None, uids=NodeCare.load(home).uids) as clear_up:
        settings = AgentSettings(socket, folder, config.factory, ca_pem)
        agent = Agent(settings, read_key(home), Nodes(connection), forge, on_exit=clear_up)
        _end_on_signals(agent)
        forge.warm_up()
        ready(socket)
        try:
            agent.serve()
        finally:
            agent.close()
            forge.close()
            connection.close()


def _end_on_signals(agent: Agent) -> None:
    def end(_number: int, _frame: FrameType | None) -> None:
        threading.Thread(target=agent.close, name="end").start()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


def _pem(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except FileNotFoundError:
        raise NotFoundError(f"there is no certificate {file}", hint=f"Correct `ca` in {FILE}.") from None
