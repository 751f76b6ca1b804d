"""Somebody exchanges code in a node's cache of environments after the launcher has checked it."""

import os
import time

import pytest

from kifabrik.environments.build import BuiltEnvironment
from kifabrik.environments.tree import tree_digest
from kifabrik.errors import IntegrityError
from kifabrik.launcher.watched import WatchedEnvironment


@pytest.fixture
def tree(tmp_path):
    """An environment, as far as a launcher looks at it."""
    packages = tmp_path / "tree" / "lib" / "packages"
    packages.mkdir(parents=True)
    (packages / "numbers.py").write_text("ONE = 1\n")
    (packages / "link.py").symlink_to("numbers.py")
    (packages / "empty").mkdir()
    return tmp_path / "tree"


@pytest.fixture
def watched(tree):
    return WatchedEnvironment(
        BuiltEnvironment(tree, tree_digest(tree), "ab" * 32, "/usr/bin/python3", "3.11.2", "0")
    )


def test_an_environment_nobody_touches_may_run(tree, watched):
    assert watched.is_as_built()
    for path in tree.rglob("*"):
        if path.is_file():
            path.read_bytes()  # reading, also by the job, changes nothing that counts
    watched.require_unchanged()


def rewritten(tree):
    """Same length, same modification time; and put back before anybody looks again."""
    path = tree / "lib" / "packages" / "numbers.py"
    before, times = path.read_bytes(), path.stat()
    path.write_bytes(b"ONE = 2\n")
    path.write_bytes(before)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def replaced(tree):
    path = tree / "lib" / "packages" / "numbers.py"
    other = tree.parent / "other.py"
    other.write_text("ONE = 2\n")
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)


def added(tree):
    (tree / "lib" / "packages" / "sitecustomize.py").write_text("print('substituted')\n")


def added_and_removed(tree):
    added(tree)
    (tree / "lib" / "packages" / "sitecustomize.py").unlink()


def removed(tree):
    (tree / "lib" / "packages" / "numbers.py").unlink()


def turned_to_another_file(tree):
    link = tree / "lib" / "packages" / "link.py"
    link.unlink()
    link.symlink_to("/etc/passwd")


def made_executable(tree):
    (tree / "lib" / "packages" / "numbers.py").chmod(0o755)


def exchanged_as_a_whole(tree):
    """A copy of the tree, as it should be but for one file, takes its place."""
    tree.rename(tree.with_name("old"))
    (tree / "lib" / "packages" / "empty").mkdir(parents=True)
    (tree / "lib" / "packages" / "numbers.py").write_text("ONE = 2\n")
    (tree / "lib" / "packages" / "link.py").symlink_to("numbers.py")


def taken_away(tree):
    tree.rename(tree.with_name("elsewhere"))


@pytest.mark.parametrize(
    "attack",
    [
        taken_away,
        rewritten,
        replaced,
        added,
        added_and_removed,
        removed,
        turned_to_another_file,
        made_executable,
        exchanged_as_a_whole,
    ],
)
def test_whatever_is_touched_after_the_check_shows(tree, watched, attack):
    time.sleep(0.02)  # kernels before 6.13 note changes by the tick
    attack(tree)
    with pytest.raises(IntegrityError, match="changed on the node after it was checked"):
        watched.require_unchanged()
