"""How a factory stands, as figures for Prometheus: no name, nothing of what customers sealed.

The text is that of the exposition format 0.0.4, which node_exporter's textfile collector reads.
"""

import shutil
import socket
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from kifabrik.factory.factory import Factory
from kifabrik.factory.ports import Transaction
from kifabrik.factory.records import Tenant
from kifabrik.runs.states import RunState, is_end
from kifabrik.values import parse_time
from kifabrik.wiring.factory_config import read_config

_PATIENCE_S: Final = 2.0
_NODES: Final = {
    "kifabrik_node_takes_runs": "0 if the node is drained",
    "kifabrik_node_cores": "Cores that runs may use",
    "kifabrik_node_cores_free": "Of these, held by no run",
    "kifabrik_node_memory_bytes": "Memory that runs may use",
    "kifabrik_node_memory_free_bytes": "Of it, held by no run",
    "kifabrik_node_gpus": "GPUs",
    "kifabrik_node_gpus_free": "Of these, held by no run",
}


@dataclass(frozen=True)
class Metric:
    """A figure.

    Args:
        name: Of the metric.
        about: One line.
        values: By labels; each label is a name and a value.
    """

    name: str
    about: str
    values: tuple[tuple[tuple[tuple[str, str], ...], float], ...]


def metrics(factory: Factory, home: Path, now: datetime) -> list[Metric]:
    """Read how a factory stands.

    Args:
        factory: Opened beside the service or not.
        home: Its folder.
        now: What ages and silences are counted to.
    """
    disk = shutil.disk_usage(home)
    with factory.store.read() as transaction:
        return [
            *_of_service(home),
            _one("kifabrik_disk_free_bytes", "Free on the disk of the factory's folder", disk.free),
            _one("kifabrik_disk_bytes", "Size of that disk", disk.total),
            *_of_tenants(transaction.accounts.tenants(), now),
            _unregistered(transaction),
            *_of_runs(transaction, now),
            *_of_nodes(transaction),
        ]


def as_text(found: Iterable[Metric]) -> str:
    """The exposition format; all metrics are gauges."""
    return "".join(f"{line}\n" for metric in found for line in _lines(metric))


def _lines(metric: Metric) -> Iterator[str]:
    yield f"# HELP {metric.name} {metric.about}."
    yield f"# TYPE {metric.name} gauge"
    for labels, value in metric.values:
        said = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels)
        yield f"{metric.name}{{{said}}} {_plain(value)}" if said else f"{metric.name} {_plain(value)}"


def _plain(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.3f}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _one(name: str, about: str, value: float) -> Metric:
    return Metric(name, about, (((), value),))


def _of_service(home: Path) -> list[Metric]:
    config = read_config(home)
    if not config.port:
        return []  # any free one: nobody but the service knows it
    try:
        socket.create_connection((config.host, config.port), timeout=_PATIENCE_S).close()
    except OSError:
        answers = 0
    else:
        answers = 1
    return [_one("kifabrik_service_answers", "1 if something listens where the service should", answers)]


def _of_tenants(tenants: Sequence[Tenant], now: datetime) -> list[Metric]:
    silent = tuple(
        ((("tenant", one.tenant),), (now - parse_time(one.keyholder_seen)).total_seconds())
        for one in tenants
        if one.keyholder_seen
    )
    stored = tuple(((("tenant", one.tenant),), float(one.bytes_used)) for one in tenants)
    return [
        _one("kifabrik_tenants", "How many there are", len(tenants)),
        Metric("kifabrik_stored_bytes", "Sealed bytes of each tenant", stored),
        Metric("kifabrik_keyholder_silent_seconds", "Since each tenant's keyholder last called", silent),
    ]


def _unregistered(transaction: Transaction) -> Metric:
    unused = tuple(((("tenant", one.tenant),), float(one.size)) for one in transaction.objects.unused())
    return Metric("kifabrik_unregistered_bytes", "Sealed bytes of each tenant that are on no record", unused)


def _of_runs(transaction: Transaction, now: datetime) -> list[Metric]:
    going_on = transaction.runs.watched().values()
    states = Counter({state: 0 for state in RunState if not is_end(state)})
    states.update(one.state for one in going_on)
    states[RunState.QUEUED] = transaction.runs.count_queued()
    waiting = [one.created for one in going_on if one.state is RunState.WAITING_FOR_KEY]
    longest = max(((now - parse_time(created)).total_seconds() for created in waiting), default=0.0)
    counted = tuple(((("state", state.value),), float(count)) for state, count in states.items())
    return [
        Metric("kifabrik_runs", "Runs that have not ended", counted),
        _one(
            "kifabrik_longest_wait_for_key_seconds", "Age of the oldest attempt that waits for a keyholder", longest
        ),
    ]


def _of_nodes(transaction: Transaction) -> list[Metric]:
    nodes, free = transaction.runs.nodes(), transaction.runs.free()
    found: dict[str, list[float]] = {name: [] for name in _NODES}
    for node in nodes:
        left = free.get(node.node)
        amounts = (
            float(node.enabled),
            float(node.cpus),
            float(left.cpus if left else 0),
            float(node.memory_bytes),
            float(left.memory_bytes if left else 0),
            float(len(node.gpus)),
            float(len(left.gpus) if left else 0),
        )
        for name, amount in zip(_NODES, amounts, strict=True):
            found[name].append(amount)
    return [
        Metric(
            name,
            about,
            tuple(((("node", node.name),), amount) for node, amount in zip(nodes, found[name], strict=True)),
        )
        for name, about in _NODES.items()
    ]
