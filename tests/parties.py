"""Real parties for tests: a factory as a process of its own, and tenants with real keys and tokens.

Fixtures `factory` (one process for all tests of a session) and `tenant` (a fresh tenant each time).
"""

import hashlib
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path

import httpx
import pytest

from databases import use_postgres
from kifabrik.client.connection import Connection
from kifabrik.client.datasets import Datasets
from kifabrik.client.leases import Mailbox
from kifabrik.client.logs import Log
from kifabrik.client.objects import Objects
from kifabrik.client.tenants import Tenants
from kifabrik.datasets.manifest import BodyRef, Manifest, sign_manifest
from kifabrik.factory.factory import Factory
from kifabrik.leases.statements import Lease, LeasedItem, MemberRequest
from kifabrik.ledger.checkpoint import witness_name
from kifabrik.ledger.notes import Note
from kifabrik.seals.identities import Identity
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import sign_statement
from kifabrik.tenants.statements import Device, KeyholderStatement, Membership, RecipientList, Role
from kifabrik.values import Kind, format_time, new_id, now_utc, sha256_hex
from kifabrik.wiring.factory import init_home, open_factory

_SERVE = """
import sys
from pathlib import Path
from kifabrik.wiring.factory import serve
serve(Path(sys.argv[1]), ready=lambda url: print(url, flush=True))
"""


class FactoryProcess:
    """A factory's home and the process that serves it on a free loopback port."""

    program = _SERVE

    def __init__(self, home: Path) -> None:
        self.home = home
        if not (home / "factory.toml").exists():
            init_home(home, port=0)
            use_postgres(home / "factory.toml")
        self.log = home.parent / f"{home.name}.log"
        self._connections: list[Connection] = []
        self.start()

    def start(self) -> None:
        """Start the service; returns once it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", self.program, str(self.home)],
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONWARNINGS": "default"},
                text=True,
            )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url, self.log.read_text()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Stop the service and return its exit status."""
        self.process.send_signal(how)
        status = self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status

    def connect(self, token: str = "") -> Connection:
        """Open a connection that `close` closes."""
        connection = Connection(self.url, token, patience_s=20)
        self._connections.append(connection)
        return connection

    def close(self) -> None:
        """Stop the service if it runs, and close everything opened here."""
        if self.process.poll() is None:
            assert self.stop() == 0, self.log.read_text()
        for connection in self._connections:
            connection.close()
        self.inside.store.close()

    def kill(self) -> None:
        """Kill the service as a power cut would."""
        self.stop(signal.SIGKILL)

    @cached_property
    def inside(self) -> Factory:
        """The same factory opened by this process: a second process on one home."""
        return open_factory(self.home)

    def sign_up(self) -> "Party":
        """Sign a fresh tenant up."""
        return Party(self)


@dataclass
class Person:
    """A member with an enrolled device."""

    party: "Party"
    role: Role = Role.ENGINEER
    member: str = field(default_factory=lambda: new_id(Kind.MEMBER))
    key: SigningKey = field(default_factory=SigningKey.generate)
    identity: Identity = field(default_factory=Identity.generate)
    token: str = ""

    def __post_init__(self) -> None:
        invitation = SigningKey.generate()
        now, later = format_time(now_utc()), format_time(now_utc() + timedelta(days=7))
        self.membership = self.party.sign(
            Membership(self.party.tenant, self.member, self.role, invitation.public.hex, now, later)
        )
        self.device = sign_statement(
            Device(
                self.party.tenant,
                self.member,
                self.membership.digest,
                self.key.public.hex,
                self.identity.recipient.text,
                now,
            ),
            {"membership": self.membership.digest},
            invitation,
            self.key,
        )

    def enrol(self) -> "Person":
        """Enrol the device; its token is the person's from then on."""
        enrolled = Tenants(self.party.factory.connect()).enrol(self.membership, self.device)
        self.token = enrolled.token
        return self

    @cached_property
    def connection(self) -> Connection:
        """A connection with the device's token."""
        return self.party.factory.connect(self.token)

    def upload(self, *bodies: bytes) -> list[BodyRef]:
        """Upload ciphertext and return references to it."""
        objects = Objects(self.connection)
        return [BodyRef(objects.upload_bytes(body), len(body)) for body in bodies]

    def manifest(
        self, dataset: str, bodies: list[BodyRef], previous: Envelope | None = None, version: int = 1
    ) -> Envelope:
        """Sign a manifest over uploaded objects: headers, sealed contents, shards."""
        headers, contents, *shards = bodies
        return sign_manifest(
            Manifest(
                tenant=self.party.tenant,
                owner=dataset,
                version=version,
                previous=previous.digest if previous else "",
                recipient=self.party.recipients[dataset],
                headers=headers.sha256,
                headers_size=headers.size,
                sealed_manifest=contents,
                shards=tuple(shards),
                created=format_time(now_utc()),
            ),
            self.key,
        )

    def seal(self, dataset: str = "", shards: int = 2) -> Envelope:
        """Upload and register version 1 of a dataset (random bytes stand for ciphertext)."""
        dataset = dataset or self.party.new_dataset()
        manifest = self.manifest(dataset, self.upload(*(secrets.token_bytes(500) for _ in range(shards + 2))))
        Datasets(self.connection).register(manifest, None)
        return manifest

    def ask_for(self, *items: str, run: str = "") -> Envelope:
        """Sign a request for keys."""
        return sign_statement(
            MemberRequest(
                tenant=self.party.tenant,
                member=self.member,
                device_key=self.key.public.hex,
                recipient=self.identity.recipient.text,
                run=run or new_id(Kind.RUN),
                items=items,
                created=format_time(now_utc()),
                nonce=secrets.token_hex(16),
            ),
            {f"item {number}": item for number, item in enumerate(items)},
            self.key,
        )


class Party:
    """A tenant: the steward's tenant key, the keyholder's keys and token, and people as they are enrolled."""

    def __init__(self, factory: FactoryProcess) -> None:
        self.factory = factory
        self.tenant_key = SigningKey.generate()
        self.keyholder_key = SigningKey.generate()
        self.witness_key = SigningKey.generate()
        self.tenant = self.tenant_key.public.tenant_id
        self.recipients: dict[str, str] = {}
        self._lists = 0
        self.keyholder = self.keyholder_statement(1)
        created = Tenants(factory.connect()).create(
            factory.inside.accounts.make_code("test"), self.tenant_key.public.hex, self.keyholder
        )
        self.log_vkey, self.token = created.log_vkey, created.token

    def keyholder_statement(self, sequence: int) -> Envelope:
        """Sign a keyholder statement over the present keys."""
        return self.sign(
            KeyholderStatement(
                tenant=self.tenant,
                sequence=sequence,
                keyholder_key=self.keyholder_key.public.hex,
                witness_key=self.witness_key.public.hex,
                order_recipient=Identity.generate().recipient.text,
                catalogue_recipient=Identity.generate().recipient.text,
                recovery_recipient="",
                created=format_time(now_utc()),
            )
        )

    @cached_property
    def connection(self) -> Connection:
        """A connection with the keyholder's token."""
        return self.factory.connect(self.token)

    @property
    def mailbox(self) -> Mailbox:
        """What the keyholder does."""
        return Mailbox(self.connection)

    @property
    def log(self) -> Log:
        """The tenant's log."""
        return Log(self.connection)

    def sign(self, said: object, key: SigningKey | None = None) -> Envelope:
        """Sign a predicate about the tenant, by the tenant key unless another is given."""
        return sign_statement(said, {"tenant": sha256_hex(self.tenant.encode())}, key or self.tenant_key)

    def enrol(self, role: Role = Role.ENGINEER) -> Person:
        """Admit a person and enrol its device."""
        return Person(self, role).enrol()

    def new_dataset(self) -> str:
        """Publish a recipient for a new dataset and return its id."""
        dataset = new_id(Kind.DATASET)
        self.recipients[dataset] = Identity.generate().recipient.text
        self._lists += 1
        listed = RecipientList(self.tenant, self._lists, dict(self.recipients), format_time(now_utc()))
        Tenants(self.connection).publish_recipients(self.sign(listed, self.keyholder_key))
        return dataset

    def lease(self, request: Envelope, asked: MemberRequest, headers: dict[str, bytes]) -> Envelope:
        """Sign a lease that answers a member's request."""
        return self.sign(
            Lease(
                lease=new_id(Kind.LEASE),
                tenant=self.tenant,
                request=request.digest,
                order=sha256_hex(b"order"),
                run=asked.run,
                receiver=asked.member,
                run_key="",
                node_keys=(),
                recipient=asked.recipient,
                items=tuple(LeasedItem(item, hashlib.sha256(headers[item]).hexdigest()) for item in asked.items),
                grants=(),
                output_recipient="",
                environment="",
                log_index=0,
                log_size=1,
                log_root="00" * 32,
                created=format_time(now_utc()),
                expires=format_time(now_utc() + timedelta(hours=1)),
            ),
            self.keyholder_key,
        )

    def cosign(self) -> str:
        """Cosign the newest tree head as the keyholder does after checking it, and deliver it."""
        note = Note.parse(self.log.checkpoint())
        name = witness_name(self.tenant)
        text = note.signed(name, self.witness_key, int(now_utc().timestamp())).to_text()
        self.mailbox.cosign(text)
        return text

    def entries(self) -> list[dict[str, object]]:
        """Every entry of the log, read from the database by this process."""
        with self.factory.inside.store.read() as transaction:
            return [json.loads(data) for data in transaction.logs.entries(self.tenant, 0, 2**40)]


@pytest.fixture(scope="session")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FactoryProcess]:
    """A factory that runs for all tests of the session."""
    running = FactoryProcess(tmp_path_factory.mktemp("parties") / "factory")
    yield running
    running.close()


@pytest.fixture
def http(factory: FactoryProcess) -> Iterator[httpx.Client]:
    """A plain HTTP client of the shared factory, for requests no proper client makes."""
    with httpx.Client(base_url=factory.url, verify=False) as client:
        yield client


@pytest.fixture
def own_factory(tmp_path: Path) -> Iterator[FactoryProcess]:
    """A factory of the test's own, to be stopped, killed and started again."""
    running = FactoryProcess(tmp_path / "factory")
    yield running
    running.close()


@pytest.fixture
def tenant(factory: FactoryProcess) -> Party:
    """A fresh tenant of the shared factory."""
    return factory.sign_up()
