"""Several services on one home write to one log, and none of its lines or files is lost."""

import logging
import multiprocessing
import os
from contextlib import suppress
from pathlib import Path

from kifabrik.wiring.service_log import FILE, SharedLogHandler, Sparing, service_log

LINES = 3000
WRITERS = 3


def _write(folder: Path, name: str, start) -> None:
    handler = SharedLogHandler(folder / FILE, most_bytes=10_000, kept=60)
    start.wait()
    for number in range(LINES):
        handler.emit(logging.makeLogRecord({"msg": f"{name} {number}"}))
    handler.close()


def _lines(folder: Path) -> list[str]:
    return [line for file in folder.glob(f"{FILE}*") for line in file.read_text().splitlines()]


def test_no_line_is_lost_or_torn_while_several_processes_move_the_log_on(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(WRITERS)
    names = [f"service-{number}" for number in range(WRITERS)]
    writers = [context.Process(target=_write, args=(tmp_path, name, start)) for name in names]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    assert sorted(_lines(tmp_path)) == sorted(f"{name} {number}" for name in names for number in range(LINES))
    moved_on = [file.stat().st_size for file in tmp_path.glob(f"{FILE}.*")]
    assert all(9_900 < size <= 10_000 for size in moved_on), "moved on before it was full: old files go too soon"


def test_a_log_the_operator_has_moved_away_is_begun_anew(tmp_path: Path) -> None:
    with service_log(tmp_path):
        logging.getLogger("kifabrik").info("before")
        (tmp_path / FILE).rename(tmp_path / "kept")
        logging.getLogger("kifabrik").info("after")
    assert "before" in (tmp_path / "kept").read_text()
    assert "after" in (tmp_path / FILE).read_text()
    assert "after" not in (tmp_path / "kept").read_text()


def test_only_its_owner_may_read_the_log_and_each_line_names_its_process(tmp_path: Path) -> None:
    with service_log(tmp_path):
        logging.getLogger("kifabrik").info("something")
        (tmp_path / FILE).rename(tmp_path / "kept")
        logging.getLogger("kifabrik").info("something")
    for file in (tmp_path / FILE, tmp_path / "kept"):
        assert file.stat().st_mode & 0o077 == 0
        assert f" {os.getpid()} INFO kifabrik something" in file.read_text()


def test_strangers_do_not_wash_the_log_away_and_it_says_how_much_is_left_out() -> None:
    now = [0.0]
    sparing = Sparing(3, lambda: now[0])

    def written(count: int, **about: object) -> list[str]:
        records = [logging.makeLogRecord({"msg": "line %d", "args": (n,), **about}) for n in range(count)]
        return [record.getMessage() for record in records if sparing.filter(record)]

    assert written(5, stranger=True) == ["line 0", "line 1", "line 2"]
    assert written(5, name="uvicorn.error", levelno=logging.WARNING) == []
    assert len(written(5, name="uvicorn.error", levelno=logging.ERROR)) == 5
    assert len(written(50, stranger=False)) == 50
    assert len(written(50, name="kifabrik.service")) == 50
    now[0] = 61
    assert written(2, stranger=True) == ["line 0 (7 lines about strangers before this one were left out)", "line 1"]
    now[0] = 200
    assert written(1, stranger=True) == ["line 0"]


def test_a_line_that_finds_no_room_is_said_beside_and_not_with_a_traceback(tmp_path: Path, capsys) -> None:
    (tmp_path / FILE).symlink_to("/dev/full")
    handler = SharedLogHandler(tmp_path / FILE)
    handler.emit(logging.makeLogRecord({"msg": "runs: %s", "args": ("no room",)}))
    said = capsys.readouterr().err
    assert said == f"{tmp_path / FILE} cannot be written (No space left on device): runs: no room\n"
    (tmp_path / FILE).unlink()
    with suppress(OSError):
        handler.stream.close()  # tries once more
    handler.stream = None
    handler.close()
