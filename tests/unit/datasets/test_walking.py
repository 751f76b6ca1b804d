import os
import socket

import pytest
from trees import build

from kifabrik.datasets.packing import plan_shards
from kifabrik.errors import NotFoundError, UsageError


def paths(source, **options):
    with plan_shards(source, **options) as plan:
        return [file.path for file in plan.files] + [f"{path}/" for path in plan.directories]


def test_files_and_empty_directories_are_listed_in_order(tmp_path):
    build(tmp_path, {"b": (b"", False), "a/c": (b"", False), "a-b": (b"", False), "e/f": None})
    assert paths(tmp_path) == ["a-b", "a/c", "b", "e/f/"]


def test_what_the_ignore_file_names_is_left_out_and_so_is_the_file(tmp_path):
    build(tmp_path, dict.fromkeys(("a.tmp", "x/b.tmp", "x/keep", "cache/1/2", "keep"), (b"", False)))
    (tmp_path / ".kifabrikignore").write_text("# scratch\n*.tmp\ncache/\n")
    assert paths(tmp_path) == ["keep", "x/keep"]
    assert paths(tmp_path, ignore=("keep",)) == ["x/"]


@pytest.mark.parametrize("kind", ["symlink", "fifo", "socket"])
def test_what_is_no_regular_file_is_refused_by_name(tmp_path, kind):
    build(tmp_path, {"d/file": (b"", False)})
    place = tmp_path / "d/strange"
    if kind == "symlink":
        place.symlink_to("file")
    elif kind == "fifo":
        os.mkfifo(place)
    else:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(place))
    with pytest.raises(UsageError, match=r"'d/strange' is a (symbolic link|FIFO|socket)") as caught:
        paths(tmp_path)
    assert ".kifabrikignore" in caught.value.hint
    assert paths(tmp_path, ignore=("strange",)) == ["d/file"]


def test_a_link_to_a_folder_is_refused_not_followed(tmp_path):
    build(tmp_path / "outside", {"secret": (b"", False)})
    build(tmp_path / "source", {"file": (b"", False)})
    (tmp_path / "source/link").symlink_to(tmp_path / "outside", target_is_directory=True)
    with pytest.raises(UsageError, match="'link' is a symbolic link"):
        paths(tmp_path / "source")


@pytest.mark.parametrize("name", [b"line\nbreak", b"back\\slash", b"not-utf8-\xff"])
def test_names_that_cannot_stand_in_a_dataset_are_refused(tmp_path, name):
    (tmp_path / os.fsdecode(name)).touch()
    with pytest.raises(UsageError) as caught:
        paths(tmp_path)
    assert caught.value.hint
    caught.value.message.encode()


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(UsageError, match="nothing to pack"):
        paths(tmp_path)


def test_a_missing_source_is_named(tmp_path):
    with pytest.raises(NotFoundError, match="nowhere"):
        paths(tmp_path / "nowhere")


def test_a_person_may_name_a_folder_or_file_through_a_link(tmp_path):
    build(tmp_path / "real", {"file": (b"", False)})
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "single").symlink_to("real/file")
    assert paths(tmp_path / "folder") == ["file"]
    assert paths(tmp_path / "single") == ["file"]


def test_a_part_within_a_folder_is_packed_alone(tmp_path):
    build(tmp_path, {"out/model/weights": (b"", False), "out/log": (b"", False)})
    assert paths(tmp_path, within="out/model") == ["weights"]
    assert paths(tmp_path, within="out/log") == ["log"]


@pytest.mark.parametrize("within", ["..", "../x", "/etc", "out/../..", ""])
def test_a_part_cannot_lie_outside(tmp_path, within):
    with pytest.raises(UsageError):
        paths(tmp_path, within=within)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_named(tmp_path):
    build(tmp_path, {"file": (b"x", False)})
    (tmp_path / "file").chmod(0)
    with plan_shards(tmp_path) as plan, pytest.raises(UsageError, match="file"):
        plan.shards[0].write_to(len)
