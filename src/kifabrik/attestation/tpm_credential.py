"""TPM2_MakeCredential in software (TCG TPM 2.0 Library, Part 1, 24; Part 3, 12.6): the challenge of an enrolment.

A secret is encrypted to a TPM's endorsement key together with the name of an attestation key. The TPM gives the
secret out only if it holds both. Whoever returns the secret has thus shown that the attestation key lives in
the TPM whose endorsement key it was made for.
"""

import hmac
import secrets
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from kifabrik.attestation.tpm_structures import BORN_HERE, Attribute, Public, qualified_name
from kifabrik.errors import IntegrityError

ENDORSEMENT_HIERARCHY: Final = 0x4000000B.to_bytes(4, "big")
"""TPM_RH_ENDORSEMENT (Part 2, 7.4)."""
SECRET_BYTES: Final = 32
_LABEL: Final = b"IDENTITY\0"
_STORAGE: Final = b"STORAGE"
_INTEGRITY: Final = b"INTEGRITY"
_MAGIC: Final = 0xBADCC0DE
_FORMAT: Final = 1
_BLOCK_BYTES: Final = 16


@dataclass(frozen=True)
class Credential:
    """A challenge for one TPM and one of its keys.

    Args:
        blob: What the TPM is given, in the file form of tpm2-tools: magic, version, TPM2B_ID_OBJECT and
            TPM2B_ENCRYPTED_SECRET.
        secret: What it must answer.
    """

    blob: bytes
    secret: bytes


def check_endorsement_key(key: Public) -> None:
    """Check that a key is one a TPM uses for endorsement: it decrypts credentials and nothing else.

    Raises:
        IntegrityError: It is not.
    """
    wanted = BORN_HERE | Attribute.RESTRICTED | Attribute.DECRYPT
    if key.attributes != wanted or not key.symmetric_bits or key.scheme is not None:
        raise IntegrityError("the endorsement key is not one that a TPM decrypts credentials with")


def child_name(endorsement: Public, key: Public) -> bytes:
    """Return the qualified name of a key that was made below an endorsement key."""
    return qualified_name(qualified_name(ENDORSEMENT_HIERARCHY, endorsement), key)


def make_credential(endorsement: Public, name: bytes) -> Credential:
    """Make a challenge.

    Args:
        endorsement: The TPM's endorsement key.
        name: Of the attestation key.

    Raises:
        IntegrityError: The endorsement key is none.
    """
    check_endorsement_key(endorsement)
    secret = secrets.token_bytes(SECRET_BYTES)
    try:
        seed, encrypted_seed = _share_seed(endorsement)
    except ValueError:
        raise IntegrityError("the endorsement key cannot encrypt: it is no key a TPM makes") from None
    storage_key = _kdfa(endorsement, seed, _STORAGE, name, endorsement.symmetric_bits)
    cipher = Cipher(algorithms.AES(storage_key), CFB(bytes(_BLOCK_BYTES))).encryptor()
    sealed = cipher.update(_counted(secret)) + cipher.finalize()
    digest_bits = endorsement.name_hash.algorithm.digest_size * 8
    integrity_key = _kdfa(endorsement, seed, _INTEGRITY, b"", digest_bits)
    mac = hmac.digest(integrity_key, sealed + name, endorsement.name_hash.name.lower())
    identity = _counted(_counted(mac) + sealed)
    head = _MAGIC.to_bytes(4, "big") + _FORMAT.to_bytes(4, "big")
    return Credential(head + identity + _counted(encrypted_seed), secret)


def _share_seed(endorsement: Public) -> tuple[bytes, bytes]:
    """Return a seed and how the TPM learns it (Part 1, B.10.3 for RSA, C.6.3 for ECC)."""
    algorithm = endorsement.name_hash.algorithm
    size = algorithm.digest_size
    if isinstance(endorsement.key, rsa.RSAPublicKey):
        seed = secrets.token_bytes(size)
        hidden = padding.OAEP(padding.MGF1(algorithm), algorithm, _LABEL)
        return seed, endorsement.key.encrypt(seed, hidden)
    ephemeral = ec.generate_private_key(endorsement.key.curve)
    shared = ephemeral.exchange(ec.ECDH(), endorsement.key)
    ours, theirs = ephemeral.public_key().public_numbers(), endorsement.key.public_numbers()
    width = (endorsement.key.curve.key_size + 7) // 8
    x, y, other = (number.to_bytes(width, "big") for number in (ours.x, ours.y, theirs.x))
    # KDFe (Part 1, 11.4.10.3): one round suffices, as the seed is one digest long.
    state = hashes.Hash(algorithm)
    state.update((1).to_bytes(4, "big") + shared + _LABEL + x + other)
    return state.finalize()[:size], _counted(x) + _counted(y)


def _kdfa(key: Public, seed: bytes, label: bytes, context: bytes, bits: int) -> bytes:
    """KDFa (Part 1, 11.4.10.2), for at most one digest."""
    fixed = (1).to_bytes(4, "big") + label + b"\0" + context + bits.to_bytes(4, "big")
    return hmac.digest(seed, fixed, key.name_hash.name.lower())[: bits // 8]


def _counted(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data
