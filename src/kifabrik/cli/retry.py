"""`kifabrik retry`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import show_json, step
from kifabrik.customer.retry import FAILED, retry_run, retry_tasks
from kifabrik.customer.session import open_session
from kifabrik.customer.sweeps import task_views
from kifabrik.errors import ConflictError
from kifabrik.runs.states import RunState, is_end


@click.command(
    epilog="""\b
    Examples:
      kifabrik retry press-search            what failed or was refused
      kifabrik retry press-search/17
      kifabrik retry press-search --stopped  what was stopped as well
    """
)
@click.argument("run")
@click.option("--stopped", is_flag=True, help="Also tasks that were stopped.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask before signing the order; nor does --json.")
@home_option
@json_option
def retry(run: str, stopped: bool, yes: bool, home: Path, as_json: bool) -> None:
    """Order again what failed of RUN, a run or a sweep, with the same code and parameters.

    Tasks keep their numbers, and `results` shows each as it was ordered last. It is a new order, which you
    sign: the attempts of the first one are used up. Only who ordered it can.
    """
    states = FAILED | ({RunState.STOPPED} if stopped else frozenset())
    with open_session(home) as session:
        catalogue = session.catalogue()
        name, slash, number = run.partition("/")
        found = catalogue.run(name)
        if found.matrix is None:
            if session.runs.show(found.run).state not in states:
                raise ConflictError(f"{found.run} has not failed", hint=f"See: kifabrik why {found.run}")
            _ask(f"Sign the order of {found.name} again?", asked=not (yes or as_json))
            view = retry_run(session, catalogue, found)
        else:
            sweep = catalogue.sweep(name)
            views = task_views(session, sweep)
            numbers = [n for n, one in sorted(views.items()) if one.state in states]
            if slash:
                numbers = [n for n, one in views.items() if str(n) == number and is_end(one.state)]
            if numbers:
                _ask(f"Sign an order for {len(numbers)} of {len(views)} tasks?", asked=not (yes or as_json))
            view = retry_tasks(session, catalogue, sweep, numbers)
    if as_json:
        show_json(view.model_dump(mode="json"))
        return
    step(f"Ordered {view.run}: signed by this device, entry in the ledger")


def _ask(question: str, *, asked: bool) -> None:
    if asked:
        click.confirm(question, abort=True, err=True)
