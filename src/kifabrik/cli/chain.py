"""Showing the chain of a result, for the `model` commands."""

from collections.abc import Sequence

from kifabrik.cli.terminal import done, show_table
from kifabrik.customer.proof import Link


def show_chain(links: Sequence[Link]) -> None:
    """Print one line per verified link."""
    show_table(
        ["LINK", "ENTRY", "STATEMENT", "SIGNED BY", ""],
        [(one.what, one.log_index, one.digest[:12], one.signer[:12], one.says) for one in links],
        right=(1,),
    )
    done("order → lease → run key → output: every link holds and stands in the verified log")
