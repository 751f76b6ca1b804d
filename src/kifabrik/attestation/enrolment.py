"""How a tenant comes to know a node's TPM: endorsement, challenge, answer.

    node      endorsement   its keys, the maker's certificate, the registers as they are; signed by the node key
    steward   challenge     a secret only the TPM with both keys gives out
    node      answer        the secret
    steward                 puts the node on the list, if the endorsement key is known too

Invariants:
- an attestation key is listed only after its TPM has answered a challenge made for exactly this key;
- an endorsement key is believed by a manufacturer's certificate, or because a person has compared it.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kifabrik.attestation.certificates import fingerprint, public_key_of, read_certificate, verify_chain
from kifabrik.attestation.policy import EndorsedNode
from kifabrik.attestation.tpm_credential import check_endorsement_key, child_name, make_credential
from kifabrik.attestation.tpm_quote import check_attestation_key
from kifabrik.attestation.tpm_structures import Public
from kifabrik.errors import IntegrityError, UsageError
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.statements import key_named, predicate, read_unverified, verify_statement
from kifabrik.values import sha256_hex

_CHALLENGE: Final = "kifabrik.org/attestation-challenge/v1"
_ANSWER: Final = "kifabrik.org/attestation-answer/v1"
_MOST_FILE: Final = 64 * 1024


@predicate("endorsement/v1")
@dataclass(frozen=True)
class Endorsement:
    """What a node says of its TPM; signed by the node key.

    Args:
        node_key: Ed25519 key of the node, in hex.
        name: The operator's name of the node.
        key: Public area of the attestation key, in base64.
        endorsement: Public area of the endorsement key, in base64.
        certificate: The manufacturer's certificate of the endorsement key (DER), in base64; empty for none.
        bank: Of the registers.
        pcrs: Registers when this was written, by number, in hex.
        created: Time.
    """

    node_key: str
    name: str
    key: str
    endorsement: str
    certificate: str
    bank: str
    pcrs: Mapping[str, str]
    created: str


@dataclass(frozen=True)
class NewNode:
    """A node whose keys have the right form; whether they are a real TPM's is open.

    Args:
        said: What it says.
        key: Its attestation key.
        endorsement: Its endorsement key.
        certificate: The certificate of the endorsement key, for that very key; None for none.
    """

    said: Endorsement
    key: Public
    endorsement: Public
    certificate: x509.Certificate | None

    @property
    def endorsement_digest(self) -> str:
        """SHA-256 over the endorsement key's public area, in hex: what people compare."""
        return sha256_hex(self.endorsement.raw)

    @property
    def endorsed(self) -> EndorsedNode:
        """What a policy lists."""
        return EndorsedNode(
            node_key=self.said.node_key,
            name=self.said.name,
            key=self.key.name.hex(),
            qualified=child_name(self.endorsement, self.key).hex(),
            endorsement=self.endorsement_digest,
        )


def read_endorsement(text: str) -> NewNode:
    """Read and check an endorsement.

    Raises:
        IntegrityError: Not signed by the node key it names, or a key of it is not of the right kind.
    """
    envelope = Envelope.from_json(text)
    claimed, _ = read_unverified(envelope, Endorsement)
    said = verify_statement(envelope, Endorsement, [key_named(claimed.node_key)]).predicate
    key, endorsement = Public.parse(_bytes(said.key)), Public.parse(_bytes(said.endorsement))
    check_attestation_key(key)
    check_endorsement_key(endorsement)
    certificate = read_certificate(_bytes(said.certificate)) if said.certificate else None
    if certificate is not None and _key_bytes(certificate) != endorsement.key.public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    ):
        raise IntegrityError("the manufacturer's certificate is of another endorsement key")
    return NewNode(said, key, endorsement, certificate)


def certified(node: NewNode, authorities: Sequence[x509.Certificate], when: datetime) -> str:
    """Check that a listed authority has certified a node's endorsement key; return the authority's fingerprint.

    Args:
        node: The node.
        authorities: Certificates of manufacturers that the steward trusts, roots or below.
        when: The present.

    Raises:
        IntegrityError: None of them has.
    """
    if node.certificate is None:
        raise IntegrityError(
            "the TPM has no certificate of its manufacturer",
            hint="Compare the endorsement key by other means, and name it with --ek.",
        )
    for authority in authorities:
        try:
            verify_chain([node.certificate, authority], [fingerprint(authority)], when)
        except IntegrityError:
            continue
        return fingerprint(authority)
    raise IntegrityError(
        "none of the listed authorities has certified the node's endorsement key",
        hint="The file must hold the certificate that issued it; manufacturers publish theirs.",
    )


def challenge(node: NewNode) -> tuple[str, bytes]:
    """Return a challenge file for a node, and the secret its TPM must answer."""
    made = make_credential(node.endorsement, node.key.name)
    body = {"format": _CHALLENGE, "key": node.key.name.hex(), "credential": base64.b64encode(made.blob).decode()}
    return json.dumps(body, indent=2) + "\n", made.secret


def read_challenge(text: str) -> tuple[str, bytes]:
    """Return the name of the attestation key a challenge is for, in hex, and what the TPM is to be given.

    Raises:
        IntegrityError: It is no challenge file.
    """
    return _read(text, _CHALLENGE, "credential")


def write_answer(key: str, secret: bytes) -> str:
    """Return an answer file."""
    return json.dumps({"format": _ANSWER, "key": key, "answer": base64.b64encode(secret).decode()}, indent=2) + "\n"


def read_answer(text: str) -> tuple[str, bytes]:
    """Return the name of the attestation key an answer is about, in hex, and the secret.

    Raises:
        IntegrityError: It is no answer file.
    """
    return _read(text, _ANSWER, "answer")


def _read(text: str, kind: str, part: str) -> tuple[str, bytes]:
    try:
        body = json.loads(text[:_MOST_FILE])
        found = (body["format"], body["key"], body[part])
        if found[0] != kind or not all(isinstance(value, str) for value in found) or len(body) != len(found):
            raise IntegrityError(f"not a file of format {kind}")
        return found[1], _bytes(found[2])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise IntegrityError(f"not a file of format {kind}") from None


def read_authorities(pem: bytes) -> list[x509.Certificate]:
    """Read certificates of authorities.

    Raises:
        UsageError: There are none.
    """
    try:
        return x509.load_pem_x509_certificates(pem)
    except (ValueError, x509.InvalidVersion):
        raise UsageError("the file holds no certificates in PEM form") from None


def _key_bytes(certificate: x509.Certificate) -> bytes:
    return public_key_of(certificate).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        raise IntegrityError("the node's endorsement has a part that is not base64") from None
