import os
import shutil
import stat

import pytest

from kifabrik.environments.tree import Entry, EntryKind, Listing, tree_digest, tree_listing
from kifabrik.errors import IntegrityError, NotFoundError
from kifabrik.values import sha256_hex


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    (root / "bin").mkdir(parents=True)
    (root / "bin/tool").write_text("#!/bin/sh\n")
    (root / "bin/tool").chmod(0o755)
    (root / "bin/python").symlink_to("/usr/bin/python3.11")
    (root / "lib").mkdir()
    (root / "lib/a b.py").write_text("x = 1\n")
    (root / "lib/ü.py").write_bytes(b"")
    return root


def test_the_listing_has_the_documented_form(tree):
    assert tree_listing(tree).text == (
        "kifabrik tree 1\n"
        "d - bin\n"
        "l /usr/bin/python3.11 bin/python\n"
        f"x {sha256_hex(b'#!/bin/sh' + bytes([10]))} bin/tool\n"
        "d - lib\n"
        f"f {sha256_hex(b'x = 1' + bytes([10]))} lib/a%20b.py\n"
        f"f {sha256_hex(b'')} lib/%C3%BC.py\n"
    )
    assert tree_digest(tree) == sha256_hex(tree_listing(tree).text.encode())


def test_a_copy_elsewhere_with_other_times_and_owners_has_the_same_digest(tree, tmp_path):
    copy = tmp_path / "elsewhere"
    shutil.copytree(tree, copy, symlinks=True)
    (copy / "lib/a b.py").chmod(0o400)
    os.utime(copy / "lib/a b.py", (0, 0))
    assert tree_digest(copy) == tree_digest(tree)


def _append(path):
    with path.open("ab") as file:
        file.write(b"#")


CHANGES = {
    "content": lambda root: _append(root / "lib/a b.py"),
    "executable bit": lambda root: (root / "lib/a b.py").chmod(0o755),
    "new file": lambda root: (root / "lib/new.py").write_bytes(b""),
    "new folder": lambda root: (root / "lib/new").mkdir(),
    "removed file": lambda root: (root / "lib/a b.py").unlink(),
    "renamed file": lambda root: (root / "lib/a b.py").rename(root / "lib/c.py"),
    "file to link": lambda root: ((root / "lib/ü.py").unlink(), (root / "lib/ü.py").symlink_to("/dev/null")),
    "link target": lambda root: ((root / "bin/python").unlink(), (root / "bin/python").symlink_to("/tmp/p")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_changes_the_digest(tree, change):
    before = tree_digest(tree)
    CHANGES[change](tree)
    assert tree_digest(tree) != before


def test_the_first_differing_path_is_named(tree, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(tree, copy, symlinks=True)
    _append(copy / "lib/a b.py")
    (copy / "lib/z.py").write_bytes(b"")
    found = list(tree_listing(tree).differences(tree_listing(copy)))
    assert [difference.path for difference in found] == ["lib/a%20b.py", "lib/z.py"]
    assert found[1].here is None


def test_links_are_not_followed(tree, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (tree / "out").symlink_to(outside)
    before = tree_digest(tree)
    (outside / "file").write_text("changed")
    assert tree_digest(tree) == before


def test_a_pipe_is_refused(tree):
    os.mkfifo(tree / "lib/pipe")
    with pytest.raises(IntegrityError, match="lib/pipe"):
        tree_digest(tree)


@pytest.mark.parametrize("bit", [stat.S_ISUID, stat.S_ISGID])
def test_a_set_uid_file_is_refused(tree, bit):
    (tree / "bin/tool").chmod(0o755 | bit)
    with pytest.raises(IntegrityError, match="bin/tool"):
        tree_digest(tree)


def test_many_files_are_listed_in_order(tmp_path):
    for number in range(500):
        (tmp_path / f"{number:03}").write_bytes(bytes([number % 256]))
    entries = tree_listing(tmp_path).entries
    assert [entry.path for entry in entries] == [f"{number:03}" for number in range(500)]
    assert entries[7].value == sha256_hex(b"\x07")


def test_a_missing_folder_is_said_to_be_missing(tmp_path):
    with pytest.raises(NotFoundError):
        tree_digest(tmp_path / "none")


def test_a_name_that_is_not_utf8_is_listed(tmp_path):
    (tmp_path / os.fsdecode(b"\xff\n")).write_bytes(b"")
    listing = tree_listing(tmp_path)
    assert listing.entries[0].path == "%FF%0A"


def test_a_listing_is_a_header_and_a_line_an_entry():
    assert Listing((Entry(EntryKind.FOLDER, "-", "a"),)).text == "kifabrik tree 1\nd - a\n"
