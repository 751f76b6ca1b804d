"""`kifabrik stop`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import done, show_json
from kifabrik.customer.follow import wait_for_end
from kifabrik.customer.session import open_session
from kifabrik.runs.states import RunState, is_end


@click.command(
    epilog="""\b
    Example:
      kifabrik stop press-anomaly
    """
)
@click.argument("run")
@click.option("--wait", "wait", is_flag=True, help="Return when it has ended.")
@home_option
@json_option
def stop(run: str, wait: bool, home: Path, as_json: bool) -> None:
    """Stop RUN, or all tasks of a sweep; NAME/17 is one of them.

    A running program gets SIGTERM and time to write a checkpoint, which is sealed and kept.
    """
    with open_session(home) as session:
        found = session.catalogue().run(run).run
        view = session.runs.stop(found)
        if wait:
            view = wait_for_end(session, found)
    if as_json:
        show_json(view.model_dump(mode="json"))
        return
    done(said_of(found, view.state))


def said_of(run: str, state: RunState) -> str:
    """Say what became of a run: one that waited, or had ended before, is not asked any more."""
    return f"{run} is {state.value}" if is_end(state) else f"{run} was asked to stop"
