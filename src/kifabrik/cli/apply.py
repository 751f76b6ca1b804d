"""`kifabrik apply`."""

from pathlib import Path

import click

from kifabrik.cli.follow import print_log
from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import done, remark, show_json, step, waiting
from kifabrik.customer.apply import PreparedRun, lock_environment, prepare, submit
from kifabrik.customer.follow import wait_for_end
from kifabrik.customer.session import Session, open_session
from kifabrik.errors import CapacityError, RefusedError, RunFailedError
from kifabrik.jobs.reading import read_job_or_script
from kifabrik.runs.states import RunState
from kifabrik.values import Money, Place, format_duration, format_size
from kifabrik.wire.runs import Plan


@click.command(
    epilog="""\b
    Examples:
      kifabrik apply job.yaml
      kifabrik apply job.yaml --dry-run        show plan and price only
      kifabrik apply job.yaml --yes --detach   order and return at once
      kifabrik apply train.sbatch              an sbatch script with '#KIFABRIK' lines
    """
)
@click.argument("job_file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--yes", "-y", is_flag=True, help="Do not ask before signing the order.")
@click.option("--detach", "-d", is_flag=True, help="Do not follow the log.")
@click.option("--dry-run", is_flag=True, help="Show plan, price and cap; order nothing.")
@click.option("--name", help="Use another job name than the file's.")
@click.option("--purpose", help="Use another purpose than the file's.")
@home_option
@json_option
def apply(
    job_file: Path,
    yes: bool,
    detach: bool,
    dry_run: bool,
    name: str | None,
    purpose: str | None,
    home: Path,
    as_json: bool,
) -> None:
    """Order the run described in JOB_FILE, or in an sbatch script, and follow its log until it ends.

    Shows what it will cost at most before anything is signed. The exit status is 0 if the run succeeded,
    9 if your program failed, 4 if the keyholder refused.
    """
    read = read_job_or_script(job_file)
    for text in read.remarks if not as_json else ():
        remark(f"  {job_file.name}, {text}")
    job = read.job.model_copy(update={k: v for k, v in {"name": name, "purpose": purpose}.items() if v})
    with open_session(home) as session:
        prepared = prepare(session, job, job_file.resolve().parent)
        if not as_json:
            _show_plan(prepared)
        if not prepared.plan.feasible:
            raise CapacityError(f"this cannot run here: {prepared.plan.reason}")
        if dry_run:
            if as_json:
                show_json(prepared.plan.model_dump(mode="json"))
            return
        if not (yes or as_json):
            click.confirm("Sign this order?", abort=True, err=True)
        with waiting("Locking the environment …"):
            locked = lock_environment(prepared)
        with waiting("Sealing code and command line …"):
            view = submit(session, prepared, locked)
        if not as_json:
            step(f"Ordered {view.run}: signed by this device, entry in the ledger")
        if detach:
            if as_json:
                show_json(view.model_dump(mode="json"))
            return
        _follow(session, view.run, as_json=as_json)


def _show_plan(prepared: PreparedRun) -> None:
    job, plan = prepared.job, prepared.plan
    resources = job.resources.parsed()
    gpus = f"{resources.gpu_count} x {resources.gpu_model or 'GPU'}, " if resources.gpu_count else ""
    where = f"in {plan.place}" if plan.place != Place() else "wherever the factory has room"
    cores = "core" if resources.cpus == 1 else "cores"
    rate = Money(plan.rate_micro_eur_per_hour)
    rows = [
        ("job", f"{job.name}, for the purpose {job.purpose}"),
        *(("data", f"{name} at {path}, read-only") for path, name in prepared.names.items()),
        *([("data", f"{format_size(plan.data_bytes)}, {_delivery(plan)}")] if plan.data_bytes else []),
        ("runs", job.run.strip().splitlines()[0]),
        ("on", f"{gpus}{resources.cpus} {cores}, {format_size(resources.memory_bytes)}, {where}"),
        ("returns", ", ".join(job.outputs) or "nothing but its log"),
        ("price", f"{rate} per hour ({plan.price_list})"),
        ("cap", f"{Money(plan.most_micro_eur)}: stopped after {format_duration(plan.cap_s)} at the latest"),
    ]
    if plan.queued_before:
        rows.append(("queue", f"{plan.queued_before} runs are before it"))
    for label, text in rows:
        remark(f"  {label:<8} {text}")


def _delivery(plan: Plan) -> str:
    """How the data comes to the run, for people."""
    if plan.streamed:
        return "streamed: opened while it is read, as no node has memory for it"
    return "opened into memory before it starts"


def _follow(session: Session, run: str, *, as_json: bool) -> None:

    if not as_json:
        print_log(session, run, follow=True)
    view = wait_for_end(session, run)
    if as_json:
        show_json(view.model_dump(mode="json"))
    if view.state is RunState.SUCCEEDED:
        if not as_json:
            cost = Money(view.footprint.cost_micro_eur)
            done(f"{run} succeeded in {format_duration(view.footprint.wall_s)}, for {cost}")
        return
    refused = view.state is RunState.REFUSED
    raise (RefusedError if refused else RunFailedError)(
        f"{run} is {view.state}: {view.reason}", hint=f"See: kifabrik why {run}"
    )
