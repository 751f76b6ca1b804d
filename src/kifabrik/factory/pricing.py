"""The factory's price list, applied to what runs ask for."""

from collections.abc import Sequence
from dataclasses import dataclass

from kifabrik.errors import UsageError
from kifabrik.factory.capacity import Demand, Node, memory_needed
from kifabrik.meters.reading import Reading
from kifabrik.prices.pricelist import PriceList, cost, seconds_within
from kifabrik.values import Money


@dataclass(frozen=True)
class Quote:
    """The price of a demand.

    Args:
        rate: For one hour.
        cap_s: Time after which it is stopped: its longest duration or what the budget pays for.
        most: Price of running that long.
    """

    rate: Money
    cap_s: int
    most: Money


@dataclass(frozen=True)
class Pricing:
    """A price list and its name.

    Args:
        prices: The list.
        name: What plans call it.
    """

    prices: PriceList
    name: str

    def rate(self, demand: Demand, nodes: Sequence[Node]) -> Money:
        """Price of an hour of a run; one that takes any GPU pays for the dearest it could get.

        Raises:
            UsageError: Its GPU model has no price.
        """
        asked = demand.resources
        models = {asked.gpu_model}
        if asked.gpu_count and not asked.gpu_model:
            able = [node for node in nodes if demand.fits_empty(node)]
            models = {
                gpu.model for node in able for gpu in node.gpus if gpu.index in node.usable_gpus(asked)
            } or models
        return max(
            self.prices.rate(
                gpu_model=model,
                gpu_count=asked.gpu_count,
                cpus=asked.cpus,
                memory_bytes=memory_needed(asked),
                nodes=asked.nodes,
            )
            for model in models
        )

    def quote(self, demand: Demand, nodes: Sequence[Node], max_duration_s: int, budget: Money) -> Quote:
        """Price a demand.

        Args:
            demand: What is asked for.
            nodes: Where it could run.
            max_duration_s: Longest time of one attempt, in seconds.
            budget: Most it may cost; nothing means no limit.

        Raises:
            UsageError: The budget pays for less than a second, or a GPU model has no price.
        """
        rate = self.rate(demand, nodes)
        cap_s = cap_within(rate, budget, max_duration_s)
        if cap_s < 1:
            raise UsageError(
                f"a budget of {budget} does not pay for one second at {rate} an hour", hint="Raise the budget."
            )
        return Quote(rate, cap_s, cost(rate, cap_s))

    def quote_each(
        self, demand: Demand, nodes: Sequence[Node], max_duration_s: int, budget: Money, tasks: int
    ) -> Quote:
        """Price each of a number of runs that share a budget: to begin with, each has an equal part of it.

        Raises:
            UsageError: As `quote`.
        """
        if tasks <= 1 or not budget.micro_eur:
            return self.quote(demand, nodes, max_duration_s, budget)
        share = Money(budget.micro_eur // tasks)
        rate = self.rate(demand, nodes)
        if not share.micro_eur or cap_within(rate, share, max_duration_s) < 1:
            raise UsageError(
                f"a budget of {budget} does not pay for one second of each of {tasks} tasks at {rate} an hour",
                hint="Raise the budget, or make the matrix smaller.",
            )
        return self.quote(demand, nodes, max_duration_s, share)

    def charge(self, rate: Money, readings: Sequence[Reading], cap_s: int, nodes: int = 1) -> Money:
        """What an attempt costs: its signed time and energy, never more than its cap; nothing if unsigned.

        Args:
            rate: Of all its nodes together.
            readings: What was signed, one for each node that could.
            cap_s: Its longest time.
            nodes: How many it had.
        """
        wall_s = sum(reading.wall_ms for reading in readings) / (1000 * nodes)
        metered = cost(rate, wall_s) + self.prices.energy(sum(reading.energy_mj for reading in readings))
        return min(metered, cost(rate, cap_s))


def cap_within(rate: Money, budget: Money, most_s: int) -> int:
    """Whole seconds a budget pays for, at most `most_s`; no budget means no limit."""
    affordable = seconds_within(rate, budget) if budget.micro_eur else None
    return most_s if affordable is None else min(most_s, affordable)
