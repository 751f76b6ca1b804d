"""Another process looks into a launcher, or into the next one that is forked from the same template."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from kifabrik.engines.local.forge import Forge
from kifabrik.errors import IntegrityError, UnavailableError
from kifabrik.launcher.assignment import Assignment
from kifabrik.launcher.attempt import AttemptRunner
from kifabrik.launcher.gpus import held_gpus
from kifabrik.launcher.node import Node
from kifabrik.sandbox.memory import PrivateMounts
from kifabrik.signatures.keys import SigningKey
from rooms import NOBODY, SOURCE, SYSTEM_PYTHON, calling, outside

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be several users")

CANARY = "canary-77aa"
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")


def started(script, *, under=AS_NOBODY, python=SYSTEM_PYTHON, **options):
    """Start a Python process that has said its first line."""
    process = subprocess.Popen(
        [*under, python, "-Bc", script],
        env={"PYTHONPATH": str(SOURCE), "KEY": CANARY},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **{"cwd": "/"} | options,
    )
    process.stdout.readline()
    return process


PRIVATE = "from kifabrik.launcher.privacy import keep_memory_private\nkeep_memory_private(SWAP)\n".replace(
    "SWAP", ""
)
WAITING = "print('up', flush=True)\ninput()\n"


@pytest.mark.parametrize(("preparing", "result"), [("", "reached"), (PRIVATE, "denied")])
def test_no_process_of_its_user_can_look_into_a_launcher(preparing, result):
    with started(preparing + WAITING) as process:
        probe = f"""
pid = {process.pid}
for name in ('environ', 'mem', 'maps'):
    try: open(f'/proc/{{pid}}/{{name}}', 'rb').close(); print(name, 'reached')
    except OSError: print(name, 'denied')
buffer = ctypes.create_string_buffer(8)
vector = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8)
for name, arguments in (('pidfd_getfd', (os.pidfd_open(pid), 0, 0)), ('ptrace', (0x4206, pid, 0, 0))):
    print(name, 'reached' if libc.syscall(numbers[name], *arguments) >= 0 else 'denied')
"""
        found = dict(line.split() for line in outside(calling(probe)).splitlines())
        process.stdin.close()
    assert found == dict.fromkeys(("environ", "mem", "maps", "pidfd_getfd", "ptrace"), result)


@pytest.mark.parametrize(("preparing", "left"), [("", ["core"]), (PRIVATE, [])])
def test_a_launcher_that_crashes_leaves_no_core(tmp_path, preparing, left):
    if Path("/proc/sys/kernel/core_pattern").read_text() != "core\n":
        pytest.skip("crashes go elsewhere on this machine")
    dumping = "import os, resource; resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)\n"
    script = dumping + preparing + "print('up', flush=True); os.abort()\n"
    with started(script, under=(), cwd=tmp_path) as process:
        process.wait(30)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("core")] == left


def test_a_launchers_memory_is_locked_where_the_machine_swaps_to_a_disk():
    script = """
from kifabrik.launcher.privacy import keep_memory_private
from kifabrik.sandbox.memory import SwapState
def locked(): return [int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmLck')][0]
for state in (SwapState.OFF, SwapState.MEMORY_ONLY, SwapState.ON):
    keep_memory_private(state)
    print(state.name, locked() > 0)
secret = bytes(1 << 22); print(locked() >= 4096)
"""
    ran = subprocess.run(
        [SYSTEM_PYTHON, "-Bc", script], env={"PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "OFF False\nMEMORY_ONLY False\nON True\nTrue\n"


MOUNTING = """
import sys
from pathlib import Path
from kifabrik.sandbox.memory import enter_private_mounts
enter_private_mounts().mount_memory(Path(sys.argv[1]), 1 << 20)
print(sys.argv[1] in open('/proc/self/mountinfo').read())
"""


def test_what_a_launcher_mounts_is_its_own_on_a_machine_that_shares_its_mounts(tmp_path):
    """As systemd has it on every machine: there what one process mounts appears in the mounts of all."""
    words = 'mount --make-rshared /; $PYTHON -Bc "$MOUNTING" $PLACE; grep -c $PLACE /proc/self/mountinfo'
    ran = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", words],
        env={"PYTHONPATH": str(SOURCE), "PATH": os.environ["PATH"], "MOUNTING": MOUNTING, "PLACE": str(tmp_path)}
        | {"PYTHON": SYSTEM_PYTHON},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout.split() == ["True", "0"], ran.stderr


def test_an_ordinary_users_launcher_closes_its_memory_and_still_gets_its_mounts(tmp_path):
    """In the other order the kernel refuses the mounts, and no run of an ordinary user would start."""
    swapped = """
from kifabrik.launcher.privacy import keep_memory_private
from kifabrik.sandbox.memory import enter_private_mounts
keep_memory_private()
enter_private_mounts()
"""
    wrong = subprocess.run(
        [*AS_NOBODY, SYSTEM_PYTHON, "-Bc", swapped],
        env={"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert "this process cannot have mounts of its own" in wrong.stderr
    # The right to read lets this user reach the interpreter that runs the tests, until it has mounts of its own.
    right = "import sys; from kifabrik.launcher.__main__ import *; get_ready(); sys.exit(main())"
    reading = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    ran = subprocess.run(
        [*AS_NOBODY, *reading, sys.executable, "-Bc", right, "--node-home", tmp_path],
        input="",
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert (ran.returncode, ran.stderr) == (0, "")


FORKED = """
import os, sys
from kifabrik.seals.identities import Identity
from kifabrik.signatures.keys import SigningKey
NEXT = bytes((byte + 1) % 256 for byte in range(256))
def memory():
    with open('/proc/self/mem', 'rb', 0) as file:
        for line in open('/proc/self/maps'):
            span, rights = line.split()[:2]
            start, end = (int(part, 16) for part in span.split('-'))
            if rights.startswith('rw'):
                file.seek(start)
                try: yield file.read(end - start)
                except OSError: pass
def main():
    held = sys.stdin.readline()
    environment = open('/proc/self/environ', 'rb').read()
    print(sorted(map(int, os.listdir('/proc/self/fd'))), b'SERVICE' in environment, file=sys.stderr)
    print(SigningKey.generate().public.hex, Identity.generate().recipient.text, file=sys.stderr)
    # Looked for one letter further, so that the search does not find itself.
    print(any(b'gjstu.xpse' in piece.translate(NEXT) for piece in memory()), file=sys.stderr)
"""


def test_a_launcher_has_nothing_of_the_service_nor_of_the_launcher_before_it(tmp_path, monkeypatch):
    """Both are forked from one process that never learns a secret."""
    monkeypatch.setenv("SERVICE_KEY", CANARY)
    program = tmp_path / "forked.py"
    program.write_text(FORKED)
    inherited = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(inherited, True)
    forge = Forge([sys.executable, "-P", "-m", "kifabrik.engines.local.template", str(program)], tmp_path)
    said = []
    try:
        for word in ("first-word", "other-word"):
            log = tmp_path / f"{word}.log"
            one = forge.start(log)
            one.tell(f"{word}\n".encode())
            while one.identity.alive():
                pass
            said.append(log.read_text().splitlines())
    finally:
        forge.close()
        os.close(inherited)
    (inside, keys, found), (_, others, found_later) = said
    assert inside == "[0, 1, 2, 3] False"  # 3 is the listing itself
    assert not set(keys.split()) & set(others.split())
    assert (found, found_later) == ("True", "False")


class Driver:
    """NVML as pynvml answers: one GPU with minor number 3, on which processes compute."""

    class NVMLError(Exception):
        pass

    def __init__(self, *looks):
        self.looks = list(looks)

    def nvmlDeviceGetCount(self):  # noqa: N802
        return 1

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
        return index

    def nvmlDeviceGetMinorNumber(self, _handle):  # noqa: N802
        return 3

    def nvmlDeviceGetComputeRunningProcesses(self, _handle):  # noqa: N802
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]


def test_no_two_runs_hold_the_same_gpu(tmp_path):
    """Whatever the factory has told their launchers."""
    with held_gpus((3, 4), tmp_path, library=Driver([])):
        with held_gpus((5,), tmp_path, library=Driver([])):
            pass
        with (
            pytest.raises(UnavailableError, match="GPU 3 of this node is held by another run"),
            held_gpus((2, 3), tmp_path, library=Driver([])),
        ):
            pass
        with held_gpus((2,), tmp_path, library=Driver([])):  # let go of when the other was refused
            pass
    with held_gpus((3, 4), tmp_path, library=Driver([])):
        pass


def test_a_gpu_on_which_somebody_still_computes_is_given_to_nobody(tmp_path):
    waited = []
    with held_gpus((3,), tmp_path, library=Driver(["a process"], ["a process"], []), wait=waited.append):
        assert len(waited) == 2
    with (
        pytest.raises(UnavailableError, match="somebody else computes on GPU 3"),
        held_gpus((3,), tmp_path, library=Driver(["a process"]), wait=waited.append),
    ):
        pass
    with held_gpus((4,), tmp_path, library=Driver(["a process"])):  # another GPU
        pass


class Watched(AttemptRunner):
    """A launcher that opens something, and notes what is still open when it reports the end."""

    def __init__(self, home, error):
        key = SigningKey.generate()
        node = Node(home, "node", key, home / "environments", home / "runs", None, 0)
        super().__init__(Assignment("http://127.0.0.1:9", "a-x", "token", "t-x"), node, PrivateMounts(as_root=True))
        self.said, self._error = [], error
        self._api = SimpleNamespace(work=lambda: None, control=lambda **_: SimpleNamespace(stop=True, cause="stop"))

    def _attempt(self, _work, opened):
        opened.callback(self.said.append, "plaintext is gone")
        if self._error:
            raise self._error

    def _finish(self, _work):
        self.said.append(f"reported {self._course.ended.outcome}")


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(None, "succeeded"), (ValueError("x"), "node-failure"), (IntegrityError("x"), "integrity")],
)
def test_no_plaintext_waits_for_a_factory_that_takes_its_time_over_the_end(tmp_path, monkeypatch, error, outcome):
    monkeypatch.setattr("kifabrik.launcher.attempt.verify_work", lambda *_: None)
    runner = Watched(tmp_path, error)
    runner.run()
    assert runner.said == ["plaintext is gone", f"reported {outcome}"]
