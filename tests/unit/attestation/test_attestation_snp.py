"""SEV-SNP reports: one by real silicon, and made-up ones whose every link is broken in turn."""

import base64
import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from snp_maker import CHIP, NOW, TCB, Processor

from kifabrik.attestation.binding import Binding
from kifabrik.attestation.certificates import read_certificate, verify_chain
from kifabrik.attestation.evidence import Evidence, EvidenceError, Expected
from kifabrik.attestation.policy import SNP_REPORT, AttestationPolicy, EndorsedNode, Guest
from kifabrik.attestation.snp import Report, SnpReports, verify_report
from kifabrik.attestation.verify import Moment, verify_node
from kifabrik.errors import IntegrityError
from kifabrik.ledger.checkpoint import TreeHead, cosign, sign_tree_head
from kifabrik.ledger.notes import NoteVerifier, SignatureType
from kifabrik.signatures.keys import SigningKey

VECTORS = Path(__file__).parents[2] / "vectors" / "snp"
ARK = "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd"
NODE = "ab" * 32
BINDING = hashlib.sha256(b"binding").digest()
MEASUREMENT = bytes(range(48))


def vector(name: str) -> bytes:
    return (VECTORS / name).read_bytes()


def evidence(report: bytes, chain: list[bytes]):
    return {
        "type": SNP_REPORT,
        "report": base64.b64encode(report).decode(),
        "chain": [base64.b64encode(one).decode() for one in chain],
    }


def expected(roots: tuple[str, ...], **changes) -> Expected:
    listed = EndorsedNode(NODE, "n1", "", "", "", changes.pop("chip", CHIP.hex()))
    guest = Guest("golden", changes.pop("measurement", MEASUREMENT.hex()), changes.pop("tcb", TCB))
    policy = AttestationPolicy("t-x", 1, (SNP_REPORT,), (listed,), (), (guest,), roots, "")
    return replace(Expected(NODE, BINDING, policy, NOW), **changes)


def root_of(chain: list[bytes]) -> tuple[str, ...]:
    return (hashlib.sha256(chain[-1]).hexdigest(),)


def test_a_report_by_real_silicon_verifies_up_to_amds_root() -> None:
    chain = [read_certificate(vector(name)) for name in ("kds_vcek.der", "milan_ask.der", "milan_ark.der")]
    verify_chain(chain, [ARK], datetime(2026, 11, 29, tzinfo=UTC))
    report = Report.parse(vector("attestation.bin"))
    verify_report(report, chain[0])
    assert report.data == bytes([1, 2, 3, 4, 5]).ljust(64, b"\0")
    assert report.tcb == {"bootloader": 2, "tee": 0, "snp": 5, "microcode": 68}


@pytest.mark.parametrize("at", [0x000, 0x008, 0x050, 0x090, 0x140, 0x180, 0x1A0, 0x29F, 0x2A0, 0x2E8])
def test_a_real_report_with_one_bit_changed_does_not_verify(at: int) -> None:
    raw = bytearray(vector("attestation.bin"))
    raw[at] ^= 1
    with pytest.raises(IntegrityError):
        verify_report(Report.parse(bytes(raw)), read_certificate(vector("kds_vcek.der")))


def test_a_real_report_of_a_guest_that_can_be_debugged_attests_nothing() -> None:
    chain = [vector(name) for name in ("kds_vcek.der", "milan_ask.der", "milan_ark.der")]
    report = Report.parse(vector("attestation.bin"))
    wanted = expected(
        (ARK,),
        chip=report.chip.hex(),
        measurement=report.measurement.hex(),
        tcb={},
        binding=report.data.rstrip(b"\0"),
    )
    with pytest.raises(EvidenceError, match="may look into") as caught:
        SnpReports().verify(evidence(vector("attestation.bin"), chain), wanted)
    assert caught.value.doubt == "not-attested"


def test_a_good_report_proves_chip_and_guest() -> None:
    chip = Processor()
    chain = chip.chain()
    facts = SnpReports().verify(evidence(chip.report(BINDING, MEASUREMENT), chain), expected(root_of(chain)))
    assert (facts.type, facts.key, facts.state) == (SNP_REPORT, CHIP.hex(), "golden")


@pytest.mark.parametrize(
    ("changes", "doubt"),
    [
        ({"chip": "00" * 64}, "foreign-quote"),
        ({"chip": ""}, "foreign-quote"),
        ({"binding": b"x" * 32}, "foreign-quote"),
        ({"node_key": "cd" * 32}, "foreign-quote"),
        ({"measurement": "00" * 48}, "wrong-pcrs"),
        ({"tcb": {"microcode": 214}}, "wrong-pcrs"),
    ],
)
def test_a_good_report_about_something_else_is_refused(changes, doubt: str) -> None:
    chip = Processor()
    chain = chip.chain()
    with pytest.raises(EvidenceError) as caught:
        SnpReports().verify(evidence(chip.report(BINDING, MEASUREMENT), chain), expected(root_of(chain), **changes))
    assert caught.value.doubt == doubt


@pytest.mark.parametrize(
    "change",
    [
        {"at_0x008": (3 << 16) | 1 << 19},
        {"at_0x008": (3 << 16) | 1 << 18},
        {"at_0x030": 1},
        {"at_0x000": 1},
        {"at_0x000": 9},
        {"at_0x034": 2},
        {"at_0x048": 1 << 2},
        {"at_0x048": 2},
    ],
    ids=["debug", "migration", "vmpl", "old-version", "new-version", "algorithm", "vlek", "masked-chip"],
)
def test_a_report_of_another_kind_or_with_the_host_let_in_is_refused(change) -> None:
    chip = Processor()
    chain = chip.chain()
    with pytest.raises(IntegrityError):
        SnpReports().verify(evidence(chip.report(BINDING, MEASUREMENT, **change), chain), expected(root_of(chain)))


def test_a_report_of_a_turin_processor_is_refused_as_not_understood() -> None:
    chip = Processor()
    chain = chip.chain()
    report = chip.report(BINDING, MEASUREMENT, at_0x000=3, at_0x188=0x1A)
    with pytest.raises(IntegrityError, match="not understood"):
        SnpReports().verify(evidence(report, chain), expected(root_of(chain)))


def test_a_chain_that_is_broken_anywhere_is_refused() -> None:
    good = Processor()
    chain, report = good.chain(), good.report(BINDING, MEASUREMENT)
    others = [
        (Processor().chain(), None, "not signed by the chip's key"),
        (chain, ("00" * 32,), "root that is listed"),
        ([chain[0], chain[2], chain[2]], root_of(chain), "not by the one that follows"),
        (replace(good, chip=bytes(64)).chain(), None, "another chip"),
        (replace(good, tcb=TCB | {"snp": 21}).chain(), None, "another chip or other firmware"),
        (replace(good, ask_is_authority=False).chain(), None, "no authority"),
        (replace(good, until=NOW - timedelta(hours=1)).chain(), None, "not valid at this time"),
    ]
    for other, roots, message in others:
        with pytest.raises(IntegrityError, match=message):
            SnpReports().verify(evidence(report, other), expected(roots or root_of(other)))


def test_a_certificate_of_a_version_that_does_not_exist_is_refused() -> None:
    """Found by `make fuzz`: it is not a `ValueError` that says so."""
    raw = vector("kds_vcek.der")
    version = raw.index(bytes.fromhex("a003020102")) + 4
    with pytest.raises(IntegrityError, match="cannot be read"):
        read_certificate(raw[:version] + b"\x42" + raw[version + 1 :])


@pytest.mark.parametrize("report", [b"", b"x", bytes(0x4A0), bytes(0x4A1)])
def test_what_is_no_report_is_refused(report: bytes) -> None:
    chain = Processor().chain()
    with pytest.raises(IntegrityError):
        SnpReports().verify(evidence(report, chain), expected(root_of(chain)))


def test_an_error_a_library_invents_attests_nothing_and_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd:
        def verify(self, _evidence, _expected):
            raise ZeroDivisionError

    monkeypatch.setattr("kifabrik.attestation.verify.VERIFIERS", {SNP_REPORT: Odd()})
    key, witness = SigningKey.generate(), SigningKey.generate()
    head = TreeHead("kifabrik.org/log/t-x", 5, bytes(32))
    note = cosign(sign_tree_head(head, head.origin, key), "w", witness, int(NOW.timestamp()))
    cosigner = NoteVerifier("w", witness.public, SignatureType.COSIGNATURE_V1)
    moment = Moment(NoteVerifier(head.origin, key.public), cosigner, 3, 9, NOW)
    binding = Binding("t-x", "r", "a", 1, "o", (), "e", "k", "x", NODE, "y")
    policy = expected(("ab" * 32,)).policy
    with pytest.raises(EvidenceError, match="cannot be read") as caught:
        verify_node(Evidence(note, ({"type": SNP_REPORT},)).to_text(), binding, policy, moment)
    assert caught.value.doubt == "not-attested"
