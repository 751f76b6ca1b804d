"""What a test cluster is made of, and the files its daemons read.

Invariants:
- every path lies in the cluster's own folder and every port in its own range, so clusters do not meet; job numbers
  start at a hundred times the first port, as control groups are named by node, user and job;
- nodes claim more cores, memory and GPUs than the machine has (`config_overrides`), so what is tested is
  Slurm's and our own bookkeeping and isolation, never speed;
- what this machine's kernel can enforce is on: process tracking, memory limits and GPU devices by control groups.

Source: slurm.conf(5), slurmdbd.conf(5), gres.conf(5), cgroup.conf(5) of Slurm 22.05.
"""

import random
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cluster_network import Network

CLUSTER: Final = "kifatest"
SLURM_USER: Final = "slurm"
DATABASE_PASSWORD: Final = "kifatest"
"""Of a database that listens on the loopback of a test machine and holds nothing but test jobs."""
GPU_MAJOR: Final = 195
"""Device number of NVIDIA GPUs (Documentation/admin-guide/devices.txt). Without a driver, opening one says
ENXIO where the control group lets it through and EPERM where it does not: that is what tests look at."""


@dataclass(frozen=True)
class ClusterSpec:
    """What to build.

    Args:
        folder: Of the cluster; made if missing.
        nodes: How many, named `n1`, `n2` and so on.
        gpus: Of each node.
        cpus: Of each node, as claimed.
        memory_mb: Of each node, as claimed.
        node_timeout_s: After how many seconds of silence a node counts as down.
        grace_s: Between SIGTERM and the end of a preempted job.
        prolog: Program that each node runs as root before a job; empty for none.
        epilog: The same, after a job.
        extra: More lines of slurm.conf.
        extra_partitions: More of them, one a line.
        own_network: Whether each node has a network namespace and an address of its own; at most 240 can.
        beside: Daemons that run as root beside every slurmd, in the node's network: command by name. In its
            words `{node}`, `{folder}`, `{address}` and `{cluster}` are replaced: the node's name, a folder of its
            own, its address, and the cluster's folder.
    """

    folder: Path
    nodes: int = 4
    gpus: int = 8
    cpus: int = 16
    memory_mb: int = 64_000
    node_timeout_s: int = 300
    grace_s: int = 5
    prolog: str = ""
    epilog: str = ""
    extra: str = ""
    extra_partitions: str = ""
    own_network: bool = False
    beside: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def node_names(self) -> list[str]:
        """All of them, in order."""
        return [f"n{number}" for number in range(1, self.nodes + 1)]


@dataclass(frozen=True)
class Ports:
    """Port numbers of one cluster; those of the nodes follow each other from `first_node` on."""

    control: int
    accounting: int
    database: int
    first_node: int


def free_ports(nodes: int) -> Ports:
    """Find a range of free ports below those the kernel gives out by itself (32768).

    Raises:
        RuntimeError: There is none.
    """
    for start in random.sample(range(17_000, 30_000, 1_500), 9):  # so that two that start at once rarely meet
        wanted = [start, start + 1, start + 2, start + 3, start + 2 + nodes]
        if all(_is_free(port) for port in wanted):
            return Ports(start, start + 1, start + 2, start + 3)
    raise RuntimeError("no free range of ports between 17000 and 30000")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def slurm_conf(spec: ClusterSpec, ports: Ports, network: Network) -> str:
    """Text of slurm.conf."""
    folder = spec.folder
    hooks = "".join(f"{name}={path}\n" for name, path in (("Prolog", spec.prolog), ("Epilog", spec.epilog)) if path)
    last = ports.first_node + spec.nodes - 1
    range_of = (f"[1-{spec.nodes}]", f"[{ports.first_node}-{last}]") if spec.nodes > 1 else ("1", str(last))
    gres = f"Gres=gpu:h200:{spec.gpus} " if spec.gpus else ""
    return f"""\
ClusterName={CLUSTER}
SlurmctldHost={socket.gethostname()}({network.address})
SlurmUser={SLURM_USER}
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/munge.socket
CryptoType=crypto/munge
SlurmctldPort={ports.control}
SlurmdPort={ports.first_node}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd.%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/%n.log
SlurmctldDebug=info
SlurmdDebug=info
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SlurmctldTimeout=120
SlurmdTimeout={spec.node_timeout_s}
MessageTimeout={60 if spec.nodes > 100 else 20}
TCPTimeout=10
InactiveLimit=0
KillWait=5
MinJobAge=300
MaxJobCount=200000
FirstJobId={ports.control * 100}
MaxArraySize=20001
BatchStartTimeout=60
CompleteWait=0
PrologFlags=Alloc
{hooks}ProctrackType=proctrack/cgroup
TaskPlugin=task/cgroup
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=5
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=1,bf_continue,requeue_delay=0,nohold_on_prolog_fail
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=100
PriorityType=priority/multifactor
PriorityWeightFairshare=100000
PriorityWeightAge=1000
PriorityDecayHalfLife=1-0
PriorityCalcPeriod=1
PriorityWeightQOS=10000
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost={network.address}
AccountingStoragePass={folder}/munge/munge.socket
AccountingStoragePort={ports.accounting}
AccountingStorageTRES=gres/gpu
AccountingStorageEnforce=associations,limits,qos
AccountingStoreFlags=job_comment,job_script
GresTypes=gpu
Licenses=solver:2
SlurmdParameters=config_overrides
LaunchParameters=enable_nss_slurm
TopologyPlugin=topology/tree
{spec.extra}
NodeName=n{range_of[0]} Port={range_of[1]} NodeHostname={socket.gethostname()} NodeAddr={network.node_addresses} \
CPUs={spec.cpus} RealMemory={spec.memory_mb} {gres}Feature=standard,de State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
PartitionName=scavenge Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE \
GraceTime={spec.grace_s}
{spec.extra_partitions}"""


def slurmdbd_conf(spec: ClusterSpec, ports: Ports) -> str:
    """Text of slurmdbd.conf."""
    folder = spec.folder
    return f"""\
AuthType=auth/munge
AuthInfo=socket={folder}/munge/munge.socket
DbdHost={socket.gethostname()}
DbdAddr=127.0.0.1
DbdPort={ports.accounting}
SlurmUser={SLURM_USER}
DebugLevel=info
LogFile={folder}/log/slurmdbd.log
PidFile={folder}/run/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={ports.database}
StorageUser={SLURM_USER}
StoragePass={DATABASE_PASSWORD}
StorageLoc=slurm_acct
"""


def gres_conf(spec: ClusterSpec) -> str:
    """Text of gres.conf: the same device files on every node."""
    if not spec.gpus:
        return ""
    files = f"[0-{spec.gpus - 1}]" if spec.gpus > 1 else "0"
    return f"AutoDetect=off\nName=gpu Type=h200 File={spec.folder}/dev/nvidia{files}\n"


def cgroup_conf(mount: str) -> str:
    """Text of cgroup.conf; cores are not constrained, as nodes claim more than the machine has."""
    return f"""\
CgroupPlugin=cgroup/v1
CgroupMountpoint={mount}
ConstrainCores=no
ConstrainRAMSpace=yes
ConstrainSwapSpace=no
ConstrainDevices=yes
"""


def topology_conf(spec: ClusterSpec) -> str:
    """Text of topology.conf: leaf switches of at most 32 nodes below one."""
    names = spec.node_names
    leaves = [names[start : start + 32] for start in range(0, len(names), 32)]
    if len(leaves) == 1 and len(names) > 1:
        half = (len(names) + 1) // 2
        leaves = [names[:half], names[half:]]
    lines = [f"SwitchName=leaf{number} Nodes={','.join(leaf)}" for number, leaf in enumerate(leaves, 1)]
    lines.append(f"SwitchName=spine Switches={','.join(f'leaf{n}' for n in range(1, len(leaves) + 1))}")
    return "\n".join(lines) + "\n"


def mariadb_conf(spec: ClusterSpec, ports: Ports) -> str:
    """Text of my.cnf, with what slurmdbd wants of InnoDB and no care for a power cut."""
    folder = spec.folder
    return f"""\
[mysqld]
user=mysql
datadir={folder}/database/data
socket={folder}/database/mysqld.sock
pid-file={folder}/database/mysqld.pid
log-error={folder}/log/mariadb.log
bind-address=127.0.0.1
port={ports.database}
innodb_buffer_pool_size={"512M" if spec.nodes > 100 else "96M"}
innodb_log_file_size=48M
innodb_lock_wait_timeout=900
innodb_flush_log_at_trx_commit=0
innodb_use_native_aio=0
skip-name-resolve
"""
