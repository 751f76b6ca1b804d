"""Runs on several nodes, with real parts: launchers in namespaces, a keyholder, a service, rooms, networks."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from kifabrik.customer.follow import read_log
from kifabrik.customer.proof import prove_run
from kifabrik.leases.statements import AttemptRequest
from kifabrik.ledger.entry import EntryKind
from kifabrik.models.provenance import Provenance
from kifabrik.runs.states import Outcome, RunState
from kifabrik.signatures.statements import read_unverified
from kifabrik.wiring.factory import open_factory
from kifabrik.wiring.node import read_key

pytestmark = [pytest.mark.xdist_group("multinode"), pytest.mark.slow, pytest.mark.timeout(400)]

RENDEZVOUS = """
import json, os, socket, sys, time
from pathlib import Path

rank, nodes = int(os.environ["KIFABRIK_NODE_RANK"]), int(os.environ["KIFABRIK_NODES"])
lead = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))

def meet(word):
    '''Every rank says a word; every rank hears all words.'''
    if rank == 0:
        with socket.create_server(("", lead[1])) as server:
            peers = [server.accept()[0] for _ in range(nodes - 1)]
            words = sorted([word, *(peer.makefile().readline().strip() for peer in peers)])
            for peer in peers:
                peer.sendall((json.dumps(words) + "\\n").encode())
            return words
    for _ in range(1500):
        try:
            with socket.create_connection(lead, 60) as peer:
                peer.sendall(f"{word}\\n".encode())
                return json.loads(peer.makefile().readline())
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the lead rank does not answer")
"""
TALK = f"""{RENDEZVOUS}
print("I am", socket.gethostname(), "at", socket.gethostbyname(f"node-{{rank}}"))
words = meet(f"rank {{rank}} read {{len(list(Path('/data/line').iterdir()))}} file")
print("heard", words)
if rank == 0:
    Path("/out/model").mkdir()
    Path("/out/model/words.json").write_text(json.dumps(words))
"""
WAIT = f"""{RENDEZVOUS}
meet(str(rank))
print("all are here", flush=True)
time.sleep(300)
"""


def order(cluster, folder, code, nodes=2, **parts):
    """Order a run on several nodes."""
    return cluster.order(folder, code, **{"resources": {"cpu": 1, "memory": "300MB", "nodes": nodes}} | parts)


def lines_of(cluster, run):
    """Lines of a run's log by the node that wrote them."""
    found = {}
    for line in read_log(cluster.sdk.session, run, follow=False):
        found.setdefault(line.rank, []).append(line.text)
    return found


def ended(cluster, run):
    """Wait for the end, and show what the launchers said to the operator if it is not a good one."""
    view = cluster.end(run)
    if view.state is not RunState.SUCCEEDED:
        print(view.state, view.reason, cluster.said_by_launchers(), lines_of(cluster, run))  # noqa: T201
    return view


@pytest.fixture(scope="module")
def talked(cluster, tmp_path_factory):
    """A run on three nodes that has ended well."""
    future = order(cluster, tmp_path_factory.mktemp("talk"), TALK, 3, outputs={"model": "/out/model"})
    view = ended(cluster, future.run)
    assert view.state is RunState.SUCCEEDED
    return future, view


def test_the_ranks_of_a_run_reach_each_other_and_its_result_comes_from_the_first(cluster, talked, tmp_path):
    future, view = talked
    assert view.attempts[0].node == "node0, node1, node2"
    future.result(120).pull("model", tmp_path / "model")
    words = [f"rank {rank} read 1 file" for rank in range(3)]
    assert json.loads((tmp_path / "model" / "words.json").read_text()) == words
    lines = lines_of(cluster, future.run)
    assert [lines[rank][0] for rank in range(3)] == [f"I am node-{rank} at 10.77.0.{rank + 1}" for rank in range(3)]
    assert all(lines[rank][1] == f"heard {words}" for rank in range(3))


def test_the_log_is_shown_with_the_node_that_wrote_each_line(cluster, talked):
    said = cluster.customer.kifabrik("logs", talked[0].run)
    assert "[node-2] I am node-2 at 10.77.0.3" in said.out.splitlines()


def test_one_request_and_one_lease_stand_in_the_log_and_name_every_node(cluster, talked):
    future, _ = talked
    catalogue = cluster.sdk.session.catalogue()
    entries = [one for one in catalogue.entries if one.refs.get("run") == future.run]
    requested = [one for one in entries if one.kind is EntryKind.LEASE_REQUESTED and "attempt" in one.refs]
    keys = {read_key(cluster.node_home(number)).public.hex for number in range(3)}
    assert len(requested) == 1
    assert sorted(requested[0].refs["nodes"]) == sorted(key[:16] for key in keys)
    assert sum(one.kind is EntryKind.RUN_FINISHED for one in entries) == 1
    proven = prove_run(cluster.sdk.session, catalogue, future.run)
    assert set(proven.lease.predicate.node_keys) == keys
    assert [node.rank for node in proven.finish.predicate.others] == [1, 2]
    assert all(node.ended for node in proven.finish.predicate.others)
    request = cluster.sdk.session.datasets.statement(proven.lease.predicate.request)
    said, _ = read_unverified(request, AttemptRequest)
    assert len(request.signatures) == 4
    assert len({node.recipient for node in said.nodes} | {said.recipient}) == 4
    (digest,) = cluster.sdk.session.runs.evidence(future.run).provenance
    provenance, _ = read_unverified(cluster.sdk.session.datasets.statement(digest), Provenance)
    assert set(provenance.buildDefinition["internalParameters"]["nodes"]) == keys


def test_what_every_node_used_is_summed_and_charged(cluster, talked):
    future, view = talked
    factory = open_factory(cluster.factory.home / "factory")
    with factory.store.read() as transaction:
        (attempt,) = transaction.runs.attempts_of(cluster.sdk.session.tenant, [future.run])
        assert transaction.runs.count_notes(attempt.tenant, attempt.attempt, "joined") == 0
    factory.store.close()
    assert len(attempt.readings) == 3
    assert all(reading.cpu_ms > 0 and reading.energy_mj > 0 for reading in attempt.readings)
    assert view.footprint.cpu_s * 1000 == pytest.approx(sum(one.cpu_ms for one in attempt.readings))
    assert sum(part.joules for part in view.footprint.energy) * 1000 == pytest.approx(
        sum(one.energy_mj for one in attempt.readings)
    )
    assert view.footprint.wall_s * 1000 == pytest.approx(sum(one.wall_ms for one in attempt.readings))
    assert view.footprint.cost_micro_eur > 0


def test_a_node_whose_program_fails_ends_the_run_on_all_with_its_reason(cluster, tmp_path):
    code = f"""{RENDEZVOUS}
meet(str(rank))
if rank == 1:
    raise SystemExit(7)
time.sleep(300)
"""
    run = order(cluster, tmp_path, code).run
    launchers = cluster.launchers_of(run)
    view = ended(cluster, run)
    assert view.state is RunState.FAILED
    assert view.attempts[-1].outcome is Outcome.ERROR
    assert "Node 1: its program ended with an error" in view.reason
    assert_gone(cluster, launchers)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_node_that_dies_ends_the_attempt_on_all_and_leaves_nothing_in_memory(cluster, tmp_path, rank):
    run = order(cluster, tmp_path, WAIT).run
    cluster.wait_for_line(run, "all are here")
    launchers = cluster.launchers_of(run)
    os.kill(launchers[rank], signal.SIGKILL)
    view = ended(cluster, run)
    assert view.attempts[-1].outcome is Outcome.NODE_FAILURE
    assert_gone(cluster, launchers)


def test_stopping_a_run_stops_every_node(cluster, tmp_path):
    run = order(cluster, tmp_path, WAIT).run
    cluster.wait_for_line(run, "all are here")
    launchers = cluster.launchers_of(run)
    cluster.sdk.session.runs.stop(run)
    view = ended(cluster, run)
    assert (view.state, view.attempts[-1].outcome) == (RunState.STOPPED, Outcome.STOPPED)
    assert_gone(cluster, launchers)


def test_after_a_node_has_died_every_node_goes_on_from_the_checkpoint(cluster, tmp_path):
    code = f"""{RENDEZVOUS}
state = Path("/checkpoint/state")
before = state.read_text() if state.exists() else "nothing"
words = meet(f"{{rank}} found {{before}}")
print(words, flush=True)
if before == "nothing":
    if rank == 0:
        state.write_text("step 5")
    Path("/checkpoint/of-rank").write_text(str(rank))
    time.sleep(300)
"""
    run = order(
        cluster, tmp_path, code, checkpoint="/checkpoint", retry={"attempts": 2, "on": ["node-failure"]}
    ).run
    cluster.wait_for_line(run, "0 found nothing")
    first = cluster.launchers_of(run)
    wait_for_checkpoint(cluster, run)
    os.kill(first[1], signal.SIGKILL)
    view = ended(cluster, run)
    assert view.state is RunState.SUCCEEDED
    assert len(view.attempts) == 2
    second = [line.text for line in read_log(cluster.sdk.session, run, follow=False) if "found step 5" in line.text]
    assert second == ["['0 found step 5', '1 found step 5']"] * 2


def wait_for_checkpoint(cluster, run):
    """Wait until the first node has sealed a checkpoint."""
    until = time.monotonic() + 150
    while not any("is kept" in line for line in cluster.log(run)):
        assert time.monotonic() < until, "no checkpoint"
        time.sleep(1)


def assert_gone(cluster, launchers):
    """Every launcher ends, and with it every process, mount and folder of the run."""
    until = time.monotonic() + 120
    while any(_alive(pid) for pid in launchers):
        assert time.monotonic() < until, "a launcher lives on"
        time.sleep(0.2)
    nodes = cluster.factory.home / "nodes"
    mounts = Path("/proc/mounts").read_text()
    assert str(nodes) not in mounts
    mentioned = subprocess.run(["grep", "-l", str(nodes), *_mount_tables()], capture_output=True, check=False)
    assert mentioned.stdout == b"", "a process still has the run's memory mounted"


def _mount_tables():
    return [str(path) for path in Path("/proc").glob("[0-9]*/mounts") if _alive(int(path.parent.name))]


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
