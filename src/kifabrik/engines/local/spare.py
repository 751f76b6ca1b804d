"""Starting launcher programs, one of them ahead of time.

A launcher spends most of its first half second importing. So one is always kept ready: it has imported
everything and waits for the one line on its standard input that makes it an attempt's launcher. It knows
nothing before that line and ends by itself when its input closes, which is also what happens to it when
the service dies.
"""

import contextlib
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kifabrik.engines.local.processes import ProcessId
from kifabrik.errors import UnavailableError

_VARIABLES: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""What a launcher inherits; proxies and installer settings come on top, secrets never."""
_FAMILIES: Final = ("UV_", "PIP_")
_PROXIES: Final = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")


class Started:
    """A launcher that waits for its line.

    Args:
        identity: The process, leader of its own session.
        pipe: Descriptor of the writing end of its standard input.
        log: Where its standard error goes.
    """

    def __init__(self, identity: ProcessId, pipe: int, log: Path) -> None:
        self.identity = identity
        self.log = log
        self._pipe = pipe

    def name_log(self, target: Path) -> None:
        """Give the log its final name; the process keeps writing to it."""
        self.log.replace(target)
        self.log = target

    def tell(self, line: bytes) -> None:
        """Hand over the line and close its input.

        Raises:
            UnavailableError: It has died meanwhile.
        """
        try:
            os.write(self._pipe, line)
        except OSError:
            raise UnavailableError("the launcher ended before it began", hint=f"See {self.log}.") from None
        finally:
            os.close(self._pipe)

    def dismiss(self) -> None:
        """Let it end, its input closing without a line, and wait for that."""
        os.close(self._pipe)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.identity.pid, 0)
        self.log.unlink(missing_ok=True)


class Spares:
    """Keeps one launcher ready.

    Args:
        command: Absolute path of the program, and arguments; no secret among them.
        folder: Where logs are written.
        keep: Whether to keep a spare; without, each launcher is started when it is needed.
    """

    def __init__(self, command: Sequence[str], folder: Path, *, keep: bool = True) -> None:
        self._command = list(command)
        self._folder = folder
        self._keep = keep
        self._lock = threading.Lock()
        self._spare: Started | None = None
        self._count = 0

    def prepare(self) -> None:
        """Start a spare unless there is one."""
        with self._lock:
            if self._keep and not self._has_spare():
                self._spare = self._start()

    def take(self) -> Started:
        """The spare, or a launcher started now.

        Raises:
            UnavailableError: None can be started.
        """
        with self._lock:
            spare = self._spare if self._has_spare() else None
            self._spare = None
            return spare or self._start()

    def close(self) -> None:
        """Let the spare end."""
        with self._lock:
            spare, self._spare = self._spare, None
        if spare is not None:
            spare.dismiss()

    def _has_spare(self) -> bool:
        if self._spare is None:
            return False
        if self._spare.identity.alive():
            return True
        self._spare.dismiss()
        self._spare = None
        return False

    def _start(self) -> Started:
        self._count += 1
        log = self._folder / f"spare-{os.getpid()}-{self._count}.log"
        reading, writing = os.pipe()
        try:
            pid = os.posix_spawn(
                self._command[0],
                self._command,
                _environment(),
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, reading, 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 2, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                ],
                setsid=True,
            )
        except OSError as error:
            os.close(writing)
            log.unlink(missing_ok=True)
            raise UnavailableError(f"no launcher can be started: {error.strerror}") from None
        finally:
            os.close(reading)
        identity = ProcessId.of(pid)
        if identity is None:  # cannot be: a child is there until it is waited for
            raise AssertionError
        return Started(identity, writing, log)


def _environment() -> dict[str, str]:
    proxies = {name.lower() for name in _PROXIES}
    return {
        name: value
        for name, value in os.environ.items()
        if name in _VARIABLES or name.startswith(_FAMILIES) or name.lower() in proxies
    }
