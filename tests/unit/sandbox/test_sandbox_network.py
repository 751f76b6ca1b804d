"""The network of a run: what is made for a rank, and what is refused before anything is."""

import itertools
import os
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from kifabrik.errors import UnavailableError, UsageError
from kifabrik.sandbox.limits import Limits
from kifabrik.sandbox.network import (
    RunNetwork,
    address_of,
    name_of,
    number_of,
    require_network,
    try_network,
    underlay_address,
)
from kifabrik.sandbox.room import RoomSpec

needs_root = pytest.mark.skipif(os.geteuid() != 0 or try_network() != "", reason="needs root and VXLAN")
NUMBERS = itertools.count(os.getpid() << 4 & 0xFFFFF0)
"""A device is gone some time after its namespace; so no number is used twice."""
NODES = ("10.0.0.1", "10.0.0.2", "10.0.0.3")


def network(rank=0, **changes):
    """The network of a run on three nodes."""
    return RunNetwork(**{"number": 77, "rank": rank, "underlays": NODES, "mtu": 1500} | changes)


@contextmanager
def waiting():
    """A process in a network namespace of its own."""
    with subprocess.Popen(["unshare", "--net", "sleep", "600"]) as process:
        while Path(f"/proc/{process.pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink():
            time.sleep(0.01)
        try:
            yield process.pid
        finally:
            process.kill()


def shown(pid, *words):
    """What iproute2 says inside."""
    command = ["nsenter", f"--net=/proc/{pid}/ns/net", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_addresses_and_names_go_by_rank():
    assert [address_of(rank) for rank in (0, 1, 254, 255)] == ["10.77.0.1", "10.77.0.2", "10.77.0.255", "10.77.1.0"]
    assert address_of(2999) == "10.77.11.184"
    assert name_of(3) == "node-3"
    assert network().hosts == "10.77.0.1 node-0\n10.77.0.2 node-1\n10.77.0.3 node-2\n"


def test_the_number_follows_from_the_attempt_and_is_never_zero():
    numbers = {number_of(f"a-{attempt}") for attempt in range(2000)}
    assert len(numbers) > 1990
    assert all(0 < number < 1 << 24 for number in numbers)
    assert number_of("a-x") == number_of("a-x")


def test_packets_fit_into_those_of_the_nodes_network():
    assert network().inner_mtu == 1450
    assert network(mtu=9000).inner_mtu == 8950
    assert network(underlays=("fd00::1", "fd00::2"), mtu=1500).inner_mtu == 1430


@pytest.mark.parametrize(
    "changes",
    [
        {"underlays": ("10.0.0.1", "fd00::2")},
        {"underlays": ("10.0.0.1", "10.0.0.1")},
        {"underlays": ()},
        {"underlays": ("10.0.0.1 dev lo", "10.0.0.2")},
        {"rank": 3},
        {"rank": -1},
        {"number": 0},
        {"number": 1 << 24},
        {"mtu": 100},
        {"mtu": 1_000_000},
    ],
    ids=str,
)
def test_a_network_that_cannot_be_is_refused(changes):
    with pytest.raises(UsageError):
        network(**changes)


@pytest.mark.parametrize("text", ["127.0.0.1", "::1", "0.0.0.0", "224.0.0.1", "fe80::1%eth0", "node7", ""])
def test_an_address_no_other_node_can_reach_is_refused(text):
    with pytest.raises(UsageError):
        underlay_address(text)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_launcher_that_is_not_root_says_so():
    probe = "from kifabrik.sandbox.network import require_network; require_network()"
    command = ["setpriv", "--reuid=65534", "--clear-groups", "/usr/bin/python3", "-c", probe]
    source = {"PYTHONPATH": str(Path(__file__).parents[3] / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    said = subprocess.run(command, env=source, capture_output=True, text=True, check=False)
    assert "this launcher cannot make the network of a run on several nodes" in said.stderr


@needs_root
def test_the_device_is_made_in_the_room_with_its_peers_named_one_by_one():
    require_network()
    with waiting() as pid:
        number = next(NUMBERS)
        network(rank=1, number=number).attach(pid)
        link = shown(pid, "ip", "-details", "link", "show", "run0")
        assert f"vxlan id {number} local 10.0.0.2" in link
        assert "nolearning" in link
        assert "mtu 1450" in link
        assert shown(pid, "ip", "route").strip() == "10.77.0.0/16 dev run0 proto kernel scope link src 10.77.0.2"
        peers = shown(pid, "bridge", "fdb", "show", "dev", "run0").splitlines()
        assert [line.split()[:3] for line in sorted(peers)] == [
            ["02:4b:46:00:00:00", "dst", "10.0.0.1"],
            ["02:4b:46:00:00:02", "dst", "10.0.0.3"],
        ]
        outside = subprocess.run(["ip", "link", "show", "run0"], capture_output=True, check=False)
        assert outside.returncode != 0, "the device is to be in the room only"


@needs_root
def test_two_attempts_with_one_number_cannot_be_on_one_node():
    with waiting() as first, waiting() as second:
        number = next(NUMBERS)
        network(number=number).attach(first)
        with pytest.raises(UnavailableError, match="same network number"):
            network(rank=1, number=number).attach(second)
        network(rank=1, number=next(NUMBERS)).attach(second)


@needs_root
def test_thousands_of_peers_are_named():
    underlays = tuple(f"10.1.{one // 250}.{one % 250 + 1}" for one in range(1250))
    with waiting() as pid:
        network(underlays=underlays, number=next(NUMBERS)).attach(pid)
        assert len(shown(pid, "bridge", "fdb", "show", "dev", "run0").splitlines()) == 1249
        assert len(shown(pid, "ip", "neighbour", "show", "dev", "run0").splitlines()) == 1249


@needs_root
def test_a_process_that_is_gone_is_an_error_with_a_reason():
    with waiting() as pid:
        pass
    with pytest.raises(UnavailableError, match="could not be made"):
        network().attach(pid)


def test_a_room_names_its_ranks_and_one_without_a_network_only_itself():
    limits = Limits(memory_bytes=1 << 28, cpus=1)
    assert "node-2" in RoomSpec(command="true", limits=limits, network=network(), hostname="node-0").hosts
    alone = RoomSpec(command="true", limits=limits).hosts
    assert alone.splitlines()[0] == "127.0.0.1 localhost job"
