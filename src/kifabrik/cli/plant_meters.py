"""`kifabrik plant meters`."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "import": ("kifabrik.cli.plant_meters_import:import_table", "Read a meter's CSV file into a store."),
        "ls": ("kifabrik.cli.plant_meters_ls:ls", "List meters, their span, and what is odd about them."),
        "watch": ("kifabrik.cli.plant_meters_watch:watch", "Read meters by Modbus TCP and MQTT, again and again."),
    },
)
def meters() -> None:
    """Meters of a real site: read them, find what is odd, keep them."""
