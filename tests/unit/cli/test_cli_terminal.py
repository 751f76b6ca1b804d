"""Tables line up, whatever is in them."""

from datetime import timedelta

import pytest

from kifabrik.cli import terminal
from kifabrik.cli.terminal import _show_folded, ago, counted, show_table
from kifabrik.values import format_time, now_utc


@pytest.mark.parametrize("wide", ["", "数据", "cafe\u0301"])
def test_columns_line_up_and_numbers_stand_to_the_right(capsys, wide):
    show_table(["RUN", "JOB", "N"], [("r-abc", f"Prüfung {wide}", 3), ("r-abcdef", "x", 12)], right=(2,))
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.startswith("RUN       JOB ")
    assert second.startswith("r-abc     Prüfung")
    assert third.startswith("r-abcdef  x ")
    assert (first[-2:], second[-2:], third[-2:]) == (" N", " 3", "12")


def test_an_id_is_never_cut_where_nobody_looks_at_a_screen(capsys):
    show_table(["A", "B", "C"], [("a" * 60, "b" * 60, "c" * 60)])
    assert capsys.readouterr().out.splitlines()[1] == "  ".join(("a" * 60, "b" * 60, "c" * 60))


def test_a_table_without_rows_has_its_head(capsys):
    show_table(["A", "B"], [])
    assert capsys.readouterr().out == "A  B\n"


@pytest.mark.parametrize(("count", "said"), [(0, "0 files"), (1, "1 file"), (1200, "1,200 files")])
def test_one_thing_is_not_said_to_be_several(count, said):
    assert counted(count, "file") == said


def test_the_widest_column_gives_way_first(capsys):
    rows = [
        ("15", "11-29 22:44:32", "lease.released", "run shuttle-anomaly, to m-gaatlt6m3xqt5aem, for maintenance")
    ]
    _show_folded(["#", "WHEN (UTC)", "WHAT", "ABOUT"], rows, (0,), 80)
    shown = capsys.readouterr().out.splitlines()
    assert shown[1].startswith("15  11-29 22:44:32  lease.released  run shuttle-anomaly,")


def test_no_id_is_broken_where_a_table_is_too_wide_but_its_words_fit(capsys):
    head = ["RUN", "JOB", "STATE", "TASKS", "COST", "ORDERED"]
    rows = [
        ("r-cl5t4y7exc6y6hpi", "press-search", "failed", "2/4, 2 failed", "0.000014 EUR", "10s ago"),
        ("r-cusquzqfi7n7xpch", "machine-watch", "succeeded", "", "0.000037 EUR", "13m 54s ago"),
    ]
    _show_folded(head, rows, (), 80)
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    for word in ("r-cl5t4y7exc6y6hpi", "r-cusquzqfi7n7xpch", "machine-watch", "0.000014"):
        assert word in shown


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(65, "1m 05s ago"), (21 * 60 + 19, "21m ago"), (3 * 3600 + 300, "3h 05m ago"), (12 * 86_400, "12 days ago")],
)
def test_what_is_long_ago_is_said_without_seconds(monkeypatch, seconds, said):
    now = now_utc()
    monkeypatch.setattr(terminal, "now_utc", lambda: now)
    assert ago(format_time(now - timedelta(seconds=seconds))) == said
