"""A factory that drives runs on several nodes; started by tests with its home and the process its nodes belong to.

Its engine starts the launcher of every node of an attempt in that node's namespace, as a cluster's scheduler would
start one on each machine. If one of them dies, the attempt is gone, and the others are ended: so do Slurm's `srun
--kill-on-bad-exit`, and mpirun.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import uvicorn
from fabric import Fabric

from kifabrik.factory.engine import Life
from kifabrik.service.app import make_app
from kifabrik.wiring.factory import open_factory
from kifabrik.wiring.factory_config import read_config
from kifabrik.wiring.node import read_key, read_node
from kifabrik.wiring.runs import reconciler


class NamespaceEngine:
    """Starts launchers in network namespaces."""

    def __init__(self, home, fabric, url, nodes):
        self._home, self._fabric, self._url = home, fabric, url
        self._nodes = nodes
        self._attempts = {}
        self._lock = threading.Lock()

    def serves(self, node):
        return node in self._nodes

    def submit(self, task):
        with self._lock:
            if task.attempt in self._attempts:
                return
            self._attempts[task.attempt] = [
                self._start(task, rank, share) for rank, share in enumerate(task.placement)
            ]
        self._note()

    def poll(self):
        with self._lock:
            return {name: self._life(processes) for name, processes in self._attempts.items()}

    def kill(self, attempt):
        with self._lock:
            for process in self._attempts.get(attempt, ()):
                _kill(process)

    def forget(self, attempt):
        with self._lock:
            self._attempts.pop(attempt, None)

    def _life(self, processes):
        ends = [process.poll() for process in processes]
        if any(end not in (None, 0) for end in ends):
            for process in processes:
                if process.poll() is None:
                    process.terminate()  # its launcher lives on to wipe; `kill` comes if it overstays
        return Life.GONE if any(end not in (None, 0) for end in ends) or None not in ends else Life.ALIVE

    def _start(self, task, rank, share):
        number = self._nodes[share.node]
        node_home = self._home.parent / "nodes" / str(number)
        altered = node_home / "launcher.py"  # of a node whose root is not honest
        program = [str(altered)] if altered.exists() else ["-m", "kifabrik.launcher"]
        line = {
            "factory": self._url,
            "attempt": task.attempt,
            "token": task.token,
            "tenant": task.tenant,
            "gpus": list(share.gpus),
            "rank": rank,
        }
        with (node_home / f"{task.attempt}.log").open("ab") as log:
            process = subprocess.Popen(
                [
                    *self._fabric.inside(number),
                    *(sys.executable, "-P", *program, "--node-home", str(node_home)),
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        process.stdin.write(json.dumps(line).encode() + b"\n")
        process.stdin.close()
        return process

    def _note(self):
        """Let the tests know which process works as which rank."""
        known = {name: [one.pid for one in processes] for name, processes in self._attempts.items()}
        partial = self._home.parent / "launchers.partial"
        partial.write_text(json.dumps(known))
        partial.replace(self._home.parent / "launchers.json")


def _kill(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def main():
    home, fabric = Path(sys.argv[1]), Fabric(int(sys.argv[2]))
    config = read_config(home)
    url = f"http://{config.host}:{config.port}"
    factory = open_factory(home)
    nodes = {}
    for number, folder in enumerate(sorted((home.parent / "nodes").iterdir())):
        found = read_node(folder)
        factory.runs.fleet.enrol(found.record(read_key(folder)))
        nodes[found.node] = number
    loop = reconciler(factory, NamespaceEngine(home, fabric, url, nodes))
    loop.start()
    settings = uvicorn.Config(
        make_app(factory),
        host=config.host,
        port=config.port,
        http="h11",
        ws="none",
        lifespan="on",
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    try:
        uvicorn.Server(settings).run()
    finally:
        loop.close()
        factory.store.close()


if __name__ == "__main__":
    main()
