"""A hundred thousand finished jobs, reconciled from accounting without gaps.

    python bench/slurm/finished.py [--jobs 100000] [--json PATH]     root; five minutes

A thousand jobs are submitted and cancelled; when slurmdbd has recorded them, their records are copied in its own
table under other numbers and names, as submitting so many one by one would take half an hour and change nothing
about how they are read. slurmctld has forgotten all of them by then (MinJobAge). They are looked for by number, as
`QueueView` does, and by attempt, as the engine does for those whose jobs the queue has let go of.
"""

import resource
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from crowd import ClusterSpec, clusters, gpus, say, wait_for
from report import Bar, Picture, hand_on, parser

from kifabrik.engines.slurm.account_plan import unix_user
from kifabrik.engines.slurm.commands import SlurmCommands
from kifabrik.engines.slurm.engine import SlurmEngine, SlurmSettings
from kifabrik.engines.slurm.job_facts import JobKey
from kifabrik.engines.slurm.queue_view import QueueView
from kifabrik.engines.slurm.script import Submission, arguments
from kifabrik.engines.slurm.states import JobState
from kifabrik.runs.states import Outcome
from kifabrik.values import Kind, new_id

FOLDER = Path("/tmp/kifabrik-slurm-finished")
TENANT = "t-finishedbenchmarkaaaaaaaaaaaaaaa"
USER = unix_user(TENANT)
REAL = 1000
APART = 1_000_000
"""Copies are numbered above each real number plus a multiple of this."""


def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--jobs", type=int, default=100_000)
    wishes = made.parse_args()
    subprocess.run(["useradd", "--system", "--no-create-home", USER], check=True)
    try:
        with clusters.running(ClusterSpec(FOLDER, nodes=2)) as cluster:
            bars = measure(cluster, wishes.jobs)
    finally:
        subprocess.run(["userdel", USER], check=True)
    shutil.rmtree(FOLDER)
    hand_on(
        wishes.json,
        Picture(
            f"{wishes.jobs:,} finished jobs, reconciled",
            "seconds",
            tuple(Bar(name, value, "ours") for name, value in bars.items()),
            "Every one was found, in the state it ended in.",
        ),
    )


def measure(cluster, count: int) -> dict[str, float]:
    """Let jobs end, and find all of them."""
    began = datetime.now(UTC)
    commands = SlurmCommands(cluster.conf, patience_s=600)
    commands.run("sacctmgr", "-iQ", "add", "account", "bench", "Description=bench", "Organization=bench")
    commands.run("sacctmgr", "-iQ", "add", "user", USER, "Account=bench")
    view = QueueView(commands)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: submit(commands, number), range(REAL)))
    commands.run("scancel", f"--user={USER}")
    wait_for(lambda: recorded(cluster, "state = 4") == REAL, 120, pause=1)
    wait_for(lambda: not commands.run("squeue", "--noheader", f"--user={USER}").strip(), 180, pause=1)
    attempts = [new_id(Kind.ATTEMPT) for _ in range(count)]
    copy(cluster, attempts)
    keys = [JobKey(int(number)) for number in query(cluster, "SELECT id_job FROM kifatest_job_table").split()]
    assert len(keys) == count
    found = {"by number": timed(f"{count:,} jobs by number", lambda: look(view, keys))}
    engine = SlurmEngine(commands, SlurmSettings(("/bin/true",)), lambda: [TENANT])
    for number in (100, 1_000, 10_000, count):
        wanted = attempts[:number]
        found[f"{number:,} attempts"] = timed(f"fates of {number:,} attempts", lambda: judge(engine, wanted, began))  # noqa: B023
    return found


def submit(commands: SlurmCommands, number: int) -> None:
    """Submit a job that does not begin before tomorrow."""
    words = (*arguments(Submission(f"a-{number}", gpus(1), 3600)), "--begin=now+1days")
    commands.run("sbatch", *words, user=USER, stdin="#!/bin/sh\nsleep 1\n")


def look(view: QueueView, keys: list[JobKey]) -> None:
    """Look for all jobs; all must be there, and have ended."""
    seen = {one.key: one for one in view.remembered(keys, datetime.now(UTC) - timedelta(days=365))}
    missing = [key for key in keys if key not in seen]
    assert not missing, f"{len(missing)} are missing"
    assert {seen[key].state for key in keys} == {JobState.CANCELLED}


def judge(engine: SlurmEngine, attempts: list[str], since: datetime) -> None:
    """Ask for the fates of attempts until none is unknown; all were cancelled."""
    left = attempts
    while left:
        fates = engine.fates(left, since)
        assert fates, "nothing is known"
        assert {fate.outcome for fate in fates.values()} == {Outcome.STOPPED}
        for name in fates:
            engine.forget(name)
        left = [name for name in left if name not in fates]


def timed(label: str, work) -> float:
    """Say what something took; return the seconds."""
    began, used = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_utime
    work()
    took = time.monotonic() - began
    own = resource.getrusage(resource.RUSAGE_SELF).ru_utime - used
    say(label, f"{took:.2f} s, {own:.2f} s CPU of ours")
    return took


def query(cluster, text: str) -> str:
    """Ask slurmdbd's database."""
    socket = f"--socket={cluster.folder}/database/mysqld.sock"
    words = ("mariadb", socket, "--user=root", "--skip-column-names", "slurm_acct")
    return cluster.run(*words, stdin=text, timeout=600)


def recorded(cluster, where: str) -> int:
    """How many records accounting has."""
    return int(query(cluster, f"SELECT COUNT(*) FROM kifatest_job_table WHERE {where}"))


def copy(cluster, attempts: list[str]) -> None:
    """Make as many records as there are attempts, each with the name of an attempt's job."""
    values = ",".join(f"({number},'{name}.1')" for number, name in enumerate(attempts))
    columns = query(cluster, "SHOW COLUMNS FROM kifatest_job_table").splitlines()
    others = [line.split("\t")[0] for line in columns]
    others = [f"`{name}`" for name in others if name not in ("job_db_inx", "id_job", "job_name")]
    listed = ",".join(others)
    query(
        cluster,
        "CREATE TABLE names (number INT PRIMARY KEY, name VARCHAR(64));"
        f"INSERT INTO names VALUES {values};"
        "CREATE TABLE originals AS SELECT *, ROW_NUMBER() OVER (ORDER BY id_job) - 1 AS place"
        " FROM kifatest_job_table;"
        "DELETE FROM kifatest_job_table;"
        f"INSERT INTO kifatest_job_table (id_job, job_name, {listed})"
        f" SELECT id_job + {APART} * (number DIV {REAL}), name, {listed}"
        f" FROM names JOIN originals ON place = number MOD {REAL}",
    )


if __name__ == "__main__":
    main()
