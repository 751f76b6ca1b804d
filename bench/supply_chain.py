"""Node-periods a second of the simulator, beside other simulators on the same chains and the machine's limits.

    python bench/supply_chain.py [--scenarios 8192] [--data ../shared/data/supply_chain] [--json PATH]

stockpyl must be there (`pip install 'kifabrik[supply-chain]'`). SimPy, SupplyNetPy and deepbullwhip are installed
with uv into an environment of their own, `.peers-supply-chain`, when they are missing; what cannot be had is left
out, and said. The largest chain of Willems (2008) is measured where its two tables are (`--data`).

Ratios are of one core to one core, in time the processor spent on the program, so that they hold on a busy machine.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import peers
import supply_chain_lean as lean
import supply_chain_vast
from report import Bar, Picture, at_least, at_most, hand_on, parser

from kifabrik.recipes.supply_chain import luck, willems
from kifabrik.recipes.supply_chain.distributions import Distribution, Kind, fixed
from kifabrik.recipes.supply_chain.engine import simulate, trajectories
from kifabrik.recipes.supply_chain.network import Demand, Lane, Network, Node, Policy
from kifabrik.recipes.supply_chain.results import Settings
from kifabrik.recipes.supply_chain.tables import read_network

HERE = Path(__file__).parent
DATA = HERE.parent.parent / "shared/data/supply_chain"
PACKAGES = ("simpy==4.1.2", "supplynetpy==0.5.1", "deepbullwhip==0.4.1")
SIZES = (3, 10, 50, 150)
COUNTS = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)
PERIODS = 365
THEIR_PERIODS = 40
LEVEL, LEAD, MEAN, SD = 70.0, 2, 20.0, 4.0
LARGEST, MANY, FEW = 38, 10_000, 40
THREADS = 2
WANTED = {"stockpyl": 30_000, "simpy": 1000, "deepbullwhip": 20}
"""How many times as fast as these."""
UNIT = "million node-periods/s"
WORDS_OF_A_LANE, WORDS_OF_A_NODE = 5, 24
"""Numbers of four bytes that a period must read or write: of a lane the order, what is owed, and what leaves and
comes; of a node stock, position, order and demand, read and written, and seven sums."""


def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--scenarios", type=int, default=8192)
    made.add_argument("--data", type=Path, default=DATA, help="folder with the tables of Willems (2008)")
    made.add_argument("--memory", action="store_true", help="only the largest chain; says its peak of memory")
    made.add_argument("--real-size", action="store_true", help="only ten thousand nodes from their tables on")
    wishes = made.parse_args()
    warnings.simplefilter("ignore")
    if wishes.real_size:
        real_size()
        return
    if wishes.memory:
        print(json.dumps(largest(wishes.data)))
        return
    print(f"processes that want a core, before it began: {os.getloadavg()[0]:.1f}")
    beside = side_by_side(wishes.scenarios)
    pictures = [Picture("Chains of base stocks, one core", UNIT, *beside), *curves(wishes.scenarios)]
    if (wishes.data / willems.STAGES).exists():
        pictures.append(largest_beside_memory(wishes.data))
    else:
        print(f"the chains of Willems are not in {wishes.data}: the largest is left out")
    subprocess.run([sys.executable, __file__, "--real-size"], check=True)
    hand_on(wishes.json, *pictures)


def side_by_side(scenarios: int):
    """Bars, note and targets: ours, the lean kernel, and the others, for each length of the chain."""
    program = peers.python(HERE.parent / ".peers-supply-chain", PACKAGES)
    if program is None:
        print("SimPy, SupplyNetPy and deepbullwhip cannot be had here: left out")
    bars: list[Bar] = []
    clocked, ratios = [], {name: [] for name in WANTED}
    for size in SIZES:
        network = chain(size)
        ours, both = rate(network, scenarios, PERIODS), rate(network, scenarios, PERIODS, workers=THREADS)
        others = {"the lean kernel": lean_rate(size, scenarios)}
        others["stockpyl"] = size * THEIR_PERIODS / stockpyl_seconds(size)
        if program is not None:
            others |= {name: peer_rate(program, name, size) for name in ("simpy", "supplynetpy", "deepbullwhip")}
        told = f"one core {ours / 1e6:7.1f} M node-periods/s; two, by the clock, {both / 1e6:.0f} M"
        print(f"{size:4} stages  kifabrik, {told}")
        for name, theirs in others.items():
            told = f"{theirs / 1e6:8.1f} M" if theirs > 1e6 else f"{theirs / 1e3:8.1f} k"
            print(f"             {name:18} {told} {ours / theirs:12,.{0 if theirs < ours / 10 else 2}f} x")
        bars.append(Bar(f"{size} stages", ours / 1e6, "ours"))
        bars += [Bar(f"{size} stages, {name}", theirs / 1e6) for name, theirs in others.items()]
        clocked.append(both / 1e6)
        for name, found in ratios.items():
            found.extend([ours / others[name]] if name in others else [])
    sizes = f"supply chains of {SIZES[0]} to {SIZES[-1]} stages"
    targets = [at_least(f"{sizes}, two cores, the least", min(clocked), 150, "{:.0f} M node-periods/s")]
    targets += [
        at_least(f"{sizes}, to {name}, the least", min(found), WANTED[name], "{:,.0f} x")
        for name, found in ratios.items()
        if found
    ]
    note = (
        "The lean kernel can do this model and nothing else. SimPy runs the same model, and costs are checked to be"
        " equal; SupplyNetPy the nearest it can do; in deepbullwhip's chains nothing is ever missing."
    )
    return tuple(bars), note, tuple(targets)


def chain(size: int, lead: int = LEAD) -> Network:
    """A chain of base stocks; normal demand at its end."""
    nodes = [
        Node(
            product=f"p{place}",
            site="s",
            policy=Policy(level=LEVEL),
            holding_cost=1.0,
            stockout_cost=20.0 if place == size - 1 else 0.0,
            demand=Demand(each=Distribution(kind=Kind.NORMAL, mean=MEAN, sd=SD)) if place == size - 1 else None,
        )
        for place in range(size)
    ]
    lanes = [
        Lane(
            source=nodes[place - 1].name if place else "",
            target=node.name,
            component=f"p{place - 1}",
            lead_time=fixed(lead),
        )
        for place, node in enumerate(nodes)
    ]
    return Network(name=f"chain of {size}", nodes=tuple(nodes), lanes=tuple(lanes))


def rate(network: Network, scenarios: int, periods: int, workers: int = 1, rounds: int = 3) -> float:
    """Node-periods a second of the whole of `simulate`, best of some rounds; of several threads by the clock."""
    clock = time.process_time if workers == 1 else time.perf_counter
    simulate(network, Settings(scenarios=64, periods=2, traced=0))  # compiled, or read from disk
    best = float("inf")
    for _ in range(rounds):
        begun = clock()
        simulate(network, Settings(scenarios=scenarios, periods=periods, traced=0), workers=workers)
        best = min(best, clock() - begun)
    return len(network.nodes) * scenarios * periods / best


def lean_rate(size: int, scenarios: int, width: int = 512) -> float:
    """Node-periods a second of the lean kernel on one core; its costs must be those of the simulator."""
    keys = np.array(luck.stream(1, f"demand p{size - 1}@s"), dtype=np.uint32)
    normal = luck.normal_table().astype(np.float32)[None, :]

    def play(first: int, count: int, periods: int):
        arrays = lean.state(size, LEAD, LEVEL, count)
        numbers = (np.float32(MEAN), np.float32(SD), np.float32(LEVEL), LEAD, first, periods)
        lean.chain(keys, normal, *numbers, *arrays)
        return arrays[-1].reshape(size, 3, count)

    sums = play(0, 64, 50)
    found = simulate(chain(size), Settings(scenarios=64, periods=50, traced=0)).scenarios
    cost = sums[:, 0].sum(axis=0) + sums[:, 2].sum(axis=0) + 20.0 * sums[-1, 1]
    if not np.allclose(cost, found["cost"], rtol=1e-5):
        sys.exit("the lean kernel does not do the same")
    best = float("inf")
    for _ in range(3):
        begun = time.process_time()
        for first in range(0, scenarios, width):
            play(first, width, PERIODS)
        best = min(best, time.process_time() - begun)
    return size * scenarios * PERIODS / best


def stockpyl_seconds(size: int) -> float:
    """Seconds of one scenario in stockpyl."""
    from stockpyl.sim import simulation  # noqa: PLC0415
    from stockpyl.supply_chain_network import serial_system  # noqa: PLC0415

    peer = serial_system(
        num_nodes=size,
        node_order_in_system=list(range(size)),
        local_holding_cost=[1.0] * size,
        stockout_cost=[0.0] * (size - 1) + [20.0],
        shipment_lead_time=[LEAD] * size,
        demand_type="N",
        mean=MEAN,
        standard_deviation=SD,
        policy_type="BS",
        base_stock_level=[LEVEL] * size,
    )
    begun = time.process_time()
    simulation(peer, THEIR_PERIODS, rand_seed=1, progress_bar=False, consistency_checks="N")
    return time.process_time() - begun


def peer_rate(program: Path, name: str, size: int) -> float:
    """Node-periods a second of one of the others; where it can do the same, its cost must be ours."""
    demands = np.maximum(0, np.random.default_rng(3).normal(MEAN, SD, PERIODS))
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(list(demands), file)
        file.flush()
        command = [program, HERE / "supply_chain_peers.py", name, str(size), file.name]
        said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    if said["cost"] is not None:
        course = trajectories(chain(size), PERIODS, {f"p{size - 1}@s": demands}, {})
        mine = sum(course[what].sum() for what in ("holding_cost", "in_transit_cost", "stockout_cost"))
        if not np.isclose(mine, said["cost"], rtol=1e-12):
            sys.exit(f"{name} does not do the same: {said['cost']} instead of {mine}")
    return size * PERIODS / said["seconds"]


def curves(scenarios: int) -> list[Picture]:
    """How the rate changes with scenarios, periods and nodes."""
    changed = {
        "scenarios": [(count, chain(50), count, 100) for count in (32, 128, 512, 2048, 8192, 32768)],
        "periods": [(count, chain(50), 2048, count) for count in (10, 30, 100, 365, 1000)],
        "nodes": [(count, chain(count), _scenarios_of(count, scenarios), 100) for count in COUNTS],
    }
    pictures = []
    for what, points in changed.items():
        rates = [rate(network, many, periods, rounds=2) / 1e6 for _, network, many, periods in points]
        told = ", ".join(f"{point[0]:,}: {each:.0f}" for point, each in zip(points, rates, strict=True))
        print(f"{what:9}  {told}  (M node-periods/s)")
        bars = tuple(Bar(f"{point[0]:,} {what}", each, "ours") for point, each in zip(points, rates, strict=True))
        pictures.append(Picture(f"The rate by number of {what}", UNIT, bars))
    return pictures


def _scenarios_of(nodes: int, scenarios: int) -> int:
    """So many that a measurement is neither over at once nor takes a minute."""
    return max(1024, scenarios // nodes) if nodes <= 1000 else 256


def real_size() -> None:
    """A network of ten thousand nodes from its tables on: seconds to read and to compile it, rate and memory."""
    with tempfile.TemporaryDirectory() as folder:
        supply_chain_vast.write(Path(folder))
        begun = time.process_time()
        network = read_network(Path(folder))
        reading = time.process_time() - begun
    simulate(network, Settings(scenarios=32, periods=1, traced=0))
    begun = time.process_time()
    simulate(network, Settings(scenarios=32, periods=1, traced=0))
    preparing = time.process_time() - begun
    begun = time.perf_counter()
    simulate(network, Settings(scenarios=256, periods=FEW, traced=0), workers=THREADS)
    moved = len(network.lanes) * 256 * FEW / (time.perf_counter() - begun - preparing)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    size = f"{len(network.nodes):,} nodes, {len(network.lanes):,} lanes"
    print(f"from tables: {size}, random lead times, bills, seasons")
    print(f"           read in {reading:.1f} s, made ready in {preparing:.1f} s of one core")
    print(f"           two cores, by the clock: {moved / 1e6:.0f} M lane-periods/s; memory {memory:.2f} GB")


def largest(data: Path) -> dict[str, float]:
    """Lane-periods a second, seconds and peak of memory of the largest chain, many scenarios."""
    network = willems.load(data, LARGEST)
    simulate(network, Settings(scenarios=32, periods=1, traced=0))
    begun, worked = time.perf_counter(), time.process_time()
    simulate(network, Settings(scenarios=MANY, periods=FEW, traced=0), workers=THREADS)
    seconds, worked = time.perf_counter() - begun, time.process_time() - worked
    return {
        "nodes": len(network.nodes),
        "lanes": len(network.lanes),
        "one": len(network.lanes) * MANY * FEW / worked,
        "rate": len(network.lanes) * MANY * FEW / seconds,
        "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def largest_beside_memory(data: Path) -> Picture:
    """The largest chain in a process of its own, beside what copying memory allows."""
    command = [sys.executable, __file__, "--memory", "--data", str(data)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    moved = bandwidth()
    share = found["nodes"] / found["lanes"]
    needed = 4 * (WORDS_OF_A_LANE + WORDS_OF_A_NODE * share)
    limit = moved / needed
    size = f"{found['nodes']:,} nodes, {found['lanes']:,} lanes, {MANY:,} scenarios of {FEW} periods"
    print(f"largest chain of Willems (2008): {size}")
    print(f"           two cores, by the clock: {found['rate'] / 1e6:.0f} M lane-periods/s")
    print(f"           memory at its peak: {found['bytes'] / 1e9:.2f} GB")
    print(f"           one core {found['one'] / 1e6:.0f} M; it can move {moved / 1e9:.0f} GB/s, which allows")
    print(f"           {limit / 1e6:.0f} M at the {needed:.0f} bytes a lane and period needs")
    bars = (
        Bar("kifabrik, one core", found["one"] / 1e6, "ours"),
        Bar(f"memory, at {needed:.0f} bytes a lane-period", limit / 1e6, "limit"),
    )
    targets = (
        at_least("largest supply chain, lane-periods/s", found["rate"] / 1e6, 100, "{:.0f} M"),
        at_most("largest supply chain, 10,000 scenarios, memory", found["bytes"] / 1e9, 4, "{:.2f} GB"),
    )
    return Picture("The largest chain of Willems (2008)", "million lane-periods/s", bars, targets=targets)


def bandwidth(size: int = 1 << 27, rounds: int = 8) -> float:
    """Bytes a second that one core reads and writes together, copying what no cache holds."""
    source, target = np.ones(size, np.uint8), np.ones(size, np.uint8)
    best = float("inf")
    for _ in range(rounds):
        begun = time.process_time()
        np.copyto(target, source)
        best = min(best, time.process_time() - begun)
    return 2 * size / best


if __name__ == "__main__":
    main()
