"""Makes launchers: keeps the template process and has it fork."""

import os
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from kifabrik.engines.local.processes import TEMPLATE_SOCKET, ProcessId
from kifabrik.errors import UnavailableError

LOG: Final = "template.log"
_ANSWER_WITHIN_S: Final = 60.0
_MOST_ANSWER_BYTES: Final = 32
_VARIABLES: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""What a launcher inherits; proxies and installer settings come on top, secrets never."""
_FAMILIES: Final = ("UV_", "PIP_")
_PROXIES: Final = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")


class Started:
    """A launcher that waits for its line.

    Args:
        identity: The process, leader of its own session.
        pipe: Descriptor of the writing end of its standard input.
    """

    def __init__(self, identity: ProcessId, pipe: int) -> None:
        self.identity = identity
        self._pipe = pipe

    def tell(self, line: bytes) -> None:
        """Hand over the line and close its input.

        Raises:
            UnavailableError: It has died meanwhile.
        """
        try:
            os.write(self._pipe, line)
        except OSError:
            raise UnavailableError("the launcher ended before it began", hint="See its log.") from None
        finally:
            os.close(self._pipe)

    def dismiss(self) -> None:
        """Close its input with nothing in it: it ends without having begun."""
        os.close(self._pipe)


class Forge:
    """Starts launchers through the template process, which it starts when it is needed.

    Args:
        command: Absolute path of an interpreter and the template's arguments; no secret among them.
        folder: Where the template's own log is written.
    """

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self._command = list(command)
        self._folder = folder
        self._lock = threading.Lock()
        self._template: socket.socket | None = None
        self._pid = 0

    def warm_up(self) -> None:
        """Start the template unless there is one."""
        with self._lock:
            self._connected()

    def start(self, log: Path) -> Started:
        """Start a launcher whose standard error goes to `log`; a template that died is replaced.

        Raises:
            UnavailableError: None can be started.
        """
        with self._lock:
            for _ in range(2):
                started = self._ask(self._connected(), log)
                if started is not None:
                    return started
                self._dismiss()
        raise UnavailableError("no launcher can be started", hint=f"See {self._folder / LOG}.")

    def close(self) -> None:
        """Let the template end; launchers go on."""
        with self._lock:
            self._dismiss()

    def _ask(self, template: socket.socket, log: Path) -> Started | None:
        """Have the template fork; None if it is gone or does not answer."""
        try:
            errors = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UnavailableError(f"no launcher can be started: {log}: {error.strerror}") from error
        reading, writing = os.pipe()
        try:
            socket.send_fds(template, [b"+"], [reading, errors])
            answer = template.recv(_MOST_ANSWER_BYTES)
        except OSError:
            answer = b""
        finally:
            os.close(reading)
            os.close(errors)
        identity = ProcessId.of(int(answer)) if answer.isdigit() else None
        if identity is None:
            os.close(writing)
            return None
        return Started(identity, writing)

    def _connected(self) -> socket.socket:
        if self._template is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.settimeout(_ANSWER_WITHIN_S)
            try:
                self._pid = self._spawn(theirs)
            except OSError as error:
                ours.close()
                raise UnavailableError(f"no launcher can be started: {error.strerror}") from None
            finally:
                theirs.close()
            self._template = ours
        return self._template

    def _spawn(self, theirs: socket.socket) -> int:
        log = str(self._folder / LOG)
        return os.posix_spawn(
            self._command[0],
            self._command,
            _environment(),
            file_actions=[
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), TEMPLATE_SOCKET),
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
            ],
            setsid=True,
        )

    def _dismiss(self) -> None:
        if self._template is not None:
            self._template.close()
            self._template = None
            with suppress(ChildProcessError):
                os.waitpid(self._pid, 0)


def _environment() -> dict[str, str]:
    proxies = {name.lower() for name in _PROXIES}
    return {
        name: value
        for name, value in os.environ.items()
        if name in _VARIABLES or name.startswith(_FAMILIES) or name.lower() in proxies
    }
