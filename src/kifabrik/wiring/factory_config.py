"""The operator's settings: `factory.toml` in the factory's home folder."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from kifabrik.engines.slurm.queue_view import Form
from kifabrik.errors import UsageError
from kifabrik.launcher.care import AGENT_SOCKET
from kifabrik.meters.footprint import Site
from kifabrik.wiring.settings import Duration, Size, read_settings

FILE: Final = "factory.toml"
PORT: Final = 8470


class EngineKind(StrEnum):
    """What runs go to."""

    LOCAL = "local"
    SLURM = "slurm"


class SlurmConfig(BaseModel):
    """The cluster runs go to, where `engine` is `slurm`.

    Args:
        conf: Its slurm.conf; empty for the system's own.
        stub: Program and arguments that jobs run on their nodes; empty for the one of this installation.
        socket: Where the nodes' agents listen; `%n` stands for the node's name.
        output: Where jobs' own messages go, as sbatch's `--output`: faults of nodes, nothing of the customers'.
        partition: Where an order names none; empty for Slurm's default.
        attested: Feature in Slurm of the nodes that have a TPM, asked for where a grant wants attested nodes.
        form: How Slurm is asked to write of its jobs: `text`, or `json`, which is ten times the size.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    conf: str = ""
    stub: tuple[str, ...] = ()
    socket: str = AGENT_SOCKET
    output: str = "/dev/null"
    partition: str = ""
    attested: Annotated[str, Field(pattern=r"^([A-Za-z0-9_][A-Za-z0-9_.-]{0,63})?$")] = ""
    form: Form = Form.TEXT


class Direct(StrEnum):
    """Who may move objects to and from the object store without the service in between."""

    ALL = "all"
    NODES = "nodes"
    NONE = "none"


class ObjectsConfig(BaseModel):
    """Where sealed objects lie, if not in the home folder.

    Args:
        url: `s3://bucket/prefix`; empty for the folder `objects`.
        endpoint: Base URL of the store; empty for Amazon's of the region.
        region: Goes into signatures; Ceph takes any.
        path_style: Whether the bucket stands in the path; Amazon wants it in the name of the host.
        ca: PEM file of authorities to trust, relative to the home folder; empty for the system's.
        credentials: File in the form of `~/.aws/credentials`, relative to the home folder; empty for what the
            environment, that file, or the machine's role say.
        profile: Section of that file.
        direct: Who may move objects without the service in between.
        outside: Base URL under which those reach the store, if not as `endpoint` says.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, Field(pattern=r"^(s3://[^/?#@]+(/[^?#]*)?)?$")] = ""
    endpoint: Annotated[str, Field(pattern=r"^(https?://[^/?#@]+/?)?$")] = ""
    region: str = "us-east-1"
    path_style: bool = True
    ca: str = ""
    credentials: str = ""
    profile: str = ""
    direct: Direct = Direct.ALL
    outside: Annotated[str, Field(pattern=r"^(https?://[^/?#@]+/?)?$")] = ""


class SiteConfig(BaseModel):
    """What the operator states of the site, for runs' footprints.

    Args:
        carbon_g_per_kwh: Carbon intensity of its electricity by the grid's mix.
        market_g_per_kwh: The same by its contracts; left out if not stated.
        pue_percent: Power usage effectiveness, in percent: 115 for a PUE of 1.15.
        reused_percent: Share of the machines' energy that is handed on as heat.
        water_withdrawn_l_per_kwh: River water taken and given back, for each kWh of the machines.
        water_consumed_l_per_kwh: Water evaporated.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    carbon_g_per_kwh: Annotated[int, Field(ge=0)]
    market_g_per_kwh: Annotated[int, Field(ge=0)] | None = None
    pue_percent: Annotated[int, Field(ge=100)] = 100
    reused_percent: Annotated[int, Field(ge=0, le=100)] = 0
    water_withdrawn_l_per_kwh: Annotated[float, Field(ge=0)] = 0
    water_consumed_l_per_kwh: Annotated[float, Field(ge=0)] = 0

    def stated(self) -> Site:
        """The same as meters reckon with it."""
        return Site(
            self.carbon_g_per_kwh,
            self.pue_percent,
            self.market_g_per_kwh,
            self.reused_percent,
            round(1000 * self.water_withdrawn_l_per_kwh),
            round(1000 * self.water_consumed_l_per_kwh),
        )


class FactoryConfig(BaseModel):
    """Settings of a factory.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 for any free one.
        public_url: How customers reach it, if not as `host` and `port` say.
        database: SQLAlchemy URL without a password; empty for `factory.db` in the home folder.
        database_password_file: File with its password, relative to the home folder; empty for libpq's own ways.
        tls_cert: PEM file with the certificate chain; empty for plain HTTP.
        tls_key: PEM file with its key.
        prices: Price list, relative to the home folder.
        quota: Most bytes of sealed objects per tenant.
        keep_unregistered: Seconds after which an object is removed that was uploaded and never registered.
        objects: Where sealed objects lie, if not in the home folder.
        engine: What runs go to.
        slurm: The cluster, if they go to one.
        site: What turns energy into carbon, heat and water; without it footprints say nothing of these.
        meters: Folder of the plant's meters, which the operator's page shows; empty for none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = PORT
    public_url: str = ""
    database: str = ""
    database_password_file: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    prices: str = "prices.toml"
    quota: Size = 10**12
    keep_unregistered: Annotated[Duration, Field(ge=3600)] = 14 * 86_400
    objects: ObjectsConfig = ObjectsConfig()
    engine: EngineKind = EngineKind.LOCAL
    slurm: SlurmConfig = SlurmConfig()
    site: SiteConfig | None = None
    meters: str = ""

    @property
    def secure(self) -> bool:
        """Whether customers reach it by HTTPS."""
        return bool(self.tls_cert) or self.public_url.startswith("https:")

    @property
    def address(self) -> str:
        """Where customers reach it; empty where the port is any free one and nothing else is said."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "https" if self.tls_cert else "http"
        return self.public_url.rstrip("/") or (f"{scheme}://{host}:{self.port}" if self.port else "")


def read_config(home: Path) -> FactoryConfig:
    """Read the settings of a factory.

    Raises:
        UsageError: There is no factory in this folder, or a setting is wrong.
    """
    missing = UsageError(f"there is no factory in {home}", hint="Start one with 'kifabrik up'.")
    return read_settings(home / FILE, FactoryConfig, missing)


TEMPLATE: Final = """\
# Settings of this factory; docs/operations.md explains them all.
host = "127.0.0.1"
port = {port}
quota = "1TB"
engine = "{engine}"
"""
