"""`kifabrik keyholder run`."""

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Final

import click

from kifabrik.cli.options import home_option
from kifabrik.cli.terminal import done, remark, step, warn
from kifabrik.cli.unlock import key_file_option, passphrase_option, unlocked
from kifabrik.keyholder.events import Event, EventKind
from kifabrik.values import format_time, now_utc

_SAY: Final = {
    EventKind.ALARM: warn,
    EventKind.WARNING: warn,
    EventKind.OFFLINE: warn,
    EventKind.ASKED: warn,
    EventKind.REFUSED: warn,
    EventKind.RELEASED: done,
    EventKind.CONNECTED: done,
}


@click.command(
    epilog="""\b
    Examples:
      kifabrik keyholder run
      kifabrik keyholder run --key-file /etc/kifabrik/keyholder.key
    """
)
@passphrase_option
@key_file_option
@home_option
def run(passphrase_file: Path | None, key_file: Path | None, home: Path) -> None:
    """Serve until Ctrl-C. Connects outwards only; no port is opened here.

    For unattended start use a key file, or a systemd credential named kifabrik-keyholder.
    """
    with unlocked(home, passphrase_file, key_file) as keyholder:
        stop = threading.Event()

        def end(_signal: int, _frame: FrameType | None) -> None:
            stop.set()
            keyholder.wake()

        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, end)
        step(f"The keyholder of {keyholder.tenant} serves")
        keyholder.serve(stop, _say)


def _say(event: Event) -> None:
    _SAY.get(event.kind, remark)(f"{format_time(now_utc())}  {event.kind.value}: {event.text}")
