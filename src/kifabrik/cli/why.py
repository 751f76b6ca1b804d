"""`kifabrik why`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.reasons import grant_hint, with_names
from kifabrik.cli.terminal import remark, show_json, show_table
from kifabrik.customer.session import open_session


@click.command(
    epilog="""\b
    Example:
      kifabrik why press-anomaly
    """
)
@click.argument("run")
@home_option
@json_option
def why(run: str, home: Path, as_json: bool) -> None:
    """Say what happened to RUN step by step, and why it waits, failed or was refused.

    Of a sweep, how many tasks stand where, and why; NAME/17 is one of them.
    """
    with open_session(home) as session:
        catalogue = session.catalogue()
        named = catalogue.run(run)
        view = session.runs.show(named.run)
        history = session.runs.history(named.run)
        rows = [(event.at, event.state.value, with_names(catalogue, event.reason)) for event in history]
    if as_json:
        events = [event.model_dump(mode="json") for event in history]
        show_json({"run": named.run, "state": view.state, "reason": view.reason, "events": events})
        return
    remark(f"{named.name}  {named.run}")
    show_table(["WHEN", "STATE", "WHY"], rows)
    hint = grant_hint(catalogue, view.reason)
    if hint:
        remark(f"  {hint}")
