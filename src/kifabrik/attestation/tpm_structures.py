"""TPM 2.0 structures as a TPM writes them (TCG TPM 2.0 Library, Part 2: Structures; clause in each docstring).

Invariants:
- only what attestation needs is understood: RSA and P-256 keys, SHA-2, quotes; anything else is refused;
- a key's name is computed from its public area, never taken from anybody's word.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final, TypeAlias, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from kifabrik.attestation.structures import StructureReader
from kifabrik.errors import IntegrityError

GENERATED: Final = 0xFF544347
"""TPM_GENERATED_VALUE (6.2): 0xff and "TCG"; a TPM signs nothing from outside that begins like this."""
_ATTEST_QUOTE: Final = 0x8018
"""TPM_ST_ATTEST_QUOTE (6.9)."""
_ALG_AES: Final = 0x0006
_ALG_NULL: Final = 0x0010
_ALG_CFB: Final = 0x0043
_CURVE_P256: Final = 0x0003
_DEFAULT_EXPONENT: Final = 65537
_RSA_BITS: Final = (2048, 3072, 4096)
_P256_BYTES: Final = 32
_MOST_NAME: Final = 66
"""Algorithm and SHA-512 digest."""
_MOST_DATA: Final = 66
_MOST_POLICY: Final = 64
_MOST_RSA: Final = 512
_MOST_SELECT_BYTES: Final = 4
_CLOCK_BYTES: Final = 8
_HIGH_BIT: Final = 0x80
_AES_BITS: Final = (128, 256)
PCRS: Final = 24
"""Registers of a PC client TPM (TCG PC Client Platform TPM Profile, 4.6)."""


class Hash(IntEnum):
    """TPM_ALG_ID of hashes (6.3) that are strong enough to be believed."""

    SHA256 = 0x000B
    SHA384 = 0x000C
    SHA512 = 0x000D

    def digest(self, data: bytes) -> bytes:
        """Hash bytes."""
        return hashlib.new(self.name.lower(), data).digest()

    @property
    def algorithm(self) -> hashes.HashAlgorithm:
        """For `cryptography`."""
        return _ALGORITHMS[self]


_ALGORITHMS: Final[Mapping[Hash, hashes.HashAlgorithm]] = {
    Hash.SHA256: hashes.SHA256(),
    Hash.SHA384: hashes.SHA384(),
    Hash.SHA512: hashes.SHA512(),
}


class Kind(IntEnum):
    """TPM_ALG_ID of keys (6.3)."""

    RSA = 0x0001
    ECC = 0x0023


class Scheme(IntEnum):
    """TPM_ALG_ID of signature schemes (6.3)."""

    RSASSA = 0x0014
    RSAPSS = 0x0016
    ECDSA = 0x0018


class Attribute(IntFlag):
    """TPMA_OBJECT (8.3)."""

    FIXED_TPM = 1 << 1
    FIXED_PARENT = 1 << 4
    SENSITIVE_DATA_ORIGIN = 1 << 5
    RESTRICTED = 1 << 16
    DECRYPT = 1 << 17
    SIGN = 1 << 18


BORN_HERE: Final = Attribute.FIXED_TPM | Attribute.FIXED_PARENT | Attribute.SENSITIVE_DATA_ORIGIN
"""The key was made in this TPM and can leave neither it nor its parent."""

PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


@dataclass(frozen=True)
class Public:
    """A key's public area, TPMT_PUBLIC (12.2.4).

    Args:
        raw: Its bytes.
        name_hash: The hash its name is made with.
        attributes: What the TPM lets the key do.
        scheme: The only signature scheme it has, or None.
        scheme_hash: The hash of that scheme, or None.
        symmetric_bits: Of AES-CFB with which a storage key protects its children; 0 for none.
        key: The key itself.
    """

    raw: bytes
    name_hash: Hash
    attributes: Attribute
    scheme: Scheme | None
    scheme_hash: Hash | None
    symmetric_bits: int
    key: PublicKey

    @property
    def name(self) -> bytes:
        """The key's name: algorithm and digest of the public area (Part 1, 16)."""
        return self.name_hash.to_bytes(2, "big") + self.name_hash.digest(self.raw)

    @classmethod
    def parse(cls, raw: bytes) -> "Public":
        """Read a public area.

        Raises:
            IntegrityError: It is not the public area of a key that is understood.
        """
        reader = StructureReader(raw, "a TPM key")
        kind, name_hash = _known(Kind, reader.number(2)), _known(Hash, reader.number(2))
        attributes = Attribute(reader.number(4) & _ALL_ATTRIBUTES)
        reader.counted(_MOST_POLICY)
        symmetric_bits = _symmetric(reader)
        scheme, scheme_hash = _scheme(reader)
        read = _rsa if kind is Kind.RSA else _ecc
        key = read(reader)
        reader.end()
        if scheme is not None and (kind is Kind.ECC) != (scheme is Scheme.ECDSA):
            raise IntegrityError("a TPM key has a signature scheme of another kind of key")
        return cls(raw, name_hash, attributes, scheme, scheme_hash, symmetric_bits, key)


_ALL_ATTRIBUTES: Final = int(BORN_HERE | Attribute.RESTRICTED | Attribute.DECRYPT | Attribute.SIGN)
_E = TypeVar("_E", bound=IntEnum)


def _known(kinds: type[_E], number: int) -> _E:
    try:
        return kinds(number)
    except ValueError:
        raise IntegrityError(f"TPM algorithm {number:#06x} is none that is believed as {kinds.__name__}") from None


def _symmetric(reader: StructureReader) -> int:
    """Read TPMT_SYM_DEF_OBJECT (11.1.7); return the bits of AES-CFB, or 0."""
    algorithm = reader.number(2)
    if algorithm == _ALG_NULL:
        return 0
    bits, mode = reader.number(2), reader.number(2)
    if (algorithm, mode) != (_ALG_AES, _ALG_CFB) or bits not in _AES_BITS:
        raise IntegrityError("a TPM key protects its children with something else than AES in CFB mode")
    return bits


def _scheme(reader: StructureReader) -> tuple[Scheme | None, Hash | None]:
    """Read TPMT_RSA_SCHEME or TPMT_ECC_SCHEME (11.2.4.2, 11.2.5.6)."""
    number = reader.number(2)
    if number == _ALG_NULL:
        return None, None
    return _known(Scheme, number), _known(Hash, reader.number(2))


def _rsa(reader: StructureReader) -> PublicKey:
    bits, exponent, modulus = reader.number(2), reader.number(4), reader.counted(_MOST_RSA)
    if bits not in _RSA_BITS or len(modulus) * 8 != bits or modulus[0] < _HIGH_BIT:
        raise IntegrityError(f"a TPM key has an RSA modulus of {len(modulus)} bytes and says {bits} bits")
    try:
        return rsa.RSAPublicNumbers(exponent or _DEFAULT_EXPONENT, int.from_bytes(modulus, "big")).public_key()
    except ValueError:
        raise IntegrityError("a TPM key is no RSA key") from None


def _ecc(reader: StructureReader) -> PublicKey:
    curve, kdf = reader.number(2), reader.number(2)
    if (curve, kdf) != (_CURVE_P256, _ALG_NULL):
        raise IntegrityError("a TPM key is on another curve than P-256")
    x, y = reader.counted(_P256_BYTES), reader.counted(_P256_BYTES)
    try:
        numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1())
        return numbers.public_key()
    except ValueError:
        raise IntegrityError("a TPM key is no point of P-256") from None


@dataclass(frozen=True)
class Signature:
    """TPMT_SIGNATURE (11.3.4).

    Args:
        scheme: How it was made.
        hash: Of what was signed.
        parts: One number for RSA, two for ECDSA, big-endian.
    """

    scheme: Scheme
    hash: Hash
    parts: tuple[bytes, ...]

    @classmethod
    def parse(cls, raw: bytes) -> "Signature":
        """Read a signature.

        Raises:
            IntegrityError: It is none, or of a kind that is not understood.
        """
        reader = StructureReader(raw, "a TPM signature")
        scheme, digest = _known(Scheme, reader.number(2)), _known(Hash, reader.number(2))
        count, most = (2, _P256_BYTES) if scheme is Scheme.ECDSA else (1, _MOST_RSA)
        parts = tuple(reader.counted(most) for _ in range(count))
        reader.end()
        return cls(scheme, digest, parts)

    def verify(self, key: Public, message: bytes) -> None:
        """Check it with the only scheme the key has.

        Raises:
            IntegrityError: It is not this key's, or made in another way.
        """
        if (self.scheme, self.hash) != (key.scheme, key.scheme_hash):
            raise IntegrityError("the TPM signature is made otherwise than its key signs")
        algorithm = self.hash.algorithm
        try:
            if isinstance(key.key, ec.EllipticCurvePublicKey):
                r, s = (int.from_bytes(part, "big") for part in self.parts)
                key.key.verify(encode_dss_signature(r, s), message, ec.ECDSA(algorithm))
            elif self.scheme is Scheme.RSAPSS:
                salted = padding.PSS(padding.MGF1(algorithm), padding.PSS.AUTO)
                key.key.verify(self.parts[0], message, salted, algorithm)
            else:
                key.key.verify(self.parts[0], message, padding.PKCS1v15(), algorithm)
        except (InvalidSignature, ValueError):
            raise IntegrityError("the TPM signature is not by the key it comes with") from None


@dataclass(frozen=True)
class Quote:
    """What a quote says: TPMS_ATTEST with TPMS_QUOTE_INFO (10.12.8, 10.12.1).

    Args:
        signer: Qualified name of the key: its name within those of its parents.
        data: What the caller of TPM2_Quote gave: 32 bytes here.
        resets: How often the TPM was reset, which a reboot does.
        restarts: How often it was restarted or resumed since.
        firmware: Version of the TPM's own firmware.
        bank: The hash of the registers.
        selected: Numbers of the registers, ascending.
        digest: Over their values, in this order.
    """

    signer: bytes
    data: bytes
    resets: int
    restarts: int
    firmware: int
    bank: Hash
    selected: tuple[int, ...]
    digest: bytes

    @classmethod
    def parse(cls, raw: bytes) -> "Quote":
        """Read what a TPM has signed.

        Raises:
            IntegrityError: No TPM made this, or it is no quote, or one over several banks.
        """
        reader = StructureReader(raw, "a TPM quote")
        if reader.number(4) != GENERATED:
            raise IntegrityError("the quote was not generated by a TPM: it may sign such bytes for anybody")
        if reader.number(2) != _ATTEST_QUOTE:
            raise IntegrityError("a TPM signed this, but it is no quote of registers")
        signer, data = reader.counted(_MOST_NAME), reader.counted(_MOST_DATA)
        reader.take(_CLOCK_BYTES)
        resets, restarts = reader.number(4), reader.number(4)
        if reader.number(1) > 1:
            raise IntegrityError("a TPM quote has a truth value that is neither yes nor no")
        firmware = reader.number(8)
        bank, selected = _selection(reader)
        digest = reader.counted(_MOST_DATA)
        reader.end()
        return cls(signer, data, resets, restarts, firmware, bank, selected, digest)


def _selection(reader: StructureReader) -> tuple[Hash, tuple[int, ...]]:
    """Read TPML_PCR_SELECTION (10.9.7): one bank, and its registers as bits, lowest first."""
    if reader.number(4) != 1:
        raise IntegrityError("a TPM quote is over several banks of registers, or none")
    bank = _known(Hash, reader.number(2))
    size = reader.number(1)
    bits = int.from_bytes(reader.take(size), "little")
    if size > _MOST_SELECT_BYTES or bits >> PCRS:
        raise IntegrityError("a TPM quote selects registers that do not exist")
    return bank, tuple(number for number in range(PCRS) if bits >> number & 1)


def qualified_name(parent: bytes, key: Public) -> bytes:
    """Return the qualified name of a key below a parent's qualified name (Part 1, 26.5).

    Args:
        parent: Qualified name of the parent, or four bytes of the hierarchy it is a primary key of.
        key: The key.
    """
    return key.name_hash.to_bytes(2, "big") + key.name_hash.digest(parent + key.name)
