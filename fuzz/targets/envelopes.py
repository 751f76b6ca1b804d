"""DSSE envelopes, against `securesystemslib`."""

import base64
import json
from collections.abc import Iterator

from securesystemslib.dsse import Envelope as TheirEnvelope

from fuzz.material import KEY, OTHER
from fuzz.target import Disagreement, Target, agree
from kifabrik.errors import IntegrityError
from kifabrik.signatures.dsse import Envelope

_PAYLOAD = b'{"a":1}'
_SIGNED = Envelope.sign(_PAYLOAD, KEY)


def one(data: bytes) -> None:
    """Read and verify; only the payload that was signed verifies, and the other library reads the same."""
    envelope = Envelope.from_json(data)
    agree(Envelope.from_json(envelope.to_json()), envelope, "an envelope written and read")
    theirs = TheirEnvelope.from_dict(json.loads(data))
    agree(envelope.payload, theirs.payload, "payload")
    signatures = {name: signature.signature for name, signature in theirs.signatures.items()}
    agree({one.keyid: one.sig.hex() for one in envelope.signatures}, signatures, "signatures")
    envelope.verify([OTHER.public, KEY.public])
    if envelope.payload != _PAYLOAD:
        raise Disagreement("a payload verifies that nobody signed")


def seeds() -> Iterator[bytes]:
    """One signature, two, and one of nobody."""
    yield _SIGNED.to_json().encode()
    yield Envelope.sign(_PAYLOAD, KEY, OTHER).to_json().encode()
    yield json.dumps({"payload": base64.b64encode(b"{}").decode(), "payloadType": "a", "signatures": []}).encode()


TARGET = Target("DSSE envelopes", one, (IntegrityError,), seeds, (b'"keyid":"', b'"sig":""', b"===="), json=True)
