"""`kifabrik admin tenants`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import ago, remark, show_json, show_table
from kifabrik.values import format_size
from kifabrik.wiring.factory import open_factory


@click.command(
    epilog="""\b
    Example:
      kifabrik admin tenants
    """
)
@home_option
@json_option
def tenants(home: Path, as_json: bool) -> None:
    """List tenants: all that a factory knows of them by itself, and the note of the code each has used.

    UNREGISTERED is the part of what a tenant stores that no version, output or log on record uses: uploads under
    way, or left over. Nobody need clear it away: it goes by itself (`keep_unregistered` in factory.toml).
    """
    factory = open_factory(home / "factory")
    try:
        found = factory.accounts.tenants()
        notes = {code.tenant: code.note for code in factory.accounts.codes()}
        unregistered = {one.tenant: one for one in factory.unregistered.standing()}
    finally:
        factory.store.close()
    if as_json:
        show_json(
            [
                {
                    "tenant": one.tenant,
                    "note": notes.get(one.tenant, ""),
                    "created": one.created,
                    "bytes": one.bytes_used,
                    "unregistered_bytes": unregistered[one.tenant].size if one.tenant in unregistered else 0,
                    "keyholder_seen": one.keyholder_seen,
                }
                for one in found
            ]
        )
        return
    if not found:
        remark("No tenants yet. Make a sign-up code with: kifabrik admin code")
        return
    show_table(
        ["TENANT", "STORES", "UNREGISTERED", "KEYHOLDER", "NOTE"],
        [
            (
                one.tenant,
                format_size(one.bytes_used),
                format_size(unregistered[one.tenant].size) if one.tenant in unregistered else "",
                ago(one.keyholder_seen) if one.keyholder_seen else "never",
                notes.get(one.tenant, ""),
            )
            for one in found
        ],
        right=(1, 2),
    )
