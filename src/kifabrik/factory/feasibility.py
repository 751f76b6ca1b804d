"""Whether a run could ever start, and sentences about what it lacks: pure functions."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from kifabrik.factory.capacity import Demand, Node, Timeline
from kifabrik.values import format_size

Measure = Callable[[Node], int]


def what_lacks(demand: Demand, nodes: Sequence[Node]) -> str:
    """Why a run can never start on these nodes, as a sentence; empty if it can."""
    if not nodes:
        return "The factory has no node yet."
    here = [node for node in nodes if demand.place.admits(node.place)]
    if not here:
        places = ", ".join(sorted({str(node.place) for node in nodes}))
        return f"No node is in {demand.place}; there are nodes in {places}."
    suited = [node for node in here if demand.suits(node)]
    if not suited:
        versions = ", ".join(sorted({version for node in here for version in node.pythons}))
        return f"No node has Python {demand.python}; there is Python {versions}."
    able = [node for node in suited if demand.fits_empty(node)]
    if not able:
        return _too_big(demand, suited)
    if len(able) < demand.resources.nodes:
        return f"The run asks for {demand.resources.nodes} nodes; {len(able)} of that size exist."
    return ""


def _too_big(demand: Demand, nodes: Sequence[Node]) -> str:
    asked = demand.resources
    gpus: Measure = lambda node: len(node.usable_gpus(asked))  # noqa: E731 - names a measure
    for wanted, measure, words in (
        (asked.gpu_count, gpus, gpu_words(demand)),
        (asked.cpus, lambda node: node.cpus, f"{asked.cpus} CPU cores"),
        (
            demand.memory_bytes,
            lambda node: node.memory_bytes,
            memory_words(demand),
        ),
    ):
        biggest = max(nodes, key=measure)
        if measure(biggest) < wanted:
            return f"No node has {words}: the biggest, {biggest.name}, has {describe(biggest)}."
    return f"No single node has all of this at once; {nodes[0].name} has {describe(nodes[0])}."


def gpu_words(demand: Demand) -> str:
    """What GPUs a run asks for: `2 GPUs H200`."""
    asked = demand.resources
    model = f" {asked.gpu_model}" if asked.gpu_model else ""
    memory = f" with {format_size(asked.gpu_memory_bytes)} each" if asked.gpu_memory_bytes else ""
    return f"{asked.gpu_count} GPU{'s' if asked.gpu_count > 1 else ''}{model}{memory}"


def memory_words(demand: Demand) -> str:
    """What memory a run asks for: `16 GB of memory (6 GB of it for the opened data)`."""
    data = f" ({format_size(demand.staged_bytes)} of it for the opened data)" if demand.staged_bytes else ""
    return f"{format_size(demand.memory_bytes)} of memory{data}"


def describe(node: Node) -> str:
    """What a node has: `8 GPUs H200 (141 GB), 64 CPU cores and 500 GB of memory`."""
    kinds: dict[tuple[str, int], int] = {}
    for gpu in node.gpus:
        kinds[gpu.model, gpu.memory_bytes] = kinds.get((gpu.model, gpu.memory_bytes), 0) + 1
    gpus = [
        f"{count} GPU{'s' if count > 1 else ''} {model} ({format_size(memory)})"
        for (model, memory), count in kinds.items()
    ] or ["no GPU"]
    cores = f"{node.cpus} CPU core{'s' if node.cpus > 1 else ''}"
    return f"{', '.join([*gpus, cores])} and {format_size(node.memory_bytes)} of memory"


def what_is_short(demand: Demand, timeline: Timeline) -> str:
    """What a run that fits in principle waits for right now, as a sentence."""
    able = [node for node in timeline.nodes if demand.fits_empty(node)]
    asked, now = demand.resources, timeline.now
    rooms = {node.node: timeline.room(node, now, now + 1) for node in able}
    gpus_free = {node.node: len(rooms[node.node].gpus & node.usable_gpus(asked)) for node in able}
    if asked.gpu_count and _enough_on(able, lambda n: gpus_free[n.node] >= asked.gpu_count) < asked.nodes:
        total = sum(len(node.usable_gpus(asked)) for node in able)
        short = f"{gpu_words(demand)}: {total - sum(gpus_free.values())} of {total} are in use"
    elif _enough_on(able, lambda n: rooms[n.node].cpus >= asked.cpus) < asked.nodes:
        total = sum(node.cpus for node in able)
        used = total - sum(rooms[node.node].cpus for node in able)
        short = f"{asked.cpus} CPU core{'s' if asked.cpus > 1 else ''}: {used} of {total} are in use"
    else:
        total = sum(node.memory_bytes for node in able)
        used = total - sum(rooms[node.node].memory_bytes for node in able)
        short = f"{memory_words(demand)}: {format_size(used)} of {format_size(total)} are in use"
    ends = [end for node in able if (end := timeline.next_end(node)) is not None]
    until = f"; the next frees up at {clock(min(ends), now)} at the latest" if ends else ""
    return f"Waits for {short}{until}."


def _enough_on(nodes: Sequence[Node], test: Callable[[Node], bool]) -> int:
    return sum(1 for node in nodes if test(node))


def clock(moment: float, now: float) -> str:
    """A moment for people: `14:32 UTC`, with its date unless that is today's."""
    then, today = datetime.fromtimestamp(moment, UTC), datetime.fromtimestamp(now, UTC)
    return then.strftime("%H:%M UTC" if then.date() == today.date() else "%Y-%m-%d %H:%M UTC")
