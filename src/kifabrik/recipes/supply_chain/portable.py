"""The simulator compiled ahead for classes of processors, as files that travel with a job's code.

The room of a sealed run starts empty, so each run would compile the simulator anew: some twenty seconds of a core.
A kit may hold it compiled instead, in the folder `compiled` beside this module.

Invariants:
    - The files are part of the sealed code: whoever signs an order, or binds a grant to code, signs and binds them.
    - They are files of numba's own cache. It takes them for the same text of the kernel, Python and numba only, and
      for the class of processors they were made for; otherwise it compiles, as without them.
    - Classes of processors change how fast the simulator is, not one bit of what it finds.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Final

from kifabrik.errors import CapacityError
from kifabrik.recipes.supply_chain.kernel.text import SOURCES

COMPILED: Final = Path(__file__).parent / "compiled"
_LEVELS: Final = {
    "x86-64-v4": ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
    "x86-64-v3": ("avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"),
}
"""Classes of processors, the best first, and what each adds, as Linux says it (System V ABI, AMD64, 3.1.1)."""
_FILES: Final = ("*.nbi", "*.nbc")
_CPU: Final = "NUMBA_CPU_NAME"
_FEATURES: Final = "NUMBA_CPU_FEATURES"
_CACHE: Final = "NUMBA_CACHE_DIR"


def levels(processor: Path = Path("/proc/cpuinfo")) -> tuple[str, ...]:
    """Classes this processor belongs to, the best first; none where it is not x86-64, or not under Linux."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return ()
    lines = processor.read_text(encoding="utf-8").splitlines()
    has = set(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), ()))
    found: list[str] = []
    for level, adds in reversed(_LEVELS.items()):
        if not has.issuperset(adds):
            break
        found.insert(0, level)
    return tuple(found)


def take(folder: Path = COMPILED) -> str | None:
    """Have numba use what is compiled in a folder, if it has anything for this processor.

    Call it before numba is imported, in a process that is there for one study: numba then compiles all code for the
    same class of processors.

    Returns:
        The class of processors; None where everything is compiled for this one, as usual.
    """
    if "numba" in sys.modules or not folder.is_dir():
        return None
    level = next((level for level in levels() if (folder / level).is_dir()), None)
    if level is None:
        return None
    beside = Path(__file__).parent / "kernel" / "__pycache__"
    try:
        beside.mkdir(exist_ok=True)
        _copy(folder / level, beside)
    except OSError:
        return None
    os.environ |= {_CPU: level, _FEATURES: ""}
    return level


def is_taken() -> bool:
    """Whether numba was told, by `take` or from outside, to compile for a class of processors."""
    return os.environ.get(_CPU) in _LEVELS


def compile_into(folder: Path) -> tuple[str, ...]:
    """Compile the simulator for each class this processor belongs to, or take it from the user's cache.

    Args:
        folder: To make, such as `COMPILED` of a kit's code.

    Returns:
        The classes; none where nothing can be compiled for others.

    Raises:
        CapacityError: A compiler did not end well.
    """
    made = levels()
    with tempfile.TemporaryDirectory() as spare:
        places = {level: (_kept() or Path(spare)) / level for level in made}
        caches = {level: Path(spare) / "numba" / level for level, place in places.items() if not place.is_dir()}
        running = {level: _compiler(level, cache) for level, cache in caches.items()}
        said = {level: one.communicate()[1].decode(errors="replace") for level, one in running.items()}
        for level, one in running.items():
            if one.returncode:
                last = (said[level].strip().splitlines() or ["it was killed"])[-1]
                raise CapacityError(f"The simulator could not be compiled for {level}: {last}")
            _keep(caches[level], places[level])
        for level, place in places.items():
            (folder / level).mkdir(parents=True, exist_ok=True)
            _copy(place, folder / level)
    return made


def _copy(source: Path, target: Path) -> None:
    for pattern in _FILES:
        for file in sorted(source.glob(pattern)):
            shutil.copyfile(file, target / file.name)


def _kept() -> Path | None:
    """The folder with the user's caches in which compiled classes stay for the next call.

    Returns:
        None for a user without a home, or whose home cannot be written: each call compiles.
    """
    versions = f"{SOURCES:x}-numba-{metadata.version('numba')}-python-{platform.python_version()}"
    with suppress(OSError, RuntimeError):
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        place = caches / "kifabrik" / "simulator" / versions
        place.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=place).close()
        return place
    return None


def _keep(cache: Path, place: Path) -> None:
    """Put what a compiler left in numba's cache into a place, whole or not at all; somebody else may be first."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as beside:
        whole = Path(beside) / place.name
        whole.mkdir()
        for found in cache.glob("kernel_*"):  # numba's name for the folder of the sources
            _copy(found, whole)
        try:
            whole.rename(place)
        except OSError:
            if not place.is_dir():
                raise


def _compiler(level: str, cache: Path) -> "subprocess.Popen[bytes]":
    environment = os.environ | {_CPU: level, _FEATURES: "", _CACHE: str(cache)}
    command = [sys.executable, "-P", "-m", "kifabrik.recipes.supply_chain.trial"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
