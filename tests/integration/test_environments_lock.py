"""Locking with the real uv, from wheel folders: nothing here needs a network."""

import hashlib
import os
import sys
from pathlib import Path

import pytest

from kifabrik.environments.lock import lock
from kifabrik.environments.lockfile import Lock
from kifabrik.errors import UnavailableError, UsageError
from wheelwright import make_wheel


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    for name in ("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def wheels(tmp_path):
    return tmp_path / "wheels"


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_empty_text_locks_the_standard_library_without_starting_anything():
    said = []
    assert lock("# nothing\n", log=said.append) == Lock("3.11")
    assert said == []


def test_a_lock_names_the_wheel_of_a_folder_by_its_hash(wheels):
    wheel = make_wheel(wheels, "Alpha_One", {"alpha.py": ""}, version="1.2")
    found = lock("alpha-one\n", find_links=[str(wheels)])
    assert found.text.splitlines()[1:] == [f"alpha-one==1.2 --hash=sha256:{sha256(wheel)}"]


def test_no_path_of_this_machine_enters_the_lock(wheels, monkeypatch):
    make_wheel(wheels, "alpha", {"alpha.py": ""})
    given = [
        lock("alpha", find_links=[str(wheels)]),
        lock(f"-f {wheels}\nalpha"),
        lock("-f wheels\nalpha", folder=wheels.parent),
        lock("alpha", find_links=[wheels.as_uri()]),
    ]
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    given.append(lock("alpha"))
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    given.append(lock("alpha"))
    assert len({found.digest for found in given}) == 1
    assert str(wheels) not in given[0].text


def test_an_address_asked_for_enters_the_lock(wheels, monkeypatch):
    make_wheel(wheels, "alpha", {"alpha.py": ""})
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    found = lock("--extra-index-url https://wheels.example/simple\n")
    assert found.text.splitlines()[1:] == ["--extra-index-url https://wheels.example/simple"]


def test_a_lock_resolves_for_linux_and_takes_the_best_wheel_only(wheels):
    for tag in ("py3-none-any", "cp311-cp311-win_amd64", "cp312-cp312-manylinux_2_17_x86_64"):
        make_wheel(wheels, "alpha", {"alpha.py": tag}, tag=tag)
    best = make_wheel(wheels, "alpha", {"alpha.py": ""}, tag="cp311-cp311-manylinux_2_17_x86_64")
    found = lock("alpha", find_links=[str(wheels)])
    assert [pin.sha256 for pin in found.pins] == [sha256(best)]
    other = lock("alpha", python="3.12", find_links=[str(wheels)])
    assert other.pins[0].sha256 != found.pins[0].sha256


def test_a_plain_index_without_hashes_is_hashed_here(wheels, tmp_path, monkeypatch):
    monkeypatch.delenv("UV_NO_INDEX")
    wheel = make_wheel(tmp_path / "simple/alpha", "alpha", {"alpha.py": ""})
    (tmp_path / "simple/alpha/index.html").write_text(f'<!DOCTYPE html><a href="{wheel.name}">{wheel.name}</a>')
    found = lock("alpha", index=str(tmp_path / "simple"))
    assert found.pins[0].sha256 == sha256(wheel)
    assert found.addresses == ()


def test_a_source_distribution_is_refused_with_what_to_do(wheels):
    wheels.mkdir()
    (wheels / "alpha-1.0.tar.gz").write_bytes(b"")
    with pytest.raises(UsageError, match=r"no wheel for alpha") as caught:
        lock("alpha==1.0", find_links=[str(wheels)])
    assert "pip wheel alpha" in caught.value.hint


def test_a_name_nobody_knows_is_refused(wheels):
    wheels.mkdir()
    with pytest.raises(UsageError, match="alpha"):
        lock("alpha", find_links=[str(wheels)])


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UsageError, match="nowhere"):
        lock("alpha", find_links=["nowhere"], folder=tmp_path)


def test_an_index_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.delenv("UV_NO_INDEX")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    with pytest.raises(UnavailableError, match=r"http://127\.0\.0\.1:9"):
        lock("alpha")


def test_a_project_around_the_caller_changes_nothing(wheels, tmp_path, monkeypatch):
    make_wheel(wheels, "alpha", {"alpha.py": ""})
    (tmp_path / "pyproject.toml").write_text(
        "[tool.uv]\nno-index = true\nfind-links = []\nconstraint-dependencies=['alpha>9']\n"
    )
    monkeypatch.chdir(tmp_path)
    assert lock("alpha", find_links=[str(wheels)]).pins[0].version == "1.0"


def _torch_folder():
    folders = os.environ.get("PIP_FIND_LINKS", "").split()
    return next((folder for folder in folders if list(Path(folder).glob("torch-2.13.0*"))), None)


TORCH = _torch_folder()


@pytest.mark.skipif(TORCH is None or sys.version_info[:2] != (3, 11), reason="no torch wheel in PIP_FIND_LINKS")
def test_torch_is_locked_from_the_wheel_folder_of_this_machine(monkeypatch):
    monkeypatch.delenv("UV_NO_INDEX")
    monkeypatch.setenv("PIP_FIND_LINKS", TORCH)
    found = {pin.name: pin for pin in lock("torch==2.13.0").pins}
    assert found["torch"].version.startswith("2.13.0")
    assert {"numpy", "sympy"} & found.keys() == {"sympy"}
