"""The factory gives an honest launcher work, keyholder and leases of its own choosing."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from keyhouse import Attempt, House, Person, Run
from kifabrik.environments.lockfile import Lock
from kifabrik.errors import IntegrityError, KifabrikError, RefusedError
from kifabrik.launcher.lease import AttemptKeys, GrantedLease, alone, obtain, said_of, sign_request
from kifabrik.launcher.work import VerifiedWork, verify_work
from kifabrik.leases.statements import Lease
from kifabrik.orders.order import Input, Need
from kifabrik.seals.identities import Identity
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import read_unverified, sign_statement
from kifabrik.values import Kind, Place, format_time, new_id, now_utc, task_run
from kifabrik.wire.attempts import Work
from kifabrik.wire.leases import LeaseView, RequestState

LOCK = Lock.from_text("# kifabrik lock 1: python 3.11, x86_64-manylinux_2_28\n")


@dataclass
class Scene:
    """A house with two datasets, two versions of one of them, and an order for the first version."""

    house: House
    anna: Person
    data: Envelope
    newer: Envelope
    other: Envelope
    run: Run

    def work(self, **changes: object) -> Work:
        """What the factory hands to the launcher."""
        statements = self.house.factory.statements.values()
        device = next(
            one for one in statements if b"/device/v1" in one.payload and self.anna.member.encode() in one.payload
        )
        honest = Work(
            tenant_key=self.house.state.tenant_key.hex,
            keyholder=self.house.factory.keyholder().to_json(),
            membership=self.anna.invitation.membership,
            device=device.to_json(),
            order=self.run.order.to_json(),
            code=self.run.code.to_json(),
            inputs=[one.to_json() for one in self.run.inputs],
            checkpoint="",
            lock=LOCK.text,
            run=self.run.id,
            number=1,
            cap_s=60,
            place=Place("DE", "munich", "standard"),
        )
        return honest.model_copy(update=changes)

    def verified(self, **changes: object) -> VerifiedWork:
        """What the launcher makes of it."""
        return verify_work(self.house.factory.tenant, self.work(**changes))

    def released(self, run: Run, number: int = 1) -> Attempt:
        """An honest attempt that has its lease."""
        return run.attempt(number).obtain()

    def headers(self, lease: Envelope) -> dict[str, bytes]:
        """The headers that came with a lease."""
        return dict(self.house.factory.headers[read_unverified(lease, Lease)[0].request])


@pytest.fixture
def scene(house: House) -> Scene:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    other = anna.seal({"b": b"y"})
    house.grant(data)
    house.grant(other)
    owner = next(one.owner for one in house.manifests() if one.headers in data.payload.decode())
    newer = anna.seal({"a": b"z"}, owner, data)
    run = anna.order(data, lock=LOCK.digest)
    return Scene(house, anna, data, newer, other, run)


def test_honest_work_is_taken(scene: Scene) -> None:
    work = scene.verified()
    assert work.items == (scene.run.code.digest, scene.data.digest)


def other_order(scene: Scene) -> dict[str, object]:
    forged = replace(scene.anna, key=SigningKey.generate())
    return {"order": forged.order(scene.data, lock=LOCK.digest).order.to_json()}


def other_code(scene: Scene) -> dict[str, object]:
    return {"code": scene.anna.order(scene.data).code.to_json()}


def another_version(scene: Scene) -> dict[str, object]:
    return {"inputs": [scene.newer.to_json()]}


def another_dataset(scene: Scene) -> dict[str, object]:
    return {"inputs": [scene.other.to_json()]}


def one_more_input(scene: Scene) -> dict[str, object]:
    return {"inputs": [scene.data.to_json(), scene.other.to_json()]}


def no_input(_scene: Scene) -> dict[str, object]:
    return {"inputs": []}


def other_lock(_scene: Scene) -> dict[str, object]:
    return {"lock": LOCK.text + "evil==1.0 --hash=sha256:" + "ab" * 32 + "\n"}


def other_tenant(_scene: Scene) -> dict[str, object]:
    return {"tenant_key": SigningKey.generate().public.hex}


def checkpoint_of_another_run(scene: Scene) -> dict[str, object]:
    return {"checkpoint": scene.data.to_json()}


def keyholder_of_the_factory(scene: Scene) -> dict[str, object]:
    said = replace(scene.house.state.statement, keyholder_key=SigningKey.generate().public.hex, sequence=9)
    return {"keyholder": sign_statement(said, {}, SigningKey.generate()).to_json()}


def membership_of_the_factory(scene: Scene) -> dict[str, object]:
    said = Envelope.from_json(scene.anna.invitation.membership)
    return {"membership": Envelope.sign(said.payload, SigningKey.generate()).to_json()}


def another_run(scene: Scene) -> dict[str, object]:
    return {"run": scene.anna.order(scene.data).id}


def a_task_of_one_run(scene: Scene) -> dict[str, object]:
    return {"run": task_run(scene.run.id, 1)}


def a_task_beyond_the_sweep(scene: Scene) -> dict[str, object]:
    scene.run = scene.anna.order(scene.data, lock=LOCK.digest, tasks=3)
    return {"run": task_run(scene.run.id, 4)}


def a_sweep_as_a_run(scene: Scene) -> dict[str, object]:
    scene.run = scene.anna.order(scene.data, lock=LOCK.digest, tasks=3)
    return {"run": scene.run.id}


def another_output_than_awaited(scene: Scene) -> dict[str, object]:
    """An order that awaits an output is given a dataset in its place."""
    needs = (Need(scene.run.id, scene.run.order.digest),)
    awaited = (Input(f"{scene.run.id}/1", 1, ""),)
    scene.run = scene.anna.order(lock=LOCK.digest, needs=needs, inputs=awaited)
    return {"inputs": [scene.data.to_json()]}


def keyholder_that_was_replaced(scene: Scene) -> dict[str, object]:
    """The member knew the second statement when it ordered; the factory still shows the first."""
    scene.run = scene.anna.order(scene.data, lock=LOCK.digest, keyholder=2)
    return {}


@pytest.mark.parametrize(
    "lie",
    [
        other_order,
        other_code,
        another_version,
        another_dataset,
        one_more_input,
        no_input,
        other_lock,
        other_tenant,
        checkpoint_of_another_run,
        keyholder_of_the_factory,
        membership_of_the_factory,
        keyholder_that_was_replaced,
        another_run,
        a_task_of_one_run,
        a_task_beyond_the_sweep,
        a_sweep_as_a_run,
        another_output_than_awaited,
    ],
)
def test_work_that_was_not_ordered_is_refused(scene: Scene, lie: Callable[[Scene], dict[str, object]]) -> None:
    changes = lie(scene)
    with pytest.raises(KifabrikError) as refused:
        scene.verified(**changes)
    assert refused.type is not KifabrikError


def test_honest_work_of_one_tenant_is_refused_by_a_launcher_that_was_started_for_another(scene: Scene) -> None:
    """Else the log, keys and results of one tenant's run would be booked on another's."""
    with pytest.raises(IntegrityError, match="belongs to tenant"):
        verify_work(SigningKey.generate().public.tenant_id, scene.work())


def test_a_replaced_keyholder_counts_as_soon_as_its_statement_is_shown(scene: Scene) -> None:
    run = scene.anna.order(scene.data, lock=LOCK.digest, keyholder=2)
    renewed = replace(scene.house.state.statement, sequence=2)
    scene.run = run
    assert scene.verified(keyholder=sign_statement(renewed, {}, scene.house.tenant_key).to_json())


@dataclass
class LyingLeases:
    """Answers whatever it was made for."""

    answers: Callable[[Envelope], LeaseView]
    asked: Envelope | None = None

    def request(self, request: Envelope) -> None:
        self.asked = request

    def answer(self, _digest: str, *, wait_s: float) -> LeaseView:
        assert self.asked is not None
        assert wait_s
        return self.answers(self.asked)


def view(
    request: Envelope, decision: Envelope, headers: dict[str, bytes], state=RequestState.RELEASED
) -> LeaseView:
    return LeaseView(request=request.digest, state=state, decision=decision.to_json(), headers=headers)


def ask(scene: Scene, answers: Callable[[Envelope], LeaseView], **changes: object) -> GrantedLease | None:
    """Be the launcher's real code that asks for keys, in front of a factory that answers as it likes."""
    work, keys, node = scene.verified(), AttemptKeys(), SigningKey.generate()
    asks = said_of(work, str(changes.get("attempt") or new_id(Kind.ATTEMPT)), "ee" * 32)
    request = sign_request(asks, alone(keys, node), keys, node)
    leases = LyingLeases(answers)
    return obtain(leases, request, work, given_up=lambda: False, waiting=lambda _view: None)  # type: ignore[arg-type]


def decided(scene: Scene, request: Envelope) -> LeaseView:
    """The keyholder's true answer to a request."""
    scene.house.request(request, ())
    scene.house.round.work()
    lease = scene.house.factory.decisions[request.digest]
    return view(request, lease, scene.headers(lease))


def test_the_keyholders_true_answer_is_believed(scene: Scene) -> None:
    assert ask(scene, lambda request: decided(scene, request))


def test_a_replayed_lease_of_an_earlier_attempt_is_not_believed(scene: Scene) -> None:
    before = scene.released(scene.run)
    lease = scene.house.factory.decisions[before.lease.predicate.request]
    for attempt in ("", before.attempt):
        with pytest.raises(IntegrityError, match="answers another request"):
            ask(scene, lambda request: view(request, lease, scene.headers(lease)), attempt=attempt)


def resigned(scene: Scene, request: Envelope, **changes: object) -> LeaseView:
    """The keyholder's true answer with something else in it, signed by the real keyholder key."""
    true = decided(scene, request)
    said = read_unverified(Envelope.from_json(true.decision), Lease)[0]
    return view(
        request, sign_statement(replace(said, **changes), {}, scene.house.state.keyholder_key), dict(true.headers)
    )


@pytest.mark.parametrize(
    "change",
    [
        {"node_keys": (SigningKey.generate().public.hex,)},
        {"run_key": SigningKey.generate().public.hex},
        {"receiver": new_id(Kind.ATTEMPT)},
        {"order": "ab" * 32},
        {"environment": "ab" * 32},
        {"recipient": Identity.generate().recipient.text},
        {"items": ()},
        {"output_recipient": ""},
        {"tenant": "t-" + "x" * 32},
        {"run": new_id(Kind.RUN)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_lease_for_another_node_code_version_or_order_is_not_believed(
    scene: Scene, change: dict[str, object]
) -> None:
    with pytest.raises(IntegrityError):
        ask(scene, lambda request: resigned(scene, request, **change))


def test_a_lease_that_leaves_out_what_was_asked_for_is_not_believed(scene: Scene) -> None:
    """Else the job would run without one of its inputs and nobody would know."""

    def less(request: Envelope) -> LeaseView:
        true = decided(scene, request)
        said = read_unverified(Envelope.from_json(true.decision), Lease)[0]
        fewer = replace(said, items=said.items[:1])
        signed = sign_statement(fewer, {}, scene.house.state.keyholder_key)
        return view(request, signed, {said.items[0].item: true.headers[said.items[0].item]})

    with pytest.raises(IntegrityError, match="for other items"):
        ask(scene, less)


def test_an_expired_lease_is_not_believed(scene: Scene) -> None:
    before = format_time(now_utc() - timedelta(seconds=1))
    with pytest.raises(RefusedError, match="expired"):
        ask(scene, lambda request: resigned(scene, request, expires=before))


def test_a_lease_by_another_key_than_the_keyholders_is_not_believed(scene: Scene) -> None:
    def forged(request: Envelope) -> LeaseView:
        true = decided(scene, request)
        payload = Envelope.from_json(true.decision).payload
        return view(request, Envelope.sign(payload, scene.house.factory.log_key), dict(true.headers))

    with pytest.raises(IntegrityError, match="not signed by a trusted key"):
        ask(scene, forged)


def test_headers_of_another_lease_are_not_taken(scene: Scene) -> None:
    def exchanged(request: Envelope) -> LeaseView:
        true = decided(scene, request)
        first, second = true.headers
        swapped = {first: true.headers[second], second: true.headers[first]}
        return view(request, Envelope.from_json(true.decision), swapped)

    with pytest.raises(IntegrityError, match="not the ones it signs"):
        ask(scene, exchanged)


def test_a_refusal_of_another_request_ends_no_run(scene: Scene) -> None:
    """Else one refusal would let the factory say for ever that the keyholder refuses."""
    elsewhere = scene.anna.order(scene.data, purpose="marketing", lock=LOCK.digest)
    digest = elsewhere.attempt().ask()
    scene.house.round.work()
    refusal = scene.house.factory.decisions[digest]
    with pytest.raises(IntegrityError, match="another request"):
        ask(scene, lambda request: view(request, refusal, {}, RequestState.REFUSED))
