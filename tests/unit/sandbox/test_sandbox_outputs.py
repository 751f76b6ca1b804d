"""Hostile things a job can leave in its output folder."""

import os
import socket

import pytest

from kifabrik.errors import RunFailedError
from kifabrik.sandbox.outputs import OutputBounds, OutputFile, collect

BOUNDS = OutputBounds(total_bytes=1 << 20, files=100)


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "out" / "model"
    folder.mkdir(parents=True)
    return folder


def take(model, within="model", bounds=BOUNDS):
    return collect(model.parent, within, bounds)


def test_files_are_listed_sorted_and_read_by_descriptor(model):
    (model / "b").write_bytes(b"12")
    (model / "a").mkdir()
    (model / "a" / "ä.sh").write_bytes(b"1")
    (model / "a" / "ä.sh").chmod(0o755)
    output = take(model)
    assert output.files == (OutputFile("a/ä.sh", 1, executable=True), OutputFile("b", 2, executable=False))
    with os.fdopen(output.open(output.files[1]), "rb") as file:
        assert file.read() == b"12"


def test_an_output_may_be_one_file(model):
    (model / "m.onnx").write_bytes(b"abc")
    output = take(model, "model/m.onnx")
    assert output.files == (OutputFile("m.onnx", 3, executable=False),)
    with os.fdopen(output.open(output.files[0]), "rb") as file:
        assert file.read() == b"abc"


def test_a_missing_output_is_named(model):
    with pytest.raises(RunFailedError, match="'other'"):
        take(model, "other")


@pytest.mark.parametrize("within", ["../model", "/etc", "", ".", "model/../../x"])
def test_an_output_outside_the_mount_is_refused(model, within):
    with pytest.raises(RunFailedError, match="not a path"):
        take(model, within)


def test_a_link_is_refused_wherever_it_is(model, tmp_path):
    (tmp_path / "secret").write_text("x")
    (model.parent / "link").symlink_to(model)
    with pytest.raises(RunFailedError, match="symbolic link"):
        take(model, "link")
    with pytest.raises(RunFailedError, match="did not write"):
        take(model, "link/x")
    (model / "l").symlink_to(tmp_path / "secret")
    with pytest.raises(RunFailedError, match="'l' is a symbolic link"):
        take(model)


def test_a_file_swapped_for_a_link_after_listing_is_not_followed(model, tmp_path):
    (model / "a").write_text("x")
    output = take(model)
    (model / "a").unlink()
    (model / "a").symlink_to("/etc/hostname")
    with pytest.raises(OSError, match="symbolic"):
        output.open(output.files[0])


def test_pipes_and_sockets_are_refused(model):
    os.mkfifo(model / "pipe")
    with pytest.raises(RunFailedError, match="named pipe"):
        take(model)
    (model / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(model / "socket"))
        with pytest.raises(RunFailedError, match="a socket"):
            take(model)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make devices")
def test_devices_are_refused(model):
    os.mknod(model / "null", 0o20666, os.makedev(1, 3))
    with pytest.raises(RunFailedError, match="a device"):
        take(model)


@pytest.mark.parametrize("mode", [0o4755, 0o2755])
def test_setuid_files_are_refused(model, mode):
    (model / "tool").write_text("x")
    (model / "tool").chmod(mode)
    with pytest.raises(RunFailedError, match="setuid"):
        take(model)


def test_a_hard_link_inside_is_fine_and_outside_is_refused(model):
    (model / "a").write_text("x")
    os.link(model / "a", model / "b")
    assert [file.name for file in take(model).files] == ["a", "b"]
    os.link(model / "a", model.parent / "elsewhere")
    with pytest.raises(RunFailedError, match="hard link outside"):
        take(model)


@pytest.mark.parametrize(
    "name", [b"a\nb", b"\x1b[2J", b"\xff\xfe", "a\u202egpj".encode(), b"\x7f", "\u200b".encode()]
)
def test_names_that_print_as_something_else_are_refused(model, name):
    (model / os.fsdecode(name)).write_text("x")
    with pytest.raises(RunFailedError, match="cannot be shown") as caught:
        take(model)
    assert caught.value.message.isprintable()


def test_a_sparse_file_counts_with_its_full_length(model):
    with (model / "huge").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(RunFailedError, match="larger than the run may write"):
        take(model)


def test_the_number_of_files_is_bounded(model):
    for number in range(5):
        (model / str(number)).touch()
    with pytest.raises(RunFailedError, match="or 4 files"):
        take(model, bounds=OutputBounds(1 << 20, files=4))


def test_endless_nesting_is_refused(model):
    here = os.open(model, os.O_RDONLY)
    for _ in range(200):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    with pytest.raises(RunFailedError, match="nested too deeply"):
        take(model)
