"""Joins the factory's tenants and limits with a Slurm cluster's accounting."""

from collections.abc import Sequence
from pathlib import Path

from kifabrik.engines.slurm.account_plan import TenantShare
from kifabrik.engines.slurm.account_sync import AccountSync
from kifabrik.wiring.factory import open_factory
from kifabrik.wiring.slurm import commands_of


def account_sync(home: Path, conf: Path | None) -> AccountSync:
    """Return what keeps a cluster's accounting in step with the factory in `home`.

    Args:
        home: The factory's folder.
        conf: The cluster's slurm.conf; None for the factory's, `$SLURM_CONF`, or the system's own.
    """

    def shares() -> Sequence[TenantShare]:
        factory = open_factory(home)
        try:
            listed = [(one.tenant, factory.runs.fleet.limits(one.tenant)) for one in factory.accounts.tenants()]
        finally:
            factory.store.close()
        return [
            TenantShare(tenant, limits.weight, limits.most_cpus, limits.most_gpus, limits.most_runs)
            for tenant, limits in listed
        ]

    return AccountSync(commands_of(home, conf), shares)
