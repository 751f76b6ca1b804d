"""The factory makes a month dearer than it was, in a log that only it writes."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from test_attack_customer_names import View

from keyhouse import House
from kifabrik.customer.monthly import in_month
from kifabrik.customer.monthly_proof import check_budgets, prove_cosigned, prove_footprints, signed_order
from kifabrik.errors import IntegrityError
from kifabrik.launcher.gang import Gang
from kifabrik.leases.statements import Lease
from kifabrik.ledger.checkpoint import (
    TreeHead,
    cosign,
    log_origin,
    log_verifier,
    sign_tree_head,
    witness_name,
    witness_verifier,
)
from kifabrik.ledger.entry import Entry, EntryKind, new_entry_id
from kifabrik.ledger.merkle import leaf_hash, root_of
from kifabrik.ledger.mirror import Mirror
from kifabrik.ledger.policy import AcceptedHead, Policy
from kifabrik.meters.footprint import footprint
from kifabrik.meters.reading import Reading
from kifabrik.meters.recorded import references
from kifabrik.runs.statements import Finish, NodeEnded, OtherNode
from kifabrik.runs.states import Outcome
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import sign_statement
from kifabrik.values import Money

START, END = "2026-11-23T08:00:00Z", "2026-11-23T09:00:00Z"
LITTLE = Reading(START, END, 1000, 900, 0, "", 0, 1, 1, ())
MUCH = replace(LITTLE, wall_ms=3_600_000, cpu_ms=3_600_000)
NOTHING = Reading(START, END, 0, 0, 0, "", 0, 0, 0, ())


def entry(attempt: str, *readings: Reading, time: str = END, **refs: str) -> Entry:
    said = references(footprint(readings, Money.from_eur("1"), None), None)
    return Entry(EntryKind.RUN_FINISHED, time, new_entry_id(), {"run": "r-1", "attempt": attempt, **said, **refs})


@dataclass
class Tenant:
    """What was signed about attempts of run r-1, on two nodes."""

    keyholder: SigningKey = field(default_factory=SigningKey.generate)
    run_key: SigningKey = field(default_factory=SigningKey.generate)
    nodes: tuple[SigningKey, SigningKey] = field(
        default_factory=lambda: (SigningKey.generate(), SigningKey.generate())
    )
    known: dict[str, Envelope] = field(default_factory=dict)

    def keep(self, envelope: Envelope) -> str:
        """Let the factory have a statement."""
        self.known[envelope.digest] = envelope
        return envelope.digest

    def node_ended(self, attempt: str, used: Reading, rank: int = 1) -> Envelope:
        """What the second node signs at its end."""
        key = self.nodes[1]
        said = NodeEnded("t-1", "r-1", attempt, rank, key.public.hex, Outcome.SUCCEEDED, 0, 0, "", used, START, END)
        envelope = sign_statement(said, {}, key)
        self.keep(envelope)
        return envelope

    def end(self, attempt: str, used: Reading, *, lease: str = "", other: str = "", by: SigningKey | None = None):
        """The end of an attempt; its digest."""
        others = (OtherNode(1, self.nodes[1].public.hex, other, 0, ""),) if other else ()
        said = Finish(
            "t-1", "r-1", attempt, "", lease, Outcome.SUCCEEDED, 0, (), "", 0, "", "", used, (), START, END, others
        )
        return self.keep(sign_statement(said, {}, by or self.run_key))

    def lease(self, attempt: str, *, together: bool = False) -> str:
        """The lease of an attempt; its digest."""
        keys = tuple(key.public.hex for key in self.nodes[: 2 if together else 1])
        said = Lease(
            lease="l-1", tenant="t-1", request="", order="", run="r-1", receiver=attempt,
            run_key=self.run_key.public.hex, node_keys=keys, recipient="", items=(), grants=(),
            output_recipient="", environment="", log_index=0, log_size=1, log_root="", created="", expires="",
        )  # fmt: skip
        return self.keep(sign_statement(said, {}, self.keyholder))

    def prove(self, *entries: Entry) -> int:
        """What `kifabrik statement --verify` finds."""
        return prove_footprints(entries, self.known.__getitem__, self.keyholder.public, lambda: None)


def test_an_end_that_is_entered_twice_is_not_paid_twice() -> None:
    first, again = entry("a-1", LITTLE), entry("a-1", LITTLE, time="2026-11-24T09:00:00Z")
    with pytest.raises(IntegrityError, match="attempt a-1: the log says 2 times that it ended"):
        in_month([first, again], "2026-11")


def test_an_end_that_is_entered_again_in_the_next_month_is_not_paid_again() -> None:
    first, again = entry("a-1", LITTLE), entry("a-1", LITTLE, time="2026-12-01T00:00:00Z")
    for month in ("2026-11", "2026-12"):
        with pytest.raises(IntegrityError, match="2 times"):
            in_month([first, again, entry("a-2", LITTLE, time="2027-01-01T00:00:00Z")], month)
    assert len(in_month([first, again, entry("a-2", LITTLE, time="2027-01-01T00:00:00Z")], "2027-01")) == 1


def test_an_end_without_a_lease_that_the_factory_signs_itself_has_used_nothing() -> None:
    tenant = Tenant()
    forged = tenant.end("a-1", MUCH, by=SigningKey.generate())
    with pytest.raises(IntegrityError, match="another footprint than its launchers signed"):
        tenant.prove(entry("a-1", MUCH, finish=forged))
    honest = tenant.end("a-2", NOTHING, by=tenant.nodes[0])
    assert tenant.prove(entry("a-2", NOTHING, finish=honest)) == 1


def test_what_a_node_used_in_an_earlier_attempt_is_not_counted_in_a_later_one() -> None:
    tenant = Tenant()
    earlier, own = tenant.node_ended("a-1", MUCH), tenant.node_ended("a-2", LITTLE)
    lease = tenant.lease("a-2", together=True)
    honest = tenant.end("a-2", LITTLE, lease=lease, other=own.digest)
    assert tenant.prove(entry("a-2", LITTLE, LITTLE, finish=honest)) == 1
    led_on = tenant.end("a-2", LITTLE, lease=lease, other=earlier.digest)
    with pytest.raises(IntegrityError, match="of another attempt or node"):
        tenant.prove(entry("a-2", LITTLE, MUCH, finish=led_on))


def test_a_node_that_was_given_no_keys_has_used_nothing() -> None:
    tenant = Tenant()
    other = tenant.node_ended("a-1", MUCH)
    end = tenant.end("a-1", LITTLE, lease=tenant.lease("a-1"), other=other.digest)
    with pytest.raises(IntegrityError, match="other nodes than its lease"):
        tenant.prove(entry("a-1", LITTLE, MUCH, finish=end))


@pytest.mark.parametrize(("attempt", "rank"), [("a-1", 1), ("a-2", 2)])
def test_a_launcher_does_not_sign_another_end_as_that_of_its_peer(attempt: str, rank: int) -> None:
    tenant = Tenant()
    shown = {1: tenant.node_ended(attempt, MUCH, rank)}
    with pytest.raises(IntegrityError, match="another end as that of node 1"):
        _lead(tenant).other_nodes(shown)


def test_a_launcher_does_not_sign_an_end_its_peer_has_not_signed() -> None:
    tenant, other = Tenant(), Tenant()
    with pytest.raises(IntegrityError, match="not signed by a trusted key"):
        _lead(tenant).other_nodes({1: other.node_ended("a-2", MUCH)})
    own = tenant.node_ended("a-2", LITTLE)
    assert _lead(tenant).other_nodes({1: own}) == (OtherNode(1, tenant.nodes[1].public.hex, own.digest, 0, ""),)


def _lead(tenant: Tenant) -> Gang:
    """The first node's part of attempt a-2, as far as it takes to end it."""
    gang = Gang.__new__(Gang)
    gang._assignment = SimpleNamespace(attempt="a-2")
    gang._node_keys = tuple(key.public.hex for key in tenant.nodes)
    return gang


@pytest.fixture
def shown() -> Callable[..., tuple[list[Entry], Mirror, AcceptedHead]]:
    """A log as this machine holds it, and the head the keyholder has cosigned."""
    tenant, log, witness = "t-" + "a" * 32, SigningKey.generate(), SigningKey.generate()
    policy = Policy.of(log_verifier(tenant, log.public), witness_verifier(tenant, witness.public))

    def make(seen_here: list[Entry], cosigned: list[Entry]):
        def head_of(entries: list[Entry]) -> TreeHead:
            return TreeHead(log_origin(tenant), len(entries), root_of(leaf_hash(e.to_bytes()) for e in entries))

        mirror = Mirror(log_origin(tenant))
        mirror.extend([one.to_bytes() for one in seen_here], head_of(seen_here))
        text = sign_tree_head(head_of(cosigned), log_origin(tenant), log)
        return seen_here, mirror, policy.accept(cosign(text, witness_name(tenant), witness, 1))

    return make


def test_a_dearer_log_that_is_shown_to_one_member_only_is_found(shown) -> None:
    honest = [entry("a-1", LITTLE), entry("a-2", LITTLE)]
    prove_cosigned(*shown(honest, honest))
    dearer = [honest[0], entry("a-2", MUCH)]
    with pytest.raises(IntegrityError, match="cosigned another log"):
        prove_cosigned(*shown(dearer, honest))


def test_an_end_the_keyholder_has_not_cosigned_yet_proves_nothing(shown) -> None:
    both = [entry("a-1", LITTLE), entry("a-2", MUCH)]
    with pytest.raises(IntegrityError, match="without 1 of these ends"):
        prove_cosigned(*shown(both, both[:1]))
    lost = Entry(EntryKind.RUN_FINISHED, END, new_entry_id(), {"run": "r-1", "attempt": "a-3"})
    prove_cosigned(*shown([both[0], lost], both[:1]))


def _priced(run: str, attempt: str, eur: str) -> Entry:
    said = references(footprint([LITTLE], Money.from_eur(eur), None), None)
    return Entry(EntryKind.RUN_FINISHED, END, new_entry_id(), {"run": run, "attempt": attempt, **said})


def test_an_order_does_not_cost_more_than_its_member_signed() -> None:
    """Neither by one attempt, nor by several in two months, nor by all tasks of a sweep together."""
    sweep = "r-" + "a" * 16
    ended = [_priced("r-1", "a-1", "0.60"), _priced("r-1", "a-2", "0.50"), _priced("r-2", "a-3", "7")]
    ended += [_priced(f"{sweep}-{number}", f"a-s{number}", "0.50") for number in (1, 2)]
    budgets = {"r-1": Money.from_eur("1.10"), "r-2": Money(), sweep: Money.from_eur("1")}

    def order_of(run: str) -> SimpleNamespace:
        return SimpleNamespace(budget_micro_eur=budgets[run].micro_eur)

    assert check_budgets(ended, ended, order_of) == 2
    for run, eur in (("r-1", "1.09"), (sweep, "0.99")):
        budgets[run] = Money.from_eur(eur)
        with pytest.raises(IntegrityError, match=f"{run} has cost .* its order allows {eur} EUR at most"):
            check_budgets(ended, [one for one in ended if str(one.refs["run"]).startswith(run)][-1:], order_of)


def test_the_budget_is_that_of_the_members_own_signature(house: House, tmp_path: Path) -> None:
    anna = house.enrol()
    run = anna.order(budget_micro_eur=5)
    dear = sign_statement(replace(run.said, budget_micro_eur=10**9), {}, SigningKey.generate())
    house.factory.statements[dear.digest] = dear
    view = View(house, anna, tmp_path)
    session = SimpleNamespace(
        datasets=SimpleNamespace(statement=house.factory.statement), tenant=house.factory.tenant
    )
    catalogue = view.catalogue()
    assert catalogue.orders() == {run.id: run.order.digest}
    assert signed_order(session, catalogue, catalogue.orders(), run.id).budget_micro_eur == 5
    other = anna.order(budget_micro_eur=10**9)
    for shown, said in ((dear, "not signed"), (other.order, "as that of")):
        with pytest.raises(IntegrityError, match=said):
            signed_order(session, catalogue, {run.id: shown.digest}, run.id)
