"""From `submit` to the first line of the job's output, opened on the member's machine, step by step.

    python bench/submit.py [--rounds 20] [--json PATH]

A factory and a keyholder run beside this program on this machine. The environment is cached, the data
is 8 files of 1 MB in all, and everything is done that is always done: code sealed, order signed and
logged, lease asked for, decided and logged, data opened into memory, room built, log sealed, its key
leased to this device, its first segment opened here. Beside it, round after round: the same program
started plainly, and as a submitit job on this machine.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
HOME = Path(tempfile.mkdtemp(prefix="kifabrik-submit-"))
SPANS = HOME / "spans.txt"
sys.path.insert(0, str(HERE / "spans"))

import spans

spans.watch(SPANS)  # before anything that is timed is imported

import peers
from party import enrol_here, make_factory, seal_few, up, write_job
from report import Bar, Picture, at_most, hand_on, parser

from kifabrik.customer.follow import read_log
from kifabrik.customer.sdk import Factory, connect

TARGET_S = 0.5
PROGRAM = "print('first line', flush=True)"
JOB = f"""
name: first-line
purpose: benchmark
data: {{/data/few: few}}
run: python -c "{PROGRAM}"
resources: {{cpu: 1, memory: 1GB}}
max_duration: 1m
"""
STEPS = (
    ("names and plan fetched", "prepare_all", "customer"),
    ("code sealed and uploaded", "CodeBundle.seal", "customer"),
    ("order signed", "sign_order", "customer"),
    ("order handed in", "Runs.order", "customer"),
    ("  admitted, logged", "Admission.admit", "factory"),
    ("place reserved", "Queue._reserve", "factory"),
    ("launcher forked", "LocalEngine.submit", "factory"),
    ("work fetched", "Attempts.work", "launcher"),
    ("work verified", "verify_work", "launcher"),
    ("environment found, hashed", "build_environment", "launcher"),
    ("keys asked for, logged", "Leases.request", "launcher"),
    ("log read and verified", "LogWatch.follow", "keyholder"),
    ("judged, lease signed", "Desk.decide", "keyholder"),
    ("lease logged", "Delivery.send_statements", "keyholder"),
    ("lease found in the log", "LogWatch.follow", "keyholder"),
    ("keys delivered", "Delivery.send_headers", "keyholder"),
    ("log opened", "Journal.open", "launcher"),
    ("data and code opened", "Stager.stage", "launcher"),
    ("room built", "start", "launcher"),
    ("program's first line", "Journal._add", "launcher"),
    ("line sealed and taken", "Journal._send", "launcher"),
    ("log's keys asked for, logged", "ask_for_results", "customer"),
    ("log read and verified", "LogWatch.follow", "keyholder"),
    ("judged, lease signed", "Desk.decide", "keyholder"),
    ("lease logged", "Delivery.send_statements", "keyholder"),
    ("lease found in the log", "LogWatch.follow", "keyholder"),
    ("keys delivered", "Delivery.send_headers", "keyholder"),
    ("line fetched and opened", "AttemptLog.lines", "customer"),
)
"""What follows what: each step is the first call of its function after the one before it has begun, except
that the keys of the log are asked for as soon as the log is open."""
ASKED = 21
OPENED = 16


def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--rounds", type=int, default=20)
    wishes = made.parse_args()
    try:
        time_launchers(make_factory(HOME))
        with up(HOME, "--single-party", more={"KIFABRIK_SPANS": str(SPANS), "PYTHONPATH": str(HERE / "spans")}):
            enrol_here(HOME)
            seal_few(HOME, "few", "benchmark")
            measure(write_job(HOME, JOB), wishes)
    finally:
        shutil.rmtree(HOME)


def time_launchers(node: Path) -> None:
    """Have this node's launchers write their spans too."""
    (node / "spans.txt").symlink_to(SPANS)
    launcher = [str(HERE / "spans/launcher.py"), "--node-home", str(node)]
    text = (node / "node.toml").read_text()
    (node / "node.toml").write_text(text.replace("\n[place]", f"\nlauncher = {launcher}\n\n[place]"))


def measure(job: Path, wishes) -> None:
    """Time every way once a round."""
    peer, slurm = peers.python(), slurm_answers()
    rows: dict[str, list[float]] = {}
    steps: list[list[tuple[float, float]]] = []
    with connect(HOME) as factory:
        for turn in range(wishes.rounds + 1):
            times = {"the program started plainly": plainly()}
            if peer is not None:
                times["submitit, local executor"] = by_submitit(peer)
            if slurm:
                times["sbatch"] = by_sbatch()
            ours, found = one_submit(factory, job)
            if turn:  # the first round builds the environment
                steps.append(found)
                for name, value in (times | ours).items():
                    rows.setdefault(name, []).append(value)
    medians = {name: statistics.median(values) for name, values in rows.items()}
    begins = [statistics.median(one[number][0] for one in steps) for number in range(len(STEPS))]
    takes = [statistics.median(one[number][1] for one in steps) for number in range(len(STEPS))]
    show(medians, rows, begins, takes, wishes.rounds)
    hand_on(wishes.json, *pictures(medians, begins, takes, wishes.rounds))


def one_submit(factory: Factory, job: Path) -> tuple[dict[str, float], list[tuple[float, float]]]:
    """Submit, read the first line, wait for the end; return seconds and the steps on the way."""
    os.truncate(SPANS, 0)
    began = time.perf_counter()
    future = factory.submit(job)
    accepted = time.perf_counter()
    lines = read_log(factory.session, future.run, follow=True)
    next(line for line in lines if line.kind == "out")
    first = time.perf_counter()
    for _ in lines:
        pass
    future.result(60)
    ended = time.perf_counter()
    time.sleep(0.3)  # the keyholder's and the service's last steps
    times = {
        "submit accepted (sealed, signed, logged)": accepted - began,
        "submit to first line, opened here": first - began,
        "submit to the run settled": ended - began,
    }
    return times, steps_of(SPANS.read_text(), began)


def steps_of(sheet: str, began: float) -> list[tuple[float, float]]:
    """Find the steps among the calls; return begin and duration of each in seconds."""
    calls = []
    for line in sheet.splitlines():
        begin, end, _, name = line.split(" ")
        calls.append((float(begin) - began, float(end) - began, name))
    calls.sort()
    found: list[tuple[float, float]] = []
    for number, (_, name, _) in enumerate(STEPS):
        if number == ASKED:
            after = found[OPENED][0]
        elif name == "Journal._add":
            after = sum(found[-1])  # the program starts when its room stands
        else:
            after = found[-1][0] if found else 0.0
        later = [call for call in calls if call[2] == name and call[0] >= after]
        if not later:
            sys.exit(f"no {name} after {after:.3f} s among:\n{sheet}")
        begin, end, _ = later[0]
        found.append((after, end - after) if name == "Journal._add" else (begin, end - begin))
    return found


def plainly() -> float:
    """Seconds from the start of the program to its first line."""
    began = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        return time.perf_counter() - began


def by_submitit(python: Path) -> float:
    """Seconds from submitit's `submit` to the first line in the job's file."""
    said = subprocess.run([python, HERE / "peer_submitit.py"], check=True, capture_output=True, text=True)
    return float(said.stdout)


def slurm_answers() -> bool:
    """Whether there is a Slurm cluster to submit to."""
    return shutil.which("sbatch") is not None and subprocess.run(["sinfo"], capture_output=True).returncode == 0  # noqa: PLW1510


def by_sbatch() -> float:
    """Seconds from `sbatch` to the first line in the job's file."""
    with tempfile.TemporaryDirectory(dir=HOME) as folder:
        out = Path(folder) / "out"
        began = time.perf_counter()
        wrapped = f'{sys.executable} -c "{PROGRAM}"'
        subprocess.run(["sbatch", "-Q", "-o", out, "--wrap", wrapped], check=True, capture_output=True)
        while not (out.exists() and out.stat().st_size):
            time.sleep(0.001)
        return time.perf_counter() - began


def show(
    medians: dict[str, float], rows: dict[str, list[float]], begins: list[float], takes: list[float], rounds: int
) -> None:
    """Print the tables."""
    base = medians["the program started plainly"]
    print(f"{f'median of {rounds} rounds':<44} {'seconds':>8} {'fastest':>8} {'x plain':>8}")
    for name, value in medians.items():
        print(f"{name:<44} {value:8.3f} {min(rows[name]):8.3f} {value / base:8.1f}")
    print(f"\n{'step (they overlap)':<40} {'by':<10} {'begins ms':>9} {'takes ms':>9}")
    for (name, _, who), begin, taken in zip(STEPS, begins, takes, strict=True):
        print(f"{name:<40} {who:<10} {begin * 1e3:9.1f} {taken * 1e3:9.1f}")


def pictures(medians: dict[str, float], begins: list[float], takes: list[float], rounds: int) -> list[Picture]:
    """The ways beside one another, and the steps of ours."""
    ours = [name for name in medians if name.startswith("submit to first line")]
    first = medians[ours[0]]
    bars = [Bar(name, value, "ours" if name in ours else "peer") for name, value in medians.items()]
    slow = "submit accepted (sealed, signed, logged)", "submit to the run settled"
    return [
        Picture(
            "From submit to the first line of output",
            "seconds",
            (*(bar for bar in bars if bar.name not in slow), Bar("target", TARGET_S, "limit")),
            f"Median of {rounds} rounds on one machine. Ours seals the code, signs and logs the order, gets two "
            "leases from the keyholder, opens the data, builds the room, seals the line and opens it here.",
            (at_most("submit to first user line, cached environment", first, TARGET_S, "{:.2f} s"),),
        ),
        Picture(
            "Where the time from submit to the first line goes",
            "milliseconds",
            tuple(
                Bar(
                    f"{who}: {name.strip()}",
                    taken * 1e3,
                    "ours" if who in ("factory", "launcher") else "peer",
                    begin * 1e3,
                )
                for (name, _, who), begin, taken in zip(STEPS, begins, takes, strict=True)
            ),
            f"Medians of {rounds} rounds. Green on the factory's side, grey on the customer's. "
            "Once the log is open two things go on at once: the job starts, and the member asks for the keys.",
        ),
    ]


if __name__ == "__main__":
    main()
