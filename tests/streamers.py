"""Streamed folders for tests: this file, run as a program, is a launcher that streams and runs a probe.

A process of its own, so that a test can kill it and the test keeps its own mounts. The probe is Python; it
finds the folder's path in the environment variable `DATA`.
"""

import json
import os
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path, PurePosixPath

from kifabrik.errors import IntegrityError
from rooms import FIRST_UID, SOURCE, SYSTEM_PYTHON, Launcher

HAS_FUSE = os.geteuid() == 0 and Path("/dev/fuse").exists()
MIB = 2**20


def streamer(version, objects, scratch, probe, **wishes) -> Launcher:
    """Start a launcher that streams a version to a probe; wishes are those of `_launch`."""
    scratch.mkdir(exist_ok=True)
    (scratch / "version").write_bytes(pickle.dumps(version))
    wish = {"scratch": str(scratch), "objects": str(objects), "probe": probe, "run_uid": FIRST_UID} | wishes
    process = Launcher(
        [sys.executable, "-B", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{SOURCE}:{Path(__file__).parent}", "TMPDIR": str(scratch)},
        start_new_session=True,
    )
    process.stdin.write(json.dumps(wish))
    process.stdin.close()
    process.stdin = None
    return process


def stream(version, objects, scratch, probe, **wishes) -> dict:
    """Stream a version to a probe until it ends; what came of it."""
    with streamer(version, objects, scratch, probe, **wishes) as process:
        stdout, stderr = process.communicate(timeout=100)
    assert stdout, f"the launcher ended with {process.returncode}: {stderr}"
    return json.loads(stdout.splitlines()[-1])


class _Hanging:
    """A store that answers some reads, fails some, and then never answers again."""

    def __init__(self, objects, answers, failures, error):
        self._objects, self._left, self._failures, self._error = objects, answers, failures, error
        self.hangs = threading.Event()

    def at_any_position(self, digest, size):
        path = self._objects.at_any_position(digest, size)

        def read(offset, count):
            self._left -= 1
            if self._left < -self._failures:
                self.hangs.set()
                threading.Event().wait()
            if self._left < 0:
                raise self._error
            with path.open("rb") as file:
                return os.pread(file.fileno(), count, offset)

        return read


class _Meeting:
    """A store whose long reads wait for each other: none is answered before so many are asked for at once."""

    def __init__(self, objects, count):
        self._objects, self._meeting, self.met = objects, threading.Barrier(count), False

    def at_any_position(self, digest, size):
        path = self._objects.at_any_position(digest, size)

        def read(offset, count):
            if count > MIB // 2 and not self.met:
                self._meeting.wait(10)
                self.met = True
            with path.open("rb") as file:
                return os.pread(file.fileno(), count, offset)

        return read


def _launch(wish: dict) -> dict:
    """Stream and probe.

    Wishes: `uid` of the probe, the run's own if it says none; `room` to run it in a sandbox with `limits`;
    `hang` after so many reads of ciphertext, and `fail` so many before that, by `errno` if given; `meet`: so many
    must be asked for at once; `stop_after` a line of output, with `grace_s` and perhaps `without_abort`.
    """
    from kifabrik.launcher.streaming import Faults, Streamer
    from kifabrik.sandbox.memory import enter_private_mounts
    from kifabrik.sandbox.uids import RunUid
    from sealed_folders import FolderOfObjects

    scratch = Path(wish["scratch"])
    mounts = enter_private_mounts()
    store = FolderOfObjects(Path(wish["objects"]))
    if "hang" in wish:
        error = OSError(wish["errno"], "not now") if "errno" in wish else IntegrityError("not now")
        store = _Hanging(store, wish["hang"], wish.get("fail", 0), error)
    if "meet" in wish:
        store = _Meeting(store, wish["meet"])
    owner = RunUid(wish["run_uid"], wish["run_uid"], of_its_own=True)
    faults = Faults(lambda _: None)
    folder = scratch / "mounted"
    folder.mkdir(exist_ok=True)
    version = pickle.loads((scratch / "version").read_bytes())
    before = _resident()
    streamed = Streamer(mounts, owner, store, faults).stream(version, folder)
    result = (
        _room(wish, mounts, owner, streamed, store) if wish.get("room") else _probe(wish, mounts, owner, folder)
    )
    result["grown_bytes"] = _resident() - before
    streamed.unmount()
    result["fault"] = f"{faults.first.message} | {faults.first.hint}" if faults.first else ""
    result["left"] = [path.name for path in folder.iterdir()]
    return result


def _probe(wish, mounts, owner, folder) -> dict:
    """Run it outside a room, but with the same view of the data: where only the folder itself is in the way."""
    from kifabrik.sandbox.room import Fitting
    from kifabrik.sandbox.stage import Stage

    place = Stage.open(mounts, owner).show(Fitting(folder, PurePosixPath("/data"), writable=False)).outside
    uid = wish.get("uid", owner.uid)
    print("started", flush=True)  # noqa: T201 - its protocol
    done = subprocess.run(
        ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", SYSTEM_PYTHON, "-c", wish["probe"]],
        check=False,
        capture_output=True,
        text=True,
        cwd="/",
        env={"DATA": str(place)},
    )
    return {"stdout": done.stdout, "stderr": done.stderr, "status": done.returncode}


def _room(wish, mounts, owner, streamed, store) -> dict:
    from kifabrik.sandbox.launch import start
    from kifabrik.sandbox.limits import Limits
    from kifabrik.sandbox.room import RoomSpec

    limits = {"memory_bytes": 256 * MIB, "pids": 64, "tmp_bytes": MIB, "shm_bytes": MIB} | wish.get("limits", {})
    spec = RoomSpec(
        command=(SYSTEM_PYTHON, "-c", wish["probe"]),
        limits=Limits(**limits),
        environment={"DATA": "/data/in"},
        read_only={"/data/in": streamed.path},
    )
    with start(spec, mounts, owner) as room:
        if not wish.get("without_abort"):
            room.before_killing = streamed.abort
        said, alive = b"", None
        while piece := os.read(room.stdout, 65536):
            said += piece
            if wish.get("stop_after", "\0").encode() in said:
                assert store.hangs.wait(60)
                if wish.get("without_abort"):
                    room.kill()
                    time.sleep(1)
                    alive = Path(f"/proc/{room.pid}").exists()
                    streamed.abort()
                room.terminate(wish["grace_s"])
                break
        report = room.wait()
        errors = os.read(room.stderr, 65536).decode(errors="replace") if not wish.get("stop_after") else ""
    return {"stdout": said.decode(), "stderr": errors, **vars(report), "alive_after_kill": alive}


def _resident() -> int:
    """Most memory this process has ever had, in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


if __name__ == "__main__":
    print(json.dumps(_launch(json.loads(sys.stdin.read()))), flush=True)  # noqa: T201 - its protocol
