"""Runs on several nodes of a real cluster, each node with a network of its own."""

import json

import pytest
from slurm_stage import three_nodes

from kifabrik.runs.states import Outcome, RunState

pytestmark = pytest.mark.timeout(300)  # a cluster and two parties start within the first test

TALK = """
import json, os, socket, subprocess, time
from pathlib import Path

rank, nodes = int(os.environ["KIFABRIK_NODE_RANK"]), int(os.environ["KIFABRIK_NODES"])
print("hello from", socket.gethostname(), rank, nodes, flush=True)

def tried(name, call):
    try:
        call()
    except OSError as error:
        print(name, "refused", flush=True)
    else:
        print(name, "REACHED", flush=True)

for name, address in json.loads(os.environ["KNOWN"]).items():
    tried(name, lambda: socket.create_connection(address, 2).close())
tried("dns", lambda: socket.getaddrinfo("example.org", 80))
port = int(os.environ["MASTER_PORT"])
if rank == 0:
    server = socket.create_server(("", port))
    said = []
    for _ in range(nodes - 1):
        peer, _ = server.accept()
        said.append(peer.makefile().readline().strip())
    print("heard", sorted(said), flush=True)
    Path("/out/model").mkdir()
    Path("/out/model/said.json").write_text(json.dumps(sorted(said)))
else:
    for _ in range(1200):
        try:
            with socket.create_connection((os.environ["MASTER_ADDR"], port), 5) as lead:
                lead.sendall(f"rank {rank}\\n".encode())
            break
        except OSError:
            time.sleep(0.1)
    else:
        raise SystemExit("nobody there")
"""
WAITS = """
import os, time
print("begun", os.environ["KIFABRIK_NODE_RANK"], flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def stage():
    """Three nodes with addresses of their own; a customer with a sealed dataset."""
    with three_nodes("gang") as playing:
        yield playing


def gang(stage, folder, code, nodes, **parts):
    return stage.order(folder, code, resources={"cpu": 1, "memory": "300MB", "nodes": nodes}, **parts)


def test_ranks_on_real_nodes_reach_each_other_and_nothing_else(stage, tmp_path):
    network = stage.cluster.network
    known = {"factory": (network.address, stage.port), "controller": (network.address, 22)}
    known |= {f"node n{number}": (network.address_of(number), 22) for number in (1, 2, 3)}
    known |= {"the internet": ("192.0.2.1", 443), "loopback": ("127.0.0.1", stage.port)}
    variables = {"variables": {"KNOWN": json.dumps(known)}}
    run = gang(stage, tmp_path, TALK, 3, outputs={"model": "/out/model"}, environment=variables)
    result = run.result(timeout=90)
    lines = stage.log(run.run)
    assert "heard ['rank 1', 'rank 2']" in lines
    assert sorted(line for line in lines if line.startswith("hello")) == [
        f"hello from node-{rank} {rank} 3" for rank in range(3)
    ]
    assert not [line for line in lines if "REACHED" in line]
    assert len([line for line in lines if "refused" in line]) == 3 * (len(known) + 1)
    result.pull("model", tmp_path / "pulled")
    assert json.loads((tmp_path / "pulled" / "said.json").read_text()) == ["rank 1", "rank 2"]
    (attempt,) = run.view().attempts
    assert sorted(attempt.node.split(", ")) == ["n1", "n2", "n3"]
    request = _requests(stage, run.run)
    assert len(request) == 1, "one entry for all nodes"


def _requests(stage, run):
    attempts = [one.attempt for one in stage.sdk.session.runs.show(run).attempts]
    said = stage.customer.kifabrik("ledger", "show", "--json").json()
    return [one for one in said if one["kind"] == "lease.requested" and one["refs"].get("attempt") in attempts]


def test_a_gang_whose_node_is_lost_ends_everywhere(stage, tmp_path):
    run = gang(stage, tmp_path, WAITS, 2)
    stage.wait_for_line(run.run, "begun")
    number = stage.job_of(run.run)
    stage.cluster.run("scancel", "--signal=KILL", f"{number}.0")
    view = stage.end(run)
    assert view.state is RunState.FAILED
    assert view.attempts[-1].outcome is Outcome.NODE_FAILURE
    for name in stage.spec.node_names:
        assert not list((stage.node_home(name) / "runs").glob("a-*"))


def test_a_gang_is_stopped_on_all_nodes(stage, tmp_path):
    run = gang(stage, tmp_path, WAITS, 3)
    stage.wait_for_line(run.run, "begun")
    run.cancel()
    assert stage.end(run).state is RunState.STOPPED
