"""No row of SAP's lies on the customer's disk in the clear: not while it is pulled, not after a kill, not after."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from living_trees import files_below

SOURCE = Path(__file__).parents[2] / "src"
MARKS = (b"Ventil 1", b"M-0000", "Größe ½".encode(), b"eilig, Lieferung", b"45000000", b"skiptoken")
"""Words of rows and links that no file of ours has for another reason."""
PLAN = (
    "{entity_set: Products, rows: 5000, fields: [description, value, introduced]}",
    "{entity_set: Orders, rows: 5000, fields: [supplier, note], expand: {items: {fields: [product, quantity]}}}",
)


@pytest.fixture
def private(house, tmp_path):
    """The command as a process whose temporary files and home are in folders that are looked through."""
    room = tmp_path / "room"
    for name in ("tmp", "home", "work"):
        (room / name).mkdir(parents=True)
    environment = {
        **os.environ,
        "TMPDIR": str(room / "tmp"),
        "HOME": str(room / "home"),
        "XDG_CACHE_HOME": str(room / "home" / "cache"),
        "PYTHONPATH": str(SOURCE),
        "KIFABRIK_HOME": str(house.session.home),
    }
    words = [sys.executable, "-m", "kifabrik.cli.main", "sap", "pull", "plan.yaml"]

    def start(*more, rate=60):
        (room / "work" / "plan.yaml").write_text(house.plan_text(*PLAN, rate=rate))
        return subprocess.Popen(
            [*more, *words], cwd=room / "work", env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    start.folders = [room, house.session.home / "member"]
    return start


def found(folders):
    """Files with a row in them, and how many were looked at."""
    looked, bad = 0, []
    for folder in folders:
        for path, data in files_below(folder):
            looked += 1
            bad += [(path, mark) for mark in MARKS if mark in data]
    return looked, bad


def test_nothing_is_readable_after_a_kill_in_the_middle_nor_after_the_whole(house, private):
    process = private(rate=4)  # it would go on for long
    folder = house.session.home / "member" / "datasets"
    until = time.monotonic() + 60
    while not list(folder.glob("*/spool/*")) + list(folder.glob("*/sap/state.age")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)
    for _ in range(20):  # while it runs
        assert found(private.folders)[1] == []
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    looked, bad = found(private.folders)
    assert bad == []
    assert looked > 3
    out, err = private().communicate(timeout=120)
    assert b"4,500" in out, err
    assert found(private.folders)[1] == []


def test_no_file_is_ever_written_with_a_row(house, private):
    """Every `write` of the process and its threads, as the kernel saw them."""
    if subprocess.run(["which", "strace"], capture_output=True, check=False).returncode:
        pytest.skip("strace is not installed")
    calls = "trace=write,writev,pwrite64,openat"
    log = private.folders[0] / "calls"
    process = private("strace", "-f", "-q", "-y", "-s", "200000", "-e", calls, "-o", str(log))
    _, err = process.communicate(timeout=110)
    assert process.returncode == 0, err
    written = [
        line
        for line in log.read_text(errors="replace").splitlines()
        if "write" in line and "</" in line and "pipe:" not in line
    ]
    assert written
    marks = ("Ventil", "M-0000", "eilig", "skiptoken=")
    assert [line[:200] for line in written if any(mark in line for mark in marks)] == []
