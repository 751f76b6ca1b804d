"""From a job file to a signed order: prepare (nothing is sent), then submit."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from kifabrik.customer.bundle import CodeBundle, check_workdir
from kifabrik.customer.locks import keep_lock
from kifabrik.customer.resolving import Resolver, in_order
from kifabrik.customer.session import Session
from kifabrik.customer.unfinished import unfinished_folder
from kifabrik.environments.lock import lock
from kifabrik.environments.lockfile import Lock
from kifabrik.errors import NotFoundError, UsageError
from kifabrik.grants.decision import bound_code
from kifabrik.jobs.jobfile import JobFile
from kifabrik.jobs.private import PrivateJob
from kifabrik.orders.order import Input, Need, Order, RetryCause, sign_order
from kifabrik.seals.recipients import Recipient
from kifabrik.transfer.details import Names, make_detail
from kifabrik.values import format_time, now_utc, parse_time
from kifabrik.wire.runs import Plan, PlanRequest, RunView

OTHERWISE: Final = (
    "Change resources, place, budget or tasks in the job file to what there is, or ask the factory for more."
)
"""What to do about a plan that cannot be carried out; its reason says what there is."""
QUEUE_TIME: Final = timedelta(days=7)
"""How long an order may wait for its turn before no key is released for it any more."""


@dataclass(frozen=True)
class PreparedRun:
    """A run that could be ordered, or a sweep.

    Args:
        run: Run id it would be ordered under.
        job: The job file.
        folder: What its paths start from.
        inputs: Mount path to input.
        names: Mount path to the input's name and version, for people.
        needs: Orders that must succeed first, by run id: the digest of the order, empty where it is still to be
            signed, as one of those prepared together.
        plan: What the factory says it would do and cost.
        seen: Size of the log the names are from.
    """

    run: str
    job: JobFile
    folder: Path
    inputs: dict[str, Input]
    names: dict[str, str]
    needs: dict[str, str]
    plan: Plan
    seen: int = 0

    @property
    def tasks(self) -> int:
        """Number of tasks, if it is a sweep; else 0."""
        return len(self.job.swept()) if self.job.matrix is not None else 0


def prepare(session: Session, job: JobFile, folder: Path) -> PreparedRun:
    """Resolve names and ask for plan and price; raises what `prepare_all` does."""
    return prepare_all(session, [(job, folder)])[0]


def prepare_all(
    session: Session, jobs: Sequence[tuple[JobFile, Path]], ask: Callable[[PlanRequest], Plan] | None = None
) -> list[PreparedRun]:
    """Prepare jobs that may need each other, each behind those it needs.

    Args:
        session: Connected.
        jobs: Job files, each with the folder its paths start from.
        ask: Says what the factory would do; None asks the factory.

    Raises:
        NotFoundError: A dataset, model, run or output, the workdir or the requirements file does not exist.
        RefusedError: The member is an auditor.
        UsageError: The resources make no sense, two jobs have one name, or they need each other in a circle;
            the workdir is no folder, or the requirements file no text.
    """
    session.check_may_change("order runs")
    catalogue = session.catalogue()
    resolver, seen = Resolver(session, catalogue), catalogue.head[0]
    return [_prepare_one(ask or session.runs.plan, resolver, job, folder, seen) for job, folder in in_order(jobs)]


def _prepare_one(
    ask: Callable[[PlanRequest], Plan], resolver: Resolver, job: JobFile, folder: Path, seen: int
) -> PreparedRun:
    check_workdir(folder / job.workdir)
    _requirements(job.environment.requirements, folder)
    found = resolver.resolve(job)
    request = PlanRequest(
        resources=job.resources.parsed(),
        place=job.where(),
        max_duration_s=job.max_duration,
        budget_micro_eur=job.budget.micro_eur,
        python=job.environment.python,
        inputs=[item.manifest for item in found.inputs.values() if item.manifest],
        tasks=len(job.swept()) if job.matrix is not None else 0,
    )
    return PreparedRun(found.run, job, folder, found.inputs, found.names, found.needs, ask(request), seen)


def lock_environment(prepared: PreparedRun) -> Lock:
    """Resolve the job's requirements to wheels with hashes.

    Raises:
        NotFoundError: The requirements file does not exist.
        UsageError: A package cannot be had as a wheel.
        UnavailableError: The package index cannot be reached.
    """
    part = prepared.job.environment
    return lock(
        _requirements(part.requirements, prepared.folder),
        python=part.python,
        index=part.index,
        find_links=part.find_links,
        folder=prepared.folder,
    )


def _requirements(named: str | list[str], folder: Path) -> str:
    if isinstance(named, list):
        return "\n".join(named) + "\n"
    if not named:
        return ""
    try:
        return (folder / named).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFoundError(
            f"there is no requirements file {folder / named}", hint="It is named from the job file's folder."
        ) from None
    except IsADirectoryError:
        raise UsageError(f"{folder / named} is a folder, not a requirements file") from None
    except UnicodeDecodeError:
        raise UsageError(f"{folder / named} is not UTF-8 text", hint="Save it as UTF-8 in your editor.") from None


def submit(
    session: Session, prepared: PreparedRun, locked: Lock, ordered: Mapping[str, str] | None = None
) -> RunView:
    """Seal the code, sign the order and hand it in.

    Args:
        session: Connected.
        prepared: From `prepare` or `prepare_all`.
        locked: Its environment.
        ordered: Digests of the orders prepared together that were signed before, by run id.

    Raises:
        RefusedError: The role does not allow it, or budget or quota do not suffice.
    """
    run, job = prepared.run, prepared.job
    recipient = Recipient.from_text(session.keyholder.order_recipient)
    with unfinished_folder(session.home, "bundle") as scratch:
        bundle = CodeBundle(prepared.folder / job.workdir, private_job(prepared), scratch, session.home)
        code, _ = bundle.seal(session.tenant, run, recipient, session.profile.device, session.store)
    needs = tuple(Need(need, digest or (ordered or {})[need]) for need, digest in prepared.needs.items())
    order = _order(session, prepared, code.digest, locked, needs)
    envelope = sign_order(order, session.profile.device)
    keep_lock(session.home, locked)
    said: dict[str, Any] = {"name": job.name, "outputs": list(job.outputs)}
    said |= {"matrix": job.swept().to_body()} if job.matrix is not None else {}
    names = Names(envelope.digest, run, said)
    detail = make_detail(names, session.catalogue_recipient, session.profile.device)
    return session.runs.order(envelope, code, locked.text, detail)


def private_job(prepared: PreparedRun) -> PrivateJob:
    """Return the part of a job only the customer's side and the launcher see."""
    job = prepared.job
    return PrivateJob(
        name=job.name,
        run=job.run,
        variables=dict(job.environment.variables),
        mounts={path: item.owner for path, item in prepared.inputs.items()},
        outputs=dict(job.outputs),
        checkpoint=job.checkpoint or "",
        publish=tuple(job.publish),
        points=tuple(dict(point) for point in job.swept().points()) if job.matrix is not None else (),
    )


def code_digest(session: Session, prepared: PreparedRun, locked: Lock) -> str:
    """Return the digest a grant can be bound to, so that only this code with these packages may use a dataset."""
    with unfinished_folder(session.home, "bundle") as scratch:
        workdir = prepared.folder / prepared.job.workdir
        contents = CodeBundle(workdir, private_job(prepared), scratch, session.home).code_digest()
    return bound_code(contents, locked.digest)


def _order(session: Session, prepared: PreparedRun, code: str, locked: Lock, needs: tuple[Need, ...]) -> Order:
    job, now = prepared.job, now_utc()
    attempts_time = timedelta(seconds=job.max_duration * job.retry.attempts)
    flexible = job.flexible.time() if job.flexible else ""
    if flexible and parse_time(flexible) <= now:
        raise UsageError(
            f"flexible.until, {flexible}, has passed.", hint="Name a later time, or leave flexible out."
        )
    latest = max(now + QUEUE_TIME, parse_time(flexible) if flexible else now)
    return Order(
        run=prepared.run,
        tenant=session.tenant,
        member=session.profile.member,
        purpose=job.purpose,
        inputs=tuple(dict.fromkeys(prepared.inputs.values())),
        code=code,
        lock=locked.digest,
        python=locked.python,
        resources=job.resources.parsed(),
        place=job.where(),
        outputs=len(job.outputs),
        publish=tuple(job.publish),
        checkpoint=job.checkpoint is not None,
        attempts=job.retry.attempts,
        retry_on=tuple(RetryCause(cause) for cause in job.retry.on),
        max_duration_s=job.max_duration,
        budget_micro_eur=job.budget.micro_eur,
        priority=job.priority,
        ask=job.ask,
        created=format_time(now),
        deadline=format_time(latest + attempts_time),
        nonce=secrets.token_hex(16),
        keyholder=session.keyholder.sequence,
        slurm=job.slurm.parsed(),
        tasks=prepared.tasks,
        max_parallel=job.max_parallel,
        needs=needs,
        flexible_until=flexible,
    )
