"""What an order would cost and where it could run, before anybody signs it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from kifabrik.errors import NotFoundError, UsageError
from kifabrik.factory.capacity import Demand, Node
from kifabrik.factory.delivery import deliver
from kifabrik.factory.node_records import NodeRecord
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.pricing import Pricing, Quote
from kifabrik.values import Money, Place, format_duration

LONGEST_S: Final = 30 * 86400
"""Longest time one attempt may take, in seconds."""


@dataclass(frozen=True)
class PlanView:
    """What would happen to an order made now; `reason` says why where it is not feasible.

    `data_bytes` is the sealed size of its inputs; `streamed` whether they would be opened while they are read.
    """

    reason: str
    quote: Quote
    place: Place
    nodes: int
    queued_before: int
    price_list: str
    data_bytes: int
    streamed: bool

    @property
    def feasible(self) -> bool:
        """Whether the order could ever run."""
        return not self.reason


def check_duration(max_duration_s: int) -> None:
    """Check the longest time of one attempt.

    Raises:
        UsageError: It is not between a second and 30 days.
    """
    if not 1 <= max_duration_s <= LONGEST_S:
        raise UsageError(
            f"max_duration is {format_duration(max_duration_s)}",
            hint=f"Ask for at least 1s and at most {format_duration(LONGEST_S)}.",
        )


class Planner:
    """Answers plans.

    Args:
        store: Opens transactions.
        pricing: The price list.
    """

    def __init__(self, store: Store, pricing: Pricing) -> None:
        self._store = store
        self._pricing = pricing

    def plan(
        self, tenant: str, demand: Demand, inputs: Sequence[str], max_duration_s: int, budget: Money, tasks: int = 0
    ) -> PlanView:
        """Say what an order would cost and whether it could run.

        Args:
            tenant: Whose order it would be.
            demand: What it asks for, without its inputs.
            inputs: Digests of their manifest statements.
            max_duration_s: Longest time of one attempt.
            budget: Most it may cost; nothing means no limit.
            tasks: Tasks of a sweep; 0 for one run.

        Raises:
            UsageError: Duration or budget make no sense.
            NotFoundError: An input is not registered.
        """
        check_duration(max_duration_s)
        with self._store.read() as transaction:
            nodes = enabled_nodes(transaction.runs.nodes())
            queued = transaction.runs.count_queued()
            data_bytes = sum(_size_of(transaction, tenant, manifest) for manifest in inputs)
        delivery = deliver(demand, data_bytes, nodes)
        demand = delivery.demand
        each = self._pricing.quote_each(demand, nodes, max_duration_s, budget, tasks)
        return PlanView(
            reason=delivery.lacks,
            quote=replace(each, most=Money(each.most.micro_eur * max(1, tasks))),
            place=_where(demand, nodes),
            nodes=sum(demand.fits_empty(node) for node in nodes),
            queued_before=queued,
            price_list=self._pricing.name,
            data_bytes=data_bytes,
            streamed=demand.streamed_bytes > 0,
        )


def enabled_nodes(records: Sequence[NodeRecord]) -> list[Node]:
    """What the nodes offer that the operator has not disabled."""
    return [record.capacity for record in records if record.enabled]


def _size_of(transaction: Transaction, tenant: str, manifest: str) -> int:
    version = transaction.datasets.by_manifest(tenant, manifest)
    if version is None:
        raise NotFoundError("there is no such input", hint="It may have been erased; see: kifabrik dataset ls")
    return version.size


def _where(demand: Demand, nodes: Sequence[Node]) -> Place:
    """Where it would run if one kind of place is certain, else what was asked for."""
    places = {node.place for node in nodes if demand.fits_empty(node)}
    return places.pop() if len(places) == 1 else demand.place
