"""What we seal, others open, and the other way round: the `age` tool and `pyrage` (rage)."""

import io
import os
import shutil
import subprocess
from pathlib import Path

import pyrage
import pytest

from kifabrik.errors import IntegrityError
from kifabrik.seals.armor import add_armor
from kifabrik.seals.header import parse_header, split_headers
from kifabrik.seals.identities import Identity
from kifabrik.seals.opening import copy_opened, open_bytes, open_file, open_header, rewrap
from kifabrik.seals.passphrase import open_with_passphrase, seal_with_passphrase
from kifabrik.seals.recipients import Recipient
from kifabrik.seals.sealing import BodyWriter, make_header, new_file_key, seal_bytes, seal_file

needs_age = pytest.mark.skipif(shutil.which("age") is None, reason="the age tool is not installed")

CHUNK = 64 * 1024
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 17 * CHUNK, 20 * CHUNK + 99]
PLAIN = os.urandom(20 * CHUNK + 99)


@pytest.fixture
def identity() -> Identity:
    return Identity.generate()


@pytest.fixture
def key_file(tmp_path: Path, identity: Identity) -> Path:
    path = tmp_path / "key.txt"
    path.write_text(f"# made by us\n{identity.text}\n")
    return path


def age(*arguments: str | Path, data: bytes = b"") -> bytes:
    done = subprocess.run(["age", *map(str, arguments)], check=False, input=data, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@needs_age
@pytest.mark.parametrize("size", SIZES)
def test_age_opens_what_we_seal(key_file: Path, identity: Identity, size: int) -> None:
    sealed = seal_file(PLAIN[:size], [Identity.generate().recipient, identity.recipient])
    assert age("-d", "-i", key_file, data=sealed) == PLAIN[:size]
    assert age("-d", "-i", key_file, data=add_armor(sealed)) == PLAIN[:size]


@needs_age
def test_age_and_rage_open_what_says_whose_it_is(key_file: Path, identity: Identity) -> None:
    file_key = new_file_key()
    sealed = make_header(file_key, [identity.recipient], owner="r-aaaaaaaaaaaaaaaa/code")
    sealed += seal_bytes(PLAIN, file_key)
    assert age("-d", "-i", key_file, data=sealed) == PLAIN
    assert pyrage.decrypt(sealed, [pyrage.x25519.Identity.from_str(identity.text)]) == PLAIN
    assert open_file(sealed, [identity]) == PLAIN


@needs_age
@pytest.mark.parametrize("size", SIZES)
def test_we_open_what_age_seals(identity: Identity, size: int) -> None:
    recipients = ["-r", identity.recipient.text, "-r", Identity.generate().recipient.text]
    assert open_file(age(*recipients, data=PLAIN[:size]), [identity]) == PLAIN[:size]
    assert open_file(age(*recipients, "-a", data=PLAIN[:size]), [identity]) == PLAIN[:size]


@needs_age
def test_a_streamed_age_file_opens_batch_by_batch(identity: Identity) -> None:
    sealed = age("-r", identity.recipient.text, data=PLAIN)
    _, end = parse_header(sealed)
    sink = io.BytesIO()
    copy_opened(io.BytesIO(sealed[end:]), sink, open_header(sealed[:end], [identity]), threads=2)
    assert sink.getvalue() == PLAIN


@needs_age
def test_header_and_body_put_together_are_an_age_file(tmp_path: Path, key_file: Path, identity: Identity) -> None:
    file_key = new_file_key()
    (tmp_path / "header").write_bytes(make_header(file_key, [identity.recipient]))
    for name, size in (("first", 0), ("second", 3 * CHUNK), ("third", len(PLAIN))):
        with (tmp_path / name).open("wb") as sink, BodyWriter(sink, file_key) as writer:
            writer.write(PLAIN[:size])
        command = f"cat header {name} | age -d -i key.txt"
        done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, check=True, timeout=60)
        assert done.stdout == PLAIN[:size]


@needs_age
def test_a_rewrapped_header_before_the_old_body_is_an_age_file(key_file: Path, identity: Identity) -> None:
    old = Identity.generate()
    file_key = new_file_key()
    header, body = make_header(file_key, [old.recipient]), seal_bytes(PLAIN, file_key)
    for_age = rewrap(header, [old], [identity.recipient])
    assert age("-d", "-i", key_file, data=for_age + body) == PLAIN
    theirs = age("-r", identity.recipient.text, data=PLAIN)
    _, end = parse_header(theirs)
    for_us = rewrap(theirs[:end], [identity], [old.recipient])
    assert open_bytes(theirs[end:], open_header(for_us, [old])) == PLAIN


@needs_age
def test_headers_of_age_files_are_split_like_ours(identity: Identity) -> None:
    files = [age("-r", identity.recipient.text, data=b"x") for _ in range(3)]
    headers = [file[: parse_header(file)[1]] for file in files]
    assert split_headers(b"".join(headers)) == headers


@needs_age
def test_the_keys_of_age_keygen_are_ours(tmp_path: Path) -> None:
    subprocess.run(["age-keygen", "-o", tmp_path / "key"], check=True, capture_output=True)
    secret = (tmp_path / "key").read_text().splitlines()[-1]
    public = subprocess.run(["age-keygen", "-y", tmp_path / "key"], check=True, capture_output=True).stdout
    assert Identity.from_text(secret).recipient == Recipient.from_text(public.decode())
    assert Identity.from_text(secret).text == secret


@needs_age
def test_age_refuses_what_we_refuse(key_file: Path, identity: Identity) -> None:
    sealed = seal_file(PLAIN, [identity.recipient])
    for broken in (sealed[:-1], sealed + b"x", sealed[:300] + b"\0" + sealed[301:], sealed[1:]):
        with pytest.raises(IntegrityError):
            open_file(broken, [identity])
        done = subprocess.run(
            ["age", "-d", "-i", key_file], check=False, input=broken, capture_output=True, timeout=60
        )
        assert done.returncode != 0


@pytest.mark.parametrize("size", SIZES)
def test_pyrage_and_we_open_each_other(identity: Identity, size: int) -> None:
    theirs = pyrage.x25519.Identity.from_str(identity.text)
    assert str(theirs.to_public()) == identity.recipient.text
    sealed = seal_file(PLAIN[:size], [identity.recipient])
    assert pyrage.decrypt(sealed, [theirs]) == PLAIN[:size]
    assert pyrage.decrypt(add_armor(sealed), [theirs]) == PLAIN[:size]
    for armored in (False, True):
        sealed = pyrage.encrypt(PLAIN[:size], [theirs.to_public()], armored=armored)
        assert open_file(sealed, [identity]) == PLAIN[:size]


def test_pyrage_and_we_open_each_others_passphrases() -> None:
    assert pyrage.passphrase.decrypt(seal_with_passphrase(b"state", "Füße", work_factor=10), "Füße") == b"state"
    assert open_with_passphrase(pyrage.passphrase.encrypt(b"state", "Füße"), "Füße") == b"state"
