"""What evidence is made over: 32 bytes that name one moment, one attempt and one node.

The moment is a tree head of the tenant's log that the keyholder has cosigned: nobody knows its cosignature
before it is made, everybody with the witness key can check when it was made, and it names a tree in which
the order stands already. So it is the keyholder's nonce, and nobody has to ask for one.
"""

from dataclasses import asdict, dataclass
from typing import Final

from kifabrik.signatures.canonical import to_canonical
from kifabrik.values import sha256_hex

_KIND: Final = "https://kifabrik.org/attestation-binding/v1"


@dataclass(frozen=True)
class Binding:
    """Everything a quote is bound to beside the moment; all from the request the evidence comes with.

    Args:
        tenant: Tenant id.
        run: Run id.
        attempt: Attempt id.
        number: Of the attempt.
        order: Digest of the order statement.
        items: Digests of the manifests of code, inputs and checkpoint.
        environment: Tree digest of the environment.
        run_key: Of the attempt, in hex.
        recipient: age recipient of the attempt key.
        node_key: Of the node that makes the quote, in hex.
        node_recipient: age recipient of that node's launcher.
    """

    tenant: str
    run: str
    attempt: str
    number: int
    order: str
    items: tuple[str, ...]
    environment: str
    run_key: str
    recipient: str
    node_key: str
    node_recipient: str

    def digest(self, head: str) -> bytes:
        """Return SHA-256 over the canonical JSON of this and of the cosigned head's digest.

        Args:
            head: Note text of the head.
        """
        body = {"kind": _KIND, "head": sha256_hex(head.encode()), **asdict(self), "items": list(self.items)}
        return bytes.fromhex(sha256_hex(to_canonical(body)))
