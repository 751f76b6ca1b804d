"""One tenant as scenes see it: a person who seals, grants, orders, waits and pulls, again where cut off."""

import json
import secrets
import time
from dataclasses import dataclass, field

from kifabrik.ledger.entry import EntryKind
from kifabrik.runs.states import Outcome, RunState
from kifabrik.values import sweep_of
from soak import programs
from soak.casting import PURPOSE
from soak.pace import in_time
from soak.parties import UnexpectedError, tries
from soak.truth import Ordered

PATIENCE_S = 420.0
RETRIES = ("preemption", "node-failure", "error")
WELL = frozenset({Outcome.SUCCEEDED})


@dataclass
class Cast:
    """One tenant, as scenes see it.

    Args:
        tenant: Its people and folders.
        watch: Sees its runs.
        journal: Where acknowledgements go.
        dice: Random numbers of this scene.
        number: Of this scene; names carry it.
        house: The factory as it runs.
        ordered: Every run ordered in the play; shared.
    """

    tenant: object
    watch: object
    journal: object
    dice: object
    number: int
    house: object
    ordered: list = field(default_factory=list)

    @property
    def factory(self):
        """Whoever operates the factory."""
        return self.house.party

    def name(self, text):
        """A name nobody else uses."""
        return f"{text}-{self.number}"

    # --- datasets ---

    def folder(self, name, files=3, size=40_000):
        """A folder of data that did not exist before."""
        folder = self.tenant.steward.home / "sources" / name
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(files):
            (folder / f"part-{number:02}.bin").write_bytes(self.dice.randbytes(size))
        return folder

    def seal(self, name, source):
        """Seal a folder and keep the acknowledgement."""
        sealed = self.tenant.steward.insist("dataset", "seal", name, source, "--json").json()
        self.journal.ack(
            self.tenant.name, EntryKind.DATASET_SEALED, dataset=sealed["dataset"], version=sealed["version"]
        )
        return sealed

    def grant(self, dataset, purpose=PURPOSE):
        """Permit a use and keep the acknowledgement; the grant's id."""
        said = self.tenant.sign("dataset", "grant", dataset, "--purpose", purpose, "--country", "DE").json()
        self.journal.ack(self.tenant.name, EntryKind.GRANT_GIVEN, grant=said["grant"], dataset=said["dataset"])
        if not said["delivered"]:
            self._wait_for_entry(EntryKind.GRANT_GIVEN, "grant", said["grant"])
        return said["grant"]

    def given(self, grant):
        """Every grant for the dataset of this one: a command that was cut off may have given another before."""
        entries = self.tenant.steward.insist("ledger", "show", "--json").json()
        given = [one["refs"] for one in entries if one["kind"] == EntryKind.GRANT_GIVEN]
        (owner,) = {refs["dataset"] for refs in given if refs["grant"] == grant}
        return [refs["grant"] for refs in given if refs["dataset"] == owner]

    def _wait_for_entry(self, kind, name, value):
        """Wait until the ledger shows what the keyholder has to deliver."""
        until = time.monotonic() + in_time(PATIENCE_S)
        while time.monotonic() < until:
            entries = self.tenant.steward.insist("ledger", "show", "--json").json()
            if any(one["kind"] == kind and one["refs"].get(name) == value for one in entries):
                return
            time.sleep(3)
        raise UnexpectedError(f"{self.tenant.name}: {kind} of {value} was not delivered")

    # --- runs ---

    def order(self, kind, program, *, by=None, outcomes=WELL, first=frozenset(), expected=None, needs=(), **job):
        """Order a run as a person would: if the command is cut off, look first whether it was taken."""
        party = by or self.tenant.engineer
        name = self.name(kind)
        file = self._job(party, name, program, job)
        run = self._apply(party, name, file)
        retry = job.get("retry", {})
        made = Ordered(
            self.tenant.name,
            name,
            run,
            kind,
            frozenset(outcomes),
            attempts=retry.get("attempts", 1),
            retry_on=tuple(retry.get("on", ())),
            exit_status=3 if kind == "failing" else None,
            first=frozenset(first),
            expected=expected or {},
            needs=tuple(needs),
        )
        if "matrix" not in job:
            self.ordered.append(made)
        self.journal.ack(self.tenant.name, EntryKind.RUN_ORDERED, run=run)
        self.journal.ack(self.tenant.name, EntryKind.RUN_ADMITTED, run=run)
        return made

    def _job(self, party, name, program, job):
        folder = party.home / "jobs" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "job.py").write_text(program)
        told = {
            "name": name,
            "purpose": PURPOSE,
            "data": {"/data/line": self.tenant.name + "-line"},
            "run": "python job.py",
            "resources": {"cpu": 1, "memory": "300MB"},
            "outputs": {"model": "/out/model"},
            "max_duration": "10m",
            **job,
        }
        (folder / "job.yaml").write_text(
            json.dumps({key: value for key, value in told.items() if value is not None})
        )
        return folder / "job.yaml"

    def _apply(self, party, name, file):
        for _ in tries():
            said = party.kifabrik("apply", file, "--yes", "--detach", "--json")
            if said.status == 0:
                return said.json()["run"]
            if not said.interrupted:
                raise UnexpectedError(f"{party.name}: apply {name}: {said.short()}")
            time.sleep(2)
            listed = party.insist("ps", "--limit", 500, "--json").json()
            taken = [one["run"] for one in listed if one["name"] == name]
            if taken:
                return taken[0]
        raise UnexpectedError(f"{party.name}: apply {name} never went through")

    def end(self, ordered):
        """Wait for the end of a run; its view."""
        view = self._end(ordered)
        self._ack_attempts(view)
        return view

    def end_tasks(self, sweep):
        """Wait for the end of a sweep; the views of its tasks in their order."""
        self._end(sweep)
        views = [self._end(task) for task in self.ordered if sweep_of(task.run) == sweep.run]
        for view in views:
            self._ack_attempts(view)
        return views

    def _end(self, ordered):
        patience = in_time(PATIENCE_S)
        view = self.watch.end(ordered.run, patience)
        if view is None:
            raise UnexpectedError(f"{ordered.name} ({ordered.run}) has not ended after {patience:.0f} s")
        return view

    def wait_until_it_runs(self, ordered):
        """Wait until the job of a run has begun, or the run has ended."""
        self.watch.wait(ordered.run, lambda view: view.state is RunState.RUNNING, in_time(PATIENCE_S))

    def _ack_attempts(self, view):
        for attempt in view.attempts:
            self.journal.ack(self.tenant.name, EntryKind.RUN_FINISHED, run=view.run, attempt=attempt.attempt)
            if attempt.outcome is Outcome.SUCCEEDED:
                self.journal.ack(self.tenant.name, EntryKind.LEASE_RELEASED, run=view.run, receiver=attempt.attempt)

    def pull(self, ordered, view, by=None):
        """Pull the result of a run that succeeded; the lease for it must be in the log."""
        if view.state is not RunState.SUCCEEDED or not ordered.expected:
            return
        party = by or self.tenant.engineer
        for attempt in tries():
            target = party.home / "pulled" / f"{ordered.name}-{attempt}"
            target.parent.mkdir(exist_ok=True)
            said = party.kifabrik("model", "pull", ordered.name, "--to", target, "--json")
            if said.status == 0:
                ordered.pulled = target
                self.journal.ack(self.tenant.name, EntryKind.LEASE_RELEASED, run=ordered.run, receiver=party.member)
                return
            if not said.interrupted:
                raise UnexpectedError(f"{party.name}: pull {ordered.name}: {said.short()}")
        raise UnexpectedError(f"{party.name}: pull {ordered.name} never went through")

    def play(self, kind, program, **job):
        """Order, wait, pull."""
        ordered = self.order(kind, program, **job)
        view = self.end(ordered)
        self.pull(ordered, view)
        return ordered, view

    def work_on(self, kind, name, source):
        """Play a short run over a dataset, whose result says what it has read."""
        salt = secrets.token_hex(4)
        self.play(
            kind,
            programs.with_values(programs.SHORT, SALT=salt),
            data={"/data/line": name},
            expected=programs.expected_files(source, salt),
            retry={"attempts": 4, "on": list(RETRIES)},
        )

    def line(self, salt, **more):
        """What a program that reads this tenant's line leaves."""
        return programs.expected_files(self.tenant.steward.home / "sources" / "line", salt, **more)
