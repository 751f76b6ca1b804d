"""Two parties in two folders: a factory and a customer, each with processes of its own.

Everything a party does goes through the installed command or the SDK, as a person or script would do it.
All names and contents of a session carry one random mark, so a search for it finds any plaintext.
"""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from click.testing import CliRunner

from kifabrik.cli.main import cli
from kifabrik.cli.unlock import FOLDER, StewardKeys
from kifabrik.customer.follow import read_log, wait_for_end
from kifabrik.customer.profile import enrol
from kifabrik.customer.sdk import RunFuture, connect
from kifabrik.customer.seal import seal_dataset
from kifabrik.keyholder.keyholder import open_keyholder
from kifabrik.keyholder.tenant_key import load_tenant_key, save_tenant_key
from kifabrik.keyholder.unlocking import KeyFile
from kifabrik.runs.states import RunState, is_end
from kifabrik.tenants.statements import Role
from kifabrik.transfer.objects import silent
from kifabrik.values import Place
from players import eventually
from ports import free_port

KIFABRIK = Path(sys.executable).parent / "kifabrik"
PASSPHRASE = "Eisbach-Surfer-2026"
PATIENCE_S = 120.0
GATE = "/tmp/waits"
"""In the room of a job that waits: it goes on when the file is gone, which nobody outside could make there."""
WAITS = f"""
import time
from pathlib import Path

Path("{GATE}").touch()
print("begun", flush=True)
while Path("{GATE}").exists():
    time.sleep(0.05)
"""
"""Beginning of a job that runs until `Stage.let_go`, however slow the machine is."""
WORK_FACTOR = 2
"""Of scrypt once the tenant is there: at its own, a steward's keys take more than a second of a core each time."""


@dataclass(frozen=True)
class Said:
    """What a command printed and how it ended."""

    status: int
    out: str
    err: str

    def json(self):
        """The one JSON document on stdout."""
        return json.loads(self.out)


@dataclass
class Party:
    """Whoever owns a folder.

    Args:
        home: The folder, which is `$KIFABRIK_HOME`.
    """

    home: Path

    def environment(self):
        return {**os.environ, "KIFABRIK_HOME": str(self.home), "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}

    def kifabrik(self, *words, expect=0):
        """Run the installed command; its status must be the expected one, if one is expected."""
        ran = subprocess.run(
            [KIFABRIK, *map(str, words)],
            env=self.environment(),
            cwd=self.home,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        said = Said(ran.returncode, ran.stdout, ran.stderr)
        assert "Traceback" not in said.out + said.err
        assert expect is None or said.status == expect, f"{' '.join(map(str, words))}: {said}"
        return said

    def here(self, *words):
        """Run a command within this process, for what it refuses: starting Python takes longest."""
        return CliRunner(env={"KIFABRIK_HOME": str(self.home)}).invoke(cli, list(map(str, words)))

    def start(self, *words):
        """Start the installed command and leave it running."""
        with (self.home / f"{words[0]}.log").open("a") as log:
            return subprocess.Popen(
                [KIFABRIK, *map(str, words)],
                env=self.environment(),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )


@dataclass
class Stage:
    """Both parties, playing."""

    factory: Party
    customer: Party
    port: int
    mark: str = field(default_factory=lambda: "zirbel" + secrets.token_hex(6))
    launchers: list = field(default_factory=list)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def secret(self):
        return self.customer.home / "passphrase.txt"

    def name(self, text):
        """A name that carries the mark."""
        return f"{text}-{self.mark}"

    # --- processes ---

    def start_service(self):
        self.service = self.factory.start("up", "--port", self.port, "--country", "DE")
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.service.poll() is None, (self.factory.home / "up.log").read_text()
            time.sleep(0.1)
        raise AssertionError("the service does not answer")

    def start_keyholder(self):
        key_file = self.customer.home / "keyholder.key"
        self.keyholder = self.customer.start("keyholder", "run", "--key-file", key_file)

    def kill_service(self):
        self.service.kill()
        self.service.wait()

    def kill_keyholder(self):
        self.keyholder.kill()
        self.keyholder.wait()

    @contextmanager
    def without_keyholder(self):
        """The keyholder is dead while the block runs, and back afterwards."""
        self.kill_keyholder()
        try:
            yield
        finally:
            self.start_keyholder()

    def launcher_of(self, run):
        """Process id of the launcher that works on a run."""
        attempt = self.sdk.session.runs.show(run).attempts[-1].attempt
        note = self.factory.home / "factory" / "node" / "launchers" / f"{attempt}.json"
        return json.loads(note.read_text())["pid"]

    def let_go(self, launcher):
        """Let the job of a launcher go on that began with `WAITS`."""

        def gate():
            return next((room / GATE[1:] for room in rooms_of(launcher) if (room / GATE[1:]).exists()), None)

        eventually(gate).unlink()

    # --- the customer's steps, in this process ---

    def seal(self, name, files):
        """Seal a dataset from names and texts."""
        source = self.customer.home / f"source-{secrets.token_hex(4)}"
        for path, text in files.items():
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).write_text(text)
        return seal_dataset(self.sdk.session, name, source, bar=_no_bar)

    @contextmanager
    def steward(self):
        with StewardKeys(self.customer.home, self.secret).open() as steward:
            yield steward

    def grant(self, dataset, purpose, **conditions):
        """Permit the use of a dataset, by name."""
        conditions.setdefault("place", Place("DE"))
        found = self.sdk.session.catalogue().dataset(dataset).dataset
        with self.steward() as steward:
            return steward.grant(found, purpose, **conditions)

    def member(self, role, name):
        """Admit a member; return the party it is."""
        with self.steward() as steward:
            invitation = steward.invite(Role(role), name)
        home = self.customer.home.parent / name
        home.mkdir(exist_ok=True)
        enrol(home, invitation)
        return Party(home)

    def job(self, folder, code, **parts):
        """Write a job file and its program; return the job file."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "job.py").write_text(f"# {self.mark}\n{code}")
        job = {
            "name": self.name("job"),
            "purpose": "upkeep",
            "data": {"/data/line": self.name("line")},
            "run": f"python job.py # {self.mark}",
            "resources": {"cpu": 1, "memory": "300MB"},
            "max_duration": "2m",
            **parts,
        }
        path = folder / "job.yaml"
        path.write_text(json.dumps({key: value for key, value in job.items() if value is not None}))
        return path

    def order(self, folder, code, **parts):
        """Order a run of a program through the SDK."""
        return self.sdk.submit(self.job(folder, code, **parts))

    def wait_until(self, run, holds, what):
        """Wait until a run's view fulfils a condition, by long poll."""
        runs, until = self.sdk.session.runs, time.monotonic() + PATIENCE_S
        view = runs.show(run)
        while not holds(view):
            assert not is_end(view.state), f"not {what}, but {view.state}: {view.reason}"
            assert time.monotonic() < until, f"not {what}, but {view.state}: {view.reason}"
            view = runs.show(run, revision=view.revision, wait_s=5)
        return view

    def wait_for_line(self, run, text):
        """Wait until a line stands in the sealed log of a running job."""
        until = time.monotonic() + PATIENCE_S
        self.wait_until(run, lambda view: view.state is RunState.RUNNING, "running")
        while not any(text in line for line in self.log(run)):
            assert time.monotonic() < until, f"no line {text!r}"
            time.sleep(0.3)

    def log(self, run):
        """Texts of the log so far, opened here."""
        return [line.text for line in read_log(self.sdk.session, run, follow=False)]

    def end(self, run):
        """Wait for a run to end; return its view."""
        run = run.run if isinstance(run, RunFuture) else run
        return wait_for_end(self.sdk.session, run)


def processes_of(pid):
    """A process and all that descend from it."""
    found = {pid}
    for _ in range(6):
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                except OSError:
                    continue
                if parent in found:
                    found.add(int(entry.name))
    return found


def rooms_of(launcher):
    """What the processes of a launcher's job see as the root of all folders; none once it has ended."""
    roots = [Path(f"/proc/{pid}/root") for pid in sorted(processes_of(launcher))]
    return [root for root in roots if (root / "work" / "job.py").exists()]


def _no_bar(_label, _total):
    return nullcontext(silent)


@contextmanager
def two_parties(folder, stage_type=Stage):
    """Set up a factory, and a customer with its keyholder and one steward; end all processes at the end."""
    stage = stage_type(Party(folder / "factory"), Party(folder / "customer"), free_port())
    for party in (stage.factory, stage.customer):
        party.home.mkdir()
    stage.secret.write_text(PASSPHRASE + "\n")
    with ExitStack() as cleanup:
        cleanup.callback(_end, stage)
        stage.start_service()
        code = stage.factory.kifabrik("admin", "code", "--json").json()["code"]
        words = ("--factory", stage.url, "--code", code, "--passphrase-file", stage.secret)
        key_file = stage.customer.home / "keyholder.key"
        stage.customer.kifabrik("tenant", "create", *words, "--key-file", key_file)
        _make_quick_to_open(stage.customer.home / FOLDER, key_file)
        stage.start_keyholder()
        with stage.steward() as steward:
            invitation = steward.invite(Role.STEWARD, "Anna")
        enrol(stage.customer.home, invitation)
        stage.sdk = cleanup.enter_context(connect(stage.customer.home))
        yield stage


def _make_quick_to_open(keyholder, key_file):
    """Put both files that the passphrase opens under the same one with a lower work factor."""
    with open_keyholder(keyholder, KeyFile(key_file)) as opened:
        opened.change_passphrase(PASSPHRASE, work_factor=WORK_FACTOR)
    save_tenant_key(keyholder, load_tenant_key(keyholder, PASSPHRASE), PASSPHRASE, work_factor=WORK_FACTOR)


def _end(stage):
    for name in ("keyholder", "service"):
        process = getattr(stage, name, None)
        if process is None or process.poll() is not None:
            continue
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
