import sys
from pathlib import Path

import pytest

from kifabrik.environments.pythons import find_python, inspect
from kifabrik.environments.workers import Worker
from kifabrik.errors import UsageError

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def test_the_interpreter_found_is_of_the_version_asked_for(tmp_path):
    found = inspect(find_python(HERE), HERE, Worker(tmp_path))
    assert found.version.startswith(f"{HERE}.")


def test_a_missing_version_is_an_error_that_names_those_there_are():
    with pytest.raises(UsageError, match=rf"Python 3\.99 is not on this machine; there is .*{HERE}"):
        find_python("3.99")


def test_an_interpreter_of_another_version_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"locked for Python 3\.99"):
        inspect(Path(sys.executable), "3.99", Worker(tmp_path))


def test_what_is_no_interpreter_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be started"):
        inspect(Path("/bin/true"), HERE, Worker(tmp_path))
    with pytest.raises(UsageError, match="there is no interpreter"):
        inspect(tmp_path / "python", HERE, Worker(tmp_path))


def interpreter(path: Path, version: str) -> Path:
    """A program that says it is an interpreter, and counts how often it was asked."""
    said = f'["{version}", "cpython", "x86_64", "linux"]'
    path.write_text(f"#!/bin/sh\necho once >>{path}.asked\necho '{said}'\n")
    path.chmod(0o755)
    return path


def times_asked(path: Path) -> int:
    return len(Path(f"{path}.asked").read_text().splitlines())


def test_an_interpreter_is_asked_once_for_all_processes_until_it_changes(tmp_path):
    path = interpreter(tmp_path / "python", f"{HERE}.7")
    assert [inspect(path, HERE, Worker(tmp_path)).version for _ in range(3)] == [f"{HERE}.7"] * 3
    assert times_asked(path) == 1
    path.unlink()
    interpreter(path, f"{HERE}.8")
    assert inspect(path, HERE, Worker(tmp_path)).version == f"{HERE}.8"
    assert times_asked(path) == 2


def test_a_note_cut_short_is_made_anew(tmp_path):
    path = interpreter(tmp_path / "python", f"{HERE}.7")
    inspect(path, HERE, Worker(tmp_path))
    (note,) = tmp_path.glob(".python*.json")
    note.write_text(note.read_text()[:-9])
    assert inspect(path, HERE, Worker(tmp_path)).version == f"{HERE}.7"
    assert times_asked(path) == 2
