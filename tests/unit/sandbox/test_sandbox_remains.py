"""Whose lock is held is told by the file it is on, not by a file of the same number elsewhere."""

import os
import subprocess
from pathlib import Path

import pytest

from kifabrik.sandbox.remains import held_uids
from kifabrik.sandbox.uids import UidRange, claim_if_free

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

FIRST = 1_600_000


@pytest.fixture
def disks(tmp_path):
    """Two file systems in memory: their first files have the same inode number."""
    made = []
    try:
        for name in ("one", "two"):
            disk = tmp_path / name
            disk.mkdir()
            mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]
            if subprocess.run(mount, capture_output=True, check=False).returncode:
                pytest.skip("needs the right to mount a tmpfs")
            made.append(disk)
        yield made
    finally:
        for disk in made:
            subprocess.run(["umount", disk], check=True)


def _lock_of(disk: Path) -> UidRange:
    uids = UidRange(FIRST, 10, disk)
    (disk / f"{FIRST}.lock").touch()
    return uids


def test_a_lock_on_another_file_system_under_the_same_number_holds_no_user_id(disks: list[Path]) -> None:
    ours, others = map(_lock_of, disks)
    inodes = {(uids.locks / f"{FIRST}.lock").stat().st_ino for uids in (ours, others)}
    assert len(inodes) == 1
    with claim_if_free(FIRST, others):
        assert held_uids(others) == {FIRST}
        assert held_uids(ours) == frozenset()
        with claim_if_free(FIRST, ours):
            assert held_uids(ours) == held_uids(others) == {FIRST}
    assert held_uids(ours) == held_uids(others) == frozenset()


def test_a_lock_on_the_file_system_of_this_machine_holds_its_user_id(tmp_path: Path) -> None:
    uids = UidRange(FIRST, 10, tmp_path / "uids")
    with claim_if_free(FIRST, uids):
        assert held_uids(uids) == {FIRST}
    assert held_uids(uids) == frozenset()
