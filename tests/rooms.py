"""Rooms for tests: this file, run as a program, is a launcher; imported, it starts such launchers.

The launcher is a process of its own, as in earnest, so that a test can give it an environment, kill it,
or run it as another user, and so that the test process keeps its own mounts.
"""

import json
import os
import select
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"
SYSTEM_PYTHON = "/usr/bin/python3"
NOBODY = 65534
FIRST_UID = 800_000 + os.getpid() % 10_000 * 10
"""Lowest user id for rooms of this test process, so that test processes side by side do not share any."""

CALLS = """
import ctypes, errno, json, os, sys
numbers = json.loads('NUMBERS')
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    # Make a system call; say what came of it.
    numeric = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(numbers.get(name, name)), *numeric)
    why = 'ok' if result >= 0 else errno.errorcode[ctypes.get_errno()]
    print(name, why, flush=True)
    return result
"""
"""Beginning of a probe that makes system calls by name."""

ALLOW_EVERYTHING = struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF_0000)
"""A filter of one instruction: BPF_RET | BPF_K with SECCOMP_RET_ALLOW."""

HAS_ROOMS = shutil.which("bwrap") is not None and os.geteuid() == 0


@dataclass
class Visit:
    """What came of a room."""

    stdout: str = ""
    stderr: str = ""
    exit: dict = field(default_factory=dict)
    out: dict = field(default_factory=dict)
    notices: list = field(default_factory=list)
    error: str = ""
    hint: str = ""
    uid: int = -1
    left: list = field(default_factory=list)


def visit(command, scratch, **wishes) -> Visit:
    """Run a command in a room to its end."""
    with launcher(command, scratch, **wishes) as process:
        stdout, stderr = process.communicate(timeout=110)
    assert stdout, f"the launcher ended with {process.returncode}: {stderr}"
    return Visit(**json.loads(stdout.splitlines()[-1]))


def python(probe: str) -> tuple[str, ...]:
    """Return the command that runs a probe with the machine's own Python."""
    return (SYSTEM_PYTHON, "-c", probe)


def calling(probe: str) -> str:
    """Return a probe that starts with `call`, for this machine."""
    from kifabrik.sandbox.syscalls import MACHINES

    return CALLS.replace("NUMBERS", json.dumps(MACHINES[os.uname().machine].numbers)) + probe


class Launcher(subprocess.Popen):
    """A launcher process that ends with its `with` block, also when the test fails."""

    def __exit__(self, *error):
        if self.poll() is None:
            self.kill()
        super().__exit__(*error)


def launcher(command, scratch, *, environ=None, arguments=(), under=(), as_nobody=False, **wishes) -> Launcher:
    """Start a launcher process; `under` is a program that becomes it.

    Defences that a wish switches off, so that a test can show what they are for: `no_filter` the system call
    filter, `without` words of bubblewrap's command line, `no_groups` control groups. `swaps` tells the
    launcher that the machine swaps to a disk; `bubblewrap` names a program that is started in place of it.
    """
    scratch.mkdir(exist_ok=True)
    wish = {"command": command, "scratch": str(scratch), "first_uid": FIRST_UID} | wishes
    program = [sys.executable]
    if as_nobody:
        program = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", SYSTEM_PYTHON]
    process = Launcher(
        [*under, *program, "-B", __file__, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE), "TMPDIR": str(scratch)} | (environ or {}),
        start_new_session=True,
    )
    process.stdin.write(json.dumps(wish))
    process.stdin.close()
    process.stdin = None
    return process


def outside(probe: str, *, as_nobody: bool = True, **wishes) -> str:
    """Run a probe without a room, as an ordinary user, and return what it printed."""
    change = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if as_nobody else []
    done = subprocess.run(
        [*change, *python(probe)], check=False, capture_output=True, text=True, timeout=110, cwd="/", **wishes
    )
    return done.stdout + done.stderr


def alive(uid: int) -> list[int]:
    """Return the processes of a user, zombies left out."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                status = (entry / "status").read_text()
            except OSError:
                continue
            if f"\nUid:\t{uid}\t" in status and "\nState:\tZ" not in status:
                found.append(int(entry.name))
    return found


def _launch(wish: dict) -> Visit:
    from kifabrik.errors import KifabrikError
    from kifabrik.sandbox.launch import start
    from kifabrik.sandbox.limits import Limits
    from kifabrik.sandbox.memory import enter_private_mounts
    from kifabrik.sandbox.room import RoomSpec
    from kifabrik.sandbox.uids import UidRange, claim_uid

    scratch = Path(wish["scratch"])
    mounts = enter_private_mounts()
    memory = scratch / "memory"
    memory.mkdir(exist_ok=True)
    mounts.mount_memory(memory, wish.get("memory_size", 32 << 20))
    writable = {f"/{name}": memory / name for name in ("out", "checkpoint")}
    for folder in (*writable.values(), memory / "work", memory / "data"):
        folder.mkdir()
    for name, text in wish.get("data", {"greeting.txt": "hello"}).items():
        (memory / "data" / name).write_text(text)
    for name, text in wish.get("code", {}).items():
        (memory / "work" / name).write_text(text)
    for name, source in wish.get("copies", {}).items():
        shutil.copyfile(source, memory / "data" / name)
        (memory / "data" / name).chmod(0o4755)
    if wish.get("open_data"):  # then the mount alone protects it
        for path in (memory / "data", *(memory / "data").iterdir()):
            path.chmod(0o777)
    if wish.get("inherit"):
        os.set_inheritable(os.open(memory / "data", os.O_RDONLY), True)
    limits = {"memory_bytes": 256 << 20, "pids": 64, "tmp_bytes": 1 << 20, "shm_bytes": 1 << 20}
    command = wish["command"]
    try:
        owner = claim_uid(UidRange(wish["first_uid"], 10, Path(wish.get("locks", scratch / "uids"))))
        spec = RoomSpec(
            command=command if isinstance(command, str) else tuple(command),
            limits=Limits(**limits | wish.get("limits", {})),
            environment=wish.get("environment", {}),
            read_only={"/data/in": memory / "data"} | {k: Path(v) for k, v in wish.get("read_only", {}).items()},
            writable=writable,
            workdir=memory / "work",
            env_tree=Path(wish["env_tree"]) if "env_tree" in wish else None,
            python_prefix=Path(wish["python_prefix"]) if "python_prefix" in wish else None,
            gpu_devices=tuple(map(Path, wish.get("gpu_devices", ()))),
        )
        _switch_off(wish)
        return _watch(start(spec, mounts, owner), owner, writable["/out"], wish)
    except KifabrikError as error:
        return Visit(error=f"{type(error).__name__}: {error.message}", hint=error.hint)


def _switch_off(wish: dict) -> None:
    import kifabrik.sandbox.launch as module
    from kifabrik.sandbox.memory import SwapState

    if wish.get("no_groups"):
        module.find_hierarchies = tuple
    if wish.get("no_filter"):
        module.room_filter = lambda: ALLOW_EVERYTHING
    if wish.get("bubblewrap"):
        usual_program = module.find_program
        module.find_program = lambda name: wish["bubblewrap"] if name == "bwrap" else usual_program(name)
    if wish.get("swaps"):
        module.swap_state = lambda: (SwapState.ON, ("/dev/swapped",))
    if wish.get("without"):
        usual = module.bubblewrap_options
        module.bubblewrap_options = lambda *said: _without(usual(*said), wish["without"])


def _without(words: list, unwanted: list) -> list:
    """Leave out words: each unwanted one is an option with the arguments it has here."""
    for option in unwanted:
        place = next(at for at in range(len(words)) if words[at : at + len(option)] == option)
        words = words[:place] + words[place + len(option) :]
    return words


def _watch(room, owner, out: Path, wish: dict) -> Visit:
    said = {room.stdout: b"", room.stderr: b""}
    speaking = set(said)
    stop_after = wish.get("stop_after", "").encode()
    print(json.dumps({"pid": room.pid, "uid": owner.uid}), flush=True)  # noqa: T201 - its protocol
    while speaking:
        for ready in select.select(speaking, [], [], 30)[0]:
            part = os.read(ready, 65536)
            said[ready] += part
            if not part:
                speaking.remove(ready)
        if stop_after and stop_after in said[room.stdout]:
            stop_after = b""
            room.terminate(wish["grace_s"])
    report = room.wait()
    result = Visit(
        stdout=said[room.stdout].decode(errors="replace"),
        stderr=said[room.stderr].decode(errors="replace"),
        exit=vars(report),
        out={
            str(path.relative_to(out)): path.read_bytes()[:200].decode(errors="replace")
            for path in sorted(out.rglob("*"))
            if path.is_file() and not path.is_symlink()
        },
        notices=list(room.notices),
        uid=owner.uid,
        left=[str(path) for path in Path("/run/kifabrik/stage").glob("*")],
    )
    room.close()
    return result


if __name__ == "__main__":
    print(json.dumps(vars(_launch(json.loads(sys.stdin.read())))), flush=True)  # noqa: T201 - its protocol
