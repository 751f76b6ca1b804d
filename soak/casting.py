"""Setting up: a factory that runs, and tenants with people."""

import socket
import sys
import time
from pathlib import Path

from kifabrik.values import Place
from kifabrik.wiring.factory import OBJECTS, init_home
from kifabrik.wiring.node import init_node
from kifabrik.wiring.runs import NODE
from soak.parties import KIFABRIK, PASSPHRASE, Party, Tenant
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
    until = time.monotonic() + patience_s
    while not answers(port):
        if time.monotonic() > until:
            raise SystemExit("the factory does not start; see factory.log")
        time.sleep(0.1)


def make_factory(folder, commands, cpus):
    """Make a factory's home that offers so many cores and `NODE_MB`, and start it; runs here mostly wait."""
    home = Path(folder) / "factory"
    home.mkdir()
    party, port = Party(home, commands, "factory"), free_port()
    init_home(home / "factory", port=port)
    node = home / "factory" / NODE
    init_node(node, place=Place(country="DE"), objects=home / "factory" / OBJECTS)
    settings = node / "node.toml"
    offered = {"cpus": str(cpus), "memory": f'"{NODE_MB}MB"'}
    lines = [_offer(line, offered) for line in settings.read_text().splitlines()]
    settings.write_text("\n".join(lines) + "\n")
    service = Service("service", [KIFABRIK, "up"], party.environment(), home)
    service.start()
    wait_for_port(port)
    return party, service, port


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
