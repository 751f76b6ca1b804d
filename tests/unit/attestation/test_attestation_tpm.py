"""TPM structures: published bytes of a TPM read right, and everything else refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tpm_bytes import ATTEST, ENDORSEMENT, KEY, NAME, SIGNATURE

from kifabrik.attestation.tpm_credential import child_name, make_credential
from kifabrik.attestation.tpm_structures import BORN_HERE, Attribute, Hash, Public, Quote, Signature
from kifabrik.errors import IntegrityError

READERS = (Public.parse, Quote.parse, Signature.parse)


def test_a_key_a_quote_and_a_signature_of_a_tpm_are_understood() -> None:
    key, quote = Public.parse(KEY), Quote.parse(ATTEST)
    assert key.name == NAME
    assert key.attributes == BORN_HERE | Attribute.RESTRICTED | Attribute.SIGN
    assert (quote.bank, quote.selected) == (Hash.SHA256, tuple(range(24)))
    Signature.parse(SIGNATURE).verify(key, ATTEST)


def test_a_key_below_the_endorsement_key_has_the_name_the_tpm_signs_with() -> None:
    assert child_name(Public.parse(ENDORSEMENT), Public.parse(KEY)) == Quote.parse(ATTEST).signer


@pytest.mark.parametrize(
    ("parse", "raw"),
    [(Public.parse, KEY), (Public.parse, ENDORSEMENT), (Quote.parse, ATTEST), (Signature.parse, SIGNATURE)],
)
def test_every_shortened_and_lengthened_structure_is_refused(parse, raw: bytes) -> None:
    for size in range(len(raw)):
        with pytest.raises(IntegrityError):
            parse(raw[:size])
    with pytest.raises(IntegrityError):
        parse(raw + b"\0")


@given(st.binary(max_size=400), st.sampled_from(READERS))
def test_foreign_bytes_let_nothing_out_but_integrity_errors(raw: bytes, parse) -> None:
    try:
        parse(raw)
    except IntegrityError:
        return


@given(st.integers(0, len(ATTEST) - 1), st.integers(1, 255))
def test_a_quote_with_one_byte_changed_is_not_by_its_key(at: int, change: int) -> None:
    raw = bytearray(ATTEST)
    raw[at] ^= change
    with pytest.raises(IntegrityError):
        Signature.parse(SIGNATURE).verify(Public.parse(KEY), bytes(raw))


def test_a_credential_is_made_only_for_an_endorsement_key() -> None:
    made = make_credential(Public.parse(ENDORSEMENT), NAME)
    assert made.blob[:8] == bytes.fromhex("badcc0de00000001")
    with pytest.raises(IntegrityError, match="decrypts credentials"):
        make_credential(Public.parse(KEY), NAME)


def test_an_endorsement_key_with_an_even_modulus_is_refused_when_it_is_used() -> None:
    """Found by `make fuzz`: it can be read, and then cannot encrypt."""
    with pytest.raises(IntegrityError, match="cannot encrypt"):
        make_credential(Public.parse(ENDORSEMENT[:-1] + bytes([ENDORSEMENT[-1] & 0xFE])), NAME)


def test_weak_algorithms_are_not_believed() -> None:
    sha1 = KEY[:2] + b"\x00\x04" + KEY[4:]
    with pytest.raises(IntegrityError, match="none that is believed"):
        Public.parse(sha1)
