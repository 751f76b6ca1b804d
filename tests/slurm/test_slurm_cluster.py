"""The test cluster is what the other tests take it for."""

import os
import signal
import time
from pathlib import Path

import cluster as clusters
import pytest
from cluster_config import ClusterSpec


def output(cluster, number, eventually):
    file = cluster.folder / "jobs" / f"{number}-4294967294.out"
    eventually(lambda: file.exists() and file.read_text().endswith("end\n"))
    return file.read_text()


def test_a_job_runs_as_the_user_who_submitted_it(cluster, submit, user, eventually):
    assert output(cluster, submit("id -un; echo end"), eventually) == f"{user}\nend\n"


def test_a_job_opens_the_gpus_it_was_given_and_no_other(cluster, submit, eventually):
    script = f"""
    for gpu in 0 1 2 3 4 5 6 7; do
      python3 -c "
import errno, os
try:
    os.open('{cluster.folder}/dev/nvidia$gpu', os.O_RDWR)
except OSError as error:
    print($gpu, errno.errorcode[error.errno])
"
    done; echo end"""
    said = output(cluster, submit(script, "--gpus-per-node=h200:3"), eventually).splitlines()[:-1]
    # ENXIO: the control group let it through, and there is no driver; EPERM: the control group did not.
    assert sorted(line.split()[1] for line in said) == ["ENXIO"] * 3 + ["EPERM"] * 5


def test_a_job_that_takes_more_memory_than_it_asked_for_is_ended(cluster, submit, eventually):
    number = submit("python3 -c 'bytearray(200_000_000)'; echo end", mem="30M")
    ask = ("sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={number}", "--format=State")
    assert eventually(lambda: cluster.run(*ask).strip().startswith("OUT_OF_ME"))


def test_every_node_is_a_daemon_of_its_own(cluster, submit, eventually):
    said = output(cluster, submit("srun printenv SLURMD_NODENAME | sort; echo end",
                                  "--nodes=4", "--ntasks-per-node=1"), eventually)  # fmt: skip
    assert said == "n1\nn2\nn3\nn4\nend\n"


def test_a_cluster_leaves_no_process_and_no_control_group():
    reason = clusters.missing()
    if reason:
        pytest.skip(reason)
    folder = Path(f"/tmp/kifabrik-slurm-short-{os.getpid()}")
    before = set(Path("/sys/fs/cgroup").glob("*/slurm_*"))
    with clusters.running(ClusterSpec(folder, nodes=1, gpus=1)) as short:
        short.run("sacctmgr", "-i", "add", "account", "left", "Description=x", "Organization=x")
        short.run("sacctmgr", "-i", "add", "user", "daemon", "Account=left")
        short.run("sbatch", "--chdir=/", "--output=/dev/null", "--mem=10M", "--wrap", "sleep 999 & sleep 999",
                  user="daemon")  # fmt: skip
        clusters._until(lambda: _with_folder(short.conf, "sleep"), 30, "the job did not start")
    assert _with_folder(folder / "etc" / "slurm.conf", "") == []
    assert set(Path("/sys/fs/cgroup").glob("*/slurm_*")) - before == set()
    clusters.shutil.rmtree(folder)


def test_a_killed_controller_comes_back_with_its_queue(cluster, submit, eventually):
    written, before = cluster.folder / "state" / "job_state", time.time()
    number = submit("sleep 600", "--begin=now+1hour")
    # slurmctld writes its queue down a little later (SAVE_MAX_WAIT is 5 s); what is younger is lost.
    eventually(lambda: written.exists() and written.stat().st_mtime > before)
    time.sleep(1)
    cluster.kill("slurmctld", signal.SIGKILL)
    cluster.start("slurmctld")

    def listed():
        try:
            return number in cluster.run("squeue", "--noheader", "--format=%A").split()
        except Exception:  # noqa: BLE001 - not up yet
            return False

    assert eventually(listed)


def _with_folder(conf: Path, name: str) -> list[str]:
    """Processes whose environment names this cluster."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(conf).encode() in (process / "environ").read_bytes():
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found += [command] if command.startswith(name) else []
        except OSError:
            continue
    return found
