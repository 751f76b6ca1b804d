"""Dead Simple Signing Envelope, protocol version 1 (github.com/secure-systems-lab/dsse).

The signed bytes are the pre-authentication encoding
`"DSSEv1" SP len(type) SP type SP len(payload) SP payload`.
"""

import base64
import binascii
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kifabrik.errors import IntegrityError
from kifabrik.signatures.keys import SigningKey, VerifyKey
from kifabrik.values import sha256_hex

IN_TOTO_TYPE: Final = "application/vnd.in-toto+json"
_MOST_SIGNATURES: Final = 3001
"""The run key and the keys of 3,000 nodes under one request for keys; no other statement has more than two."""


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that are signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


@dataclass(frozen=True)
class Signature:
    """One signature and the id of the key that is said to have made it (a hint, not trusted)."""

    keyid: str
    sig: bytes


@dataclass(frozen=True)
class Envelope:
    """A payload with its signatures; nothing in it is trusted before `verify`."""

    payload: bytes
    signatures: tuple[Signature, ...]
    payload_type: str = IN_TOTO_TYPE

    @classmethod
    def sign(cls, payload: bytes, *keys: SigningKey) -> "Envelope":
        """Sign in-toto JSON with one or more keys."""
        message = pre_authentication_encoding(IN_TOTO_TYPE, payload)
        return cls(payload, tuple(Signature(key.public.keyid, key.sign(message)) for key in keys))

    def signature_by(self, key: SigningKey) -> bytes:
        """Sign the same payload with another key; the signature alone."""
        return key.sign(pre_authentication_encoding(self.payload_type, self.payload))

    @property
    def digest(self) -> str:
        """SHA-256 of the payload in hex: the name others refer to this statement by."""
        return sha256_hex(self.payload)

    def verify(self, trusted: Iterable[VerifyKey]) -> VerifyKey:
        """Return the first trusted key that has signed.

        Raises:
            IntegrityError: None of the trusted keys signed this payload.
        """
        message = pre_authentication_encoding(self.payload_type, self.payload)
        by_id = {key.keyid: key for key in trusted}
        for signature in self.signatures:
            key = by_id.get(signature.keyid)
            if key is None:
                continue
            key.verify(signature.sig, message)
            return key
        raise IntegrityError("statement is not signed by a trusted key")

    def verify_every(self, keys: Iterable[VerifyKey]) -> None:
        """Verify that each of these keys has signed, whoever else has.

        Raises:
            IntegrityError: One of them has not signed this payload.
        """
        message = pre_authentication_encoding(self.payload_type, self.payload)
        by_id = {signature.keyid: signature.sig for signature in self.signatures}
        for key in keys:
            signed = by_id.get(key.keyid)
            if signed is None:
                raise IntegrityError("statement is not signed by a trusted key")
            key.verify(signed, message)

    def to_json(self) -> str:
        """Write in the DSSE JSON form."""
        return json.dumps(
            {
                "payload": base64.b64encode(self.payload).decode(),
                "payloadType": self.payload_type,
                "signatures": [
                    {"keyid": s.keyid, "sig": base64.b64encode(s.sig).decode()} for s in self.signatures
                ],
            }
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> "Envelope":
        """Read the DSSE JSON form; standard base64 with padding only.

        Raises:
            IntegrityError: The text is not an envelope of in-toto JSON.
        """
        try:
            body = json.loads(text)
            signatures = body["signatures"]
            if body["payloadType"] != IN_TOTO_TYPE or not 1 <= len(signatures) <= _MOST_SIGNATURES:
                raise IntegrityError("not a signed in-toto statement")
            found = tuple(Signature(s["keyid"], base64.b64decode(s["sig"], validate=True)) for s in signatures)
            if not all(isinstance(signature.keyid, str) for signature in found):
                raise IntegrityError("not a DSSE envelope: a key id is not text")
            if len({signature.keyid for signature in found}) != len(found):
                raise IntegrityError("a signed statement has two signatures of one key")
            return cls(base64.b64decode(body["payload"], validate=True), found)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
            raise IntegrityError("not a DSSE envelope") from None
