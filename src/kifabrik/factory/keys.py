"""The key an object lies under."""


def object_key(tenant: str, digest: str) -> str:
    """Return `tenant/aa/digest`; the two digits keep folders small."""
    return f"{tenant}/{digest[:2]}/{digest}"
