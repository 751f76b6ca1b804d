"""Joins the check of a cluster with the factory whose runs go there."""

from pathlib import Path

from kifabrik.engines.slurm.configuration import ask_configuration
from kifabrik.engines.slurm.expectations import (
    Finding,
    check_attested,
    check_nodes,
    check_offers,
    check_partitions,
    check_settings,
)
from kifabrik.engines.slurm.node_view import NodeView
from kifabrik.wiring.factory import open_factory
from kifabrik.wiring.factory_config import FILE, read_config
from kifabrik.wiring.slurm import commands_of


def check_cluster(home: Path, conf: Path | None) -> list[Finding]:
    """Compare a cluster's configuration and nodes with what is expected.

    Args:
        home: The factory's folder; one that does not exist leaves out whether nodes are enrolled.
        conf: The cluster's slurm.conf; None for the factory's, `$SLURM_CONF`, or the system's own.

    Raises:
        UnavailableError: The cluster does not answer.
    """
    has_factory = (home / FILE).exists()
    commands = commands_of(home, conf)
    view = NodeView(commands)
    nodes = view.nodes()
    found = [*check_settings(ask_configuration(commands), len(nodes)), *check_partitions(view.partitions())]
    if has_factory:
        factory = open_factory(home)
        try:
            enrolled = [node.capacity for node in factory.runs.fleet.nodes()]
        finally:
            factory.store.close()
        found += check_nodes(nodes, {node.name for node in enrolled})
        found += check_offers(nodes, enrolled)
        found += check_attested(nodes, read_config(home).slurm.attested)
    return found
