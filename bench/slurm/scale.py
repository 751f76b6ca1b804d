"""The factory on a cluster of 10,000 GPUs: a gang over all of them, 10,000 runs of 200 tenants, the driving loop.

    python bench/slurm/scale.py [--nodes 1250] [--tenants 200] [--runs 10000] [--json PATH]     root; 20 minutes

One machine plays all nodes. Jobs start `sleep` instead of launchers, so what is measured is who is given what, and
what that costs: Slurm's bookkeeping and ours. What a node does once it is given a run is measured by `latency.py`.
"""

import cProfile
import os
import shlex
import signal
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from crowd import ClusterSpec, Crowd, cpu_of, cpu_of_all, crowd, gpus, memory_used, resident_mb, say, wait_for
from report import Bar, Picture, at_most, hand_on, parser

from kifabrik.engines.slurm.queue_view import QueueView
from kifabrik.engines.slurm.script import Submission, arguments
from kifabrik.factory.allowances import Limits
from kifabrik.factory.run_records import Run
from kifabrik.values import Resources
from kifabrik.wiring.factory import open_factory
from kifabrik.wiring.runs import reconciler
from parties import Person

FOLDER = Path("/tmp/kifabrik-slurm-bench")
STUB_S = 1800
SCRIPT = f"#!/bin/sh\nexec srun --kill-on-bad-exit=1 --quiet --cpus-per-task=1 /bin/sh -c 'exec sleep {STUB_S}'\n"
LIMIT_S = 4500
BARE = 400
AT_ONCE = 4
"""So many submissions are under way at one time, as the factory has."""
ROUNDS = 5
"""The load is handed over in so many parts, each beside as many bare jobs: others of the machine slow down both."""
PASSES = 7
GANG_BARS = (("bare sbatch", "peer"), ("through the factory", "ours"))
PATIENCE_S = 1200
RANKS = (64, 256, 512, 1250)
MOST_MB = 20_000
"""Of the machine's memory; then no more ranks are waited for."""
EXTRA = "JobAcctGatherFrequency=task=0\n"
"""Each step would look at every process of the machine every five seconds."""


def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--nodes", type=int, default=1250)
    made.add_argument("--tenants", type=int, default=200)
    made.add_argument("--runs", type=int, default=10_000)
    made.add_argument("--only", choices=("gang", "load"), help="gang: a tenant suffices; load: no arrays, no gang")
    made.add_argument("--alike", action="store_true", help="a tenant's runs ask for the same, so arrays are made")
    made.add_argument("--profile", type=Path, help="write a profile of the passes here")
    wishes = made.parse_args()
    spec = ClusterSpec(FOLDER, nodes=wishes.nodes, cpus=64, extra=EXTRA)
    with crowd(spec, wishes.tenants, stub_s=STUB_S, limits=Limits(most_gpus=1)) as playing:
        gangs = {} if wishes.only == "load" else a_gang(playing)
        if wishes.only == "gang":
            return
        model = a_run(playing)
        if wishes.only != "load":
            by_array(playing, wishes.runs)
            sweeps(playing, model, wishes.runs)
        ours = handed_over(playing, model, wishes.runs, alike=wishes.alike)
        passes = driven(playing, wishes.profile)
    hand_on(wishes.json, *pictures(wishes, gangs, ours, passes))


def a_gang(playing: Crowd) -> dict[str, float]:
    """Seconds from a gang's order to its nodes, and from bare `sbatch`; on all GPUs there are."""
    spec, party = playing.spec, playing.parties[0]
    playing.limit(Limits(), party)
    person = party.enrol()
    whole = gpus(spec.gpus, spec.nodes)
    began = time.monotonic()
    asked = Submission("gang", whole, LIMIT_S, account=party.tenant)
    script = f"#!/bin/sh\nexec sleep {STUB_S}\n"
    playing.cluster.run("sbatch", *arguments(asked), user=playing.users[0], stdin=script)
    wait_for(lambda: "RUNNING" in playing.states(), 300)
    took = {"bare sbatch": time.monotonic() - began}
    playing.clear()
    began = time.monotonic()
    playing.order(person, resources=whole)
    took["ordered"] = time.monotonic() - began
    wait_for(lambda: "RUNNING" in playing.states(), 300)
    took["through the factory"] = time.monotonic() - began
    allocated = playing.cluster.run("squeue", "--noheader", "--format=%D %b").split()
    say("a gang: nodes, GPUs on each", " ".join(allocated))
    for name, value in took.items():
        say(f"a gang of {spec.nodes * spec.gpus:,} GPUs, {name}", f"{value:.2f} s")
    stop_all(playing)
    playing.clear()
    carried(playing, person)
    playing.limit(Limits(most_gpus=1), party)
    return took


def carried(playing: Crowd, person: Person) -> None:
    """Start one process on each node of ever larger gangs, until the machine carries no more."""
    for nodes in (size for size in RANKS if size <= playing.spec.nodes):
        used, began = memory_used(), time.monotonic()
        playing.order(person, resources=gpus(playing.spec.gpus, nodes))
        with suppress(TimeoutError):
            wait_for(lambda: sleepers() >= nodes or memory_used() > MOST_MB, 90, pause=0.5)  # noqa: B023
        started = sleepers()
        took, more = time.monotonic() - began, memory_used() - used
        say(f"a gang of {nodes:,} nodes: ranks started", f"{started:,} in {took:.0f} s, {more:,} MB")
        stop_all(playing)
        playing.clear()
        if started < nodes:
            return


def sleepers() -> int:
    """How many stubs are on this machine."""
    wanted = f"sleep\0{STUB_S}\0".encode()
    found = 0
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += process.read_bytes() == wanted
        except OSError:
            continue
    return found


def stop_all(playing: Crowd) -> None:
    """Stop every run as its owner would, so that none is handed over again."""
    inside = playing.served.inside
    with inside.store.read() as transaction:
        runs = transaction.runs.active_runs() + transaction.runs.queued_runs(10**6)
    for run in runs:
        inside.runs.stopping.stop(run.tenant, run.member, run.run)


def a_run(playing: Crowd) -> Run:
    """Order a single-GPU run that is refused nothing, and take it out again: the model of the load."""
    party = playing.parties[0]
    name = playing.order(party.enrol(), resources=gpus(1))
    with playing.served.inside.store.read() as transaction:
        found = transaction.runs.run(party.tenant, name)
    stop_all(playing)
    playing.clear()
    return found


def by_sbatch(playing: Crowd, count: int, at_once: int) -> tuple[float, float]:
    """Seconds of wall and CPU of so many bare `sbatch` as tenants' users, by shells; the jobs are cancelled."""
    resources = Resources(cpus=1, memory_bytes=5 * 10**8, gpu_count=1, gpu_model="H200")
    script = playing.cluster.folder / "jobs" / "bare.sh"
    script.write_text(SCRIPT)
    lines = []
    for number in range(count):
        place = number % len(playing.users)
        user = playing.users[place]
        wish = Submission("bare", resources, LIMIT_S, account=playing.tenants[place])
        become = ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--")
        lines.append(f"{shlex.join([*become, 'sbatch', *arguments(wish), str(script)])} >/dev/null || exit 1\n")
    texts = ["".join(lines[first::at_once]) for first in range(at_once)]
    began, used = time.monotonic(), os.times()
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lambda text: playing.cluster.run("sh", stdin=text, timeout=600), texts))
    took, spent = time.monotonic() - began, sum(os.times()[2:4]) - sum(used[2:4])
    playing.cluster.run("scancel", "--name=bare")
    return took, spent


def by_array(playing: Crowd, count: int) -> None:
    """Submit as many runs as one array of each tenant, and look at them."""
    each = count // len(playing.parties)
    began = time.monotonic()
    for tenant, user in zip(playing.tenants, playing.users, strict=True):
        wish = Submission("array", gpus(1), LIMIT_S, account=tenant)
        words = (*arguments(wish), f"--array=0-{each - 1}", "--begin=now+1hours")
        playing.cluster.run("sbatch", *words, user=user, stdin=SCRIPT)
    took = time.monotonic() - began
    say(f"{count:,} runs as {len(playing.parties)} arrays, bare sbatch", f"{took:.1f} s")
    view = QueueView(playing.commands)
    began = time.monotonic()
    seen = len(view.changes(playing.users).come)
    say("  one look at all of them", f"{time.monotonic() - began:.2f} s, {seen:,} seen")
    playing.clear()


def sweeps(playing: Crowd, model: Run, count: int) -> None:
    """Let the service hand over as many runs as one sweep of each tenant: arrays of jobs."""
    service, each = playing.served.process.pid, count // len(playing.tenants)
    used, began = cpu_of_all(service), time.monotonic()
    playing.add_runs(model, playing.tenants, each, tasks=each)
    wait_for(lambda: playing.tasks() >= each * len(playing.tenants), 600, pause=1)
    took, made = time.monotonic() - began, each * len(playing.tenants)
    say(f"{made:,} runs handed over by the service as {len(playing.tenants)} sweeps", f"{took:.0f} s")
    say("  a run: CPU of the service and its commands", f"{(cpu_of_all(service) - used) / made * 1e3:.1f} ms")
    stop_all(playing)
    began = time.monotonic()
    wait_for(lambda: not playing.tasks(), 900, pause=1)
    say("  all stopped by their owners, out of Slurm's queue after", f"{time.monotonic() - began:.0f} s")
    playing.clear()


def handed_over(playing: Crowd, model: Run, count: int, *, alike: bool) -> dict[str, float]:
    """Let the service hand over a load, a part after each part of bare jobs; return what both took for one job."""
    service, slurm = playing.served.process.pid, playing.cluster.pid_of("slurmctld")
    playing.add_runs(model, playing.tenants, 1)  # warm, and one of each tenant runs
    tenants = len(playing.tenants)
    wait_for(lambda: playing.tasks() >= tenants, 300)
    parts = [size for size in split(count // tenants - 1, ROUNDS) if size]
    memory = [resident_mb(service)]
    names = ("bare: one after the other", f"bare: {AT_ONCE} at once", "through the factory")
    wall, cpu = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    control, there = 0.0, tenants
    for each in parts:
        os.kill(service, signal.SIGSTOP)  # else it would look at its runs beside the bare jobs
        for name, threads in zip(names[:2], (1, AT_ONCE), strict=True):
            took, spent = by_sbatch(playing, BARE // len(parts), threads)
            wall[name] += took / (BARE // len(parts) * len(parts))
            cpu[name] += spent / (BARE // len(parts) * len(parts))
        os.kill(service, signal.SIGCONT)
        time.sleep(5)  # what it had missed
        used, before, began = cpu_of_all(service), cpu_of(slurm), time.monotonic()
        playing.add_runs(model, playing.tenants, each, alike=alike)
        there += each * tenants
        while playing.tasks() < there:
            if time.monotonic() - began > PATIENCE_S:
                raise TimeoutError("the service does not hand the load over")
            time.sleep(0.5)
            memory.append(resident_mb(service))
        took, spent = time.monotonic() - began, cpu_of_all(service) - used
        wall[names[2]] += took
        cpu[names[2]] += spent
        told = f"{took / each / tenants * 1e3:.1f} ms, {spent / each / tenants * 1e3:.1f} ms CPU"
        say(f"  {there:,} of them there, one of this part", told)
        control += cpu_of(slurm) - before
    made = sum(parts) * tenants
    wall[names[2]] /= made
    cpu[names[2]] /= made
    say(f"{made:,} runs handed over by the service", f"{wall[names[2]] * made:.0f} s")
    for name in names:
        say(f"  a job, {name}", f"{wall[name] * 1e3:.1f} ms, {cpu[name] * 1e3:.1f} ms CPU")
    say("  CPU of slurmctld, a job through the factory", f"{control / made * 1e3:.1f} ms")
    say("  memory of the service, before and after", f"{memory[0]:.0f}, {memory[-1]:.0f} MB")
    used, began = cpu_of_all(service), time.monotonic()
    time.sleep(30)
    share = (cpu_of_all(service) - used) / (time.monotonic() - began)
    rest = resident_mb(service)
    say("  of one core, while nothing changes", f"{share:.0%}")
    say("  memory of the service then", f"{rest:.0f} MB")
    say("  jobs", ", ".join(f"{number:,} {state.lower()}" for state, number in sorted(playing.states().items())))
    found = {f"wall, {name}": value * 1e3 for name, value in wall.items()}
    found |= {f"CPU, {name}": value * 1e3 for name, value in cpu.items()}
    return found | {"memory before": memory[0], "memory at rest": rest}


def split(count: int, parts: int) -> list[int]:
    """A count in so many parts that differ by one at most."""
    return [count // parts + (number < count % parts) for number in range(parts)]


def driven(playing: Crowd, profile: Path | None) -> list[float]:
    """Seconds of passes of the loop over all those runs, in this process, with the service stopped."""
    playing.served.stop()
    factory = open_factory(playing.served.home)
    cluster = factory.runs.cluster
    loop = reconciler(factory, cluster, cluster)
    wait_for(loop.once, 60)
    passes = []
    watch = _profiling(profile)
    for number in range(PASSES):
        began = time.monotonic()
        assert loop.once()
        passes.append(time.monotonic() - began)
        say(f"pass {number + 1}", f"{passes[-1] * 1e3:.0f} ms")
        time.sleep(2)
    watch()
    say("a pass over all live runs: median, longest", f"{statistics.median(passes):.2f}, {max(passes):.2f} s")
    with factory.store.read() as transaction:
        alive = len(transaction.runs.unfinished_attempts())
    say("  live attempts", f"{alive:,}")
    factory.store.close()
    return passes


def _profiling(path: Path | None):
    """Begin to profile; what is returned ends it."""
    if path is None:
        return lambda: None
    watch = cProfile.Profile()
    watch.enable()

    def end() -> None:
        watch.disable()
        watch.dump_stats(path)

    return end


def pictures(wishes, gangs, ours, passes) -> list[Picture]:
    """The gang, a run of the load, the loop."""
    size, bare = wishes.nodes * 8, f"bare: {AT_ONCE} at once"
    wall, cpu = ours[f"wall, {bare}"], ours[f"CPU, {bare}"]
    own_wall, own_cpu = ours["wall, through the factory"], ours["CPU, through the factory"]
    gang = Picture(
        f"A gang of {size:,} GPUs on {wishes.nodes:,} nodes, from submission to running",
        "seconds",
        tuple(Bar(name, gangs[name], kind) for name, kind in GANG_BARS if name in gangs),
        "Ours is ordered over HTTP: signed, checked, logged, handed over. One machine plays all nodes.",
    )
    how = "that ask for the same" if wishes.alike else "that differ"
    load = Picture(
        f"{wishes.runs:,} single-GPU runs of {wishes.tenants} tenants {how}, handed over, each",
        "milliseconds",
        (
            Bar(f"{bare}: wall", wall),
            Bar("through the factory: wall", own_wall, "ours"),
            Bar(f"{bare}: CPU", cpu),
            Bar("through the factory: CPU", own_cpu, "ours"),
        ),
        "Both as the tenants' Unix users. Ours keeps runs in its database, and looks at all of them meanwhile.",
        (
            at_most("overhead over bare `sbatch`, CPU of a job", own_cpu - cpu, 15, "{:.1f} ms"),
            at_most("the same, wall", own_wall / wall, 1.3, "{:.2f}"),
            at_most(
                f"growth of the service over {wishes.runs:,} runs",
                ours["memory at rest"] - ours["memory before"],
                50,
                "{:.0f} MB",
            ),
        ),
    )
    loop = Picture(
        f"A pass of the driving loop over {wishes.runs:,} live runs",
        "seconds",
        (*(Bar(f"pass {n}", value, "ours") for n, value in enumerate(passes, 1)), Bar("target", 1, "limit")),
        "Reads Slurm's queue and the database, judges every run.",
        (at_most(f"a pass over {wishes.runs:,} live runs", statistics.median(passes), 1, "{:.2f} s"),),
    )
    for target in (*load.targets, *loop.targets):
        say(f"{target.what} ({target.wanted})", f"{target.measured}: {'met' if target.met else 'MISSED'}")
    return [gang, load, loop] if gangs else [load, loop]


if __name__ == "__main__":
    main()
