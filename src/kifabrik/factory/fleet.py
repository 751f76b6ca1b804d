"""Nodes: enrolled by the operator, known by their keys."""

from dataclasses import replace
from typing import Final

from kifabrik.errors import ConflictError, NotFoundError, UsageError
from kifabrik.factory.allowances import Limits
from kifabrik.factory.node_records import NodeRecord
from kifabrik.factory.ports import Store

_MOST: Final = 10**18
MOST_GPUS: Final = 63
"""GPUs of one node: what is free of them is one 64-bit number."""


class Fleet:
    """The operator's view of nodes and tenants' limits.

    Args:
        store: Opens transactions.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def enrol(self, node: NodeRecord) -> None:
        """Add a node, or change what it offers; what runs hold of it stays held.

        Raises:
            UsageError: It offers nothing, or more GPUs than one node can have.
            ConflictError: Another node has its name or key.
        """
        if node.cpus < 1 or node.memory_bytes < 1:
            raise UsageError(f"node {node.name} offers no core or no memory")
        if any(not 0 <= gpu.index < MOST_GPUS for gpu in node.gpus):
            raise UsageError(f"node {node.name} has a GPU numbered above {MOST_GPUS - 1}")
        with self._store.write() as transaction:
            for other in transaction.runs.nodes():
                if other.node != node.node and node.name == other.name:
                    raise ConflictError(
                        f"another node is named {node.name}", hint="Give this one another name in its node.toml."
                    )
            transaction.runs.put_node(node)

    def nodes(self) -> list[NodeRecord]:
        """All nodes, by name."""
        with self._store.read() as transaction:
            return transaction.runs.nodes()

    def enable(self, name: str, *, enabled: bool) -> None:
        """Let a node take new runs, or no more; what runs there goes on.

        Raises:
            NotFoundError: There is no such node.
        """
        with self._store.write() as transaction:
            for node in transaction.runs.nodes():
                if name in (node.name, node.node):
                    transaction.runs.put_node(replace(node, enabled=enabled))
                    return
        raise NotFoundError(f"there is no node {name}")

    def set_limits(self, tenant: str, limits: Limits) -> None:
        """Change what a tenant may use.

        Raises:
            UsageError: A limit is negative or beyond all bounds, or the weight is not above 0.
        """
        counts = (limits.most_runs, limits.most_cpus, limits.most_gpus, limits.month_micro_eur)
        if not all(0 <= count <= _MOST for count in counts):
            raise UsageError(f"a limit is 0 to {_MOST}; one of {', '.join(map(str, counts))} is not")
        if not 0 < limits.weight <= _MOST:
            raise UsageError(f"a weight is above 0, not {limits.weight:g}", hint="1 is that of a new tenant.")
        with self._store.write(tenant) as transaction:
            transaction.runs.set_limits(tenant, limits)

    def limits(self, tenant: str) -> Limits:
        """What a tenant may use."""
        with self._store.read() as transaction:
            return transaction.runs.limits(tenant)
