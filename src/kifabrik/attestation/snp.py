"""AMD SEV-SNP attestation reports (SEV Secure Nested Paging Firmware ABI, AMD 56860, "ATTESTATION_REPORT").

Invariants:
- the report is signed by a key of the very chip (VCEK) at the very firmware versions the report names, whose
  certificate leads to a root the tenant has listed;
- the guest cannot be debugged or migrated by its host, and asked for the report itself, at its highest privilege;
- the chip is the one endorsed for the node, the measurement and the least versions are those of one guest.

Reports signed by a VLEK, and those of processors of family 1Ah (Turin), whose versions lie elsewhere, are refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.x509.oid import ObjectIdentifier

from kifabrik.attestation.certificates import UNREADABLE, public_key_of, read_certificate, verify_chain
from kifabrik.attestation.evidence import (
    Doubt,
    EvidenceError,
    Expected,
    Facts,
    bytes_in,
    bytes_list_in,
    check_fields,
)
from kifabrik.attestation.policy import SNP_REPORT, TCB_PARTS, Guest
from kifabrik.errors import IntegrityError

REPORT_BYTES: Final = 0x4A0
SIGNED_BYTES: Final = 0x2A0
DATA_BYTES: Final = 64
_NUMBER_BYTES: Final = 72
"""Of r and s in the signature, little-endian."""
_VERSIONS: Final = range(2, 6)
_WITH_FAMILY: Final = 3
"""From this version on the report names the processor's family."""
_TURIN: Final = 0x1A
_ECDSA_P384_SHA384: Final = 1
_MIGRATION: Final = 1 << 18
_DEBUG: Final = 1 << 19
_SIGNING_KEY: Final = 0b11100
_MASKED_CHIP: Final = 0b10
_CHAIN: Final = 3
_FIELDS: Final = frozenset({"type", "report", "chain"})

_AMD: Final = "1.3.6.1.4.1.3704.1"
_TCB_OIDS: Final = {
    "bootloader": ObjectIdentifier(f"{_AMD}.3.1"),
    "tee": ObjectIdentifier(f"{_AMD}.3.2"),
    "snp": ObjectIdentifier(f"{_AMD}.3.3"),
    "microcode": ObjectIdentifier(f"{_AMD}.3.8"),
}
"""Extensions of a VCEK certificate (AMD 57230, "VCEK Certificate Format")."""
_CHIP_OID: Final = ObjectIdentifier(f"{_AMD}.4")
_TCB_AT: Final = {"bootloader": 0, "tee": 1, "snp": 6, "microcode": 7}
_DER_INTEGER: Final = 0x02
_DER_OCTETS: Final = 0x04


@dataclass(frozen=True)
class Report:
    """The fields of a report that are looked at.

    Args:
        policy: What the host may do with the guest, as bits.
        vmpl: Privilege level that asked for the report.
        data: What it was asked to sign, 64 bytes.
        measurement: Of the guest's first memory, 48 bytes.
        tcb: Firmware versions the signing key was derived for.
        chip: 64 bytes.
        signed: What the signature covers.
        signature: r and s.
    """

    policy: int
    vmpl: int
    data: bytes
    measurement: bytes
    tcb: Mapping[str, int]
    chip: bytes
    signed: bytes
    signature: tuple[int, int]

    @classmethod
    def parse(cls, raw: bytes) -> "Report":
        """Read a report.

        Raises:
            IntegrityError: It is none, or of a kind that is not understood.
        """
        if len(raw) != REPORT_BYTES:
            raise IntegrityError(f"an SEV-SNP report has {REPORT_BYTES} bytes, not {len(raw)}")
        version, keys = _little(raw, 0x000, 4), _little(raw, 0x048, 4)
        if version not in _VERSIONS or _little(raw, 0x034, 4) != _ECDSA_P384_SHA384:
            raise IntegrityError("the SEV-SNP report has a version or a signature that is not understood")
        if version >= _WITH_FAMILY and raw[0x188] >= _TURIN:
            raise IntegrityError("the SEV-SNP report is of a processor whose firmware versions are not understood")
        if keys & (_SIGNING_KEY | _MASKED_CHIP):
            raise IntegrityError("the SEV-SNP report is not signed by a key of the chip it names")
        return cls(
            policy=_little(raw, 0x008, 8),
            vmpl=_little(raw, 0x030, 4),
            data=raw[0x050:0x090],
            measurement=raw[0x090:0x0C0],
            tcb={part: raw[0x180 + at] for part, at in _TCB_AT.items()},
            chip=raw[0x1A0:0x1E0],
            signed=raw[:SIGNED_BYTES],
            signature=(
                _little(raw, SIGNED_BYTES, _NUMBER_BYTES),
                _little(raw, SIGNED_BYTES + _NUMBER_BYTES, _NUMBER_BYTES),
            ),
        )


class SnpReports:
    """Verifies reports."""

    def verify(self, evidence: Mapping[str, Any], expected: Expected) -> Facts:
        """Return what a report proves; see `kifabrik.attestation.evidence.Verifier`."""
        check_fields(evidence, _FIELDS)
        report = Report.parse(bytes_in(evidence, "report"))
        chain = [read_certificate(der) for der in bytes_list_in(evidence, "chain", _CHAIN)]
        verify_chain(chain, expected.policy.roots, expected.when)
        verify_report(report, chain[0])
        node = expected.policy.node(expected.node_key)
        if node is None or not node.chip or node.chip != report.chip.hex():
            raise EvidenceError(
                Doubt.FOREIGN, "The report is of another processor than the one endorsed for this node."
            )
        if report.data != expected.binding.ljust(DATA_BYTES, b"\0"):
            raise EvidenceError(Doubt.FOREIGN, "The node's report was made for something else than this request.")
        if report.policy & (_DEBUG | _MIGRATION) or report.vmpl:
            sentence = "The host may look into the node's guest, or the report is not by the guest's own kernel."
            raise EvidenceError(Doubt.NOT_ATTESTED, sentence)
        return Facts(SNP_REPORT, report.chip.hex(), _guest(report, expected).name)


def verify_report(report: Report, chip: x509.Certificate) -> None:
    """Verify that a report is signed by a chip's key, and that the key is for this chip and firmware.

    Args:
        report: The report.
        chip: Certificate of the VCEK; its own chain was verified.

    Raises:
        IntegrityError: It is not.
    """
    key = public_key_of(chip)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise IntegrityError("the certificate of the chip has no key on P-384")
    try:
        key.verify(encode_dss_signature(*report.signature), report.signed, ec.ECDSA(SHA384()))
    except (InvalidSignature, ValueError):
        raise IntegrityError("the SEV-SNP report is not signed by the chip's key") from None
    versions = {part: _integer(_extension(chip, oid)) for part, oid in _TCB_OIDS.items()}
    if versions != report.tcb or _octets(_extension(chip, _CHIP_OID)) != report.chip:
        raise IntegrityError("the chip's certificate is for another chip or other firmware than the report")


def _guest(report: Report, expected: Expected) -> Guest:
    for guest in expected.policy.guests:
        old = any(report.tcb[part] < guest.tcb.get(part, 0) for part in TCB_PARTS)
        if guest.measurement == report.measurement.hex() and not old:
            return guest
    sentence = "The node's guest is none of those that are accepted, or its firmware is too old."
    raise EvidenceError(Doubt.WRONG_STATE, sentence)


def _little(raw: bytes, at: int, size: int) -> int:
    return int.from_bytes(raw[at : at + size], "little")


def _extension(certificate: x509.Certificate, oid: ObjectIdentifier) -> bytes:
    try:
        found = certificate.extensions.get_extension_for_oid(oid).value
    except UNREADABLE:
        raise IntegrityError(f"the chip's certificate lacks extension {oid.dotted_string}") from None
    if not isinstance(found, x509.UnrecognizedExtension):
        raise IntegrityError(f"extension {oid.dotted_string} of the chip's certificate is something else")
    return found.value


def _integer(der: bytes) -> int:
    """Read a DER INTEGER of one byte, or of two where the first is the sign."""
    value = der[2:]
    if der[:2] != bytes([_DER_INTEGER, len(value)]) or not 1 <= len(value) <= 2 or value[0] > 0x7F:  # noqa: PLR2004
        raise IntegrityError("a firmware version in the chip's certificate is no number")
    return int.from_bytes(value, "big")


def _octets(value: bytes) -> bytes:
    """Return the chip id: AMD writes its 64 bytes bare, or as a DER OCTET STRING."""
    return (
        value[2:] if value[:2] == bytes([_DER_OCTETS, len(value) - 2]) and len(value) == DATA_BYTES + 2 else value
    )
