"""Readings as machines, Excel and people write them."""

import numpy as np
import pytest

from kifabrik.errors import KifabrikError, NotFoundError, UsageError
from kifabrik.recipes.maintenance.faults import faults_of_label, near, read_faults
from kifabrik.recipes.maintenance.reading import Reason, read_readings

ROWS = 120
MINUTE = np.timedelta64(60, "s")
START = np.datetime64("2026-01-05T06:00:00")


def lines(stamp, *, point=","):
    for at in range(ROWS):
        load, heat = 50 + at % 7, 1234.5 + at % 5
        yield ";".join(
            (stamp(at), f"{load:.1f}".replace(".", point), f"{heat:.2f}".replace(".", point), str(at), "läuft", "")
        )


def german(at):
    return str((START + at * MINUTE).item().strftime("%d.%m.%Y %H:%M:%S"))


def excel(at):
    days = float((START + at * MINUTE - np.datetime64("1899-12-30")) / np.timedelta64(1, "s")) / 86_400
    return f"{days:.6f}".replace(".", ",")


HEAD = "Zeitpunkt;Last [%];Wärme;Stückzahl;Status;"


@pytest.mark.parametrize(
    ("before", "stamp", "encoding"),
    [
        ("", german, "cp1252"),
        ("", german, "utf-8-sig"),
        ("", german, "utf-16"),
        ("sep=;\n", excel, "cp1252"),
        ("Anlage: Fräse 7;;;;;\nExport vom 20.01.2026;;;;;\n;;;;;\n", german, "cp1252"),
        ("Anlage: Fräse 7\n\n", german, "cp1252"),
    ],
    ids=["windows", "utf-8", "utf-16", "excel-days", "padded-title", "title"],
)
def test_the_same_table_is_read_however_it_was_written(tmp_path, before, stamp, encoding):
    (tmp_path / "Fräse.CSV").write_bytes((before + "\r\n".join([HEAD, *lines(stamp)])).encode(encoding))
    found = read_readings(tmp_path)
    assert found.names == ("Last [%]", "Wärme")
    assert (found.values[8] == [51.0, 1237.5]).all()
    assert (found.times == START + np.arange(ROWS) * MINUTE).all()
    assert [(one.name, one.reason) for one in found.left_out] == [
        ("Zeitpunkt", Reason.TIME),
        ("Stückzahl", Reason.COUNTER),
        ("Status", Reason.TEXT),
        ("column 6", Reason.EMPTY),
    ]


def test_a_workbook_is_read_like_a_csv_file(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["Anlage 7", None, None, None])
    book.active.append([])
    book.active.append(["Zeit", "Last", "Status", "Kaputt"])
    for at in range(ROWS):
        book.active.append([(START + at * MINUTE).item(), 50.5 + at % 7, "läuft", None])
    book.save(tmp_path / "m.xlsx")
    (tmp_path / "~$m.xlsx").write_bytes(b"locked by Excel")
    found = read_readings(tmp_path)
    assert found.names == ("Last",)
    assert found.values[1, 0] == 51.5
    assert found.times[1] == START + MINUTE


def test_thousands_are_no_decimals_where_a_column_has_decimal_commas(tmp_path):
    cells = [f"{at % 9}.234,5;{at % 5}" for at in range(ROWS - 1)] + ["7.000;1"]
    (tmp_path / "x.csv").write_text("\n".join(["a;b", *cells]))
    found = read_readings(tmp_path)
    assert found.values[2, 0] == 2234.5
    assert found.values[-1, 0] == 7000


def test_words_for_nothing_are_empty_cells_and_no_text(tmp_path):
    words = ["-", "#NV", "n/a", "#WERT!", ""]
    cells = [f"{words[at % 5] if at % 3 == 0 else at % 9};{at % 5}" for at in range(ROWS)]
    (tmp_path / "x.csv").write_text("\n".join(["a;b", *cells]))
    found = read_readings(tmp_path)
    assert found.names == ("a", "b")
    assert np.isnan(found.values[::3, 0]).all()
    assert np.isfinite(found.values[1::3, 0]).all()


def test_files_are_put_in_order_of_time_whatever_they_are_called(tmp_path):
    table = list(lines(german))
    (tmp_path / "a.csv").write_text("\n".join([HEAD, *table[60:]]))
    (tmp_path / "b.csv").write_text("\n".join([HEAD, *table[:60], "kaputt;1;1;1;x;"]))
    found = read_readings(tmp_path)
    assert (np.diff(found.times) == MINUTE).all()
    assert (found.files, found.dropped) == (2, 1)


@pytest.mark.parametrize(
    ("name", "content", "error", "said"),
    [
        ("x.txt", "a;b", NotFoundError, "there is no .csv and no .xlsx file"),
        ("x.csv", "", UsageError, "x.csv is empty"),
        ("x.csv", "1,5;2,5\n" * 100, UsageError, "the first line must name the columns; it holds 1,5"),
        (
            "x.csv",
            "a;b\n" + "x;y\n" * 100,
            UsageError,
            "no column in .* holds readings that vary: a .text., b .text.",
        ),
        ("x.xlsx", "no workbook", UsageError, "x.xlsx is no workbook"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(tmp_path, name, content, error, said):
    (tmp_path / name).write_text(content)
    with pytest.raises(error, match=said):
        read_readings(tmp_path)


def test_a_column_that_is_not_there_is_named_with_those_there_are(tmp_path):
    (tmp_path / "x.csv").write_text("\n".join([HEAD, *lines(german)]))
    with pytest.raises(NotFoundError, match="'Störung'") as told:
        read_readings(tmp_path, label="Störung")
    assert "Last [%]" in told.value.hint


def test_marked_rows_that_lie_together_are_one_fault(tmp_path):
    cells = [f"{german(at)};{at % 7};{int(at in (20, 21, 23, 90))}" for at in range(ROWS)]
    (tmp_path / "x.csv").write_text("\n".join(["Zeit;a;f", *cells]))
    found = faults_of_label(read_readings(tmp_path, label="f"), 5 * MINUTE)
    assert [(one.start, one.end) for one in found] == [
        (START + 20 * MINUTE, START + 23 * MINUTE),
        (START + 90 * MINUTE, START + 90 * MINUTE),
    ]
    times = START + np.arange(ROWS) * MINUTE
    assert near(times, found, 2 * MINUTE).nonzero()[0].tolist() == [18, 19, 20, 21, 22, 23, 88, 89, 90]


def test_a_list_of_faults_is_read_as_a_maintenance_system_exports_it(tmp_path):
    path = tmp_path / "meldungen.csv"
    path.write_bytes(
        "Störbeginn;Störende;Kurztext\n18.01.2026 05:10;;Lager\n02.01.2026;03.01.2026;Öl\n".encode("cp1252")
    )
    first, second = read_faults(path)
    assert (first.what, str(first.start), str(first.end)) == ("Öl", "2026-01-02T00:00:00", "2026-01-03T00:00:00")
    assert (second.what, second.end) == ("Lager", second.start)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("Maschine;Text\nA;x\n", "no column of f.csv says when the faults began"),
        ("von;bis\ngestern;heute\n", "not every cell of von is a date"),
        ("von;bis\n03.01.2026;02.01.2026\n", "ends before it begins"),
    ],
)
def test_a_list_of_faults_that_makes_no_sense_is_refused(tmp_path, content, said):
    (tmp_path / "f.csv").write_text(content)
    with pytest.raises(KifabrikError, match=said):
        read_faults(tmp_path / "f.csv")


def test_months_that_come_first_are_seen_by_the_days_that_are_no_months(tmp_path):
    def american(at):
        return (START + at * 720 * MINUTE).item().strftime("%m/%d/%Y %I:%M %p")

    (tmp_path / "a.csv").write_text("\n".join(["When,Load", *(f"{american(at)},{at % 7}.5" for at in range(ROWS))]))
    assert (read_readings(tmp_path).times == START + np.arange(ROWS) * 720 * MINUTE).all()


def test_exports_that_overlap_count_their_rows_once(tmp_path):
    table = list(lines(german))
    (tmp_path / "a.csv").write_text("\n".join([HEAD, *table[:80]]))
    (tmp_path / "b.csv").write_text("\n".join([HEAD, *table[60:]]))
    found = read_readings(tmp_path)
    assert (np.diff(found.times) == MINUTE).all()
    assert (found.doubled, found.dropped) == (20, 0)


def test_rows_of_one_second_with_other_readings_are_all_kept(tmp_path):
    (tmp_path / "a.csv").write_text(
        "\n".join(["Zeit;a", *(f"05.01.2026 06:00:{at // 2:02};{at}" for at in (1, 0, 3))])
    )
    assert sorted(read_readings(tmp_path).values[:, 0]) == [0, 1, 3]


def test_a_file_of_other_columns_keeps_its_times_and_what_it_lacks_is_named(tmp_path):
    table = list(lines(german))
    (tmp_path / "a.csv").write_text("\n".join([HEAD, *table[:60]]))
    other = [f"{row.split(';')[0].replace(' ', ';')};{row.split(';')[2]}" for row in table[60:]]
    (tmp_path / "b.csv").write_text("\n".join(["Datum;Uhrzeit;Wärme", *other]))
    found = read_readings(tmp_path)
    assert found.names == ("Last [%]", "Wärme")
    assert (found.times == START + np.arange(ROWS) * MINUTE).all()
    assert np.isnan(found.values[60:, 0]).all()
    assert np.isfinite(found.values[:, 1]).all()
    assert found.lacking[0][0] == "b.csv"
    assert found.lacking[0][1][0] == "Last [%]"
    assert found.ended == (("Last [%]", START + 59 * MINUTE),)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (["Zeit;Druck", *(f"{german(at)};{at % 5}" for at in range(ROWS))], "no sensor in common"),
        (["Last [%];Wärme", *(f"{at % 7},5;{at % 5}" for at in range(ROWS))], "a.csv holds times and b.csv none"),
    ],
    ids=["sensors", "times"],
)
def test_files_that_do_not_go_together_are_refused(tmp_path, other, said):
    (tmp_path / "a.csv").write_text("\n".join([HEAD, *lines(german)]))
    (tmp_path / "b.csv").write_text("\n".join(other))
    with pytest.raises(UsageError, match=said):
        read_readings(tmp_path)


def test_a_row_for_each_reading_is_refused_with_the_way_out(tmp_path):
    rows = [f"{german(at)};{name};{at % 7},5" for at in range(ROWS) for name in ("Kraft", "Druck")]
    (tmp_path / "a.csv").write_text("\n".join(["Zeit;Sensor;Wert", *rows]))
    with pytest.raises(UsageError, match="has a row for each reading, and Sensor says of which sensor"):
        read_readings(tmp_path)


def test_the_cover_of_a_workbook_is_no_table(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["Presse 3"])
    book.active.append(["Bericht"])
    sheet = book.create_sheet("Daten")
    sheet.append(["Zeit", "Last"])
    for at in range(ROWS):
        sheet.append([(START + at * MINUTE).item(), 50.5 + at % 7])
    book.save(tmp_path / "m.xlsx")
    assert read_readings(tmp_path).names == ("Last",)


def test_tables_of_kinds_that_are_not_read_are_named(tmp_path):
    (tmp_path / "a.csv").write_text("\n".join([HEAD, *lines(german)]))
    (tmp_path / "b.xls").write_bytes(b"old")
    assert read_readings(tmp_path).ignored == ("b.xls",)
    with pytest.raises(UsageError, match=r"neither \.csv nor \.xlsx"):
        read_readings(tmp_path / "b.xls")
