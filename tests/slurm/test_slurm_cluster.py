"""The test cluster is what the other tests take it for."""

import os
import re
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
    with clusters.running(ClusterSpec(folder, nodes=1, gpus=1)) as short:
        short.run("sacctmgr", "-i", "add", "account", "left", "Description=x", "Organization=x")
        short.run("sacctmgr", "-i", "add", "user", "daemon", "Account=left")
        number = short.run("sbatch", "--parsable", "--chdir=/", "--output=/dev/null", "--mem=10M", "--wrap",
                           "sleep 999 & sleep 999", user="daemon").strip()  # fmt: skip
        clusters._until(lambda: _with_folder(short.conf, "sleep"), 30, "the job did not start")
        assert _groups_of(number)
    assert _with_folder(folder / "etc" / "slurm.conf", "") == []
    assert _groups_of(number) == []
    clusters.shutil.rmtree(folder)


@pytest.fixture(scope="module")
def networked():
    """Two nodes with addresses of their own, and a daemon beside each that says where it runs."""
    reason = clusters.missing()
    if reason:
        pytest.skip(reason)
    folder = Path(f"/tmp/kifabrik-slurm-networked-{os.getpid()}")
    says = "echo {node} {address} $(ip -4 -o addr show eth0) > {folder}/said; exec sleep 9999"
    spec = ClusterSpec(folder, nodes=2, gpus=0, own_network=True, beside={"agent": ("sh", "-c", says)})
    with clusters.running(spec) as found:
        found.run("sacctmgr", "-i", "add", "account", "net", "Description=x", "Organization=x")
        found.run("sacctmgr", "-i", "add", "user", "daemon", "Account=net")
        yield found
    clusters.shutil.rmtree(folder)


def test_nodes_can_have_addresses_of_their_own_and_reach_each_other(networked):
    settings = dict(line.split("=", 1) for line in networked.conf.read_text().splitlines() if "=" in line)
    port_of_n2 = re.search(r" Port=(\d+)", networked.run("scontrol", "--oneliner", "show", "node", "n2"))[1]
    others = ((networked.address_of("n2"), port_of_n2), (networked.network.address, settings["SlurmctldPort"]))
    connect = ";".join(f"exec 3<>/dev/tcp/{address}/{port} && echo reached" for address, port in others)
    said = networked.run("srun", "--mem=10M", "--nodelist=n1", "--chdir=/", "bash", "-c",
                         f"ip -4 -o addr show eth0; {connect}", user="daemon")  # fmt: skip
    assert f"inet {networked.address_of('n1')}/24" in said
    assert said.count("reached") == len(others)


def test_what_runs_beside_a_slurmd_runs_in_its_network_and_can_be_started_again(networked, eventually):
    for node in ("n1", "n2"):
        file, address = networked.folder_of(node) / "said", networked.address_of(node)
        said = eventually(lambda file=file: file.exists() and file.read_text())
        assert said.startswith(f"{node} {address} ")
        assert f"inet {address}/24" in said
    first = networked.pid_of("n1.agent")
    networked.kill("n1.agent")
    networked.start("n1.agent")
    assert networked.pid_of("n1.agent") != first


def test_another_daemon_can_be_started_beside_a_slurmd_later(networked, eventually):
    networked.start_beside("n2", "late", "sh", "-c", "ip -4 -o addr show eth0 > {folder}/late; exec sleep 9999")
    said = networked.folder_of("n2") / "late"
    assert networked.address_of("n2") in eventually(lambda: said.exists() and said.read_text())
    os.kill(networked.pid_of("n2.late"), 0)


def test_of_a_cluster_whose_supervisor_is_killed_nothing_is_left(eventually):
    reason = clusters.missing()
    if reason:
        pytest.skip(reason)
    folder = Path(f"/tmp/kifabrik-slurm-orphan-{os.getpid()}")
    spec = ClusterSpec(folder, nodes=1, gpus=1, own_network=True, beside={"agent": ("sleep", "9999")})
    with clusters.running(spec) as orphan:
        network = orphan.network
        clusters.subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(orphan.folder_of("n1"))], check=True)
        os.kill(int((folder / "run" / "supervisor.pid").read_text()), signal.SIGKILL)
        eventually(lambda: not _with_folder(orphan.conf, ""))
        eventually(lambda: not (Path("/sys/class/net") / network.bridge).exists())
    assert not (clusters.networks.NAMESPACES / network.namespace(1)).exists()
    assert str(folder) not in Path("/proc/self/mountinfo").read_text()
    clusters.shutil.rmtree(folder)


def test_a_killed_controller_comes_back_with_its_queue(cluster, submit, eventually):
    number = submit("sleep 600", "--begin=now+1hour")
    written, before = cluster.folder / "state" / "job_state", time.time()
    # slurmctld writes its queue down a little later (SAVE_MAX_WAIT is 5 s); what is younger is lost. What was
    # written after a change that followed the job has the job in it.
    cluster.run("scontrol", "update", f"JobId={number}", "Nice=1")
    eventually(lambda: written.exists() and written.stat().st_mtime > before + 1)
    cluster.kill("slurmctld", signal.SIGKILL)
    cluster.start("slurmctld")

    def listed():
        try:
            return number in cluster.run("squeue", "--noheader", "--format=%A").split()
        except Exception:  # noqa: BLE001 - not up yet
            return False

    assert eventually(listed)


def _groups_of(number: str) -> list[Path]:
    """Control groups of a job; no other cluster of this machine has its number, and node names are shared."""
    return list(Path("/sys/fs/cgroup").glob(f"*/slurm_*/uid_*/job_{number}"))


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
