"""The physics of a year by the minute, beside a loop that asks TESPy for the heat pump's state at each step.

python bench/plant_physics.py [--data FOLDER] [--json PATH]
"""

import logging
import resource
import statistics
import time
import warnings
from pathlib import Path

from report import Bar, Picture, hand_on, parser

from kifabrik.plant.conditions import conditions_of
from kifabrik.plant.heat_pump.cycle import WASTE_HEAT, Machine
from kifabrik.plant.loads import daily
from kifabrik.plant.physics import simulate
from kifabrik.plant.results import summarise
from kifabrik.plant.site_file import load_site
from kifabrik.plant.spans import Span

REPEATS = 5
SOLVES = 20


def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--data", type=Path, help="Folder of the site's tables.")
    wishes = made.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    site = load_site("munich", {"river.year": 2003} if wishes.data else {})
    span = Span(site.year)
    load = daily(site.fleet(), 0.5, 1.0, span)
    conditions = conditions_of(site, wishes.data)
    year = simulate(site, load, conditions=conditions)  # compiled, or read from disk
    prepare = cpu_seconds(lambda: conditions_of(site, wishes.data))
    physics = cpu_seconds(lambda: simulate(site, load, conditions=conditions))
    totals = cpu_seconds(lambda: summarise(year))
    whole = prepare + physics + totals
    solve = tespy_seconds()
    peer = solve * span.steps
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"a year of {span.steps:,} minutes, {site.fleet().gpus:,} GPUs, CPU seconds of one core:")
    parts = f"river, weather, demand {prepare:6.2f}   physics {physics:6.2f}   sums {totals:6.2f}"
    print(f"  {parts}   all {whole:6.2f}")
    print(f"  memory {memory:.2f} GB, libraries and all; balance {summarise(year).balance:+.1e}")
    print(f"  TESPy, one state of the heat pump {solve * 1000:.0f} ms: {peer / 3600:,.1f} h for all steps")
    print(f"  {peer / whole:,.0f} x")
    hand_on(
        wishes.json,
        Picture(
            "A year by the minute",
            "minutes of the year in a CPU second",
            (
                Bar("kifabrik, all of the plant", span.steps / whole, "ours"),
                Bar("TESPy, the heat pump alone", 1 / solve),
                Bar("asked, for the physics", span.steps, "limit"),
            ),
        ),
    )


def cpu_seconds(work) -> float:
    """CPU seconds of a piece of work: the median of some."""
    found = []
    for _ in range(REPEATS):
        begun = time.process_time()
        work()
        found.append(time.process_time() - begun)
    return statistics.median(found)


def tespy_seconds() -> float:
    """CPU seconds of one off-design solve at conditions like the last: the best case for a loop."""
    machine = Machine(WASTE_HEAT)
    machine.floating(33, 70, 1.0)
    begun = time.process_time()
    for number in range(SOLVES):
        machine.floating(33 + 0.05 * number, 70, 1.0)
    return (time.process_time() - begun) / (3 * SOLVES)  # each call solves three times


if __name__ == "__main__":
    main()
