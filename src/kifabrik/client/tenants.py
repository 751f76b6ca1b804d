"""Tenants, members, devices and recipient lists."""

from kifabrik.client.connection import Connection
from kifabrik.signatures.dsse import Envelope
from kifabrik.wire.body import Detail
from kifabrik.wire.tenants import (
    Enrolled,
    Enrolment,
    KeyholderUpdate,
    Logged,
    Me,
    MemberView,
    Signed,
    TenantCreated,
    TenantCreation,
)


class Tenants:
    """Who belongs to a tenant."""

    def __init__(self, connection: Connection) -> None:
        self._http = connection

    def create(self, code: str, tenant_key: str, keyholder: Envelope) -> TenantCreated:
        """Sign a tenant up with an operator's code."""
        body = TenantCreation(code=code, tenant_key=tenant_key, keyholder=keyholder.to_json())
        return self._http.post("/v1/tenants", body, TenantCreated)

    def enrol(self, membership: Envelope, device: Envelope, detail: Detail | None = None) -> Enrolled:
        """Enrol a device with an invitation."""
        body = Enrolment(membership=membership.to_json(), device=device.to_json(), detail=detail)
        return self._http.post("/v1/devices", body, Enrolled)

    def me(self) -> Me:
        """Who this token belongs to."""
        return self._http.get("/v1/me", Me)

    def clock_ahead_s(self) -> float | None:
        """By how many seconds this machine's clock is ahead of the factory's; None if that tells no time."""
        return self._http.clock_ahead_s("/v1/me")

    def members(self) -> list[MemberView]:
        """All members of the tenant."""
        return self._http.get_list("/v1/members", MemberView)

    def remove(self, removal: Envelope) -> Logged:
        """Remove a member; their tokens stop working at once."""
        return self._http.post("/v1/members/removals", Signed(statement=removal.to_json()), Logged)

    def set_attestation(self, policy: Envelope) -> Logged:
        """Put on record what counts as attested (keyholder token)."""
        return self._http.post("/v1/attestation", Signed(statement=policy.to_json()), Logged)

    def keyholder(self) -> Envelope:
        """The newest keyholder statement; verify it with the tenant key."""
        return Envelope.from_json(self._http.get("/v1/keyholder", KeyholderUpdate).keyholder)

    def replace_keyholder(self, statement: Envelope) -> Logged:
        """Name a new keyholder after a restore (keyholder token)."""
        return self._http.post("/v1/keyholder", KeyholderUpdate(keyholder=statement.to_json()), Logged)

    def recipients(self) -> Envelope:
        """The keyholder's newest recipient list; verify it with the keyholder key."""
        return Envelope.from_json(self._http.get("/v1/recipients", Signed).statement)

    def publish_recipients(self, statement: Envelope) -> Logged:
        """Publish a recipient list (keyholder token)."""
        return self._http.post("/v1/recipients", Signed(statement=statement.to_json()), Logged)
