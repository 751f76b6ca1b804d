"""The guaranteed-service model as a mixed-integer programme with concave costs bent into pieces, for HiGHS.

Variables are S and SI of each stage; the bridged time tau = SI + T - S. Chords of the concave cost lie below it,
so each programme bounds the cost from below; a search along tangents, which lie above it, finds good times.

Invariants:
    - Constraints are differences of two times, so best times are whole where all data are.
    - A breakpoint once added stays, so the bound does not fall.
"""

import time
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_FEASIBLE: Final = 2
"""HiGHS's `kSolutionStatusFeasible`."""

Floats = NDArray[np.float64]
Places = NDArray[np.intp]
_TOLERANCE: Final = 1e-6
"""Share of the cost below which cost and bound count as equal: HiGHS's own feasibility tolerance is 1e-7."""
_ROUNDS: Final = 200
_DESCENTS: Final = 50
_LEAST_TIME: Final = 0.25
"""The tangent at zero is vertical. That of the root at a quarter meets the chord from 0 to 1 in slope, so it lies
above the cost at all whole times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """Numbers of the model: [stage], and of arcs [arc]; times in periods.

    Attributes:
        processing: T.
        inbound: Least SI.
        promise: Greatest S; infinite: none.
        price: Of a unit of safety stock, a period.
        slope: Squared safety stock for each period bridged.
        fixed: Squared safety stock whatever is bridged.
        sources: Number of the supplying stage [arc].
        targets: Number of the stage supplied [arc].
        leads: Time on the way [arc].
        order: Numbers of stages, suppliers first.
    """

    processing: Floats
    inbound: Floats
    promise: Floats
    price: Floats
    slope: Floats
    fixed: Floats
    sources: Places
    targets: Places
    leads: Floats
    order: Places

    def stocks(self, net_times: Floats) -> Floats:
        """Safety stock of each stage that bridges these times, units."""
        return np.sqrt(self.slope * net_times + self.fixed)

    def costs(self, net_times: Floats) -> Floats:
        """What that costs, each stage."""
        return self.price * self.stocks(net_times)

    def longest(self) -> Floats:
        """Longest time each stage could have to bridge: from the farthest supplier on."""
        reach = self.inbound + self.processing
        into: dict[int, list[tuple[int, float]]] = {}
        for source, target, lead in zip(self.sources, self.targets, self.leads, strict=True):
            into.setdefault(int(target), []).append((int(source), float(lead)))
        for at in self.order:
            for source, lead in into.get(int(at), ()):
                reach[at] = max(reach[at], reach[source] + lead + self.processing[at])
        return np.asarray(reach)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Times that were found [stage], what they cost, and what no others can cost less than."""

    service_times: Floats
    net_times: Floats
    cost: float
    bound: float


def solve_programme(programme: Programme, seconds: float) -> Found:
    """Find the cheapest times, or after `seconds` the best so far with a bound."""
    until = time.monotonic() + seconds
    longest = programme.longest()
    best = _first(programme, longest, until)
    points = [np.unique([0.0, most]) for most in longest]
    _add(points, best.net_times)
    bound = float(programme.costs(np.zeros(len(longest))).sum())
    for _ in range(_ROUNDS):
        left = until - time.monotonic()
        if best.cost - bound <= _TOLERANCE * best.cost or left <= 0:
            break
        times, below = _solve(programme, longest, points, left)
        bound = max(bound, below)
        if times is None:
            break
        added = _add(points, programme_net(programme, times))
        better = _descend(programme, longest, times, until)
        added |= _add(points, better.net_times)
        best = min(best, better, key=lambda found: found.cost)
        if not added:
            break
    return Found(service_times=best.service_times, net_times=best.net_times, cost=best.cost, bound=bound)


def programme_net(programme: Programme, times: Floats) -> Floats:
    """Bridged times of these S and SI, [2, stage]."""
    return np.asarray(np.maximum(0.0, np.round(times[1] + programme.processing - times[0], 6)))


def _add(points: list[Floats], net_times: Floats) -> bool:
    """Add breakpoints where they are missing; whether one was."""
    added = False
    for number, at in enumerate(net_times):
        if np.abs(points[number] - at).min() > 1e-5:  # noqa: PLR2004 - finer than HiGHS sees
            points[number] = np.sort(np.append(points[number], at))
            added = True
    return added


def _first(programme: Programme, longest: Floats, until: float) -> Found:
    """The best of searches from: stock everywhere, chords, the square root of the longest time."""
    slopes = programme.price * np.sqrt(programme.slope)
    starts = [slopes / np.sqrt(np.maximum(1.0, at)) for at in (np.ones_like(longest), longest, np.sqrt(longest))]
    found = []
    for start in starts:
        times = _linear(programme, longest, start)
        found.append(_descend(programme, longest, times, until))
        if time.monotonic() > until:
            break
    return min(found, key=lambda one: one.cost)


def _descend(programme: Programme, longest: Floats, times: Floats, until: float) -> Found:
    """Follow tangents, each of which lies above the cost, until nothing gets cheaper."""
    net = programme_net(programme, times)
    cost = float(programme.costs(net).sum())
    for _ in range(_DESCENTS):
        if time.monotonic() > until:
            break
        at = np.maximum(net, _LEAST_TIME)
        roots = np.maximum(programme.stocks(at), 1e-300)
        trial = _linear(programme, longest, programme.price * programme.slope / (2 * roots))
        trial_net = programme_net(programme, trial)
        trial_cost = float(programme.costs(trial_net).sum())
        if trial_cost >= cost - 1e-12 * abs(cost):
            break
        times, net, cost = trial, trial_net, trial_cost
    return Found(service_times=np.abs(np.round(times[0], 6)), net_times=net, cost=cost, bound=0.0)


def _linear(programme: Programme, longest: Floats, slopes: Floats) -> Floats:
    """Times [2, stage] that make the sum of slope x bridged time least."""
    stages = len(longest)
    solver = _solver(np.inf)
    rows = _times_rows(programme)
    _load(solver, np.concatenate([-slopes, slopes]), _bounds(programme, longest), rows, slice(0, 0))
    solver.run()
    values = np.array(solver.getSolution().col_value)
    return np.asarray(values.reshape(2, stages), dtype=np.float64)


def _solve(
    programme: Programme, longest: Floats, points: list[Floats], seconds: float
) -> tuple[Floats | None, float]:
    """Times of the programme with these breakpoints, and a lower bound of the true cost."""
    stages = len(longest)
    low, high = _bounds(programme, longest)
    pieces, offset = _pieces(programme, points)
    binaries = sum(1 for piece in pieces if piece[4])
    rows = _times_rows(programme)
    cost = np.zeros(2 * stages)
    extra_cost: list[float] = []
    extra_high: list[float] = []
    at = 2 * stages + binaries
    switch = 2 * stages
    joined: dict[int, list[tuple[int, float]]] = {}
    chosen: dict[int, list[tuple[int, float]]] = {}
    switch_cost: list[float] = []
    for stage, start, end, (height, slope), needs in pieces:
        if needs:
            # time in this piece, beyond its start; allowed where its switch is on
            joined.setdefault(stage, []).extend([(at, -1.0), (switch, -start)])
            chosen.setdefault(stage, []).append((switch, 1.0))
            rows.append(([(at, 1.0), (switch, -(end - start))], -np.inf, 0.0))
            switch_cost.append(height)
            switch += 1
        else:
            joined.setdefault(stage, []).append((at, -1.0))
        extra_cost.append(slope)
        extra_high.append(end - start)
        at += 1
    for stage, entries in joined.items():
        level = -float(programme.processing[stage])
        rows.append(([(stages + stage, 1.0), (stage, -1.0), *entries], level, level))
    rows.extend((entries, 1.0, 1.0) for entries in chosen.values())
    costs = np.concatenate([cost, switch_cost, extra_cost])
    lows = np.concatenate([low, np.zeros(len(costs) - 2 * stages)])
    highs = np.concatenate([high, np.ones(binaries), extra_high])
    solver = _solver(seconds)
    _load(solver, costs, (lows, highs), rows, slice(2 * stages, 2 * stages + binaries))
    solver.run()
    info = solver.getInfo()
    values = np.array(solver.getSolution().col_value)
    if not binaries:
        return values[: 2 * stages].reshape(2, stages), float(info.objective_function_value) + offset
    below = float(info.mip_dual_bound) + offset
    has_times = info.primal_solution_status == _FEASIBLE
    return (values[: 2 * stages].reshape(2, stages) if has_times else None), below


def _pieces(
    programme: Programme, points: list[Floats]
) -> tuple[list[tuple[int, float, float, tuple[float, float], bool]], float]:
    """Chords (stage, start, end, (height at start, slope), needs a switch), and the cost of bridging nothing."""
    pieces: list[tuple[int, float, float, tuple[float, float], bool]] = []
    offset = 0.0
    for stage, ends in enumerate(points):
        if programme.price[stage] * programme.slope[stage] == 0:
            offset += float(programme.price[stage] * np.sqrt(programme.fixed[stage]))
            continue
        heights = programme.price[stage] * np.sqrt(programme.slope[stage] * ends + programme.fixed[stage])
        base = float(heights[0])
        offset += base
        for number in range(len(ends) - 1):
            slope = float((heights[number + 1] - heights[number]) / (ends[number + 1] - ends[number]))
            start, end = float(ends[number]), float(ends[number + 1])
            pieces.append((stage, start, end, (float(heights[number]) - base, slope), len(ends) > 2))  # noqa: PLR2004
    return pieces, offset


def _bounds(programme: Programme, longest: Floats) -> tuple[Floats, Floats]:
    """Least and greatest S and SI, [2 stages] each."""
    most = np.minimum(programme.promise, longest)
    low = np.concatenate([np.zeros_like(longest), programme.inbound])
    return low, np.concatenate([most, longest - programme.processing])


_Row = tuple[list[tuple[int, float]], float, float]


def _times_rows(programme: Programme) -> list[_Row]:
    """Suppliers' promises and ways are waited for; no stage delivers before it could be bridged by nothing."""
    stages = len(programme.processing)
    rows: list[_Row] = [
        ([(stages + int(target), 1.0), (int(source), -1.0)], float(lead), np.inf)
        for source, target, lead in zip(programme.sources, programme.targets, programme.leads, strict=True)
    ]
    rows += [([(stages + at, 1.0), (at, -1.0)], -float(programme.processing[at]), np.inf) for at in range(stages)]
    return rows


def _solver(seconds: float) -> Any:
    from highspy._core import _Highs  # noqa: PLC0415 - slow to import

    # highspy.Highs registers callbacks at birth, and that prints a banner on stdout before it can be silenced:
    # it would stand before the document of `--json`.
    new: Any = _Highs
    solver = new()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("mip_rel_gap", _TOLERANCE / 10)
    if np.isfinite(seconds):
        solver.setOptionValue("time_limit", max(0.1, seconds))
    return solver


def _load(solver: Any, costs: Floats, bounds: tuple[Floats, Floats], rows: list[_Row], binaries: slice) -> None:
    """Give HiGHS the programme; the columns `binaries` are 0 or 1."""
    import highspy  # noqa: PLC0415 - slow to import

    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(costs), len(rows)
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = costs, bounds[0], bounds[1]
    lp.row_lower_ = np.array([row[1] for row in rows])
    lp.row_upper_ = np.array([row[2] for row in rows])
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = np.concatenate([[0], np.cumsum([len(row[0]) for row in rows])]).astype(np.int32)
    lp.a_matrix_.index_ = np.array([entry[0] for row in rows for entry in row[0]], dtype=np.int32)
    lp.a_matrix_.value_ = np.array([entry[1] for row in rows for entry in row[0]])
    if binaries.stop > binaries.start:
        kinds = [highspy.HighsVarType.kContinuous] * len(costs)
        kinds[binaries] = [highspy.HighsVarType.kInteger] * (binaries.stop - binaries.start)
        lp.integrality_ = kinds
    solver.passModel(lp)
