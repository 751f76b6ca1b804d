"""A factory and a keyholder on this machine, for benchmarks that need the whole."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kifabrik.customer.profile import enrol
from kifabrik.customer.sdk import connect
from kifabrik.customer.seal import seal_dataset
from kifabrik.engines.local.look import node_processes
from kifabrik.engines.local.processes import ProcessId
from kifabrik.tenants.invitation import Invitation
from kifabrik.transfer.objects import silent
from kifabrik.values import Place
from kifabrik.wiring.factory import init_home
from kifabrik.wiring.node import init_node
from kifabrik.wiring.objects import OBJECTS
from kifabrik.wiring.runs import NODE

KIFABRIK = Path(sys.executable).parent / "kifabrik"


def make_factory(home: Path) -> Path:
    """Make the factory's home on a free port; return its node's folder."""
    init_home(home / "factory", port=0)
    init_node(home / "factory" / NODE, place=Place(), objects=home / "factory" / OBJECTS)
    return home / "factory" / NODE


@contextmanager
def up(home: Path, *options: str, more: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run `kifabrik up` with these options; it has ended when the block is left."""
    environment = {**os.environ, "KIFABRIK_HOME": str(home), **(more or {})}
    with (home / "up.log").open("a") as log:
        process = subprocess.Popen([KIFABRIK, "up", *options], env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait()
            end_launchers(home / "factory" / NODE)


def end_launchers(node: Path) -> None:
    """End the launchers that would go on trying to reach a factory that is gone: for an hour each."""
    for one in node_processes(node):
        identity = ProcessId.of(one.pid)
        if identity is not None:
            identity.kill_group()


def wait_until(ready, home: Path, seconds: float = 90) -> None:
    """Wait for something the parties do; end the benchmark with their words if it does not come."""
    until = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > until:
            sys.exit(f"the parties did not start: {(home / 'up.log').read_text()}")
        time.sleep(0.1)


def enrol_here(home: Path) -> None:
    """Enrol this machine as the tenant's owner, once the parties have made an invitation."""
    invitation, key = home / "invitation.json", home / "keyholder.key"
    wait_until(lambda: invitation.exists() and invitation.read_text().endswith("}\n") and key.exists(), home)
    enrol(home, Invitation.from_text(invitation.read_text()))


def seal_few(home: Path, name: str, purpose: str) -> None:
    """Seal 8 files of 1 MB in all, and grant their use."""
    data = home / name
    data.mkdir()
    for number in range(8):
        (data / f"{number}.bin").write_bytes(os.urandom(125_000))
    with connect(home) as factory:
        seal_dataset(factory.session, name, data, bar=NoBar)
    grant = ["dataset", "grant", name, "--purpose", purpose, "--passphrase-file", home / "passphrase.txt"]
    environment = {**os.environ, "KIFABRIK_HOME": str(home)}
    subprocess.run([KIFABRIK, *grant], env=environment, check=True, capture_output=True)


def write_job(home: Path, text: str) -> Path:
    """Write a job file into a folder of its own."""
    folder = home / "job"
    folder.mkdir()
    (folder / "job.yaml").write_text(text)
    return folder / "job.yaml"


class NoBar:
    """A progress bar nobody looks at."""

    def __init__(self, *_arguments: object) -> None:
        pass

    def __enter__(self):
        return silent

    def __exit__(self, *_error: object) -> None:
        pass
