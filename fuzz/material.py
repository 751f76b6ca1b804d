"""Keys and texts the targets share; fixed, so that a kept input means the same on every machine."""

from kifabrik.seals.identities import HybridIdentity, Identity
from kifabrik.signatures.keys import SigningKey

KEY = SigningKey(bytes(range(32)))
OTHER = SigningKey(bytes(range(1, 33)))
IDENTITY = Identity(bytes(range(2, 34)))
HYBRID = HybridIdentity(bytes(range(3, 35)))
FILE_KEY = bytes(range(16))
PLAIN = b"temperature of press line 7: 412.5\n" * 3
TENANT = KEY.public.tenant_id
TIME = "2026-11-23T10:29:31Z"
DIGEST = "0123456789abcdef" * 4


def take(data: bytes) -> tuple[int, bytes]:
    """Take a number from the front of an input, for choices."""
    return (data[0], data[1:]) if data else (0, b"")


def text_of(data: bytes) -> str:
    """Read an input as text, as a file or a body would be before it reaches the parser."""
    return data.decode("utf-8", "replace")
