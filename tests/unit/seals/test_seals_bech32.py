from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kifabrik.errors import UsageError
from kifabrik.seals import bech32

# github.com/bitcoin/bips, bip-0173.mediawiki, "Test vectors"
VALID = [
    "A12UEL5L",
    "a12uel5l",
    "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs",
    "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw",
    "11" + "q" * 82 + "c8247j",
    "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w",
    "?1ezyfcl",
]
INVALID = {
    "\x201nwldj5": "prefix character out of range",
    "\x7f1axkwrx": "prefix character out of range",
    "\x801eym55h": "prefix character out of range",
    "an84characterslonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1569pvx": "too long",
    "pzry9x0s0muk": "no separator",
    "1pzry9x0s0muk": "empty prefix",
    "x1b4n0q5v": "invalid data character",
    "li1dgmt3": "checksum too short",
    "de1lg7wt\xff": "invalid character in the checksum",
    "A1G7SGD8": "checksum of the upper-case prefix",
    "10a06t8": "empty prefix",
    "1qzzfhee": "empty prefix",
}


@pytest.mark.parametrize("text", VALID)
def test_published_valid_strings_decode_and_encode_back(text: str) -> None:
    prefix, data = bech32.decode(text)
    assert bech32.encode(prefix.lower(), data) == text.lower()


@pytest.mark.parametrize("text", INVALID, ids=INVALID.values())
def test_published_invalid_strings_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not Bech32"):
        bech32.decode(text)


def test_mixed_case_is_refused() -> None:
    with pytest.raises(UsageError, match="mixed case"):
        bech32.decode("a12UEL5L")


def test_padding_that_is_not_zero_is_refused() -> None:
    good = bech32.encode("age", b"\x00")  # 8 bits in two letters leave two bits of padding
    values = [0, 1]
    check = bech32._polymod([*bech32._expand("age"), *values, *[0] * 6]) ^ 1
    letters = "".join(bech32._ALPHABET[v] for v in [*values, *(check >> 5 * (5 - i) & 31 for i in range(6))])
    assert len("age1" + letters) == len(good)
    with pytest.raises(UsageError, match="padding"):
        bech32.decode("age1" + letters)


@given(st.binary(max_size=200), st.sampled_from(["age", "age-secret-key-", "a1b"]))
def test_what_is_encoded_decodes_to_itself(data: bytes, prefix: str) -> None:
    text = bech32.encode(prefix, data)
    assert bech32.decode(text) == (prefix, data)
    assert bech32.decode(text.upper()) == (prefix.upper(), data)


@given(st.binary(min_size=32, max_size=32), st.data())
def test_one_wrong_letter_is_always_noticed(data: bytes, draw: st.DataObject) -> None:
    text = bech32.encode("age", data)
    place = draw.draw(st.integers(4, len(text) - 1))
    other = draw.draw(st.sampled_from([c for c in bech32._ALPHABET if c != text[place]]))
    with pytest.raises(UsageError):
        bech32.decode(text[:place] + other + text[place + 1 :])


@given(st.text(max_size=100))
def test_no_text_raises_anything_but_a_usage_error(text: str) -> None:
    with suppress(UsageError):
        bech32.decode(text)


def test_letters_that_only_look_like_those_of_the_alphabet_are_refused():
    text = bech32.encode("age-secret-key-", bytes(range(32))).upper()
    assert "K" in text[16:]
    assert bech32.decode(text)
    with pytest.raises(UsageError, match="cannot occur"):
        bech32.decode(text[:16] + text[16:].replace("K", "\N{KELVIN SIGN}"))
