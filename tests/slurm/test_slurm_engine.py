"""Sealed runs on a real cluster: the same job files, orders, keys and ledger as on one machine."""

import os
import re
import signal
import stat
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from cluster_config import GPU_MAJOR
from slurm_stage import sealed_stage
from users import MINE, add_user, remove_user
from waiting import eventually

from kifabrik.client.connection import Connection
from kifabrik.client.nodes import Nodes
from kifabrik.engines.slurm.account_plan import unix_user
from kifabrik.errors import ConflictError, IntegrityError, NotFoundError, RefusedError
from kifabrik.runs.claims import NodeClaim, sign_claim
from kifabrik.runs.states import Outcome, RunState
from kifabrik.seals.identities import Identity
from kifabrik.signatures.keys import SigningKey
from kifabrik.values import format_time, now_utc
from kifabrik.wiring.node import read_key
from living_trees import folders_below

pytestmark = pytest.mark.timeout(300)  # a cluster and two parties start within the first test
GPUS = 2
FOREVER = "import time\nprint('begun', flush=True)\ntime.sleep(600)"
COUNTS = """
import os, sys, time
from pathlib import Path
kept = Path("/checkpoint/count")
first = int(kept.read_text()) if kept.exists() else 0
print("from", first, flush=True)
import signal
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
for count in range(first, first + 600):
    kept.write_text(str(count + 1))
    if first and count > first + 2:
        Path("/out/model").mkdir()
        Path("/out/model/count").write_text(str(count))
        sys.exit(0)
    time.sleep(0.5)
"""


@pytest.fixture(scope="module")
def devices():
    """Device files of GPUs as NVIDIA's driver makes them; the test's own are removed again."""
    made = []
    for number in range(GPUS):
        path = Path(f"/dev/nvidia{number}")
        if not path.exists():
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(GPU_MAJOR, number))
            path.chmod(0o666)
            made.append(path)
    yield
    for path in made:
        path.unlink()


@pytest.fixture(scope="module")
def stage(devices, tmp_path_factory):
    """Three nodes with two GPUs each; a customer with a sealed dataset."""
    with sealed_stage("engine", nodes=3, gpus=GPUS, node_timeout_s=8, grace_s=20) as playing:
        yield playing


def state_of(stage, run):
    """State of the Slurm job of a run's newest attempt."""
    number = str(stage.job_of(run.run))
    return next(state for _, state, found, *_ in stage.jobs() if found == number)


def claim(stage, node, attempt, key=None, **changes):
    """Claim an attempt as a node would."""
    mine = Identity.generate()
    said = {
        "node_key": (key or read_key(stage.node_home(node))).public.hex,
        "attempt": attempt,
        "rank": 0,
        "job": 0,
        "user": "nobody",
        "gpus": (),
        "recipient": mine.recipient.text,
        "created": format_time(now_utc()),
    }
    signed = sign_claim(NodeClaim(**(said | changes)), key or read_key(stage.node_home(node)))
    connection = Connection(stage.url)
    try:
        return Nodes(connection).claim(signed)
    finally:
        connection.close()


def processes_of(stage, run):
    """Process ids and arguments of what lives in the control groups of a run's Slurm job."""
    name = f"/job_{stage.job_of(run.run)}/"
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if name in (process / "cgroup").read_text():
                found[int(process.name)] = (process / "cmdline").read_bytes()
    return found


def launcher_of(stage, run):
    """Process id of the launcher: it keeps the arguments of the template it was forked from."""
    return next(pid for pid, words in processes_of(stage, run).items() if b"engines.local.template" in words)


def node_of(stage, run):
    """Name of the node its job is on."""
    number = str(stage.job_of(run.run))
    return next(nodes for _, _, found, nodes in stage.jobs() if found == number)


# --- the job of the embedded form, unchanged ---


def test_a_sealed_run_trains_on_the_cluster_and_its_output_comes_back(stage, order, tmp_path):
    code = """
rows = open("/data/line/values.csv").read().splitlines()[1:]
print(len(rows), "rows")
from pathlib import Path
Path("/out/model").mkdir()
Path("/out/model/sum.txt").write_text(str(sum(int(row.split(",")[1]) for row in rows)))
"""
    run = order(code, outputs={"model": "/out/model"})
    result = run.result(timeout=90)
    assert "50 rows" in stage.log(run.run)
    result.pull("model", tmp_path / "pulled")
    assert (tmp_path / "pulled" / "sum.txt").read_text() == "100"
    job = stage.job_of(run.run)
    user = stage.cluster.run("squeue", "--noheader", "--states=all", "--format=%u %a", f"--jobs={job}").split()
    tenant = stage.sdk.session.tenant
    assert user == [unix_user(tenant), tenant]
    stage.customer.kifabrik("ledger", "show")
    stage.customer.kifabrik("ledger", "verify")


def test_the_environment_of_a_job_and_its_script_hold_nothing_secret(stage, order):
    run = order(FOREVER)
    stage.wait_for_line(run.run, "begun")
    script = stage.cluster.run("scontrol", "write", "batch_script", str(stage.job_of(run.run)), "-")
    assert stage.mark not in script
    assert not re.search("kf[a-z]_|token", script)
    launcher = launcher_of(stage, run)
    assert stage.mark.encode() not in Path(f"/proc/{launcher}/environ").read_bytes()


def test_launcher_and_job_live_in_the_groups_of_the_slurm_job(stage, order):
    run = order(FOREVER)
    stage.wait_for_line(run.run, "begun")
    inside = processes_of(stage, run)
    assert any(b"engines.local.template" in word for word in inside.values()), "the launcher"
    assert any(b"job.py" in word for word in inside.values()), "the customer's program"
    run.cancel()
    stage.end(run)
    eventually(lambda: not processes_of(stage, run))


def test_a_run_sees_the_gpus_slurm_gave_it_and_cannot_open_others(stage, order):
    code = f"""
import errno, os
for number in range({GPUS}):
    path = f"/dev/nvidia{{number}}"
    try:
        os.open(path, os.O_RDWR)
    except OSError as error:
        print(number, errno.errorcode[error.errno])
"""
    run = order(code, resources={"cpu": 1, "memory": "300MB", "gpu": "H200:1"})
    assert stage.end(run).state is RunState.SUCCEEDED
    # ENXIO: it is there, and has no driver on this machine. ENOENT: the room does not have it.
    assert sorted(line.split()[1] for line in stage.log(run.run)) == ["ENOENT", "ENXIO"]


def test_a_failing_program_fails_the_run_and_the_slurm_job(stage, order):
    run = order("raise SystemExit(3)")
    view = stage.end(run)
    assert (view.state, view.attempts[-1].exit_status) == (RunState.FAILED, 3)
    eventually(lambda: state_of(stage, run) == "FAILED")


def test_an_sbatch_script_runs_with_sealed_data(stage, tmp_path):
    script = tmp_path / "train.sbatch"
    script.write_text(
        "#!/bin/bash\n"
        "#SBATCH --nodes=1 --cpus-per-task=2 --mem=300M --time=5 --partition=main --output=x.log\n"
        "#KIFABRIK purpose upkeep\n"
        f"#KIFABRIK data /data/line={stage.name('line')}\n"
        "echo lines $(wc -l < /data/line/values.csv)\n"
    )
    said = stage.customer.kifabrik("apply", script, "--yes")
    assert "--output is set aside" in said.err
    assert "lines 51" in said.out
    stage.customer.kifabrik("apply", script, "--yes", "--name", "other", "--purpose", "nothing", expect=4)


def test_a_sweep_is_one_array_and_each_task_has_its_parameters(stage, tmp_path):
    code = "import os\nprint('x is', os.environ['x'])"
    job = stage.job(tmp_path / "job", code, matrix={"x": [3, 5, 8]}, resources={"cpu": 1, "memory": "200MB"})
    run = stage.sdk.sweep(job)
    assert stage.end(run.run).state is RunState.SUCCEEDED
    said = sorted(line for number in (1, 2, 3) for line in stage.log(f"{run.run}-{number}"))
    assert said == ["x is 3", "x is 5", "x is 8"]
    queue = stage.cluster.run(
        "squeue", "--noheader", "--states=all", "--array", "--format=%F %K %j %k"
    ).splitlines()
    tasks = [line.split(" ") for line in queue if line.endswith(run.run)]
    assert len({number for number, *_ in tasks}) == 1, f"one array: {tasks}"
    assert sorted(task for _, task, *_ in tasks) == ["1", "2", "3"]


def test_a_sealed_output_is_the_next_runs_input_on_the_cluster_too(stage, order, tmp_path):
    first = """
from pathlib import Path
Path("/out/features").mkdir()
rows = [row for row in open("/data/line/values.csv") if row[0] != "n"]
Path("/out/features/sum").write_text(str(sum(int(row.split(",")[1]) for row in rows)))
"""
    prepare = order(first, name=stage.name("prepare"), outputs={"features": "/out/features"})
    data = {"/data/features": f"output:{stage.name('prepare')}/features"}
    train = order("print('sum', open('/data/features/sum').read())", name=stage.name("train"), data=data)
    assert stage.end(train).state is RunState.SUCCEEDED
    assert stage.end(prepare).state is RunState.SUCCEEDED
    assert stage.log(train.run) == ["sum 100"]


def test_runs_that_ask_for_the_same_and_wait_together_are_one_array_and_each_its_own(stage, order):
    code = """
import signal, sys, time
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(0))
print("begun", flush=True)
time.sleep(600)
"""
    first = order(code, name=stage.name("first"))
    stage.wait_for_line(first.run, "begun")
    small = {"cpu": 1, "memory": "200MB"}
    waiting = [
        order(f"print('number', {number})\nraise SystemExit({number == 5})", resources=small, needs=[first.run])
        for number in range(9)
    ]
    stage.cluster.run("scancel", "--signal=USR1", str(stage.job_of(first.run)))
    ends = [stage.end(run) for run in waiting]
    assert [view.state is RunState.SUCCEEDED for view in ends] == [number != 5 for number in range(9)]
    assert [stage.log(run.run) for run in waiting] == [[f"number {number}"] for number in range(9)]
    queue = stage.cluster.run("squeue", "--noheader", "--states=all", "--array", "--format=%F %j %k").splitlines()
    (array,) = {tuple(line.split(" ", 2)) for line in queue if line.endswith("9 runs")}
    assert array[1].startswith("kf-")


def test_an_sbatch_array_is_a_sweep(stage, tmp_path):
    script = tmp_path / "many.sbatch"
    script.write_text(
        "#!/bin/sh\n#SBATCH --array=2-6:2%2 --mem=200M --time=5\n#KIFABRIK purpose upkeep\n"
        f"#KIFABRIK data /data/line={stage.name('line')}\necho task $SLURM_ARRAY_TASK_ID\n"
    )
    said = stage.customer.kifabrik("apply", script, "--yes", "--json").json()
    run = said["run"]
    lines = [line for number in (1, 2, 3) for line in stage.log(f"{run}-{number}")]
    assert sorted(lines) == ["task 2", "task 4", "task 6"]


def test_what_is_asked_of_slurm_reaches_it(stage, order):
    wishes = {"partition": "scavenge", "constraint": "standard", "exclusive": True, "nice": 7, "begin": "now+1hour"}
    run = order(FOREVER, slurm=wishes)
    view = stage.wait_until(run.run, lambda view: "not to start before" in view.reason, "explained")
    assert view.state is RunState.PENDING
    job = stage.cluster.run("scontrol", "--oneliner", "show", "job", str(stage.job_of(run.run)))
    for word in ("Partition=scavenge", "Features=standard", "OverSubscribe=NO", "Nice=7"):
        assert word in job


@pytest.mark.parametrize("gpus", [0, 1])
def test_a_run_that_shares_no_node_has_the_gpus_it_ordered_and_no_more(stage, order, gpus):
    code = "import glob\nprint('GPUs', len(glob.glob('/dev/nvidia[0-9]')))"
    resources = {"cpu": 1, "memory": "300MB", "gpu": gpus}
    run = order(code, resources=resources, slurm={"exclusive": True})
    view = stage.end(run)
    assert view.state is RunState.SUCCEEDED, view.reason
    assert stage.log(run.run) == [f"GPUs {gpus}"]


def test_a_wish_that_slurm_refuses_ends_the_run_with_its_reason(stage, order):
    view = stage.end(order("print(1)", slurm={"partition": "nowhere"}))
    assert view.state is RunState.FAILED
    assert "there is no such partition" in view.reason
    assert [attempt.outcome for attempt in view.attempts] == [Outcome.NOT_TAKEN]


def test_signals_before_the_end_reach_the_program(stage, order):
    code = """
import signal, sys, time
def heard(number, frame):
    print("heard", signal.Signals(number).name, flush=True)
    sys.exit(0)
signal.signal(signal.SIGUSR1, heard)
print("begun", flush=True)
time.sleep(600)
"""
    run = order(code)
    stage.wait_for_line(run.run, "begun")
    stage.cluster.run("scancel", "--signal=USR1", str(stage.job_of(run.run)))
    assert stage.end(run).state is RunState.SUCCEEDED
    assert "heard SIGUSR1" in stage.log(run.run)


def test_a_signal_before_the_end_comes_before_the_longest_time_of_the_run(stage, order):
    code = """
import signal, sys, time
def heard(number, frame):
    print("heard", signal.Signals(number).name, flush=True)
    sys.exit(0)
signal.signal(signal.SIGUSR1, heard)
time.sleep(600)
"""
    run = order(code, max_duration="100s", slurm={"signal": "USR1@20"})
    assert stage.end(run).state is RunState.SUCCEEDED
    assert stage.log(run.run) == ["heard SIGUSR1"]


# --- waiting, stopping, giving way ---


def test_why_says_what_slurm_waits_for_and_when_it_expects_to_start(stage, order):
    full = {"cpu": 16, "memory": "300MB"}
    fillers = [order(FOREVER, resources=full, max_duration="10m") for _ in range(3)]
    for run in fillers:
        stage.wait_for_line(run.run, "begun")
    waiting = order("print(1)", resources=full)
    stage.wait_until(waiting.run, lambda view: "Slurm expects it to start at" in view.reason, "forecast")
    said = stage.customer.kifabrik("why", waiting.run).out
    assert "first in line" in " ".join(said.split())
    fillers[0].cancel()
    assert stage.end(waiting).state is RunState.SUCCEEDED


def test_stopping_a_run_that_waits_takes_it_out_of_slurms_queue(stage, order):
    run = order(FOREVER, slurm={"begin": "now+1hour"})
    eventually(lambda: any(state == "PENDING" for _, state, *_ in stage.jobs()))
    number = eventually(lambda: stage.job_of(run.run))
    run.cancel()
    view = stage.end(run)
    assert view.state is RunState.STOPPED
    eventually(lambda: [state for _, state, found, *_ in stage.jobs() if found == str(number)] == ["CANCELLED"])


def test_a_preempted_run_goes_on_elsewhere_from_its_checkpoint_with_a_new_lease(stage, order):
    low = order(
        COUNTS,
        resources={"cpu": 16, "memory": "300MB"},
        slurm={"partition": "scavenge"},
        checkpoint="/checkpoint",
        retry={"attempts": 3},
        outputs={"model": "/out/model"},
    )
    stage.wait_for_line(low.run, "from 0")
    # One who is more urgent takes the whole node; the other two take long-running ones.
    everything = {"cpu": 16, "memory": "300MB"}
    high = [order(FOREVER, resources=everything) for _ in range(3)]
    view = stage.wait_until(low.run, lambda view: len(view.attempts) > 1, "tried again")
    assert view.attempts[0].outcome is Outcome.PREEMPTED
    for run in high[:2]:
        run.cancel()
    view = stage.end(low)
    assert view.state is RunState.SUCCEEDED, view.reason
    begun = [int(line.split()[1]) for line in stage.log(low.run) if line.startswith("from ")]
    assert begun[-1] > 0, "it went on from a checkpoint"
    leases = [one.lease for one in _attempts(stage, low.run) if one.lease]
    assert len(set(leases)) == len(leases) >= 2


def _attempts(stage, run):
    from kifabrik.wiring.factory import open_factory

    factory = open_factory(stage.factory.home / "factory")
    try:
        with factory.store.read() as transaction:
            return transaction.runs.attempts_of(stage.sdk.session.tenant, [run])
    finally:
        factory.store.close()


# --- faults ---


def test_a_dead_launcher_ends_its_job_and_the_attempt(stage, order):
    run = order(FOREVER)
    stage.wait_for_line(run.run, "begun")
    launcher = launcher_of(stage, run)
    job = f"job_{stage.job_of(run.run)}"
    left = [folder for folder in folders_below(Path("/sys/fs/cgroup/memory")) if folder.name == job]
    assert left
    os.kill(launcher, signal.SIGKILL)
    view = stage.end(run)
    assert (view.state, view.attempts[-1].outcome) == (RunState.FAILED, Outcome.NODE_FAILURE)
    eventually(lambda: not processes_of(stage, run))
    eventually(lambda: not [path for path in left if path.exists()])


def test_a_node_that_dies_is_replaced_by_another(stage, order):
    run = order(FOREVER, retry={"attempts": 2, "on": ["node-failure"]})
    stage.wait_for_line(run.run, "begun")
    node, there = node_of(stage, run), processes_of(stage, run)
    # A node that loses power: its daemon, its agent and what runs there are gone at once.
    stage.cluster.kill(node)
    stage.agents[node].kill()
    for pid in there:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    try:
        view = stage.wait_until(run.run, lambda view: len(view.attempts) > 1, "tried again")
        assert view.attempts[0].outcome is Outcome.NODE_FAILURE
        stage.wait_for_line(run.run, "begun")
        assert node_of(stage, run) != node
    finally:
        stage.agents[node].wait()
        stage.start_agent(node)
        stage.wait_for_agent(node)
        stage.cluster.start(node)
        with suppress(subprocess.CalledProcessError):  # it may be back in service by itself
            stage.cluster.run("scontrol", "update", f"NodeName={node}", "State=RESUME")


def test_a_node_whose_agent_is_down_starts_nothing_and_says_so(stage, order):
    for agent in stage.agents.values():
        agent.terminate()
        agent.wait()
    try:
        view = stage.end(order("print(1)"))
        assert view.state is RunState.FAILED
        assert re.search(r"No launcher could be started on n\d: the node's agent does not answer", view.reason)
    finally:
        for name in stage.spec.node_names:
            stage.start_agent(name)
            stage.wait_for_agent(name)


def test_the_controller_may_restart_while_runs_work_and_wait(stage, order):
    works = order(FOREVER)
    waits = order("print(1)", slurm={"begin": "now+20seconds"})
    stage.wait_for_line(works.run, "begun")
    number = str(eventually(lambda: stage.job_of(waits.run)))
    written, before = stage.cluster.folder / "state" / "job_state", time.time()
    stage.cluster.run("scontrol", "update", f"JobId={number}", "Nice=1")  # a change, which is soon written down
    eventually(lambda: written.exists() and written.stat().st_mtime > before + 1)
    stage.cluster.kill("slurmctld")
    while_away = order("print(2)")
    time.sleep(3)
    assert not works.done()
    stage.cluster.start("slurmctld")
    assert stage.end(while_away).state is RunState.SUCCEEDED
    assert stage.end(waits).state is RunState.SUCCEEDED
    assert not works.done()


def test_runs_go_on_while_accounting_is_down(stage, order):
    stage.cluster.kill("slurmdbd")
    try:
        assert stage.end(order("print(1)")).state is RunState.SUCCEEDED
    finally:
        stage.cluster.start("slurmdbd")


def test_a_service_that_was_killed_finds_its_runs_again(stage, order):
    works, waits = order(FOREVER), order("print(1)", slurm={"begin": "now+15seconds"})
    stage.wait_for_line(works.run, "begun")
    eventually(lambda: any(name.startswith("a-") and state == "PENDING" for name, state, *_ in stage.jobs()))
    before = len(stage.jobs())
    stage.kill_service()
    time.sleep(2)
    stage.start_service()
    assert stage.end(waits).state is RunState.SUCCEEDED
    assert not works.done()
    works.cancel()
    assert stage.end(works).state is RunState.STOPPED
    assert len(stage.jobs()) <= before, "nothing was submitted twice"


def test_a_job_of_an_attempt_nobody_knows_is_cancelled(stage):
    user = unix_user(stage.sdk.session.tenant)
    number = stage.cluster.run(
        "sbatch", "--parsable", "--job-name=a-aaaaaaaaaaaaaaaa.1", "--chdir=/", "--output=/dev/null", "--mem=50M",
        user=user, stdin="#!/bin/sh\nsleep 600\n",
    ).strip()  # fmt: skip
    eventually(lambda: [state for _, state, found, *_ in stage.jobs() if found == number] == ["CANCELLED"], 90)


# --- attacks ---


def test_a_claim_by_a_key_nobody_enrolled_is_refused(stage, order):
    run = order(FOREVER, slurm={"begin": "now+1hour"})
    eventually(lambda: stage.sdk.session.runs.show(run.run).attempts)
    attempt = stage.sdk.session.runs.show(run.run).attempts[-1].attempt
    with pytest.raises(NotFoundError, match="enrolled"):
        claim(stage, "n1", attempt, key=SigningKey.generate())


def test_a_node_cannot_claim_what_slurm_gave_to_another(stage, order):
    run = order(FOREVER)
    stage.wait_for_line(run.run, "begun")
    job, user = stage.job_of(run.run), unix_user(stage.sdk.session.tenant)
    attempt = stage.sdk.session.runs.show(run.run).attempts[-1].attempt
    node = node_of(stage, run)
    other = next(name for name in stage.spec.node_names if name != node)
    with pytest.raises(RefusedError, match="has not given"):
        claim(stage, other, attempt, job=job, user=user)
    with pytest.raises(RefusedError, match="has not given"):
        claim(stage, node, attempt, job=job + 1, user=user)
    with pytest.raises(RefusedError, match="has not given"):
        claim(stage, node, attempt, job=job, user="root")
    with pytest.raises(ConflictError, match="has claimed attempt"):
        claim(stage, node, attempt, job=job, user=user)
    with pytest.raises(RefusedError, match="clock"):
        claim(stage, node, attempt, job=job, user=user, created="2026-01-01T00:00:00Z")
    with pytest.raises(IntegrityError):
        claim(stage, node, attempt, job=job, user=user, node_key=SigningKey.generate().public.hex)


def test_who_is_no_job_is_refused_by_the_agent(stage):
    """Any user of the node may connect; the kernel says who it is."""
    program = (
        "import socket, sys\n"
        "agent = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
        f"agent.connect('{stage.sockets}/n1.sock')\n"
        "agent.send(b'enter a-aaaaaaaaaaaaaaaa')\n"
        "print(agent.recv(4096).decode())\n"
    )
    for user, said in (("nobody", "no process of a Slurm job"), ("root", "never started as root")):
        done = subprocess.run(
            ["/usr/bin/python3", "-c", program], user=user, capture_output=True, text=True, check=False, cwd="/"
        )
        assert said in done.stdout, done.stderr


def test_a_job_of_its_own_user_gets_no_attempt_of_another_tenant(stage, order):
    """A tenant's process in a job of its own names another tenant's attempt."""
    run = order(FOREVER, slurm={"begin": "now+1hour"})
    eventually(lambda: stage.sdk.session.runs.show(run.run).attempts)
    attempt = stage.sdk.session.runs.show(run.run).attempts[-1].attempt
    stub = Path(__file__).parents[2] / "src" / "kifabrik" / "nodes" / "enter.py"
    intruder = f"kf-intrud{MINE}"
    add_user(intruder)
    try:
        stage.cluster.run("sacctmgr", "-i", "add", "account", "of-intruder", "Description=x", "Organization=x")
        stage.cluster.run("sacctmgr", "-i", "add", "user", intruder, "Account=of-intruder")
        said = stage.cluster.folder / "jobs" / "intruder.out"
        stage.cluster.run(
            "sbatch", "--chdir=/", f"--output={said}", "--mem=50M",
            user=intruder,
            stdin=f"#!/bin/sh\nsrun /usr/bin/python3 -I -S {stub} {stage.sockets}/%n.sock {attempt}\n",
        )  # fmt: skip
        eventually(lambda: said.exists() and "has not given" in said.read_text(), 90)
    finally:
        remove_user(intruder)


def test_two_runs_on_one_node_do_not_see_each_other(stage, order):
    looks = """
import os, time
from pathlib import Path
Path("/tmp/mine").write_text("x")
print("begun", flush=True)
end = time.monotonic() + 4
while time.monotonic() < end:
    time.sleep(0.2)
print("processes", sorted(int(pid) for pid in os.listdir("/proc") if pid.isdigit())[-1] < 100)
print("tmp", os.listdir("/tmp"))
print("shm", os.listdir("/dev/shm"))
print("root", sorted(os.listdir("/")))
"""
    small = {"cpu": 1, "memory": "200MB"}
    runs = [order(looks, resources=small, slurm={"partition": "main"}) for _ in range(2)]
    for run in runs:
        assert stage.end(run).state is RunState.SUCCEEDED
        lines = stage.log(run.run)
        assert {"tmp ['mine']", "shm []", "processes True"} <= set(lines)


def test_the_agents_socket_is_not_in_the_room(stage, order):
    code = f"""
import os, socket
print(os.path.exists("{stage.sockets}"), os.path.exists("/run/kifabrik"))
agent = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
try:
    agent.connect("{stage.sockets}/n1.sock")
except OSError as error:
    print(type(error).__name__)
"""
    run = order(code)
    assert stage.end(run).state is RunState.SUCCEEDED
    assert stage.log(run.run) == ["False False", "FileNotFoundError"]


def test_a_second_agent_of_a_node_is_refused(stage):
    said = stage.factory.kifabrik("node", "serve", "--home", stage.node_home("n1"), expect=7)
    assert "another agent of this node" in said.err


def test_nothing_is_left_on_the_machine(stage):
    eventually(
        lambda: not [name for name, state, *_ in stage.jobs() if name.startswith("a-") and state == "RUNNING"]
    )
    for name in stage.spec.node_names:
        home = stage.node_home(name)
        eventually(lambda: not list((home / "runs").glob("a-*")))  # noqa: B023 - called before the next turn
    mounts = Path("/proc/self/mountinfo").read_text()
    assert str(stage.factory.home) not in mounts
