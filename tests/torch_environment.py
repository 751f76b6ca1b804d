"""Torch's environment, built once a session for all its tenants: it takes most of a minute of a core."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from compiling import one_at_a_time

EXAMPLE = Path(__file__).parents[1] / "examples" / "torch-network"
REQUIREMENTS = (EXAMPLE / "requirements.txt").read_text()
_TORCH = "torch==2.13.0"
_TENANT = "anybody"
_PATIENCE_S = 500
_BUILD = """
import sys
from pathlib import Path
from kifabrik.environments.build import build
from kifabrik.environments.lock import lock
from kifabrik.launcher.cache import reachable_cache
from kifabrik.sandbox.memory import enter_private_mounts
from kifabrik.sandbox.uids import claim_uid

cache, tenant, requirements = sys.argv[1:]
cache = reachable_cache(enter_private_mounts(), Path(cache))
with claim_uid() as owner:
    build(lock(requirements, python="3.11"), cache, tenant, as_uid=owner.uid)
"""


@pytest.fixture(scope="session")
def torch_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the environment of the example's requirements, as a node builds it for a tenant.

    Skips, with a clear line, where torch cannot be had.
    """
    from kifabrik.environments.lock import lock
    from kifabrik.errors import KifabrikError

    folders = [
        Path(part) for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS") for part in os.environ.get(name, "").split()
    ]
    if not any(folder.glob(f"{_TORCH.replace('==', '-')}*.whl") for folder in folders):
        pytest.skip(f"PIP_FIND_LINKS names no folder with a wheel of {_TORCH}")
    try:
        lock(REQUIREMENTS, python="3.11")
    except KifabrikError as error:
        pytest.skip(f"{_TORCH} cannot be had here: {error.message}")
    with one_at_a_time(tmp_path_factory, "torch") as shared:
        cache = shared / "torch-environment"
        cache.mkdir(exist_ok=True)
        command = [sys.executable, "-c", _BUILD, str(cache), _TENANT, REQUIREMENTS]
        built = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE_S)
    assert built.returncode == 0, built.stderr
    (name,) = (record.parent for record in (cache / _TENANT).glob("*/record.json"))
    return name


def give(environment: Path, tenant: str, *environments: Path) -> None:
    """Put a built environment where nodes keep a tenant's, as if they had built it.

    Args:
        environment: Of `torch_environment`.
        tenant: Whose it becomes.
        environments: The nodes' folders of all environments.
    """
    for folder in environments:
        (folder / tenant).mkdir(parents=True, exist_ok=True)
        command = ["cp", "--archive", "--link", "--no-clobber", str(environment), str(folder / tenant)]
        subprocess.run(command, check=True)
