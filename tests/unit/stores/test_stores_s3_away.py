"""An S3 store that is away, as a server that hangs up on all: who waits for it, and what the operator reads."""

import hashlib
import logging
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("botocore", reason="needs botocore: pip install 'kifabrik[s3]'")

from kifabrik.stores.s3 import objects
from kifabrik.stores.s3.failures import StoreAwayError
from kifabrik.stores.s3.objects import S3Objects
from kifabrik.stores.s3.place import S3Place


class Away:
    """Takes connections and hangs up."""

    def __init__(self) -> None:
        self.asked = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._hang_up, daemon=True)
        self._thread.start()

    def _hang_up(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            self.asked += 1
            line.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def away() -> Iterator[Away]:
    server = Away()
    yield server
    server.close()


@pytest.fixture
def store(away: Away, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Objects]:
    keys = tmp_path / "credentials"
    keys.write_text("[default]\naws_access_key_id = K\naws_secret_access_key = S\n")
    monkeypatch.setattr(objects, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(objects, "_AWAY_S", 600.0)
    made = S3Objects(S3Place(bucket="b", prefix="f", endpoint=away.endpoint, credentials=keys))
    yield made
    made.close()


def _file(folder: Path, data: bytes) -> tuple[Path, str]:
    file = folder / "body"
    file.write_bytes(data)
    return file, f"t/aa/{hashlib.sha256(data).hexdigest()}"


def test_who_stores_tries_again_by_itself_the_next_ones_do_not_wait_for_what_is_known(
    away: Away, store: S3Objects, tmp_path: Path
) -> None:
    with pytest.raises(StoreAwayError):
        store.store(*_file(tmp_path, b"one"))
    tries = away.asked
    assert tries > 1
    for number in range(3):
        with pytest.raises(StoreAwayError, match="the factory's object store cannot be reached"):
            store.store(*_file(tmp_path, b"%d" % number))
    assert away.asked == tries


def test_the_operator_is_told_once_that_a_store_is_away_however_many_ask(
    store: S3Objects, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for number in range(4):
            with pytest.raises(StoreAwayError):
                store.store(*_file(tmp_path, b"%d" % number))
            store.look()
    told = [one.getMessage() for one in caplog.records]
    assert len(told) == 1
    assert "cannot be reached" in told[0]
    assert "X-Amz" not in told[0]
