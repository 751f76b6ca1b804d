"""`kifabrik admin`: the operator's commands, one module each."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "code": ("kifabrik.cli.admin_code:code", "Make a sign-up code for one new tenant."),
        "tenants": ("kifabrik.cli.admin_tenants:tenants", "List tenants with what they store."),
        "limits": ("kifabrik.cli.admin_limits:limits", "Show or change what a tenant may use."),
        "prices": ("kifabrik.cli.admin_prices:prices", "Show the price list in force, or write one to change."),
        "bill": ("kifabrik.cli.admin_bill:bill", "What each tenant owes for a month."),
        "nodes": ("kifabrik.cli.admin_nodes:nodes", "List nodes; drain and resume them."),
        "slurm": ("kifabrik.cli.admin_slurm:slurm", "Bring a Slurm cluster's accounts in step with the tenants."),
        "backup": ("kifabrik.cli.admin_backup:backup", "Copy database, objects, keys and settings to a folder."),
        "database": ("kifabrik.cli.admin_database:database", "Move the factory's rows to PostgreSQL."),
        "objects": ("kifabrik.cli.admin_objects:objects", "Move sealed objects from a folder into a bucket."),
        "metrics": ("kifabrik.cli.admin_metrics:figures", "Print figures for Prometheus."),
        "open": ("kifabrik.cli.admin_open:open_pages", "Open the operator's pages in the browser, signed in."),
        "check": ("kifabrik.cli.admin_check:check", "Check that database, objects and ledgers agree."),
    },
)
def admin() -> None:
    """Operate the factory on this machine. Works beside a running one."""
