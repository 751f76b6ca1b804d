"""PyTorch as it is used outside: torchrun on two nodes, two ranks each, DDP over gloo; the loss of one process."""

import json
import re

import pytest
from fabric import NODES
from test_multinode_runs import ended, lines_of, order

from kifabrik.runs.states import RunState
from torch_environment import REQUIREMENTS, give

pytestmark = [pytest.mark.xdist_group("multinode"), pytest.mark.slow, pytest.mark.timeout(900)]

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
    # gloo aborts a rank whose peer closes first: all arrive, and when all are through, all go, without taking the
    # group apart. Where the store is gone, those beside it have heard that all are through.
    dist.barrier()
    store = dist.distributed_c10d._get_default_store()
    try:
        store.add("through", 1)
        while store.add("through", 0) < world:
            time.sleep(0.05)
    except RuntimeError:
        pass
    os._exit(0)
"""
RUN = (
    "torchrun --nnodes=$KIFABRIK_NODES --node-rank=$KIFABRIK_NODE_RANK --nproc-per-node=2 "
    "--master-addr=$MASTER_ADDR --master-port=$MASTER_PORT job.py"
)
SHORT = "torchrun --nproc-per-node=2 job.py"


@pytest.fixture(scope="module")
def torch_on_nodes(cluster, torch_environment):
    """Torch's environment on every node: the nodes of these tests do not reach the package index."""
    folders = [cluster.node_home(node) / "environments" for node in range(NODES)]
    give(torch_environment, cluster.sdk.session.tenant, *folders)


@pytest.fixture(scope="module")
def alone(cluster, torch_on_nodes, tmp_path_factory):
    """The loss of one process on one node."""
    return trained(cluster, tmp_path_factory.mktemp("alone"), "python job.py", nodes=1)


def trained(cluster, folder, command, nodes):
    """Train, and return the loss that came back sealed."""
    future = order(
        cluster,
        folder,
        TRAIN,
        run=command,
        environment={"requirements": REQUIREMENTS.splitlines()},
        resources={"cpu": 2, "memory": "1500MB", "nodes": nodes},
        outputs={"model": "/out/model"},
        max_duration="10m",
    )
    view = ended(cluster, future.run)
    assert view.state is RunState.SUCCEEDED, view.reason
    future.result(120).pull("model", folder / "model")
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
