"""`kifabrik dataset revoke`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import done, show_json
from kifabrik.cli.unlock import open_steward, passphrase_option, tenant_key_option


@click.command(
    epilog="""\b
    Example:
      kifabrik dataset revoke g-k3v6…
    """
)
@click.argument("grant")
@passphrase_option
@tenant_key_option
@home_option
@json_option
def revoke(grant: str, passphrase_file: Path | None, tenant_key: Path | None, home: Path, as_json: bool) -> None:
    """End GRANT. In force at the keyholder at once, whatever the factory does with the news."""
    with open_steward(home, passphrase_file, tenant_key) as steward:
        steward.revoke(grant)
        delivered = steward.deliver()
    if as_json:
        show_json({"revoked": grant, "delivered": delivered})
        return
    done(f"{grant} is revoked here{'' if delivered else '; the factory is told when it can be reached'}")
