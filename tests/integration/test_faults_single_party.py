"""`kifabrik up --single-party` that is killed while it sets up its second party goes on where it stopped."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ports import free_port

KIFABRIK = Path(sys.executable).parent / "kifabrik"
PATIENCE_S = 90.0


@contextmanager
def up(home: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """The command, killed at the end with all it has started."""
    command = [KIFABRIK, "up", "--single-party", "--home", home, "--port", str(port)]
    with (home.parent / "up.log").open("ab") as log:
        running = subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )
    try:
        yield running
    finally:
        os.killpg(running.pid, 9)
        running.wait()


def wait_for(path: Path, words: str = "") -> None:
    until = time.monotonic() + PATIENCE_S
    while not path.exists() or words not in path.read_text(errors="replace"):
        assert time.monotonic() < until, f"{path} does not come"
        time.sleep(0.002)


def test_it_is_set_up_whole_however_often_its_start_is_killed(tmp_path: Path) -> None:
    home, log, port = tmp_path / "home", tmp_path / "up.log", free_port()
    for part in ("passphrase.txt", "keyholder/keyholder.db", "keyholder.key"):
        with up(home, port):
            wait_for(home / part)
    with up(home, port):
        wait_for(log, "The keyholder runs")
        assert "Traceback" not in log.read_text()
        assert (home / "passphrase.txt").stat().st_mode & 0o077 == 0
        said = subprocess.run(
            [KIFABRIK, "login", home / "invitation.json", "--home", home, "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert said.returncode == 0, said.stdout + said.stderr
