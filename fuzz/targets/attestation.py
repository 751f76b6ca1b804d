"""Evidence of nodes: TPM structures, SEV-SNP reports, envelopes, endorsements, enrolment files, policies."""

import base64
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from fuzz.material import KEY, OTHER, TENANT, TIME, take, text_of
from fuzz.target import Disagreement, Target, agree
from kifabrik.attestation.binding import Binding
from kifabrik.attestation.certificates import read_certificate, verify_chain
from kifabrik.attestation.enrolment import Endorsement, read_answer, read_challenge, read_endorsement
from kifabrik.attestation.evidence import Evidence, Expected
from kifabrik.attestation.policy import SNP_REPORT, TPM_QUOTE, AttestationPolicy, BootImage, EndorsedNode, Guest
from kifabrik.attestation.snp import REPORT_BYTES, Report, verify_report
from kifabrik.attestation.states import read_guests, read_image
from kifabrik.attestation.tpm_credential import child_name, make_credential
from kifabrik.attestation.tpm_quote import TpmQuotes
from kifabrik.attestation.tpm_structures import Public, Quote, Signature
from kifabrik.attestation.verify import VERIFIERS, Moment, verify_node
from kifabrik.errors import IntegrityError, UsageError
from kifabrik.ledger.checkpoint import (
    TreeHead,
    cosign,
    log_origin,
    log_verifier,
    sign_tree_head,
    witness_name,
    witness_verifier,
)
from kifabrik.signatures.statements import sign_statement

_ENDORSEMENT = bytes.fromhex(
    "0001000b000300b20020837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa0006008000430010"
    "0800000000000100a25cec3adeefa3b2b902143098669ac1c7e3b18f33d34805c808b03a99041800df9ea0529b7c7225615c"
    "0d610c938c37b07a9ce6662a73485a4f7704968d3e94eb8e31787b5cce36db43f0ca290a717f8fc63c01556208686c32f335"
    "9d2498b7169d2236de300d98cdde49cecf3859b4f6fc111179320fd35aecc68870727b9ef89377449662237df444f9d85919"
    "fc6a8285cc0afc3a111ed41fb106f4d63ad17c10224330977c54e8bf3be56a91718ed197d588e56263acdf18510d1cdefba7"
    "7eda2098ef3d0eeade9b48b2e09219d71cb5e5fd3aa5e10396266e617326a8785ab3220782a1f5dbe88529f2b038f6ff4283"
    "ca6a7c5879beab2b68f566bb8f71"
)
_KEY = bytes.fromhex(
    "0023000b00050072000000100018000b0003001000200821ba4b6107424121c2627661e89645e4e63e7ba4715118a944394e"
    "2250ca6f00200dec0745d22cb7f3cb77811327a53f32c3c1b468973ec940d231770ee2b2a186"
)
_ATTEST = bytes.fromhex(
    "ff54434780180022000b20f9100966a6193eedc71a591abbf96873622d10ed93362c6d2d03b0f27d23010020001122334455"
    "66778899aabbccddeeff00112233445566778899aabbccddeeff0000000000003fde00000002000000000120191023001636"
    "3600000001000b03ffffff0020019de64c9318655e422c3d03831169896e31f02a1d74e4d8fef575bf4e0d75fa"
)
_SIGNATURE = bytes.fromhex(
    "0018000b0020a2e900e263135279a5f268965fac1b4c8783f98f4ef099db616ddd75297a1b0f0020402558ec018c841a2cce"
    "7d00740119c1f8135cdbac28ef87eb0ba9d0ca8dc1e5"
)
_DATA = _ATTEST[44:76]
_DYNAMIC = range(17, 23)
_ZERO, _ONES = "00" * 32, "ff" * 32
_PCRS = {str(number): _ONES if number in _DYNAMIC else _ZERO for number in range(24)}
_QUOTE = {
    "type": TPM_QUOTE,
    "attest": base64.b64encode(_ATTEST).decode(),
    "signature": base64.b64encode(_SIGNATURE).decode(),
    "public": base64.b64encode(_KEY).decode(),
    "pcrs": _PCRS,
}
_LISTED = EndorsedNode(
    KEY.public.hex, "n1", Public.parse(_KEY).name.hex(), Quote.parse(_ATTEST).signer.hex(), "ab" * 32
)
_POLICY = AttestationPolicy(
    TENANT,
    1,
    nodes=(_LISTED,),
    images=(BootImage("golden", "sha256", {"0": _ZERO}),),
    guests=(Guest("g", "00" * 48, {"snp": 1}),),
    roots=("ab" * 32,),
    created=TIME,
)
_EXPECTED = Expected(KEY.public.hex, _DATA, _POLICY, datetime(2026, 11, 29, tzinfo=UTC))
_BINDING = Binding(TENANT, "r", "a", 1, "o", ("i",), "e", "k", "x", KEY.public.hex, "y")
_ORIGIN = log_origin(TENANT)
_HEAD = cosign(
    sign_tree_head(TreeHead(_ORIGIN, 17, bytes(32)), _ORIGIN, KEY), witness_name(TENANT), OTHER, 1_790_000_000
)
_VECTORS = Path(__file__).parents[2] / "tests" / "vectors" / "snp"
_VCEK, _ASK, _ARK = (
    read_certificate((_VECTORS / f"{name}.der").read_bytes()) for name in ("kds_vcek", "milan_ask", "milan_ark")
)
_REPORT = Report.parse((_VECTORS / "attestation.bin").read_bytes())
_MOMENT = Moment(log_verifier(TENANT, KEY.public), witness_verifier(TENANT, OTHER.public), 3, 20, None)


def one(data: bytes) -> None:
    """Read as one of the kinds; only the TPM's own bytes pass as its quote."""
    choice, rest = take(data)
    (_structures, _quote, _node, _report, _item, _files, _certificate)[choice % 7](rest)


def _structures(data: bytes) -> None:
    for parse in (Quote.parse, Signature.parse):
        with suppress(IntegrityError):
            parse(data)
    key = Public.parse(data)
    agree(key.raw, data, "a TPM key read and kept")
    child_name(key, Public.parse(_KEY))
    make_credential(key, key.name)


def _quote(data: bytes) -> None:
    """Verify with the attested bytes exchanged: under the real signature only the real bytes may pass."""
    TpmQuotes().verify(_QUOTE | {"attest": base64.b64encode(data).decode()}, _EXPECTED)
    if data != _ATTEST:
        raise Disagreement("a quote passes that the TPM has not signed")


def _node(data: bytes) -> None:
    verify_node(text_of(data), _BINDING, _POLICY, _MOMENT)
    raise Disagreement("evidence passes that was made over nothing")


def _report(data: bytes) -> None:
    report = Report.parse(data.ljust(REPORT_BYTES, b"\0")[:REPORT_BYTES])
    agree(len(report.signed) + 512, REPORT_BYTES, "the length of a report")


def _certificate(data: bytes) -> None:
    """Take a certificate of strangers for each place in a chain; none leads to a listed root."""
    found = read_certificate(data)
    for chain in ([found], [found, _ASK], [_VCEK, found, _ARK]):
        with suppress(IntegrityError):
            verify_chain(chain, _POLICY.roots, _EXPECTED.when)
            raise Disagreement("a chain ends in a root nobody has listed")
    verify_report(_REPORT, found)


def _item(data: bytes) -> None:
    """Take the fields of an item from JSON of strangers."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(body, dict):
        for kind, verifier in VERIFIERS.items():
            with suppress(IntegrityError):
                facts = verifier.verify(body | {"type": kind}, _EXPECTED)
                if facts.key != _LISTED.key:
                    raise Disagreement(f"a stranger's evidence passes: {facts}")


def _files(data: bytes) -> None:
    text = text_of(data)
    for read in (
        read_challenge,
        read_answer,
        read_endorsement,
        read_guests,
        lambda found: read_image(found, "n", "0"),
    ):
        with suppress(IntegrityError, UsageError):
            read(text)


def seeds() -> Iterator[bytes]:
    """One of each kind."""
    for name in ("kds_vcek", "milan_ask", "milan_ark"):
        yield b"\6" + (_VECTORS / f"{name}.der").read_bytes()
    for raw in (_ENDORSEMENT, _KEY, _ATTEST, _SIGNATURE):
        yield b"\0" + raw
    yield b"\1" + _ATTEST
    yield b"\2" + Evidence(_HEAD, (_QUOTE,)).to_text().encode()
    yield b"\3" + (2).to_bytes(4, "little") + bytes(0x30) + b"\1"
    yield b"\4" + json.dumps(_QUOTE).encode()
    yield b"\4" + json.dumps({"type": SNP_REPORT, "report": "AA==", "chain": ["AA==", "AA==", "AA=="]}).encode()
    said = Endorsement(
        KEY.public.hex,
        "n1",
        base64.b64encode(_KEY).decode(),
        base64.b64encode(_ENDORSEMENT).decode(),
        "",
        "sha256",
        _PCRS,
        TIME,
    )
    yield b"\5" + sign_statement(said, {}, KEY).to_json().encode()
    yield b"\5" + json.dumps({"sha256": _PCRS}).encode()
    yield (
        b"\5" + json.dumps({"require": [TPM_QUOTE], "roots": [], "guests": [], "chips": {"n1": "00" * 64}}).encode()
    )
    yield (
        b"\5" + json.dumps({"format": "kifabrik.org/attestation-answer/v1", "key": "k", "answer": "AA=="}).encode()
    )


TARGET = Target(
    "evidence of nodes",
    one,
    (IntegrityError, UsageError),
    seeds,
    (b"\xff\x54\x43\x47\x80\x18", b"\x00\x0b", b"\x00\x18", b"\x00\x23", b"\x00\x10", b'"pcrs":{', b'"attest":"'),
)
