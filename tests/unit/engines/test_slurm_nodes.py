"""What Slurm says about nodes and partitions, read: recorded from 22.05.8, and made up for what it had not."""

from pathlib import Path

import pytest

from kifabrik.engines.slurm.node_view import read_nodes, read_partitions
from kifabrik.errors import IntegrityError

RECORDED = Path(__file__).parent / "recorded"
NODES = {node.name: node for node in read_nodes((RECORDED / "slurm-22.05.8-nodes.txt").read_text())}
PARTITIONS = {one.name: one for one in read_partitions((RECORDED / "slurm-22.05.8-partitions.txt").read_text())}
LINE = (
    "NodeName=g1 CPUAlloc=0 CPUEfctv=126 CPUTot=128 AvailableFeatures=a100,nvlink Gres={gres} RealMemory=1000 "
    "AllocMem=500 State={state} Partitions=main CfgTRES=cpu=126 AllocTRES= CurrentWatts=0{more}"
)


def one(*, gres="(null)", state="IDLE", more=""):
    (node,) = read_nodes(LINE.format(gres=gres, state=state, more=more) + "\n")
    return node


def test_what_a_recorded_node_offers():
    node = NODES["n1"]
    assert (node.cpus, node.memory_bytes, node.gpus) == (16, 64_000 * 2**20, {"h200": 8})
    assert node.features == ("standard", "de")
    assert {"main", "scavenge"} <= set(node.partitions)


def test_a_drained_node_says_why_in_the_words_of_whoever_drained_it():
    node = NODES["n4"]
    assert node.states == ("IDLE", "DRAIN")
    assert node.reason == "GPU 3 has ECC errors"


def test_recorded_partitions():
    assert PARTITIONS["main"].default
    assert PARTITIONS["main"].nodes == ("n1", "n2", "n3", "n4", "n5", "n6")
    assert not PARTITIONS["down"].up
    assert (PARTITIONS["scavenge"].preemptible, PARTITIONS["scavenge"].grace_s) == (True, 1)


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [
        ("gpu:a100:8(S:0-1)", {"a100": 8}),
        ("gpu:a100:4,gpu:l40:2,nic:1", {"a100": 4, "l40": 2}),
        ("gpu:4", {"": 4}),
        ("(null)", {}),
    ],
)
def test_gpus_by_model(gres, gpus):
    assert one(gres=gres).gpus == gpus


def test_a_reason_cannot_forge_what_the_node_offers():
    node = one(more=" Reason=Gres=gpu:h200:99 State=IDLE CPUTot=9999 [root@2026-01-01T00:00:00]")
    assert (node.cpus, node.gpus) == (126, {})
    assert node.reason == "Gres=gpu:h200:99 State=IDLE CPUTot=9999"


def test_a_node_that_makes_no_sense_is_an_error():
    with pytest.raises(IntegrityError):
        read_nodes("NodeName=x State=IDLE\n")
