"""`kifabrik keyholder`: run, status, asked, approve, deny, freeze, thaw, revoke, erase, backup, restore."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "run": ("kifabrik.cli.keyholder_run:run", "Serve: answer requests for keys, by the rules you gave."),
        "status": ("kifabrik.cli.keyholder_status:status", "Show members, grants, blocks, alarms and backups."),
        "asked": ("kifabrik.cli.keyholder_asked:asked", "List requests that wait for a person."),
        "approve": ("kifabrik.cli.keyholder_approve:approve", "Let a waiting request go on."),
        "deny": ("kifabrik.cli.keyholder_deny:deny", "Refuse a waiting request."),
        "freeze": ("kifabrik.cli.keyholder_freeze:freeze", "Release nothing any more, of all or of one dataset."),
        "thaw": ("kifabrik.cli.keyholder_thaw:thaw", "Lift a freeze or an alarm."),
        "revoke": ("kifabrik.cli.dataset_revoke:revoke", "End a grant, here and at once."),
        "erase": ("kifabrik.cli.keyholder_erase:erase", "Destroy a dataset's key, with or without the factory."),
        "attestation": (
            "kifabrik.cli.keyholder_attestation:attestation",
            "Say which nodes and boots count as attested.",
        ),
        "key-file": ("kifabrik.cli.keyholder_key_file:key_file", "Make a key file for unattended start."),
        "passphrase": ("kifabrik.cli.keyholder_passphrase:passphrase", "Change the passphrase."),
        "backup": ("kifabrik.cli.keyholder_backup:backup", "Write a backup under its own passphrase."),
        "restore": ("kifabrik.cli.keyholder_restore:restore", "Make a keyholder from a backup."),
    },
)
def keyholder() -> None:
    """Run and steer the keyholder: the one who releases keys, and only on record.

    Freezing, revoking and erasing work here even while the factory is away or lies.
    """
