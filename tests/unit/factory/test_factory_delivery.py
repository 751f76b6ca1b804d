"""How a run gets its data follows from the order and the nodes."""

from dataclasses import replace

import pytest

from kifabrik.factory.capacity import Demand, Node
from kifabrik.factory.delivery import deliver
from kifabrik.values import Place, Resources

GB = 10**9
NODE = Node("n-1", "box", Place("DE"), 8, 64 * GB, (), ("3.11",), streams=True)


def demand(memory=16 * GB, code=1000, **more):
    return Demand(Resources(memory_bytes=memory, **more), Place(), "3.11", code)


@pytest.mark.parametrize("data", [0, 1, 48 * GB - 1000])
def test_data_a_node_can_hold_is_opened_into_memory(data):
    delivery = deliver(demand(), data, [NODE])
    assert (delivery.lacks, delivery.sentence) == ("", "")
    assert (delivery.demand.staged_bytes, delivery.demand.streamed_bytes) == (data + 1000, 0)


def test_one_byte_more_is_streamed_and_takes_no_memory_beside_what_is_asked_for():
    delivery = deliver(demand(), 48 * GB - 999, [NODE])
    assert (delivery.demand.staged_bytes, delivery.demand.streamed_bytes) == (1000, 48 * GB - 999)
    assert delivery.demand.memory_bytes == 16 * GB + 1000
    assert delivery.sentence == "Its data (48 GB) is streamed: no node has memory for it."


def test_a_larger_node_holds_what_a_smaller_one_would_stream():
    large = replace(NODE, node="n-2", name="large", memory_bytes=2000 * GB, streams=False)
    assert not deliver(demand(), 1000 * GB, [NODE, large]).demand.streamed_bytes
    assert deliver(demand(nodes=2), 1000 * GB, [NODE, large]).lacks


def test_only_a_node_that_can_gets_streamed_data():
    deaf = replace(NODE, node="n-2", name="deaf", streams=False)
    streamed = deliver(demand(), 1000 * GB, [NODE, deaf]).demand
    assert [node.name for node in (NODE, deaf) if streamed.fits_empty(node)] == ["box"]


def test_a_run_no_node_can_hold_or_stream_is_told_what_would_help():
    lacks = deliver(demand(), 1000 * GB, [replace(NODE, streams=False)]).lacks
    assert lacks.startswith("No node has 1.02 TB of memory (1 TB of it for the opened data)")
    assert "/dev/fuse" in lacks


def test_streaming_is_not_offered_where_it_would_not_help():
    for node in (NODE, replace(NODE, streams=False)):
        assert "fuse" not in deliver(demand(memory=65 * GB), 1000 * GB, [node]).lacks
