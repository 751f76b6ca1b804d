"""A job tries to change its data, the machine's programs and its own walls."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from rooms import HAS_ROOMS, NOBODY, python, visit

pytestmark = pytest.mark.skipif(not HAS_ROOMS, reason="needs bubblewrap and root")


@pytest.fixture
def open_scratch():
    """A folder an ordinary user owns and can reach."""
    folder = Path(tempfile.mkdtemp(prefix="room-"))
    os.chown(folder, NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder)


CHANGE = """
import os, sys
folder = sys.argv[1] if len(sys.argv) > 1 else FOLDER
name = NAME
path = f'{folder}/{name}'
def attempt(what, action):
    try: action(); print(what, 'changed')
    except OSError as error: print(what, 'refused')
attempt('write', lambda: open(path, 'r+').write('x'))
attempt('append', lambda: open(path, 'a').write('x'))
reader = os.open(path, os.O_RDONLY)
attempt('reopen', lambda: os.open(f'/proc/self/fd/{reader}', os.O_RDWR))
attempt('truncate', lambda: os.truncate(path, 0))
attempt('chmod', lambda: os.chmod(path, 0o777))
attempt('touch', lambda: os.utime(path))
attempt('rename', lambda: os.rename(path, path + '2'))
attempt('create', lambda: open(f'{folder}/new', 'w'))
attempt('link', lambda: os.link(path, '/out/link'))
attempt('setxattr', lambda: os.setxattr(path, 'user.x', b'1'))
attempt('unlink', lambda: os.unlink(path))
"""


def probe(folder, name):
    return CHANGE.replace("FOLDER", repr(folder)).replace("NAME", repr(name))


def test_data_cannot_be_changed_in_any_way(tmp_path):
    seen = visit(python(probe("/data/in", "greeting.txt")), tmp_path)
    assert {line.split()[1] for line in seen.stdout.splitlines()} == {"refused"}, seen
    assert len(seen.stdout.splitlines()) == 11


def test_the_same_attempts_succeed_where_writing_is_allowed(tmp_path):
    seen = visit(
        "echo x > /work/mine; " + 'python3 -c "$PROBE"', tmp_path, environment={"PROBE": probe("/work", "mine")}
    )
    changed = {line.split()[0] for line in seen.stdout.splitlines() if line.endswith("changed")}
    assert changed >= {"write", "append", "reopen", "truncate", "chmod", "touch", "rename", "create"}


def test_data_stays_read_only_for_an_ordinary_users_room(open_scratch):
    """There the job's user owns the files outside; the mount alone protects them."""
    seen = visit(python(probe("/data/in", "greeting.txt")), open_scratch, as_nobody=True)
    assert {line.split()[1] for line in seen.stdout.splitlines()} == {"refused"}, seen


@pytest.mark.parametrize(
    "folder", ["/", "/usr", "/usr/bin", "/etc", "/run/room", "/dev", "/home", "/data", "/proc", "/sys"]
)
def test_the_walls_of_the_room_cannot_be_written(tmp_path, folder):
    seen = visit(f"touch {folder}/x || mkdir {folder}/y; rm -f /etc/passwd /run/room/init; echo $?", tmp_path)
    assert seen.stdout == "1\n"
    assert seen.stderr.count("\n") == 4


def test_programs_of_the_machine_cannot_be_replaced_through_a_running_one(tmp_path):
    """As CVE-2019-5736 did to runc: open the running file by /proc and write to it."""
    attempt = """
import os
for path in ('/proc/self/exe', '/usr/bin/env', '/run/room/init'):
    try: os.open(path, os.O_WRONLY); print('opened')
    except OSError: print('refused')
"""
    assert visit(python(attempt), tmp_path).stdout == "refused\n" * 3
