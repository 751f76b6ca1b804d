import pytest

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.seals import passphrase as module
from kifabrik.seals.armor import add_armor
from kifabrik.seals.header import Header, Stanza, encode_base64, parse_header
from kifabrik.seals.identities import Identity
from kifabrik.seals.opening import open_file
from kifabrik.seals.passphrase import open_with_passphrase, seal_with_passphrase
from kifabrik.seals.sealing import seal_bytes

CHEAP = 8


def test_what_a_passphrase_seals_it_opens() -> None:
    sealed = seal_with_passphrase(b"state", "correct horse", work_factor=CHEAP)
    assert open_with_passphrase(sealed, "correct horse") == b"state"
    assert open_with_passphrase(add_armor(sealed), "correct horse") == b"state"


def test_another_passphrase_says_so() -> None:
    sealed = seal_with_passphrase(b"state", "Straße", work_factor=CHEAP)
    with pytest.raises(IntegrityError, match="sealed to none") as raised:
        open_with_passphrase(sealed, "Strasse")
    assert "passphrase" in raised.value.hint


def test_a_file_cannot_ask_for_more_work_than_is_allowed() -> None:
    sealed = seal_with_passphrase(b"state", "x", work_factor=CHEAP)
    with pytest.raises(IntegrityError, match="work factor 8 is above 7"):
        open_with_passphrase(sealed, "x", max_work_factor=CHEAP - 1)
    greedy = sealed.replace(b" 8\n", b" 31\n", 1)
    with pytest.raises(IntegrityError, match="work factor 31 is above 20"):
        open_with_passphrase(greedy, "x")


def test_two_files_under_one_passphrase_share_no_salt() -> None:
    headers = [parse_header(seal_with_passphrase(b"", "x", work_factor=1))[0] for _ in range(2)]
    assert headers[0].stanzas[0].arguments != headers[1].stanzas[0].arguments


def test_the_default_work_is_that_of_the_age_tool() -> None:
    sealed = seal_with_passphrase(b"state", "x")
    assert parse_header(sealed)[0].stanzas[0].arguments[1] == "18"
    assert open_with_passphrase(sealed, "x") == b"state"


def test_a_passphrase_stanza_beside_others_is_refused_whoever_opens() -> None:
    identity, file_key = Identity.generate(), bytes(16)
    ours = identity.recipient.wrap(file_key)
    locked = module._Passphrase(b"x", 1).wrap(file_key)
    for stanzas in ((ours, locked), (locked, ours), (locked, locked), (locked, Stanza("grease", (), b""))):
        text = Header.seal(stanzas, file_key).to_bytes() + bytes(32)
        for opener in (
            lambda text=text: open_file(text, [identity]),
            lambda text=text: open_with_passphrase(text, "x"),
        ):
            with pytest.raises(IntegrityError, match="beside others"):
                opener()


def test_a_file_sealed_to_a_key_does_not_open_with_a_passphrase() -> None:
    header = Header.seal((Identity.generate().recipient.wrap(bytes(16)),), bytes(16)).to_bytes()
    with pytest.raises(IntegrityError, match="sealed to none"):
        open_with_passphrase(header + bytes(32), "x")


@pytest.mark.parametrize("work_factor", [-1, 0, 21, 64])
def test_work_factors_out_of_range_are_refused_when_sealing(work_factor: int) -> None:
    with pytest.raises(UsageError):
        seal_with_passphrase(b"", "x", work_factor=work_factor)


@pytest.mark.parametrize("passphrase", ["", "\ud800"])
def test_passphrases_that_are_none_are_refused(passphrase: str) -> None:
    with pytest.raises(UsageError):
        seal_with_passphrase(b"", passphrase, work_factor=1)
    with pytest.raises(UsageError):
        open_with_passphrase(b"", passphrase)


def test_the_passphrase_shows_nowhere() -> None:
    assert "hunter2" not in repr(module._Passphrase(b"hunter2", 1))


SALT = encode_base64(bytes(16)).decode()


@pytest.mark.parametrize(
    ("arguments", "body", "said"),
    [
        ((), 32, "malformed scrypt stanza"),
        ((SALT,), 32, "malformed scrypt stanza"),
        ((SALT, "10", "more"), 32, "malformed scrypt stanza"),
        ((SALT, ""), 32, None),
        ((SALT, "0"), 32, "malformed scrypt stanza"),
        ((SALT, "010"), 32, "malformed scrypt stanza"),
        ((SALT, "+10"), 32, "malformed scrypt stanza"),
        ((SALT, "1e1"), 32, "malformed scrypt stanza"),
        ((SALT, "10" * 20), 32, "malformed scrypt stanza"),
        ((SALT + "AA", "10"), 32, None),
        ((encode_base64(bytes(15)).decode(), "10"), 32, "wrong length"),
        ((encode_base64(bytes(17)).decode(), "10"), 32, "wrong length"),
        ((SALT, "10"), 31, "wrong length"),
        ((SALT, "10"), 33, "wrong length"),
        ((SALT, "99"), 32, "above 20"),
    ],
)
def test_a_malformed_passphrase_stanza_is_refused_before_any_work(
    arguments: tuple[str, ...], body: int, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(*_: object) -> None:
        raise AssertionError("scrypt was asked for")

    monkeypatch.setattr(module._Passphrase, "_cipher", work)
    header = Header.seal((Stanza("scrypt", arguments, bytes(body)),), bytes(16)).to_bytes()
    with pytest.raises(IntegrityError, match=said):
        open_with_passphrase(header + seal_bytes(b"", bytes(16)), "secret")


def test_the_least_work_is_allowed_and_none_or_too_much_is_not() -> None:
    assert open_with_passphrase(seal_with_passphrase(b"x", "secret", work_factor=1), "secret") == b"x"
    for work_factor in (0, 21, -1):
        with pytest.raises(UsageError, match="between 1 and 20"):
            seal_with_passphrase(b"x", "secret", work_factor=work_factor)
