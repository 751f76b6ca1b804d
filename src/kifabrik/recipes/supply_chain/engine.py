"""Simulates a network: blocks of scenarios, on all cores, through the kernel.

Invariants:
    - A scenario's figures depend on network, seed, its number and the number of periods; not on workers or blocks.
    - Means of nodes are added up in groups of `GROUP` scenarios, in order, so they do not depend on them either.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.blocks import GROUP, Device, block_width, forget, inside, new_state, run
from kifabrik.recipes.supply_chain.books import Books
from kifabrik.recipes.supply_chain.following import trajectories
from kifabrik.recipes.supply_chain.network import Network, Semantics
from kifabrik.recipes.supply_chain.plan import compile_network
from kifabrik.recipes.supply_chain.results import Results, Settings


@dataclass(frozen=True, slots=True)
class _Block:
    first: int
    width: int
    traced: int


def simulate(
    network: Network,
    settings: Settings,
    *,
    watch: tuple[str, ...] = (),
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
    precision: Literal["single", "double"] = "single",
    tallied: bool = False,
    device: Device = "cpu",
) -> Results:
    """Simulate a network under many scenarios.

    Args:
        network: What to simulate.
        settings: How often, how long, with which luck.
        watch: Nodes whose course is kept.
        workers: Threads; None: one for each core.
        progress: Told the number of scenarios just finished.
        precision: Of the state. Sums are always kept in double precision.
        tallied: Whether the results hold what makes parts of a study one study again.
        device: Where scenarios are played. For GPUs this is tested on numba's simulator of one only.

    Raises:
        UsageError: If a watched node is not there, the settings make no sense, or a GPU is wanted and missing.
    """
    _check(network, settings, watch)
    begun = time.perf_counter()
    real = np.float32 if precision == "single" else np.float64
    compiled = compile_network(network, seed=settings.seed, real=real)
    threads = 1 if device == "cuda" else workers or os.cpu_count() or 1
    width = block_width(compiled, settings.scenarios, threads, device)
    places = {int(place): number for number, place in enumerate(compiled.order)}
    by_name = {node.name: places[place] for place, node in enumerate(network.nodes)}
    watched = np.array([by_name[name] for name in watch], dtype=np.int64)
    blocks = [
        _Block(first, min(width, settings.scenarios - first), max(0, min(width, settings.traced - first)))
        for first in range(0, settings.scenarios, width)
    ]
    books = Books(network, compiled, settings, tallied=tallied)
    traces: dict[int, NDArray[Any]] = {}

    def play(block: _Block) -> int:
        state = new_state(compiled, block.width, real)
        courses = np.zeros((3 + 2 * len(watched), settings.periods, min(block.traced, block.width)), dtype=real)
        inputs: dict[str, Any] = {
            "courses": courses, "watched": watched, "prices": books.prices,
            "stockpyl": network.semantics is Semantics.STOCKPYL, "device": device,
        }  # fmt: skip
        if settings.warm_up:
            run(compiled, state, settings, block.first, real, periods=(0, settings.warm_up), **inputs)
            forget(compiled, state)
        begin = inside(compiled, state, settings.warm_up)
        run(compiled, state, settings, block.first, real, periods=(settings.warm_up, settings.periods), **inputs)
        books.enter(block.first, state, begin, inside(compiled, state, settings.periods))
        traces[block.first] = courses.astype(np.float32)
        return block.width

    with ThreadPoolExecutor(max_workers=threads) as pool:
        for done in as_completed([pool.submit(play, block) for block in blocks]):
            if progress:
                progress(done.result())
            else:
                done.result()
    return books.close(traces, watch, time.perf_counter() - begun)


def _check(network: Network, settings: Settings, watch: tuple[str, ...]) -> None:
    if settings.scenarios < 1 or settings.periods < 1:
        raise UsageError("At least one scenario and one period are needed.")
    if not 0 <= settings.warm_up < settings.periods:
        raise UsageError(f"The warm-up of {settings.warm_up} periods leaves nothing of {settings.periods}.")
    if settings.first % GROUP:
        raise UsageError(f"The first scenario's number must be a multiple of {GROUP}, not {settings.first}.")
    names = {node.name for node in network.nodes}
    for name in watch:
        if name not in names:
            raise UsageError(f"There is no node {name} to watch.")


__all__ = ["GROUP", "simulate", "trajectories"]
