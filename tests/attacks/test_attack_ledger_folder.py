"""An exported log from a stranger: its folder may hold anything."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kifabrik.errors import IntegrityError, UnavailableError, UsageError
from kifabrik.ledger.checkpoint import TreeHead, log_origin, log_verifier, sign_tree_head
from kifabrik.ledger.entry import Entry, EntryKind
from kifabrik.ledger.folder import LogFolder
from kifabrik.ledger.merkle import CompactTree
from kifabrik.ledger.mirror import Mirror
from kifabrik.ledger.policy import Policy
from kifabrik.ledger.verify import export, verify_folder
from kifabrik.signatures.keys import SigningKey

TENANT = "t-stranger"
KEY = SigningKey.generate()
POLICY = Policy.of(log_verifier(TENANT, KEY.public))
ENTRIES = [
    Entry(EntryKind.MEMBER_ENROLLED, "2026-11-23T08:00:00Z", f"{n:032x}", {"member": f"m-{n}"}) for n in range(300)
]


@pytest.fixture
def folder(tmp_path):
    tree = CompactTree()
    tree.extend(entry.leaf for entry in ENTRIES)
    head = TreeHead(log_origin(TENANT), tree.size, tree.root())
    mirror = Mirror(head.origin)
    mirror.extend([entry.to_bytes() for entry in ENTRIES], head)
    mirror.keep(sign_tree_head(head, head.origin, KEY))
    export(mirror, tmp_path / "log", POLICY)
    assert verify_folder(tmp_path / "log").ok
    return tmp_path / "log"


@pytest.mark.parametrize("name", ["tile/0/000", "tile/entries/000", "tile/entries/001.p/44", "tile/1/000.p/1"])
@pytest.mark.parametrize("instead", ["pipe", "link", "device", "folder", "sparse"])
def test_a_tile_that_is_no_plain_file_is_refused_and_does_not_hang(folder, name, instead):
    path = folder / name
    kept = path.rename(folder / "kept")
    match instead:
        case "pipe":
            os.mkfifo(path)
        case "link":
            path.symlink_to(kept)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "sparse":
            with path.open("wb") as file:
                file.truncate(2**40)
    report = verify_folder(folder, POLICY)
    assert not report.ok
    assert "not a plain file" in report.finding.what or "too large" in report.finding.what


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
@pytest.mark.parametrize("instead", ["pipe", "link"])
def test_a_file_that_is_exchanged_after_it_was_looked_at_is_refused_and_does_not_hang(folder, monkeypatch, instead):
    path = folder / "checkpoint"
    plain = path.lstat()
    if instead == "pipe":
        path.unlink()
        os.mkfifo(path)
    else:
        path.rename(folder / "elsewhere")
        path.symlink_to(folder / "elsewhere")
    monkeypatch.setattr(Path, "lstat", lambda _path: plain)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(LogFolder(folder).text, "checkpoint")
        try:
            with pytest.raises((IntegrityError, UnavailableError)):
                reading.result(20)
        finally:
            if not reading.done():
                path.write_bytes(b"")  # lets whoever hangs go


@pytest.mark.parametrize("name", ["checkpoint", "policy"])
def test_a_checkpoint_or_policy_that_is_no_text_file_is_a_clear_error(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(IntegrityError, match="not a plain file"):
        verify_folder(folder)
    (folder / name).unlink()
    (folder / name).write_bytes(b"\xff" * 100)
    with pytest.raises(IntegrityError, match="is not text"):
        verify_folder(folder)
    (folder / name).write_bytes(b"x" * 2_000_000)
    with pytest.raises(IntegrityError, match="too large"):
        verify_folder(folder)


def test_a_policy_of_nonsense_is_a_usage_error_that_names_the_line(folder):
    (folder / "policy").write_text("log \u2014\nquorum none\n")
    with pytest.raises(UsageError, match="line 1"):
        verify_folder(folder)


def test_bundles_that_promise_more_than_they_hold_are_refused(folder):
    for data in (b"\xff\xff", b"\xff\xff" + b"x" * 100, b"\x00\x00" * 256, b"\x00\x00" * 300, b"[" * 60_000):
        (folder / "tile/entries/000").write_bytes(data)
        report = verify_folder(folder)
        assert (report.finding.first, report.finding.last) == (0, 0)


def test_a_folder_that_swaps_policy_and_log_is_not_the_log_the_auditor_knows(folder):
    report = verify_folder(folder)
    assert report.accepted.log.key == KEY.public
    known = Policy.of(log_verifier(TENANT, SigningKey.generate().public))
    assert not verify_folder(folder, known).ok


def test_names_cannot_leave_the_folder(folder):
    (folder.parent / "secret").write_text("secret")
    for name in ("../secret", "tile/../../secret"):
        with pytest.raises(UsageError):
            LogFolder(folder).read(name)
