"""A lease is believed only as the keyholder's answer to exactly one request, with exactly its headers."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kifabrik.errors import IntegrityError, RefusedError
from kifabrik.leases.statements import AttemptRequest, Lease, LeasedItem, MemberRequest, RequestingNode
from kifabrik.leases.verify import (
    verify_attempt_lease,
    verify_attempt_request,
    verify_headers,
    verify_member_lease,
)
from kifabrik.seals.identities import Identity
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import Statement, sign_statement, verify_statement
from kifabrik.values import Place, format_time, sha256_hex

NOW = datetime(2026, 6, 1, tzinfo=UTC)
RUN_KEY, NODE_A, NODE_B, KEYHOLDER, DEVICE, OTHER = (SigningKey.generate() for _ in range(6))
RECIPIENT, RESULTS = (Identity.generate().recipient.text for _ in range(2))
HEADERS = {"11" * 32: b"headers of the code", "22" * 32: b"headers of the data"}

ASKED = AttemptRequest(
    tenant="t-" + "a" * 32,
    run="r-" + "b" * 16,
    attempt="a-" + "c" * 16,
    number=1,
    order="33" * 32,
    items=tuple(HEADERS),
    nodes=(RequestingNode(NODE_A.public.hex, RECIPIENT), RequestingNode(NODE_B.public.hex, RESULTS)),
    place=Place("DE"),
    run_key=RUN_KEY.public.hex,
    recipient=RECIPIENT,
    environment="44" * 32,
    created=format_time(NOW),
)
MEMBER = MemberRequest(
    tenant=ASKED.tenant,
    member="m-" + "d" * 16,
    device_key=DEVICE.public.hex,
    recipient=RECIPIENT,
    run=ASKED.run,
    items=tuple(HEADERS),
    created=format_time(NOW),
    nonce="55" * 16,
)


def asked_envelope(*keys: SigningKey, **changes: object) -> Envelope:
    return sign_statement(replace(ASKED, **changes), {}, *(keys or (RUN_KEY, NODE_A, NODE_B)))


def asked() -> Statement[AttemptRequest]:
    return verify_attempt_request(asked_envelope())


@pytest.mark.parametrize(
    "text",
    [RECIPIENT.upper(), f" {RECIPIENT}", RECIPIENT[:-1], "age1pq1" + "q" * 55, "", f"{RECIPIENT}\n"],
    ids=["upper case", "space", "short", "another kind", "empty", "line end"],
)
def test_a_recipient_has_one_spelling_and_every_other_is_refused(text):
    """Else one recipient would count as two nodes."""
    with pytest.raises(IntegrityError, match="recipient that is none"):
        verify_attempt_request(asked_envelope(recipient=text))
    nodes = (RequestingNode(NODE_A.public.hex, RECIPIENT), RequestingNode(NODE_B.public.hex, text))
    with pytest.raises(IntegrityError, match="recipient that is none"):
        verify_attempt_request(asked_envelope(nodes=nodes))


def the_lease(**changes: object) -> Lease:
    request = asked()
    said = Lease(
        lease="l-" + "e" * 16,
        tenant=ASKED.tenant,
        request=request.digest,
        order=ASKED.order,
        run=ASKED.run,
        receiver=ASKED.attempt,
        run_key=ASKED.run_key,
        node_keys=ASKED.node_keys,
        recipient=ASKED.recipient,
        items=tuple(LeasedItem(item, sha256_hex(blob)) for item, blob in HEADERS.items()),
        grants=("g-" + "f" * 16,),
        output_recipient=RESULTS,
        environment=ASKED.environment,
        log_index=7,
        log_size=8,
        log_root="66" * 32,
        created=format_time(NOW),
        expires=format_time(NOW + timedelta(hours=1)),
    )
    return replace(said, **changes)


def believe(lease: Lease, key: SigningKey = KEYHOLDER, now: datetime = NOW) -> Statement[Lease]:
    return verify_attempt_lease(sign_statement(lease, {}, key), KEYHOLDER.public, asked(), now)


def test_a_request_is_signed_by_the_run_key_and_every_node() -> None:
    assert asked().predicate == ASKED
    for keys in ((RUN_KEY, NODE_A), (NODE_A, NODE_B), (RUN_KEY, NODE_A, OTHER)):
        with pytest.raises(IntegrityError):
            verify_attempt_request(asked_envelope(*keys))
    with pytest.raises(IntegrityError, match="names no node"):
        verify_attempt_request(asked_envelope(nodes=()))
    with pytest.raises(IntegrityError, match="not an Ed25519 public key"):
        verify_attempt_request(asked_envelope(nodes=(RequestingNode("zz", RECIPIENT),)))


def test_the_answer_to_the_request_is_believed() -> None:
    assert believe(the_lease()).predicate == the_lease()


@pytest.mark.parametrize(
    "change",
    [
        {"request": "00" * 32},
        {"tenant": "t-" + "x" * 32},
        {"order": "00" * 32},
        {"run": "r-" + "x" * 16},
        {"receiver": "a-" + "x" * 16},
        {"run_key": OTHER.public.hex},
        {"node_keys": (NODE_A.public.hex,)},
        {"node_keys": (NODE_B.public.hex, NODE_A.public.hex)},
        {"recipient": RESULTS},
        {"environment": "00" * 32},
        {"output_recipient": ""},
        {"items": ()},
        {"items": tuple(reversed(the_lease().items))},
        {"items": (*the_lease().items, LeasedItem("77" * 32, "88" * 32))},
    ],
)
def test_an_answer_to_anything_else_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(IntegrityError):
        believe(the_lease(**change))


def test_only_the_keyholders_answer_counts() -> None:
    with pytest.raises(IntegrityError, match="trusted key"):
        believe(the_lease(), OTHER)


def test_an_expired_lease_is_refused() -> None:
    assert believe(the_lease(), now=NOW + timedelta(minutes=59))
    with pytest.raises(RefusedError, match="expired"):
        believe(the_lease(), now=NOW + timedelta(hours=1))


def test_a_lease_that_ends_at_no_time_is_refused() -> None:
    with pytest.raises(IntegrityError, match="not a UTC time"):
        believe(the_lease(expires="never"))


def test_headers_are_the_ones_the_lease_signs() -> None:
    verify_headers(the_lease(), HEADERS)
    first, second = HEADERS
    for other in (
        {first: HEADERS[first]},
        HEADERS | {first: b"other"},
        HEADERS | {"77" * 32: b"more"},
        {first: HEADERS[second], second: HEADERS[first]},
    ):
        with pytest.raises(IntegrityError):
            verify_headers(the_lease(), other)


def test_a_members_lease_answers_the_members_request() -> None:
    envelope = sign_statement(MEMBER, {}, DEVICE)
    request = verify_statement(envelope, MemberRequest, [DEVICE.public])
    lease = the_lease(
        request=request.digest,
        receiver=MEMBER.member,
        run_key="",
        node_keys=(),
        output_recipient="",
        environment="",
    )

    def signed(**changes: object) -> Envelope:
        return sign_statement(replace(lease, **changes), {}, KEYHOLDER)

    assert verify_member_lease(signed(), KEYHOLDER.public, request, NOW).predicate == lease
    for change in (
        {"request": "00" * 32},
        {"receiver": "m-" + "x" * 16},
        {"recipient": RESULTS},
        {"run": "r-" + "x" * 16},
        {"items": ()},
    ):
        with pytest.raises(IntegrityError):
            verify_member_lease(signed(**change), KEYHOLDER.public, request, NOW)
    with pytest.raises(RefusedError):
        verify_member_lease(signed(), KEYHOLDER.public, request, NOW + timedelta(hours=2))
