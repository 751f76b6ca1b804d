"""What prolog and epilog cost each job on a node that is fit, and has no GPUs.

    python bench/slurm/hooks.py [TIMES]      root; 50 times each unless told otherwise

Prints the median of the wall time, and the CPU time of one, for a tenant's job and for somebody else's; with the
number of processes of the machine, as each is looked at.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from kifabrik.nodes.agent import Agent, AgentSettings
from kifabrik.signatures.keys import SigningKey
from kifabrik.upkeep.scripts import Hook, script

TIMES = 50
SAID = {"SLURM_JOB_ID": "7", "SLURM_JOB_UID": "998877", "SLURMD_NODENAME": "n1"}
USERS = {"a tenant's job": "kf-p6n5ttka3uva4rbk", "somebody else's": "alice"}


def measure(file: Path, user: str, times: int) -> str:
    """Call a script as slurmd does."""
    walls, before = [], resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(times):
        began = time.perf_counter()
        subprocess.run([file], env=SAID | {"SLURM_JOB_USER": user}, check=True)
        walls.append(time.perf_counter() - began)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return f"{statistics.median(walls) * 1000:.0f} ms, {cpu / times * 1000:.0f} ms CPU"


def main() -> None:
    """Measure both, for both."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else TIMES
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        settings = AgentSettings(home / "agent.sock", home / "launchers", "https://factory.invalid")
        agent = Agent(settings, SigningKey.generate(), nodes=None, forge=None)
        threading.Thread(target=agent.serve, daemon=True).start()
        (home / "node.toml").write_text(
            f'socket = "{settings.socket}"\nlocks = "{home}/locks"\nrun_uids = {{first = 3000000, count = 100}}\n'
        )
        for hook in Hook:
            file = home / hook
            file.write_text(script(hook, home))
            file.chmod(0o755)
            for whose, user in USERS.items():
                print(f"{hook}, {whose}: {measure(file, user, times)}")
        agent.close()
    print(f"{sum(path.name.isdigit() for path in Path('/proc').iterdir())} processes")


if __name__ == "__main__":
    main()
