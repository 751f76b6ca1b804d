"""`kifabrik supply-chain validate`: what is wrong with tables."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from kifabrik.cli.options import json_option
from kifabrik.cli.supply_chain_study import doubts
from kifabrik.cli.terminal import warn


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--scenario", default="", help="Check this what-if only; default: the tables and all what-ifs.")
@json_option
@click.pass_context
def validate(ctx: click.Context, path: Path, scenario: str, *, as_json: bool) -> None:
    """Check the tables at PATH, a folder of CSV files or an XLSX file, and list every problem.

    The exit status is 2 if there is any.

    \b
    Examples:
      kifabrik supply-chain validate our-network
      kifabrik supply-chain validate plan.xlsx --json
    """  # noqa: D301 - \b is click's mark for a block kept as it is
    from kifabrik.cli.plain import plain  # noqa: PLC0415
    from kifabrik.recipes.supply_chain.tables import examine  # noqa: PLC0415

    examined = examine(path, scenario)
    found, network = examined.problems, examined.network
    count = sum(len(listed) for listed in found.values())
    if as_json:
        listed = [{"scenario": name, **asdict(problem)} for name, all_of in found.items() for problem in all_of]
        click.echo(json.dumps({"problems": listed}, ensure_ascii=False))
    elif count:
        for name, all_of in found.items():
            for problem in all_of:
                click.echo(plain(f"scenario {name}: {problem}" if name else str(problem)))
        click.echo(f"{count} problem{'s' if count > 1 else ''}.")
    elif network is not None:
        parts = (
            (len(network.nodes), "node"),
            (len(network.lanes), "lane"),
            (len(network.disruptions), "disruption"),
            (len(found) - 1, "what-if"),
        )
        click.echo("In order: " + ", ".join(f"{many} {what}{'s' * (many != 1)}" for many, what in parts) + ".")
        for doubt in doubts(network):
            warn(doubt)
    if count:
        ctx.exit(2)
