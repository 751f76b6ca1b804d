"""`kifabrik admin nodes`."""

from dataclasses import asdict
from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import remark, show_json, show_table
from kifabrik.values import format_size
from kifabrik.wiring.factory import open_factory
from kifabrik.wiring.node import read_enrolment


@click.command(
    epilog="""\b
    Examples:
      kifabrik admin nodes
      kifabrik admin nodes --drain node-7     take no new runs
      kifabrik admin nodes --resume node-7
      kifabrik admin nodes --enrol n1.json --enrol n2.json     nodes of a cluster; see: kifabrik node init
    """
)
@click.option("--drain", help="Let this node take no new runs; what runs there goes on.")
@click.option("--resume", help="Let this node take runs again.")
@click.option(
    "--enrol",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="Enrol the node this file of `kifabrik node init --json` describes.",
)
@home_option
@json_option
def nodes(drain: str | None, resume: str | None, enrol: tuple[Path, ...], home: Path, as_json: bool) -> None:
    """List the nodes of the factory with what they offer, after draining, resuming or enrolling some."""
    factory = open_factory(home / "factory")
    try:
        for file in enrol:
            factory.runs.fleet.enrol(read_enrolment(file))
        for name, enabled in ((drain, False), (resume, True)):
            if name:
                factory.runs.fleet.enable(name, enabled=enabled)
        found = factory.runs.fleet.nodes()
    finally:
        factory.store.close()
    if as_json:
        show_json([asdict(one) for one in found])
        return
    if not found:
        remark("No nodes yet. On this machine: kifabrik up; of a cluster: kifabrik node init, then --enrol FILE")
        return
    show_table(
        ["NODE", "CORES", "MEMORY", "GPUS", "PLACE", ""],
        [
            (
                one.name,
                one.cpus,
                format_size(one.memory_bytes),
                ", ".join(sorted({gpu.model for gpu in one.gpus})) + f" x {len(one.gpus)}" if one.gpus else "none",
                one.place,
                "" if one.enabled else "drained",
            )
            for one in found
        ],
        right=(1, 2),
    )
