"""The agent of a node: starts launchers for the jobs a cluster's scheduler has put here.

One thread accepts, one serves each job. A job's stub (`kifabrik.nodes.enter`) connects and names its attempt;
the agent claims the attempt from the factory with the node's key, has a launcher forked, moves it into the job's
control groups and only then tells it what to do.
"""

import json
import logging
import os
import re
import select
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kifabrik.client.nodes import Nodes
from kifabrik.durable import make_folder
from kifabrik.engines.local.forge import Forge
from kifabrik.errors import KifabrikError, RefusedError, UnavailableError
from kifabrik.factory.engine import array_attempt
from kifabrik.nodes.caller import Caller, identify, is_root
from kifabrik.nodes.claiming import claim_attempt
from kifabrik.nodes.groups import clear_groups, join_groups
from kifabrik.signatures.keys import SigningKey

_ATTEMPT: Final = re.compile(r"enter (?:(a-[a-z2-7]{16,32})|(kf-[a-z2-7]{16}))")
ALIVE: Final = b"alive"
"""What root of the node asks, such as the prolog: the agent answers with status 0."""
_SIGNAL: Final = re.compile(r"signal (\d{1,2})")
_PASSED_ON: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2})
_MOST_MESSAGE_BYTES: Final = 4096
_MOST_CALLERS: Final = 4096
_DYING_S: Final = 10.0
_FIRST_WORD_S: Final = 10.0
_REFUSED: Final = 77
_TRY_AGAIN: Final = 75
_KILLED: Final = 137
"""Statuses of sysexits.h, and of a shell for SIGKILL."""
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AgentSettings:
    """What an agent works with.

    Args:
        socket: Where stubs find it; anybody of the node may connect.
        folder: For logs of launchers that said something.
        factory: URL launchers reach the service at.
        ca_pem: Certificate authority they trust besides the system's.
    """

    socket: Path
    folder: Path
    factory: str
    ca_pem: str = ""


class Agent:
    """Serves jobs until it is closed; launchers of living jobs are then ended with their stubs.

    Args:
        settings: What it works with.
        key: The node's.
        nodes: The factory.
        forge: Starts launchers.
        on_exit: Called when a launcher has ended.
    """

    def __init__(
        self,
        settings: AgentSettings,
        key: SigningKey,
        nodes: Nodes,
        forge: Forge,
        *,
        on_exit: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._key = key
        self._nodes = nodes
        self._forge = forge
        self._on_exit = on_exit
        self._seats = threading.BoundedSemaphore(_MOST_CALLERS)
        make_folder(settings.folder)
        self._listener = _listen(settings.socket)

    def serve(self) -> None:
        """Accept jobs until `close`."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._seats.acquire()
            threading.Thread(target=self._serve, args=(connection,), name="job", daemon=True).start()

    def close(self) -> None:
        """Accept no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._settings.socket.unlink(missing_ok=True)

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                status, message = self._run(connection)
            except RefusedError as error:
                status, message = _REFUSED, f"{error.message}. {error.hint}".rstrip()
            except KifabrikError as error:
                status, message = _TRY_AGAIN, f"{error.message}. {error.hint}".rstrip()
            except OSError as error:
                status, message = _TRY_AGAIN, f"the agent failed: {error.strerror}"
            finally:
                self._seats.release()
            if message:
                _logger.warning("a job was not served: %s", message)
            with suppress(OSError):
                connection.send(f"{status} {message}".encode())

    def _run(self, connection: socket.socket) -> tuple[int, str]:
        connection.settimeout(_FIRST_WORD_S)
        said = connection.recv(_MOST_MESSAGE_BYTES)  # before anything is refused: else the answer is lost with it
        connection.settimeout(None)
        if said == ALIVE and is_root(connection):
            return 0, ""
        caller = identify(connection)
        try:
            asked = _ATTEMPT.fullmatch(said.decode(errors="replace"))
            if asked is None:
                raise RefusedError("a stub names its attempt first")
            attempt = asked[1] or array_attempt(asked[2], caller.task)
            return self._launch(connection, caller, attempt), ""
        finally:
            os.close(caller.pidfd)
            self._on_exit()

    def _launch(self, connection: socket.socket, caller: Caller, attempt: str) -> int:
        claimed = claim_attempt(self._nodes, self._key, caller, attempt)
        log = self._settings.folder / f"{attempt}.log"
        verdict = self._settings.folder / f"{attempt}.status"
        started = self._forge.start(log)
        launcher = os.pidfd_open(started.identity.pid)
        groups: tuple[Path, ...] = ()
        try:
            groups = join_groups(started.identity.pid, caller.pid)
            started.tell(
                json.dumps(
                    {
                        "factory": self._settings.factory,
                        "ca_pem": self._settings.ca_pem,
                        "attempt": attempt,
                        "token": claimed.token,
                        "tenant": claimed.tenant,
                        "gpus": caller.gpus,
                        "rank": caller.rank,
                        "verdict": str(verdict),
                    }
                ).encode()
                + b"\n"
            )
            return _verdict(verdict) if _watch(connection, caller, launcher) else _KILLED
        finally:
            started.identity.kill_group()
            _wait_for(launcher)
            os.close(launcher)
            clear_groups(groups)
            verdict.unlink(missing_ok=True)
            if log.exists() and not log.stat().st_size:
                log.unlink()


def _watch(connection: socket.socket, caller: Caller, launcher: int) -> bool:
    """Pass signals on until the launcher or its job has ended; whether it was the launcher."""
    while True:
        ready = select.select([launcher, caller.pidfd, connection.fileno()], [], [])[0]
        if launcher in ready:
            return True
        said = b""
        if connection.fileno() in ready:
            with suppress(ConnectionError):
                said = connection.recv(_MOST_MESSAGE_BYTES)
        if not said:  # the stub is gone: so is the job
            return False
        asked = _SIGNAL.fullmatch(said.decode(errors="replace"))
        if asked is not None and int(asked[1]) in _PASSED_ON:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(launcher, int(asked[1]))


def _wait_for(process: int) -> None:
    select.select([process], [], [], _DYING_S)


def _verdict(file: Path) -> int:
    """What a launcher has written down last; one that could not has failed."""
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 1


def _listen(path: Path) -> socket.socket:
    """Listen where anybody of the node may connect: who it is says the kernel.

    Raises:
        UnavailableError: Another agent listens there, or the folder cannot be made.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if _answers(path):
            raise UnavailableError(f"another agent of this node listens at {path}")
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        path.chmod(0o666)
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise UnavailableError(f"cannot listen at {path}: {error.strerror}") from None
    return listener


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
