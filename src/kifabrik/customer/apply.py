"""From a job file to a signed order: prepare (nothing is sent), then submit."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from kifabrik.customer.bundle import CodeBundle
from kifabrik.customer.catalogue import Catalogue
from kifabrik.customer.locks import keep_lock
from kifabrik.customer.proof import prove_output
from kifabrik.customer.session import Session
from kifabrik.customer.unfinished import unfinished_folder
from kifabrik.environments.lock import lock
from kifabrik.environments.lockfile import Lock
from kifabrik.errors import NotFoundError
from kifabrik.jobs.jobfile import InputReference, JobFile
from kifabrik.jobs.private import PrivateJob
from kifabrik.orders.order import Input, Order, RetryCause, sign_order
from kifabrik.seals.recipients import Recipient
from kifabrik.transfer.details import Names, make_detail
from kifabrik.values import Kind, format_time, new_id, now_utc
from kifabrik.wire.runs import Plan, PlanRequest, RunView

_QUEUE_TIME: Final = timedelta(days=7)
"""How long an order may wait for its turn before no key is released for it any more."""


@dataclass(frozen=True)
class PreparedRun:
    """A run that could be ordered.

    Args:
        job: The job file.
        folder: What its paths start from.
        inputs: Mount path to input.
        names: Mount path to the input's name and version, for people.
        plan: What the factory says it would do and cost.
    """

    job: JobFile
    folder: Path
    inputs: dict[str, Input]
    names: dict[str, str]
    plan: Plan


def prepare(session: Session, job: JobFile, folder: Path) -> PreparedRun:
    """Resolve names and ask for plan and price.

    Raises:
        NotFoundError: A dataset or model does not exist.
        RefusedError: The member is an auditor.
        UsageError: The resources make no sense.
    """
    session.check_may_change("order runs")
    catalogue = session.catalogue()
    resolved = {path: _resolve(session, catalogue, name) for path, name in job.inputs().items()}
    request = PlanRequest(
        resources=job.resources.parsed(),
        place=job.where(),
        max_duration_s=job.max_duration,
        budget_micro_eur=job.budget.micro_eur,
        python=job.environment.python,
        inputs=[item.manifest for item, _ in resolved.values()],
    )
    return PreparedRun(
        job=job,
        folder=folder,
        inputs={path: item for path, (item, _) in resolved.items()},
        names={path: name for path, (_, name) in resolved.items()},
        plan=session.runs.plan(request),
    )


def _resolve(session: Session, catalogue: Catalogue, reference: InputReference) -> tuple[Input, str]:
    if reference.model:
        model = catalogue.model(reference.name, reference.version)
        prove_output(session, catalogue, model)
        return Input(model.owner, 1, model.manifest), f"model:{model.name}@{model.version}"
    dataset = catalogue.dataset(reference.name)
    version = reference.version or len(dataset.manifests)
    catalogue.version(dataset, version)
    return Input(dataset.dataset, version, dataset.manifests[version - 1]), f"{dataset.name}@{version}"


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
        raise NotFoundError(f"there is no requirements file {folder / named}") from None


def submit(session: Session, prepared: PreparedRun, locked: Lock) -> RunView:
    """Seal the code, sign the order and hand it in.

    Raises:
        RefusedError: The role does not allow it, or budget or quota do not suffice.
    """
    run = new_id(Kind.RUN)
    job = prepared.job
    recipient = Recipient.from_text(session.keyholder.order_recipient)
    with unfinished_folder(session.home, "bundle") as scratch:
        bundle = CodeBundle(prepared.folder / job.workdir, private_job(prepared), scratch, session.home)
        code, _ = bundle.seal(session.tenant, run, recipient, session.profile.device, session.store)
    order = _order(session, prepared, run, code.digest, locked)
    envelope = sign_order(order, session.profile.device)
    keep_lock(session.home, locked)
    names = Names(envelope.digest, run, {"name": job.name, "outputs": list(job.outputs)})
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
    )


def code_digest(session: Session, prepared: PreparedRun) -> str:
    """Return the digest a grant can be bound to, so that only this code may use a dataset."""
    with unfinished_folder(session.home, "bundle") as scratch:
        workdir = prepared.folder / prepared.job.workdir
        return CodeBundle(workdir, private_job(prepared), scratch, session.home).code_digest()


def _order(session: Session, prepared: PreparedRun, run: str, code: str, locked: Lock) -> Order:
    job, now = prepared.job, now_utc()
    attempts_time = timedelta(seconds=job.max_duration * job.retry.attempts)
    return Order(
        run=run,
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
        deadline=format_time(now + _QUEUE_TIME + attempts_time),
        nonce=secrets.token_hex(16),
        keyholder=session.keyholder.sequence,
        slurm=job.slurm.parsed(),
    )
