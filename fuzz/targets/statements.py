"""Every kind of statement, its payload made up and rightly signed: a hostile party has keys of its own."""

import dataclasses
import types
import typing
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from fuzz.material import DIGEST, KEY, OTHER, TENANT, TIME
from fuzz.target import Target, agree
from kifabrik.datasets.manifest import BodyRef, Manifest, follows, verify_manifest
from kifabrik.errors import IntegrityError, RefusedError
from kifabrik.grants.statements import Erasure, ErasureCertificate, Grant, Revocation
from kifabrik.leases.joining import NodeJoined, verify_joined
from kifabrik.leases.statements import AttemptRequest, Lease, MemberRequest, Refusal, RequestingNode
from kifabrik.leases.verify import verify_attempt_lease, verify_attempt_request, verify_member_lease
from kifabrik.models.acceptance import Acceptance
from kifabrik.models.provenance import Provenance
from kifabrik.orders.order import Order, check_deadline, verify_order
from kifabrik.orders.slurm_options import SlurmOptions
from kifabrik.runs.claims import NodeClaim, verify_claim
from kifabrik.runs.statements import Finish, LogSegment, LogStream, NodeEnded
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.statements import Statement, read_unverified, sign_statement, verify_statement
from kifabrik.tenants.statements import Device, KeyholderStatement, Membership, RecipientList, Removal
from kifabrik.tenants.trust import (
    verify_device,
    verify_keyholder,
    verify_membership,
    verify_recipients,
    verify_removal,
)
from kifabrik.transfer.details import Names

KINDS: tuple[type, ...] = (
    *(Order, Manifest, Lease, AttemptRequest, MemberRequest, Refusal, Grant, Revocation, Erasure),
    *(ErasureCertificate, Acceptance, Provenance, Finish, NodeJoined, NodeEnded, LogSegment, LogStream, Device),
    *(KeyholderStatement, Membership, RecipientList, Removal, Names, NodeClaim),
)
_NOW = datetime(2026, 11, 23, tzinfo=UTC)
_BY_URI: dict[bytes, Any] = {vars(kind)["__predicate_type__"].encode(): kind for kind in KINDS}
_TEXTS = {
    "tenant": TENANT,
    "run": "r-aaaaaaaaaaaaaaaa",
    "attempt": "a-aaaaaaaaaaaaaaaa",
    "member": "m-aaaaaaaaaaaaaaaa",
    **dict.fromkeys(("owner", "dataset"), "d-aaaaaaaaaaaaaaaa"),
    **dict.fromkeys(("created", "expires", "deadline", "started", "finished", "destroyed", "ended"), TIME),
    **dict.fromkeys(("run_key", "node_key", "device_key", "invitation_key", "keyholder_key"), KEY.public.hex),
    **dict.fromkeys(("recipient", "output_recipient"), "age1" + "q" * 58),
    "previous": "",
    "evidence": "",
    "headers": "a" * 64,
}


_WISHES = SlurmOptions(partition="main", signal="USR1@60", begin="now+1hour", licenses="solver:2")


def example(kind: Any, name: str = "") -> Any:
    """Make a value of a type; texts after the name of their field."""
    if kind in (SlurmOptions, BodyRef):
        return _WISHES if kind is SlurmOptions else BodyRef(("b" if name == "shards" else "c") * 64, 300)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        kind = typing.get_args(kind)[0]
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        made: Any = kind
        return made(**{field.name: example(hints[field.name], field.name) for field in dataclasses.fields(kind)})
    if origin is tuple:
        return (KEY.public.hex,) if name == "node_keys" else (example(inner[0], name),)
    if isinstance(origin or kind, type) and issubclass(origin or kind, dict | typing.Mapping):
        return {"name": "a"}
    if issubclass(kind, Enum):
        return next(iter(kind))
    return {str: _TEXTS.get(name, DIGEST), int: 1, bool: True, float: 1.5}.get(kind, "a")


def one(data: bytes) -> None:
    """Sign the payload and read it as whatever it calls itself."""
    envelope = Envelope.sign(data, KEY)
    kind = next((kind for uri, kind in _BY_URI.items() if uri in data), Order)
    said, subjects = read_unverified(envelope, kind)
    again = sign_statement(said, subjects, KEY)
    agree(read_unverified(again, kind), (said, subjects), "a statement written and read")
    with suppress(IntegrityError):
        verify_statement(Envelope.sign(data, OTHER), kind, [KEY.public])
        raise AssertionError("a statement is believed that another key signed")
    _decide(kind, said, envelope)


def _decide(kind: type, said: Any, envelope: Envelope) -> None:
    """Take it where statements of its kind go."""
    key = KEY.public
    if kind is Order:
        verify_order(envelope, key, said.tenant, said.member)
        check_deadline(said, _NOW)
    elif kind is Manifest:
        follows(verify_manifest(envelope, [key]).predicate, None)
    elif kind is AttemptRequest:
        verify_attempt_request(envelope)
    elif kind is Lease:
        shared = ("tenant", "run", "order", "run_key", "recipient", "environment")
        wanted = {name: getattr(said, name) for name in shared}
        items = tuple(item.item for item in said.items)
        nodes = tuple(RequestingNode(key, said.recipient) for key in said.node_keys)
        wanted["nodes"] = nodes
        request = AttemptRequest(**wanted, attempt=said.receiver, number=1, items=items, place=_PLACE, created=TIME)
        verify_attempt_lease(envelope, key, Statement(request, {}, key, said.request), _NOW)
        asked = MemberRequest(said.tenant, said.receiver, key.hex, said.recipient, said.run, items, TIME, "0" * 32)
        verify_member_lease(envelope, key, Statement(asked, {}, key, said.request), _NOW)
    elif kind in _CHAIN:
        _CHAIN[kind](envelope)


_MEMBERSHIP = sign_statement(example(Membership), {"member": DIGEST}, KEY)


def _device(envelope: Envelope) -> None:
    verify_device(KEY.public, _MEMBERSHIP, envelope, _NOW)


def _membership(envelope: Envelope) -> None:
    verify_membership(KEY.public, envelope)
    device = dataclasses.replace(example(Device), membership=envelope.digest)
    verify_device(KEY.public, envelope, sign_statement(device, {"device": DIGEST}, KEY), _NOW)


_PLACE = example(typing.get_type_hints(AttemptRequest)["place"])
_CHAIN: dict[type, Any] = {
    Device: _device,
    Membership: _membership,
    KeyholderStatement: lambda envelope: verify_keyholder(KEY.public, envelope),
    RecipientList: lambda envelope: verify_recipients(example(KeyholderStatement), envelope),
    Removal: lambda envelope: verify_removal(KEY.public, envelope),
    NodeClaim: lambda envelope: verify_claim(envelope, _NOW),
    NodeJoined: verify_joined,
}


def seeds() -> Iterator[bytes]:
    """One of each kind."""
    for kind in KINDS:
        said = example(kind)
        if kind is Device:
            said = dataclasses.replace(said, membership=_MEMBERSHIP.digest)
        yield sign_statement(said, getattr(said, "subjects", {"about": DIGEST}), KEY).payload


TARGET = Target(
    "signed statements", one, (IntegrityError, RefusedError), seeds, tuple(_BY_URI), longest=1 << 14, json=True
)
