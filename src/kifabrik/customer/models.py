"""Models: outputs of finished runs by job name, with metrics and lineage."""

from dataclasses import dataclass

from kifabrik.customer.catalogue import Catalogue
from kifabrik.customer.follow import read_log
from kifabrik.customer.named import ModelVersion
from kifabrik.customer.session import Session
from kifabrik.errors import NotFoundError
from kifabrik.orders.order import Order
from kifabrik.signatures.statements import read_unverified


@dataclass(frozen=True)
class Lineage:
    """What a model was made from.

    Args:
        purpose: Purpose id of the order.
        member: Who ordered it.
        inputs: Names and versions of datasets and models.
        code: Digest of the code bundle's manifest.
        environment: Digest of the lock.
    """

    purpose: str
    member: str
    inputs: tuple[str, ...]
    code: str
    environment: str


def lineage(session: Session, catalogue: Catalogue, model: ModelVersion) -> Lineage:
    """Return what the signed order of a model's run names."""
    evidence = session.runs.evidence(model.run.run)
    order, _ = read_unverified(session.datasets.statement(evidence.order), Order)
    datasets = {one.dataset: one.name for one in catalogue.datasets()}
    models = {one.owner: f"model:{one.name}@{one.version}" for one in catalogue.models()}
    inputs = tuple(
        models.get(item.owner)
        or _output_name(catalogue, item.owner)
        or f"{datasets.get(item.owner, item.owner)}@{item.version}"
        for item in order.inputs
    )
    return Lineage(order.purpose, order.member, inputs, order.code, order.lock)


def _output_name(catalogue: Catalogue, owner: str) -> str:
    """What an output of a run is called in a job file; empty for a dataset, the owner where nobody named it."""
    run, slash, number = owner.partition("/")
    if not slash:
        return ""
    try:
        named = catalogue.run(run)
        return f"output:{named.name}/{named.outputs[int(number) - 1]}"
    except (NotFoundError, IndexError, ValueError):
        return owner


def sealed_metrics(session: Session, model: ModelVersion) -> dict[str, float]:
    """Return the last value of each metric in the sealed log of a model's run, of its first node, opened here."""
    found: dict[str, float] = {}
    for line in read_log(session, model.run.run, follow=False):
        if line.metric and line.rank == 0:
            found[line.metric] = line.value
    return found
