"""Building with the real uv and starting the result in a real sandbox; wheels come from a folder."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kifabrik.environments.build import build, discard
from kifabrik.environments.lock import lock
from kifabrik.environments.lockfile import Lock, Pin
from kifabrik.environments.pythons import find_python
from kifabrik.environments.tree import Listing, tree_digest, tree_listing
from kifabrik.environments.verify import Agreement, env_verify
from kifabrik.environments.workers import Limits
from kifabrik.errors import CapacityError, IntegrityError, UsageError
from wheelwright import make_wheel

PYTHON = "3.11"
TENANT = "t-one"
AS_UID = 54321 if os.geteuid() == 0 else None
ALPHA = {
    "alpha/__init__.py": "def main():\n    import sys\n    print('alpha', sys.argv[1:], sys.executable)\n",
    "alpha/data.txt": "some data",
    "alpha.pth": "import sys; sys.started_by_pth = True\n",
}


@pytest.fixture
def cache(place):
    return place / "cache"


@pytest.fixture
def wheels(place, monkeypatch):
    folder = place / "wheels"
    make_wheel(folder, "alpha", ALPHA, scripts={"say-alpha": "alpha:main"})
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_CACHE_DIR", str(place / "uv"))
    return folder


def _in_sandbox(tree, *command):
    bubblewrap = shutil.which("bwrap")
    if bubblewrap is None:
        pytest.skip("bubblewrap is not installed")
    ended = subprocess.run(
        [
            *(bubblewrap, "--unshare-all", "--die-with-parent"),
            *("--clearenv", "--setenv", "PATH", "/usr/bin:/bin"),
            *("--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib"),
            *("--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev"),
            *("--ro-bind", str(tree), "/env", *command),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_environment_starts_where_the_sandbox_mounts_it(cache, wheels):
    built = build(lock("alpha", python=PYTHON), cache, TENANT, as_uid=AS_UID)
    code = "import alpha as a, sys; print(sys.prefix, a.__file__, sys.started_by_pth, a.main.__code__.co_filename)"
    assert _in_sandbox(built.path, "/env/bin/python", "-c", code).split() == [
        "/env",
        f"/env/lib/python{PYTHON}/site-packages/alpha/__init__.py",
        "True",
        f"/env/lib/python{PYTHON}/site-packages/alpha/__init__.py",
    ]


def test_console_scripts_work_where_the_sandbox_mounts_them(cache, wheels):
    built = build(lock("alpha", python=PYTHON), cache, TENANT, as_uid=AS_UID)
    assert _in_sandbox(built.path, "/env/bin/say-alpha", "x") == "alpha ['x'] /env/bin/python\n"


def test_the_sandbox_uses_the_compiled_files(cache, wheels):
    built = build(lock("alpha", python=PYTHON), cache, TENANT, as_uid=AS_UID)
    said = _in_sandbox(built.path, "/bin/sh", "-c", "/env/bin/python -v -c 'import alpha' 2>&1")
    compiled = f"/env/lib/python{PYTHON}/site-packages/alpha/__pycache__/__init__.cpython-311.pyc"
    assert f"# code object from '{compiled}'" in said


def test_an_empty_lock_is_an_environment_with_the_standard_library(cache):
    built = build(Lock(PYTHON), cache, TENANT, as_uid=AS_UID)
    code = "import sqlite3, sys; print(sys.prefix)"
    assert _in_sandbox(built.path, "/env/bin/python", "-c", code) == "/env\n"
    assert sorted(path.name for path in built.path.iterdir()) == ["bin", "lib", "lib64", "pyvenv.cfg"]


def test_the_tree_digest_is_the_same_wherever_and_whenever_it_is_built(place, wheels):
    locked = lock("alpha", python=PYTHON)
    first = build(locked, place / "one", TENANT, as_uid=AS_UID)
    second = build(locked, place / "another/folder", "t-two")
    assert first.tree_digest == second.tree_digest == tree_digest(second.path)


def test_an_interpreter_elsewhere_gives_the_tree_of_the_path_it_is_shown_at(place, wheels):
    elsewhere = place / "elsewhere"
    elsewhere.symlink_to(find_python(PYTHON).parent)
    locked = lock("alpha", python=PYTHON)
    usual = build(locked, place / "one", TENANT, as_uid=AS_UID)
    shown = find_python(PYTHON)
    other = build(locked, place / "two", TENANT, python=elsewhere / f"python{PYTHON}", mounted_python=shown)
    assert other.tree_digest == usual.tree_digest
    assert (
        build(locked, place / "two", TENANT, python=elsewhere / f"python{PYTHON}").tree_digest != usual.tree_digest
    )


def test_the_built_tree_is_read_only_and_belongs_to_the_builder(cache, wheels):
    built = build(lock("alpha", python=PYTHON), cache, TENANT, as_uid=AS_UID)
    for path in (built.path, *built.path.rglob("*")):
        status = path.lstat()
        assert status.st_uid == os.geteuid()
        assert path.is_symlink() or not status.st_mode & 0o222


def test_a_second_build_of_a_tenant_takes_the_first_ones_tree(cache, wheels):
    locked = lock("alpha", python=PYTHON)
    first = build(locked, cache, TENANT, as_uid=AS_UID)
    shutil.rmtree(wheels)
    said = []
    assert build(locked, cache, TENANT, as_uid=AS_UID, log=said.append) == first
    assert said == []


def test_a_discarded_environment_is_built_anew(cache, wheels):
    locked = lock("alpha", python=PYTHON)
    first = build(locked, cache, TENANT, as_uid=AS_UID)
    discard(first)
    discard(first)
    assert not first.path.exists()
    assert build(locked, cache, TENANT, as_uid=AS_UID) == first
    assert first.path.exists()


def test_builders_at_the_same_time_end_with_one_tree(cache, wheels):
    locked = lock("alpha", python=PYTHON)
    said = []
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(build, locked, cache, TENANT, as_uid=AS_UID, log=said.append) for _ in range(4)]
        built = {future.result() for future in waiting}
    assert len(built) == 1
    assert sum("+ alpha" in line for line in said) == 1
    assert not list((cache / TENANT).glob(".building-*"))


def _build_slowly(locked, cache, ready):
    def log(_):
        ready.set()
        time.sleep(60)

    build(locked, cache, TENANT, as_uid=AS_UID, log=log)


def test_a_killed_builder_leaves_nothing_visible_and_the_next_one_cleans_up(cache, wheels):
    locked = lock("alpha", python=PYTHON)
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    builder = context.Process(target=_build_slowly, args=(locked, cache, ready))
    builder.start()
    assert ready.wait(60)
    os.kill(builder.pid, signal.SIGKILL)
    builder.join()
    assert list((cache / TENANT).glob(".building-*"))
    assert not list((cache / TENANT).glob("*/record.json"))
    built = build(locked, cache, TENANT, as_uid=AS_UID)
    assert tree_digest(built.path) == built.tree_digest
    assert not list((cache / TENANT).glob(".building-*"))


def test_a_failed_build_leaves_nothing_behind(cache, wheels):
    wrong = Lock(PYTHON, (Pin("alpha", "1.0", "0" * 64),))
    with pytest.raises(IntegrityError, match=r"alpha==1\.0 is not the one"):
        build(wrong, cache, TENANT, as_uid=AS_UID)
    assert not [path for path in (cache / TENANT).iterdir() if path.is_dir() and not path.name.startswith("wheels")]


def test_a_wheel_the_node_does_not_have_is_named(cache, wheels):
    missing = Lock(PYTHON, (Pin("beta", "2.0+cpu", "0" * 64),))
    with pytest.raises(UsageError, match="beta"):
        build(missing, cache, TENANT, as_uid=AS_UID)


def test_a_source_distribution_is_not_built(cache, wheels):
    (wheels / "gamma-1.0.tar.gz").write_bytes(b"")
    only_source = Lock(PYTHON, (Pin("gamma", "1.0", "0" * 64),))
    with pytest.raises(UsageError, match="no wheel for gamma"):
        build(only_source, cache, TENANT, as_uid=AS_UID)


def test_a_disk_that_is_nearly_full_is_left_alone(cache, wheels):
    locked = lock("alpha", python=PYTHON)
    with pytest.raises(CapacityError, match="disk is too full"):
        build(locked, cache, TENANT, as_uid=AS_UID, limits=Limits(keep_free_bytes=10**18))


def test_another_python_than_the_nodes_is_refused_by_name(cache):
    with pytest.raises(UsageError, match=r"Python 3\.7 is not on this machine; there is .*3\.11"):
        build(Lock("3.7"), cache, TENANT, as_uid=AS_UID)


@pytest.mark.skipif(AS_UID is None, reason="only root builds as another user")
def test_a_folder_the_building_user_cannot_reach_is_named(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(UsageError, match="cannot reach") as caught:
        build(Lock(PYTHON), closed / "cache", TENANT, as_uid=AS_UID)
    assert "chmod o+x" in caught.value.hint


def test_the_customer_finds_the_factorys_tree_to_be_the_locked_one(cache, wheels):
    locked = lock("alpha", python=PYTHON)
    built = build(locked, cache, TENANT, mounted_python=Path(f"/usr/bin/python{PYTHON}"), as_uid=AS_UID)
    found = env_verify(locked, built.tree_digest)
    assert found.agreement is Agreement.SAME
    assert not found.rebuilt.path.exists()


def test_the_customer_is_told_the_first_file_that_was_changed(cache, wheels):
    locked = lock("alpha", python=PYTHON)
    built = build(locked, cache, TENANT, mounted_python=Path(f"/usr/bin/python{PYTHON}"), as_uid=AS_UID)
    changed = built.path / f"lib/python{PYTHON}/site-packages/alpha/data.txt"
    changed.chmod(0o644)
    changed.write_text("other data")
    listing = tree_listing(built.path)
    found = env_verify(locked, listing.digest, listing=listing)
    assert found.agreement is Agreement.DIFFERENT
    assert found.first.path.endswith("alpha/data.txt")
    with pytest.raises(IntegrityError, match="listing"):
        env_verify(locked, built.tree_digest, listing=listing)


def test_files_compiled_by_another_release_are_told_apart_from_changed_ones(cache, wheels):
    locked = lock("alpha", python=PYTHON)
    built = build(locked, cache, TENANT, mounted_python=Path(f"/usr/bin/python{PYTHON}"), as_uid=AS_UID)
    listing = tree_listing(built.path)
    other = tuple(
        type(entry)(entry.kind, "0" * 64, entry.path) if entry.path.endswith(".pyc") else entry
        for entry in listing.entries
    )
    found = env_verify(locked, Listing(other).digest, listing=Listing(other))
    assert found.agreement is Agreement.COMPILED_FILES_DIFFER
    without = Listing(tuple(entry for entry in listing.entries if not entry.path.endswith(".pyc")))
    assert env_verify(locked, without.digest, listing=without).agreement is Agreement.DIFFERENT


@pytest.mark.skipif(
    not Path("/usr/bin/python3.11").exists() or sys.base_prefix == "/usr" or sys.version_info[:2] != (3, 11),
    reason="needs two installations of one Python",
)
def test_two_installations_of_one_python_build_the_same_tree(place, wheels):
    locked = lock("alpha", python="3.11")
    system = build(locked, place / "one", TENANT, python=Path("/usr/bin/python3.11"))
    own = Path(sys.base_prefix) / "bin/python3.11"
    other = build(locked, place / "two", TENANT, python=own, mounted_python=Path("/usr/bin/python3.11"))
    assert other.tree_digest == system.tree_digest
