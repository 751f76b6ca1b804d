"""What a member says when it takes a model into use."""

from dataclasses import dataclass

from kifabrik.signatures.statements import predicate


@predicate("model-acceptance/v1")
@dataclass(frozen=True)
class Acceptance:
    """A member accepts a model.

    Args:
        tenant: Tenant id.
        member: Who accepts.
        run: Run id.
        owner: Run output, `r-…/1`.
        manifest: Digest of its manifest statement.
        signature: SHA-256 of the OpenSSF signature bundle, which stays with the tenant.
        created: Time.
    """

    tenant: str
    member: str
    run: str
    owner: str
    manifest: str
    signature: str
    created: str
