"""The key an object lies under, and the room it is counted with."""

from typing import Final

SMALLEST: Final = 4096
"""What the smallest object counts: a block of the disk, beside which its rows are small."""


def object_key(tenant: str, digest: str) -> str:
    """Return `tenant/aa/digest`; the two digits keep folders small."""
    return f"{tenant}/{digest[:2]}/{digest}"


def counted(size: int) -> int:
    """Bytes of its tenant's quota an object takes: else very many tiny ones would fill the disk at no cost."""
    return max(size, SMALLEST)
