"""Old headers to new ones: the only place where a file key is opened, and it is sealed again at once.

Invariants:
- only headers that a signed manifest names by digest are opened, all of them or none;
- the identity is chosen by the manifest's owner, so headers of another owner do not open;
- one identity opens the code of all runs, so each of its headers says under its MAC whose code it is: whoever
  copies another member's code header into an order of their own is refused, whichever order came first;
- no file key is kept, returned or logged.
"""

from collections.abc import Callable, Sequence
from typing import Final

from kifabrik.datasets.contents import contents_digest
from kifabrik.datasets.encoding import MOST_ENCODED_BYTES, decode_contents
from kifabrik.datasets.manifest import Manifest
from kifabrik.errors import IntegrityError
from kifabrik.seals.header import split_headers
from kifabrik.seals.identities import Identity
from kifabrik.seals.opening import open_bytes, open_header, rewrap
from kifabrik.seals.recipients import Recipient

FetchBody = Callable[[str, int], bytes]
_SEALED_OVERHEAD: Final = 2**20


def rewrap_all(
    old: bytes, expected: int, identity: Identity, recipients: Sequence[Recipient], *, owner: str = ""
) -> bytes:
    """Return the same headers for other recipients, concatenated in the same order.

    Args:
        old: Headers object, its digest compared with the signed statement before.
        expected: How many headers the statement speaks of.
        identity: Of the owner.
        recipients: Who is to open them.
        owner: What each header must say it belongs to, where the identity opens what belongs to many.

    Raises:
        IntegrityError: There are more or fewer headers, or one is not sealed to this identity, or of another owner.
    """
    parts = split_headers(old)
    if len(parts) != expected:
        raise IntegrityError(f"{len(parts)} headers came for {expected} sealed bodies")
    return b"".join(rewrap(part, [identity], recipients, owner=owner) for part in parts)


def tree_of_code(manifest: Manifest, old: bytes, identity: Identity, fetch: FetchBody) -> str:
    """Return the digest of the tree a code bundle unpacks to.

    Raises:
        IntegrityError: The sealed contents do not open, are malformed, or are of another run.
    """
    own = split_headers(old)[0]
    sealed = manifest.sealed_manifest
    body = fetch(sealed.sha256, min(sealed.size, MOST_ENCODED_BYTES + _SEALED_OVERHEAD))
    return contents_digest(decode_contents(open_bytes(body, open_header(own, [identity], owner=manifest.owner))))
