"""Overwriting the memory of GPUs between runs: asked for, watched, judged.

Invariants:
- nothing is overwritten while somebody computes on the GPU;
- whatever cannot be asked or done counts as not overwritten: no answer is never taken for a good one.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from kifabrik.errors import UnavailableError
from kifabrik.sandbox.gpu_memory import Overwritten
from kifabrik.sensors import nvml
from kifabrik.sensors.counters import CounterLostError

DRIVER: Final = Path("/proc/driver/nvidia")
"""Where NVIDIA's driver tells about itself; it is not there without one."""

PATIENCE_S: Final = 120.0
"""Starting the driver takes seconds where nothing keeps it loaded (nvidia-persistenced), filling less than one."""
_IDLE_S: Final = 30.0
_PAUSE_S: Final = 0.5
_ANSWER: Final = frozenset(field.name for field in fields(Overwritten))
_LIBRARY_PATH: Final = "LD_LIBRARY_PATH"
_HINT: Final = "Mend it, then: scontrol update NodeName=… State=RESUME"


class GpuScrubber:
    """Overwrites GPUs of this node.

    Args:
        driver: Where the driver tells about itself.
        library: What answers in place of `pynvml`.
        patience_s: Seconds until the driver is given up.
        wait: Called with the seconds between two looks.
    """

    def __init__(
        self,
        driver: Path = DRIVER,
        *,
        library: Any = None,
        patience_s: float = PATIENCE_S,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._driver = driver
        self._library = library
        self._patience_s = patience_s
        self._wait = wait

    def scrub(self, minors: tuple[int, ...]) -> int:
        """Overwrite GPUs and return how many bytes; 0 where there is no driver, as then nobody can have used one.

        Args:
            minors: Minor numbers of their device files.

        Raises:
            UnavailableError: One is not overwritten; the message says which and why.
        """
        if not minors or not self._driver.is_dir():
            return 0
        buses = self._buses()
        unknown = [minor for minor in minors if minor not in buses]
        if unknown:
            raise UnavailableError(f"the driver knows no GPU {unknown[0]}", hint=_HINT)
        library = self._library or nvml.load()
        if library is None:
            raise UnavailableError("GPUs cannot be scrubbed: NVML does not answer", hint=_HINT)
        wanted = {minor: buses[minor] for minor in sorted(minors)}
        for minor, bus in wanted.items():
            self._require_free(minor, bus, library)
        done = self._overwrite(wanted)
        for minor, bus in wanted.items():
            fault = _ask(minor, bus, library).fault
            if fault:
                raise UnavailableError(f"GPU {minor}: {fault}", hint=_HINT)
        return done

    def _buses(self) -> dict[int, str]:
        """PCI address by minor number, as the driver lists them."""
        found = {}
        for file in sorted(self._driver.glob("gpus/*/information")):
            fields = dict(line.split(":", 1) for line in _lines(file) if ":" in line)
            minor = fields.get("Device Minor", "").strip()
            if minor.isdigit():
                found[int(minor)] = file.parent.name
        return found

    def _require_free(self, minor: int, bus: str, library: Any) -> None:
        for _ in range(round(_IDLE_S / _PAUSE_S)):
            state = _ask(minor, bus, library)
            if state.partitioned:
                raise UnavailableError(
                    f"GPU {minor} is partitioned (MIG), which scrubbing does not support",
                    hint='Switch MIG off (`nvidia-smi -mig 0`), or set scrub = "none" in node.toml.',
                )
            if not state.processes:
                return
            self._wait(_PAUSE_S)
        names = ", ".join(str(pid) for pid in state.processes)
        raise UnavailableError(f"GPU {minor} cannot be scrubbed: process {names} computes on it", hint=_HINT)

    def _overwrite(self, wanted: Mapping[int, str]) -> int:
        environment = {name: os.environ[name] for name in (_LIBRARY_PATH,) if name in os.environ}
        process = subprocess.Popen(
            [sys.executable, "-I", "-m", "kifabrik.sandbox.gpu_memory", *wanted.values()],
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            said, _ = process.communicate(timeout=self._patience_s)
            ended = f"ended with status {process.returncode}"
        except subprocess.TimeoutExpired as expired:
            process.kill()  # in vain while the driver holds it; it is not waited for then
            said = expired.stdout.decode(errors="replace") if isinstance(expired.stdout, bytes) else ""
            ended = f"did not answer within {self._patience_s:g} s"
        answers = {answer["bus"]: answer for answer in _answers(said)}
        for minor, bus in wanted.items():
            answer = answers.get(bus)
            fault = f"the driver {ended}" if answer is None else answer["fault"]
            if fault:
                raise UnavailableError(f"GPU {minor} is not scrubbed: {fault}", hint=_HINT)
        return sum(int(answer["overwritten_bytes"]) for answer in answers.values())


def _answers(said: str) -> Iterator[dict[str, Any]]:
    """Yield the lines that are answers; what the driver prints by itself, or a line cut off, is none."""
    for line in said.splitlines():
        with suppress(ValueError):
            answer = json.loads(line)
            if isinstance(answer, dict) and answer.keys() == _ANSWER:
                yield answer


def _ask(minor: int, bus: str, library: Any) -> nvml.GpuState:
    try:
        return nvml.state(bus, library)
    except CounterLostError as error:
        raise UnavailableError(f"GPU {minor} does not answer: {error}", hint=_HINT) from None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
