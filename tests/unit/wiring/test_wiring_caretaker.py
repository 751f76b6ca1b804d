import fcntl
import os
import threading

from kifabrik.wiring import caretaker
from kifabrik.wiring.caretaker import taking_care

PATIENCE_S = 60.0


def test_folders_of_dead_launchers_go_at_start_when_one_ends_and_by_and_by(tmp_path):
    living, dead = tmp_path / "a-living", tmp_path / "a-dead"
    living.mkdir()
    lock = os.open(living, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    cleared = threading.Semaphore(0)

    def leave_one():
        dead.mkdir()
        (dead / "spool").write_text("ciphertext that waits")

    leave_one()
    with taking_care(tmp_path, cleared.release) as clear_up:
        assert not dead.exists()
        leave_one()
        clear_up()
        assert cleared.acquire(timeout=PATIENCE_S)
        assert not dead.exists()
    with taking_care(tmp_path, cleared.release, every_s=0.05):
        leave_one()
        while dead.exists():
            assert cleared.acquire(timeout=PATIENCE_S)
    assert living.exists()
    os.close(lock)


def test_a_folder_that_is_not_there_yet_is_no_reason_to_fail(tmp_path):
    with taking_care(tmp_path / "runs", lambda: None):
        pass


def test_clearing_up_goes_on_after_whatever_went_wrong(tmp_path, monkeypatch, caplog):
    cleared = threading.Semaphore(0)
    dead = tmp_path / "a-dead"

    def fails(*_words, **_options):
        raise LookupError("a machine that answers in a way nobody foresaw")

    with taking_care(tmp_path, cleared.release, every_s=0.05):
        assert cleared.acquire(timeout=PATIENCE_S)
        with monkeypatch.context() as patch:
            patch.setattr(caretaker, "remove_leftovers", fails)
            for _ in range(3):
                assert cleared.acquire(timeout=PATIENCE_S)
        dead.mkdir()
        while dead.exists():
            assert cleared.acquire(timeout=PATIENCE_S)
    assert "nobody foresaw" in caplog.text
