"""What a study of many scenarios gives: totals of each scenario, figures of each node and lane, courses over time.

Rates are labelled: `beta` is the fill rate (units met from stock at once, of units asked for), `alpha` the cycle
service (periods without any unit owed or lost, of periods with demand counted as all periods).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kifabrik.recipes.supply_chain.network import Network
from kifabrik.recipes.supply_chain.studies import CONFIDENCE, Estimate

Floats = NDArray[np.float64]
SCENARIO_FIGURES = (
    "cost", "holding", "in_transit", "stockout", "lost_sales", "ordering", "transport", "revenue",
    "demand", "met", "lost", "beta", "alpha", "stock_value", "backlog",
)  # fmt: skip
"""Of one scenario, over the whole network, after the warm-up. Money is in total over the periods counted;
revenue stands beside `cost`, not in it. `demand`, `met` and `lost` are units of outside customers; `beta` and
`alpha` are over all nodes with outside demand; `stock_value` and `backlog` are means over periods."""
NODE_FIGURES = (
    "on_hand", "backlog", "raw", "in_transit", "demand", "met", "lost", "made", "orders",
    "beta", "alpha", "cost", "use",
)  # fmt: skip
"""Of one node: means over the periods of a scenario. `demand`, `met`, `lost`, `made`: units a period; `orders`:
share of periods with an order (NaN where the rule orders whatever is missing); `use`: share of the making or order
capacity, NaN where there is none; `cost`: money a period, with lanes in."""
LANE_FIGURES = ("shipped", "in_transit", "cost", "use")
"""Of one lane: units shipped a period, units under way, money a period, share of its capacity (NaN without one)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a network was simulated.

    Attributes:
        scenarios: How many.
        periods: Of each, warm-up included.
        warm_up: Periods at the start that are not counted.
        seed: Of all luck.
        first: Number of the first scenario, where a study is spread over several runs.
        traced: So many of the first scenarios have their course kept.
    """

    scenarios: int = 1000
    periods: int = 365
    warm_up: int = 0
    seed: int = 1
    first: int = 0
    traced: int = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Tallies:
    """Sums that means are made of, for each group of 32 scenarios: what makes parts of a study one study again.

    Attributes:
        nodes: Sums and sums of squares [group, 2, figure, node], nodes as the engine orders them.
        lanes: Sums [group, figure, lane].
    """

    nodes: Floats
    lanes: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Results of a study.

    Attributes:
        network: What was simulated.
        settings: How.
        scenarios: Figure name (`SCENARIO_FIGURES`) to values [scenario].
        nodes: Figure name (`NODE_FIGURES`) to means over scenarios [node], in the order of `network.nodes`.
        nodes_error: The same for the standard error of that mean.
        lanes: Figure name (`LANE_FIGURES`) to means [lane], in the order of `network.lanes`.
        courses: Name of a course to values [period, traced scenario]. `backlog` and `demand` (outside customers,
            units), `stock_value` (on hand), and for each watched node `on_hand NAME` and `backlog NAME`.
        seconds: How long it took.
        tallies: What the means of nodes and lanes were made of; None where they are not at hand.
    """

    network: Network
    settings: Settings
    scenarios: dict[str, Floats]
    nodes: dict[str, Floats]
    nodes_error: dict[str, Floats]
    lanes: dict[str, Floats]
    courses: dict[str, NDArray[np.float32]]
    seconds: float
    tallies: Tallies | None = None

    def interval(self, figure: str, confidence: float = CONFIDENCE) -> tuple[float, float, float]:
        """Mean of a scenario's figure, and the ends of its confidence interval (Student's t)."""
        found = Estimate.of(self.scenarios[figure], confidence)
        return found.mean, found.low, found.high
