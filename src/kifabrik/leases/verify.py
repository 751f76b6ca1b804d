"""Checking a lease before believing a single key in it."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from kifabrik.errors import IntegrityError, RefusedError
from kifabrik.leases.statements import AttemptRequest, Lease, MemberRequest
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import VerifyKey
from kifabrik.signatures.statements import Statement, key_named, read_unverified, time_named, verify_statement
from kifabrik.values import format_time, sha256_hex

_RECIPIENT: Final = re.compile(r"age1[02-9ac-hj-np-z]{58}")
"""An X25519 recipient of age in its one spelling; its checksum is for whoever wraps for it."""


def verify_attempt_request(envelope: Envelope) -> Statement[AttemptRequest]:
    """Verify that the run key and every node key named in a request have signed it.

    Raises:
        IntegrityError: A signature is missing, or a key or recipient is not in its one spelling.
    """
    said, subjects = read_unverified(envelope, AttemptRequest)
    if not said.nodes:
        raise IntegrityError("the request names no node")
    if any(_RECIPIENT.fullmatch(one) is None for one in (said.recipient, *(node.recipient for node in said.nodes))):
        raise IntegrityError("the request names a recipient that is none")
    keys = [key_named(key) for key in (said.run_key, *said.node_keys)]
    envelope.verify_every(keys)
    return Statement(said, subjects, keys[0], envelope.digest)


def verify_attempt_lease(
    envelope: Envelope, keyholder: VerifyKey, request: Statement[AttemptRequest], now: datetime
) -> Statement[Lease]:
    """Verify that a lease is the keyholder's answer to exactly this request.

    Raises:
        IntegrityError: It answers another request, or its bindings differ from what was asked.
        RefusedError: It has expired.
    """
    statement = verify_statement(envelope, Lease, [keyholder])
    lease, asked = statement.predicate, request.predicate
    bound = (
        lease.request,
        lease.tenant,
        lease.run,
        lease.receiver,
        lease.order,
        lease.run_key,
        lease.recipient,
    )
    wanted = (
        request.digest,
        asked.tenant,
        asked.run,
        asked.attempt,
        asked.order,
        asked.run_key,
        asked.recipient,
    )
    if bound != wanted or lease.node_keys != asked.node_keys or lease.environment != asked.environment:
        raise IntegrityError("the lease answers another request")
    if not lease.output_recipient:
        raise IntegrityError("the lease names no recipient for the outputs")
    _check_items(lease, asked.items)
    _check_expiry(lease, now)
    return statement


def verify_member_lease(
    envelope: Envelope, keyholder: VerifyKey, request: Statement[MemberRequest], now: datetime
) -> Statement[Lease]:
    """Verify that a lease is the keyholder's answer to exactly this member's request.

    Raises:
        IntegrityError: It answers another request, or its bindings differ from what was asked.
        RefusedError: It has expired.
    """
    statement = verify_statement(envelope, Lease, [keyholder])
    lease, asked = statement.predicate, request.predicate
    bound = (lease.request, lease.tenant, lease.run, lease.receiver, lease.recipient)
    if bound != (request.digest, asked.tenant, asked.run, asked.member, asked.recipient):
        raise IntegrityError("the lease answers another request")
    _check_items(lease, asked.items)
    _check_expiry(lease, now)
    return statement


def verify_headers(lease: Lease, headers: Mapping[str, bytes]) -> None:
    """Check that the headers delivered beside a lease are the ones it signs.

    Args:
        lease: Verified lease.
        headers: Item digest to concatenated age headers.

    Raises:
        IntegrityError: Headers are missing, additional or others.
    """
    if {item.item: item.headers for item in lease.items} != {
        item: sha256_hex(blob) for item, blob in headers.items()
    }:
        raise IntegrityError("the headers beside the lease are not the ones it signs")


def _check_items(lease: Lease, asked: tuple[str, ...]) -> None:
    if tuple(item.item for item in lease.items) != asked:
        raise IntegrityError("the lease is for other items than were asked for")


def _check_expiry(lease: Lease, now: datetime) -> None:
    if now >= time_named(lease.expires):
        raise RefusedError(
            f"the lease expired at {lease.expires}; by the clock here it is {format_time(now)}",
            hint="Compare the clocks of keyholder, factory and node, then ask again.",
        )
