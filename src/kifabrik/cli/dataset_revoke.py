"""`kifabrik dataset revoke`."""

import click

from kifabrik.cli.options import json_option
from kifabrik.cli.terminal import done, show_json
from kifabrik.cli.unlock import StewardKeys, steward_options


@click.command(
    epilog="""\b
    Example:
      kifabrik dataset revoke g-k3v6…
    """
)
@click.argument("grant")
@steward_options
@json_option
def revoke(grant: str, keys: StewardKeys, as_json: bool) -> None:
    """End GRANT. In force at the keyholder at once, whatever the factory does with the news."""
    with keys.open() as steward:
        steward.revoke(grant)
        delivered = steward.deliver()
    if as_json:
        show_json({"revoked": grant, "delivered": delivered})
        return
    done(f"{grant} is revoked here{'' if delivered else '; the factory is told when it can be reached'}")
