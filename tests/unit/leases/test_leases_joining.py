"""Several nodes come to one request: what each believes of the others, and what it never signs."""

import base64
from dataclasses import replace

import pytest

from kifabrik.errors import IntegrityError
from kifabrik.leases.joining import (
    NodeJoined,
    check_composed,
    check_shared,
    entries_of,
    merge_signatures,
    verify_joined,
)
from kifabrik.leases.statements import AttemptRequest, RequestingNode
from kifabrik.leases.verify import verify_attempt_request
from kifabrik.seals.identities import Identity
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import sign_statement
from kifabrik.values import Place

KEYS = [SigningKey.generate() for _ in range(3)]
RECIPIENTS = [Identity.generate().recipient.text for _ in range(3)]
RUN_KEY, OTHER = SigningKey.generate(), SigningKey.generate()
ATTEMPT = Identity.generate()
ASKS = AttemptRequest(
    tenant="t-a",
    run="r-a",
    attempt="a-a",
    number=1,
    order="33" * 32,
    items=("11" * 32, "22" * 32),
    nodes=(),
    place=Place("DE"),
    run_key="",
    recipient="",
    environment="44" * 32,
    created="",
)


def joined(rank: int, **changes: object) -> NodeJoined:
    said = NodeJoined(
        tenant=ASKS.tenant,
        run=ASKS.run,
        attempt=ASKS.attempt,
        order=ASKS.order,
        rank=rank,
        node_key=KEYS[rank].public.hex,
        recipient=RECIPIENTS[rank],
        evidence="",
        environment=ASKS.environment,
        underlay=f"10.0.0.{rank + 1}",
        mtu=1500,
        created="2026-06-01T00:00:00Z",
    )
    return replace(said, **changes)


ALL = {rank: joined(rank) for rank in range(3)}
ENTRIES = tuple(one.entry for one in ALL.values())
REQUEST = replace(
    ASKS,
    nodes=ENTRIES,
    run_key=RUN_KEY.public.hex,
    recipient=ATTEMPT.recipient.text,
    created="2026-06-01T00:00:01Z",
)


def composed(*keys: SigningKey, **changes: object) -> Envelope:
    return sign_statement(replace(REQUEST, **changes), {}, *(keys or (RUN_KEY, KEYS[0])))


def test_the_nodes_of_a_request_are_those_that_joined_by_rank() -> None:
    assert entries_of(dict(reversed(ALL.items())), ALL[0], 3) == ENTRIES
    assert [entry.node_key for entry in ENTRIES] == [key.public.hex for key in KEYS]


def test_a_node_joins_by_its_own_key_only() -> None:
    assert verify_joined(sign_statement(ALL[1], {}, KEYS[1])) == ALL[1]
    with pytest.raises(IntegrityError, match="trusted key"):
        verify_joined(sign_statement(ALL[1], {}, KEYS[0]))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({2: None}, "2 of 3 nodes"),
        ({1: replace(joined(1), rank=2)}, "node 1 joined another attempt"),
        ({1: joined(1, environment="55" * 32)}, "node 1 built another environment"),
        ({1: joined(1, order="55" * 32)}, "node 1 joined another attempt"),
        ({1: joined(1, attempt="a-b")}, "node 1 joined another attempt"),
        ({1: joined(1, node_key=KEYS[2].public.hex)}, "stands twice"),
        ({1: joined(1, recipient=RECIPIENTS[0])}, "stands twice"),
        ({3: replace(joined(2), rank=3)}, "4 of 3 nodes"),
    ],
    ids=["missing", "rank", "environment", "order", "attempt", "node key", "recipient", "one more"],
)
def test_the_lead_composes_no_request_of_nodes_that_do_not_fit(
    change: dict[int, NodeJoined | None], says: str
) -> None:
    found = {rank: one for rank, one in (ALL | change).items() if one is not None}
    with pytest.raises(IntegrityError, match=says):
        entries_of(found, ALL[0], 3)


def test_a_node_signs_the_request_it_finds_itself_in() -> None:
    assert check_composed(composed(), ASKS, ALL[1], 3) == REQUEST


MINE = RequestingNode(KEYS[1].public.hex, RECIPIENTS[1])
EVIL = Identity.generate().recipient.text


@pytest.mark.parametrize(
    "change",
    [
        {"nodes": (ENTRIES[0], replace(MINE, recipient=EVIL), ENTRIES[2])},
        {"nodes": (ENTRIES[0], replace(MINE, node_key=OTHER.public.hex), ENTRIES[2])},
        {"nodes": (ENTRIES[0], replace(MINE, evidence="{}"), ENTRIES[2])},
        {"nodes": (*ENTRIES, RequestingNode(OTHER.public.hex, EVIL))},
        {"nodes": ENTRIES[:2]},
        {"nodes": (ENTRIES[0], MINE, MINE)},
        {"nodes": (ENTRIES[0], MINE, replace(ENTRIES[2], recipient=RECIPIENTS[0]))},
        {"nodes": (ENTRIES[1], ENTRIES[0], ENTRIES[2])},
        {"order": "66" * 32},
        {"items": ("11" * 32,)},
        {"items": ("11" * 32, "22" * 32, "77" * 32)},
        {"attempt": "a-b"},
        {"run": "r-b"},
        {"tenant": "t-b"},
        {"number": 2},
        {"place": Place("FR")},
        {"environment": "66" * 32},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_node_never_signs_a_request_that_the_lead_has_altered(change: dict[str, object]) -> None:
    with pytest.raises(IntegrityError):
        check_composed(composed(**change), ASKS, ALL[1], 3)


def test_a_node_signs_nothing_that_run_key_and_lead_have_not_signed() -> None:
    for keys in ((RUN_KEY,), (KEYS[0],), (RUN_KEY, OTHER), (OTHER, KEYS[0])):
        with pytest.raises(IntegrityError):
            check_composed(composed(*keys), ASKS, ALL[1], 3)


def signature(request: Envelope, key: SigningKey) -> str:
    return base64.b64encode(request.signature_by(key)).decode()


def test_the_signatures_of_all_nodes_make_one_request() -> None:
    request = composed()
    whole = merge_signatures(request, {rank: signature(request, KEYS[rank]) for rank in (2, 1)})
    assert verify_attempt_request(Envelope.from_json(whole.to_json())).predicate == REQUEST
    assert len(whole.signatures) == 4


def test_a_signature_under_another_request_or_of_another_key_does_not_help() -> None:
    request = composed()
    good = {rank: signature(request, KEYS[rank]) for rank in (1, 2)}
    for bad in (signature(composed(number=2), KEYS[1]), signature(request, OTHER), "", "AAAA"):
        with pytest.raises(IntegrityError):
            verify_attempt_request(merge_signatures(request, good | {1: bad}))
    for signed in ({1: "not base64"}, {3: good[1]}, {0: good[1]}):
        with pytest.raises(IntegrityError):
            merge_signatures(request, signed)


def test_only_the_keys_of_the_signed_request_are_taken() -> None:
    check_shared(REQUEST, RUN_KEY.public, ATTEMPT.recipient.text)
    for key, recipient in ((OTHER.public, ATTEMPT.recipient.text), (RUN_KEY.public, EVIL)):
        with pytest.raises(IntegrityError, match="another request"):
            check_shared(REQUEST, key, recipient)
