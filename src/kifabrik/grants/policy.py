"""Cedar policies (cedarpolicy.com, language version 4): a schema, standing rules, one permit per grant.

Invariants:
- a policy is made from a verified statement only, and every text of it is escaped;
- a grant's policy is the conjunction of its conditions, and each condition stands alone as well, so
  the answer to "why not" comes from the same text as the decision;
- what ends a permission (erasure, freezing, removal) is a `forbid`, which no grant can outvote.
"""

import re
from enum import StrEnum
from functools import lru_cache
from typing import Final

import cedarpy

from kifabrik.errors import IntegrityError
from kifabrik.grants.statements import Grant
from kifabrik.tenants.statements import Role
from kifabrik.values import Kind, is_id, parse_time

USERS: Final = (Role.ENGINEER, Role.STEWARD, Role.OWNER)
"""Roles that may order runs; auditors only look."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9 ._:/@-]")
_CACHED_POLICIES: Final = 256

SCHEMA: Final = """
entity Member = { role: String, removed: Bool };
entity Dataset = { erased: Bool, frozen: Bool };
entity Grant = { revoked: Bool, runs_last_day: Long, code?: String };
entity Run = { member: Member, erased: Bool, frozen: Bool };
action use appliesTo {
  principal: Member,
  resource: Dataset,
  context: {
    purpose: String, now: Long, country: String, site: String, node_class: String,
    attested: Bool, approved: Bool
  }
};
action pull appliesTo { principal: Member, resource: Run, context: {} };
"""

RULES: Final = """
@id("erased") forbid (principal, action, resource) when { resource.erased };
@id("frozen") forbid (principal, action, resource) when { resource.frozen };
@id("removed-member") forbid (principal, action, resource) when { principal.removed };
@id("pull-own") permit (principal, action == Action::"pull", resource)
when { principal.role == "engineer" && resource.member == principal };
@id("pull-any") permit (principal, action == Action::"pull", resource)
when { ["steward", "owner"].contains(principal.role) };
"""


class Condition(StrEnum):
    """What a grant asks for; the value is the reason word when it fails."""

    REVOKED = "revoked"
    PURPOSE = "no-grant"
    EXPIRED = "expired"
    ROLE = "role"
    MEMBER = "member"
    PLACE = "place"
    CODE = "code"
    ATTESTED = "not-attested"
    LIMIT = "limit"
    ASK = "ask"


def conditions(grant: Grant) -> dict[Condition, str]:
    """Return what a grant asks for, each as a Cedar expression.

    Raises:
        IntegrityError: A field of the grant does not have its form.
    """
    _check(grant)
    entity = f'Grant::"{grant.grant}"'
    roles = ", ".join(f'"{role}"' for role in USERS)
    found = {
        Condition.REVOKED: f"!{entity}.revoked",
        Condition.PURPOSE: f"context.purpose == {literal(grant.purpose)}",
        Condition.EXPIRED: f"context.now < {int(parse_time(grant.expires).timestamp())}",
        Condition.ROLE: f"[{roles}].contains(principal.role)",
    }
    if grant.members:
        members = ", ".join(f'Member::"{member}"' for member in sorted(grant.members))
        found[Condition.MEMBER] = f"[{members}].contains(principal)"
    place = [
        f"context.{name} == {literal(value)}"
        for name, value in (
            ("country", grant.place.country),
            ("site", grant.place.site),
            ("node_class", grant.place.node_class),
        )
        if value
    ]
    if place:
        found[Condition.PLACE] = " && ".join(place)
    if grant.code is not None:
        found[Condition.CODE] = f"{entity} has code && {entity}.code == {literal(grant.code.sha256)}"
    if grant.attested:
        found[Condition.ATTESTED] = "context.attested"
    if grant.runs_per_day:
        found[Condition.LIMIT] = f"{entity}.runs_last_day < {grant.runs_per_day}"
    if grant.ask:
        found[Condition.ASK] = "context.approved"
    return found


def permit(name: str, dataset: str, *expressions: str) -> str:
    """Return a policy that permits the use of a dataset when all expressions hold."""
    body = " &&\n  ".join(f"({expression})" for expression in expressions)
    return (
        f"@id({literal(name)})\n"
        f'permit (principal, action == Action::"use", resource == Dataset::"{dataset}")\n'
        f"when {{\n  {body}\n}};\n"
    )


def policy_of(grant: Grant) -> str:
    """Return the policy of a grant; its `@id` is the grant id."""
    return permit(grant.grant, grant.dataset, *conditions(grant).values())


def literal(text: str) -> str:
    r"""Return a Cedar string literal; whatever is not plain is written as `\u{…}`.

    Raises:
        IntegrityError: The text has code points that no Cedar string can hold.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise IntegrityError("a text in a grant is not valid Unicode") from None
    return '"' + "".join(c if _PLAIN.fullmatch(c) else f"\\u{{{ord(c):x}}}" for c in text) + '"'


@lru_cache(maxsize=1)
def schema() -> cedarpy.Schema:
    """Return the parsed schema."""
    return cedarpy.Schema.from_str(SCHEMA)


@lru_cache(maxsize=_CACHED_POLICIES)
def parsed(text: str) -> cedarpy.PolicySet:
    """Parse policies and validate them against the schema; the result is kept.

    Raises:
        IntegrityError: They do not parse or do not fit the schema; nothing may be decided with them.
    """
    try:
        policies = cedarpy.PolicySet.from_str(text)
        checked = cedarpy.validate_policies(text, schema())
    except ValueError as error:
        raise IntegrityError(f"the policies cannot be read: {error}") from None
    if not checked.validation_passed:
        raise IntegrityError(f"the policies do not fit the schema: {checked.errors[0]}")
    return policies


def _check(grant: Grant) -> None:
    ids = is_id(grant.grant, Kind.GRANT) and is_id(grant.dataset, Kind.DATASET)
    members = all(is_id(member, Kind.MEMBER) for member in grant.members)
    if not ids or not members or not grant.purpose or grant.runs_per_day < 0:
        raise IntegrityError(f"grant {grant.grant[:40]!r} has a field that is not of its form")
