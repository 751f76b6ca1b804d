"""The code bundle: what goes into it, what stays out, and the digest a grant is bound to."""

import os

import pytest

from kifabrik.customer.bundle import CodeBundle
from kifabrik.errors import KifabrikError, NotFoundError, UsageError
from kifabrik.jobs.private import PATH, PrivateJob

JOB = PrivateJob("n", "python train.py", {}, {"/data/a": "d-one"}, {"model": "/out/model"}, "", ())


@pytest.fixture
def workdir(tmp_path):
    folder = tmp_path / "venv" / "code"  # a parent that is called like something left out
    for path in ("train.py", "lib/net.py", ".git/config", "lib/__pycache__/net.pyc", "old.pyc", ".venv/bin/python"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)
    return folder


def tree(opened):
    return sorted(str(p.relative_to(opened._root)) for p in opened._root.rglob("*") if p.is_file())


def test_code_goes_in_and_what_can_be_made_anew_stays_out(workdir):
    with CodeBundle(workdir, JOB) as opened:
        assert tree(opened) == [PATH, "work/lib/net.py", "work/train.py"]
        assert PrivateJob.from_bytes((opened._root / PATH).read_bytes()) == JOB


def test_nothing_of_a_bundle_is_left_behind(workdir):
    with CodeBundle(workdir, JOB) as opened:
        root = opened._root
    assert not root.exists()


def test_the_digest_is_of_code_and_command_and_of_nothing_else(workdir, tmp_path):
    def digest(job=JOB):
        with CodeBundle(workdir, job) as opened:
            return opened.code_digest()

    first = digest()
    (workdir / "old.pyc").write_text("compiled anew")
    os.utime(workdir / "train.py", (0, 0))
    assert digest() == first
    assert digest(PrivateJob("n", "python other.py", {}, JOB.mounts, JOB.outputs, "", ())) != first
    (workdir / "train.py").write_text("changed")
    assert digest() != first


def test_a_workdir_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(NotFoundError, match="nowhere"):
        CodeBundle(tmp_path / "nowhere", JOB)


def grow(path):
    """Make a file that is larger than code can be, and takes no room on the disk."""
    with path.open("w") as file:
        file.truncate(3 * 10**9)


def test_data_among_the_code_is_refused_wherever_the_folder_lies(workdir):
    grow(workdir / ".venv" / "library.so")
    CodeBundle(workdir, JOB).__exit__()
    grow(workdir / "measurements.csv")
    with pytest.raises(UsageError, match="3 GB"):
        CodeBundle(workdir, JOB)


def test_a_pipe_among_the_code_is_named(workdir):
    os.mkfifo(workdir / "pipe")
    with pytest.raises(UsageError, match="pipe"):
        CodeBundle(workdir, JOB)


def test_a_link_among_the_code_is_kept_as_one_or_refused_by_name(workdir):
    (workdir / "link").symlink_to("/etc/passwd")
    with pytest.raises(KifabrikError, match="link"), CodeBundle(workdir, JOB) as opened:
        opened.code_digest()
