"""`kifabrik apply`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from kifabrik.cli.follow import print_log
from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.reasons import grant_hint, with_names
from kifabrik.cli.terminal import counted, done, remark, show_json, step, waiting, warn
from kifabrik.customer.apply import OTHERWISE, PreparedRun, lock_environment, prepare_all, submit
from kifabrik.customer.entered import newer_than_ordered
from kifabrik.customer.follow import wait_for_end
from kifabrik.customer.session import Session, open_session
from kifabrik.errors import CapacityError, KifabrikError, RefusedError, RunFailedError, UsageError
from kifabrik.jobs.reading import Read, read_job_or_script
from kifabrik.runs.states import RunState
from kifabrik.values import Money, Place, format_duration, format_size
from kifabrik.wire.runs import Plan, RunView

_CUT_SHORT: Final = 130
"""Exit status after Ctrl-C."""


@click.command(
    epilog="""\b
    Examples:
      kifabrik apply job.yaml
      kifabrik apply job.yaml --dry-run        show plan and price only
      kifabrik apply job.yaml --yes --detach   order and return at once
      kifabrik apply prepare.yaml train.yaml   order both; train needs prepare
      kifabrik apply train.sbatch              an sbatch script with '#KIFABRIK' lines
    """
)
@click.argument("job_files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--yes", "-y", is_flag=True, help="Do not ask before signing the order; nor does --json.")
@click.option("--detach", "-d", is_flag=True, help="Do not follow the log.")
@click.option("--dry-run", is_flag=True, help="Show plan, price and cap; order nothing.")
@click.option("--name", help="Use another job name than the file's.")
@click.option("--purpose", help="Use another purpose than the file's.")
@home_option
@json_option
def apply(
    job_files: tuple[Path, ...],
    yes: bool,
    detach: bool,
    dry_run: bool,
    name: str | None,
    purpose: str | None,
    home: Path,
    as_json: bool,
) -> None:
    """Order the run described in each of JOB_FILES, job files or sbatch scripts, and follow it until it ends.

    Shows what it will cost at most before anything is signed. A job with a matrix is a sweep: one order, one
    task for each point. Jobs that need each other are ordered together, in the right order. The exit status is
    0 if all succeeded, 9 if your program failed, 4 if the keyholder refused.
    """
    if name and len(job_files) > 1:
        raise UsageError("--name is for one job file", hint="Several keep the names they have.")
    wishes = {key: value for key, value in {"name": name, "purpose": purpose}.items() if value}
    read = [read_job_or_script(file) for file in job_files]
    if not as_json:
        _show_remarks(job_files, read)
    jobs = [
        (one.job.changed(variables={}, **wishes), file.resolve().parent)
        for one, file in zip(read, job_files, strict=True)
    ]
    with open_session(home) as session:
        prepared = prepare_all(session, jobs)
        _check_plans(prepared, shown=not as_json)
        if dry_run:
            if as_json:
                _show_json([one.plan.model_dump(mode="json") for one in prepared])
            return
        if not (yes or as_json):
            click.confirm("Sign this order?" if len(prepared) == 1 else "Sign these orders?", abort=True, err=True)
        views = _order(session, prepared, as_json=as_json)
        if detach:
            if as_json:
                _show_json([view.model_dump(mode="json") for view in views])
            return
        _follow(session, [view.run for view in views], as_json=as_json)


def _show_remarks(files: Sequence[Path], read: Sequence[Read]) -> None:
    """Say what was set aside of sbatch scripts."""
    for file, one in zip(files, read, strict=True):
        for text in one.remarks:
            remark(f"  {file.name}, {text}")


def _check_plans(prepared: Sequence[PreparedRun], *, shown: bool) -> None:
    """Show what would happen, and check that it could."""
    for one in prepared:
        if shown:
            _show_plan(one)
        if not one.plan.feasible:
            raise CapacityError(f"{one.job.name} cannot run here: {one.plan.reason}", hint=OTHERWISE)


def _order(session: Session, prepared: Sequence[PreparedRun], *, as_json: bool) -> list[RunView]:
    """Lock every environment, then sign the orders, each behind those it needs."""
    with waiting("Locking the environment …"):
        locks = [lock_environment(one) for one in prepared]
    views: list[RunView] = []
    for one, locked in zip(prepared, locks, strict=True):
        with waiting("Sealing code and command line …"):
            views.append(submit(session, one, locked, {view.run: view.order for view in views}))
        newer = newer_than_ordered(session, one, views[-1])
        if not as_json:
            tasks = f", {one.tasks} tasks" if one.tasks else ""
            step(f"Ordered {views[-1].run}{tasks}: signed by this device, entry in the ledger")
        for text in newer:
            warn(text)
    return views


def _show_plan(prepared: PreparedRun) -> None:
    job, plan = prepared.job, prepared.plan
    resources = job.resources.parsed()
    gpus = f"{resources.gpu_count} x {resources.gpu_model or 'GPU'}, " if resources.gpu_count else ""
    where = f"in {plan.place}" if plan.place != Place() else "wherever the factory has room"
    cores = "core" if resources.cpus == 1 else "cores"
    rate = Money(plan.rate_micro_eur_per_hour)
    rows = [
        ("job", f"{job.name}, for the purpose {job.purpose}"),
        *([("tasks", _tasks(prepared))] if prepared.tasks else []),
        *([("needs", f"{', '.join(job.needs)} to succeed first")] if job.needs else []),
        *(("data", f"{name} at {path}, read-only") for path, name in prepared.names.items()),
        *([("data", f"{format_size(plan.data_bytes)}, {_delivery(plan)}")] if plan.data_bytes else []),
        ("runs", job.run.strip().splitlines()[0]),
        ("on", f"{gpus}{resources.cpus} {cores}, {format_size(resources.memory_bytes)}, {where}"),
        ("returns", ", ".join(job.outputs) or "nothing but its log"),
        ("price", f"{rate} per hour ({plan.price_list})"),
        ("cap", f"{Money(plan.most_micro_eur)}{_cap(prepared)}"),
    ]
    if plan.queued_before:
        rows.append(("queue", f"{counted(plan.queued_before, 'run')} before it"))
    for label, text in rows:
        remark(f"  {label:<8} {text}")


def _tasks(prepared: PreparedRun) -> str:
    """How many tasks, and what they differ in."""
    most = prepared.job.max_parallel
    at_once = f", at most {most} at once" if most else ""
    return f"{prepared.tasks}, one for each point of {', '.join(prepared.job.swept().names)}{at_once}"


def _cap(prepared: PreparedRun) -> str:
    """What the cap means; of a sweep, the price is of all tasks and the time of each."""
    longest = format_duration(prepared.plan.cap_s)
    if not prepared.tasks:
        return f": stopped after {longest} at the latest"
    shared = ", and what one task leaves of the budget another may use" if prepared.job.budget.micro_eur else ""
    return f" for all tasks: each is stopped after {longest} at the latest{shared}"


def _delivery(plan: Plan) -> str:
    """How the data comes to the run, for people."""
    if plan.streamed:
        return "streamed: opened while it is read, as no node has memory for it"
    return "opened into memory before it starts"


@contextmanager
def _left_alone(runs: Sequence[str], *, as_json: bool) -> Iterator[None]:
    """Ctrl-C ends the following, not the runs: say how to go on, as the same command would order them again."""
    try:
        yield
    except KeyboardInterrupt:
        if not as_json:
            for run in runs:
                remark(
                    f"\n{run} goes on. Follow it with: kifabrik logs -f {run}\n  or stop it: kifabrik stop {run}"
                )
        raise click.exceptions.Exit(_CUT_SHORT) from None


def _follow(session: Session, runs: Sequence[str], *, as_json: bool) -> None:
    with _left_alone(runs, as_json=as_json):
        views = _ended(session, runs, as_json=as_json)
    if as_json:
        _show_json([view.model_dump(mode="json") for view in views])
    for view in views:
        if view.state is not RunState.SUCCEEDED:
            raise _failure(session, view)


def _ended(session: Session, runs: Sequence[str], *, as_json: bool) -> list[RunView]:
    """Follow runs to their end, one after the other."""
    views = []
    for run in runs:
        if not as_json:
            print_log(session, run, follow=True)
        views.append(wait_for_end(session, run))
        if not as_json and views[-1].state is RunState.SUCCEEDED:
            done(_success(views[-1]))
    return views


def _success(view: RunView) -> str:
    cost = Money(view.footprint.cost_micro_eur)
    if view.tasks:
        count = sum(view.tasks.values())
        return f"{view.run}: all {count} tasks succeeded, for {cost}. See: kifabrik results {view.run}"
    return f"{view.run} succeeded in {format_duration(view.footprint.wall_s)}, for {cost}"


def _failure(session: Session, view: RunView) -> KifabrikError:
    refused, catalogue = view.state is RunState.REFUSED, session.catalogue()
    hint = grant_hint(catalogue, view.reason) or f"See: kifabrik why {view.run}"
    reason = with_names(catalogue, view.reason)
    if view.tasks:
        hint += f"; order what failed again: kifabrik retry {view.run}"
    return (RefusedError if refused else RunFailedError)(f"{view.run} is {view.state}: {reason}", hint=hint)


def _show_json(documents: list[Any]) -> None:
    """Print one document for one job file, and a list for several."""
    show_json(documents[0] if len(documents) == 1 else documents)
