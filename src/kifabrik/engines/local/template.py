"""A program that has imported the launcher once and forks one for each attempt.

    python -P -m kifabrik.engines.local.template MODULE|FILE [ARGUMENT …]

Importing takes a launcher most of its first half second. This process does it ahead of time and only
once, and calls the module's `get_ready()` if it has one; it never runs a launcher itself, knows no secret and
starts no thread. Over a socket it is handed two descriptors at a time, a standard input and a standard error;
it forks, and the child becomes a process of its own session whose `main()` begins as if it had just been
started. It ends when the socket closes, that is with the service, and its children go on.

Source: fork(2), setsid(2), unix(7) on passing descriptors.
"""

import gc
import importlib
import importlib.util
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Final

from kifabrik.engines.local.processes import TEMPLATE_SOCKET

_STDIN, _STDERR = 0, 2
_DESCRIPTORS: Final = 2


def main() -> int:
    """Fork launchers until the socket closes; in a child, be the launcher."""
    sys.argv = sys.argv[1:]
    # What the service may have left open to be inherited.
    os.closerange(TEMPLATE_SOCKET + 1, os.sysconf("SC_OPEN_MAX"))
    module = load(sys.argv[0])
    getattr(module, "get_ready", lambda: None)()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are collected by the kernel
    gc.collect()
    gc.freeze()  # what is shared with children is not touched by their collector
    launch: Callable[[], int | None] = module.main
    return launch() or 0 if serve(socket.socket(fileno=TEMPLATE_SOCKET)) else 0


def load(name: str) -> ModuleType:
    """Import a module, or a file."""
    return _from_file(Path(name)) if name.endswith(".py") else importlib.import_module(name)


def _from_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def serve(service: socket.socket) -> bool:
    """Fork at each request; False once the socket has closed, True in a child."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(service, 1, _DESCRIPTORS)
        if not message:
            return False
        pid = os.fork()
        if pid == 0:
            service.close()
            _become_launcher(*descriptors)
            return True
        for descriptor in descriptors:
            os.close(descriptor)
        service.send(str(pid).encode())


def _become_launcher(stdin: int, stderr: int) -> None:
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for source, target in ((stdin, _STDIN), (stderr, _STDERR)):
        os.dup2(source, target)
        os.close(source)
    sys.stdin = os.fdopen(_STDIN, encoding="utf-8", closefd=False)


if __name__ == "__main__":
    sys.exit(main())
