from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kifabrik.errors import IntegrityError
from kifabrik.seals.armor import add_armor, is_armored, remove_armor
from kifabrik.seals.identities import Identity
from kifabrik.seals.opening import open_file
from kifabrik.seals.sealing import seal_file


@given(st.binary(max_size=500))
def test_armor_comes_off_as_it_was_put_on(data: bytes) -> None:
    text = add_armor(data)
    assert is_armored(text)
    assert remove_armor(text) == data
    assert remove_armor(b" \r\n\t\n" + text.replace(b"\n", b"\r\n") + b"\n\n") == data
    assert max(map(len, text.split(b"\n"))) <= 64


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_an_integrity_error(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        remove_armor(data)
    begin, end = add_armor(b"").splitlines()
    with suppress(IntegrityError):
        remove_armor(begin + b"\n" + data + b"\n" + end)


@given(st.binary(min_size=1, max_size=200), st.data())
def test_armor_has_one_form_only(data: bytes, draw: st.DataObject) -> None:
    text = add_armor(data)
    place = draw.draw(st.integers(35, len(text) - 36))
    others = (
        *(text[:place] + b" " + text[place:], text[:place] + b"\n" + text[place:], text + text),
        *(b" " + text, text[:-1] + b"\t", text[:-1] + b" \n"),
    )
    for other in others:
        with pytest.raises(IntegrityError):
            remove_armor(other)


def test_a_small_armored_file_opens_like_a_plain_one() -> None:
    identity = Identity.generate()
    sealed = seal_file(b"press line 7", [identity.recipient])
    assert not is_armored(sealed)
    assert open_file(add_armor(sealed), [identity]) == open_file(sealed, [identity]) == b"press line 7"


@pytest.mark.parametrize("size", [48, 49, 96, 100])
def test_no_line_is_longer_than_64_columns_or_empty(size: int) -> None:
    data = bytes(range(size))
    begin, *lines, end = add_armor(data).splitlines()
    assert remove_armor(b"\n".join((begin, *lines, end))) == data
    joined = [b"".join(lines)] if len(lines) > 1 else [lines[0] + b"AAAA"]
    for other in (joined, [*lines, b""], [b"", *lines], [*lines[:-1], b"", lines[-1]], [*lines, b"\r"]):
        with pytest.raises(IntegrityError, match="64 columns"):
            remove_armor(b"\n".join((begin, *other, end)))
