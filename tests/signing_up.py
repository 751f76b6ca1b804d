"""Signs a tenant up without a service."""

from kifabrik.factory.factory import Factory
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import sign_statement
from kifabrik.tenants.statements import KeyholderStatement
from kifabrik.values import sha256_hex


def sign_up(factory: Factory, note: str = "") -> str:
    """Create a tenant and return its id."""
    key = SigningKey.generate()
    tenant = key.public.tenant_id
    said = KeyholderStatement(
        tenant=tenant,
        sequence=1,
        keyholder_key=SigningKey.generate().public.hex,
        witness_key=SigningKey.generate().public.hex,
        order_recipient="age1order",
        catalogue_recipient="age1catalogue",
        created="2026-11-23T08:00:00Z",
        recovery_recipient="",
    )
    keyholder = sign_statement(said, {"tenant": sha256_hex(tenant.encode())}, key)
    factory.accounts.sign_up(factory.accounts.make_code(note), key.public, keyholder)
    return tenant
