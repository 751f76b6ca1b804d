"""`kifabrik sap`."""

from importlib.util import find_spec

import click

from kifabrik.cli.main import LazyGroup
from kifabrik.errors import UsageError


@click.group(
    cls=LazyGroup,
    lazy={
        "probe": ("kifabrik.cli.sap_probe:probe", "Say what an OData service has, and what it truly supports."),
        "pull": ("kifabrik.cli.sap_pull:pull", "Pull what a plan names straight into a sealed dataset."),
        "network": ("kifabrik.cli.sap_templates:network", "Pull master data; seal it with the network it makes."),
        "forecast": ("kifabrik.cli.sap_templates:forecast", "Pull history; seal it with a forecast of demand."),
        "upload": ("kifabrik.cli.sap_files:upload", "Seal CSV or Parquet files with types."),
        "share": ("kifabrik.cli.sap_files:share", "Seal tables shared by Delta Sharing."),
        "secret": ("kifabrik.cli.sap_secret:secret", "Keep a secret in the keyholder's store."),
        "push": ("kifabrik.cli.sap_push:push", "Compare results with a service, and write them back."),
    },
)
def sap() -> None:
    """Bring SAP data in sealed, and results back.

    What is pulled stands in a plan that a person confirms: docs/sap.md has one to begin with.

    \b
    First steps:
      kifabrik sap probe https://s4.example/sap/opu/odata/sap/API_PRODUCT_SRV
      kifabrik sap pull plan.yaml
    """  # noqa: D301 - \b is click's mark for a block kept as it is
    require("sap", "httpx", "pandas", "pyarrow")


def require(extra: str, *modules: str) -> None:
    """Say which extra is missing, before something is begun that needs it.

    Raises:
        UsageError: A module is not installed.
    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"this needs the extra {extra} ({missing[0]} is missing)", hint=f"pip install 'kifabrik[{extra}]'"
        )
