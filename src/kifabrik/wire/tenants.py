"""Sign-up, enrolment and members."""

from kifabrik.tenants.statements import Role
from kifabrik.wire.body import Body, Detail, Number, Sha256, Text


class TenantCreation(Body):
    """Signs a tenant up; `code` comes from the operator."""

    code: str
    tenant_key: Sha256
    keyholder: Text


class TenantCreated(Body):
    """Answer to a sign-up; the token is the keyholder's and is shown once."""

    tenant: str
    log_vkey: str
    token: str


class KeyholderUpdate(Body):
    """A new keyholder statement after a restore; signed by the tenant key."""

    keyholder: Text


class Enrolment(Body):
    """Enrols a device; proves itself by its two signatures."""

    membership: Text
    device: Text
    detail: Detail | None = None


class Enrolled(Body):
    """Answer to an enrolment; the token is shown once."""

    tenant: str
    member: str
    role: Role
    token: str


class Me(Body):
    """Who the token belongs to."""

    tenant: str
    member: str
    role: str


class Signed(Body):
    """One signed statement, with its sealed names if it has any."""

    statement: Text
    detail: Detail | None = None


class Logged(Body):
    """A statement was accepted: its digest and its place in the log."""

    digest: Sha256
    log_index: Number


class MemberView(Body):
    """A member as the factory knows it; `device` is empty until one is enrolled."""

    member: str
    role: Role
    membership: Sha256
    device: str
    removed: bool
