"""Joins the factory with a Slurm cluster: the engine that runs go to."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kifabrik.engines.slurm.commands import SlurmCommands
from kifabrik.engines.slurm.engine import SlurmEngine, SlurmSettings
from kifabrik.factory.ports import Store
from kifabrik.wiring.factory_config import EngineKind, FactoryConfig, SlurmConfig

_PYTHON: Final = Path("/usr/bin/python3")
_STUB: Final = Path(__file__).parent.parent / "nodes" / "enter.py"


def cluster_of(config: FactoryConfig, store: Store) -> SlurmEngine | None:
    """Return the cluster of a factory; None if its runs stay on its own machine."""
    if config.engine is not EngineKind.SLURM:
        return None

    def tenants() -> Sequence[str]:
        with store.read() as transaction:
            return [one.tenant for one in transaction.accounts.tenants()]

    slurm = config.slurm
    settings = SlurmSettings(stub=_stub(slurm), output=slurm.output, partition=slurm.partition)
    return SlurmEngine(commands(slurm), settings, tenants)


def commands(slurm: SlurmConfig) -> SlurmCommands:
    """Slurm's programs, for the cluster of these settings."""
    return SlurmCommands(Path(slurm.conf) if slurm.conf else None)


def _stub(slurm: SlurmConfig) -> tuple[str, ...]:
    """What jobs run: the file of this installation, which the nodes have at the same place.

    The system's interpreter where there is one: that of an installation may lie where tenants' users cannot go.
    """
    python = str(_PYTHON) if _PYTHON.exists() else sys.executable
    return (*(slurm.stub or (python, "-I", "-S", str(_STUB))), slurm.socket)
