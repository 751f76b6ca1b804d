"""PyTorch as it is used outside: torchrun on two nodes, two ranks each, DDP over gloo; the loss of one process."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from fabric import NODES
from test_multinode_runs import ended, lines_of, order

from kifabrik.environments.lock import lock
from kifabrik.errors import KifabrikError
from kifabrik.runs.states import RunState

pytestmark = [pytest.mark.xdist_group("multinode"), pytest.mark.slow, pytest.mark.timeout(900)]

TORCH = "torch==2.13.0"
TRAIN = """
import json, os, time
from pathlib import Path
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

torch.manual_seed(7)
torch.set_num_threads(1)
several = int(os.environ.get("WORLD_SIZE", "1")) > 1
if several:
    dist.init_process_group("gloo")
rank, world = (dist.get_rank(), dist.get_world_size()) if several else (0, 1)
rows = torch.linspace(-1, 1, 64, dtype=torch.float64).reshape(-1, 1)
wanted = 3 * rows**2 - rows
model = torch.nn.Sequential(torch.nn.Linear(1, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1)).double()
trained = DistributedDataParallel(model) if several else model
step = torch.optim.SGD(trained.parameters(), lr=0.1)
mine = slice(rank * 64 // world, (rank + 1) * 64 // world)
for epoch in range(50):
    step.zero_grad()
    loss = ((trained(rows[mine]) - wanted[mine]) ** 2).mean()
    loss.backward()
    step.step()
with torch.no_grad():
    whole = ((model(rows) - wanted) ** 2).mean()
os.write(1, f"rank {rank} of {world} loss {whole.item():.12f}\\n".encode())  # in one piece: two share the pipe
if rank == 0:
    Path("/out/model").mkdir(parents=True, exist_ok=True)
    Path("/out/model/loss.json").write_text(json.dumps(whole.item()))
if several:
    # gloo aborts a rank whose peer closes first: all arrive, then all go, without taking the group apart.
    dist.barrier()
    time.sleep(1)
    os._exit(0)
"""
RUN = (
    "torchrun --nnodes=$KIFABRIK_NODES --node-rank=$KIFABRIK_NODE_RANK --nproc-per-node=2 "
    "--master-addr=$MASTER_ADDR --master-port=$MASTER_PORT job.py"
)
SHORT = "torchrun --nproc-per-node=2 job.py"


PREBUILD = """
import sys
from pathlib import Path
from kifabrik.environments.build import build
from kifabrik.environments.lock import lock
from kifabrik.launcher.cache import reachable_cache
from kifabrik.sandbox.memory import enter_private_mounts
from kifabrik.sandbox.uids import claim_uid

home, tenant, requirements = sys.argv[1:]
cache = reachable_cache(enter_private_mounts(), Path(home) / "environments")
with claim_uid() as owner:
    build(lock(requirements, python="3.11"), cache, tenant, as_uid=owner.uid)
"""


@pytest.fixture(scope="module")
def torch_wheel(cluster):
    """Torch's environment on every node, built here: the nodes of these tests do not reach the package index.

    Skips, with a clear line, where torch cannot be had.
    """
    folders = [
        Path(part) for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS") for part in os.environ.get(name, "").split()
    ]
    if not any(folder.glob("torch-2.13.0*.whl") for folder in folders):
        pytest.skip(f"PIP_FIND_LINKS names no folder with a wheel of {TORCH}")
    try:
        lock(f"{TORCH}\n", python="3.11")
    except KifabrikError as error:
        pytest.skip(f"{TORCH} cannot be had here: {error.message}")
    first, *others = (cluster.node_home(node) for node in range(NODES))
    command = [sys.executable, "-c", PREBUILD, str(first), cluster.sdk.session.tenant, f"{TORCH}\n"]
    built = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    assert built.returncode == 0, built.stderr
    for home in others:
        command = ["cp", "--archive", "--link", "--no-clobber", str(first / "environments"), str(home)]
        subprocess.run(command, check=True)


@pytest.fixture(scope="module")
def alone(cluster, torch_wheel, tmp_path_factory):
    """The loss of one process on one node."""
    return trained(cluster, tmp_path_factory.mktemp("alone"), "python job.py", nodes=1)


def trained(cluster, folder, command, nodes):
    """Train, and return the loss that came back sealed."""
    future = order(
        cluster,
        folder,
        TRAIN,
        run=command,
        environment={"requirements": [TORCH]},
        resources={"cpu": 2, "memory": "1500MB", "nodes": nodes},
        outputs={"model": "/out/model"},
        max_duration="10m",
    )
    view = ended(cluster, future.run)
    assert view.state is RunState.SUCCEEDED, view.reason
    future.result(60).pull("model", folder / "model")
    said = "\n".join(line for lines in lines_of(cluster, future.run).values() for line in lines)
    # Two ranks of a node share a pipe, so one's line can end up behind another's.
    assert sorted(re.findall(r"rank (\d) of", said)) == [
        str(rank) for rank in range(1 if nodes == 1 else 2 * nodes)
    ]
    return json.loads((folder / "model" / "loss.json").read_text())


@pytest.mark.parametrize("command", [RUN, SHORT], ids=["every option", "torchrun's own variables"])
def test_four_ranks_on_two_nodes_train_to_the_loss_of_one_process(cluster, alone, tmp_path, command):
    assert trained(cluster, tmp_path, command, nodes=2) == pytest.approx(alone, rel=1e-9)
    assert 0 < alone < 1, "an untrained network has 2"
