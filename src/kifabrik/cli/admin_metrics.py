"""`kifabrik admin metrics`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import show_json
from kifabrik.durable import write_whole
from kifabrik.values import now_utc
from kifabrik.wiring.factory import open_factory
from kifabrik.wiring.metrics import as_text, metrics


@click.command(
    epilog="""\b
    Examples:
      kifabrik admin metrics
      kifabrik admin metrics --out /var/lib/prometheus/node-exporter/kifabrik.prom
    """
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write them here, in one step.")
@home_option
@json_option
def figures(out: Path | None, home: Path, *, as_json: bool) -> None:
    """Print how the factory stands, as figures for Prometheus: runs, nodes, keyholders, disk.

    Meant for node_exporter's textfile collector, from a timer each minute. The service itself shows its figures to
    nobody: they would tell each tenant about the others.
    """
    folder = home / "factory"
    factory = open_factory(folder)
    try:
        found = metrics(factory, folder, now_utc())
    finally:
        factory.store.close()
    if out is not None:
        write_whole(out, as_text(found).encode(), mode=0o644)
    if as_json:
        show_json(
            {one.name: [{"labels": dict(labels), "value": value} for labels, value in one.values] for one in found}
        )
    elif out is None:
        click.echo(as_text(found), nl=False)
