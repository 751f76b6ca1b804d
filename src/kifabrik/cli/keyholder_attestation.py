"""`kifabrik keyholder attestation`: show, challenge, add-node, remove-node, set-pcrs, remove-pcrs, set-guests."""

import click

from kifabrik.cli.main import LazyGroup

_AT: str = "kifabrik.cli.keyholder_attestation_"


@click.group(
    cls=LazyGroup,
    lazy={
        "show": (f"{_AT}show:show", "Show which nodes and boots count as attested."),
        "challenge": (f"{_AT}nodes:challenge_command", "Make a challenge for a node's TPM."),
        "add-node": (f"{_AT}nodes:add_node", "List a node whose TPM has answered."),
        "remove-node": (f"{_AT}nodes:remove_node", "Take a node off the list, at once."),
        "set-pcrs": (f"{_AT}states:set_pcrs", "Accept a boot, by the values of its registers."),
        "remove-pcrs": (f"{_AT}states:remove_pcrs", "Accept a boot no longer, at once."),
        "set-guests": (f"{_AT}states:set_guests", "Accept confidential guests under AMD SEV-SNP."),
    },
)
def attestation() -> None:
    """Say what counts as an attested node: for grants with --attested.

    Every change is signed with the tenant key and stands in the ledger. What it takes away is gone at once;
    what it adds counts once it stands there.
    """
