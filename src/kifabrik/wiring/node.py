"""A node's home: what it offers, its key, and how its launchers are started.

`node.toml` is written once from what the machine has; the operator may change it, and the factory takes
the change when it starts. `node.key` (Ed25519, 32 bytes, mode 0600) makes what launchers sign attributable.
"""

import json
import os
import socket
import sys
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from kifabrik.durable import make_folder, write_whole
from kifabrik.environments.pythons import find_python
from kifabrik.errors import UsageError
from kifabrik.factory.capacity import Gpu
from kifabrik.factory.node_records import NodeRecord
from kifabrik.launcher.care import AGENT_SOCKET, LEAST_DISK, LEAST_MEMORY, Scrub
from kifabrik.launcher.node import BLOCK_CACHE, idle_power
from kifabrik.sandbox.streamed import cannot_stream
from kifabrik.sandbox.uids import DEFAULT_RANGE
from kifabrik.sensors.nvml import gpus as nvml_gpus
from kifabrik.signatures.keys import KEY_BYTES, SigningKey, VerifyKey
from kifabrik.values import Kind, Place, format_time, new_id, now_utc
from kifabrik.wiring.settings import Size, read_settings

FILE: Final = "node.toml"
KEY: Final = "node.key"
LAUNCHERS: Final = "launchers"
RUNS: Final = "runs"

_PYTHONS: Final = tuple(f"3.{minor}" for minor in range(11, 20))
_FEW_CORES: Final = 4
_LEAST_MEMORY_KEPT: Final = 500 * 10**6
_LARGEST_CGROUP_LIMIT: Final = 2**60
"""A cgroup v1 without a limit says a number near 2^63."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GpuConfig(_Section):
    """One GPU; `index` is the N of its device file `/dev/nvidiaN`."""

    index: Annotated[int, Field(ge=0)]
    model: str
    memory: Size


class PlaceConfig(_Section):
    """Where the node is; empty means not stated."""

    country: str = ""
    site: str = ""
    node_class: str = ""


class UidsConfig(_Section):
    """User ids of runs, set aside for them on this machine."""

    first: Annotated[int, Field(ge=1000, lt=2**31)] = DEFAULT_RANGE.first
    count: Annotated[int, Field(ge=1, lt=2**20)] = DEFAULT_RANGE.count


def _idle_power(watts: dict[str, float]) -> dict[str, float]:
    try:
        idle_power(watts)
    except UsageError as error:
        raise ValueError(error.message) from None
    return watts


class NodeConfig(_Section):
    """What `node.toml` says.

    Args:
        node: Node id.
        name: The operator's name of the node.
        cpus: Cores that runs may use together.
        memory: Memory that runs may use together, in bytes.
        pythons: Python versions environments can have here.
        place: Where it is.
        gpus: Its GPUs.
        objects: Folder of the factory's objects if the node can read it directly, or empty.
        environments: Folder of built environments; empty for one in the node's home.
        runs: Folder for what runs need on disk; empty for one in the node's home.
        block_cache: Most ciphertext kept on this node's disk for a run that streams over the network, in bytes.
        tpm: The node's TPM as tpm2-tools name it, such as `device:/dev/tpmrm0`; empty for none.
        run_uids: User ids of runs on this machine.
        locks: Folder of the locks on user ids and GPUs; empty for the machine's own.
        scrub: Of which jobs GPUs are overwritten afterwards.
        least_disk: What must be free where runs write, in bytes, for Slurm's prolog to let a job begin.
        least_memory: The same of memory.
        factory: Where the service is, for a node of a cluster; empty for the service's own machine.
        ca: PEM file with a certificate authority to trust for that besides the system's; empty for none.
        socket: Where the node's agent listens for the stubs of jobs.
        fabric: Address at which the other nodes of a run reach this one; empty for the one from which it reaches
            the factory.
        idle_watts: What each RAPL zone draws while the node is idle, in watts, by the zone's name.
        launcher: Module or file with the launcher's `main`, and its arguments; empty for kifabrik's own.
    """

    node: str
    name: str
    cpus: Annotated[int, Field(ge=1)]
    memory: Annotated[Size, Field(ge=1)]
    pythons: tuple[str, ...]
    place: PlaceConfig = PlaceConfig()
    gpus: tuple[GpuConfig, ...] = ()
    objects: str = ""
    environments: str = ""
    runs: str = ""
    block_cache: Annotated[Size, Field(ge=0)] = BLOCK_CACHE
    tpm: str = ""
    run_uids: UidsConfig = UidsConfig()
    locks: str = ""
    scrub: Scrub = Scrub.OURS
    least_disk: Annotated[Size, Field(ge=0)] = LEAST_DISK
    least_memory: Annotated[Size, Field(ge=0)] = LEAST_MEMORY
    factory: str = ""
    ca: str = ""
    socket: str = AGENT_SOCKET
    fabric: str = ""
    idle_watts: Annotated[dict[str, float], AfterValidator(_idle_power)] = Field(default_factory=dict)
    launcher: tuple[str, ...] = ()

    def record(self, key: SigningKey) -> NodeRecord:
        """What the factory enrols."""
        return NodeRecord(
            node=self.node,
            name=self.name,
            key=key.public.hex,
            place=Place(self.place.country, self.place.site, self.place.node_class),
            cpus=self.cpus,
            memory_bytes=self.memory,
            gpus=tuple(Gpu(gpu.index, gpu.model, gpu.memory) for gpu in self.gpus),
            pythons=self.pythons,
            created=format_time(now_utc()),
            streams=not cannot_stream(),
        )


def init_node(
    home: Path,
    *,
    place: Place,
    objects: Path | None = None,
    name: str = "",
    factory: str = "",
    ca: Path | None = None,
) -> NodeConfig:
    """Make a node's home from what this machine has; one that exists is left as it is.

    Args:
        home: Folder, made if missing; only its owner may enter it.
        place: Where the node is.
        objects: Folder of the factory's objects, if it is on this machine.
        name: The operator's name of it; empty for the machine's. On a cluster it is Slurm's name of the node.
        factory: Where the service is, for a node of a cluster.
        ca: PEM file with a certificate authority to trust for that.

    Raises:
        UsageError: The home exists and says something wrong.
    """
    make_folder(home)
    if not (home / KEY).exists():
        write_whole(home / KEY, SigningKey.generate().seed)
    if not (home / FILE).exists():
        write_whole(home / FILE, _describe_machine(place, objects, name, factory, ca).encode())
    return read_node(home)


def read_node(home: Path) -> NodeConfig:
    """Read what a node's home says.

    Raises:
        UsageError: There is no node in this folder, or a setting is wrong; the message names it.
    """
    missing = UsageError(f"there is no node in {home}", hint="Make one with: kifabrik up")
    return read_settings(home / FILE, NodeConfig, missing)


def read_key(home: Path) -> SigningKey:
    """Read a node's key.

    Raises:
        UsageError: It is missing or malformed.
    """
    try:
        seed = (home / KEY).read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{home / KEY} is missing", hint="Make a node with: kifabrik up") from None
    if len(seed) != KEY_BYTES:
        raise UsageError(f"{home / KEY} is not a node key", hint="Put it back from your backup.")
    return SigningKey(seed)


def read_enrolment(file: Path) -> NodeRecord:
    """Read what `kifabrik node init --json` wrote.

    Raises:
        UsageError: The file is something else.
    """
    try:
        record: NodeRecord = TypeAdapter(NodeRecord).validate_json(file.read_bytes())
        VerifyKey.from_hex(record.key)
    except (ValidationError, UsageError):
        raise UsageError(
            f"{file} does not describe a node", hint="Make it on the node: kifabrik node init --home FOLDER --json"
        ) from None
    return record


def launcher_command(home: Path, config: NodeConfig) -> list[str]:
    """Program and arguments of the template that launchers are forked from."""
    launcher = config.launcher or ("kifabrik.launcher.__main__", "--node-home", str(home.resolve()))
    return [sys.executable, "-P", "-m", "kifabrik.engines.local.template", *launcher]


def _describe_machine(place: Place, objects: Path | None, name: str, factory: str, ca: Path | None) -> str:
    text = _TEMPLATE.format(
        node=json.dumps(new_id(Kind.NODE)),
        name=json.dumps(name or socket.gethostname() or "node"),
        cpus=_cores(),
        memory=_memory_bytes(),
        pythons=json.dumps(_pythons()),
        objects=json.dumps(str(objects.resolve()) if objects else ""),
        country=json.dumps(place.country),
        site=json.dumps(place.site),
        node_class=json.dumps(place.node_class),
        factory=json.dumps(factory),
        ca=json.dumps(str(ca.resolve()) if ca else ""),
    )
    for gpu in nvml_gpus():
        text += (
            f"\n[[gpus]]\nindex = {gpu.minor}\n"
            f"model = {json.dumps(short_model(gpu.model))}\nmemory = {gpu.memory_bytes}\n"
        )
    return text


def short_model(name: str) -> str:
    """The name a job file uses for a GPU: `H100` for `NVIDIA H100 80GB HBM3`, `RTX4090` for a GeForce."""
    words = [word for word in name.replace("-", " ").split() if word.upper() not in _NOT_MODELS]
    if len(words) > 1 and words[0].upper() == "RTX":
        return f"RTX{words[1]}" if words[1][0].isdigit() else words[1]
    return words[0] if words else name


_NOT_MODELS: Final = frozenset({"NVIDIA", "TESLA", "GEFORCE", "QUADRO", "GRID"})


def _cores() -> int:
    """Cores for runs: all of a small machine, else one in sixteen stays with the factory."""
    cores = len(os.sched_getaffinity(0))
    return cores if cores <= _FEW_CORES else cores - max(1, cores // 16)


def _memory_bytes() -> int:
    """Memory for runs: a tenth, and at least 500 MB, stays with the factory."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for file in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            limit = (Path("/sys/fs/cgroup") / file).read_text().strip()
        except OSError:
            continue
        if limit.isdigit() and int(limit) < _LARGEST_CGROUP_LIMIT:
            total = min(total, int(limit))
    return max(_LEAST_MEMORY_KEPT, total - max(total // 10, _LEAST_MEMORY_KEPT))


def _pythons() -> list[str]:
    found = []
    for version in _PYTHONS:
        try:
            find_python(version)
        except UsageError:
            continue
        found.append(version)
    return found


_TEMPLATE: Final = """\
# What this node offers to runs; docs/operations.md explains every setting. Changes count from the next start.
node = {node}
name = {name}
cpus = {cpus}
memory = {memory}
pythons = {pythons}

# Where launchers read the factory's objects directly; empty to fetch them from the service.
objects = {objects}

# Where this node's agent finds the service, on a cluster; empty on the service's own machine.
factory = {factory}
ca = {ca}

[place]
country = {country}
site = {site}
node_class = {node_class}
"""
