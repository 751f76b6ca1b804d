"""A whole house around a keyholder: a simulated factory, people with devices, datasets, runs, launchers.

Keys, signatures, ciphertext and the log are real; only HTTP and processes are left out. Fixture `house`.
"""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from kifabrik.datasets.manifest import Manifest, sign_manifest
from kifabrik.datasets.packing import plan_shards
from kifabrik.errors import IntegrityError
from kifabrik.grants.statements import Grant
from kifabrik.jobs.private import PATH
from kifabrik.keyholder.events import Event, EventKind
from kifabrik.keyholder.keyholder import Keyholder
from kifabrik.keyholder.round import Round
from kifabrik.keyholder.settings import Setting
from kifabrik.keyholder.setup import accept_sign_up, make_folder
from kifabrik.keyholder.state import open_state
from kifabrik.keyholder.steward import Steward
from kifabrik.keyholder.tenant_key import load_tenant_key
from kifabrik.keyholder.unlocking import Passphrase
from kifabrik.leases.statements import AttemptRequest, Lease, MemberRequest, Refusal, RequestingNode
from kifabrik.ledger.entry import EntryKind
from kifabrik.meters.reading import Reading
from kifabrik.orders.order import Input, Order, sign_order
from kifabrik.runs.statements import Finish, LogStream
from kifabrik.runs.states import Outcome
from kifabrik.seals.header import split_headers
from kifabrik.seals.identities import Identity
from kifabrik.seals.opening import open_header
from kifabrik.seals.recipients import Recipient
from kifabrik.seals.sealing import make_header, new_file_key
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey, VerifyKey
from kifabrik.signatures.statements import Statement, read_unverified, sign_statement, verify_statement
from kifabrik.tenants.invitation import Invitation
from kifabrik.tenants.statements import Device, RecipientList, Role
from kifabrik.transfer.opening import open_contents, unpack
from kifabrik.transfer.sealing import Sealer, VersionHead
from kifabrik.values import Kind, Place, Resources, format_time, new_id, now_utc, sha256_hex
from kifabrik.wire.leases import MailKind
from simulated_factory import SimulatedFactory

PASSPHRASE = "correct horse"
WORK = 2
"""scrypt work factor of tests; it only has to work, not to resist."""
PURPOSE = "predictive-maintenance"


@dataclass
class SetClock:
    """A wall clock that a test sets."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return now_utc() + self.ahead


@dataclass
class Person:
    """A member with an enrolled device."""

    house: "House"
    invitation: Invitation
    member: str
    key: SigningKey = field(default_factory=SigningKey.generate)
    identity: Identity = field(default_factory=Identity.generate)

    def seal(self, files: dict[str, bytes], dataset: str = "", previous: Envelope | None = None) -> Envelope:
        """Seal files as the next version of a dataset, register it, and return its manifest."""
        recipients = self.house.recipients()
        dataset = dataset or self.house.unused_dataset()
        envelope = self.sealed(files, dataset, recipients[dataset], previous)
        self.house.factory.put(
            EntryKind.DATASET_SEALED, envelope, dataset=dataset, manifest=envelope.digest, member=self.member
        )
        return envelope

    def sealed(
        self, files: dict[str, bytes], owner: str, recipient: str, previous: Envelope | None = None
    ) -> Envelope:
        """Seal and sign, without registering."""
        manifest = self.house.sealed(files, owner, recipient, previous)
        return sign_manifest(manifest, self.key)

    def order(self, *inputs: Envelope, files: dict[str, bytes] | None = None, **wishes) -> "Run":
        """Order a run with sealed code, and hand the order in."""
        run = wishes.pop("run", None) or new_id(Kind.RUN)
        code = wishes.pop("code_manifest", None)
        if code is None:
            recipient = self.house.state.statement.order_recipient
            files = files or {PATH: b"{}", "work/train.py": b"print('train')\n"}
            code = self.sealed(files, f"{run}/code", recipient)
        said = Order(
            **{
                "run": run,
                "tenant": self.house.factory.tenant,
                "member": self.member,
                "purpose": PURPOSE,
                "inputs": tuple(as_input(one) for one in inputs),
                "code": code.digest,
                "lock": "ab" * 32,
                "python": "3.11",
                "resources": Resources(),
                "place": Place(),
                "outputs": 1,
                "publish": (),
                "checkpoint": True,
                "attempts": 2,
                "retry_on": (),
                "max_duration_s": 600,
                "budget_micro_eur": 0,
                "priority": 0,
                "ask": False,
                "created": self.house.now(),
                "deadline": format_time(self.house.clock() + timedelta(hours=8)),
                "nonce": secrets.token_hex(16),
                "keyholder": self.house.state.statement.sequence,
            }
            | wishes
        )
        envelope = sign_order(said, self.key)
        factory = self.house.factory
        factory.statements[code.digest] = code
        factory.put(EntryKind.RUN_ORDERED, envelope, order=envelope.digest, run=run, member=self.member)
        return Run(self.house, envelope, code, list(inputs))

    def ask_for(self, run: str, *items: Envelope, **changes) -> str:
        """Ask for the keys of results, and return the request's digest."""
        said = MemberRequest(
            tenant=self.house.factory.tenant,
            member=self.member,
            device_key=self.key.public.hex,
            recipient=self.identity.recipient.text,
            run=run,
            items=tuple(one.digest for one in items),
            created=self.house.now(),
            nonce=secrets.token_hex(16),
        )
        return self.house.request(sign_statement(replace(said, **changes), {}, self.key), items)


@dataclass
class Attempt:
    """A launcher's side of one attempt."""

    run: "Run"
    number: int = 1
    attempt: str = field(default_factory=lambda: new_id(Kind.ATTEMPT))
    run_key: SigningKey = field(default_factory=SigningKey.generate)
    node_key: SigningKey = field(default_factory=SigningKey.generate)
    identity: Identity = field(default_factory=Identity.generate)
    lease: Statement[Lease] | None = None

    def said(self, **changes) -> AttemptRequest:
        """What it asks for."""
        order = self.run.said
        return AttemptRequest(
            **{
                "tenant": order.tenant,
                "run": order.run,
                "attempt": self.attempt,
                "number": self.number,
                "order": self.run.order.digest,
                "items": tuple(one.digest for one in (self.run.code, *self.run.inputs)),
                "nodes": (RequestingNode(self.node_key.public.hex, self.identity.recipient.text),),
                "place": Place("DE", "munich", "standard"),
                "run_key": self.run_key.public.hex,
                "recipient": self.identity.recipient.text,
                "environment": "ee" * 32,
                "created": self.run.house.now(),
            }
            | changes
        )

    def ask(self, **changes) -> str:
        """Ask for keys, and return the request's digest."""
        said = self.said(**changes)
        envelope = sign_statement(said, {"order": said.order}, self.run_key, self.node_key)
        return self.run.house.request(envelope, ())

    def obtain(self, **changes) -> "Attempt":
        """Ask, let the keyholder work, and take the lease."""
        house = self.run.house
        request = self.ask(**changes)
        house.round.work()
        self.lease = house.lease(request)
        return self

    def read(self, item: Envelope, into: Path) -> dict[str, bytes]:
        """Open an item with the leased headers, and return its files."""
        assert self.lease is not None
        house = self.run.house
        headers = house.factory.headers[self.lease.predicate.request][item.digest]
        return house.read(item, headers, self.identity, into)

    def output(self, files: dict[str, bytes], part: str = "1", previous: Envelope | None = None) -> Envelope:
        """Seal a result to the lease's output recipient."""
        assert self.lease is not None
        lease, house = self.lease.predicate, self.run.house
        manifest = house.sealed(files, f"{lease.run}/{part}", lease.output_recipient, previous)
        envelope = sign_manifest(manifest, self.run_key)
        house.factory.statements[envelope.digest] = envelope
        return envelope

    def stream(self, rank: int = 0) -> Envelope:
        """Open a log stream."""
        assert self.lease is not None
        header = make_header(new_file_key(), [Recipient.from_text(self.lease.predicate.output_recipient)])
        digest = sha256_hex(header)
        self.run.house.factory.log_headers[self.attempt] = header
        said = LogStream(
            self.lease.predicate.tenant,
            self.lease.predicate.run,
            self.attempt,
            self.lease.digest,
            digest,
            self.run.house.now(),
            rank,
        )
        envelope = sign_statement(said, {"header": digest}, self.run_key)
        self.run.house.factory.statements[envelope.digest] = envelope
        return envelope

    def finish(self, *outputs: Envelope, outcome: Outcome = Outcome.SUCCEEDED) -> None:
        """Close the attempt."""
        assert self.lease is not None
        now = self.run.house.now()
        said = Finish(
            tenant=self.lease.predicate.tenant,
            run=self.lease.predicate.run,
            attempt=self.attempt,
            order=self.run.order.digest,
            lease=self.lease.digest,
            outcome=outcome,
            exit_status=0,
            outputs=tuple(one.digest for one in outputs),
            checkpoint="",
            segments=0,
            log_tail="",
            environment="ee" * 32,
            reading=Reading(now, now, 1000, 500, 0, "", 0, 1, 1, ()),
            published=(),
            started=now,
            finished=now,
        )
        envelope = sign_statement(said, {"order": said.order}, self.run_key, self.node_key)
        self.run.house.factory.put(
            EntryKind.RUN_FINISHED,
            envelope,
            run=said.run,
            attempt=said.attempt,
            finish=envelope.digest,
            outputs=said.outputs,
        )


@dataclass
class Run:
    """An order and what it names."""

    house: "House"
    order: Envelope
    code: Envelope
    inputs: list[Envelope]

    @property
    def said(self) -> Order:
        """The order."""
        return read_unverified(self.order, Order)[0]

    @property
    def id(self) -> str:
        """Run id."""
        return self.said.run

    def attempt(self, number: int = 1) -> Attempt:
        """Start an attempt."""
        return Attempt(self, number)


class House:
    """A tenant with its keyholder, over a simulated factory."""

    def __init__(self, home: Path, recovery: str = "") -> None:
        self.home = home
        self.clock = SetClock()
        state = make_folder(
            home / "keyholder", "http://factory.invalid", PASSPHRASE, recovery=recovery, work_factor=WORK
        )
        self.factory = SimulatedFactory(state.tenant)
        statement = Envelope.from_json(state.settings.get(Setting.STATEMENT))
        accept_sign_up(state, self.factory.create("code", state.tenant_key.hex, statement))
        state.close()
        self.factory.time = self.now
        self.tenant_key = load_tenant_key(home / "keyholder", PASSPHRASE)
        self.events: list[Event] = []
        self._keyholders: list[Keyholder] = []
        self.open()
        self.round.work()

    def open(self, folder: str = "keyholder") -> None:
        """Open the keyholder as a fresh process would."""
        unlock = Passphrase(PASSPHRASE)
        self.keyholder = Keyholder(open_state(self.home / folder, unlock, self.clock), unlock)
        self._keyholders.append(self.keyholder)
        self.state = self.keyholder.state
        self.round = Round(self.state, self.factory.clients(), self.events.append)
        self.steward = Steward(self.state, self.tenant_key, self.factory.clients())

    def restart(self) -> None:
        """Let the process die and start it again."""
        self.close()
        self.open()

    def copy(self, name: str) -> None:
        """Copy the keyholder's folder, as a backup tool or a thief would."""
        shutil.copytree(self.home / "keyholder", self.home / name)

    def close(self) -> None:
        """Close everything."""
        for keyholder in self._keyholders:
            keyholder.close()
        self._keyholders.clear()

    def now(self) -> str:
        """The wall clock's time."""
        return format_time(self.clock())

    def said(self, kind: EventKind) -> list[str]:
        """What the keyholder has told of one kind."""
        return [event.text for event in self.events if event.kind is kind]

    def recipients(self) -> dict[str, str]:
        """The published recipients."""
        return dict(read_unverified(self.factory.recipients(), RecipientList)[0].datasets)

    def unused_dataset(self) -> str:
        """A dataset id nobody has sealed to."""
        used = {one.owner for one in self.manifests()}
        return next(dataset for dataset in self.recipients() if dataset not in used)

    def manifests(self) -> list[Manifest]:
        """All manifests the factory has."""
        kind = Manifest.__predicate_type__  # type: ignore[attr-defined]
        found = [one for one in self.factory.statements.values() if kind.encode() in one.payload]
        return [read_unverified(one, Manifest)[0] for one in found]

    def enrol(self, role: Role = Role.ENGINEER, name: str = "Anna") -> Person:
        """Invite a person, enrol the device, and let the keyholder learn of it."""
        person = self.person(self.steward.invite(role, name))
        self.round.work()
        return person

    def person(self, invitation: Invitation) -> Person:
        """Use an invitation on a new device."""
        _, membership, key = invitation.verified()
        person = Person(self, invitation, membership.member)
        envelope = Envelope.from_json(invitation.membership)
        said = Device(
            self.factory.tenant,
            membership.member,
            envelope.digest,
            person.key.public.hex,
            person.identity.recipient.text,
            self.now(),
        )
        device = sign_statement(said, {}, key, person.key)
        self.factory.statements[envelope.digest] = envelope
        self.factory.put(
            EntryKind.MEMBER_ENROLLED,
            device,
            member=membership.member,
            membership=envelope.digest,
            device=device.digest,
        )
        return person

    def grant(self, manifest: Envelope, **wishes) -> Grant:
        """Grant the use of a dataset for `PURPOSE`, and let the keyholder learn of it."""
        dataset = read_unverified(manifest, Manifest)[0].owner
        given = self.steward.grant(dataset, wishes.pop("purpose", PURPOSE), **wishes)
        self.round.work()
        return given

    def request(self, envelope: Envelope, items) -> str:
        """Put a request on record."""
        for item in items:
            self.factory.statements.setdefault(item.digest, item)
        refs = {"request": envelope.digest}
        self.factory.put(EntryKind.LEASE_REQUESTED, envelope, **refs)
        self.factory.write(MailKind.REQUEST, envelope.digest)
        return envelope.digest

    def lease(self, request: str) -> Statement[Lease]:
        """The lease that answers a request; the keys must have come with it."""
        decision = self.factory.decisions.get(request)
        assert decision is not None, f"no decision; {self.events}"
        refused = b"refusal/v1" in decision.payload
        assert not refused, self.refusal(request) if refused else ""
        assert request in self.factory.headers, "the keys did not come"
        return verify_statement(decision, Lease, [self.keyholder_key])

    def own_lease(self, envelope: Envelope) -> Statement[Lease]:
        """A lease this keyholder has signed."""
        return verify_statement(envelope, Lease, [self.keyholder_key])

    def refusal(self, request: str) -> Refusal:
        """The refusal that answers a request."""
        decision = self.factory.decisions.get(request)
        assert decision is not None, f"no decision; {self.events}"
        assert request not in self.factory.headers
        return verify_statement(decision, Refusal, [self.keyholder_key]).predicate

    def refused(self, request: str) -> str:
        """Let the keyholder work, and return the reason word of its refusal."""
        self.round.work()
        return self.refusal(request).reason

    def dropped(self) -> None:
        """The keyholder finds out that the factory dropped what it acknowledged; a person thaws."""
        with pytest.raises(IntegrityError, match="the log does not show it"):
            self.round.work()
        self.keyholder.thaw()

    def judged(self, request: str) -> str:
        """The reason word of a refusal, although the factory goes on dropping what it is sent."""
        with suppress(IntegrityError):
            self.round.work()
        return self.refusal(request).reason

    @property
    def keyholder_key(self) -> VerifyKey:
        """The keyholder's public key."""
        return VerifyKey.from_hex(self.state.statement.keyholder_key)

    def sealed(
        self, files: dict[str, bytes], owner: str, recipient: str, previous: Envelope | None = None
    ) -> Manifest:
        """Pack, seal and upload files with the real code."""
        folder = self.home / "plain" / secrets.token_hex(8)
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        version = read_unverified(previous, Manifest)[0].version + 1 if previous else 1
        head = VersionHead(
            self.factory.tenant,
            owner,
            version,
            previous.digest if previous else "",
            Recipient.from_text(recipient),
        )
        with plan_shards(folder) as plan:
            return Sealer(head, self.factory, self.home / "spool").seal(plan).manifest

    def read(self, item: Envelope, headers: bytes, identity: Identity, into: Path) -> dict[str, bytes]:
        """Open a version with leased headers, and return its files."""
        manifest = read_unverified(item, Manifest)[0]
        opened = open_contents(manifest, headers, [identity], self.factory)
        into.mkdir(parents=True)
        unpack(opened, into, self.factory, verify=True)
        return {path.relative_to(into).as_posix(): path.read_bytes() for path in into.rglob("*") if path.is_file()}

    def opens(self, header: bytes, identity: Identity) -> bool:
        """Whether an identity opens every header of a concatenation."""
        return all(open_header(part, [identity]) for part in split_headers(header))


def as_input(manifest: Envelope) -> Input:
    """Name a manifest as an order does."""
    said = read_unverified(manifest, Manifest)[0]
    return Input(said.owner, said.version, manifest.digest)


class _Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


@contextmanager
def killed_at(house: House, call: int) -> Iterator[None]:
    """Do the block until it has called the factory so often; there it ends, and so does the block."""
    house.factory.calls.clear()
    honest = house.factory.call

    def die(name: str) -> None:
        honest(name)
        if len(house.factory.calls) == call:
            raise _Killed

    house.factory.call = die
    with suppress(_Killed):
        yield
    house.factory.call = honest


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A tenant with a keyholder, and nobody in it yet."""
    made = House(tmp_path)
    yield made
    made.close()
