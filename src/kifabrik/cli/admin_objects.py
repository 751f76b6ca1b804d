"""`kifabrik admin objects`: copy."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "copy": ("kifabrik.cli.admin_objects_copy:copy", "Copy the objects of a folder into the factory's bucket."),
    },
)
def objects() -> None:
    """Look after the sealed objects a factory keeps."""
