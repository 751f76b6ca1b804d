"""What a rank is told of the others, and how a node says where they reach it."""

import json
import subprocess
import sys

import pytest

from kifabrik.errors import UnavailableError, UsageError
from kifabrik.launcher.assignment import Assignment
from kifabrik.launcher.fabric import own_underlay
from kifabrik.launcher.ranks import rank_variables
from kifabrik.launcher.reporter import Reporter
from kifabrik.runs.states import RunState
from kifabrik.sandbox.network import RunNetwork, try_network

LINE = {"factory": "http://factory.example", "attempt": "a-x", "token": "t", "tenant": "t-x"}


def network(rank):
    return RunNetwork(number=5, rank=rank, underlays=("10.0.0.1", "10.0.0.2"), mtu=1500)


def test_a_run_on_one_node_is_one_process_that_leads_itself():
    found = rank_variables(None)
    assert (found["RANK"], found["WORLD_SIZE"], found["KIFABRIK_NODES"]) == ("0", "1", "1")
    assert (found["MASTER_ADDR"], found["MASTER_PORT"]) == ("127.0.0.1", "29500")
    assert not any(name.startswith("PET_") or name.endswith("_IFNAME") for name in found)


def test_the_second_of_two_nodes_finds_the_first():
    found = rank_variables(network(1))
    assert (found["RANK"], found["WORLD_SIZE"], found["LOCAL_RANK"], found["GROUP_RANK"]) == ("1", "2", "0", "1")
    assert found["MASTER_ADDR"] == found["PET_MASTER_ADDR"] == "10.77.0.1"
    assert (found["PET_NNODES"], found["PET_NODE_RANK"]) == ("2", "1")
    assert (found["KIFABRIK_NODES"], found["KIFABRIK_NODE_RANK"]) == ("2", "1")
    assert found["NCCL_SOCKET_IFNAME"] == found["GLOO_SOCKET_IFNAME"] == "run0"


def test_an_assignment_says_which_node_it_is_for():
    assert Assignment.from_json(json.dumps(LINE)).rank == 0
    assert Assignment.from_json(json.dumps(LINE | {"rank": 7})).rank == 7
    for rank in (-1, "x", None):
        with pytest.raises(UsageError):
            Assignment.from_json(json.dumps(LINE | {"rank": rank}))


def test_only_the_first_node_speaks_for_its_run():
    class Heard:
        steps = ()

        def progress(self, *step):
            self.steps = (*self.steps, step)

    for speaks in (True, False):
        heard = Heard()
        reporter = Reporter(heard, speaks=speaks)
        reporter.tell(RunState.RUNNING, "now")
        reporter.close()
        assert heard.steps == (((RunState.RUNNING, "now"),) if speaks else ())


def test_a_node_that_reaches_its_factory_at_itself_must_say_where_others_reach_it():
    with pytest.raises(UsageError, match=r"other nodes cannot reach this one at 127\.0\.0\.1"):
        own_underlay("", "http://127.0.0.1:8470")
    with pytest.raises(UsageError, match="not known"):
        own_underlay("", "http://no-such-host.invalid:8470")


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(UnavailableError, match=r"does not have the address 192\.0\.2\.77"):
        own_underlay("192.0.2.77", "http://127.0.0.1")


@pytest.mark.skipif(try_network() != "", reason="needs root and VXLAN")
def test_a_node_knows_its_address_and_the_packets_of_that_network():
    script = (
        "ip link add v0 mtu 1400 type veth peer name v1 && ip address add 198.51.100.7/24 dev v0 "
        "&& ip link set v0 up && exec python3 -c 'from kifabrik.launcher.fabric import own_underlay as o; "
        'print(o("", "http://198.51.100.9:8470"), o("198.51.100.7", "http://127.0.0.1"))\''
    )
    said = subprocess.run(
        ["unshare", "--net", "sh", "-c", script.replace("python3", sys.executable)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "('198.51.100.7', 1400) ('198.51.100.7', 1400)"
