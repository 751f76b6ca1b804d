"""What is left of a room that could not be built: nothing, whatever went wrong."""

import json
import subprocess
import sys

import pytest

from kifabrik.errors import UnavailableError
from kifabrik.sandbox import network
from rooms import FIRST_UID, HAS_ROOMS, SOURCE, alive

FAILING = """
import json, os, sys
from pathlib import Path
import kifabrik.sandbox.launch as launch
from kifabrik.sandbox.limits import Limits
from kifabrik.sandbox.memory import enter_private_mounts
from kifabrik.sandbox.network import RunNetwork
from kifabrik.sandbox.room import RoomSpec
from kifabrik.sandbox.uids import UidRange, claim_uid

class Torn(RunNetwork):
    def attach(self, pid):
        raise {error}

launch.find_hierarchies = tuple  # no control group ends what is left
scratch, first = Path(sys.argv[1]), int(sys.argv[2])
mounts = enter_private_mounts()
owner = claim_uid(UidRange(first, 10, scratch / "uids"))
spec = RoomSpec(command="sleep 60", limits=Limits(1 << 28), network=Torn(1, 0, ("192.0.2.1", "192.0.2.2"), 1500))
before = sorted(os.listdir("/proc/self/fd"))
try:
    launch.start(spec, mounts, owner)
except BaseException as error:
    after = sorted(os.listdir("/proc/self/fd"))
    print(json.dumps([owner.uid, type(error).__name__, str(error), before == after]), flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(not HAS_ROOMS, reason="needs bubblewrap and root")
@pytest.mark.parametrize("error", ["KeyboardInterrupt()", "RuntimeError('torn')", "OSError(5, 'torn')"])
def test_whatever_goes_wrong_while_a_room_is_built_leaves_no_process_and_no_descriptor(tmp_path, error):
    program = FAILING.replace("{error}", error)
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path, str(FIRST_UID)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(SOURCE)},
    ) as process:
        try:
            assert process.stdout
            uid, kind, _, same_descriptors = json.loads(process.stdout.readline())
            left = alive(uid)
        finally:
            process.kill()
    assert kind == ("UnavailableError" if error.startswith("OSError") else error.partition("(")[0])
    assert (left, same_descriptors) == ([], True)


def test_a_program_that_makes_the_network_and_does_not_end_is_said_in_a_sentence(tmp_path, monkeypatch):
    slow = tmp_path / "ip"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr(network, "find_program", lambda _name: str(slow))
    monkeypatch.setattr(network, "_PATIENCE_S", 0.2)
    with pytest.raises(UnavailableError, match=r"did not end within 0\.2 s"):
        network.RunNetwork(1, 0, ("192.0.2.1", "192.0.2.2"), 1500).attach(1)
