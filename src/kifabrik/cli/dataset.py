"""`kifabrik dataset`: seal, ls, grant, revoke, recover, erase, certificate."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "seal": ("kifabrik.cli.dataset_seal:seal", "Seal a folder as a dataset's next version and upload it."),
        "ls": ("kifabrik.cli.dataset_ls:ls", "List datasets and their versions."),
        "grant": ("kifabrik.cli.dataset_grant:grant", "Permit a purpose (steward)."),
        "revoke": ("kifabrik.cli.dataset_revoke:revoke", "End a grant (steward)."),
        "recover": ("kifabrik.cli.dataset_recover:recover", "Open with the recovery identity from the safe."),
        "erase": ("kifabrik.cli.dataset_erase:erase", "Destroy a dataset's key for good (steward)."),
        "certificate": ("kifabrik.cli.dataset_certificate:certificate", "Check the certificate of an erasure."),
    },
)
def dataset() -> None:
    """Seal, list, grant and erase datasets."""
