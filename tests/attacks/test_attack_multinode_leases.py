"""Whoever is not one of the nodes that an attempt was given, and that have all signed, gets none of its keys."""

import base64
import json
import secrets
from collections.abc import Iterator
from dataclasses import replace

import pytest
from runs_room import Desk, desk

from keyhouse import House, Person
from kifabrik.client.attempts import Attempts
from kifabrik.client.leases import Leases
from kifabrik.errors import ConflictError, IntegrityError, KifabrikError, UsageError
from kifabrik.factory.node_records import NodeRecord
from kifabrik.leases.joining import NodeJoined, check_shared
from kifabrik.leases.statements import AttemptRequest, RequestingNode
from kifabrik.meters.reading import Reading
from kifabrik.runs.gathering import Stage
from kifabrik.runs.statements import Finish, NodeEnded, OtherNode
from kifabrik.runs.states import Outcome
from kifabrik.seals.identities import Identity
from kifabrik.seals.opening import open_bytes, open_header
from kifabrik.seals.recipients import Recipient
from kifabrik.seals.sealing import make_header, new_file_key, seal_bytes
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import sign_statement
from kifabrik.values import Kind, Place, Resources, format_time, new_id, now_utc
from kifabrik.wire.attempts import Finished
from parties import Person as Member
from players import keyholder

__all__ = ["desk"]

NOW = "2026-06-01T00:00:00Z"
READING = Reading(NOW, NOW, 1000, 10, 0, "", 0, 1, 1, ())


# --- the keyholder ---


class Gang:
    """The nodes of one attempt before a real keyholder."""

    def __init__(self, house: House, nodes: int = 2) -> None:
        self.house = house
        anna = house.enrol()
        self.data = anna.seal({"a": b"x"})
        house.grant(self.data)
        self.person: Person = anna
        self.run = anna.order(self.data, resources=Resources(nodes=nodes))
        self.attempt = self.run.attempt()
        self.keys = [self.attempt.node_key, *(SigningKey.generate() for _ in range(3))]
        self.identities = [Identity.generate() for _ in range(4)]

    def nodes(self, *ranks: int) -> tuple[RequestingNode, ...]:
        return tuple(
            RequestingNode(self.keys[one].public.hex, self.identities[one].recipient.text) for one in ranks
        )

    def ask(self, nodes: tuple[RequestingNode, ...], *signers: int) -> str:
        said = self.attempt.said(nodes=nodes)
        keys = [self.attempt.run_key, *(self.keys[one] for one in signers)]
        return self.house.request(sign_statement(said, {}, *keys), ())


def test_two_nodes_that_have_both_signed_get_one_lease(house: House) -> None:
    gang = Gang(house)
    request = gang.ask(gang.nodes(0, 1), 0, 1)
    house.round.work()
    lease = house.lease(request).predicate
    assert lease.node_keys == tuple(key.public.hex for key in gang.keys[:2])
    assert lease.recipient == gang.attempt.identity.recipient.text


def test_a_node_that_has_not_signed_keeps_all_from_the_keys(house: House) -> None:
    gang = Gang(house)
    assert house.refused(gang.ask(gang.nodes(0, 1), 0)) == "bad-request"


def test_another_key_does_not_sign_for_a_node(house: House) -> None:
    gang = Gang(house)
    assert house.refused(gang.ask(gang.nodes(0, 1), 0, 2)) == "bad-request"


def test_more_nodes_than_ordered_get_nothing(house: House) -> None:
    gang = Gang(house)
    assert house.refused(gang.ask(gang.nodes(0, 1, 2), 0, 1, 2)) == "nodes"


def test_a_repeated_node_gets_nothing(house: House) -> None:
    gang = Gang(house)
    assert house.refused(gang.ask(gang.nodes(0, 0), 0)) == "nodes"


def test_one_recipient_under_two_nodes_gets_nothing(house: House) -> None:
    gang = Gang(house)
    first, second = gang.nodes(0, 1)
    assert house.refused(gang.ask((first, replace(second, recipient=first.recipient)), 0, 1)) == "nodes"


def test_the_attempt_counts_once_however_many_nodes_it_has(house: House) -> None:
    gang = Gang(house)
    first = gang.ask(gang.nodes(0, 1), 0, 1)
    again = gang.ask(gang.nodes(1, 0), 0, 1)
    house.round.work()
    assert house.lease(first)
    assert house.refusal(again).reason == "replayed"


# --- the factory's relay ---


class Cluster:
    """A run on two nodes that has started, and its two launchers."""

    def __init__(self, desk: Desk, member: Member) -> None:
        self.lead = desk.hire(member, resources=Resources(cpus=1, memory_bytes=10**6, nodes=2))
        self.attempt = self.lead.attempt
        self.keys = {record.node: key for record, key in desk.fleet}
        with desk.driven.store.read() as transaction:
            found = transaction.runs.attempt(self.lead.tenant, self.attempt)
        assert found is not None
        self.placed = [self.keys[share.node] for share in found.placement]
        self.ranks = [Attempts(self.lead.connection, self.attempt, rank) for rank in range(3)]
        self.identities = [Identity.generate() for _ in range(2)]
        self.run_key, self.identity = self.lead.run_key, self.lead.identity

    def joined(self, of: int, key: SigningKey | None = None, **changes: object) -> str:
        key = key or self.placed[of]
        said = NodeJoined(
            tenant=self.lead.tenant,
            run=self.lead.run,
            attempt=self.attempt,
            order=Envelope.from_json(self.lead.work.order).digest,
            rank=of,
            node_key=key.public.hex,
            recipient=self.identities[of % 2].recipient.text,
            evidence="",
            environment="ee" * 32,
            underlay=f"10.0.0.{of + 1}",
            mtu=1500,
            created=format_time(now_utc()),
        )
        return sign_statement(replace(said, **changes), {}, key).to_json()

    def join_all(self) -> None:
        for rank in range(2):
            self.ranks[rank].leave(Stage.JOINED, self.joined(rank))

    def request(self, *signers: int, **changes: object) -> Envelope:
        nodes = tuple(
            RequestingNode(key.public.hex, one.recipient.text)
            for key, one in zip(self.placed, self.identities, strict=True)
        )
        draft = self.lead.signed_request(**{"nodes": nodes} | changes)
        return Envelope.sign(draft.payload, self.run_key, *(self.placed[one] for one in signers))

    def ended(self, rank: int, **changes: object) -> Envelope:
        key = self.placed[rank]
        said = NodeEnded(
            self.lead.tenant,
            self.lead.run,
            self.attempt,
            rank,
            key.public.hex,
            Outcome.SUCCEEDED,
            0,
            0,
            "",
            READING,
            NOW,
            NOW,
        )
        return sign_statement(replace(said, **changes), {}, key, self.run_key)


@pytest.fixture(scope="module")
def member(desk: Desk) -> Iterator[Member]:
    """A member of a tenant whose keyholder releases everything, and a factory with two more nodes."""
    desk.fleet = []
    desk.begin()
    for name in ("east", "west"):
        key = SigningKey.generate()
        record = NodeRecord(
            node=new_id(Kind.NODE),
            name=name,
            key=key.public.hex,
            place=Place("DE"),
            cpus=64,
            memory_bytes=10**10,
            gpus=(),
            pythons=("3.11",),
            created=format_time(now_utc()),
        )
        desk.driven.runs.fleet.enrol(record)
        desk.fleet.append((record, key))
    with desk.driven.store.read() as transaction:
        own = next(record for record in transaction.runs.nodes() if record.node == desk.node)
    desk.fleet.append((own, desk.node_key))
    party = desk.sign_up()
    with keyholder(party) as player:
        party.player = player
        yield party.enrol()


@pytest.fixture
def cluster(desk: Desk, member: Member) -> Cluster:
    """A run on two nodes whose launchers have not joined yet."""
    return Cluster(desk, member)


def test_both_nodes_get_together_over_the_relay(cluster: Cluster) -> None:
    assert cluster.ranks[0].stage(Stage.JOINED, wait_s=0).here == 0
    cluster.join_all()
    view = cluster.ranks[0].stage(Stage.JOINED, wait_s=0)
    assert view.complete
    assert sorted(view.notes) == [0, 1]
    assert cluster.ranks[1].stage(Stage.JOINED, wait_s=0).notes == {}, "only the lead needs them"
    whole = cluster.request(0, 1)
    assert Leases(cluster.lead.connection).request(whole)


def test_a_node_that_is_not_enrolled_does_not_join(cluster: Cluster) -> None:
    with pytest.raises(IntegrityError, match="another attempt, rank or node"):
        cluster.ranks[1].leave(Stage.JOINED, cluster.joined(1, SigningKey.generate()))


def test_an_enrolled_node_that_the_attempt_was_not_given_does_not_join(cluster: Cluster) -> None:
    (third,) = [key for key in cluster.keys.values() if key not in cluster.placed]
    with pytest.raises(IntegrityError, match="another attempt, rank or node"):
        cluster.ranks[1].leave(Stage.JOINED, cluster.joined(1, third))


def test_a_node_does_not_join_for_another_rank_attempt_or_run(cluster: Cluster) -> None:
    lies = ({"rank": 0}, {"attempt": new_id(Kind.ATTEMPT)}, {"run": new_id(Kind.RUN)}, {"tenant": "t-" + "x" * 32})
    for changes in lies:
        with pytest.raises(IntegrityError):
            cluster.ranks[1].leave(Stage.JOINED, cluster.joined(1, **changes))
    with pytest.raises(IntegrityError):
        cluster.ranks[0].leave(Stage.JOINED, cluster.joined(1))
    with pytest.raises(UsageError, match="no node 2"):
        cluster.ranks[2].leave(Stage.JOINED, cluster.joined(1, rank=2))


def test_a_node_joins_once(cluster: Cluster) -> None:
    first = cluster.joined(1)
    cluster.ranks[1].leave(Stage.JOINED, first)
    cluster.ranks[1].leave(Stage.JOINED, first)
    with pytest.raises(ConflictError, match="said otherwise before"):
        cluster.ranks[1].leave(Stage.JOINED, cluster.joined(1, recipient=Identity.generate().recipient.text))


def test_only_the_lead_leaves_the_request_and_only_others_end(cluster: Cluster) -> None:
    cluster.join_all()
    with pytest.raises(UsageError):
        cluster.ranks[1].leave(Stage.REQUEST, cluster.request(0).to_json())
    with pytest.raises(UsageError):
        cluster.ranks[0].leave(Stage.ENDED, cluster.ended(1).to_json())
    with pytest.raises(UsageError):
        cluster.ranks[1].leave(Stage.KEYS, "keys")


def test_a_request_lists_the_attempts_own_nodes_by_rank_and_nobody_else(cluster: Cluster) -> None:
    cluster.join_all()
    leases = Leases(cluster.lead.connection)
    nodes = tuple(
        RequestingNode(key.public.hex, one.recipient.text)
        for key, one in zip(cluster.placed, cluster.identities, strict=True)
    )
    stranger = SigningKey.generate()
    extra = RequestingNode(stranger.public.hex, Identity.generate().recipient.text)
    draft = cluster.request(0, 1, nodes=(*nodes, extra))
    signed = Envelope.sign(draft.payload, cluster.run_key, *cluster.placed, stranger)
    for envelope in (signed, cluster.request(0, 1, nodes=nodes[::-1]), cluster.request(0, 1, nodes=nodes[:1])):
        with pytest.raises(IntegrityError, match="not by the nodes"):
            leases.request(envelope)
    with pytest.raises(IntegrityError):
        leases.request(cluster.request(0))


def test_keys_of_another_attempt_that_are_handed_on_are_not_taken(cluster: Cluster) -> None:
    """A factory, or another node, replays what an earlier attempt wrapped for the same launcher's recipient."""
    cluster.join_all()
    earlier, file_key = Identity.generate(), new_file_key()
    old = {"run_key": SigningKey.generate().seed.hex(), "identity": earlier.text}
    recipients = [Recipient.from_text(one.recipient.text) for one in cluster.identities]
    headers = [make_header(file_key, [one]) for one in recipients]
    cluster.ranks[0].hand_over(seal_bytes(json.dumps(old).encode(), file_key), headers)
    notes = cluster.ranks[1].stage(Stage.KEYS, wait_s=0).notes
    body, header = (base64.b64decode(notes[rank]) for rank in (0, 1))
    content = json.loads(open_bytes(body, open_header(header, [cluster.identities[1]])))
    key, identity = SigningKey(bytes.fromhex(content["run_key"])), Identity.from_text(content["identity"])
    asked = cluster.request(0, 1)
    request = json.loads(asked.payload)["predicate"]
    said = replace(_said(request), run_key=request["run_key"], recipient=request["recipient"])
    with pytest.raises(IntegrityError, match="keys of another request"):
        check_shared(said, key.public, identity.recipient.text)


def test_a_header_opens_for_the_node_it_was_made_for_alone(cluster: Cluster) -> None:
    cluster.join_all()
    file_key = new_file_key()
    headers = [make_header(file_key, [Recipient.from_text(one.recipient.text)]) for one in cluster.identities]
    cluster.ranks[0].hand_over(seal_bytes(b"{}", file_key), headers)
    notes = cluster.ranks[1].stage(Stage.KEYS, wait_s=0).notes
    assert sorted(notes) == [0, 1]
    with pytest.raises(IntegrityError):
        open_header(base64.b64decode(notes[1]), [Identity.generate()])
    with pytest.raises(ConflictError, match="handed over before"):
        cluster.ranks[0].hand_over(b"another body", headers)


def test_keys_are_handed_to_every_node_of_the_run_and_to_no_more(cluster: Cluster) -> None:
    for headers in ([b"one"], [b"one", b"two", b"three"]):
        with pytest.raises(UsageError, match="the run has 2"):
            cluster.ranks[0].hand_over(b"body", headers)


def test_a_run_ends_well_only_if_every_node_has_said_so(cluster: Cluster, desk: Desk) -> None:
    cluster.join_all()
    leases = Leases(cluster.lead.connection)
    request = cluster.request(0, 1)
    leases.request(request)
    answer = leases.answer(request.digest, wait_s=20)
    lead, key = cluster.lead, cluster.placed[1].public.hex

    def finish(others: tuple[OtherNode, ...], outcome: Outcome = Outcome.SUCCEEDED) -> None:
        said = Finish(
            tenant=lead.tenant,
            run=lead.run,
            attempt=cluster.attempt,
            order=Envelope.from_json(lead.work.order).digest,
            lease=Envelope.from_json(answer.decision).digest,
            outcome=outcome,
            exit_status=0,
            outputs=(),
            checkpoint="",
            segments=0,
            log_tail="",
            environment="ee" * 32,
            reading=READING,
            published=(),
            started=NOW,
            finished=NOW,
            others=others,
        )
        envelope = sign_statement(said, {}, cluster.run_key, cluster.placed[0])
        cluster.ranks[0].finish(Finished(finish=envelope.to_json(), outputs=[], provenance=""))

    silent = OtherNode(1, key, "", 0, "")
    made_up = OtherNode(1, key, secrets.token_hex(32), 0, "")
    for others in ((silent,), (made_up,), ()):
        with pytest.raises(KifabrikError):
            finish(others)
    with pytest.raises(IntegrityError):
        cluster.ranks[1].leave(Stage.ENDED, sign_statement(_ended_of(cluster), {}, cluster.placed[0]).to_json())
    failed = cluster.ended(1, outcome=Outcome.ERROR)
    cluster.ranks[1].leave(Stage.ENDED, failed.to_json())
    said = OtherNode(1, key, failed.digest, 0, "")
    with pytest.raises(IntegrityError, match="on node 1 it has not"):
        finish((said,))
    with pytest.raises(ConflictError, match="otherwise of the other nodes"):
        finish((silent,), Outcome.ERROR)
    finish((said,), Outcome.ERROR)
    with desk.driven.store.read() as transaction:
        found = transaction.runs.attempt(lead.tenant, cluster.attempt)
        assert transaction.runs.notes(lead.tenant, cluster.attempt, Stage.JOINED) == {}
    assert found is not None
    assert found.readings == (READING, READING)


def test_what_goes_wrong_on_one_node_is_told_to_all(cluster: Cluster) -> None:
    cluster.join_all()
    assert not cluster.ranks[0].control(wait_s=0).stop
    cluster.ranks[1].fail(Outcome.OUT_OF_MEMORY, "its program needed more memory")
    cluster.ranks[0].fail(Outcome.ERROR, "a consequence")
    for rank in (0, 1):
        asked = cluster.ranks[rank].control(wait_s=0)
        assert (asked.stop, asked.cause, asked.outcome) == (True, "node", Outcome.OUT_OF_MEMORY)
        assert asked.message == "Node 1: its program needed more memory"
        assert cluster.ranks[rank].stage(Stage.READY, wait_s=0).over


def test_nobody_outside_the_attempt_sees_its_notes(cluster: Cluster, desk: Desk, member: Member) -> None:
    cluster.join_all()
    other = Cluster(desk, member)
    stranger = Attempts(other.lead.connection, cluster.attempt, 0)
    with pytest.raises(KifabrikError, match="there is no attempt"):
        stranger.stage(Stage.JOINED, wait_s=0)
    with pytest.raises(KifabrikError, match="there is no attempt"):
        stranger.fail(Outcome.ERROR, "")


def _ended_of(cluster: Cluster) -> NodeEnded:
    said = json.loads(cluster.ended(1).payload)["predicate"]
    return NodeEnded(**{**said, "outcome": Outcome(said["outcome"]), "reading": READING})


def _said(request: dict[str, object]) -> AttemptRequest:
    empty = {"nodes": (), "items": (), "place": Place()}
    return AttemptRequest(**{**request, **empty})
