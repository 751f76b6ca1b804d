"""`kifabrik keyholder erase`."""

from contextlib import suppress

import click

from kifabrik.cli.options import json_option
from kifabrik.cli.terminal import done, show_json, warn
from kifabrik.cli.unlock import StewardKeys, steward_options
from kifabrik.errors import KifabrikError


@click.command(
    epilog="""\b
    Example:
      kifabrik keyholder erase d-k3v6…
    """
)
@click.argument("dataset")
@click.option("--derived", is_flag=True, help="Also destroy the keys of results made from it.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@steward_options
@json_option
def erase(
    dataset: str,
    derived: bool,
    yes: bool,
    keys: StewardKeys,
    as_json: bool,
) -> None:
    """Destroy the key of DATASET (an id) for good, whether or not the factory can be reached.

    With a connection, `kifabrik dataset erase NAME` does the same and waits for the certificate.
    """
    if not (yes or as_json):
        click.confirm(f"Destroy the key of {dataset} for good?", abort=True, err=True)
    with keys.open() as steward:
        steward.erase(dataset, derived=derived)
        delivered = steward.deliver()
        with suppress(KifabrikError):  # the key is gone; a keyholder that serves says what is wrong with the log
            steward.certify()
    if as_json:
        show_json({"erased": dataset, "delivered": delivered})
        return
    done(f"The key of {dataset} is destroyed here")
    if not delivered:
        warn("The factory is told when it can be reached: run the keyholder.")
