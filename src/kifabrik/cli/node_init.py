"""`kifabrik node init`."""

from dataclasses import asdict
from pathlib import Path

import click

from kifabrik.cli.options import Country, json_option
from kifabrik.cli.terminal import done, remark, show_json
from kifabrik.values import Place
from kifabrik.wiring.node import FILE, init_node, read_key


@click.command(
    epilog="""\b
    Examples:
      kifabrik node init --home /var/lib/kifabrik/node --factory https://factory.example --name n17
      kifabrik node init --home /var/lib/kifabrik/node --json > n17.json     for: kifabrik admin nodes --enrol
    """
)
@click.option("--home", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the node.")
@click.option("--factory", default="", help="URL of the service, when the node is new.")
@click.option(
    "--ca", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="The service's own CA (PEM)."
)
@click.option("--name", default="", help="Slurm's name of this node, when it is new; else the machine's name.")
@click.option("--country", type=Country(), default="", help="ISO code of the country it is in, when it is new.")
@click.option("--site", default="", help="The operator's name of the building, when it is new.")
@click.option("--class", "node_class", default="", help="The operator's name of its kind, when it is new.")
@json_option
def init(
    home: Path, factory: str, ca: Path | None, name: str, country: str, site: str, node_class: str, as_json: bool
) -> None:
    """Make a key and a description of this machine; a node that exists is left as it is.

    With --json, prints what the operator enrols with the factory. Nothing in it is secret.
    """
    place = Place(country, site, node_class)
    config = init_node(home, place=place, name=name, factory=factory, ca=ca)
    record = config.record(read_key(home))
    if as_json:
        show_json(asdict(record))
        return
    done(f"Node {record.name} ({record.node}) lies in {home}; its key stays there")
    remark(f"  What it offers stands in {home / FILE}: {record.cpus} cores, {len(record.gpus)} GPUs")
    remark(f"  Enrol it: kifabrik node init --home {home} --json > {record.name}.json")
    remark(f"            kifabrik admin nodes --enrol {record.name}.json     where the factory is")
    remark(f"  Serve it: kifabrik node serve --home {home}")
