"""What studies of supply networks share on the command line: settings, a bar, and how figures are written.

Everything of `kifabrik.recipes` is imported when a command runs, so that `kifabrik --help` stays quick.
"""

import math
from collections.abc import Callable
from dataclasses import is_dataclass
from enum import Enum
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from kifabrik.recipes.supply_chain.network import Network, Node
    from kifabrik.recipes.supply_chain.studies import Estimate

_SMALL_P: Final = 0.001


workers_option = click.option("--workers", type=click.IntRange(min=1), help="Threads. [one for each core]")


def study_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add options of a study: `--workers`, and those that the command gets together as `settings`."""

    @wraps(command)
    def with_settings(*, scenarios: int, periods: int, warm_up: int, seed: int, **others: Any) -> None:
        from kifabrik.recipes.supply_chain.results import Settings  # noqa: PLC0415 - slow to import

        settings = Settings(scenarios=scenarios, periods=periods, warm_up=warm_up, seed=seed)
        command(settings=settings, **others)

    made: Callable[..., None] = with_settings
    for option in (
        workers_option,
        click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of all luck."),
        click.option(
            "--warm-up", type=click.IntRange(min=0), default=0, show_default=True, help="Periods not counted."
        ),
        click.option(
            "--periods", type=click.IntRange(min=1), default=365, show_default=True, help="Of each scenario."
        ),
        click.option("--scenarios", type=click.IntRange(min=2), default=1000, show_default=True, help="How many."),
    ):
        made = option(made)
    return made


def doubts(network: "Network") -> list[str]:
    """What is in order, but makes figures say little."""
    nodes = network.nodes
    if not any(node.demand for node in nodes):
        return [
            "No node has outside demand, so nothing moves: fill in demand (a sealed study also takes a history)."
        ]
    if not any(_loses(node) for node in nodes):
        needed = "stockout_cost; or lost_sale_cost or price, with a backorder_share below 1"
        return [f"No shortage costs anything, so failures look cheap: give {needed}."]
    return []


def _loses(node: "Node") -> bool:
    """Whether a shortage at a node costs: who waits pays the price in the end."""
    is_lost = node.demand is not None and node.backorder_share < 1
    return node.stockout_cost > 0 or (is_lost and (node.price > 0 or node.lost_sale_cost > 0))


def tried(some: int, every: int) -> str:
    """Say of how many nodes the failure was simulated."""
    return f"Failures of {some} of {every:,} nodes were simulated: those with most demand at risk."


def show_number(value: float | None) -> str:
    """A number with four figures, thousands apart; a dash where there is none."""
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return "never" if value > 0 else "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"  # noqa: PLR2004


def show_share(value: "Estimate") -> str:
    """A share with its interval, per cent."""
    return f"{value.mean:.2%} ± {(value.high - value.low) / 2:.2%}"


def show_estimate(value: "Estimate | None") -> str:
    """A mean with half its interval."""
    if value is None:
        return "-"
    reach = (value.high - value.low) / 2
    return f"{show_number(value.mean)} ± {show_number(reach)}"


def show_p(value: float) -> str:
    """A P-value."""
    return "< 0.001" if value < _SMALL_P else f"{value:.3f}"


def plain_values(value: Any) -> Any:
    """What JSON can say of a result: what is not finite becomes null, networks are left out."""
    if is_dataclass(value) and not isinstance(value, type):
        from kifabrik.recipes.supply_chain.network import Network  # noqa: PLC0415 - slow to import

        fields = {name: getattr(value, name) for name in value.__dataclass_fields__}
        return {name: plain_values(each) for name, each in fields.items() if not isinstance(each, Network)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(name): plain_values(each) for name, each in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain_values(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
