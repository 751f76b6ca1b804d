"""What customers do: small plays of a minute or so, each by itself, in any order, beside each other."""

import re
import secrets
import time
from dataclasses import replace
from pathlib import Path

from kifabrik.ledger.entry import EntryKind
from kifabrik.runs.states import Outcome, RunState
from soak import programs
from soak.cast import PATIENCE_S, RETRIES
from soak.casting import NODE_MB, enrol
from soak.disks import full_disk
from soak.pace import in_time
from soak.parties import NO_ROOM, Party, UnexpectedError

BEGINS = re.compile(r"begins at (\d+)")
REFUSALS = (3, 4, 9)
"""Exit statuses of a command that is refused, and says so."""


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
    cast.wait_until_it_runs(ordered)
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
    cast.work_on("versions", name, source)


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
    until = time.monotonic() + in_time(PATIENCE_S)
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


def sweep(cast):
    """A sweep, two tasks at once; one of its results is promoted and pulled."""
    salt, retry = secrets.token_hex(4), {"attempts": 4, "on": list(RETRIES)}
    program = programs.with_values(programs.POINT, SALT=salt)
    whole = cast.order("sweep", program, matrix={"part": [1, 2, 3]}, max_parallel=2, retry=retry)
    tasks = [
        replace(whole, run=f"{whole.run}-{part}", kind="task", expected=cast.line(f"{salt}{part}"))
        for part in (1, 2, 3)
    ]
    cast.ordered += tasks
    views = cast.end_tasks(whole)
    done = [number for number, view in enumerate(views) if view.state is RunState.SUCCEEDED]
    if done:
        best = cast.dice.choice(done)
        words = ("model", "promote", f"{whole.name}/{best + 1}", "--json")
        said = cast.tenant.engineer.insist(*words).json()
        if said["run"] != tasks[best].run:
            cast.journal.mistake(f"{whole.name}: task {best + 1} was promoted, and {said['run']} was said")
        cast.pull(tasks[best], views[best])


def pipeline(cast):
    """Two runs of which the second takes what the first puts out, and waits for it."""
    salt, retry = secrets.token_hex(4), {"attempts": 4, "on": list(RETRIES)}
    program = programs.with_values(programs.SHORT, SALT=salt)
    made = cast.line(salt)
    outputs = {"features": "/out/model"}
    before = cast.order("prepare", program, outputs=outputs, retry=retry)
    after = cast.order(
        "train",
        program,
        data={"/data/line": f"output:{before.name}/features"},
        needs=(before.run,),
        expected=programs.expected_of(made, salt),
        retry=retry,
    )
    cast.end(before)
    cast.pull(after, cast.end(after))


def erased_meanwhile(cast):
    """A dataset is erased while a run works on it: the key it has is not recalled, and it gets no other one."""
    name = cast.name("fading")
    sealed = cast.seal(name, cast.folder(name))
    cast.grant(name)
    program = programs.with_values(programs.LONG, SALT=secrets.token_hex(4), SECONDS=15)
    ordered = cast.order(
        "erased-meanwhile",
        program,
        outcomes={Outcome.SUCCEEDED, Outcome.REFUSED},
        data={"/data/line": name},
        retry={"attempts": 3, "on": list(RETRIES)},
    )
    cast.wait_until_it_runs(ordered)
    _erase(cast, name, sealed["dataset"])
    cast.end(ordered)


def cramped(cast):
    """The disk of a person's machine is full: nothing half is left, and the same command goes on with more room."""
    name = cast.name("cramped")
    party = Party(cast.tenant.steward.home / name, cast.tenant.steward.commands, name)
    source = cast.folder(name, files=4, size=300_000)
    with full_disk(party.home) as disk:
        member = enrol(cast.tenant, party, "steward")
        cast.journal.ack(cast.tenant.name, EntryKind.MEMBER_ENROLLED, member=member)
        disk.fill()
        party.insist("dataset", "seal", name, source, "--json", expect=(NO_ROOM,))
        disk.empty()
        sealed = party.insist("dataset", "seal", name, source, "--json").json()
    refs = {"dataset": sealed["dataset"], "version": sealed["version"]}
    cast.journal.ack(cast.tenant.name, EntryKind.DATASET_SEALED, **refs)
    cast.journal.count("full disks")
    cast.grant(name)
    cast.work_on("after-cramped", name, source)


def copied(cast):
    """The factory is backed up while runs go on; the copy is looked at afterwards."""
    folder = cast.factory.home / f"copy-{cast.number}" / "factory"
    cast.factory.insist("admin", "backup", folder, "--json")
    short(cast)


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
    sweep: (3, 3),
    pipeline: (3, 2),
    erased_meanwhile: (2, 1),
    cramped: (2, 1),
    copied: (2, 1),
}
"""Scenes with their weight in the mix, and the runs each orders."""
