"""`kifabrik why`."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import remark, show_json, show_table
from kifabrik.customer.session import open_session
from kifabrik.values import sweep_of, task_number

_RUN: Final = re.compile(r"r-[a-z2-7]{16,32}(?:-[1-9][0-9]{0,4})?")


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
        names = {one.run: one.name for one in catalogue.runs()}
    if as_json:
        events = [event.model_dump(mode="json") for event in history]
        show_json({"run": named.run, "state": view.state, "reason": view.reason, "events": events})
        return
    remark(f"{named.name}  {named.run}")
    show_table(
        ["WHEN", "STATE", "WHY"],
        [(event.at, event.state.value, _with_names(event.reason, names)) for event in history],
    )


def _with_names(reason: str, names: Mapping[str, str]) -> str:
    """Say the names of runs that a reason names by their ids: the factory knows no others."""

    def named(match: re.Match[str]) -> str:
        run = match[0]
        name = names.get(sweep_of(run) or run)
        task = f"/{task_number(run)}" if task_number(run) else ""
        return f"{run} ({name}{task})" if name else run

    return _RUN.sub(named, reason)
