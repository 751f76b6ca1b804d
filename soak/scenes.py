"""What customers do: small plays of a minute or so, each by itself, in any order, beside each other."""

import json
import re
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

from kifabrik.ledger.entry import EntryKind
from kifabrik.runs.states import Outcome, RunState
from soak import programs
from soak.casting import NODE_MB, PURPOSE, enrol
from soak.parties import Party, UnexpectedError, tries
from soak.truth import Ordered

PATIENCE_S = 420.0
BEGINS = re.compile(r"begins at (\d+)")
WELL = frozenset({Outcome.SUCCEEDED})
RETRIES = ("preemption", "node-failure", "error")
REFUSALS = (3, 4, 9)
"""Exit statuses of a command that is refused, and says so."""


@dataclass
class Cast:
    """One tenant, as scenes see it.

    Args:
        tenant: Its people and folders.
        watch: Sees its runs.
        journal: Where acknowledgements go.
        dice: Random numbers of this scene.
        number: Of this scene; names carry it.
        ordered: Every run ordered in the play; shared.
    """

    tenant: object
    watch: object
    journal: object
    dice: object
    number: int
    ordered: list = field(default_factory=list)

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
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            entries = self.tenant.steward.insist("ledger", "show", "--json").json()
            if any(one["kind"] == kind and one["refs"].get(name) == value for one in entries):
                return
            time.sleep(3)
        raise UnexpectedError(f"{self.tenant.name}: {kind} of {value} was not delivered")

    # --- runs ---

    def order(self, kind, program, *, by=None, outcomes=WELL, first=frozenset(), expected=None, **job):
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
        )
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
        view = self.watch.end(ordered.run, PATIENCE_S)
        if view is None:
            raise UnexpectedError(f"{ordered.name} ({ordered.run}) has not ended after {PATIENCE_S:.0f} s")
        for attempt in view.attempts:
            self.journal.ack(self.tenant.name, EntryKind.RUN_FINISHED, run=view.run, attempt=attempt.attempt)
            if attempt.outcome is Outcome.SUCCEEDED:
                self.journal.ack(self.tenant.name, EntryKind.LEASE_RELEASED, run=view.run, receiver=attempt.attempt)
        return view

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

    def line(self, salt, **more):
        """What a program that reads this tenant's line leaves."""
        return programs.expected_files(self.tenant.steward.home / "sources" / "line", salt, **more)


def short(cast):
    """A run of a moment, tried again if its node fails."""
    salt = secrets.token_hex(4)
    program = programs.with_values(programs.SHORT, SALT=salt)
    cast.play("short", program, expected=cast.line(salt), retry={"attempts": 4, "on": list(RETRIES)})


def once(cast):
    """A run of a moment that is tried once: what hits it ends it."""
    salt = secrets.token_hex(4)
    cast.play("once", programs.with_values(programs.SHORT, SALT=salt), expected=cast.line(salt))


def long(cast):
    """A run that goes on while others come and go."""
    salt = secrets.token_hex(4)
    program = programs.with_values(programs.LONG, SALT=salt, SECONDS=cast.dice.randint(12, 35))
    cast.play(
        "long", program, expected=cast.line(salt), retry={"attempts": 3, "on": ["preemption", "node-failure"]}
    )


def failing(cast):
    """A program that fails by itself."""
    cast.play("failing", programs.FAILING, outcomes={Outcome.ERROR})


def greedy(cast):
    """A program that wants more memory than it asked for."""
    cast.play("greedy", programs.GREEDY, outcomes={Outcome.OUT_OF_MEMORY})


def flood(cast):
    """A program that floods its log; every line must be there, in order."""
    salt, lines = secrets.token_hex(4), cast.dice.randint(5_000, 30_000)
    program = programs.with_values(programs.FLOOD, SALT=salt, LINES=lines)
    ordered, view = cast.play("flood", program, expected=cast.line(salt))
    if view.state is RunState.SUCCEEDED:
        said = cast.tenant.engineer.insist("logs", ordered.run)
        found = [text for text in said.out.splitlines() if " of a flood that fills" in text]
        wanted = [f"line {number:06} of a flood that fills segments of the log" for number in range(lines)]
        if found != wanted:
            cast.journal.mistake(
                f"{ordered.name} ({ordered.run}): {len(found)} lines of {lines} are in its log, or in another order"
            )


def checkpointing(cast):
    """A program that fails midway and must go on from its checkpoint."""
    salt, last = secrets.token_hex(4), cast.dice.randint(8, 14)
    program = programs.with_values(programs.STEPS, SALT=salt, LAST=last, TRIP=cast.dice.randint(3, 6))
    ordered, view = cast.play(
        "checkpointing",
        program,
        first={Outcome.ERROR},
        # A first attempt that was killed before its first checkpoint leaves the trip to the next one.
        outcomes={Outcome.SUCCEEDED, Outcome.ERROR},
        expected=cast.line(salt, last=last),
        checkpoint="/checkpoint",
        retry={"attempts": 5, "on": list(RETRIES)},
    )
    _went_on(cast, ordered, view)


def _went_on(cast, ordered, view):
    """Each attempt after one whose checkpoint was kept begins where that one was, or later."""
    log = cast.tenant.engineer.insist("logs", ordered.run, "--json").json()
    begins = {
        line["attempt"]: int(found[1])
        for line in log
        if line["kind"] == "out"
        and (found := BEGINS.fullmatch(line["text"]))  # a killed program may leave half a line
    }
    kept = {line["attempt"] for line in log if line["kind"] == "note" and "is kept." in line["text"]}
    where, before, state = f"{ordered.name} ({ordered.run})", 0, 0
    for attempt, step in sorted(begins.items()):
        if step < state:
            cast.journal.mistake(f"{where}: attempt {attempt} went back to step {step} from {state}")
        if any(one < attempt for one in kept) and step == 0:
            cast.journal.mistake(f"{where}: attempt {attempt} began anew though a checkpoint was kept")
        before, state = attempt, step
    if view.state is RunState.SUCCEEDED and before > 1 and state > 0:
        cast.journal.count("continued")


def stopped(cast):
    """A run that is stopped by a person, and writes a checkpoint first."""
    ordered = cast.order(
        "stopped",
        programs.STOPPABLE,
        outcomes={Outcome.STOPPED},
        checkpoint="/checkpoint",
        outputs=None,
        retry={"attempts": 3, "on": list(RETRIES)},
    )
    cast.watch.wait(ordered.run, lambda view: view.state is RunState.RUNNING, PATIENCE_S)
    time.sleep(cast.dice.uniform(0, 4))
    cast.tenant.engineer.insist("stop", ordered.name, "--json")
    if cast.end(ordered).state is RunState.STOPPED:
        cast.journal.ack(cast.tenant.name, EntryKind.RUN_STOPPED, run=ordered.run)


def capped(cast):
    """A run that reaches its longest duration."""
    cast.play("capped", programs.STOPPABLE, outcomes={Outcome.CAP}, outputs=None, max_duration="4s")


def refused(cast):
    """A run for a purpose nobody granted."""
    cast.play("refused", programs.SHORT, outcomes={Outcome.REFUSED}, purpose="curiosity", outputs=None)


def versions(cast):
    """A new version is sealed while runs go on; a run then reads the newest one."""
    name = cast.name("versioned")
    source = cast.folder(name, files=4, size=1_500_000)
    cast.seal(name, source)
    cast.grant(name)
    (source / "part-00.bin").write_bytes(cast.dice.randbytes(700_000))
    cast.seal(name, source)
    salt = secrets.token_hex(4)
    cast.play(
        "versions",
        programs.with_values(programs.SHORT, SALT=salt),
        data={"/data/line": name},
        expected=programs.expected_files(source, salt),
        retry={"attempts": 4, "on": list(RETRIES)},
    )


def streamed(cast):
    """A run whose data does not fit into the node's memory beside it: it is opened while it is read."""
    if not Path("/dev/fuse").exists():
        short(cast)
        return
    name = cast.name("wide")
    source = cast.folder(name, files=5, size=8_000_000)
    cast.seal(name, source)
    cast.grant(name)
    salt = secrets.token_hex(4)
    cast.play(
        "streamed",
        programs.with_values(programs.SHORT, SALT=salt),
        data={"/data/line": name},
        resources={"cpu": 1, "memory": f"{NODE_MB - 30}MB"},
        expected=programs.expected_files(source, salt),
        retry={"attempts": 4, "on": list(RETRIES)},
    )


def revoked(cast):
    """A grant is given, used and revoked; from then on the keyholder refuses."""
    name, purpose = cast.name("lent"), cast.name("loan")
    source = cast.folder(name)
    cast.seal(name, source)
    grant = cast.grant(name, purpose)
    salt = secrets.token_hex(4)
    program = programs.with_values(programs.SHORT, SALT=salt)
    job = {"data": {"/data/line": name}, "purpose": purpose}
    cast.play("granted", program, expected=programs.expected_files(source, salt), **job)
    for one in cast.given(grant):
        cast.tenant.sign("dataset", "revoke", one, expect=(0, 3, 5))  # 3, 5: a command that was cut off did it
        cast.journal.ack(cast.tenant.name, EntryKind.GRANT_REVOKED, grant=one)
    cast.play("revoked", program, outcomes={Outcome.REFUSED}, **job)


def erased(cast):
    """A dataset is used and erased; from then on nothing can be ordered on it."""
    name = cast.name("mortal")
    source = cast.folder(name)
    sealed = cast.seal(name, source)
    cast.grant(name)
    salt = secrets.token_hex(4)
    program = programs.with_values(programs.SHORT, SALT=salt)
    ordered, _ = cast.play(
        "before-erasure", program, expected=programs.expected_files(source, salt), data={"/data/line": name}
    )
    _erase(cast, name, sealed["dataset"])
    file = cast.tenant.engineer.home / "jobs" / ordered.name / "job.yaml"
    said = cast.tenant.engineer.insist("apply", file, "--yes", "--json", "--detach", expect=REFUSALS)
    if said.status == 0:
        cast.journal.mistake(f"a run on {name} was taken after its erasure")


def _erase(cast, name, dataset):
    """Erase; a command that was cut off may have done it, which the second one says."""
    said = cast.tenant.sign("dataset", "erase", name, "--yes", expect=(0, 3, 4, 5))
    if said.status != 0 and "erased" not in said.out + said.err:
        raise UnexpectedError(f"erasing {name}: {said.short()}")
    cast.journal.ack(cast.tenant.name, EntryKind.ERASURE_DECIDED, dataset=dataset)
    if said.status == 0 and said.json()["certificate"]:
        cast.journal.ack(cast.tenant.name, EntryKind.DATASET_ERASED, dataset=dataset)


def removed(cast):
    """A member comes, orders a run and is removed; from then on their device is nobody's."""
    party = Party(cast.tenant.steward.home / cast.name("guest"), cast.tenant.steward.commands, cast.name("guest"))
    member = enrol(cast.tenant, party, "engineer")
    cast.journal.ack(cast.tenant.name, EntryKind.MEMBER_ENROLLED, member=member)
    salt = secrets.token_hex(4)
    program = programs.with_values(programs.SHORT, SALT=salt)
    ordered = cast.order("guest-run", program, by=party, expected=cast.line(salt))
    cast.pull(ordered, cast.end(ordered), by=party)
    cast.tenant.sign("tenant", "remove", member, expect=(0, 3, 5))
    cast.journal.ack(cast.tenant.name, EntryKind.MEMBER_REMOVED, member=member)
    _wait_for_removal(cast, party)


def _wait_for_removal(cast, party):
    """Removing counts at once at the keyholder; the factory hears of it when it can be reached."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if party.insist("ps", "--json", expect=(0, *REFUSALS)).status != 0:
            return
        time.sleep(3)
    cast.journal.mistake(f"{party.name} can still list runs, long after being removed")


def frozen(cast):
    """A dataset is frozen at the keyholder for a while: nothing of it is released meanwhile."""
    name = cast.name("frosty")
    source = cast.folder(name)
    sealed = cast.seal(name, source)
    cast.grant(name)
    key = ("--key-file", cast.tenant.key_file, "--json")
    salt = secrets.token_hex(4)
    program = programs.with_values(programs.SHORT, SALT=salt)
    job = {"data": {"/data/line": name}, "outputs": {"model": "/out/model"}}
    with cast.tenant.lock:
        cast.tenant.steward.insist("keyholder", "freeze", sealed["dataset"], *key)
        try:
            cast.end(cast.order("frozen", program, outcomes={Outcome.REFUSED}, **job))
        finally:
            # 3: a thaw that was cut off had done it
            cast.tenant.steward.insist("keyholder", "thaw", sealed["dataset"], *key, expect=(0, 3))
    cast.play("thawed", program, expected=programs.expected_files(source, salt), **job)


def restored(cast):
    """The keyholder's disk is lost; it comes back from its backup and goes on."""
    tenant = cast.tenant
    backup = tenant.steward.home / f"backup-{cast.number}.age"
    words = ("--backup-passphrase-file", tenant.secret, "--passphrase-file", tenant.secret, "--json")
    with tenant.lock:
        made = tenant.steward.insist("keyholder", "backup", backup, *words, fragile=False)
        cast.journal.note("backup", backup=made.json()["backup"])
        tenant.keyholder.stop()
        folder = tenant.steward.home / "keyholder"
        folder.rename(tenant.steward.home / f"lost-{cast.number}")
        tenant.steward.insist("keyholder", "restore", backup, *words, fragile=False)
        tenant.key_file.unlink()
        tenant.steward.insist(
            *("keyholder", "key-file", tenant.key_file, "--passphrase-file", tenant.secret), fragile=False
        )
        tenant.keyholder.start()
    cast.journal.count("restored")
    cast.journal.ack(tenant.name, EntryKind.KEYHOLDER_RESTORED)
    once(cast)


def crowd(cast):
    """Many runs at once: others must not wait for all of them."""
    salt = secrets.token_hex(4)
    program = programs.with_values(programs.SHORT, SALT=salt)
    retry = {"attempts": 4, "on": list(RETRIES)}
    many = [cast.order(f"crowd{n}", program, expected=cast.line(salt), retry=retry) for n in range(4)]
    for ordered in many:
        cast.pull(ordered, cast.end(ordered))


SCENES = {
    short: (6, 1),
    once: (4, 1),
    long: (5, 1),
    failing: (3, 1),
    greedy: (2, 1),
    flood: (3, 1),
    checkpointing: (7, 1),
    stopped: (3, 1),
    capped: (2, 1),
    refused: (2, 1),
    versions: (3, 1),
    streamed: (2, 1),
    revoked: (3, 2),
    erased: (3, 1),
    removed: (2, 1),
    frozen: (2, 1),
    restored: (1, 1),
    crowd: (1, 4),
}
"""Scenes with their weight in the mix, and the runs each orders."""
