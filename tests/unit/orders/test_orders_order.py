"""An order: who signed it, what it binds, until when it counts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kifabrik.errors import IntegrityError, RefusedError
from kifabrik.orders.order import Input, Order, RetryCause, check_deadline, sign_order, verify_order
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import read_unverified
from kifabrik.values import Place, Resources, format_time

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DEVICE, OTHER = SigningKey.generate(), SigningKey.generate()
ORDER = Order(
    run="r-" + "a" * 16,
    tenant="t-" + "b" * 32,
    member="m-" + "c" * 16,
    purpose="predictive-maintenance",
    inputs=(Input("d-" + "d" * 16, 3, "11" * 32),),
    code="22" * 32,
    lock="33" * 32,
    python="3.11",
    resources=Resources(cpus=4, gpu_count=1, gpu_model="H200"),
    place=Place("DE"),
    outputs=1,
    publish=("auc",),
    checkpoint=True,
    attempts=3,
    retry_on=(RetryCause.PREEMPTION, RetryCause.NODE_FAILURE),
    max_duration_s=7200,
    budget_micro_eur=25_000_000,
    priority=0,
    ask=False,
    created=format_time(NOW),
    deadline=format_time(NOW + timedelta(hours=8)),
    nonce="44" * 16,
    keyholder=1,
)


def test_an_order_comes_back_as_it_was_signed() -> None:
    envelope = Envelope.from_json(sign_order(ORDER, DEVICE).to_json())
    statement = verify_order(envelope, DEVICE.public, ORDER.tenant, ORDER.member)
    assert statement.predicate == ORDER
    assert statement.digest == envelope.digest
    assert dict(statement.subjects) == {
        f"{ORDER.inputs[0].owner}@3": "11" * 32,
        "code": "22" * 32,
        "lock": "33" * 32,
    }


def test_an_order_counts_only_from_the_device_and_in_the_name_of_its_member() -> None:
    envelope = sign_order(ORDER, DEVICE)
    with pytest.raises(IntegrityError, match="trusted key"):
        verify_order(envelope, OTHER.public, ORDER.tenant, ORDER.member)
    for tenant, member in ((ORDER.tenant, "m-" + "x" * 16), ("t-" + "x" * 32, ORDER.member)):
        with pytest.raises(IntegrityError, match="somebody else"):
            verify_order(envelope, DEVICE.public, tenant, member)


@pytest.mark.parametrize(
    "change",
    [
        {"purpose": "other"},
        {"code": "00" * 32},
        {"lock": "00" * 32},
        {"inputs": ()},
        {"place": Place("FR")},
        {"max_duration_s": 10**6},
        {"attempts": 99},
        {"ask": True},
        {"nonce": "00" * 16},
    ],
)
def test_nothing_in_an_order_can_be_changed_under_its_signature(change: dict[str, object]) -> None:
    signed, changed = sign_order(ORDER, DEVICE), sign_order(replace(ORDER, **change), OTHER)
    assert signed.digest != changed.digest
    mixed = Envelope(changed.payload, signed.signatures)
    with pytest.raises(IntegrityError):
        verify_order(mixed, DEVICE.public, ORDER.tenant, ORDER.member)


def test_unknown_and_missing_fields_are_no_order() -> None:
    text = sign_order(ORDER, DEVICE).payload.decode()
    for other in (text.replace('"ask":false,', ""), text.replace('"ask":false', '"ask":false,"zz":1')):
        with pytest.raises(IntegrityError):
            read_unverified(Envelope(other.encode(), ()), Order)


def test_an_order_counts_until_its_deadline() -> None:
    check_deadline(ORDER, NOW + timedelta(hours=8))
    with pytest.raises(RefusedError, match="has passed"):
        check_deadline(ORDER, NOW + timedelta(hours=8, seconds=1))
