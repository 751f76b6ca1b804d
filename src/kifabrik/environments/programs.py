"""Running one program to its end: lines to whoever watches, and an end to what takes too long.

Everything here works on every platform; who may run as whom is `build`'s business.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

_POLL_S: Final = 0.2
_MOST_KEPT_LINES: Final = 2_000
_COLOUR: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")

Log = Callable[[str], None]
"""Takes one line for people, without its line end."""


@dataclass(frozen=True)
class Ended:
    """How a program ended: its exit status, its whole standard output, its last error lines."""

    status: int
    output: str
    errors: str


def run(
    command: Sequence[str],
    *,
    text: str = "",
    environment: Mapping[str, str],
    folder: Path,
    log: Log,
    keep_open: Collection[int] = (),
    watch: Callable[[float], None] = lambda _: None,
) -> Ended:
    """Run a program and wait for it.

    Args:
        command: Program and arguments; never a shell line.
        text: What it reads from standard input.
        environment: Its whole environment.
        folder: Its working directory.
        log: Receives each line of its standard error as it comes.
        keep_open: File descriptors it inherits beside the three.
        watch: Called several times a second with the seconds gone; what it raises ends the program.
    """
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as output:
        source.write(text.encode())
        source.seek(0)
        with subprocess.Popen(
            command,
            stdin=source,
            stdout=output,
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd=folder,
            pass_fds=tuple(keep_open),
            start_new_session=True,
        ) as process:
            lines: list[str] = []
            assert process.stderr is not None  # noqa: S101 - a pipe was asked for above
            reader = threading.Thread(target=_drain, args=(process.stderr, lines, log), daemon=True)
            reader.start()
            try:
                _wait(process, watch)
            except BaseException:
                _kill(process)
                raise
            finally:
                process.wait()
                reader.join()
        output.seek(0)
        return Ended(process.returncode, output.read().decode(errors="replace"), "\n".join(lines))


def _wait(process: "subprocess.Popen[bytes]", watch: Callable[[float], None]) -> None:
    started = time.monotonic()
    while True:
        try:
            process.wait(timeout=_POLL_S)
        except subprocess.TimeoutExpired:
            watch(time.monotonic() - started)
        else:
            return


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End the program and what it started, which is in a session of its own (no such thing on Windows)."""
    if sys.platform == "win32":
        process.kill()
    elif process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def _drain(stream: IO[bytes], lines: list[str], log: Log) -> None:
    for raw in stream:
        line = _COLOUR.sub("", raw.decode(errors="replace")).rstrip()
        if line and len(lines) < _MOST_KEPT_LINES:
            lines.append(line)
            log(line)
