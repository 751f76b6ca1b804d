"""Long-lived processes, started again with a growing pause when they end, as systemd would."""

import subprocess
import threading
import time
from contextlib import suppress

from soak.pace import in_time

PAUSES_S = (0.5, 1.0, 2.0, 4.0)
SETTLED_S = 10.0


class Service:
    """One process that is to run all the time.

    Args:
        name: For the report.
        command: Program and arguments.
        environment: Its variables.
        folder: Its working folder, which also gets its log.
    """

    def __init__(self, name, command, environment, folder):
        self.name = name
        self.starts = 0
        self._command = [str(word) for word in command]
        self._environment = environment
        self._folder = folder
        self._process = None
        self._wanted = False
        self._turn = threading.Condition()
        self._thread = threading.Thread(target=self._keep, name=name, daemon=True)
        self._thread.start()

    @property
    def pid(self):
        """Process id, or None while it is down."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def log(self):
        """Where it writes."""
        return self._folder / f"{self.name}.log"

    def start(self):
        """Have it run from now on."""
        with self._turn:
            self._wanted = True
            self._turn.notify_all()

    def stop(self, patience_s=30.0):
        """End it with SIGTERM, and stay without it; whether it went by itself."""
        with self._turn:
            self._wanted = False
            self._turn.notify_all()
            process = self._process
        if process is None:
            return True
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            process.wait(in_time(patience_s))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return False
        return True

    def cut_off(self):
        """Kill it, and stay without it until it is started again."""
        with self._turn:
            self._wanted = False
            process = self._process
        if process is not None:
            process.kill()
            process.wait()

    def _keep(self):
        failures = 0
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._wanted)
                started = time.monotonic()
                self._process = self._run()
                self.starts += 1
            self._process.wait()
            failures = 0 if time.monotonic() - started > SETTLED_S else failures + 1
            time.sleep(PAUSES_S[min(failures, len(PAUSES_S) - 1)])

    def _run(self):
        with self.log.open("a") as log:
            return subprocess.Popen(
                self._command,
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
