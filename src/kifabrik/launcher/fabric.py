"""Where the other nodes of a run reach this one, and how large a packet gets there."""

import json
import socket
import subprocess
from typing import Any
from urllib.parse import urlsplit

from kifabrik.errors import UnavailableError, UsageError
from kifabrik.sandbox.network import LARGEST_MTU, underlay_address
from kifabrik.sandbox.programs import find_program


def own_underlay(stated: str, factory: str) -> tuple[str, int]:
    """Return this node's address among the nodes and its network's MTU.

    Args:
        stated: What `node.toml` says, or empty for the address from which the factory is reached.
        factory: The service's URL.

    Raises:
        UsageError: The address is none that other nodes can reach.
        UnavailableError: It is not on this machine.
    """
    address = str(underlay_address(stated or _address_towards(factory)))
    shown = subprocess.run(
        [find_program("ip"), "-json", "address", "show", "to", address],
        cwd="/",
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    links: list[dict[str, Any]] = json.loads(shown.stdout or "[]")
    found = [int(link["mtu"]) for link in links if "mtu" in link]
    if not found:
        raise UnavailableError(
            f"this node does not have the address {address}",
            hint="Correct `fabric` in node.toml: it is this node's address in the network of the nodes.",
        )
    return address, min(*found, LARGEST_MTU)


def _address_towards(factory: str) -> str:
    parts = urlsplit(factory)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        (family, kind, protocol, _, target), *_ = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_DGRAM)
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(target)  # of a datagram socket: nothing is sent
            return str(probe.getsockname()[0])
    except OSError:
        raise UsageError(
            "this node's address in the network of the nodes is not known",
            hint="Set `fabric` in node.toml to it.",
        ) from None
