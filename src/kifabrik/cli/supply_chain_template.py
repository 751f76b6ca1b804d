"""`kifabrik supply-chain template`: tables to fill in."""

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--example", is_flag=True, help="Write a worked example: a maker of pumps.")
def template(folder: Path, *, example: bool) -> None:
    """Write empty tables into FOLDER, with an explanation in German and English.

    \b
    Examples:
      kifabrik supply-chain template our-network
      kifabrik supply-chain template pumps --example
    """  # noqa: D301 - \b is click's mark for a block kept as it is
    from kifabrik.cli.plain import plain  # noqa: PLC0415
    from kifabrik.recipes.supply_chain.tables.template import write_example, write_template  # noqa: PLC0415

    (write_example if example else write_template)(folder)
    click.echo(f"Wrote the tables into {plain(str(folder))}. README.md (LIESMICH.md) there explains every column.")
    click.echo(f"Next: kifabrik supply-chain validate {plain(str(folder))}")
