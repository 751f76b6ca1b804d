"""TPM 2.0 quotes: what a TPM says of the registers that its machine's boot was measured into.

Invariants:
- the signing key can sign nothing but what this TPM has generated: restricted, born in it, bound to it;
- it is the key endorsed for this node, below the endorsement key it was endorsed with;
- the values of the registers are those the TPM has signed the digest of, and one boot image accepts them.
"""

from collections.abc import Mapping
from typing import Any, Final

from kifabrik.attestation.evidence import Doubt, EvidenceError, Expected, Facts, bytes_in, check_fields
from kifabrik.attestation.policy import BANKS, TPM_QUOTE, BootImage, is_hex
from kifabrik.attestation.tpm_structures import BORN_HERE, Attribute, Hash, Public, Quote, Signature
from kifabrik.errors import IntegrityError

_FIELDS: Final = frozenset({"type", "attest", "signature", "public", "pcrs"})


class TpmQuotes:
    """Verifies quotes."""

    def verify(self, evidence: Mapping[str, Any], expected: Expected) -> Facts:
        """Return what a quote proves; see `kifabrik.attestation.evidence.Verifier`."""
        check_fields(evidence, _FIELDS)
        key = Public.parse(bytes_in(evidence, "public"))
        signed = bytes_in(evidence, "attest")
        quote = Quote.parse(signed)
        check_attestation_key(key)
        _check_endorsed(key, quote, expected)
        Signature.parse(bytes_in(evidence, "signature")).verify(key, signed)
        if quote.data != expected.binding:
            raise EvidenceError(Doubt.FOREIGN, "The node's quote was made for something else than this request.")
        image = _image(_values(evidence["pcrs"], quote, key), quote, expected)
        return Facts(TPM_QUOTE, key.name.hex(), image.name)


def check_attestation_key(key: Public) -> None:
    """Check that a key is one that signs only what its own TPM has generated.

    Raises:
        EvidenceError: It could sign anything, or live elsewhere.
    """
    wanted = BORN_HERE | Attribute.RESTRICTED | Attribute.SIGN
    if key.attributes != wanted or key.scheme is None:
        sentence = "The node's attestation key is not restricted to sign what its own TPM has generated."
        raise EvidenceError(Doubt.NOT_ATTESTED, sentence)


def _check_endorsed(key: Public, quote: Quote, expected: Expected) -> None:
    node = expected.policy.node(expected.node_key)
    if node is None:
        raise EvidenceError(Doubt.FOREIGN, "The node is not on the list of endorsed nodes.")
    if (key.name.hex(), quote.signer.hex()) != (node.key, node.qualified):
        raise EvidenceError(Doubt.FOREIGN, "The quote is by another TPM than the one endorsed for this node.")


def _values(pcrs: Any, quote: Quote, key: Public) -> dict[int, str]:
    """Return the values of the quoted registers, checked against the digest the TPM has signed."""
    bank = quote.bank.name.lower()
    if bank not in BANKS or not isinstance(pcrs, dict) or set(pcrs) != {str(number) for number in quote.selected}:
        raise IntegrityError("the evidence names other registers than the quote")
    values = {number: pcrs[str(number)] for number in quote.selected}
    if not all(isinstance(value, str) and is_hex(value, BANKS[bank]) for value in values.values()):
        raise IntegrityError("a register of the evidence has no value of its bank")
    # The digest is made with the hash of the key's scheme (TPM 2.0 Library, Part 3, 18.4).
    digest_hash = key.scheme_hash or Hash.SHA256
    if digest_hash.digest(b"".join(bytes.fromhex(value) for value in values.values())) != quote.digest:
        raise EvidenceError(Doubt.NOT_ATTESTED, "The registers shown are not those the TPM has signed.")
    return values


def _image(values: Mapping[int, str], quote: Quote, expected: Expected) -> BootImage:
    """Return the first boot image all of whose registers have these values."""
    bank = quote.bank.name.lower()
    images = [image for image in expected.policy.images if image.bank == bank]
    for image in images:
        if all(values.get(int(number)) == value for number, value in image.pcrs.items()):
            return image
    wrong = [
        [int(number) for number, value in image.pcrs.items() if values.get(int(number)) != value]
        for image in images
    ]
    nearest = min(wrong, key=len, default=[])
    which = (
        f"register {', '.join(map(str, sorted(nearest)))}" if nearest else "no boot image of this bank is accepted"
    )
    raise EvidenceError(Doubt.WRONG_STATE, f"The node did not boot into an accepted state: {which}.")
