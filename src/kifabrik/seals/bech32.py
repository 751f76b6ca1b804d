"""Bech32 after BIP 173 (github.com/bitcoin/bips, bip-0173.mediawiki), the spelling of age's keys.

age puts no limit on the length of the whole string; the human-readable part keeps its limit of 83.
"""

from typing import Final

from kifabrik.errors import UsageError

_ALPHABET: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUES: Final = {letter: value for value, letter in enumerate(_ALPHABET)}
_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_LETTERS: Final = 6
_LONGEST_PREFIX: Final = 83
_LONGEST_TEXT: Final = 8192
"""No key of age is longer than 2,100 letters; refusing more keeps hostile input cheap."""


def encode(prefix: str, data: bytes) -> str:
    """Return the lower-case Bech32 string of `data` under a lower-case prefix."""
    values = _regroup(data, 8, 5, pad=True)
    check = _polymod([*_expand(prefix), *values, *[0] * _CHECKSUM_LETTERS]) ^ 1
    values += [check >> 5 * (_CHECKSUM_LETTERS - 1 - i) & 31 for i in range(_CHECKSUM_LETTERS)]
    return prefix + "1" + "".join(_ALPHABET[value] for value in values)


def decode(text: str) -> tuple[str, bytes]:
    """Return the prefix in the case it was written in, and the data.

    Raises:
        UsageError: The text is not Bech32. The message never repeats the text, which may be a secret.
    """
    if not text.isascii():  # the Kelvin sign is a K to `lower`
        raise UsageError("not Bech32: a character that cannot occur")
    lower = text.lower()
    if text not in (lower, text.upper()) or len(text) > _LONGEST_TEXT:
        raise UsageError("not Bech32: mixed case or too long")
    prefix, separator, tail = lower.rpartition("1")
    if not separator or not 1 <= len(prefix) <= _LONGEST_PREFIX or len(tail) < _CHECKSUM_LETTERS:
        raise UsageError("not Bech32: no prefix or too short")
    if not all("!" <= letter <= "~" for letter in prefix) or not set(tail) <= _VALUES.keys():
        raise UsageError("not Bech32: a character that cannot occur")
    values = [_VALUES[letter] for letter in tail]
    if _polymod(_expand(prefix) + values) != 1:
        raise UsageError("not Bech32: the checksum does not match", hint="Check for a typing error.")
    return text[: len(prefix)], bytes(_regroup(values[:-_CHECKSUM_LETTERS], 5, 8, pad=False))


def _expand(prefix: str) -> list[int]:
    codes = prefix.encode()
    return [code >> 5 for code in codes] + [0] + [code & 31 for code in codes]


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            if top >> bit & 1:
                check ^= generator
    return check


def _regroup(values: bytes | list[int], wide: int, narrow: int, *, pad: bool) -> list[int]:
    """Regroup values of `wide` bits into values of `narrow` bits, most significant bit first."""
    gathered = bits = 0
    groups = []
    for value in values:
        gathered = (gathered << wide | value) & 0xFFF
        bits += wide
        while bits >= narrow:
            bits -= narrow
            groups.append(gathered >> bits & (1 << narrow) - 1)
    rest = gathered & (1 << bits) - 1
    if pad and bits:
        groups.append(rest << narrow - bits)
    elif not pad and (bits >= wide or rest):
        raise UsageError("not Bech32: padding is not zero")
    return groups
