"""What the factory admits, and what it says of orders it does not."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from runs_room import RunFactory

from kifabrik.client.datasets import Datasets
from kifabrik.client.objects import Objects
from kifabrik.client.runs import RunLine, Runs
from kifabrik.errors import (
    CapacityError,
    ConflictError,
    IntegrityError,
    NotFoundError,
    RefusedError,
    UsageError,
)
from kifabrik.factory.allowances import Limits
from kifabrik.grants.statements import Erasure
from kifabrik.runs.states import RunState
from kifabrik.seals.identities import Identity
from kifabrik.signatures.keys import SigningKey
from kifabrik.tenants.statements import Role
from kifabrik.values import Kind, Place, Resources, new_id
from kifabrik.wire.runs import PlanRequest
from parties import Party, Person
from players import LOCK, an_order, bundle, later, order

GB = 10**9


@pytest.fixture
def party(run_factory: RunFactory) -> Party:
    return run_factory.sign_up()


@pytest.fixture
def person(party: Party) -> Person:
    return party.enrol()


def _entries(party: Party, kind: str) -> list:
    return [entry for entry in party.entries() if entry["kind"] == kind]


def test_the_same_order_is_admitted_once(person: Person) -> None:
    signed, code = an_order(person)
    runs = Runs(person.connection)
    first = runs.order(signed, code, LOCK, None)
    again = runs.order(signed, code, LOCK, None)
    assert (again.run, again.created) == (first.run, first.created)
    assert len(_entries(person.party, "run.ordered")) == len(_entries(person.party, "run.admitted")) == 1


def test_an_order_stands_in_the_log_with_what_it_names(person: Person) -> None:
    dataset = person.seal()
    signed, code = an_order(person, inputs=[dataset], budget_micro_eur=1_000_000)
    view = Runs(person.connection).order(signed, code, LOCK, None)
    (ordered,), (admitted,) = (_entries(person.party, kind) for kind in ("run.ordered", "run.admitted"))
    assert ordered["refs"]["order"] == admitted["refs"]["order"] == signed.digest == view.order
    assert ordered["refs"]["member"] == person.member
    assert ordered["refs"]["inputs"] == [dataset.digest]
    assert admitted["refs"]["cap_s"] == view.cap_s


def test_an_order_by_another_device_is_refused(person: Person) -> None:
    signed, code = an_order(person)
    other = person.party.enrol()
    with pytest.raises(IntegrityError):
        Runs(other.connection).order(signed, code, LOCK, None)


def test_an_order_in_the_name_of_another_member_is_refused(person: Person) -> None:
    with pytest.raises(IntegrityError, match="in the name of somebody else"):
        order(person, member=person.party.enrol().member)


def test_an_order_the_factory_could_have_made_up_is_refused(person: Person) -> None:
    person.key, real = SigningKey.generate(), person.key
    try:
        with pytest.raises(IntegrityError, match="not signed by a trusted key"):
            order(person)
    finally:
        person.key = real


def test_an_auditor_cannot_order(person: Person) -> None:
    signed, code = an_order(person)
    with pytest.raises(RefusedError, match="this is not for auditors"):
        Runs(person.party.enrol(Role.AUDITOR).connection).order(signed, code, LOCK, None)


@pytest.mark.parametrize(
    ("wishes", "error", "words"),
    [
        ({"deadline": later(hours=-1)}, RefusedError, "deadline"),
        ({"created": later(hours=2)}, IntegrityError, "the order was made at"),
        ({"nonce": "short"}, UsageError, "nonce"),
        ({"attempts": 0}, UsageError, "attempts must be 1 to 20"),
        ({"outputs": 51}, UsageError, "more than 50 outputs"),
        ({"purpose": "a purpose with spaces"}, UsageError, "purpose"),
        ({"max_duration_s": 0}, UsageError, "max_duration"),
        ({"max_duration_s": 31 * 86400}, UsageError, "at most"),
        ({"budget_micro_eur": 1}, UsageError, "does not pay for one second"),
        (
            {"resources": Resources(cpus=64)},
            CapacityError,
            "No node has 64 CPU cores: the biggest, box, has no GPU",
        ),
        ({"resources": Resources(memory_bytes=10**15)}, CapacityError, "No node has 1 PB of memory"),
        ({"resources": Resources(gpu_count=4, gpu_model="H200")}, CapacityError, "No node has 4 GPUs H200"),
        (
            {"resources": Resources(memory_bytes=1, nodes=2)},
            CapacityError,
            "asks for 2 nodes; 1 of that size exist",
        ),
        ({"place": Place("FR")}, CapacityError, "No node is in FR; there are nodes in DE."),
        ({"python": "3.9"}, CapacityError, "No node has Python 3.9; there is Python 3.11."),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_with_the_reason(person: Person, wishes, error, words) -> None:
    with pytest.raises(error) as refused:
        order(person, **wishes)
    assert words in f"{refused.value.message} {refused.value.hint}"
    assert _entries(person.party, "run.ordered") == []


def test_a_nonce_is_used_once(person: Person) -> None:
    nonce = secrets.token_hex(16)
    order(person, nonce=nonce)
    with pytest.raises(ConflictError):
        order(person, nonce=nonce)
    assert len(_entries(person.party, "run.ordered")) == 1


def test_a_run_id_is_used_once(person: Person) -> None:
    view = order(person)
    with pytest.raises(ConflictError, match=view.run):
        order(person, run=view.run)


def test_the_lock_must_be_the_one_the_order_names(person: Person) -> None:
    signed, code = an_order(person)
    with pytest.raises(IntegrityError, match="lock"):
        Runs(person.connection).order(signed, code, LOCK + "\n", None)


def test_the_code_bundle_must_be_the_one_the_order_names(person: Person) -> None:
    signed, _ = an_order(person)
    _, other = an_order(person)
    with pytest.raises(IntegrityError, match="code bundle"):
        Runs(person.connection).order(signed, other, LOCK, None)


def test_the_code_bundle_must_be_uploaded(person: Person) -> None:
    class Nowhere(Objects):
        def upload_bytes(self, data: bytes) -> str:
            return secrets.token_hex(32)

    run = new_id(Kind.RUN)
    recipient = Identity.generate().recipient.text
    code = bundle(Nowhere(person.connection), person.party.tenant, f"{run}/code", recipient, person.key)
    signed, _ = an_order(person, run=run, code=code.digest)
    with pytest.raises(ConflictError, match="3 of 3 objects are not uploaded"):
        Runs(person.connection).order(signed, code, LOCK, None)


def test_inputs_must_be_registered(person: Person) -> None:
    stranger = person.party.factory.sign_up().enrol().seal()
    with pytest.raises(NotFoundError, match="there is no version 1 of d-"):
        order(person, inputs=[stranger])


def test_an_input_that_is_being_erased_is_refused(person: Person) -> None:
    party = person.party
    dataset = party.new_dataset()
    sealed = person.seal(dataset)
    erasure = party.sign(Erasure(party.tenant, dataset, False, later()))
    Datasets(party.enrol(Role.STEWARD).connection).erase(erasure)
    with pytest.raises(NotFoundError, match="is erased"):
        order(person, inputs=[sealed])


@contextmanager
def streaming(party: Party, *, possible: bool) -> Iterator[None]:
    """Let the node say that it can stream data, or that it cannot, whatever this machine can."""
    fleet = party.factory.inside.runs.fleet
    (node,) = fleet.nodes()
    fleet.enrol(replace(node, streams=possible))
    try:
        yield
    finally:
        fleet.enrol(node)


def test_opened_data_counts_as_memory_where_no_node_can_stream(person: Person) -> None:
    nearly_all = Resources(memory_bytes=GB - 1000)
    with streaming(person.party, possible=False):
        with pytest.raises(CapacityError, match=r"1 GB of memory \([\d.]+ kB of it for the opened data\)") as lacks:
            order(person, inputs=[person.seal()], resources=nearly_all)
        assert "could be streamed, but no node" in lacks.value.message
        assert "/dev/fuse" in lacks.value.message
        assert order(person, resources=nearly_all).state is RunState.QUEUED


def test_data_that_no_node_can_hold_is_streamed_and_its_history_says_so(person: Person) -> None:
    nearly_all, dataset = Resources(memory_bytes=GB - 1000), person.seal()
    with streaming(person.party, possible=True):
        view = order(person, inputs=[dataset], resources=nearly_all)
    first = Runs(person.connection).history(view.run)[0]
    assert first.reason.startswith("Ordered and admitted; waits for its turn. Its data (")
    assert first.reason.endswith("is streamed: no node has memory for it.")
    small = order(person, inputs=[dataset], resources=Resources(memory_bytes=GB // 2))
    assert "streamed" not in Runs(person.connection).history(small.run)[0].reason


def test_a_plan_says_how_large_the_data_is_and_how_it_comes(person: Person) -> None:
    dataset = person.seal()
    small, large = Resources(memory_bytes=GB // 2), Resources(memory_bytes=GB - 100)
    with streaming(person.party, possible=True):
        plans = [
            Runs(person.connection).plan(_request(resources=one, inputs=[dataset.digest])) for one in (small, large)
        ]
    assert [(plan.feasible, plan.streamed) for plan in plans] == [(True, False), (True, True)]
    assert {plan.data_bytes for plan in plans} == {2000}
    with streaming(person.party, possible=False):
        plan = Runs(person.connection).plan(_request(resources=large, inputs=[dataset.digest]))
    assert not plan.feasible
    assert "/dev/fuse" in plan.reason


def test_another_tenants_input_has_no_size_in_a_plan(person: Person) -> None:
    foreign = person.party.factory.sign_up().enrol().seal()
    with pytest.raises(NotFoundError, match="there is no such input"):
        Runs(person.connection).plan(_request(inputs=[foreign.digest]))


def test_the_operator_limits_how_many_runs_wait(person: Person) -> None:
    party = person.party
    party.factory.inside.runs.fleet.set_limits(party.tenant, Limits(most_runs=1))
    order(person)
    with pytest.raises(CapacityError, match="1 runs have not ended; your limit is 1"):
        order(person)
    party.factory.inside.runs.fleet.set_limits(party.tenant, Limits(most_runs=0))
    assert order(person).state is RunState.QUEUED


def test_what_runs_can_cost_is_set_aside_of_the_months_budget(person: Person) -> None:
    party = person.party
    first = order(person, max_duration_s=3600)
    most = Runs(person.connection).plan(_request(max_duration_s=3600)).most_micro_eur
    party.factory.inside.runs.fleet.set_limits(party.tenant, Limits(month_micro_eur=2 * most - 1))
    with pytest.raises(CapacityError, match="left of this month's budget"):
        order(person, max_duration_s=3600)
    assert order(person, max_duration_s=3500).cap_s == 3500
    assert first.cap_s == 3600


def test_another_tenants_run_is_missing_like_one_that_does_not_exist(person: Person, run_factory) -> None:
    view = order(person)
    strangers = Runs(run_factory.sign_up().enrol().connection)
    for call in (strangers.show, strangers.history, strangers.evidence, strangers.stop):
        said = []
        for run in (view.run, new_id(Kind.RUN)):
            with pytest.raises(NotFoundError) as missing:
                call(run)
            said.append(missing.value.message.replace(run, "RUN"))
        assert said[0] == said[1]
    assert strangers.all() == []


def _request(**wishes) -> PlanRequest:
    return PlanRequest(
        **{"resources": Resources(cpus=1, memory_bytes=10**6), "place": Place(), "max_duration_s": 3600} | wishes
    )


def test_a_plan_says_price_cap_and_place(person: Person) -> None:
    plan = Runs(person.connection).plan(_request(resources=Resources(cpus=2, memory_bytes=GB // 10)))
    assert (plan.feasible, plan.reason, plan.cap_s) == (True, "", 3600)
    assert plan.rate_micro_eur_per_hour == 2 * 40_000 + 500
    assert plan.most_micro_eur == plan.rate_micro_eur_per_hour
    assert plan.place == Place("DE")
    assert plan.price_list == "example prices"


def test_a_budget_shortens_the_cap_and_is_never_exceeded(person: Person) -> None:
    plan = Runs(person.connection).plan(_request(max_duration_s=36_000, budget_micro_eur=20_000))
    assert plan.cap_s < 3600
    assert plan.most_micro_eur <= 20_000


def test_a_plan_for_what_cannot_be_says_what_there_is(person: Person) -> None:
    plan = Runs(person.connection).plan(_request(resources=Resources(gpu_count=1, gpu_model="H200")))
    assert not plan.feasible
    assert plan.reason.startswith("No node has 1 GPU H200: the biggest, box, has no GPU, 2 CPU cores")


def test_runs_are_listed_newest_first_page_by_page(person: Person) -> None:
    made = [order(person).run for _ in range(5)]
    runs = Runs(person.connection)
    assert [view.run for view in runs.all()] == made[::-1]
    assert [view.run for view in runs.all(limit=2)] == made[:2:-1]
    assert [view.run for view in runs.all(limit=2, before=made[3])] == [made[2], made[1]]


def test_runs_are_listed_by_their_states(person: Person) -> None:
    waits, stopped = order(person).run, order(person).run
    runs = Runs(person.connection)
    runs.stop(stopped)
    assert [view.run for view in runs.all(states=[RunState.STOPPED])] == [stopped]
    assert [view.run for view in runs.all(states=[RunState.QUEUED, RunState.RUNNING])] == [waits]
    assert [line.run for line in runs.lines(limit=9, states=[RunState.STOPPED, RunState.QUEUED])] == [
        stopped,
        waits,
    ]
    assert runs.all(states=[RunState.FAILED]) == []


def test_a_line_of_a_list_says_what_the_whole_view_says(person: Person) -> None:
    order(person)
    runs = Runs(person.connection)
    (view,), (line,) = runs.all(), runs.lines(limit=5)
    assert (line.run, line.state, line.created, line.finished) == (view.run, view.state, view.created, "")
    assert (line.wall_s, line.cost_micro_eur) == (view.footprint.wall_s, view.footprint.cost_micro_eur)


@pytest.mark.parametrize("body", [{}, [], None, {"footprint": {}}, {"footprint": 7, "run": 1}])
def test_a_line_that_is_none_is_not_believed(body: object) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        RunLine.from_json(body)
