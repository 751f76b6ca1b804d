"""Joins the factory with a Slurm cluster: the engine that runs go to."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kifabrik.engines.slurm.commands import SlurmCommands
from kifabrik.engines.slurm.engine import SlurmEngine, SlurmSettings
from kifabrik.factory.attempts import asks_attested
from kifabrik.factory.ports import Store
from kifabrik.factory.run_book import find_run
from kifabrik.values import now_utc
from kifabrik.wiring.factory_config import FILE, EngineKind, FactoryConfig, SlurmConfig, read_config

_PYTHON: Final = Path("/usr/bin/python3")
_STUB: Final = Path(__file__).parent.parent / "nodes" / "enter.py"


def cluster_of(config: FactoryConfig, store: Store) -> SlurmEngine | None:
    """Return the cluster of a factory; None if its runs stay on its own machine."""
    if config.engine is not EngineKind.SLURM:
        return None

    def tenants() -> Sequence[str]:
        with store.read() as transaction:
            return [one.tenant for one in transaction.accounts.tenants()]

    def attested(tenant: str, run: str) -> bool:
        with store.read() as transaction:
            return asks_attested(transaction, find_run(transaction, tenant, run), now_utc())

    slurm = config.slurm
    settings = SlurmSettings(
        stub=_stub(slurm), output=slurm.output, partition=slurm.partition, attested=slurm.attested
    )
    return SlurmEngine(commands(slurm.conf), settings, tenants, attested, slurm.form)


def commands(stated: str = "") -> SlurmCommands:
    """Slurm's programs, for the cluster of a slurm.conf.

    Args:
        stated: The file, as settings name it; empty for `$SLURM_CONF`, or the system's own.
    """
    conf = stated or os.environ.get("SLURM_CONF", "")
    return SlurmCommands(Path(conf) if conf else None)


def commands_of(home: Path, conf: Path | None) -> SlurmCommands:
    """Slurm's programs, for the cluster of a factory, or of the slurm.conf a person names.

    Args:
        home: The factory's folder; it need not exist.
        conf: What a person named; None for the factory's own.
    """
    stated = str(conf) if conf else read_config(home).slurm.conf if (home / FILE).exists() else ""
    return commands(stated)


def _stub(slurm: SlurmConfig) -> tuple[str, ...]:
    """What jobs run: the file of this installation, which the nodes have at the same place.

    The system's interpreter where there is one: that of an installation may lie where tenants' users cannot go.
    """
    python = str(_PYTHON) if _PYTHON.exists() else sys.executable
    return (*(slurm.stub or (python, "-I", "-S", str(_STUB))), slurm.socket)
