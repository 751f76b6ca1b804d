"""Write the map of the heat pump's COP: `python -m kifabrik.plant.heat_pump.making`.

The map that ships beside this module was made this way; a minute on one core. It also holds what the same model
gives for the machine of TESPy's comparison with Ebsilon, so that anybody can see how far the two are apart.
"""

import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

from kifabrik.durable import write_whole
from kifabrik.plant.heat_pump.cycle import EBSILON, EBSILON_COP, WASTE_HEAT, Machine
from kifabrik.plant.heat_pump.map import MAP_FILE

SOURCES: Final = (10, 15, 20, 25, 30, 35, 40)
FLOWS: Final = (55, 60, 65, 70, 75, 80, 85, 90)
LOADS: Final = (0.6, 0.8, 1.0)


def main() -> None:
    """Solve all points and write the map."""
    logging.disable(logging.CRITICAL)  # TESPy tells at length of each solve that did not come off at once
    import tespy  # noqa: PLC0415

    document = {
        "made_with": f"TESPy {tespy.__version__}",
        "design": {**asdict(WASTE_HEAT), "control": WASTE_HEAT.control.value},
        "source": SOURCES,
        "flow": FLOWS,
        "load": LOADS,
        "cop": waste_heat(),
        "ebsilon": [
            {"flow": flow, "source_flow": kilograms, "ebsilon": theirs, "ours": round(ours, 4)}
            for flow, kilograms, theirs, ours in ebsilon()
        ],
    }
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else MAP_FILE
    write_whole(target, json.dumps(document, indent=1).encode(), mode=0o644)


def waste_heat() -> list[list[list[float]]]:
    """COP by source, flow and load: points are visited as neighbours, so each solve starts near its end."""
    machine = Machine(WASTE_HEAT)
    found: dict[tuple[float, float, float], float] = {}
    for load in reversed(LOADS):
        for row, flow in enumerate(FLOWS):
            for source in SOURCES if row % 2 else reversed(SOURCES):
                found[source, flow, load] = _floating(machine, source, flow, load)
    return [[[round(found[source, flow, load], 4) for load in LOADS] for flow in FLOWS] for source in SOURCES]


def _floating(machine: Machine, source: float, flow: float, load: float) -> float:
    """One point; where the solver loses its way it starts anew from the design and goes half the way first."""
    try:
        return machine.floating(source, flow, load)
    except RuntimeError:
        fresh = Machine(WASTE_HEAT)
        for part in (0.0, 0.25, 0.5, 0.75, 1.0):
            cop = fresh.floating(
                WASTE_HEAT.source + part * (source - WASTE_HEAT.source),
                WASTE_HEAT.flow + part * (flow - WASTE_HEAT.flow),
                1 + part * (load - 1),
            )
        return cop


def ebsilon() -> Iterator[tuple[int, int, float, float]]:
    """Points of the comparison: flow temperature, source water, COP of Ebsilon, COP of ours."""
    machine = Machine(EBSILON)
    for flow, points in EBSILON_COP.items():
        least = sorted(points)
        for kilograms, _ in reversed(least):  # walk down first, so that the walk up starts near the first point
            if kilograms <= EBSILON.source_flow:
                machine.held(flow, kilograms)
        for kilograms, theirs in least:
            yield flow, kilograms, theirs, machine.held(flow, kilograms)


if __name__ == "__main__":
    main()
