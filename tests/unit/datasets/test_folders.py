import os

import pytest

from kifabrik.datasets.folders import FdFolder, PathFolder, open_folder
from kifabrik.errors import CapacityError, ConflictError, IntegrityError, NotFoundError, UsageError

KINDS = pytest.mark.parametrize("kind", [FdFolder.at, PathFolder], ids=["descriptors", "paths"])


def put(folder, path, data=b"x", executable=False):
    descriptor = folder.make_file(path, executable=executable)
    os.write(descriptor, data)
    os.close(descriptor)


def get(folder, path):
    descriptor = folder.open_file(path)
    try:
        return os.read(descriptor, 100)
    finally:
        os.close(descriptor)


@KINDS
def test_files_are_made_with_their_folders_read_listed_and_removed(tmp_path, kind):
    folder = kind(tmp_path)
    put(folder, "a/b/file", b"one")
    put(folder, "a/c", b"two")
    folder.make_folder("d/e")
    folder.make_folder("d/e")
    assert get(folder, "a/b/file") == b"one"
    assert get(folder.enter("a"), "c") == b"two"
    assert get(folder.clone(), "a/c") == b"two"
    assert sorted(found.name for found in folder.scan("a")) == ["b", "c"]
    assert sorted(found.name for found in folder.scan("")) == ["a", "d"]
    assert folder.look("a/c").st_size == 3
    folder.remove_file("a/c")
    assert [found.name for found in folder.scan("a")] == ["b"]
    folder.close()
    folder.close()


@KINDS
def test_nothing_is_overwritten(tmp_path, kind):
    folder = kind(tmp_path)
    put(folder, "a/file")
    with pytest.raises(ConflictError, match="a/file"):
        put(folder, "a/file")
    with pytest.raises(IntegrityError):
        put(folder, "a/file/b")
    folder.close()


@KINDS
def test_missing_things_are_not_found_and_nothing_is_made_on_the_way(tmp_path, kind):
    folder = kind(tmp_path)
    for reach in (folder.open_file, folder.scan, folder.enter, folder.look, folder.remove_file):
        with pytest.raises(NotFoundError):
            reach("x/y")
    assert list(tmp_path.iterdir()) == []
    folder.close()


@KINDS
def test_no_link_is_followed_in_either_direction(tmp_path, kind):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/link").symlink_to(tmp_path / "outside")
    (tmp_path / "root/direct").symlink_to(tmp_path / "outside/secret")
    (tmp_path / "root/dangling").symlink_to(tmp_path / "outside/new")
    folder = kind(tmp_path / "root")
    for reach in (
        lambda: folder.open_file("link/secret"),
        lambda: folder.open_file("direct"),
        lambda: folder.scan("link"),
        lambda: folder.enter("link"),
        lambda: folder.remove_file("link/secret"),
        lambda: folder.make_folder("link/new"),
        lambda: folder.make_file("link/new", executable=False),
        lambda: folder.make_file("dangling", executable=False),
    ):
        with pytest.raises((IntegrityError, ConflictError)):
            reach()
    assert [place.name for place in (tmp_path / "outside").iterdir()] == ["secret"]
    folder.close()


def test_a_folder_swapped_for_a_link_after_it_was_entered_is_not_followed(tmp_path):
    (tmp_path / "outside").mkdir()
    folder = open_folder(tmp_path)
    put(folder, "inside/a")
    (tmp_path / "inside").rename(tmp_path / "moved")
    (tmp_path / "inside").symlink_to("outside")
    put(folder, "inside/b")  # its descriptor still means the folder that was entered
    assert (tmp_path / "moved/b").exists()
    put(folder, "other/c")
    with pytest.raises(IntegrityError):
        put(folder, "inside/d")
    assert list((tmp_path / "outside").iterdir()) == []
    folder.close()


def test_a_failed_step_leaves_the_folder_usable(tmp_path):
    folder = open_folder(tmp_path)
    put(folder, "a/b/c")
    with pytest.raises(NotFoundError):
        folder.scan("a/x/y")
    assert [found.name for found in folder.scan("a/b")] == ["c"]
    with pytest.raises(NotFoundError):
        folder.scan("a/x/y")
    folder.close()


def test_a_full_disk_is_a_matter_of_capacity():
    from errno import EDQUOT, ENOSPC

    from kifabrik.datasets.folder import reaching

    for number in (ENOSPC, EDQUOT):
        with pytest.raises(CapacityError, match="no space"), reaching("a"):
            raise OSError(number, "full")


def test_a_folder_that_is_a_file_or_missing_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(IntegrityError):
        open_folder(tmp_path / "file")
    with pytest.raises(NotFoundError):
        open_folder(tmp_path / "none")


def test_names_windows_reads_otherwise_are_refused_there(tmp_path, monkeypatch):
    folder = PathFolder(tmp_path)
    monkeypatch.setattr("kifabrik.datasets.folders.os.name", "nt")
    for path in ("a:stream", "NUL", "x/aux.txt", "dot."):
        with pytest.raises(UsageError, match="Windows"):
            folder.make_file(path, executable=False)
        with pytest.raises(UsageError, match="Windows"):
            folder.make_folder(path)
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []
