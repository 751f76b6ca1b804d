"""SAP's own OData server and a certified sign-in service, as processes on loopback.

`scripts/install-services` installs them; the model, the data and the delta links are ours (`sap_peer/`).
"""

import hashlib
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ports import free_port

SOURCES = Path(__file__).parent / "sap_peer"
_PATIENCE_S = 60


def installed() -> Path | None:
    """The folder the packages were installed to, if they were."""
    digest = hashlib.sha256((SOURCES / "package-lock.json").read_bytes()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(os.environ.get("KIFABRIK_SERVICES") or cache / "kifabrik" / "services") / digest
    return folder if (folder / ".installed").exists() else None


@dataclass
class Peer:
    """Both servers.

    Args:
        folder: Where the sources are copied to and the logs go.
        settings: Environment variables of the servers, such as `PEER_PRODUCTS`.
    """

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    secret: str = field(default_factory=lambda: secrets.token_hex(12))
    port: int = field(default_factory=free_port)
    sign_in_port: int = field(default_factory=free_port)
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Of the OData server."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def token_url(self) -> str:
        """Where tokens are given out."""
        return f"http://127.0.0.1:{self.sign_in_port}/token"

    def service(self, name: str, version: int = 4) -> str:
        """URL of a service."""
        return f"{self.url}/odata/v{version}/{name}"

    def start(self) -> "Peer":
        """Start both; returns once they answer."""
        modules = installed()
        assert modules is not None
        if not self.folder.exists():
            shutil.copytree(SOURCES, self.folder)
            (self.folder / "node_modules").symlink_to(modules / "node_modules")
        self._start("sign-in", "sign_in.mjs", ready="sign-in is ready")
        self.start_odata()
        return self

    def start_odata(self) -> None:
        """Start the OData server."""
        serve = "node_modules/@sap/cds/bin/serve.js"
        self._start("odata", serve, "all", "--port", str(self.port), ready="server listening on")

    def kill_odata(self) -> None:
        """End the OData server as a crash would."""
        process = self._running.pop()
        process.send_signal(signal.SIGKILL)
        process.wait(20)

    def stop(self) -> None:
        """End both."""
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.wait(20)
        self._running.clear()

    def _start(self, name: str, *words: str, ready: str) -> None:
        log = self.folder / f"{name}.log"
        environment = {
            **os.environ,
            "NO_COLOR": "1",
            "HOST": "127.0.0.1",
            "PEER_SECRET": self.secret,
            "PEER_SIGN_IN_PORT": str(self.sign_in_port),
            "PEER_ISSUER": f"http://127.0.0.1:{self.sign_in_port}",
            **self.settings,
        }
        with log.open("wb") as out:
            process = subprocess.Popen(
                ["node", *words], cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        self._running.append(process)
        until = time.monotonic() + _PATIENCE_S
        while ready not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)


@contextmanager
def running(folder: Path, **settings: str) -> Iterator[Peer]:
    """Both servers for the length of a block; `folder` must not exist."""
    peer = Peer(folder, settings)
    try:
        yield peer.start()
    finally:
        peer.stop()
