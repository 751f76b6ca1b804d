"""Runs on several nodes, with real parts: launchers in namespaces, a keyholder, a service, rooms, networks."""

import pytest

from kifabrik.customer.follow import read_log
from kifabrik.runs.states import RunState

pytestmark = [pytest.mark.xdist_group("multinode"), pytest.mark.timeout(300)]

TALK = """
import json, os, socket
from pathlib import Path

rank, nodes = int(os.environ["KIFABRIK_NODE_RANK"]), int(os.environ["KIFABRIK_NODES"])
print("hello from", socket.gethostname(), rank, nodes)
def listen():
    server = socket.create_server(("", 29500))
    said = []
    for _ in range(nodes - 1):
        peer, _ = server.accept()
        said.append(peer.makefile().readline().strip())
    return said
if rank == 0:
    said = listen()
    print("heard", sorted(said))
    Path("/out/model").mkdir()
    Path("/out/model/said.json").write_text(json.dumps(sorted(said)))
else:
    import time
    for _ in range(100):
        try:
            with socket.create_connection((os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])), 5) as lead:
                lead.sendall(f"rank {rank}\\n".encode())
            break
        except OSError as error:
            time.sleep(0.1)
    else:
        raise SystemExit("nobody there")
"""


def order(cluster, folder, code, nodes=2, **parts):
    resources = {"cpu": 1, "memory": "300MB", "nodes": nodes}
    return cluster.order(folder, code, resources=resources, **parts)


def test_ranks_reach_each_other_and_one_result_comes_back(cluster, tmp_path):
    result = order(cluster, tmp_path, TALK, nodes=3, outputs={"model": "/out/model"})
    view = cluster.end(result.run)
    assert view.state is RunState.SUCCEEDED, (view.reason, cluster.said_by_launchers())
    lines = list(read_log(cluster.sdk.session, view.run, follow=False))
    assert lines[0].text == "hello from node-0 0 3"
    assert view.attempts[0].node == "node0, node1, node2"
