"""The factory as the keyholder talks to it: outwards only, with one connection for each thread."""

from dataclasses import dataclass
from typing import Self

from kifabrik.client.connection import Connection
from kifabrik.client.datasets import Datasets
from kifabrik.client.leases import Mailbox
from kifabrik.client.logs import Log
from kifabrik.client.objects import Objects
from kifabrik.client.runs import Runs
from kifabrik.client.tenants import Tenants
from kifabrik.keyholder.settings import Setting
from kifabrik.keyholder.state import State
from kifabrik.keyholder.vault import TOKEN


@dataclass(frozen=True)
class Factory:
    """Clients of one factory over one connection.

    Args:
        connection: To be closed.
        mailbox: Decisions, cosignatures, certificates.
        log: Heads, tiles, details.
        objects: Header objects.
        datasets: Statements by digest, grants, revocations, erasures.
        tenants: Recipient lists, removals.
        runs: Headers of logs.
    """

    connection: Connection
    mailbox: Mailbox
    log: Log
    objects: Objects
    datasets: Datasets
    tenants: Tenants
    runs: Runs

    @classmethod
    def over(cls, connection: Connection) -> Self:
        """Put the clients together."""
        return cls(
            connection,
            Mailbox(connection),
            Log(connection),
            Objects(connection),
            Datasets(connection),
            Tenants(connection),
            Runs(connection),
        )

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


def connect(state: State, *, patience_s: float) -> Factory:
    """Connect with the keyholder's token.

    Args:
        state: Knows address, authority and token.
        patience_s: How long a call goes on trying when the factory cannot be reached.
    """
    settings = state.settings
    token = state.vault.get(TOKEN).decode()
    ca_pem = settings.get(Setting.CA_PEM)
    return Factory.over(Connection(settings.get(Setting.FACTORY), token, ca_pem=ca_pem, patience_s=patience_s))
