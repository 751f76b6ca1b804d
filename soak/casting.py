"""Setting up: a factory that runs, and tenants with people."""

import os
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from kifabrik.errors import UnavailableError
from kifabrik.values import Place
from kifabrik.wiring.factory import OBJECTS, init_home, open_factory
from kifabrik.wiring.node import init_node
from kifabrik.wiring.runs import NODE
from soak.pace import in_time
from soak.parties import KIFABRIK, PASSPHRASE, Party, Tenant
from soak.proxy import proxy_command
from soak.services import Service

sys.path[:0] = [str(Path(__file__).parents[1] / "tests")]

from ports import free_port  # noqa: E402

PURPOSE = "upkeep"
START_S = 60.0
NODE_MB = 4000
"""Memory of the node: a run that asks for nearly all of it cannot have its data in memory too."""


def answers(port):
    """Whether somebody listens on a port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for_port(port, patience_s=START_S):
    """Wait until the service listens."""
    until = time.monotonic() + in_time(patience_s)
    while not answers(port):
        if time.monotonic() > until:
            raise SystemExit("the factory does not start; see factory.log")
        time.sleep(0.1)


@dataclass(frozen=True)
class Ensemble:
    """The factory as it runs.

    Args:
        party: Whoever operates it.
        stores: What it stands on.
        drives: Processes that drive the runs, or stand by for that.
        answers: Processes that only answer.
        proxy: In front of several; None where there is one.
        ports: Of all processes.
        port: Where everybody comes.
    """

    party: Party
    stores: object
    drives: list
    answers: list
    proxy: Service | None
    ports: list
    port: int
    turn: threading.Lock = field(default_factory=threading.Lock)
    """Held by whoever takes one of its processes away."""

    @property
    def processes(self):
        """All that serve."""
        return [*self.drives, *self.answers]

    @property
    def services(self):
        """All that run all the time, in the order in which they end."""
        return [*self.processes, *([self.proxy] if self.proxy else [])]

    def leader(self):
        """The process that drives the runs at present; None while none does, or nobody can say."""
        with suppress(UnavailableError):
            factory = open_factory(self.party.home / "factory")
            try:
                with factory.store.read() as transaction:
                    found = transaction.runs.leader("runs")
            finally:
                factory.store.close()
            pid = int(found.holder.partition("/")[0]) if found and found.holder else 0
            return next((one for one in self.drives if pid and one.pid == pid), None)
        return None

    def wait(self):
        """Wait until each process listens."""
        for port in {*self.ports, self.port}:
            wait_for_port(port)


def make_factory(folder, commands, cpus, stores, processes):
    """Make a factory's home that offers so many cores and `NODE_MB`, and start it; runs here mostly wait.

    Args:
        folder: Of the play.
        commands: Runs the operator's.
        cpus: Cores its node offers.
        stores: Where its rows and objects lie.
        processes: One drives; of several one stands by, if there are three, and the rest only answer.
    """
    home = Path(folder) / "factory"
    home.mkdir()
    party, ports = Party(home, commands, "factory"), [free_port() for _ in range(processes)]
    port = ports[0] if processes == 1 else free_port()
    init_home(home / "factory", port=ports[0])
    node = home / "factory" / NODE
    init_node(node, place=Place(country="DE"), objects=None if stores.bucket else home / "factory" / OBJECTS)
    _offer_much(node, cpus)
    stores.settle_in(home / "factory")
    proxy = _proxy(home, port, ports) if processes > 1 else None
    made = Ensemble(party, stores, *_processes(party, ports), proxy, ports, port)
    try:
        for service in made.services:
            service.start()
            if service is made.drives[0]:
                wait_for_port(ports[0])  # the others find a schema
        made.wait()
    except BaseException:
        for service in made.services:
            service.stop(5)
        raise
    return made


def _proxy(home, port, ports):
    settings = home / "factory" / "factory.toml"
    settings.write_text(f'public_url = "http://127.0.0.1:{port}"\n' + settings.read_text())
    return Service("proxy", proxy_command(home / "proxy", port, ports), dict(os.environ), home)


def _processes(party, ports):
    """Those that may drive, and those that only answer."""
    up = [KIFABRIK, "up"]
    rest = ports[1:]
    standing_by, answering = (rest[:1], rest[1:]) if len(rest) > 1 else ([], rest)
    drives = [("service", up)] + [("standby", [*up, "--port", port]) for port in standing_by]
    answers = [(f"answers-{n}", [*up, "--api-only", "--port", port]) for n, port in enumerate(answering, 1)]
    return [
        [Service(name, words, party.environment(), party.home) for name, words in many]
        for many in (drives, answers)
    ]


def _offer_much(node, cpus):
    settings = node / "node.toml"
    offered = {"cpus": str(cpus), "memory": f'"{NODE_MB}MB"'}
    lines = [_offer(line, offered) for line in settings.read_text().splitlines()]
    settings.write_text("\n".join(lines) + "\n")


def _offer(line, offered):
    name, equals, _ = line.partition(" = ")
    return f"{name} = {offered[name]}" if equals and name in offered else line


def make_tenant(folder, name, factory, port, commands):
    """Sign a customer up and give it people."""
    home = Path(folder) / name
    home.mkdir()
    steward = Party(home, commands, f"{name}/steward")
    secret, key_file = home / "passphrase.txt", home / "keyholder.key"
    secret.write_text(PASSPHRASE + "\n")
    secret.chmod(0o600)
    code = factory.insist("admin", "code", "--json", fragile=False).json()["code"]
    url = f"http://127.0.0.1:{port}"
    made = steward.insist(
        *("tenant", "create", "--factory", url, "--code", code, "--passphrase-file", secret),
        *("--key-file", key_file, "--json"),
        fragile=False,
    ).json()
    keyholder = Service(
        f"keyholder-{name}", [KIFABRIK, "keyholder", "run", "--key-file", key_file], steward.environment(), home
    )
    keyholder.start()
    engineer = Party(home / "engineer", commands, f"{name}/engineer")
    auditor = Party(home / "auditor", commands, f"{name}/auditor")
    tenant = Tenant(name, steward, engineer, auditor, keyholder, made["tenant"])
    for party, role in ((steward, "steward"), (engineer, "engineer"), (auditor, "auditor")):
        enrol(tenant, party, role)
    return tenant


def enrol(tenant, party, role, fragile=False):
    """Invite somebody and have them sign in; their member id."""
    party.home.mkdir(exist_ok=True)
    invitation = party.home / "invitation.json"
    words = ("tenant", "invite", "--role", role, "--name", party.name, "--out", invitation)
    tenant.sign(*words, fragile=False)
    party.member = party.insist("login", invitation, "--json", fragile=fragile).json()["member"]
    return party.member
