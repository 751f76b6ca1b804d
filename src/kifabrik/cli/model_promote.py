"""`kifabrik model promote`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import done, show_json
from kifabrik.customer.session import open_session
from kifabrik.customer.sweeps import best, promote, sweep_results
from kifabrik.errors import UsageError


@click.command(
    epilog="""\b
    Examples:
      kifabrik model promote press-search --by auc
      kifabrik model promote press-search --by loss --min
      kifabrik model promote press-search/17
    """
)
@click.argument("sweep")
@click.option("--by", "metric", help="Promote the task that succeeded with the best of this metric.")
@click.option("--min/--max", "lowest", default=False, help="Whether lower or higher is better; default higher.")
@click.option("--published", is_flag=True, help="Choose by metrics the job publishes: opens no log.")
@home_option
@json_option
def promote_command(
    sweep: str, metric: str | None, lowest: bool, published: bool, home: Path, as_json: bool
) -> None:
    """Make the model of one task of SWEEP the next version of the job's model.

    The task is named as SWEEP/17, or chosen by a metric, which is opened on this machine. Its chain is
    verified, and the choice is signed and put on record. Models of other tasks can still be pulled by their
    runs, but are no versions.
    """
    name, slash, number = sweep.partition("/")
    if bool(slash) == bool(metric) or (slash and not number.isdecimal()):
        raise UsageError("say which task: SWEEP/17, or SWEEP with --by METRIC", hint="See: kifabrik results SWEEP")
    with open_session(home) as session:
        catalogue = session.catalogue()
        found = catalogue.sweep(name)
        chosen = int(number) if number else 0
        value = None
        if metric:
            task = best(sweep_results(session, found, sealed=not published), metric, lowest=lowest)
            chosen, value = task.number, task.metrics[metric]
        model, entry = promote(session, catalogue, found, chosen)
    label = f"{model.name}@{model.version}"
    if as_json:
        show_json({"model": label, "task": chosen, "run": model.run.run, "metric": value, "entry": entry})
        return
    why = f", with {metric} {value:.6g}" if value is not None else ""
    done(f"task {chosen} is {label}{why}: entry {entry} of the ledger")
