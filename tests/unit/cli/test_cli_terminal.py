"""Tables line up, whatever is in them."""

import pytest

from kifabrik.cli.terminal import counted, show_table


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
