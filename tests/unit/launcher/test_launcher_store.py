"""Objects from the factory's folder where a node sees it, else over HTTP."""

import hashlib
from contextlib import contextmanager
from pathlib import Path

import pytest

from kifabrik.errors import IntegrityError, NotFoundError
from kifabrik.launcher.store import node_store

DATA = b"ciphertext"
DIGEST = hashlib.sha256(DATA).hexdigest()


class Away:
    """A factory that has none of the objects."""

    def fetch(self, digest, limit):
        raise NotFoundError(f"no object {digest[:16]}")

    def pieces(self, digest):
        raise NotFoundError(f"no object {digest[:16]}")
        yield b""

    def read(self, digest, size, offset, count):
        raise NotFoundError(f"no object {digest[:16]}")


@pytest.fixture
def store(tmp_path):
    return node_store(Away(), Away(), tmp_path, "t-x")


def place(tmp_path):
    path = tmp_path / "t-x" / DIGEST[:2] / DIGEST
    path.parent.mkdir(parents=True)
    path.write_bytes(DATA)
    return path


def test_an_object_in_the_folder_is_read_there(store, tmp_path):
    path = place(tmp_path)
    assert store.fetch(DIGEST, 100) == DATA
    with store.open(DIGEST, len(DATA)) as stream:
        assert stream.read() == DATA
    assert store.at_any_position(DIGEST, len(DATA)) == path
    with pytest.raises(IntegrityError, match="not what its digest names"):
        store.fetch(DIGEST, len(DATA) - 1)
    path.write_bytes(b"something")
    with pytest.raises(IntegrityError, match="not what its digest names"):
        store.fetch(DIGEST, 100)


@pytest.mark.parametrize("gone", ["before", "meanwhile"])
def test_an_object_that_is_not_there_or_is_erased_meanwhile_is_asked_for_over_http(
    store, tmp_path, monkeypatch, gone
):
    if gone == "meanwhile":
        monkeypatch.setattr(Path, "exists", lambda _path: True)
    with pytest.raises(NotFoundError, match="no object"):
        store.fetch(DIGEST, 100)
    with pytest.raises(NotFoundError, match="no object"), store.open(DIGEST, len(DATA)) as stream:
        stream.read()


def test_what_goes_wrong_while_an_object_is_used_is_not_taken_for_a_missing_one(store, tmp_path):
    place(tmp_path)

    @contextmanager
    def used():
        with store.open(DIGEST, len(DATA)) as stream:
            yield stream

    with pytest.raises(FileNotFoundError), used():
        raise FileNotFoundError
