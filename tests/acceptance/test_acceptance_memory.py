"""The operator reads all the factory has: its folder, and the memory of its service, live and as a core file.

One job carries the session's mark in every kind of thing the factory must not see; keys are searched by their
bytes. Not searched for are tokens: a request carries its token in the clear to the service, which keeps only a
hash, but a copy may stay in freed memory for a while.
"""

import os
import resource
import secrets
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from test_acceptance_traces import forms_of, found_in
from two_parties import PASSPHRASE, WAITS

from kifabrik.keyholder.vault import CATALOGUE, KEYHOLDER, ORDER, WITNESS, dataset_secret, result_secret

pytestmark = pytest.mark.xdist_group("acceptance")

LOSS = 0.8260716342950191
"""A value nothing else has: searched as text and as the eight bytes of a float."""
CODE = (
    """
import json, os, sys
from pathlib import Path

text = next(Path("/data/line").iterdir()).read_text()
print("a line of the log:", text)
print("one on standard error:", os.environ["SECRET_MARK"], file=sys.stderr)
Path("/checkpoint/state-MARK.bin").write_text(text)
Path("/out/model").mkdir()
Path("/out/model/weights-MARK.bin").write_bytes(bytes.fromhex("WEIGHTS"))
with open(os.environ["KIFABRIK_METRICS"], "a") as file:
    print(json.dumps({"name": "loss-MARK", "value": LOSS}), file=file)
    print(json.dumps({"name": "auc", "value": 0.5}), file=file)
"""
    + WAITS
)


@pytest.fixture(scope="module")
def weights():
    """Bytes of the model."""
    return secrets.token_bytes(4096)


@pytest.fixture(scope="module")
def watched(stage, weights, tmp_path_factory):
    """A job with the mark everywhere; the service's memory while it ran, and after its result was pulled."""
    stage.member("engineer", stage.name("Emilia"))
    folder = tmp_path_factory.mktemp("watched")
    code = CODE.replace("MARK", stage.mark).replace("SECRET_" + stage.mark, "SECRET_MARK")
    future = stage.order(
        folder,
        code.replace("WEIGHTS", weights.hex()).replace("LOSS", repr(LOSS)),
        name=stage.name("watched"),
        environment={"variables": {"SECRET_MARK": stage.mark}},
        outputs={stage.name("model"): "/out/model"},
        checkpoint="/checkpoint",
        publish=["auc"],
    )
    stage.wait_for_line(future.run, "begun")
    running = memory_of(stage.service.pid)
    stage.let_go(stage.launcher_of(future.run))
    result = future.result(120)
    pulled = folder / "pulled"
    result.pull(stage.name("model"), pulled)
    assert (pulled / f"weights-{stage.mark}.bin").read_bytes() == weights
    assert stage.mark in " ".join(stage.log(future.run))
    return {"while it ran": running, "after it": memory_of(stage.service.pid)}, future.run


def memory_of(pid):
    """Every byte a process can have written to: its private, writable memory."""
    found = []
    maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in maps:
            area, access, *_ = line.split()
            if access.startswith("rw"):
                start, end = (int(part, 16) for part in area.split("-"))
                memory.seek(start)
                try:
                    found.append(memory.read(end - start))
                except OSError:
                    continue  # unmapped since, or of a device
    return b"\n".join(found)


@pytest.fixture(scope="module")
def wanted(stage, weights, watched):
    """What must not be there, by what it is."""
    said = {f"mark {number}": form for number, form in enumerate(sorted(forms_of(stage.mark)))}
    said |= {f"weights at {at}": weights[at : at + 24] for at in (0, 2048, 4072)}
    said |= {"weights in hex": weights[:24].hex().encode()}
    said |= {"metric": repr(LOSS).encode(), "metric as a float": struct.pack("<d", LOSS)}
    said |= {"passphrase": PASSPHRASE.encode()}
    return said | keys_of(stage, watched[1])


def keys_of(stage, run):
    """The customer's private keys, as bytes and in the forms they are written in."""
    profile = stage.sdk.session.profile
    written = {"device": profile.device_seed, "identity": profile.identity, "catalogue": profile.catalogue_identity}
    found = {f"{name}, as written": text.encode() for name, text in written.items()}
    found["device, as bytes"] = bytes.fromhex(profile.device_seed)
    dataset = stage.sdk.session.catalogue().dataset(stage.name("line")).dataset
    with stage.steward() as steward:
        vault, books = steward._state.vault, steward._books
        names = [dataset_secret(dataset), result_secret(books.lineage.result_recipient(run))]
        secret = {name: vault.get(name) for name in (*names, KEYHOLDER, WITNESS, ORDER, CATALOGUE)}
        secret["tenant key"] = steward._key.seed
    return found | secret | {f"{name}, in hex": value.hex().encode() for name, value in secret.items()}


def present(memory, wanted):
    return [name for name, needle in wanted.items() if needle in memory]


def test_the_search_finds_all_of_it_in_a_process_that_has_it(stage, watched, wanted):
    memories, run = watched
    for memory in memories.values():
        assert run.encode() in memory
        assert stage.sdk.session.tenant.encode() in memory
    holds = "import sys, time; held = sys.stdin.buffer.read(); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", holds], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(b" ".join(wanted.values()))
        process.stdin.close()
        process.stdout.readline()
        assert set(present(memory_of(process.pid), wanted)) == set(wanted)
        process.kill()


@pytest.mark.parametrize("when", ["while it ran", "after it"])
def test_no_plaintext_and_no_key_is_in_the_memory_of_the_service(watched, wanted, when):
    assert present(watched[0][when], wanted) == []


def test_no_plaintext_and_no_key_is_in_the_factorys_folder_database_and_logs(stage, watched, wanted):
    assert found_in(stage.factory.home, sorted(wanted.values())) == []


def test_no_plaintext_and_no_key_is_in_a_core_file_of_the_service(stage, watched, wanted):
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if pattern.startswith("|") or "/" in pattern:
        pytest.skip(f"this machine hands core files to somebody else: {pattern}")
    pid = stage.service.pid
    resource.prlimit(pid, resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    try:
        os.kill(pid, signal.SIGABRT)
        assert stage.service.wait(60) == -signal.SIGABRT
        (core,) = stage.factory.home.glob("core*")
        data = core.read_bytes()
        core.unlink()
    finally:
        stage.start_service()
    assert data.startswith(b"\x7fELF")
    assert watched[1].encode() in data
    assert present(data, wanted) == []
