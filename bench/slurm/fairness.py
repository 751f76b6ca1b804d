"""Fair shares under contention, and a large gang among a flood of small runs.

    python bench/slurm/fairness.py [--minutes 40] [--json PATH]     root; an hour

Two tenants whose weights are 3 and 1 (`kifabrik admin limits --weight`, brought to Slurm by `AccountSync`) each
have more single-GPU runs waiting than fit. What each was given is read from `sacct`: GPU seconds within the time in
which both had runs waiting. Then a tenant floods 64 nodes with single-GPU runs, and another orders a run of 512
GPUs: it is shown when it started beside when it could have at best, which is when the last run that held its nodes
had ended.
"""

import time
from datetime import UTC, datetime
from pathlib import Path

from crowd import ClusterSpec, Crowd, crowd, gpus, say, wait_for
from report import Bar, Picture, Target, hand_on, parser

from kifabrik.factory.allowances import Limits
from kifabrik.factory.run_records import Run
from parties import Party

FOLDER = Path("/tmp/kifabrik-slurm-fairness")
SHORT_S = 20
LONG_S = 150
NODES, GPUS = 8, 4
WEIGHTS = (3.0, 1.0)
QUIET = "JobAcctGatherFrequency=task=0\n"
PERIOD_S = 60
"""PriorityCalcPeriod of the test cluster, and Slurm's shortest: so long whose claim is better comes first."""


def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--minutes", type=float, default=40)
    made.add_argument("--only", choices=("shares", "gang"))
    wishes = made.parse_args()
    pictures = []
    if wishes.only != "gang":
        spec = ClusterSpec(FOLDER, nodes=NODES, gpus=GPUS, cpus=64, extra=QUIET)
        with crowd(spec, 2, stub_s=SHORT_S, limits=Limits()) as playing:
            pictures.append(shares(playing, wishes.minutes * 60))
    if wishes.only != "shares":
        spec = ClusterSpec(FOLDER, nodes=64, cpus=64, extra=QUIET)
        with crowd(spec, 2, stub_s=LONG_S, limits=Limits()) as playing:
            pictures.append(a_gang_in_a_flood(playing))
    hand_on(wishes.json, *pictures)


def shares(playing: Crowd, seconds: float) -> Picture:
    """Let two tenants compete; compare what they got with their weights."""
    for party, weight in zip(playing.parties, WEIGHTS, strict=True):
        playing.limit(Limits(weight=weight), party)
    told = playing.cluster.run("sshare", "--noheader", "--parsable2", "--all", "--format=Account,RawShares")
    say(
        "shares in Slurm",
        " : ".join(line.split("|")[1] for line in told.splitlines() if "t-" in line.split("|")[0]),
    )
    places = NODES * GPUS
    model = a_run(playing, playing.parties[0], gpus(1))
    # Nothing starts before both have their runs in the queue: else what the first used alone is made good later.
    playing.cluster.run("scontrol", "update", "PartitionName=main", "State=DOWN")
    wanted = {}
    for party, user, weight in zip(playing.parties, playing.users, WEIGHTS, strict=True):
        wanted[user] = int(1.4 * weight / sum(WEIGHTS) * places * seconds / SHORT_S) + places
        playing.add_runs(model, [party.tenant], wanted[user])
    wait_for(lambda: waiting(playing) == wanted, 300, pause=1)
    playing.cluster.run("scontrol", "update", "PartitionName=main", "State=UP")
    begin = time.time()
    while time.time() - begin < seconds and min(waiting(playing).values()) > 0:
        time.sleep(2)
    end = time.time()
    used = [gpu_seconds(playing, user, begin, end) for user in playing.users]
    ratio, wished = used[0] / used[1], WEIGHTS[0] / WEIGHTS[1]
    busy = sum(used) / (places * (end - begin))
    say("GPU seconds within", f"{end - begin:.0f} s")
    for weight, value in zip(WEIGHTS, used, strict=True):
        say(f"  a tenant of weight {weight:g}", f"{value:,.0f}")
    for minutes in (size for size in (4, 8, 16, 24, 32) if size * 60 < end - begin):
        early = [gpu_seconds(playing, user, begin, begin + minutes * 60) for user in playing.users]
        say(f"  ratio after {minutes} minutes", f"{early[0] / early[1]:.2f}")
    say("  ratio", f"{ratio:.2f}, {ratio / wished - 1:+.1%} of {wished:g}")
    say("  GPUs busy", f"{busy:.0%}")
    playing.served.stop()
    playing.clear()
    return Picture(
        f"GPU time of two tenants of weights 3 and 1, both with runs waiting for {end - begin:.0f} s",
        "GPU seconds",
        tuple(Bar(f"weight {weight:g}", value, "ours") for weight, value in zip(WEIGHTS, used, strict=True)),
        f"{places} GPUs, runs of {SHORT_S} s, shares compared every {PERIOD_S} s (Slurm's shortest period); sacct.",
        (Target("shares 3 : 1 under contention", "within 5 %", f"{ratio:.2f}", abs(ratio / wished - 1) <= 0.05),),
    )


def a_run(playing: Crowd, party: Party, wanted) -> Run:
    """Order a run and let it end: the model of a load."""
    name = playing.order(party.enrol(), resources=wanted, max_duration_s=60)
    with playing.served.inside.store.read() as transaction:
        found = transaction.runs.run(party.tenant, name)
    playing.served.inside.runs.stopping.stop(party.tenant, found.member, name)
    playing.clear()
    return found


def waiting(playing: Crowd) -> dict[str, int]:
    """How many jobs of each tenant wait."""
    found = dict.fromkeys(playing.users, 0)
    for user in playing.cluster.run("squeue", "--noheader", "--states=PENDING", "--format=%u").split():
        found[user] = found.get(user, 0) + 1
    return found


def gpu_seconds(playing: Crowd, user: str, begin: float, end: float) -> float:
    """What a user's jobs held within a time, by accounting."""
    fields = ("--noheader", "--allocations", "--parsable2", "--allusers", "--format=Start,End,AllocTRES")
    said = playing.commands.run("sacct", *fields, f"--user={user}", "--starttime=now-3hours")
    total = 0.0
    for line in said.splitlines():
        started, ended, tres = line.split("|")
        count = next((int(part.split("=")[1]) for part in tres.split(",") if part.startswith("gres/gpu=")), 0)
        if count and started not in ("Unknown", "None"):
            until = end if ended == "Unknown" else min(end, moment(ended))
            total += count * max(0.0, until - max(begin, moment(started)))
    return total


def moment(text: str) -> float:
    """Seconds since the epoch of a time as Slurm writes it, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def a_gang_in_a_flood(playing: Crowd) -> Picture:
    """Flood a cluster, order a gang of all its GPUs, and see when it starts."""
    flooding, other = playing.parties
    spec = playing.spec
    places = spec.nodes * spec.gpus
    model = a_run(playing, flooding, gpus(1))
    playing.add_runs(model, [flooding.tenant], 3 * places)
    wait_for(lambda: playing.states().get("RUNNING", 0) >= places, 600, pause=1)
    wait_for(lambda: playing.states().get("PENDING", 0) >= places // 2, 300, pause=1)
    ordered = time.time()
    playing.order(other.enrol(), resources=gpus(spec.gpus, spec.nodes), max_duration_s=600)
    user = playing.users[1]

    def state() -> str:
        return playing.cluster.run("squeue", "--noheader", f"--user={user}", "--format=%T").strip()

    wait_for(lambda: state() == "PENDING", 60)
    held = playing.commands.run(
        "squeue", "--noheader", "--states=RUNNING", f"--user={playing.users[0]}", "--format=%A"
    ).split()
    wait_for(lambda: state() == "RUNNING", 1800, pause=0.5)
    started = time.time()
    time.sleep(5)
    fields = ("--noheader", "--allocations", "--parsable2", "--allusers", "--format=JobIDRaw,Start,End")
    said = playing.commands.run("sacct", *fields, f"--user={playing.users[0]}", "--starttime=now-1hours")
    rows = [line.split("|") for line in said.splitlines()]
    ends = {number: moment(end) for number, _, end in rows if end not in ("Unknown", "None")}
    best = max(ends[number] for number in held if number in ends) - ordered
    later = sum(1 for number, start, _ in rows if start not in ("Unknown", "None") and moment(start) > ordered + 2)
    took = started - ordered
    say(
        f"a run of {places} GPUs, ordered while {places} single-GPU runs held them all",
        f"started after {took:.0f} s",
    )
    say("  at best: when the last of those had ended", f"{best:.0f} s")
    say("  of the flood, runs that waited and were started before it", f"{later}")
    playing.served.stop()
    playing.clear()
    return Picture(
        f"A run of {places} GPUs in a flood of single-GPU runs",
        "seconds from its order to its start",
        (Bar("as it was", took, "ours"), Bar("at best: the last run that held its GPUs has ended", best, "limit")),
        f"Single-GPU runs of {LONG_S} s hold all GPUs when it is ordered; as many more wait.",
        (),
    )


if __name__ == "__main__":
    main()
