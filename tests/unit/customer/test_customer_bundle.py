"""The code bundle: what goes into it, what stays out, and the digest a grant is bound to."""

import os
from pathlib import Path
from tempfile import mkdtemp

import pytest

from kifabrik.customer.bundle import CodeBundle
from kifabrik.errors import CapacityError, KifabrikError, NotFoundError, UsageError
from kifabrik.jobs.private import PATH, PrivateJob
from small_disk import small_disk

__all__ = ["small_disk"]

JOB = PrivateJob("n", "python train.py", {}, {"/data/a": "d-one"}, {"model": "/out/model"}, "", ())


@pytest.fixture
def workdir(tmp_path):
    folder = tmp_path / "venv" / "code"  # a parent that is called like something left out
    for path in ("train.py", "lib/net.py", ".git/config", "lib/__pycache__/net.pyc", "old.pyc", ".venv/bin/python"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)
    return folder


@pytest.fixture
def bundle(workdir, tmp_path):
    """Makes a bundle of the workdir, in a folder that goes with the test."""

    def make(job=JOB, workdir=workdir, home=tmp_path / "home"):
        return CodeBundle(workdir, job, Path(mkdtemp(dir=tmp_path)), home)

    return make


def tree(opened):
    return sorted(str(p.relative_to(opened._root)) for p in opened._root.rglob("*") if p.is_file())


def test_code_goes_in_and_what_can_be_made_anew_stays_out(bundle):
    opened = bundle()
    assert tree(opened) == [PATH, "work/lib/net.py", "work/train.py"]
    assert PrivateJob.from_bytes((opened._root / PATH).read_bytes()) == JOB


def test_the_keys_of_this_machine_are_never_part_of_the_code(bundle, workdir):
    for path in ("try/passphrase.txt", "try/member/profile.json", "member/profile.json", "keyholder/keyholder.db"):
        (workdir / path).parent.mkdir(parents=True, exist_ok=True)
        (workdir / path).write_text("secret")
    outside = ["work/keyholder/keyholder.db", "work/member/profile.json"]
    assert tree(bundle(home=workdir / "try")) == [
        PATH,
        *outside[:1],
        "work/lib/net.py",
        *outside[1:],
        "work/train.py",
    ]
    within = tree(bundle(home=workdir))
    assert not [path for path in within if path in outside]


def test_the_digest_is_of_code_and_command_and_of_nothing_else(bundle, workdir):
    def digest(job=JOB):
        return bundle(job).code_digest()

    first = digest()
    (workdir / "old.pyc").write_text("compiled anew")
    os.utime(workdir / "train.py", (0, 0))
    assert digest() == first
    assert digest(PrivateJob("n", "python other.py", {}, JOB.mounts, JOB.outputs, "", ())) != first
    (workdir / "train.py").write_text("changed")
    assert digest() != first


def test_a_workdir_that_is_not_there_is_said_so(bundle, tmp_path):
    with pytest.raises(NotFoundError, match="nowhere"):
        bundle(workdir=tmp_path / "nowhere")


def test_a_file_in_place_of_the_workdir_is_said_so(bundle, workdir):
    with pytest.raises(UsageError, match=r"train\.py is not a folder"):
        bundle(workdir=workdir / "train.py")


def test_a_file_that_goes_while_the_code_is_measured_is_not_missed(bundle, workdir, monkeypatch):
    real = os.walk

    def walk(top):
        for folder, folders, files in real(top):
            yield folder, folders, [*files, ".train.py.swp"]

    monkeypatch.setattr(os, "walk", walk)
    assert "work/train.py" in tree(bundle())


def test_no_room_for_the_code_is_said_as_that(workdir, tmp_path, small_disk):
    scratch = small_disk(tmp_path / "small", "1m").folder
    (workdir / "weights.bin").write_bytes(bytes(2**21))
    with pytest.raises(CapacityError, match="small") as raised:
        CodeBundle(workdir, JOB, scratch, tmp_path / "home")
    assert "order again" in raised.value.hint


def grow(path):
    """Make a file that is larger than code can be, and takes no room on the disk."""
    with path.open("w") as file:
        file.truncate(3 * 10**9)


def test_data_among_the_code_is_refused_wherever_the_folder_lies(bundle, workdir):
    grow(workdir / ".venv" / "library.so")
    bundle()
    grow(workdir / "measurements.csv")
    with pytest.raises(UsageError, match="3 GB"):
        bundle()


def test_a_pipe_among_the_code_is_named(bundle, workdir):
    os.mkfifo(workdir / "pipe")
    with pytest.raises(UsageError, match="pipe"):
        bundle()


def test_a_link_among_the_code_is_kept_as_one_or_refused_by_name(bundle, workdir):
    (workdir / "link").symlink_to("/etc/passwd")
    with pytest.raises(KifabrikError, match="link"):
        bundle().code_digest()
