"""A year of a plant: jobs scheduled with backfill, their power, the physics by the minute; beside published peers.

python bench/plant.py [--traces ../shared/data/traces] [--most 5000000] [--json PATH]

One core; compiling is not counted. Peers publish seconds for their own systems and machines, so each is set beside
our time for as many jobs over as long a span on as many GPUs: an order of magnitude, no race.
"""

import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("NUMBA_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from report import Bar, Picture, at_most, hand_on, parser

from kifabrik.plant.conditions import conditions_of
from kifabrik.plant.load import Fleet, NodeType
from kifabrik.plant.physics import simulate
from kifabrik.plant.site_file import load_site
from kifabrik.plant.workload.filling import fill
from kifabrik.plant.workload.policies import Policy
from kifabrik.plant.workload.power import energies_of, load_of
from kifabrik.plant.workload.reading import read_trace
from kifabrik.plant.workload.scheduling import schedule

DAY = 86400.0
YEAR = 365 * DAY
SHARE = 0.9
"""Of all GPU time that jobs ask for."""


@dataclass(frozen=True)
class Peer:
    """What a simulator needed for so many jobs, as published."""

    name: str
    jobs: int
    days: float
    nodes: int
    seconds: float


PEERS = (
    Peer("ExaDigiT RAPS, synthetic jobs", 534_000, 356, 9_400, 616.0),
    Peer("ExaDigiT RAPS, replay", 10_500, 7, 9_400, 112.0),
    Peer("Helios simulator", 68_503, 61, 800, 147.0),
    Peer("AccaSim", 200_000, 365, 120, 125.0),
)
"""RAPS: CPU seconds, 356 days of 9,400 nodes (jobs: 1,500 a day assumed, as in its replay), power by the
hour. Helios: CPU seconds, 61 days (nodes assumed). AccaSim: 1,600 jobs a second (on a system of 120 nodes)."""


def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--traces", type=Path, default=Path("../shared/data/traces"))
    made.add_argument("--most", type=int, default=5_000_000)
    wishes = made.parse_args()
    trace = read_trace(wishes.traces / "philly.csv.gz")
    warm = schedule(trace.pick(slice(0, 200)), eights(64), Policy.BACKFILL, until=DAY)
    energies_of(warm)
    load_of(warm)
    year = a_year(trace)
    growth = curve(trace, wishes.most)
    hand_on(wishes.json, year, growth, beside_peers(trace))


def eights(nodes: int) -> Fleet:
    """Nodes of eight GPUs."""
    return Fleet((NodeType("eight", nodes, 8, 2000.0, 1000.0, 1000.0),))


def a_year(trace) -> Picture:
    """The whole of a year: 500,000 jobs on the 10,000 GPUs of the shipped site."""
    site = load_site("munich")
    conditions = conditions_of(site)
    simulate(site, load_of(schedule(trace.pick([0]), site.fleet(), Policy.FIFO)), conditions=conditions)
    times = [time.process_time()]

    def lap() -> float:
        times.append(time.process_time())
        return times[-1] - times[-2]

    jobs = fill(trace, site.fleet().gpus, share=SHARE, jobs=500_000, span=YEAR)
    scaled = lap()
    done = schedule(jobs, site.fleet(), Policy.BACKFILL, until=YEAR)
    scheduled = lap()
    load = load_of(done)
    powered = lap()
    simulate(site, load, conditions=conditions)
    physics = lap()
    whole = times[-1] - times[0]
    gap = load.joules() - energies_of(done).joules
    print(f"A year of {site.fleet().gpus:,} GPUs, {jobs.jobs:,} jobs, backfill, physics by the minute:")
    print(f"  scale {scaled:.2f} s, schedule {scheduled:.2f} s, power {powered:.2f} s, physics {physics:.2f} s")
    print(f"  together {whole:.2f} CPU seconds (limit 20), {gigabytes():.2f} GB (limit 2); energy gap {gap} J")
    steps = {"jobs scaled": scaled, "scheduled": scheduled, "power": powered, "physics": physics}
    return Picture(
        f"A year of {site.fleet().gpus:,} GPUs and {jobs.jobs:,} jobs, minute by minute",
        "CPU seconds",
        (
            Bar("all of it", whole, "ours"),
            *(Bar(f"  {name}", seconds, "ours") for name, seconds in steps.items()),
            Bar("asked", 20.0, "limit"),
        ),
        targets=(
            at_most("a year of 10,000 GPUs and 500,000 jobs, one core", whole, 20.0, "{:.1f} s"),
            at_most("memory for that", gigabytes(), 2.0, "{:.2f} GB"),
            at_most("physics of a year by the minute", physics, 1.0, "{:.2f} s"),
        ),
    )


def curve(trace, most: int) -> Picture:
    """Cost from 5,000 jobs on 100 GPUs up: ten times the jobs on ten times the GPUs."""
    bars = []
    print("jobs         GPUs       seconds   us a job")
    for jobs in (50_000, 500_000, 1_500_000, 5_000_000):
        if jobs > most:
            break
        nodes = round(jobs / 400)
        scaled = fill(trace, nodes * 8, share=SHARE, jobs=jobs, span=YEAR)
        begun = time.process_time()
        load_of(schedule(scaled, eights(nodes), Policy.BACKFILL, until=YEAR))
        took = time.process_time() - begun
        print(f"{jobs:9,}  {nodes * 8:9,}  {took:9.2f}  {1e6 * took / jobs:9.2f}")
        bars.append(Bar(f"{jobs:,} jobs, {nodes * 8:,} GPUs", jobs / took / 1000, "ours"))
    print(f"  most memory: {gigabytes():.2f} GB")
    return Picture("Jobs scheduled, by number of jobs and GPUs", "thousand jobs/s", tuple(bars))


def beside_peers(trace) -> Picture:
    """Our time for the job counts and spans peers have published."""
    bars = []
    for peer in PEERS:
        span = peer.days * DAY
        scaled = fill(trace, peer.nodes * 8, share=SHARE, jobs=peer.jobs, span=span)
        begun = time.process_time()
        load_of(schedule(scaled, eights(peer.nodes), Policy.BACKFILL, until=span))
        took = time.process_time() - begun
        what = f"{peer.jobs:,} jobs, {peer.days:g} days, {peer.nodes:,} nodes"
        print(f"{peer.name:30} {what:40} {peer.seconds:6.0f} s   ours {took:6.2f} s   {peer.seconds / took:6.0f} x")
        bars += [Bar(f"{peer.name}, published", peer.seconds), Bar("kifabrik, as many jobs and days", took, "ours")]
    return Picture(
        "Beside other simulators' published figures",
        "seconds",
        tuple(bars),
        note="Theirs on their machines and for their own systems; ours for as many jobs, days and nodes.",
    )


def gigabytes() -> float:
    """The most memory this process had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
