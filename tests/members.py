"""Further processes of a factory that runs: such as answer only, and such as may drive the runs."""

import os
import subprocess
import sys
from pathlib import Path

_SERVE = """
import sys
from pathlib import Path
from kifabrik.wiring.factory import serve
home, port, drives = sys.argv[1:]
serve(Path(home), ready=lambda _url: print("ready", flush=True), port=int(port), drives=drives == "drives")
"""


class Member:
    """One more process of a factory."""

    def __init__(self, home: Path, port: int = 0, does: str = "answers") -> None:
        self.url = f"http://127.0.0.1:{port}"
        words = [sys.executable, "-c", _SERVE, str(home), str(port), does]
        with (home.parent / "members.log").open("ab") as log:
            self.process = subprocess.Popen(
                words,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "PYTHONWARNINGS": "default"},
            )
        self._log = home.parent / "members.log"

    def ready(self) -> "Member":
        """Wait until it answers; several start at one time."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n", self._log.read_text()
        return self

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Stop it as its operator would; it ends well, or was killed before."""
        if self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(30) == 0
        assert self.process.stdout is not None
        self.process.stdout.close()
