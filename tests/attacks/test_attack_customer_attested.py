"""What a lease says of its nodes is verified again by the customer, whoever made the lease say it."""

from dataclasses import replace

import pytest
from test_attack_attestation import Scene, honest, machine, node, scene
from test_attack_customer_recipients import session

from attested_nodes import head_of, send, showing
from kifabrik.customer.attested import prove_nodes
from kifabrik.customer.session import Session
from kifabrik.errors import IntegrityError
from kifabrik.leases.statements import AttemptRequest, Lease
from kifabrik.leases.verify import verify_attempt_request
from kifabrik.ledger.entry import EntryKind
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import Statement, sign_statement
from swtpm import needs_swtpm

__all__ = ["machine", "node", "scene", "session"]
pytestmark = needs_swtpm


class Proof:
    """A released lease and everything a customer looks at."""

    def __init__(self, scene: Scene, session: Session) -> None:
        self.scene, self.session = scene, session
        attempt = scene.attempt()
        digest = send(attempt, honest(scene, attempt))
        scene.house.round.work()
        self.request = verify_attempt_request(scene.house.factory.statements[digest])
        self.lease: Lease = scene.house.lease(digest).predicate
        session.datasets = scene.house.factory  # type: ignore[assignment]

    def prove(self, lease: Lease | None = None, request: Statement[AttemptRequest] | None = None, **indexes: int):
        catalogue = self.session.catalogue()
        kinds = [entry.kind for entry in catalogue.entries]
        where = {"ordered": kinds.index(EntryKind.RUN_ORDERED), "requested": self.lease.log_index} | indexes
        return prove_nodes(self.session, catalogue, request or self.request, lease or self.lease, **where)


@pytest.fixture
def proof(scene: Scene, session: Session) -> Proof:
    return Proof(scene, session)


def test_an_honest_lease_is_proven_from_log_policy_and_evidence(proof: Proof) -> None:
    (proven,) = proof.prove()
    assert proven.state == "golden"
    assert proof.session.catalogue().entries[proven.policy_index].kind is EntryKind.ATTESTATION_SET


def test_a_lease_that_says_otherwise_than_the_evidence_is_not_believed(proof: Proof) -> None:
    (said,) = proof.lease.attested
    for other in (
        replace(said, state="better"),
        replace(said, key="00" * 34),
        replace(said, type="sev-snp-report/v1"),
        replace(said, quoted="2026-01-01T00:00:00Z"),
        replace(said, policy="ab" * 32),
        replace(said, node_key=SigningKey.generate().public.hex),
    ):
        with pytest.raises(IntegrityError):
            proof.prove(replace(proof.lease, attested=(other,)))
    with pytest.raises(IntegrityError, match="something else"):
        proof.prove(replace(proof.lease, attested=(said, said)))


def test_a_request_whose_evidence_is_gone_or_anothers_proves_nothing(proof: Proof) -> None:
    said = proof.request.predicate
    nothing = replace(proof.request, predicate=showing(said, ""))
    with pytest.raises(IntegrityError, match="called attested"):
        proof.prove(request=nothing)
    attempt = proof.scene.attempt(2)
    other = proof.scene.node.evidence(attempt.said(), head_of(proof.scene.house))
    with pytest.raises(IntegrityError, match="called attested"):
        proof.prove(request=replace(proof.request, predicate=showing(said, other)))


def test_a_quote_from_before_the_order_or_after_the_request_proves_nothing(proof: Proof) -> None:
    with pytest.raises(IntegrityError, match="not fresh"):
        proof.prove(ordered=proof.lease.log_index)
    with pytest.raises(IntegrityError, match="not fresh"):
        proof.prove(requested=3)


def test_a_policy_that_came_after_the_lease_does_not_explain_it(proof: Proof) -> None:
    (said,) = proof.lease.attested
    house = proof.scene.house
    house.steward.set_attestation(lambda before: before)
    house.round.work()
    later = house.keyholder.attestation.in_force()[0].digest
    assert later != said.policy
    with pytest.raises(IntegrityError, match="does not stand in the log"):
        proof.prove(replace(proof.lease, attested=(replace(said, policy=later),)))


def test_a_policy_the_tenant_key_has_not_signed_proves_nothing(proof: Proof) -> None:
    factory, (said,) = proof.scene.house.factory, proof.lease.attested
    policy = proof.scene.house.keyholder.attestation.in_force()[0].policy
    forged = sign_statement(replace(policy, sequence=77), {}, SigningKey.generate())
    factory.statements[forged.digest] = forged
    with pytest.raises(IntegrityError, match="does not stand in the log"):
        proof.prove(replace(proof.lease, attested=(replace(said, policy=forged.digest),)))
    size = len(factory.entries) + 1
    factory.put(EntryKind.ATTESTATION_SET, forged, statement=forged.digest, sequence=77)
    longer = replace(proof.lease, attested=(replace(said, policy=forged.digest),), log_size=size)
    with pytest.raises(IntegrityError, match="not signed by a trusted key"):
        proof.prove(longer)
