"""`kifabrik model ls`."""

from dataclasses import asdict
from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import remark, show_json, show_table
from kifabrik.customer.models import lineage, sealed_metrics
from kifabrik.customer.session import open_session


@click.command(
    epilog="""\b
    Examples:
      kifabrik model ls
      kifabrik model ls --metrics     asks the keyholder for the logs' keys
    """
)
@click.option("--metrics", is_flag=True, help="Open each run's sealed metrics as well.")
@home_option
@json_option
def ls(metrics: bool, home: Path, as_json: bool) -> None:
    """List models with their versions, purpose and what they were made from."""
    with open_session(home) as session:
        catalogue = session.catalogue()
        rows = [(one, lineage(session, catalogue, one)) for one in catalogue.models()]
        measured = {one.run.run: sealed_metrics(session, one) if metrics else {} for one, _ in rows}
    if as_json:
        show_json(
            [
                {
                    "name": one.name,
                    "version": one.version,
                    "run": one.run.run,
                    "manifest": one.manifest,
                    "metrics": measured[one.run.run],
                    **asdict(line),
                }
                for one, line in rows
            ]
        )
        return
    if not rows:
        remark("No models yet: a model is the output called 'model' of a finished run.")
        return
    columns = ["MODEL", "MADE FROM", "PURPOSE", "RUN", *(["METRICS"] if metrics else [])]
    show_table(
        columns,
        [
            (
                f"{one.name}@{one.version}",
                ", ".join(line.inputs),
                line.purpose,
                one.run.run,
                *([", ".join(f"{k} {v:g}" for k, v in measured[one.run.run].items())] if metrics else []),
            )
            for one, line in rows
        ],
    )
