"""From the names in job files to what an order names: ids, digests, and the orders that must succeed first.

Invariants:
- an output that is there already is named by its digest, after its whole chain was verified;
- one that is not is named by the order that is to make it, so nothing else can take its place;
- jobs that are ordered together may name each other; each is ordered behind those it needs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kifabrik.customer.catalogue import Catalogue
from kifabrik.customer.named import ModelVersion, RunName
from kifabrik.customer.proof import prove_output
from kifabrik.customer.session import Session
from kifabrik.errors import NotFoundError, UsageError
from kifabrik.jobs.jobfile import JobFile
from kifabrik.jobs.references import InputReference
from kifabrik.orders.order import Input
from kifabrik.orders.tasks import order_run
from kifabrik.values import Kind, new_id, task_run

Job = tuple[JobFile, Path]


@dataclass
class Resolved:
    """What a job's names stand for.

    Args:
        run: Run id the job would be ordered under.
        inputs: Mount path to input.
        names: Mount path to what it is called, for people.
        needs: Run id to the digest of the order, empty where that is still to be signed.
    """

    run: str
    inputs: dict[str, Input] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    needs: dict[str, str] = field(default_factory=dict)


class Resolver:
    """Resolves the names of jobs that are ordered together, in their order.

    Args:
        session: Connected.
        catalogue: As of now.
    """

    def __init__(self, session: Session, catalogue: Catalogue) -> None:
        self._session = session
        self._catalogue = catalogue
        self._together: dict[str, RunName] = {}

    def resolve(self, job: JobFile) -> Resolved:
        """Resolve what a job names; later ones may name this one.

        Raises:
            NotFoundError: There is no such dataset, model, run or output.
            UsageError: It names two versions of one dataset.
        """
        found = Resolved(new_id(Kind.RUN))
        for path, reference in job.inputs().items():
            found.inputs[path], found.names[path] = self._input(reference, found)
        _check_versions(found)
        for name in job.needs:
            run = self._together.get(name) or self._catalogue.run(name)
            found.needs[order_run(run.run)] = run.order
        matrix = job.swept() if job.matrix is not None else None
        self._together[job.name] = RunName(job.name, found.run, tuple(job.outputs), (), "", matrix=matrix)
        return found

    def _input(self, reference: InputReference, found: Resolved) -> tuple[Input, str]:
        if reference.output:
            return self._output(reference, found), str(reference)
        if reference.model:
            model = self._catalogue.model(reference.name, reference.version)
            prove_output(self._session, self._catalogue, model)
            return Input(model.owner, 1, model.manifest), f"model:{model.name}@{model.version}"
        dataset = self._catalogue.dataset(reference.name)
        version = reference.version or len(dataset.manifests)
        self._catalogue.version(dataset, version)
        return Input(dataset.dataset, version, dataset.manifests[version - 1]), f"{dataset.name}@{version}"

    def _output(self, reference: InputReference, found: Resolved) -> Input:
        run = self._run(reference)
        if reference.output not in run.outputs:
            hint = f"It has: {', '.join(run.outputs)}." if run.outputs else "It declares none."
            raise NotFoundError(f"{reference.run} has no output {reference.output!r}", hint=hint)
        number = run.outputs.index(reference.output) + 1
        if number <= len(run.finished):
            made = ModelVersion(run.name, 0, run, number)
            prove_output(self._session, self._catalogue, made)
            return Input(made.owner, 1, made.manifest)
        found.needs[order_run(run.run)] = run.order
        return Input(f"{run.run}/{number}", 1, "")

    def _run(self, reference: InputReference) -> RunName:
        """Return the run, or the task, that puts an output out."""
        together = self._together.get(reference.name)
        run = together or self._catalogue.run(reference.run)
        if (run.matrix is not None) != bool(reference.task) and together:
            raise _wrong_task(reference, run)
        if together and reference.task:
            if not run.has_task(reference.task):
                raise NotFoundError(f"{reference.name} has no task {reference.task}")
            return RunName(run.name, task_run(run.run, reference.task), run.outputs, (), "")
        if run.matrix is not None:
            raise _wrong_task(reference, run)
        return run


def in_order(jobs: Sequence[Job]) -> list[Job]:
    """Return jobs so that each stands behind those it names, else in their order.

    Raises:
        UsageError: Two have one name, or they name each other in a circle.
    """
    by_name = {job.name: (job, folder) for job, folder in jobs}
    if len(by_name) != len(jobs):
        raise UsageError(
            "two of the job files have one name", hint="Give each a name of its own, or apply them apart."
        )
    done: dict[str, Job] = {}
    for job, _ in jobs:
        _behind(job.name, by_name, done, ())
    return list(done.values())


def _behind(name: str, by_name: dict[str, Job], done: dict[str, Job], above: tuple[str, ...]) -> None:
    if name in above:
        circle = " needs ".join([*above[above.index(name) :], name])
        raise UsageError(f"the jobs need each other in a circle: {circle}")
    if name in done or name not in by_name:
        return
    job = by_name[name][0]
    for needed in (*job.needs, *(one.name for one in job.inputs().values() if one.output)):
        _behind(needed, by_name, done, (*above, name))
    done[name] = by_name[name]


def _check_versions(found: Resolved) -> None:
    """Check that no dataset is wanted in two versions: a run is given each input once."""
    by_owner: dict[str, str] = {}
    for path, item in found.inputs.items():
        named = by_owner.setdefault(item.owner, found.names[path])
        if named != found.names[path]:
            raise UsageError(
                f"one job cannot have {named} and {found.names[path]}",
                hint="Seal what is to be compared as one dataset, or compare the results of two runs.",
            )


def _wrong_task(reference: InputReference, run: RunName) -> UsageError:
    if run.matrix is None:
        return UsageError(f"{reference.name} is no sweep, so it has no task {reference.task}")
    hint = (
        f"Write output:{reference.name}/17/{reference.output}, or promote a task and write model:{reference.name}."
    )
    return UsageError(f"{reference.name} is a sweep: say of which task the output is", hint=hint)
