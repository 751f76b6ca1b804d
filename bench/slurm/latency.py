"""From submission to the first line of a job's output on a Slurm cluster, beside Slurm's own programs and submitit.

    python bench/slurm/latency.py [--rounds 15] [--json PATH]     root; five minutes

One cluster whose scheduler looks at once (`batch_sched_delay=0,sched_min_interval=0`), one idle node, round after
round: bare `sbatch` until its file has a line, `srun` until it prints one, submitit's Slurm executor, and a sealed
run of kifabrik until its line is opened on the member's machine. Ours does everything that `bench/submit.py` lists;
its environment is cached. Steps are timed from outside, as there.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests" / "slurm"), str(ROOT / "bench" / "spans"), str(ROOT / "bench")]

import cluster as clusters
import peers
import submit
from cluster_config import ClusterSpec
from report import Bar, Picture, hand_on, parser
from slurm_stage import slurm_parties

FOLDER = Path("/tmp/kifabrik-slurm-latency")
NODE = "n1"
BEFORE = (
    ("names and plan fetched", "prepare", "customer"),
    ("code sealed and uploaded", "CodeBundle.seal", "customer"),
    ("order handed in", "Runs.order", "customer"),
    ("attempt entered", "Handover._enter", "factory"),
    ("sbatch as the tenant's user", "SlurmEngine.submit", "factory"),
    ("job scheduled, step and stub started", "|claim_attempt", "Slurm"),
    ("attempt claimed by the node", "claim_attempt", "node"),
    ("  seen in Slurm's queue", "SlurmEngine.holds", "factory"),
    ("launcher forked", "Forge.start", "node"),
    ("work fetched", "Attempts.work", "launcher"),
    ("environment found, hashed", "build_environment", "launcher"),
    ("keys asked for, logged", "Leases.request", "launcher"),
    ("judged, lease signed", "Desk.decide", "keyholder"),
    ("keys delivered", "Delivery.send_headers", "keyholder"),
    ("log opened", "Journal.open", "launcher"),
    ("data and code opened", "Stager.stage", "launcher"),
    ("room built", "start", "launcher"),
    ("line sealed and taken", "Journal._send", "launcher"),
    ("line fetched and opened", "AttemptLog.lines", "customer"),
)
"""Each step is the first call of its function after the one before has begun; `|`: the time until it begins."""


def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--rounds", type=int, default=15)
    wishes = made.parse_args()
    os.environ |= {"KIFABRIK_SPANS": str(submit.SPANS), "PYTHONPATH": str(ROOT / "bench" / "spans")}
    submit.SPANS.touch()
    spec = ClusterSpec(FOLDER / "cluster", nodes=1, gpus=0)
    try:
        with clusters.running(spec) as cluster:
            (cluster.folder / "jobs").mkdir()
            (cluster.folder / "jobs").chmod(0o1777)
            (FOLDER / "parties").mkdir()
            with slurm_parties(FOLDER / "parties", cluster, spec) as stage:
                rows, steps = measure(stage, wishes.rounds)
    finally:
        shutil.rmtree(submit.HOME)
        shutil.rmtree(FOLDER, ignore_errors=True)
    medians = {name: statistics.median(values) for name, values in rows.items()}
    show(medians, rows, steps, wishes.rounds)
    hand_on(wishes.json, *pictures(medians, steps, wishes.rounds))


def measure(stage, rounds: int):
    """Time every way once a round; the first builds the environment and does not count."""
    stage.seal(stage.name("line"), {f"{number}.csv": "1,2\n" * 30_000 for number in range(8)})
    stage.grant(stage.name("line"), "upkeep")
    job = stage.job(FOLDER / "job", "", run=f'python -c "{submit.PROGRAM}"')
    submit.time_launchers(stage.node_home(NODE))
    stage.agents[NODE].terminate()
    stage.agents[NODE].wait(15)
    stage.start_agent(NODE)
    stage.wait_for_agent(NODE)
    peer = peers.python()
    rows: dict[str, list[float]] = {}
    steps: list[list[tuple[float, float]]] = []
    for turn in range(rounds + 1):
        times = {"sbatch": by_sbatch(stage.cluster), "srun": by_srun(stage.cluster)}
        if peer is not None:
            times["submitit, Slurm executor"] = by_submitit(stage.cluster, peer)
        ours, found = one_run(stage, job)
        if turn:
            steps.append(found)
            for name, value in (times | ours).items():
                rows.setdefault(name, []).append(value)
    return rows, steps


def one_run(stage, job: Path):
    """Submit, read the first line, wait for the end; return seconds and the steps on the way."""
    os.truncate(submit.SPANS, 0)
    began = time.perf_counter()
    future = stage.sdk.submit(job)
    accepted = time.perf_counter()
    lines = submit.read_log(stage.sdk.session, future.run, follow=True)
    next(line for line in lines if line.kind == "out")
    first = time.perf_counter()
    for _ in lines:
        pass
    future.result(60)
    ended = time.perf_counter()
    time.sleep(1.0)  # the job leaves its node
    times = {
        "kifabrik: submit accepted": accepted - began,
        "kifabrik: first line, opened here": first - began,
        "kifabrik: run settled": ended - began,
    }
    return times, steps_of(submit.SPANS.read_text(), began)


def steps_of(sheet: str, began: float) -> list[tuple[float, float]]:
    """Find the steps among the calls; return begin and duration of each in seconds."""
    calls = []
    for line in sheet.splitlines():
        begin, end, _, name = line.split(" ")
        calls.append((float(begin) - began, float(end) - began, name))
    calls.sort()
    found: list[tuple[float, float]] = []
    for name, point, _ in BEFORE:
        after = found[-1][0] if found else 0.0
        until = point.startswith("|")
        later = [call for call in calls if call[2] == point.removeprefix("|") and call[0] >= after]
        if not later:
            sys.exit(f"no {point} ({name}) after {after:.3f} s among:\n{sheet}")
        begin, end, _ = later[0]
        found.append((sum(found[-1]), begin - sum(found[-1])) if until else (begin, end - begin))
    return found


def by_sbatch(cluster) -> float:
    """Seconds from bare `sbatch` to the first line in the job's file."""
    with tempfile.TemporaryDirectory(dir=cluster.folder) as folder:
        out = Path(folder) / "out"
        began = time.perf_counter()
        cluster.run("sbatch", "-Q", "-o", str(out), "--wrap", f'{sys.executable} -c "{submit.PROGRAM}"')
        while not (out.exists() and out.stat().st_size):
            time.sleep(0.001)
        took = time.perf_counter() - began
        time.sleep(0.5)
    return took


def by_srun(cluster) -> float:
    """Seconds from `srun` to the first line it prints."""
    began = time.perf_counter()
    command = ["srun", "-Q", sys.executable, "-c", submit.PROGRAM]
    with subprocess.Popen(command, env=cluster.env, cwd="/", stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        return time.perf_counter() - began


def by_submitit(cluster, python: Path) -> float:
    """Seconds from submitit's `submit` to the first line in the job's file."""
    program = [python, ROOT / "bench" / "peer_submitit.py", "slurm"]
    said = subprocess.run(program, env=cluster.env, check=True, capture_output=True, text=True)
    return float(said.stdout)


def show(medians, rows, steps, rounds: int) -> None:
    """Print the tables."""
    base = medians["sbatch"]
    print(f"{f'median of {rounds} rounds':<44} {'seconds':>8} {'fastest':>8} {'x sbatch':>8}")
    for name, value in medians.items():
        print(f"{name:<44} {value:8.3f} {min(rows[name]):8.3f} {value / base:8.1f}")
    print(f"\n{'step (they overlap)':<40} {'by':<10} {'begins ms':>9} {'takes ms':>9}")
    for number, (name, _, who) in enumerate(BEFORE):
        begin, taken = (statistics.median(one[number][part] for one in steps) for part in (0, 1))
        print(f"{name:<40} {who:<10} {begin * 1e3:9.1f} {taken * 1e3:9.1f}")


def pictures(medians, steps, rounds: int) -> list[Picture]:
    """The ways beside one another, and the steps of ours."""
    first = "kifabrik: first line, opened here"
    shown = [name for name in medians if not name.startswith("kifabrik") or name == first]
    parts = [
        Bar(
            f"{who}: {name.strip()}",
            statistics.median(one[number][1] for one in steps) * 1e3,
            "ours" if who in ("factory", "node", "launcher") else "peer",
            statistics.median(one[number][0] for one in steps) * 1e3,
        )
        for number, (name, _, who) in enumerate(BEFORE)
    ]
    return [
        Picture(
            "From submission to the first line, on one Slurm cluster",
            "seconds",
            tuple(Bar(name, medians[name], "ours" if name == first else "peer") for name in shown),
            f"Median of {rounds} rounds. Ours seals, signs, logs, gets two leases from the keyholder, opens the "
            "data, builds the room, seals the line and opens it here.",
        ),
        Picture(
            "Where the time goes on a cluster",
            "milliseconds",
            tuple(parts),
            f"Medians of {rounds} rounds. Green on the factory's side, grey on the customer's and Slurm's.",
        ),
    ]


if __name__ == "__main__":
    main()
