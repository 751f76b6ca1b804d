"""`kifabrik plant report site`."""

from pathlib import Path

import click

from kifabrik.cli.options import json_option
from kifabrik.cli.terminal import remark, show_json


@click.command(
    epilog="""\b
    Examples:
      kifabrik plant report site results
      kifabrik plant report site results --meters meters >> ~/factory/factory.toml
    """
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--meters", type=click.Path(path_type=Path, file_okay=False, exists=True), help="Store of meters.")
@json_option
def site(folder: Path, meters: Path | None, *, as_json: bool) -> None:
    """Print what the year in FOLDER says for runs' footprints: the table [site] of a factory's factory.toml.

    FOLDER is one that `kifabrik plant run --out` wrote. What meters cover for the whole year is measured.
    """
    from kifabrik.plant.law.factors import factors  # noqa: PLC0415 - slow to import
    from kifabrik.plant.saving import load  # noqa: PLC0415

    study = load(folder)
    metered = {}
    if meters:
        from kifabrik.plant.metering.store import Store  # noqa: PLC0415

        metered = Store(meters).year(study.site.year)
    found = factors(study, metered)
    if as_json:
        show_json(
            {one.name: {"value": one.value, "basis": one.basis.value, "meaning": one.meaning} for one in found}
        )
        return
    lines = [f"{one.name} = {one.value:g}" for one in found]
    width = max(map(len, lines))
    click.echo("[site]")
    for line, one in zip(lines, found, strict=True):
        click.echo(f"{line.ljust(width)}  # {one.basis.value}: {one.meaning}")
    remark(f"{study.site.name}, {study.site.year}. Changes of factory.toml count from the factory's next start.")
