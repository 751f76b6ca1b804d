"""The keyholder serves a real factory: over HTTP, in its own thread, with customers' own code around it."""

import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from runs_room import Desk

from kifabrik.client.datasets import Datasets
from kifabrik.client.leases import Leases
from kifabrik.client.logs import Log
from kifabrik.customer.profile import enrol
from kifabrik.customer.seal import seal_dataset
from kifabrik.customer.session import Session, open_session
from kifabrik.datasets.manifest import Manifest, sign_manifest
from kifabrik.datasets.packing import plan_shards
from kifabrik.errors import ConflictError, NotFoundError, RefusedError
from kifabrik.grants.statements import ErasureCertificate
from kifabrik.keyholder.events import Event, EventKind
from kifabrik.keyholder.keyholder import Keyholder, open_keyholder
from kifabrik.keyholder.restore import restore
from kifabrik.keyholder.setup import create_tenant
from kifabrik.keyholder.unlocking import Passphrase
from kifabrik.leases.statements import Lease, MemberRequest, Refusal
from kifabrik.leases.verify import verify_attempt_lease, verify_attempt_request, verify_headers
from kifabrik.ledger.policy import Policy
from kifabrik.orders.order import Input, Order, sign_order
from kifabrik.seals.recipients import Recipient
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import VerifyKey
from kifabrik.signatures.statements import read_unverified, sign_statement, verify_statement
from kifabrik.tenants.statements import Role
from kifabrik.transfer.opening import open_contents, unpack
from kifabrik.transfer.sealing import Sealer, VersionHead
from kifabrik.values import Kind, Place, Resources, format_time, new_id, now_utc, sha256_hex
from kifabrik.wire.leases import RequestState
from living_trees import files_below
from players import LOCK, LauncherPlayer, eventually, later

PASSPHRASE = "correct horse"
WORK = 2
PURPOSE = "predictive-maintenance"


class Customer:
    """A customer's side: keyholder, steward and members in folders of their own."""

    def __init__(self, desk: Desk, home: Path) -> None:
        self.desk, self.home = desk, home
        self.events: list[Event] = []
        code = desk.inside.accounts.make_code("test")
        self.tenant = create_tenant(home / "keyholder", desk.url, code, PASSPHRASE, work_factor=WORK).tenant

    def open(self, folder: str = "keyholder") -> Keyholder:
        """Open the keyholder as another process would."""
        return open_keyholder(self.home / folder, Passphrase(PASSPHRASE))

    @contextmanager
    def serving(self, folder: str = "keyholder") -> Iterator[Keyholder]:
        """Serve while the block runs."""
        stop = threading.Event()
        with self.open(folder) as keyholder:
            thread = threading.Thread(target=keyholder.serve, args=(stop, self.events.append))
            thread.start()
            try:
                yield keyholder
            finally:
                stop.set()
                keyholder.wake()
                thread.join()

    @contextmanager
    def steward(self):
        """The tenant key at work, beside the serving keyholder."""
        with self.open() as keyholder, keyholder.steward(PASSPHRASE) as steward:
            yield steward

    def enrol(self, role: Role = Role.ENGINEER, name: str = "Anna") -> Path:
        """Invite a person and enrol their machine; return its home."""
        with self.steward() as steward:
            invitation = steward.invite(role, name)
        enrol(self.home / name, invitation)
        return self.home / name

    def said(self, kind: EventKind) -> list[str]:
        """What the keyholder told."""
        return [event.text for event in self.events if event.kind is kind]


@pytest.fixture
def customer(desk: Desk, tmp_path: Path) -> Customer:
    """A fresh tenant; its keyholder does not serve yet."""
    desk.begin()
    return Customer(desk, tmp_path)


def seal(session: Session, folder: Path, name: str = "press-line-7") -> str:
    """Seal two files and return the manifest's digest."""
    (folder / name).mkdir(parents=True)
    (folder / name / "a.csv").write_text("1,2,3\n")
    (folder / name / "b.csv").write_text("4,5,6\n")
    bar = lambda _label, _total: nullcontext(lambda _size: None)  # noqa: E731
    return seal_dataset(session, name, folder / name, bar=bar).manifest


def order(session: Session, folder: Path, *manifests: str, **wishes) -> str:
    """Seal code, order a run and return its id."""
    run = new_id(Kind.RUN)
    source = folder / run
    (source / "work").mkdir(parents=True)
    (source / "work" / "train.py").write_text("print('train')\n")
    head = VersionHead(session.tenant, f"{run}/code", 1, "", Recipient.from_text(session.keyholder.order_recipient))
    with plan_shards(source) as plan:
        sealed = Sealer(head, session.store, folder / "spool").seal(plan)
    code = sign_manifest(sealed.manifest, session.profile.device)
    inputs = [(read_unverified(session.datasets.statement(one), Manifest)[0], one) for one in manifests]
    said = Order(
        **{
            "run": run,
            "tenant": session.tenant,
            "member": session.profile.member,
            "purpose": PURPOSE,
            "inputs": tuple(Input(manifest.owner, manifest.version, digest) for manifest, digest in inputs),
            "code": code.digest,
            "lock": sha256_hex(LOCK.encode()),
            "python": "3.11",
            "resources": Resources(cpus=1, memory_bytes=10**6),
            "place": Place(),
            "outputs": 1,
            "publish": (),
            "checkpoint": False,
            "attempts": 1,
            "retry_on": (),
            "max_duration_s": 600,
            "budget_micro_eur": 0,
            "priority": 0,
            "ask": False,
            "created": format_time(now_utc()),
            "deadline": later(hours=8),
            "nonce": secrets.token_hex(16),
            "keyholder": session.keyholder.sequence,
        }
        | wishes
    )
    session.runs.order(sign_order(said, session.profile.device), code, LOCK, None)
    return run


def launcher(customer: Customer, session: Session, run: str) -> LauncherPlayer:
    """Have the run started and be its launcher."""
    customer.desk.drive()
    return customer.desk.launcher(SimpleNamespace(connection=session.connection), run)


def ask(player: LauncherPlayer) -> tuple[Envelope, Leases]:
    """Ask for keys."""
    leases = Leases(player.connection)
    player.request = player.signed_request()
    leases.request(player.request)
    return player.request, leases


def answer(leases: Leases, request: Envelope, seconds: float = 20):
    """Wait for the answer."""
    until = time.monotonic() + seconds
    while True:
        view = leases.answer(request.digest, wait_s=5)
        if view.state in (RequestState.RELEASED, RequestState.REFUSED):
            return view
        assert time.monotonic() < until, view


def reason(view) -> str:
    """The reason word of a refusal."""
    assert view.state is RequestState.REFUSED
    return read_unverified(Envelope.from_json(view.decision), Refusal)[0].reason


def test_a_customer_seals_grants_orders_and_gets_keys_results_and_a_certificate(
    customer: Customer, tmp_path: Path
) -> None:
    with customer.serving() as keyholder, open_session(customer.enrol()) as session:
        manifest = seal(session, tmp_path)
        run = order(session, tmp_path, manifest)
        player = launcher(customer, session, run)
        request, leases = ask(player)
        assert reason(answer(leases, request)) == "no-grant"

        dataset = session.catalogue().dataset("press-line-7").dataset
        with customer.steward() as steward:
            grant = steward.grant(dataset, PURPOSE, names={"name": "press-line-7"})
        run = order(session, tmp_path, manifest)
        player = launcher(customer, session, run)
        request, leases = ask(player)
        view = answer(leases, request)
        verified = verify_attempt_request(request)
        lease = verify_attempt_lease(Envelope.from_json(view.decision), session.keyholder_key, verified, now_utc())
        verify_headers(lease.predicate, view.headers)
        opened = open_contents(
            read_unverified(session.datasets.statement(manifest), Manifest)[0],
            view.headers[manifest],
            [player.identity],
            session.store,
        )
        (tmp_path / "opened").mkdir()
        unpack(opened, tmp_path / "opened", session.store, verify=True)
        assert (tmp_path / "opened" / "b.csv").read_text() == "4,5,6\n"

        player.lease, player.output = lease_envelope(view), lease.predicate.output_recipient
        model = result(player, session, tmp_path)
        own = MemberRequest(
            session.tenant,
            session.profile.member,
            session.profile.device.public.hex,
            session.profile.opener.recipient.text,
            run,
            (model.digest,),
            later(),
            secrets.token_hex(16),
        )
        asked = sign_statement(own, {}, session.profile.device)
        session.leases.request(asked)
        pulled = answer(session.leases, asked)
        assert pulled.state is RequestState.RELEASED
        assert open_contents(
            read_unverified(model, Manifest)[0],
            pulled.headers[model.digest],
            [session.profile.opener],
            session.store,
        )

        with customer.steward() as steward:
            steward.erase(dataset, derived=True)
        certificate = eventually(lambda: Datasets(session.connection).erasure(dataset, wait_s=1).certificate)
        said = verify_statement(
            Envelope.from_json(certificate), ErasureCertificate, [session.keyholder_key]
        ).predicate
        assert [one.run for one in said.releases] == [run]
        assert said.complete
        assert keyholder.status().healthy, customer.events
        assert grant.dataset == dataset
        cosigned_whole_log(session)


def lease_envelope(view) -> Envelope:
    """The lease of an answer."""
    return Envelope.from_json(view.decision)


def result(player: LauncherPlayer, session: Session, folder: Path) -> Envelope:
    """Seal a result for real and finish the attempt."""
    player.open_log()
    source = folder / "result"
    source.mkdir()
    (source / "model.bin").write_bytes(b"weights")
    head = VersionHead(session.tenant, f"{player.run}/1", 1, "", Recipient.from_text(player.output))
    with plan_shards(source) as plan:
        sealed = Sealer(head, session.store, folder / "spool").seal(plan)
    envelope = sign_manifest(sealed.manifest, player.run_key)
    player.outputs.append(envelope)
    player.do_finish("succeeded")
    return envelope


def cosigned_whole_log(session: Session) -> None:
    """The newest head is cosigned by the keyholder, and the policy of the invitation accepts it."""
    policy = Policy.parse(session.profile.policy)

    def whole() -> bool:
        log = Log(session.connection)
        newest = log.checkpoint()
        size = newest.split("\n")[1]
        return policy.accept(log.cosigned()).head.size == int(size)

    assert eventually(whole)


def test_a_keyholder_that_was_away_answers_what_waited(customer: Customer, tmp_path: Path) -> None:
    with customer.serving(), open_session(customer.enrol()) as session:
        run = order(session, tmp_path)
    with open_session(customer.home / "Anna") as session:
        player = launcher(customer, session, run)
        request, leases = ask(player)
        assert leases.answer(request.digest, wait_s=0.2).state is RequestState.PENDING
        with customer.serving():
            assert answer(leases, request).state is RequestState.RELEASED


def test_a_person_approves_in_another_process_and_the_serving_one_goes_on(
    customer: Customer, tmp_path: Path
) -> None:
    with customer.serving(), open_session(customer.enrol()) as session:
        run = order(session, tmp_path, ask=True)
        player = launcher(customer, session, run)
        request, leases = ask(player)
        assert eventually(lambda: leases.answer(request.digest).state is RequestState.ASKED)
        with customer.open() as other:
            (asked,) = other.asked()
            assert (asked.run, asked.member) == (run, "Anna")
            other.approve(asked.request)
        assert answer(leases, request).state is RequestState.RELEASED


def test_a_freeze_in_another_process_holds_at_once(customer: Customer, tmp_path: Path) -> None:
    with customer.serving(), open_session(customer.enrol()) as session:
        run = order(session, tmp_path)
        with customer.open() as other:
            other.freeze()
        request, leases = ask(launcher(customer, session, run))
        assert reason(answer(leases, request)) == "frozen"


def test_a_second_keyholder_on_the_same_folder_is_told(customer: Customer) -> None:
    with customer.serving(), customer.open() as second:
        eventually(lambda: second.status().serving)
        with pytest.raises(ConflictError, match="in use by another process"):
            second.serve(threading.Event())


def test_of_two_keyholders_with_one_key_one_answers_and_the_other_stops_and_says_so(
    customer: Customer, tmp_path: Path
) -> None:
    """Somebody started a copy of the folder: a backup of the disk, or a second machine."""
    with customer.serving(), open_session(customer.enrol()) as session:
        runs = [order(session, tmp_path) for _ in range(2)]
    shutil.copytree(customer.home / "keyholder", customer.home / "copy")
    with (
        customer.serving() as one,
        customer.serving("copy") as other,
        open_session(customer.home / "Anna") as session,
    ):
        for run in runs:
            request, leases = ask(launcher(customer, session, run))
            assert answer(leases, request).state is RequestState.RELEASED
            said = eventually(lambda: customer.said(EventKind.ALARM))
        assert len(said) == 1
        assert "another keyholder with the same key" in said[0]
        assert sorted(bool(keyholder.status().blocks) for keyholder in (one, other)) == [False, True]
        entries = [entry.kind for entry in session.catalogue().entries]
        assert entries.count("lease.released") == len(runs)


def test_a_restored_keyholder_takes_over_and_members_follow_it(customer: Customer, tmp_path: Path) -> None:
    with customer.serving() as keyholder, open_session(customer.enrol()) as session:
        manifest = seal(session, tmp_path)
        dataset = session.catalogue().dataset("press-line-7").dataset
        with customer.steward() as steward:
            steward.grant(dataset, PURPOSE)
        eventually(lambda: keyholder.status().grants)
        keyholder.backup(tmp_path / "backup.age", "safe", work_factor=WORK)
        before = session.keyholder
    restore(customer.home / "restored", tmp_path / "backup.age", "safe", PASSPHRASE, work_factor=WORK)
    with customer.serving("restored"), open_session(customer.home / "Anna") as session:
        assert session.keyholder.sequence == before.sequence + 1
        request, leases = ask(launcher(customer, session, order(session, tmp_path, manifest)))
        view = answer(leases, request)
        assert view.state is RequestState.RELEASED
        assert verify_statement(
            Envelope.from_json(view.decision), Lease, [VerifyKey.from_hex(before.keyholder_key)]
        )
        cosigned_whole_log(session)


def test_a_sign_up_code_makes_one_tenant(desk: Desk, tmp_path: Path) -> None:
    code = desk.inside.accounts.make_code("once")
    create_tenant(tmp_path / "one", desk.url, code, PASSPHRASE, work_factor=WORK)
    with pytest.raises(RefusedError):
        create_tenant(tmp_path / "two", desk.url, code, PASSPHRASE, work_factor=WORK)
    # The keys are there: with a good code the same folder goes on.
    other = create_tenant(
        tmp_path / "two", desk.url, desk.inside.accounts.make_code("twice"), PASSPHRASE, work_factor=WORK
    )
    with open_keyholder(tmp_path / "two", Passphrase(PASSPHRASE)) as keyholder:
        assert keyholder.tenant == other.tenant
    with pytest.raises(NotFoundError):
        open_keyholder(tmp_path / "three", Passphrase(PASSPHRASE))


def test_no_secret_of_the_keyholder_is_in_the_factorys_folder(customer: Customer, tmp_path: Path) -> None:
    with customer.serving() as keyholder, open_session(customer.enrol()) as session:
        manifest = seal(session, tmp_path)
        run = order(session, tmp_path, manifest)
        request, leases = ask(launcher(customer, session, run))
        answer(leases, request)
        vault = keyholder.state.vault
        secret = {one.name: vault.get(one.name) for one in vault.listed() if one.name != "token"}
    for path, data in files_below(customer.desk.home):
        for name, value in secret.items():
            assert value not in data, (name, path)
            assert value.hex().encode() not in data, (name, path)
