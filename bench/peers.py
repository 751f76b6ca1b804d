"""Other programs that benchmarks stand beside, in an environment of their own: `.peers`, made when it is missing.

    python bench/peers.py      make it now

What cannot be had here is left out of the benchmark, which then says so.
"""

import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / ".peers"
PACKAGES = ("submitit==1.5.4", "click==8.5.1", "typer==0.29.2")


def python(folder: Path = FOLDER, packages: tuple[str, ...] = PACKAGES) -> Path | None:
    """The interpreter of the peers' environment, or None if it cannot be made."""
    program, done = folder / "bin/python", folder / "made"
    wanted = "\n".join(packages)
    if done.exists() and done.read_text() == wanted:
        return program
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    try:
        subprocess.run([uv, "venv", "-q", "--clear", "--python", sys.executable, folder], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--python", program, *packages], check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    done.write_text(wanted)
    return program


if __name__ == "__main__":
    print(python() or "the peers cannot be had here")
