"""Files of one's own and shared tables, typed like a pull."""

from datetime import UTC, date, datetime, time
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kifabrik.connectors.sap.batches import members_of
from kifabrik.connectors.sap.file_plan import UploadPlan, read_upload_plan
from kifabrik.connectors.sap.files import read_files
from kifabrik.connectors.sap.plan import parse
from kifabrik.errors import CapacityError, IntegrityError, NotFoundError, UsageError

HEAD = """
dataset: stock
purpose: testing
confirmed: {by: Anna Huber, on: 2026-11-20, because: "an export of our own"}
"""
STOCK = """
tables:
  Stock:
    files: [stock.csv]
    rows: 100
    keys: [product]
    delimiter: ";"
    decimal: ","
    dates: sap
    headings: {product: "Material Nr."}
    columns: {product: text, quantity: "decimal(13,3)", counted: date, active: boolean, note: text}
"""
CSV = (
    "Material Nr.;quantity;counted;active;note;left out\n"
    "000123;1.234,500-;20261231;X;Größe ½″;y\n"
    "000124;;00000000;;;\n"
)


def table(tmp_path, csv=CSV, plan=STOCK):
    (tmp_path / "stock.csv").write_text(csv, encoding="utf-8")
    (tmp_path / "plan.yaml").write_text(HEAD + plan)
    wanted = read_upload_plan(tmp_path / "plan.yaml").tables["Stock"]
    return pa.Table.from_batches(read_files("Stock", wanted)), wanted


def test_an_export_of_saps_is_read_with_its_types(tmp_path):
    found, _ = table(tmp_path)
    assert found.schema.field("quantity").type == pa.decimal128(13, 3)
    assert found.to_pylist() == [
        {
            "product": "000123",
            "quantity": Decimal("-1234.500"),
            "counted": date(2026, 12, 31),
            "active": True,
            "note": "Größe ½″",
        },
        {"product": "000124", "quantity": None, "counted": None, "active": None, "note": None},
    ]


def test_parquet_is_cast_exactly_or_refused(tmp_path):
    plan = STOCK.replace("stock.csv", "stock.parquet")
    columns = {
        "Material Nr.": ["1", "2"],
        "quantity": pa.array([Decimal("1.25"), None], pa.decimal128(10, 2)),
        "counted": pa.array([date(2026, 1, 1), None]),
        "active": [True, None],
        "note": ["a", None],
    }
    pq.write_table(pa.table(columns), tmp_path / "stock.parquet")
    found, _ = table(tmp_path, plan=plan)
    assert found.column("quantity").to_pylist() == [Decimal("1.250"), None]
    pq.write_table(pa.table({**columns, "quantity": [1.2345, None]}), tmp_path / "stock.parquet")
    with pytest.raises(IntegrityError, match=r"a value of 'quantity' \(double\) does not fit"):
        table(tmp_path, plan=plan)


@pytest.mark.parametrize(
    ("csv", "error", "says"),
    [
        (CSV.replace("quantity", "amount"), UsageError, "has no column 'quantity'"),
        (CSV.replace("1.234,500-", "abc"), IntegrityError, "a value of 'quantity'"),
        (
            CSV.replace("1.234,500-", "1,2345"),
            IntegrityError,
            r"line 2: a value of 'quantity' is no decimal\(13,3\)",
        ),
        (CSV.replace("20261231", "20261331"), IntegrityError, "line 2: a value of 'counted' is no date"),
        (CSV.replace(";X;", ";perhaps;"), IntegrityError, "a value of 'active'"),
        (CSV.replace("000123", ""), IntegrityError, "line 2: the key 'product' is empty"),
        (CSV + "000125\n", UsageError, "fewer cells"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, csv, error, says):
    with pytest.raises(error, match=says):
        table(tmp_path, csv)


def test_a_file_that_is_missing_or_not_utf8_is_named(tmp_path):
    with pytest.raises(NotFoundError, match="there is no file"):
        table(tmp_path, plan=STOCK.replace("stock.csv", "other.csv"))
    (tmp_path / "latin.csv").write_bytes(CSV.replace("½″", "").encode("latin-1"))
    with pytest.raises(UsageError, match="is not UTF-8"):
        table(tmp_path, plan=STOCK.replace("stock.csv", "latin.csv"))


def test_keys_and_limits_hold(tmp_path):
    found, wanted = table(tmp_path, CSV.replace("000124", "000123"))
    with pytest.raises(IntegrityError, match="same key came a second time, in row 2"):
        list(members_of("Stock", found.to_batches(), wanted.keys, most=10))
    with pytest.raises(CapacityError, match="more than the 1 rows"):
        list(members_of("Stock", found.to_batches(), (), most=1))


def test_members_are_parquet_files_with_their_keys(tmp_path):
    found, wanted = table(tmp_path)
    members = list(members_of("Stock", found.to_batches(), wanted.keys, most=10, version=3))
    pieces = []
    members[0].write_to(pieces.append)
    read = pq.read_table(pa.BufferReader(b"".join(bytes(piece) for piece in pieces)))
    assert members[0].path == "Stock/00003-00000.parquet"
    assert read.schema.metadata[b"kifabrik.keys"] == b"product"
    assert read.to_pylist() == found.to_pylist()


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (STOCK.replace("decimal(13,3)", "decimal(3,13)"), "no more of them behind the point"),
        (STOCK.replace("note: text", "note: words"), "'words' is no type"),
        (STOCK.replace("keys: [product]", "keys: [matnr]"), "'matnr' is none of the columns"),
        (STOCK.replace("product: text", '"../x": text'), "tables.Stock.columns"),
        (STOCK.replace("rows: 100\n", "rows: 100\n    rwos: 1\n"), "unknown key"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(plan, says):
    with pytest.raises(UsageError, match=says):
        parse(UploadPlan, HEAD + plan, "plan.yaml")


LIST = """\
Tabelle:        MARD
Angezeigte Felder:  4 von  4

--------------------------------------------------------
|Material          |Werk|Frei verwendbar|Gez\u00e4hlt am|
--------------------------------------------------------
|Rohr 1/2"         |1000|     1.234,500 |31.12.2026|
|"M\u00fcller" 4711  |1000|         0,500-|00.00.0000|
|100-100           |1100|               |          |
--------------------------------------------------------
"""
LISTED = """
tables:
  Stock:
    files: [stock.csv]
    rows: 100
    keys: [product, plant]
    delimiter: "|"
    decimal: ","
    dates: german
    encoding: windows-1252
    headings: {product: Material, plant: Werk, quantity: Frei verwendbar, counted: "Gez\u00e4hlt am"}
    columns: {product: text, plant: text, quantity: "decimal(13,3)", counted: date}
"""


def exported(tmp_path, text, plan, encoding="utf-8"):
    (tmp_path / "stock.csv").write_bytes(text.encode(encoding))
    (tmp_path / "plan.yaml").write_text(HEAD + plan, encoding="utf-8")
    return pa.Table.from_batches(read_files("Stock", read_upload_plan(tmp_path / "plan.yaml").tables["Stock"]))


def test_a_list_of_se16_is_read_as_it_is_saved(tmp_path):
    found = exported(tmp_path, LIST, LISTED, "windows-1252").to_pylist()
    assert [tuple(row.values()) for row in found] == [
        ('Rohr 1/2"', "1000", Decimal("1234.500"), date(2026, 12, 31)),
        ('"M\u00fcller" 4711', "1000", Decimal("-0.500"), None),
        ("100-100", "1100", None, None),
    ]


@pytest.mark.parametrize(("encoding", "name"), [("utf-16", "utf-16"), ("iso-8859-1", "iso-8859-1")])
def test_a_spreadsheet_of_saps_is_read_whatever_its_letters_are_written_in(tmp_path, encoding, name):
    text = "MARD\n\n\tMaterial\tWerk\tFrei verwendbar\tGez\u00e4hlt am\n\n\t1\t1000\t  7,5 \t01.02.2026\n"
    plan = LISTED.replace('"|"', '"\\t"').replace("windows-1252", name)
    assert exported(tmp_path, text, plan, encoding).column("quantity").to_pylist() == [Decimal("7.500")]


@pytest.mark.parametrize(
    ("old", "new", "error", "says"),
    [
        ("|1100|", "|11|00|", UsageError, "line 9: a row has more cells than there are headings"),
        ("|Werk|", "|Material|", UsageError, "has no column 'Werk'"),
        (
            "|Gez\u00e4hlt am|",
            "|Gez\u00e4hlt am|Werk|",
            UsageError,
            "line 5: the heading 'Werk' stands there 2 times",
        ),
        ("1.234,500", "1.23,500", IntegrityError, "line 7: a value of 'quantity'"),
        ("1.234,500", "   1.5   ", IntegrityError, "line 7: a value of 'quantity'"),
        ("|", ",", UsageError, "none of its first 40 lines has the heading 'Material'"),
        ("|100-100           |", "|*                 |", UsageError, "line 9 is a line of totals"),
        ("31.12.2026", "12/31/2026", IntegrityError, "line 7: a value of 'counted'"),
    ],
)
def test_what_is_odd_in_a_list_is_named_by_its_line(tmp_path, old, new, error, says):
    with pytest.raises(error, match=says):
        exported(tmp_path, LIST.replace(old, new), LISTED, "windows-1252")


@pytest.mark.parametrize(
    ("decimal", "thousands", "text", "value"),
    [
        (",", None, "1.234.567,5", "1234567.5"),
        (",", None, "1234,5-", "-1234.5"),
        (",", "' '", "1\u00a0234,5", "1234.5"),
        (".", "','", "1,234.5", "1234.5"),
        (".", '"\'"', "-1'234.5", "-1234.5"),
        (".", None, ".5", "0.5"),
        (".", None, "+5", "5"),
        (".", None, "1,500", None),
        (".", "','", "1,50", None),
        (",", None, "1,5,0", None),
        (",", None, "-", None),
        (",", None, "1.234 567", None),
    ],
)
def test_a_number_is_read_as_it_was_meant_or_not_at_all(tmp_path, decimal, thousands, text, value):
    plan = f"""
tables:
  Stock:
    {{files: [stock.csv], rows: 9, delimiter: ";", decimal: "{decimal}", columns: {{quantity: "decimal(13,3)"}}}}
"""
    if thousands:
        plan = plan.replace("rows: 9", f"rows: 9, thousands: {thousands}")
    if value is None:
        with pytest.raises(IntegrityError, match="line 2: a value of 'quantity'"):
            exported(tmp_path, f"quantity\n{text}\n", plan)
    else:
        assert exported(tmp_path, f"quantity\n{text}\n", plan).column(0).to_pylist() == [Decimal(value)]


def test_times_of_abap_are_times(tmp_path):
    plan = """
tables:
  Stock:
    {files: [stock.csv], rows: 9, dates: sap, columns: {at: time, changed: timestamp}}
"""
    found = exported(tmp_path, "at,changed\n140500,20261231140500.1234560\n,0\n", plan).to_pylist()
    assert found == [
        {"at": time(14, 5), "changed": datetime(2026, 12, 31, 14, 5, 0, 123456, UTC)},
        {"at": None, "changed": None},
    ]
