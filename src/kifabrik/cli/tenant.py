"""`kifabrik tenant`: create, invite, members, remove."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "create": ("kifabrik.cli.tenant_create:create", "Make a tenant, its keyholder and all keys; sign up."),
        "invite": ("kifabrik.cli.tenant_invite:invite", "Admit a member: writes an invitation file."),
        "members": ("kifabrik.cli.tenant_members:members", "List members and their devices."),
        "remove": ("kifabrik.cli.tenant_remove:remove", "Remove a member; devices stop counting at once."),
    },
)
def tenant() -> None:
    """Create a tenant and its keyholder; invite and remove members. For stewards."""
