"""A cluster for the whole session. Only collected when this folder is asked for: `make test-slurm`."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "acceptance")]

import cluster as clusters  # noqa: E402
import waiting  # noqa: E402
from cluster_config import ClusterSpec  # noqa: E402
from users import MINE, add_user, remove_user  # noqa: E402

if TYPE_CHECKING:
    from slurm_stage import SlurmStage

    from kifabrik.customer.sdk import RunFuture

USERS = (f"kf-tenanta{MINE}", f"kf-tenantb{MINE}")
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
            add_user(user)
            found.run("sacctmgr", "-i", "add", "account", f"of-{user}", "Description=test", "Organization=test")
            found.run("sacctmgr", "-i", "add", "user", user, f"Account=of-{user}")
        yield found
    for user in USERS:
        remove_user(user)
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
    return waiting.eventually


@pytest.fixture
def parts() -> dict[str, object]:
    """What every job of a module has besides; a module that has any says so."""
    return {}


@pytest.fixture
def order(stage: "SlurmStage", tmp_path: Path, parts: dict[str, object]) -> Iterator[Callable[..., "RunFuture"]]:
    """Order a run of a program from a module's stage; what is left is stopped at the end."""
    ordered: list[RunFuture] = []

    def make(code: str, **others: object) -> "RunFuture":
        run = stage.order(tmp_path / f"job-{len(ordered)}", code, **(parts | others))
        ordered.append(run)
        return run

    yield make
    for run in ordered:
        run.cancel()
        stage.end(run)


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
