"""SEV-SNP reports and chains of a processor that does not exist, made like AMD's."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier

from kifabrik.attestation.snp import REPORT_BYTES, SIGNED_BYTES

NOW = datetime(2026, 11, 29, tzinfo=UTC)
CHIP = bytes(range(64))
TCB = {"bootloader": 3, "tee": 0, "snp": 22, "microcode": 213}
_OIDS = {"bootloader": "3.1", "tee": "3.2", "snp": "3.3", "microcode": "3.8"}
_AT = {"bootloader": 0, "tee": 1, "snp": 6, "microcode": 7}


@lru_cache(maxsize=4)
def rsa_key(_name: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@dataclass
class Processor:
    """A chip with its chain."""

    chip: bytes = CHIP
    tcb: dict[str, int] = field(default_factory=lambda: dict(TCB))
    ask_is_authority: bool = True
    until: datetime = NOW + timedelta(days=365)
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP384R1()))

    def chain(self) -> list[bytes]:
        """VCEK, ASK, ARK, as DER."""
        ark = self._certificate("ARK", rsa_key("ark").public_key(), "ARK", "ark", authority=True)
        ask = self._certificate("SEV", rsa_key("ask").public_key(), "ARK", "ark", authority=self.ask_is_authority)
        return [one.public_bytes(Encoding.DER) for one in (self._vcek(), ask, ark)]

    def _vcek(self) -> x509.Certificate:
        return self._certificate("VCEK", self.key.public_key(), "SEV", "ask", authority=None)

    def _certificate(self, name, key, issuer, signer, *, authority) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(issuer))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(days=1))
            .not_valid_after(self.until)
        )
        if authority is not None:
            builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        else:
            for part, oid in _OIDS.items():
                builder = _own(builder, oid, _der_integer(self.tcb[part]))
            builder = _own(builder, "4", self.chip)
        salted = padding.PSS(padding.MGF1(SHA384()), 48)
        return builder.sign(rsa_key(signer), SHA384(), rsa_padding=salted)

    def report(self, data: bytes, measurement: bytes, **changes: int) -> bytes:
        """A report, signed; `changes` are numbers by offset such as `at_0x008=1 << 19`."""
        raw = bytearray(REPORT_BYTES)
        raw[0x000:0x004] = (2).to_bytes(4, "little")
        raw[0x008:0x010] = (3 << 16).to_bytes(8, "little")
        raw[0x034:0x038] = (1).to_bytes(4, "little")
        raw[0x050:0x090] = data.ljust(64, b"\0")
        raw[0x090:0x0C0] = measurement
        for part, at in _AT.items():
            raw[0x180 + at] = TCB[part]
        raw[0x1A0:0x1E0] = CHIP
        for where, value in changes.items():
            at = int(where.removeprefix("at_"), 16)
            raw[at : at + 4] = value.to_bytes(4, "little")
        r, s = decode_dss_signature(self.key.sign(bytes(raw[:SIGNED_BYTES]), ec.ECDSA(SHA384())))
        raw[SIGNED_BYTES : SIGNED_BYTES + 144] = r.to_bytes(72, "little") + s.to_bytes(72, "little")
        return bytes(raw)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _own(builder: x509.CertificateBuilder, oid: str, value: bytes) -> x509.CertificateBuilder:
    found = x509.UnrecognizedExtension(ObjectIdentifier(f"1.3.6.1.4.1.3704.1.{oid}"), value)
    return builder.add_extension(found, critical=False)


def _der_integer(value: int) -> bytes:
    raw = value.to_bytes(2, "big") if value > 0x7F else value.to_bytes(1, "big")
    return bytes([2, len(raw)]) + raw
