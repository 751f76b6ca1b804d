"""Plaintext that a killed command left is found and removed by the next one, and nothing else is."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kifabrik.customer.profile import member_folder
from kifabrik.customer.unfinished import remove_unfinished, unfinished_folder

_OPENS = """
import sys, time
from pathlib import Path
from kifabrik.customer.unfinished import unfinished_folder

with unfinished_folder(Path(sys.argv[1]), "model", parent=Path(sys.argv[2])) as folder:
    (folder / "deep").mkdir()
    (folder / "deep" / "weights").write_text("secret")
    (folder / "deep").chmod(0o500)
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def opening(tmp_path):
    """A command in a process of its own that has opened something."""
    (tmp_path / "elsewhere").mkdir()
    words = [sys.executable, "-c", _OPENS, str(tmp_path / "home"), str(tmp_path / "elsewhere")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def kill(process):
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def notes(tmp_path):
    return list(member_folder(tmp_path / "home", "unfinished").iterdir())


def test_it_is_gone_with_its_command(tmp_path):
    with unfinished_folder(tmp_path / "home", "bundle") as folder:
        (folder / "code.py").write_text("x")
        assert folder.stat().st_mode & 0o077 == 0
    assert notes(tmp_path) == []


def test_what_a_killed_command_left_is_removed_by_the_next(tmp_path, opening):
    process, folder = opening
    assert remove_unfinished(tmp_path / "home") == []  # the command lives
    assert folder.is_dir()
    kill(process)
    assert (folder / "deep" / "weights").exists()
    assert remove_unfinished(tmp_path / "home") == [folder]
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert notes(tmp_path) == []


def test_a_disk_that_is_not_there_now_is_looked_at_again(tmp_path, opening):
    process, folder = opening
    kill(process)
    folder.parent.rename(tmp_path / "unplugged")
    assert remove_unfinished(tmp_path / "home") == []
    (tmp_path / "unplugged").rename(folder.parent)
    assert remove_unfinished(tmp_path / "home") == [folder]


def test_a_note_can_name_nothing_but_what_a_command_of_ours_makes(tmp_path):
    (tmp_path / "thesis").mkdir()
    folder = member_folder(tmp_path / "home", "unfinished")
    for number, said in enumerate(({"folder": str(tmp_path / "thesis")}, {"folder": "thesis-0"}, [], {})):
        (folder / f"{number}.json").write_text(json.dumps(said))
    (folder / "cut.json").write_text("{")
    assert remove_unfinished(tmp_path / "home") == []
    assert (tmp_path / "thesis").is_dir()
    assert notes(tmp_path) == []
