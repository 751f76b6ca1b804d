"""A real Slurm cluster on one machine: munge, MariaDB, slurmdbd, slurmctld and as many slurmd as asked for.

    python tests/slurm/cluster.py up --folder F --nodes 4 --gpus 8     waits until every node is idle
    SLURM_CONF=F/etc/slurm.conf sinfo
    python tests/slurm/cluster.py down --folder F

Invariants:
- one supervisor process owns everything: daemons run in the foreground below it, and whatever they leave behind
  (steps, jobs) becomes its child (PR_SET_CHILD_SUBREAPER), so ending it ends every process of the cluster;
- the supervisor ends with whoever started it, unless it was started by `up`; if it is killed, a process that waits
  for just that ends and removes what it would have;
- nothing is written outside the cluster's folder but control groups, and where nodes have networks of their own a
  bridge and namespaces; they are removed at the end, and what is mounted in the folder is unmounted.
"""

import argparse
import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import cluster_config as config
import cluster_network as networks

NEEDED: Final = ("slurmctld", "slurmd", "slurmdbd", "munged", "mariadbd", "mariadb-install-db", "sbatch")
_CGROUPS: Final = Path("/sys/fs/cgroup")
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def missing() -> str:
    """Say in one sentence why no cluster can be built here; empty if one can."""
    if os.geteuid() != 0:
        return "a Slurm cluster needs root"
    absent = [name for name in NEEDED if shutil.which(name, path=_PATH) is None]
    if absent:
        return f"Slurm is not installed ({', '.join(absent)}): run scripts/install-slurm"
    if not (_CGROUPS / "freezer").is_dir():
        return "the test cluster is made for control groups v1, which this machine does not have"
    return ""


@dataclass(frozen=True)
class Cluster:
    """A running cluster, by its folder."""

    folder: Path

    @property
    def conf(self) -> Path:
        """Its slurm.conf, for SLURM_CONF."""
        return self.folder / "etc" / "slurm.conf"

    @property
    def env(self) -> dict[str, str]:
        """Environment for Slurm's commands."""
        return {"PATH": _PATH, "SLURM_CONF": str(self.conf), "LC_ALL": "C.UTF-8", "HOME": "/"}

    @property
    def network(self) -> networks.Network:
        """Where the nodes are reached: `address` is what they reach this machine by."""
        return networks.Network(**json.loads((self.folder / "run" / "network.json").read_text()))

    def folder_of(self, node: str) -> Path:
        """A folder of a node's own, for what runs beside its slurmd."""
        return self.folder / "nodes" / node

    def address_of(self, node: str) -> str:
        """Address of a node."""
        return self.network.address_of(_number(node))

    def on(self, node: str, *command: str, user: str | None = None, timeout: float = 60) -> str:
        """Run a command in a node's network; see `run`."""
        words = self._replaced(node, command)
        if user:
            words = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--", *words]
        return self.run(*self.network.entering(_number(node)), *words, timeout=timeout)

    def run(self, *command: str, user: str | None = None, stdin: str = "", timeout: float = 60) -> str:
        """Run one command as root or another user and return what it says.

        Raises:
            subprocess.CalledProcessError: It failed; the notes hold what it said.
        """
        groups: dict[str, object] = {"user": user, "group": user, "extra_groups": []} if user else {}
        done = subprocess.run(
            command,
            check=False,
            env=self.env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd="/",
            **groups,
        )
        if done.returncode:
            error = subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
            error.add_note(done.stdout + done.stderr)
            raise error
        return done.stdout

    def pid_of(self, daemon: str) -> int:
        """Process number of `munged`, `mariadbd`, `slurmdbd`, `slurmctld`, a node's slurmd (`n3`), or of what runs
        beside that (`n3.agent`).
        """
        return int(json.loads((self.folder / "run" / "pids.json").read_text())[daemon])

    def kill(self, daemon: str, number: int = signal.SIGKILL) -> None:
        """Send a daemon a signal; what was ended stays so until `start`."""
        os.kill(self.pid_of(daemon), number)

    def start(self, daemon: str) -> None:
        """Have the supervisor start a daemon again that was ended."""
        self._wish(daemon, ())

    def start_beside(self, node: str, name: str, *command: str) -> None:
        """Have the supervisor start another daemon beside a node's slurmd, as `ClusterSpec.beside` does.

        From then on it is known as `NODE.NAME`, and ends with the cluster.
        """
        self._wish(f"{node}.{name}", (*self.network.entering(_number(node)), *self._replaced(node, command)))

    def _wish(self, daemon: str, command: Sequence[str]) -> None:
        wish = self.folder / "run" / f"start-{daemon}"
        partial = wish.with_name(f"wish-{daemon}")
        partial.write_text(json.dumps(command))
        partial.rename(wish)
        _until(lambda: not wish.exists(), 60, f"{daemon} was not started")

    def _replaced(self, node: str, command: Sequence[str]) -> list[str]:
        values = {
            "{node}": node, "{folder}": str(self.folder_of(node)), "{address}": self.address_of(node),
            "{cluster}": str(self.folder),
        }  # fmt: skip
        words = list(command)
        for name, value in values.items():
            words = [word.replace(name, value) for word in words]
        return words

    def down(self) -> None:
        """End it and wait until nothing of it is left."""
        try:
            pid = int((self.folder / "run" / "supervisor.pid").read_text())
            os.kill(pid, signal.SIGTERM)
        except (FileNotFoundError, ProcessLookupError):
            return
        _until(lambda: _gone(pid), 180, "the supervisor did not end")


@contextlib.contextmanager
def running(spec: config.ClusterSpec, timeout: float = 300) -> Iterator[Cluster]:
    """Build a cluster, yield it when every node is idle, and take it down; it ends with this process."""
    supervisor = _spawn(spec, ("--bound",))
    cluster = Cluster(spec.folder)
    try:
        _wait_ready(cluster, supervisor, timeout)
        yield cluster
    finally:
        supervisor.terminate()
        supervisor.wait(180)


def up(spec: config.ClusterSpec, timeout: float = 900) -> Cluster:
    """Build a cluster that stays until `down`."""
    cluster = Cluster(spec.folder)
    _wait_ready(cluster, _spawn(spec, ()), timeout)
    return cluster


def _spawn(spec: config.ClusterSpec, flags: Sequence[str]) -> "subprocess.Popen[bytes]":
    spec = replace(spec, folder=spec.folder.resolve())
    if (spec.folder / "run").exists():
        shutil.rmtree(spec.folder)
    (spec.folder / "log").mkdir(parents=True, exist_ok=True)
    spec.folder.chmod(0o755)
    (spec.folder / "spec.json").write_text(json.dumps(asdict(spec), default=str))
    with (spec.folder / "log" / "supervisor.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, __file__, "supervise", "--folder", str(spec.folder), *flags],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip


def _wait_ready(cluster: Cluster, supervisor: "subprocess.Popen[bytes]", timeout: float) -> None:
    ready = cluster.folder / "run" / "ready"

    def look() -> bool:
        if supervisor.poll() is not None:
            raise RuntimeError("the cluster did not start:\n" + _last_words(cluster.folder))
        return ready.exists()

    _until(look, timeout, "the cluster did not become ready", pause=0.1)


def _last_words(folder: Path) -> str:
    logs = sorted(folder.glob("log/*.log"), key=lambda log: log.stat().st_mtime)[-4:]
    return "\n".join(f"--- {log.name}\n" + "\n".join(log.read_text().splitlines()[-8:]) for log in logs)


def _until(test, seconds: float, what: str, pause: float = 0.05) -> None:
    end = time.monotonic() + seconds
    while not test():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(pause)


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
    except (FileNotFoundError, ProcessLookupError):
        return True


class Supervisor:
    """Starts the daemons of a cluster in order, and ends them and everything below."""

    def __init__(self, spec: config.ClusterSpec) -> None:
        self.spec = spec
        self.cluster = Cluster(spec.folder)
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        self.commands: dict[str, tuple[Sequence[str], str | None]] = {}
        self.network = networks.Network()
        self.heir: subprocess.Popen[bytes] | None = None

    def build(self) -> None:
        """Bring everything up; ready when every node is idle."""
        spec, folder = self.spec, self.spec.folder
        ports = config.free_ports(spec.nodes)
        self._folders()
        self._network()
        self._files(ports)
        self._devices()
        self._munge()
        self._database(ports)
        self._daemon("slurmdbd", "slurmdbd", "-D")
        self._retry(["sacctmgr", "-i", "add", "cluster", config.CLUSTER], "slurmdbd does not answer")
        self._daemon("slurmctld", "slurmctld", "-D", "-f", str(self.cluster.conf))
        for name in spec.node_names:
            self._node(name)
        self._note()
        _until(self._all_idle, 600, "not all nodes became idle", pause=0.2 if spec.nodes < 100 else 2)
        (folder / "run" / "ready").touch()

    def serve(self) -> None:
        """Wait to be ended; collect children and start again what a test asks for."""
        while True:
            for wish in (self.spec.folder / "run").glob("start-*"):
                name = wish.name.removeprefix("start-")
                if name in self.daemons:
                    self.daemons[name].wait(60)
                command, user = self.commands.get(name, ((), None))
                self._daemon(name, *(json.loads(wish.read_text()) or command), user=user)
                self._note()
                wish.unlink()
            _collect({daemon.pid for daemon in self.daemons.values()})
            time.sleep(0.05)

    def end(self) -> None:
        """End jobs, then daemons from the nodes up, then whatever is left below this process."""
        with contextlib.suppress(Exception):
            self.cluster.run("scancel", "--quiet", "--signal=KILL", "--full", "--state=RUNNING", timeout=20)
        order = [name for name in self.daemons if name in set(self.spec.node_names)]
        beside = [name for name in self.daemons if "." in name]
        for names in (order, beside, ["slurmctld"], ["slurmdbd"], ["mariadbd"], ["munged"]):
            self._stop([name for name in names if name in self.daemons])
        for _ in range(1000):
            left = _descendants(os.getpid())
            if not left:
                break
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            _collect(set())
            time.sleep(0.05)
        _remove_outside(self.spec, self.network)

    def _stop(self, names: Sequence[str]) -> None:
        for name in names:
            if self.daemons[name].poll() is None:
                self.daemons[name].terminate()
        end = time.monotonic() + 30
        for name in names:
            try:
                self.daemons[name].wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.daemons[name].kill()
                self.daemons[name].wait()

    def _folders(self) -> None:
        owners = {
            "etc": "root", "run": config.SLURM_USER, "log": config.SLURM_USER, "state": config.SLURM_USER,
            "spool": "root", "dev": "root", "nodes": "root", "munge": "munge", "database": "mysql",
        }  # fmt: skip
        for name, owner in owners.items():
            folder = self.spec.folder / name
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)
            shutil.chown(folder, owner, owner)
        # Slurm and MariaDB both write their logs here, each as its own user.
        (self.spec.folder / "log").chmod(0o1777)

    def _network(self) -> None:
        if self.spec.own_network:
            self.network = networks.claim(self.spec.nodes)
        (self.spec.folder / "run" / "network.json").write_text(json.dumps(asdict(self.network)))
        command = [sys.executable, __file__, "outlive", "--folder", str(self.spec.folder)]
        # Not one of the daemons: it ends when this process does, which closes its standard input.
        self.heir = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        self.network.build()

    def _node(self, name: str) -> None:
        entering = self.network.entering(_number(name))
        self.cluster.folder_of(name).mkdir()
        for beside, command in self.spec.beside.items():
            self._daemon(f"{name}.{beside}", *entering, *self.cluster._replaced(name, command))
        self._daemon(name, *entering, "slurmd", "-D", "-N", name, "-f", str(self.cluster.conf))

    def _files(self, ports: config.Ports) -> None:
        etc, spec = self.spec.folder / "etc", self.spec
        files: Mapping[str, str] = {
            "slurm.conf": config.slurm_conf(spec, ports, self.network),
            "slurmdbd.conf": config.slurmdbd_conf(spec, ports),
            "gres.conf": config.gres_conf(spec),
            "cgroup.conf": config.cgroup_conf(str(_CGROUPS)),
            "topology.conf": config.topology_conf(spec),
            "my.cnf": config.mariadb_conf(spec, ports),
        }
        for name, text in files.items():
            (etc / name).write_text(text)
        (etc / "slurmdbd.conf").chmod(0o600)
        shutil.chown(etc / "slurmdbd.conf", config.SLURM_USER, config.SLURM_USER)

    def _devices(self) -> None:
        for number in range(self.spec.gpus):
            device = self.spec.folder / "dev" / f"nvidia{number}"
            os.mknod(device, 0o020666, os.makedev(config.GPU_MAJOR, number))
            device.chmod(0o666)

    def _munge(self) -> None:
        folder = self.spec.folder / "munge"
        key = folder / "key"
        key.touch(0o600)
        key.write_bytes(os.urandom(128))
        shutil.chown(key, "munge", "munge")
        self._daemon(
            "munged", "munged", "--foreground", f"--socket={folder}/munge.socket", f"--key-file={key}",
            f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log", f"--seed-file={folder}/seed",
            "--num-threads=4", user="munge",
        )  # fmt: skip
        _until((folder / "munge.socket").exists, 30, "munged does not answer")

    def _database(self, ports: config.Ports) -> None:
        etc = self.spec.folder / "etc"
        data = self.spec.folder / "database" / "data"
        subprocess.run(
            ["mariadb-install-db", f"--defaults-file={etc}/my.cnf", f"--datadir={data}", "--user=mysql",
             "--auth-root-authentication-method=normal", "--skip-test-db"],
            check=True, env=self.cluster.env, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        self._daemon("mariadbd", "mariadbd", f"--defaults-file={etc}/my.cnf")
        client = ["mariadb", f"--socket={self.spec.folder}/database/mysqld.sock", "--user=root", "--execute"]
        self._retry([*client, "SELECT 1"], "MariaDB does not answer")
        user = f"'{config.SLURM_USER}'@'127.0.0.1'"
        self.cluster.run(
            *client,
            f"CREATE DATABASE slurm_acct; CREATE USER {user} IDENTIFIED BY '{config.DATABASE_PASSWORD}';"
            f" GRANT ALL ON slurm_acct.* TO {user}",
        )

    def _daemon(self, name: str, *command: str, user: str | None = None) -> None:
        self.commands[name] = (command, user)
        with (self.spec.folder / "log" / f"{name}.out.log").open("ab") as log:
            self.daemons[name] = subprocess.Popen(
                command, env=self.cluster.env, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                user=user, group=user, extra_groups=[] if user else None,
            )  # fmt: skip

    def _note(self) -> None:
        pids = {name: daemon.pid for name, daemon in self.daemons.items()}
        partial = self.spec.folder / "run" / "pids.partial"
        partial.write_text(json.dumps(pids))
        partial.rename(partial.with_name("pids.json"))

    def _retry(self, command: Sequence[str], what: str) -> None:
        def works() -> bool:
            try:
                self.cluster.run(*command)
            except subprocess.CalledProcessError as error:
                print(error, error.stderr, flush=True)  # noqa: T201 - the supervisor's log
                return False
            return True

        _until(works, 120, what, pause=0.3)

    def _all_idle(self) -> bool:
        try:
            states = self.cluster.run("sinfo", "--noheader", "--Node", "--partition=main", "--format=%t").split()
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return False
        return len(states) == self.spec.nodes and set(states) == {"idle"}


def _remove_outside(spec: config.ClusterSpec, network: networks.Network) -> None:
    """Remove what the cluster has outside its folder."""
    for name in spec.node_names:
        for controller in _CGROUPS.iterdir():
            for folder, _, _ in os.walk(controller / f"slurm_{name}", topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()
    for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
        point = line.split()[4]
        if Path(point).is_relative_to(spec.folder):
            subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)
    network.remove()


def _collect(keep: set[int]) -> None:
    """Reap orphans that became children of this process; daemons are left to their Popen objects."""
    for pid in _children(os.getpid()) - keep:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _children(parent: int) -> set[int]:
    found = set()
    for task in Path(f"/proc/{parent}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


def _descendants(parent: int) -> set[int]:
    found: set[int] = set()
    front = [parent]
    while front:
        with contextlib.suppress(FileNotFoundError):
            children = _children(front.pop())
            found |= children
            front += children
    return found


def _number(node: str) -> int:
    return int(node.removeprefix("n"))


def _spec_in(folder: Path) -> config.ClusterSpec:
    values = json.loads((folder / "spec.json").read_text())
    return config.ClusterSpec(**values | {"folder": Path(values["folder"])})


def _outlive(folder: Path) -> None:
    """Wait until the supervisor is gone; if it had no time to end its cluster, do it."""
    spec, network = _spec_in(folder), Cluster(folder).network
    sys.stdin.buffer.read()
    mine = f"SLURM_CONF={Cluster(folder).conf}".encode()
    for _ in range(1000):
        left = [pid for pid in _with_environment(mine) if pid != os.getpid()]
        if not left:
            break
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    _remove_outside(spec, network)


def _with_environment(entry: bytes) -> Iterator[int]:
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if entry in (process / "environ").read_bytes().split(b"\0") and not _gone(int(process.name)):
                yield int(process.name)


def _supervise(folder: Path, bound: bool) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    supervisor = Supervisor(_spec_in(folder))

    def stop(*_: object) -> None:
        raise SystemExit

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if bound:
        parent = os.getppid()
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            return
    (folder / "run").mkdir(exist_ok=True)
    (folder / "run" / "supervisor.pid").write_text(str(os.getpid()))
    try:
        supervisor.build()
        supervisor.serve()
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        supervisor.end()


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="A real Slurm cluster on one machine, for tests.")
    parser.add_argument("action", choices=["up", "down", "supervise", "outlive"])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--gpus", type=int, default=8)
    parser.add_argument("--own-network", action="store_true", help="an address of its own for each node")
    parser.add_argument("--bound", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.action == "supervise":
        _supervise(given.folder, given.bound)
    elif given.action == "outlive":
        _outlive(given.folder)
    elif given.action == "down":
        Cluster(given.folder.resolve()).down()
    else:
        reason = missing()
        if reason:
            sys.exit(reason)
        started = time.monotonic()
        spec = config.ClusterSpec(given.folder.resolve(), given.nodes, given.gpus, own_network=given.own_network)
        cluster = up(spec)
        print(f"{given.nodes} nodes are idle after {time.monotonic() - started:.0f} s")  # noqa: T201
        print(f"export SLURM_CONF={cluster.conf}")  # noqa: T201
        if given.own_network:
            first = f"{cluster.network.namespace(1)} has {cluster.address_of('n1')}"
            print(f"namespace {first}; from there this machine is {cluster.network.address}")  # noqa: T201


if __name__ == "__main__":
    main()
