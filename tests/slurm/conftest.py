"""A cluster for the whole session. Only collected when this folder is asked for: `make test-slurm`."""

import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import cluster as clusters  # noqa: E402
from cluster_config import ClusterSpec  # noqa: E402

_MINE = "".join(chr(ord("a") + int(digit)) for digit in f"{os.getpid():09d}")
USERS = (f"kf-tenanta{_MINE}", f"kf-tenantb{_MINE}")
"""Of this session alone: users are the machine's, and a session ends by removing its own."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave these tests out unless a path of this folder was named."""
    asked = (config.invocation_params.dir / arg.partition("::")[0] for arg in config.args)
    named = any(path.resolve() == HERE or HERE in path.resolve().parents for path in asked)
    return None if named else True


@pytest.fixture(scope="session")
def cluster() -> Iterator[clusters.Cluster]:
    """Four nodes of 8 GPUs, a folder everybody may write to, and two tenants' accounts and users."""
    reason = clusters.missing()
    if reason:
        pytest.skip(reason)
    folder = Path(f"/tmp/kifabrik-slurm-{os.getpid()}")
    with clusters.running(ClusterSpec(folder, node_timeout_s=20, grace_s=2)) as found:
        (folder / "jobs").mkdir()
        (folder / "jobs").chmod(0o1777)
        for user in USERS:
            _add_user(user)
            found.run("sacctmgr", "-i", "add", "account", f"of-{user}", "Description=test", "Organization=test")
            found.run("sacctmgr", "-i", "add", "user", user, f"Account=of-{user}")
        try:
            yield found
        finally:
            for user in USERS:
                subprocess.run(["userdel", user], check=False, capture_output=True)
    shutil.rmtree(folder)


@pytest.fixture
def user(cluster: clusters.Cluster) -> str:
    """A tenant's Unix user."""
    return USERS[0]


@pytest.fixture
def other_user(cluster: clusters.Cluster) -> str:
    """Another tenant's Unix user."""
    return USERS[1]


@pytest.fixture
def eventually() -> Callable[..., object]:
    """Call a function until it returns something true, and return that."""

    def wait(look: Callable[[], object], seconds: float = 60) -> object:
        end = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < end, "it did not happen"
            time.sleep(0.05)
        return found

    return wait


@pytest.fixture
def submit(cluster: clusters.Cluster, user: str) -> Iterator[Callable[..., str]]:
    """Submit a shell script as a tenant and return the job's number; what is left is cancelled at the end."""
    numbers: list[str] = []

    def sbatch(script: str, *options: str, by: str = user, mem: str = "50M") -> str:
        arguments = [
            "sbatch",
            "--parsable",
            "--chdir=/",
            f"--output={cluster.folder}/jobs/%A-%a.out",
            f"--mem={mem}",
        ]
        number = cluster.run(*arguments, *options, user=by, stdin=f"#!/bin/sh\n{script}\n").strip()
        numbers.append(number)
        return number

    yield sbatch
    if numbers:
        cluster.run("scancel", "--quiet", *numbers)


def _add_user(name: str) -> None:
    try:
        pwd.getpwnam(name)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name]
        subprocess.run(command, check=True, capture_output=True)
