"""`kifabrik supply-chain`: simulate and optimise supply networks."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "template": ("kifabrik.cli.supply_chain_template:template", "Write empty tables, or a worked example."),
        "import": ("kifabrik.cli.supply_chain_import:import_network", "Turn other tools' networks into tables."),
        "validate": ("kifabrik.cli.supply_chain_validate:validate", "Check tables and explain what is wrong."),
        "calibrate": ("kifabrik.cli.supply_chain_calibrate:calibrate", "Fit distributions to history."),
        "run": ("kifabrik.cli.supply_chain_run:run", "Simulate a network under many scenarios."),
        "gather": ("kifabrik.cli.supply_chain_gather:gather", "Make one study of parts simulated apart."),
        "optimise": ("kifabrik.cli.supply_chain_optimise:optimise", "Find the stock a service needs."),
        "compare": ("kifabrik.cli.supply_chain_compare:compare", "Compare plans under the same luck."),
        "stress": ("kifabrik.cli.supply_chain_compare:stress", "Say what each of a list of events would do."),
        "report": ("kifabrik.cli.supply_chain_report:report", "Write the report of a study as HTML."),
    },
)
def supply_chain() -> None:
    """Simulate and optimise supply networks: service, cost and recovery under uncertainty.

    \b
    First steps:
      kifabrik supply-chain template pumps --example
      kifabrik supply-chain validate pumps
      kifabrik supply-chain run pumps --scenarios 10000 --periods 365
    """  # noqa: D301 - \b is click's mark for a block kept as it is
